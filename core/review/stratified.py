"""The error rate of a sample whose records were not equally likely to be drawn: stratified, or with a chance of its own for each.

Raw counts of such a sample are no rate of the set. Here each record counts for those it stands for, and the uncertainty contains
the strata and the records in which nothing was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.errors import InputError
from core.review.intervals import Interval, at_effective, effective


@dataclass(frozen=True)
class Stratum:
    """Counts of one stratum: records in the set, judged, and with an issue."""

    population: int
    judged: int
    failed: int


@dataclass(frozen=True)
class Estimate:
    """A rate and its standard error; `smoothed` when a part without spread was given its Jeffreys variance."""

    rate: float
    standard_error: float | None
    smoothed: bool
    interval: Interval | None = None
    """95 %, Clopper–Pearson at the effective sample size (Korn & Graubard 1998); None when undefined."""
    effective: float | None = None
    """How many records of a simple random sample would say as much."""
    horvitz_thompson: float | None = None
    """Of unequal chances: issues expected in the set over its size, without adjusting to the weights drawn; may exceed 1."""


class Drawn(Protocol):
    """What an estimate asks of a drawn record."""

    record_id: str
    stratum: str | None
    probability: float


def stratified_rate(strata: Sequence[Stratum]) -> Estimate | None:
    """p = sum W_h p_h with var = sum W_h^2 (1 - n_h/N_h) p_h q_h / (n_h - 1); None when a stratum has no judged record.

    A stratum where all or none failed shows no spread, which is no certainty: its p_h q_h is taken at the posterior mean
    (k + 1/2) / (n + 1). The standard error is undefined when a sampled stratum has one judged record and is larger than that.
    """
    strata = [stratum for stratum in strata if stratum.population > 0]
    whole = sum(stratum.population for stratum in strata)
    if not whole or any(stratum.judged == 0 for stratum in strata):
        return None
    rate, variance, spread, smoothed = 0.0, 0.0, 0.0, False
    defined = True
    for stratum in strata:
        weight, p = stratum.population / whole, stratum.failed / stratum.judged
        rate += weight * p
        rest = max(0.0, 1 - stratum.judged / stratum.population)
        if rest and stratum.failed in (0, stratum.judged):
            p = (stratum.failed + 0.5) / (stratum.judged + 1)
        spread += weight * p
        if rest == 0:
            continue
        if stratum.judged < 2:
            defined = False
            continue
        smoothed = smoothed or stratum.failed in (0, stratum.judged)
        variance += weight**2 * rest * p * (1 - p) / (stratum.judged - 1)
    judged = sum(stratum.judged for stratum in strata)
    return _estimate(rate, spread, variance if defined else None, judged, len(strata), smoothed)


def unequal_rate(judged: Sequence[tuple[float, bool]], population: int, drawn: int | None = None) -> Estimate | None:
    """The rate of a sample in which each record had a chance of its own; None when nothing was judged.

    judged: (inclusion probability, has an issue) of each judged record. The rate is Hájek's ratio sum(y/pi) / sum(1/pi). Its variance
    takes the residuals e = y - rate as drawn with fixed size and high entropy (Hájek 1964; Deville 1999), joint probabilities unknown:

        n/(n-1) sum (1 - pi_i) (e_i/pi_i - A)^2 / (sum 1/pi)^2,   A = sum (1 - pi_i) e_i/pi_i / sum (1 - pi_i)

    With equal chances this is (1 - n/N) p q / (n - 1). Records drawn with certainty add none. Without any spread (all or none
    with an issue) p q is taken at the posterior mean of Kish's effective size. The Horvitz–Thompson rate is given when every drawn
    record was judged (`drawn`).
    """
    if any(not 0 < chance <= 1 for chance, _ in judged):
        raise InputError("An inclusion probability lies above 0 and not above 1. Draw the sample again.")
    if not judged:
        return None
    n = len(judged)
    weights = [1 / chance for chance, _ in judged]
    total = sum(weights)
    rate = sum(w for w, (_, bad) in zip(weights, judged, strict=True) if bad) / total
    whole = sum(bad / chance for chance, bad in judged) / population if drawn in (None, n) and population else None
    if all(chance == 1 for chance, _ in judged):
        return Estimate(rate, 0.0, False, Interval(rate, rate, "count", 0.95), None, whole)
    kish = total**2 / sum(w * w for w in weights)
    if n < 2:
        return Estimate(rate, None, False, None, None, whole)
    if rate in (0.0, 1.0):
        p = (rate * kish + 0.5) / (kish + 1)
        left = max(0.0, 1 - n / population) if population else 1.0
        variance = left * p * (1 - p) / max(kish - 1, 1e-9)
        return _estimate(rate, p, variance, n, 1, True, whole)
    rest = [1 - chance for chance, _ in judged]
    spread = [((bad - rate) * w) for w, (_, bad) in zip(weights, judged, strict=True)]
    middle = sum(r * s for r, s in zip(rest, spread, strict=True)) / sum(rest)
    variance = n / (n - 1) * sum(r * (s - middle) ** 2 for r, s in zip(rest, spread, strict=True)) / total**2
    return _estimate(rate, rate, variance, n, 1, False, whole)


def _estimate(
    rate: float, spread: float, variance: float | None, n: int, lost: int, smoothed: bool, whole: float | None = None
) -> Estimate:
    """The estimate with its interval; `spread` stands in for the rate in p q, where the rate has none of its own."""
    if variance is None or not variance:
        exact = variance == 0 and not smoothed
        known = Interval(rate, rate, "count", 0.95) if exact else None
        return Estimate(rate, None if variance is None else 0.0, smoothed, known, None, whole)
    found = effective(spread, variance, n, lost)
    if found is None:
        return Estimate(rate, variance**0.5, smoothed, None, None, whole)
    size = min(float(n), spread * (1 - spread) / variance)
    return Estimate(rate, variance**0.5, smoothed, found if rate == spread else at_effective(rate, size), size, whole)


def strata_of(
    strata: Iterable[Mapping], records: Sequence[Drawn], outcomes: Mapping[str, str]
) -> tuple[list[str], list[Stratum]]:
    """(names, counts) of a stratified sample's strata: `strata` as the sample keeps them, outcomes by record id."""
    names, population = zip(*((one["name"], one["population"]) for one in strata), strict=True)
    judged = {name: [0, 0] for name in names}
    for record in records:
        said = outcomes.get(record.record_id)
        if said in ("pass", "fail") and record.stratum in judged:
            judged[record.stratum][0] += 1
            judged[record.stratum][1] += said == "fail"
    return list(names), [Stratum(count, *judged[name]) for name, count in zip(names, population, strict=True)]


def unequal_of(records: Sequence[Drawn], outcomes: Mapping[str, str], population: int) -> Estimate | None:
    """`unequal_rate` of a sample's records by what was said of them."""
    judged = [
        (record.probability, outcomes[record.record_id] == "fail")
        for record in records
        if outcomes.get(record.record_id) in ("pass", "fail")
    ]
    return unequal_rate(judged, population, len(records))
