"""Wald's sequential test: read one record after another and stop as soon as the set is clearly good or clearly bad."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log

from core.errors import InputError


@dataclass(frozen=True)
class Sprt:
    """Boundaries in the plane of records read and issues found: d <= slope n + accept: good; d >= slope n + reject: bad."""

    good: float
    bad: float
    slope: float
    accept: float
    reject: float

    def say(self, failed: int, judged: int) -> str:
        """accept, reject or continue after `judged` records."""
        if failed <= self.slope * judged + self.accept:
            return "accept"
        return "reject" if failed >= self.slope * judged + self.reject else "continue"


def sprt(good: float, bad: float, alpha: float = 0.05, beta: float = 0.10) -> Sprt:
    """The test of rate `good` against `bad` (Wald 1947): alpha = P(reject | good), beta = P(accept | bad), both nominal."""
    if not 0 < good < bad < 1:
        raise InputError(
            f"A sequential test needs a good rate below the bad one, both in 0..1; it was given {good}, {bad}."
        )
    unit = log(bad * (1 - good) / (good * (1 - bad)))
    return Sprt(
        good=good,
        bad=bad,
        slope=log((1 - good) / (1 - bad)) / unit,
        accept=log(beta / (1 - alpha)) / unit,
        reject=log((1 - beta) / alpha) / unit,
    )


def operating(plan: Sprt, rate: float, longest: int = 2000) -> tuple[float, float]:
    """(probability to accept, average records read) at a true rate, exact, by following every path up to `longest` records.

    Read it as the probability to accept *among finished* tests only when `longest` is reached by none, as it is by default.
    """
    alive = {0: 1.0}
    accepted = average = 0.0
    for n in range(1, longest + 1):
        low, high = floor(plan.slope * n + plan.accept), ceil(plan.slope * n + plan.reject)
        step: dict[int, float] = {}
        for failed, chance in alive.items():
            for found, share in ((failed, 1 - rate), (failed + 1, rate)):
                step[found] = step.get(found, 0.0) + chance * share
        alive = {}
        for failed, chance in step.items():
            if failed <= low:
                accepted += chance
                average += n * chance
            elif failed >= high:
                average += n * chance
            else:
                alive[failed] = chance
        if sum(alive.values()) < 1e-12:
            break
    return accepted, average + sum(alive.values()) * longest
