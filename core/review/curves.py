"""The operating characteristic of a plan as points to draw, with both of its risks: for the screen and for the report alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.review.plan import Plan, pass_probability, rate_at, rates_of
from core.review.sequential import fate, sprt


@dataclass(frozen=True)
class Risk:
    """A point of the curve that the plan was chosen by."""

    rate: float
    passing: float
    text: str
    brief: str
    """The same for a label on the curve."""


@dataclass(frozen=True)
class Curve:
    """(true rate, probability to pass) as two lists, and the two risks."""

    rates: Sequence[float]
    passing: Sequence[float]
    undecided: Sequence[float]
    """Of a sequential plan, the probability that it ends between its lines; empty for a fixed one."""
    producer: Risk
    """At the good rate: the probability that a good set does not pass."""
    consumer: Risk
    """At the bad rate: the probability that a bad set passes."""
    average: tuple[float, float] | None
    """Of a sequential plan, the mean number of records read at the good and at the bad rate."""
    population: int | None
    """The size of the set when the curve is hypergeometric, drawn without replacement."""


def curve_of(plan: Plan, population: int | None = None) -> Curve:
    """The curve of a plan: exact. Fixed plans without replacement where the set's size is known (hypergeometric)."""
    if plan.kind == "sequential":
        lines = sprt(plan.good, plan.bad, plan.alpha, plan.beta)
        rates = rates_of(None, max(0.2, 2 * plan.bad))
        ends = [fate(lines, rate, plan.size) for rate in rates]
        good, bad = fate(lines, plan.good, plan.size), fate(lines, plan.bad, plan.size)
        return Curve(
            rates,
            [end.accepted for end in ends],
            [end.open for end in ends],
            Risk(
                plan.good,
                good.accepted,
                f"{plan.good:.0%} bad: rejected {good.rejected:.1%} (producer's risk)",
                f"rejects {good.rejected:.1%}",
            ),
            Risk(
                plan.bad,
                bad.accepted,
                f"{plan.bad:.0%} bad: accepted {bad.accepted:.1%} (consumer's risk)",
                f"accepts {bad.accepted:.1%}",
            ),
            (good.average, bad.average),
            None,
        )
    finite = population if population and population > plan.size else None
    top = max(0.2, 2 * plan.bad)
    if plan.accept < plan.size:
        top = min(1.0, max(top, 1.3 * rate_at(0.05, plan.size, plan.accept)))
    rates = rates_of(finite, top)
    good, bad = (pass_probability(rate, plan.size, plan.accept, finite) for rate in (plan.good, plan.bad))
    return Curve(
        rates,
        [pass_probability(rate, plan.size, plan.accept, finite) for rate in rates],
        [],
        Risk(plan.good, good, f"{plan.good:.0%} bad: fails {1 - good:.1%} (producer's risk)", f"fails {1 - good:.1%}"),
        Risk(plan.bad, bad, f"{plan.bad:.0%} bad: passes {bad:.1%} (consumer's risk)", f"passes {bad:.1%}"),
        None,
        finite,
    )
