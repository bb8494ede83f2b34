"""The error rate of a stratified sample, with the uncertainty of strata in which nothing was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Stratum:
    """Counts of one stratum: records in the set, judged, and with an issue."""

    population: int
    judged: int
    failed: int


@dataclass(frozen=True)
class Estimate:
    """A rate and its standard error; `smoothed` when a stratum without spread was given its Jeffreys variance."""

    rate: float
    standard_error: float | None
    smoothed: bool


def stratified_rate(strata: Sequence[Stratum]) -> Estimate | None:
    """p = sum W_h p_h with var = sum W_h^2 (1 - n_h/N_h) p_h q_h / (n_h - 1); None when a stratum has no judged record.

    A stratum where all or none failed shows no spread, which is no certainty: its p_h q_h is taken at the posterior mean
    (k + 1/2) / (n + 1). The standard error is undefined when a sampled stratum has one judged record and is larger than that.
    """
    strata = [stratum for stratum in strata if stratum.population > 0]
    whole = sum(stratum.population for stratum in strata)
    if not whole or any(stratum.judged == 0 for stratum in strata):
        return None
    rate, variance, smoothed = 0.0, 0.0, False
    defined = True
    for stratum in strata:
        weight, p = stratum.population / whole, stratum.failed / stratum.judged
        rate += weight * p
        rest = max(0.0, 1 - stratum.judged / stratum.population)
        if rest == 0:
            continue
        if stratum.judged < 2:
            defined = False
            continue
        if stratum.failed in (0, stratum.judged):
            smoothed = True
            p = (stratum.failed + 0.5) / (stratum.judged + 1)
        variance += weight**2 * rest * p * (1 - p) / (stratum.judged - 1)
    return Estimate(rate, variance**0.5 if defined else None, smoothed)
