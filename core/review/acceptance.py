"""What a read sample says about the whole set: a decision on its plan, and words that claim no more than is true.

k of n records have an issue; "the true rate" is the share of the whole set that would be found to have one if all were read.
Acceptance sampling assumes that every record was equally likely to be drawn. Intervals are in `intervals`, plans in `plan`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.errors import InputError
from core.review.intervals import (
    LIMIT,
    Interval,
    anytime,
    bad_in_population,
    clopper_pearson,
    jeffreys,
    probability_above,
    upper_bound,
    wilson,
)
from core.review.plan import (
    PLAN_ACCEPT,
    PLAN_SIZE,
    PLAN_SOURCE,
    Plan,
    certifying_size,
    exact_plan,
    fixed_plan,
    operating_characteristic,
    pass_probability,
    plan_accept,
    plan_of,
    rate_at,
    sequential_plan,
)
from core.review.sequential import Walk, sprt, walk
from core.review.wording import words

__all__ = [
    "LIMIT",
    "PLAN_ACCEPT",
    "PLAN_SIZE",
    "PLAN_SOURCE",
    "Interval",
    "Plan",
    "Summary",
    "anytime",
    "bad_in_population",
    "certifying_size",
    "clopper_pearson",
    "exact_plan",
    "fixed_plan",
    "jeffreys",
    "operating_characteristic",
    "pass_probability",
    "plan_accept",
    "plan_of",
    "practice_lines",
    "probability_above",
    "rate_at",
    "sequential_plan",
    "summarise",
    "upper_bound",
    "wilson",
]


@dataclass(frozen=True)
class Summary:
    """What was found in a sample, what it shows, and what may be said about it."""

    size: int
    """Records drawn."""
    passed: int
    failed: int
    unsure: int
    disputed: int
    """Tabs or reviewers disagree; settled by a further verdict."""
    unread: int
    decision: str
    """unread, reading, stop (the plan has already failed), systemic, not shown (the plan holds), open (unsettled records decide),
    undecided (a sequential plan came to its end between its lines), no plan (the chances were unequal)."""
    headline: str
    detail: str
    """What the numbers do and do not show, in whole sentences."""
    rate: float | None
    """Of those judged; biased when reading stopped because of what was found (`biased`)."""
    interval: Interval | None
    """Clopper–Pearson; of a sequential plan the anytime-valid one, for its size was not fixed beforehand."""
    above_limit: float | None
    """P(true rate > 6 %), Jeffreys posterior; None when nothing was judged."""
    plan: Plan | None = None
    walk: Walk | None = None
    """Of a sequential plan."""
    anytime: Interval | None = None
    """The interval that holds although reading stops at this very moment."""

    @property
    def judged(self) -> int:
        """Records judged pass or fail: the n of every interval."""
        return self.passed + self.failed

    @property
    def biased(self) -> bool:
        """Whether the share found is no fair estimate: reading stopped, or would now stop, because of what was found."""
        return self.decision == "stop" or (self.walk is not None and self.walk.stopped is not None)


def summarise(
    outcomes: Mapping[str, str] | Iterable[str],
    size: int,
    *,
    accept: int | None = None,
    limit: float = LIMIT,
    population: int | None = None,
    equal_chances: bool = True,
    plan: Plan | None = None,
    order: Sequence[str] = (),
) -> Summary:
    """The result of a sample from its outcomes (record_id -> pass, fail, unsure, disputed; unread ones are absent).

    Unsure, disputed and unread records are counted apart and belong to no interval. plan: what was chosen when the sample was drawn,
    by default the practice's share, or `accept`; a sequential one needs `order`, the record ids as drawn. A plan's rule needs equal
    inclusion probabilities; with other ones it is said not to apply. A census is counted, whatever its plan.
    """
    said = list(outcomes.values() if isinstance(outcomes, Mapping) else outcomes)
    counts = {name: said.count(name) for name in ("pass", "fail", "unsure", "disputed")}
    if sum(counts.values()) != len(said) or len(said) > size:
        raise InputError(
            f"{len(said)} outcomes for a sample of {size}; each is pass, fail, unsure or disputed, one a record."
        )
    plan = plan or Plan("fixed", size, plan_accept(size) if accept is None else accept, chosen=accept is not None)
    census = population is not None and size >= population
    path = None
    if plan.kind == "sequential" and equal_chances and not census:
        if not isinstance(outcomes, Mapping) or len(order) != size:
            raise InputError("A sequential plan needs the outcomes by record and the order in which they were drawn.")
        path = walk(sprt(plan.good, plan.bad, plan.alpha, plan.beta), order, outcomes)
    passed, failed = counts["pass"], counts["fail"]
    judged = passed + failed
    found = Summary(
        size=size,
        passed=passed,
        failed=failed,
        unsure=counts["unsure"],
        disputed=counts["disputed"],
        unread=size - len(said),
        decision="",
        headline="",
        detail="",
        rate=failed / judged if judged else None,
        interval=clopper_pearson(failed, judged),
        above_limit=probability_above(failed, judged, limit) if judged else None,
        plan=plan,
        walk=path,
        anytime=anytime(failed, judged, population if not census else None),
    )
    if path is not None:
        found = replace(found, interval=found.anytime, decision=_walked(found, path))
    else:
        found = replace(found, decision=_decision(found, plan.accept, equal_chances))
    headline, detail = words(found, limit, census, population)
    return replace(found, headline=headline, detail=detail)


def _decision(found: Summary, accept: int, equal_chances: bool) -> str:
    pending = found.unsure + found.disputed
    if found.unread == found.size:
        return "unread"
    if not equal_chances:
        return "no plan" if not found.unread else "reading"
    if found.failed > accept:
        return "systemic" if not found.unread else "stop"
    if found.unread:
        return "reading"
    return "open" if found.failed + pending > accept else "not shown"


def _walked(found: Summary, path: Walk) -> str:
    """The decision of a sequential plan: of its walk alone, not of verdicts that wait or came later."""
    if path.decision != "continue":
        return "systemic" if path.decision == "reject" else "not shown"
    if found.unread == found.size:
        return "unread"
    if found.unread:
        return "reading"
    return "open" if path.unsettled else "undecided"


@dataclass(frozen=True)
class Line:
    """One line of the practice, and whether a sample keeps it; a statement about the sample, never about the whole set."""

    text: str
    kept: bool
    source: str


def practice_lines(failed: int, judged: int) -> list[Line]:
    """The practice's own three lines, which disagree at 3 of 50: it passes the first, crosses the second and the third."""
    if not judged:
        return []
    return [
        Line("up to 6 % with an issue; more is a systemic problem", 50 * failed <= 3 * judged, PLAN_SOURCE),
        Line(
            "up to 5 % with an issue, a second reader's line",
            20 * failed <= judged,
            "The practice, for a second reviewer's 50–100.",
        ),
        Line("over 96 % without, the target for labels", 25 * failed < judged, "The practice, for label accuracy."),
    ]
