"""The sentences of an audit's result. "Passed" is never worded as a low rate, and what is biased or unfinished says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.review.intervals import upper_bound
from core.review.plan import certifying_size, pass_probability
from core.review.sequential import fate, sprt

if TYPE_CHECKING:
    from core.review.acceptance import Summary


def words(found: Summary, limit: float, census: bool, population: int | None) -> tuple[str, str]:
    """(headline, detail) of a summary whose numbers and decision are set."""
    headline = _sequential(found) if found.walk is not None else _fixed(found)
    interval, above, judged = found.interval, found.above_limit, found.judged
    if interval is None or above is None:
        return headline, "Nothing can be said about the rest of the set until records are judged."
    share = f"{found.failed} of {judged} judged {'record has' if judged == 1 else 'records have'} an issue"
    parts = []
    if census:
        parts.append(f"{share}. Every record of the set was drawn, so this is a count and not an estimate.")
    elif found.decision == "no plan":
        parts.append(
            f"{share}. The records were not equally likely to be drawn: this share is not the rate of the set."
        )
        parts.append("The weighted estimate below counts each record for those it stands for.")
    elif found.walk is not None:
        parts.append(
            f"{share} ({found.failed / judged:.1%})"
            + (", a biased estimate: reading stops because of what is found. " if found.biased else ". ")
            + f"Whenever one stops, the true rate lies between {interval.low:.1%} and {interval.high:.1%} (95 % "
            f"anytime-valid interval); the probability that it is above {limit:.0%} is {above:.0%}."
        )
    else:
        parts.append(
            f"{share} ({found.failed / judged:.1%}). The true rate lies between {interval.low:.1%} and {interval.high:.1%} "
            f"(95 % Clopper–Pearson); the probability that it is above {limit:.0%} is {above:.0%}."
        )
    if not census:
        parts += _limits(found, limit, population)
    pending = found.unsure + found.disputed
    if pending:
        parts.append(
            f"{pending} unsure or disputed {'is' if pending == 1 else 'are'} counted apart and may change this."
        )
    if found.unread and found.walk is None and found.decision != "unread":
        held = found.anytime
        parts.append(
            f"{found.unread:,} {'is' if found.unread == 1 else 'are'} unread; stopping early on a good run would bias the rate"
            + (f" (whoever stops now may claim {held.low:.1%} to {held.high:.1%})." if held and not census else ".")
        )
    return headline, " ".join(parts)


def _fixed(found: Summary) -> str:
    size, failed, accept = found.size, found.failed, found.plan.accept
    pending = found.unsure + found.disputed
    return {
        "unread": f"None of the {size:,} records has been read yet",
        "reading": f"{size - found.unread:,} of {size:,} read, {failed} with an issue so far",
        "stop": f"Systemic problem: {failed} with an issue already, more than {accept} of {size:,}",
        "systemic": f"Systemic problem: {failed} of {size:,} have an issue, more than {accept}",
        "open": f"Open: {failed} of {size:,} have an issue and {pending} are not settled",
        "not shown": f"No systemic problem found: {failed} of {size:,} have an issue, not more than {accept}",
        "no plan": f"{failed} of {found.judged:,} have an issue; the rule of {accept} does not apply to this sample",
    }[found.decision]


def _sequential(found: Summary) -> str:
    path, size = found.walk, found.size
    at = path.steps[path.stopped - 1] if path.stopped else path.failed
    return {
        "unread": f"None of the records has been read yet; the sequential plan reads at most {size:,}",
        "reading": f"Read on: {path.failed} with an issue in the first {path.judged:,} records, between the lines of the plan",
        "systemic": f"Systemic problem: the sequential plan stopped at record {path.stopped} with {at} that have an issue",
        "open": f"Open: the sequential plan waits at record {path.judged + 1:,}, which is not settled",
        "not shown": f"No systemic problem found: the sequential plan stopped at record {path.stopped} with {at} that "
        f"{'has' if at == 1 else 'have'} an issue",
        "undecided": f"Not decided: {size:,} records were too few for this sequential plan, {path.failed} have an issue",
    }[found.decision]


def _limits(found: Summary, limit: float, population: int | None) -> list[str]:
    """What the decision does not show, and what to do."""
    plan, parts = found.plan, []
    if found.walk is not None and found.walk.waiting:
        parts.append(
            f"{found.walk.waiting:,} verdicts came out of order and wait for record {found.walk.judged + 1:,}: the walk goes over "
            "the records as they were drawn."
        )
    if found.decision == "not shown" and found.walk is not None:
        ends = fate(sprt(plan.good, plan.bad, plan.alpha, plan.beta), limit, found.size)
        parts.append(
            f"This is not proof of a low rate: a set with {limit:.0%} of bad records would be accepted "
            f"{ends.accepted:.0%} of the time. To estimate the rate, read a sample of fixed size."
        )
    elif found.decision == "not shown":
        bound = upper_bound(found.failed, found.judged) or 1.0
        if bound <= limit:
            parts.append(f"Even the one-sided 95 % bound, {bound:.1%}, stays under {limit:.0%}.")
        else:
            need = certifying_size(found.failed, limit)
            parts.append(
                f"This is not proof of a low rate: a set with {limit:.0%} of bad records would pass this check "
                f"{pass_probability(limit, found.size, plan.accept, population):.0%} of the time, and the one-sided 95 % bound "
                f"is {bound:.1%}. To show a rate under {limit:.0%} with {found.failed} issues, {need:,} records must be read."
            )
    if found.decision in ("systemic", "stop"):
        parts.append(
            "Find the cause and fix it in the whole set before training; more reading will not make this go away."
        )
    if found.decision == "undecided":
        parts.append("The plan gives no verdict: draw a larger sample, or one of fixed size.")
    return parts
