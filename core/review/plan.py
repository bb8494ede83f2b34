"""Plans of acceptance sampling: how many records are read, how many may have an issue, and what that can tell apart.

A plan is chosen when a sample is drawn and kept with it; choosing one after a look at the verdicts would make its risks meaningless.
Acceptance sampling assumes that every record was equally likely to be drawn. Source: Schilling & Neubauer 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.errors import InputError
from core.review.intervals import hypergeometric

PLAN_SIZE, PLAN_ACCEPT = 50, 3
PLAN_SOURCE = "The practice: 50 random records; more than 3 with an issue (6 %) is a systemic problem."
KINDS = ("fixed", "sequential")
GOOD, BAD, ALPHA, BETA = 0.02, 0.10, 0.05, 0.10
"""The rates a plan should tell apart, the risk of stopping a good set and that of passing a bad one."""


@dataclass(frozen=True)
class Plan:
    """What decides over a sample. fixed: after `size` records, more than `accept` with an issue. sequential: Wald's test."""

    kind: str
    size: int
    """Records to read; of a sequential plan the most."""
    accept: int
    """The most issues a fixed plan allows; a sequential one does not use it."""
    good: float = GOOD
    bad: float = BAD
    alpha: float = ALPHA
    """Producer's risk: the probability to reject a set whose true rate is `good`."""
    beta: float = BETA
    """Consumer's risk: the probability to accept a set whose true rate is `bad`."""
    chosen: bool = True
    """False when the sample was drawn without a word on its plan: the practice's share is then taken."""

    def recipe(self) -> dict[str, Any]:
        """The plan as it is kept in the recipe of a sample."""
        told = asdict(self)
        del told["chosen"]
        return told


def plan_accept(size: int) -> int:
    """The most issues a sample of this size may have: the plan's share, 3 of 50, in whole records."""
    return size * PLAN_ACCEPT // PLAN_SIZE


def fixed_plan(size: int, accept: int | None = None, good: float = GOOD, bad: float = BAD) -> Plan:
    """Read `size` records, allow `accept` issues (by default the practice's share)."""
    accept = plan_accept(size) if accept is None else accept
    if size < 1 or not 0 <= accept < size:
        raise InputError(
            f"A plan of {size} records that allows {accept} with an issue decides nothing. Allow 0 to {max(size - 1, 0)}."
        )
    return _checked(Plan("fixed", size, accept, good, bad))


def sequential_plan(size: int, good: float = GOOD, bad: float = BAD, alpha: float = ALPHA, beta: float = BETA) -> Plan:
    """Read one record after another, at most `size`, until Wald's test of `good` against `bad` is decided."""
    if size < 1:
        raise InputError(f"A plan of {size} records decides nothing. Read at least 1.")
    return _checked(Plan("sequential", size, plan_accept(size), good, bad, alpha, beta))


def _checked(plan: Plan) -> Plan:
    if not 0 < plan.good < plan.bad < 1:
        raise InputError(
            f"A plan needs a good rate below the bad one, both between 0 and 1; it was given {plan.good} and {plan.bad}."
        )
    if not (0 < plan.alpha < 0.5 and 0 < plan.beta < 0.5):
        raise InputError(
            f"The risks of a plan lie between 0 and one half; it was given {plan.alpha} and {plan.beta}. 0.05 and 0.10 are usual."
        )
    return plan


def plan_for(
    kind: str,
    size: int,
    good: float = GOOD,
    bad: float = BAD,
    alpha: float = ALPHA,
    beta: float = BETA,
    accept: int | None = None,
) -> Plan:
    """The plan a person asked for: "fixed" and "sequential" for `size` records; "exact" the smallest that keeps both risks."""
    if kind == "fixed":
        return fixed_plan(size, accept, good, bad)
    if kind == "exact":
        _checked(Plan("fixed", size, 0, good, bad, alpha, beta))
        return fixed_plan(*exact_plan(good, bad, alpha, beta), good, bad)
    if kind == "sequential":
        return sequential_plan(size, good, bad, alpha, beta)
    raise InputError(f"There is no plan {kind!r}. Choose fixed, exact or sequential.")


def plan_of(recipe: Mapping[str, Any], size: int) -> Plan:
    """The plan kept in a sample's recipe, for the `size` that was drawn; the practice's when none was kept."""
    told = recipe.get("plan")
    if not isinstance(told, Mapping) or told.get("kind") not in KINDS:
        return Plan("fixed", size, plan_accept(size), chosen=False)
    numbers = {name: float(told.get(name, usual)) for name, usual in (("good", GOOD), ("bad", BAD))}
    numbers |= {name: float(told.get(name, usual)) for name, usual in (("alpha", ALPHA), ("beta", BETA))}
    accept = int(told.get("accept", plan_accept(size)))
    if told["kind"] == "fixed" and told.get("size") != size:
        accept = plan_accept(size)  # fewer records were there than the plan asked for: it is then a census
    return Plan(told["kind"], size, accept, **numbers)


def pass_probability(rate: float, n: int = PLAN_SIZE, c: int = PLAN_ACCEPT, population: int | None = None) -> float:
    """P(at most c of n records have an issue) at a true rate: one point of the operating characteristic.

    Binomial; hypergeometric when the set's size is given (the number of bad records is then rounded to a whole one).
    """
    if population is None:
        from scipy.special import bdtr

        return float(bdtr(min(c, n), n, rate))
    return hypergeometric(c, population, round(population * rate), min(n, population))


def operating_characteristic(
    n: int = PLAN_SIZE, c: int = PLAN_ACCEPT, rates: Sequence[float] | None = None, population: int | None = None
) -> list[tuple[float, float]]:
    """(true rate, probability to pass), by default from 0 to 20 % in steps of half a point."""
    rates = [i / 200 for i in range(41)] if rates is None else rates
    return [(rate, pass_probability(rate, n, c, population)) for rate in rates]


def rate_at(probability: float, n: int = PLAN_SIZE, c: int = PLAN_ACCEPT) -> float:
    """The true rate at which the plan passes with this probability (binomial)."""
    from scipy.special import betaincinv

    return float(betaincinv(c + 1, n - c, 1 - probability))


def rates_of(population: int | None, top: float, steps: int = 80) -> list[float]:
    """Rates from 0 to `top` to draw a curve at; in a set of known size only rates that it can have, whole records over its size."""
    if not population:
        return [top * i / steps for i in range(steps + 1)]
    return [bad / population for bad in sorted({round(population * top * i / steps) for i in range(steps + 1)})]


def certifying_size(k: int, rate: float, confidence: float = 0.95, population: int | None = None) -> int | None:
    """The fewest records to read so that k with an issue still shows a true rate of at most `rate`, at that confidence.

    With the size of the set the records are drawn without replacement (hypergeometric), which takes fewer; None when even reading all
    of them could not show it, because k is more than that rate allows.
    """
    if not 0 < rate < 1:
        raise InputError(f"A rate of {rate} cannot be certified; it must lie between 0 and 1.")
    if population is not None:
        bad = int(population * rate + 1e-9) + 1  # the fewest bad records that make the rate too high
        if k >= bad:
            return None

        def refuted(n: int) -> bool:
            """Whether k of n rules out a set with so many bad records."""
            return hypergeometric(k, population, bad, n) <= 1 - confidence

        low, high = k + 1, population
    else:
        from scipy.special import bdtr

        def refuted(n: int) -> bool:
            return bool(bdtr(k, n, rate) <= 1 - confidence)

        low, high = k + 1, k + 2
        while not refuted(high):
            low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if refuted(middle) else (middle + 1, high)
    return low


def exact_plan(good: float, bad: float, alpha: float = 0.05, beta: float = 0.10) -> tuple[int, int]:
    """The smallest (n, c) that passes a set at rate `good` with at least 1 - alpha and one at `bad` with at most beta."""
    if not 0 <= good < bad < 1:
        raise InputError(f"A plan needs a good rate below the bad one, both in 0..1; it was given {good} and {bad}.")
    from scipy.special import bdtr

    for c in range(10_000):
        n = certifying_size(c, bad, 1 - beta)
        if bdtr(c, n, good) >= 1 - alpha:
            return n, c
    raise InputError(f"No plan up to c = 10,000 tells {good} from {bad}. Choose rates further apart.")
