"""Whether a reader may start: calibrated on the gold records, and the rules of reviewing that a workspace sets.

Only the first reading of a round counts. What is changed after the last record was read is changed by somebody who has seen what was
expected, and a second round is of records that the reader has seen before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.actions.auditing import gold_sample
from core.actions.decisions import open_reviews
from core.actions.raters import gold_verdicts
from core.errors import InputError
from core.review.adjudication import ALLOWED
from core.review.intervals import Interval, wilson
from core.review.people import ROLES
from core.review.samples import Sample, samples
from core.review.verdicts import Verdict, all_verdicts, outcomes, standing
from core.workspace import Workspace

SETTING = "review"


@dataclass(frozen=True)
class Rules:
    """How people review here; kept in the workspace."""

    mark: float = 0.90
    """The share of gold records whose settled verdict a reader must give."""
    required: bool = False
    """Whether an audit opens only to readers who passed."""
    hidden: bool = True
    """Whether an adjudicator sees the readers' names only after deciding."""
    adjudicators: tuple[str, ...] = ALLOWED
    """Roles that decide."""
    own: bool = False
    """Whether somebody may decide on a record that they read themselves."""


def rules(workspace: Workspace) -> Rules:
    """The rules as the workspace keeps them; the default ones where it keeps none."""
    kept = workspace.settings().get(SETTING) or {}
    known = {name: value for name, value in kept.items() if name in Rules.__dataclass_fields__}
    if "adjudicators" in known:
        known["adjudicators"] = tuple(known["adjudicators"])
    return replace(Rules(), **known)


def set_rules(workspace: Workspace, chosen: Rules) -> None:
    """Keep these rules from now on; InputError when one cannot be used."""
    if not 0 < chosen.mark <= 1:
        raise InputError(f"A pass mark of {chosen.mark:.0%} cannot be used; it lies above 0 and is at most 100 %.")
    if not chosen.adjudicators or set(chosen.adjudicators) - set(ROLES):
        raise InputError(f"Adjudicators need a role or more of {', '.join(ROLES)}.")
    values = {name: getattr(chosen, name) for name in Rules.__dataclass_fields__}
    workspace.set_setting(SETTING, values | {"adjudicators": list(chosen.adjudicators)})


@dataclass(frozen=True)
class Readiness:
    """One reader's calibration on the gold records of today."""

    state: str
    """no gold, unread, reading, failed or passed."""
    number: int
    """The round that is read, or that decided."""
    right: int
    of: int
    interval: Interval | None
    """Wilson, 95 %, of right / of."""
    left: int
    """Gold records unread in this round."""
    mark: float

    @property
    def ready(self) -> bool:
        return self.state == "passed"

    @property
    def share(self) -> float | None:
        return self.right / self.of if self.of else None


def readiness(workspace: Workspace, who: str) -> Readiness:
    """How far this reader is: the last round that was begun decides, by its first complete reading."""
    mark = rules(workspace).mark
    gold = workspace.dataset("gold")
    expected = gold_verdicts(gold) if gold else None
    if not gold or not expected:
        return Readiness("no gold", 0, 0, 0, None, 0, mark)
    store = open_reviews(workspace)
    rounds = sorted(
        (one for one in samples(store) if one.role == "gold" and one.dataset_digest == gold.digest),
        key=lambda one: one.recipe.get("round", 1),
    )
    last: tuple[Sample, list[Verdict]] | None = None
    for known in rounds:
        given = all_verdicts(store, known.id, who)
        if given:
            last = (known, given)
    if last is None:
        return Readiness("unread", 1, 0, 0, None, gold.count, mark)
    sample, given = last
    number = int(sample.recipe.get("round", 1))
    said = first_reading(given, sample.size)
    if said is None:
        now = outcomes(standing(given))
        return Readiness("reading", number, 0, 0, None, sample.size - len(now), mark)
    known = [one for one in said if expected.get(one)]
    right = sum(said[one] == expected[one] for one in known)
    share = right / len(known) if known else 0.0
    return Readiness(
        "passed" if share >= mark else "failed", number, right, len(known), wilson(right, len(known)), 0, mark
    )


def first_reading(given: Sequence[Verdict], size: int) -> Mapping[str, str] | None:
    """record_id -> outcome as they stood when the last of `size` records was read for the first time; None when it was not yet."""
    until: list[Verdict] = []
    seen: set[str] = set()
    for verdict in sorted(given, key=lambda one: (one.received_at, one.created_at, one.client_id)):
        until.append(verdict)
        seen.add(verdict.record_id)
        if len(seen) == size:
            said = outcomes(standing(until))
            if len(said) == size:
                return said
    return None


def current_round(workspace: Workspace, who: str) -> Sample:
    """The sample of gold records that this reader reads now: the first one, or the last they began."""
    return gold_sample(workspace, who, max(1, readiness(workspace, who).number))


def next_round(workspace: Workspace, who: str) -> Sample:
    """A further round for a reader who read the last one through without passing; InputError otherwise."""
    found = readiness(workspace, who)
    if found.state != "failed":
        raise InputError("A further round is for readers who read all gold records and did not pass.")
    return gold_sample(workspace, who, found.number + 1)
