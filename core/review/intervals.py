"""Intervals for a rate from k of n: exact, score and Bayesian ones, for a whole set of known size, and valid whenever one stops.

Sources: Clopper & Pearson 1934; Wilson 1927; Brown, Cai & DasGupta 2001 (Jeffreys, whose limits are 0 at k = 0 and 1 at k = n); Korn &
Graubard 1998 (weighted samples); Robbins 1970 and Waudby-Smith & Ramdas 2020 (anytime-valid).
scipy.special has the same functions as scipy.stats and loads in a third of the time, which a page waits for.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma, log
from statistics import NormalDist

from core.errors import InputError

LIMIT = 0.06
"""The rate the practice speaks of: more than 3 of 50 is a systemic problem."""


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

    fewest = first(k, population - (n - k), lambda bad: 1 - hypergeometric(k - 1, population, bad, n) > tail)
    beyond = first(fewest, population - (n - k) + 1, lambda bad: hypergeometric(k, population, bad, n) <= tail)
    return fewest, beyond - 1


def effective(rate: float, variance: float, n: int, lost: int = 1, confidence: float = 0.95) -> Interval | None:
    """Clopper–Pearson at the effective sample size rate (1 - rate) / variance, for an estimate of a weighted sample.

    n: records judged. lost: degrees of freedom that the design costs (strata; 1 when there are none). The effective size is corrected
    by (t_{n-1} / t_{n-lost})^2 and never above n (Korn & Graubard 1998). None when it is below 1 or nothing is left to learn from.
    """
    if n - lost < 1 or variance <= 0 or not 0 <= rate <= 1:
        return None
    from scipy.special import stdtrit

    tail = (1 - confidence) / 2
    spread = rate * (1 - rate)
    if spread <= 0:
        raise InputError("A rate of 0 or 1 has no spread of its own: give the effective size through `at_effective`.")
    shrink = (stdtrit(n - 1, 1 - tail) / stdtrit(n - lost, 1 - tail)) ** 2
    size = min(float(n), spread / variance * float(shrink))
    return at_effective(rate, size, confidence) if size >= 1 else None


def at_effective(rate: float, size: float, confidence: float = 0.95) -> Interval:
    """Clopper–Pearson for a rate and a sample size that need not be whole."""
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    k = rate * size
    low = 0.0 if k <= 0 else float(betaincinv(k, size - k + 1, tail))
    high = 1.0 if k >= size else float(betaincinv(k + 1, size - k, 1 - tail))
    return Interval(low, high, "Korn–Graubard", confidence)


def anytime(k: int, n: int, population: int | None = None, confidence: float = 0.95) -> Interval | None:
    """An interval that holds at whatever moment reading is stopped, also because of what was found; None when nothing was read.

    The set of rates p with m(data) / L(p) < 1 / (1 - confidence), L the likelihood of the verdicts in their order and m its mean under
    a uniform prior: that ratio is a martingale at the true rate, so by Ville's inequality it exceeds 1 / (1 - confidence) at any time
    at all with probability 1 - confidence at most. With `population`, the records are drawn without replacement and the rate is one
    of 0/N … N/N. Wider than Clopper–Pearson, which holds for one size fixed beforehand.
    """
    _check(k, n)
    if n == 0:
        return None
    mean = _log_beta(k + 1, n - k + 1)
    bar = mean + log(1 - confidence)  # keep p while log L(p) > log m - log(1 / (1 - confidence))
    if population is None:
        return Interval(
            _edge(k, n, bar, 0.0, k / n, True), _edge(k, n, bar, k / n, 1.0, False), "anytime-valid", confidence
        )
    if population < n:
        raise InputError(f"{n} records were read of {population}. The set cannot be smaller than its sample.")

    def inside(bad: int) -> bool:
        return _log_path(k, n, bad, population) > bar

    best = max(k, min(population - (n - k), round(population * k / n)))
    low, high = k, best
    while low < high:  # the likelihood rises up to `best` and falls after it
        middle = (low + high) // 2
        low, high = (low, middle) if inside(middle) else (middle + 1, high)
    least, low, high = low, best, population - (n - k)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if inside(middle) else (low, middle - 1)
    return Interval(least / population, low / population, "anytime-valid", confidence)


def _edge(k: int, n: int, bar: float, low: float, high: float, left: bool) -> float:
    """Where the likelihood k log p + (n - k) log(1 - p) crosses the bar, by halving."""

    def inside(p: float) -> bool:
        first = k * log(p) if k and p > 0 else (0.0 if not k else -1e300)
        second = (n - k) * log(1 - p) if n > k and p < 1 else (0.0 if n == k else -1e300)
        return first + second > bar

    if inside(low if left else high):
        return low if left else high
    for _ in range(80):
        middle = (low + high) / 2
        if inside(middle) == left:
            high = middle
        else:
            low = middle
    return (low + high) / 2


def _log_path(k: int, n: int, bad: int, population: int) -> float:
    """log probability of one order of k bad and n - k good records drawn without replacement."""
    good = population - bad
    if bad < k or good < n - k:
        return -1e300
    falling = lgamma(bad + 1) - lgamma(bad - k + 1) + lgamma(good + 1) - lgamma(good - (n - k) + 1)
    return falling - lgamma(population + 1) + lgamma(population - n + 1)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def hypergeometric(k: int, population: int, bad: int, n: int) -> float:
    """P(at most k bad among n drawn without replacement): sum C(bad, i) C(population - bad, n - i) / C(population, n)."""
    import numpy as np
    from scipy.special import gammaln

    def choose(of: np.ndarray | int, some: np.ndarray | int) -> np.ndarray:
        return gammaln(np.add(of, 1)) - gammaln(np.add(some, 1)) - gammaln(np.subtract(of, some) + 1)

    i = np.arange(max(0, n - (population - bad)), min(k, n, bad) + 1)
    return float(min(1.0, np.exp(choose(bad, i) + choose(population - bad, n - i) - choose(population, n)).sum()))


def _check(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise InputError(f"{k} of {n} is not a count: it must lie between 0 and the number of records read.")
