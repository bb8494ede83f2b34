"""What a read sample says about the whole set: intervals, the plan (n, c), and a decision that claims no more than is true.

k of n records have an issue; "the true rate" is the share of the whole set that would be found to have one if all were read.
Acceptance sampling assumes that every record was equally likely to be drawn. Sources: Clopper & Pearson 1934; Wilson 1927;
Brown, Cai & DasGupta 2001 (Jeffreys, whose limits are 0 at k = 0 and 1 at k = n); Schilling & Neubauer 2017 (plans).
scipy.special has the same functions as scipy.stats and loads in a third of the time, which a page waits for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from core.errors import InputError

LIMIT = 0.06
"""The rate the practice speaks of: more than 3 of 50 is a systemic problem."""
PLAN_SIZE, PLAN_ACCEPT = 50, 3
PLAN_SOURCE = "The practice: 50 random records; more than 3 with an issue (6 %) is a systemic problem."


def plan_accept(size: int) -> int:
    """The most issues a sample of this size may have: the plan's share, 3 of 50, in whole records."""
    return size * PLAN_ACCEPT // PLAN_SIZE


@dataclass(frozen=True)
class Interval:
    """A range for a rate, both ends in 0..1, with what it is and at which confidence."""

    low: float
    high: float
    method: str
    confidence: float = 0.95


def clopper_pearson(k: int, n: int, confidence: float = 0.95) -> Interval | None:
    """The exact interval, two-sided; None when nothing was read. Never too narrow, mostly a little wide."""
    _check(k, n)
    if n == 0:
        return None
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(betaincinv(k + 1, n - k, 1 - tail))
    return Interval(low, high, "Clopper–Pearson", confidence)


def wilson(k: int, n: int, confidence: float = 0.95) -> Interval | None:
    """Wilson's score interval; None when nothing was read."""
    _check(k, n)
    if n == 0:
        return None
    z = NormalDist().inv_cdf(1 - (1 - confidence) / 2)
    p = k / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return Interval(0.0 if k == 0 else middle - half, 1.0 if k == n else middle + half, "Wilson", confidence)


def jeffreys(k: int, n: int, confidence: float = 0.95) -> Interval | None:
    """The equal-tailed interval of the posterior Beta(k + 1/2, n - k + 1/2); None when nothing was read."""
    _check(k, n)
    if n == 0:
        return None
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = 0.0 if k == 0 else float(betaincinv(k + 0.5, n - k + 0.5, tail))
    high = 1.0 if k == n else float(betaincinv(k + 0.5, n - k + 0.5, 1 - tail))
    return Interval(low, high, "Jeffreys", confidence)


def upper_bound(k: int, n: int, confidence: float = 0.95) -> float | None:
    """The exact one-sided upper bound of the rate; None when nothing was read."""
    _check(k, n)
    if n == 0:
        return None
    from scipy.special import betaincinv

    return 1.0 if k == n else float(betaincinv(k + 1, n - k, confidence))


def probability_above(k: int, n: int, rate: float = LIMIT) -> float:
    """P(true rate > rate) under the Jeffreys posterior Beta(k + 1/2, n - k + 1/2)."""
    _check(k, n)
    from scipy.special import betaincc

    return float(betaincc(k + 0.5, n - k + 0.5, rate))


def pass_probability(rate: float, n: int = PLAN_SIZE, c: int = PLAN_ACCEPT, population: int | None = None) -> float:
    """P(at most c of n records have an issue) at a true rate: one point of the operating characteristic.

    Binomial; hypergeometric when the set's size is given (the number of bad records is then rounded to a whole one).
    """
    if population is None:
        from scipy.special import bdtr

        return float(bdtr(min(c, n), n, rate))
    return _hypergeometric(c, population, round(population * rate), min(n, population))


def _hypergeometric(k: int, population: int, bad: int, n: int) -> float:
    """P(at most k bad among n drawn without replacement): sum C(bad, i) C(population - bad, n - i) / C(population, n)."""
    import numpy as np
    from scipy.special import gammaln

    def choose(of: np.ndarray | int, some: np.ndarray | int) -> np.ndarray:
        return gammaln(np.add(of, 1)) - gammaln(np.add(some, 1)) - gammaln(np.subtract(of, some) + 1)

    i = np.arange(max(0, n - (population - bad)), min(k, n, bad) + 1)
    return float(min(1.0, np.exp(choose(bad, i) + choose(population - bad, n - i) - choose(population, n)).sum()))


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


def bad_in_population(k: int, n: int, population: int, confidence: float = 0.95) -> tuple[int, int] | None:
    """The fewest and the most bad records in a finite set that k of n drawn leaves possible (hypergeometric, exact).

    Two-sided: each end is kept as long as its tail probability exceeds (1 - confidence) / 2.
    """
    _check(k, n)
    if n == 0 or population < n:
        return None
    tail = (1 - confidence) / 2

    def first(low: int, high: int, holds) -> int:
        """The smallest value in low..high for which `holds`, which never turns false again."""
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if holds(middle) else (middle + 1, high)
        return low

    fewest = first(k, population - (n - k), lambda bad: 1 - _hypergeometric(k - 1, population, bad, n) > tail)
    beyond = first(fewest, population - (n - k) + 1, lambda bad: _hypergeometric(k, population, bad, n) <= tail)
    return fewest, beyond - 1


def certifying_size(k: int, rate: float, confidence: float = 0.95) -> int:
    """The fewest records to read so that k with an issue still shows a true rate of at most `rate`, at that confidence."""
    if not 0 < rate < 1:
        raise InputError(f"A rate of {rate} cannot be certified; it must lie between 0 and 1.")
    from scipy.special import bdtr

    low, high = k + 1, k + 2
    while bdtr(k, high, rate) > 1 - confidence:
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if bdtr(k, middle, rate) <= 1 - confidence else (middle + 1, high)
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
    """unread, reading, stop (the plan has already failed), systemic, not shown (the plan holds), open (unsure ones decide)."""
    headline: str
    detail: str
    """What the numbers do and do not show, in whole sentences."""
    rate: float | None
    interval: Interval | None
    above_limit: float | None
    """P(true rate > 6 %), Jeffreys posterior; None when nothing was judged."""

    @property
    def judged(self) -> int:
        """Records judged pass or fail: the n of every interval."""
        return self.passed + self.failed


def summarise(
    outcomes: Mapping[str, str] | Iterable[str],
    size: int,
    *,
    accept: int = PLAN_ACCEPT,
    limit: float = LIMIT,
    population: int | None = None,
    equal_chances: bool = True,
) -> Summary:
    """The result of a sample from its outcomes (record_id -> pass, fail, unsure, disputed; unread ones are absent).

    Unsure, disputed and unread records are counted apart and belong to no interval. The plan's rule needs equal inclusion
    probabilities; with other ones it is said not to apply.
    """
    said = list(outcomes.values() if isinstance(outcomes, Mapping) else outcomes)
    counts = {name: said.count(name) for name in ("pass", "fail", "unsure", "disputed")}
    if sum(counts.values()) != len(said) or len(said) > size:
        raise InputError(
            f"{len(said)} outcomes for a sample of {size}; each is pass, fail, unsure or disputed, one a record."
        )
    passed, failed = counts["pass"], counts["fail"]
    pending = counts["unsure"] + counts["disputed"]
    unread = size - len(said)
    census = population is not None and size >= population
    judged = passed + failed
    decision = _decision(failed, pending, unread, len(said), accept, equal_chances)
    interval = clopper_pearson(failed, judged)
    above = probability_above(failed, judged, limit) if judged else None
    headline, detail = _words(decision, failed, judged, pending, unread, size, accept, limit, interval, above, census)
    return Summary(
        size=size,
        passed=passed,
        failed=failed,
        unsure=counts["unsure"],
        disputed=counts["disputed"],
        unread=unread,
        decision=decision,
        headline=headline,
        detail=detail,
        rate=failed / judged if judged else None,
        interval=interval,
        above_limit=above,
    )


def _decision(failed: int, pending: int, unread: int, said: int, accept: int, equal_chances: bool) -> str:
    if not said:
        return "unread"
    if not equal_chances:
        return "no plan" if not unread else "reading"
    if failed > accept:
        return "systemic" if not unread else "stop"
    if unread:
        return "reading"
    return "open" if failed + pending > accept else "not shown"


def _words(
    decision: str, failed: int, judged: int, pending: int, unread: int, size: int, accept: int, limit: float,
    interval: Interval | None, above: float | None, census: bool,
) -> tuple[str, str]:  # fmt: skip
    records = f"{failed} of {judged} judged {'record has' if judged == 1 else 'records have'} an issue"
    headline = {
        "unread": f"None of the {size:,} records has been read yet",
        "reading": f"{size - unread:,} of {size:,} read, {failed} with an issue so far",
        "stop": f"Systemic problem: {failed} with an issue already, more than {accept} of {size:,}",
        "systemic": f"Systemic problem: {failed} of {size:,} have an issue, more than {accept}",
        "open": f"Open: {failed} of {size:,} have an issue and {pending} are not settled",
        "not shown": f"No systemic problem found: {failed} of {size:,} have an issue, not more than {accept}",
        "no plan": f"{failed} of {judged:,} have an issue; the rule of {accept} does not apply to this sample",
    }[decision]
    if interval is None or above is None:
        return headline, "Nothing can be said about the rest of the set until records are judged."
    parts = []
    if census:
        parts.append(f"{records}. Every record of the set was drawn, so this is a count and not an estimate.")
    else:
        parts.append(
            f"{records} ({failed / judged:.1%}). The true rate lies between {interval.low:.1%} and {interval.high:.1%} "
            f"(95 % Clopper–Pearson); the probability that it is above {limit:.0%} is {above:.0%}."
        )
    if decision == "not shown" and not census:
        bound = upper_bound(failed, judged) or 1.0
        if bound <= limit:
            parts.append(f"Even the one-sided 95 % bound, {bound:.1%}, stays under {limit:.0%}.")
        else:
            parts.append(
                f"This is not proof of a low rate: a set with {limit:.0%} of bad records would pass this check "
                f"{pass_probability(limit, size, accept):.0%} of the time, and the one-sided 95 % bound is {bound:.1%}. "
                f"To show a rate under {limit:.0%} with {failed} issues, "
                f"{certifying_size(failed, limit):,} records must be read."
            )
    if decision in ("systemic", "stop") and not census:
        parts.append(
            "Find the cause and fix it in the whole set before training; more reading will not make this go away."
        )
    if decision == "no plan":
        parts.append(
            "The records were not equally likely to be drawn: the raw count must be weighted by the chances of each."
        )
    if pending:
        parts.append(
            f"{pending} unsure or disputed {'is' if pending == 1 else 'are'} counted apart and may change this."
        )
    if unread and decision != "unread":
        parts.append(
            f"{unread:,} {'is' if unread == 1 else 'are'} unread; stopping early on a good run would bias the rate."
        )
    return headline, " ".join(parts)


def _check(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise InputError(f"{k} of {n} is not a count: it must lie between 0 and the number of records read.")
