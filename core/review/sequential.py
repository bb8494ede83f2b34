"""Wald's sequential test: read one record after another and stop as soon as the set is clearly good or clearly bad.

The test walks over the records in the order in which they were drawn. A verdict that comes out of order waits until everything before
it is settled: otherwise the easy records would be counted first, and the order would no longer be chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class Fate:
    """What becomes of a sequential test at one true rate: probabilities, and the mean number of records read."""

    accepted: float
    rejected: float
    open: float
    """The probability that the most records are read and neither boundary is reached."""
    average: float


@dataclass(frozen=True)
class Walk:
    """The path of one sample over the plane of a sequential test."""

    steps: Sequence[int]
    """Issues found after 1, 2, … records in their drawn order, up to the first that is not settled."""
    decision: str
    """accept, reject, or continue."""
    stopped: int | None
    """After how many records a boundary was first reached; what came later does not count for the decision."""
    unsettled: str | None
    """The record at which the walk waits: unread, unsure or disputed; None when it is through."""
    waiting: int
    """Verdicts on records behind that one, which do not count yet."""

    @property
    def judged(self) -> int:
        return len(self.steps)

    @property
    def failed(self) -> int:
        return self.steps[-1] if self.steps else 0


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


def walk(plan: Sprt, order: Sequence[str], outcomes: Mapping[str, str]) -> Walk:
    """The walk of a sample: `order` are its record ids as drawn, `outcomes` record_id -> pass, fail, unsure or disputed."""
    steps: list[int] = []
    failed, decision, stopped, unsettled = 0, "continue", None, None
    for record_id in order:
        said = outcomes.get(record_id)
        if said not in ("pass", "fail"):
            unsettled = record_id
            break
        failed += said == "fail"
        steps.append(failed)
        if stopped is None:
            decision = plan.say(failed, len(steps))
            stopped = len(steps) if decision != "continue" else None
    later = sum(outcomes.get(one) in ("pass", "fail") for one in order[len(steps) + 1 :])
    return Walk(steps, decision, stopped, unsettled, later)


def fate(plan: Sprt, rate: float, longest: int = 2000) -> Fate:
    """The exact probabilities of each end at a true rate, by following every path up to `longest` records."""
    alive = {0: 1.0}
    accepted = rejected = average = 0.0
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
                rejected += chance
                average += n * chance
            else:
                alive[failed] = chance
        if sum(alive.values()) < 1e-12:
            break
    still = sum(alive.values())
    return Fate(accepted, rejected, still, average + still * longest)


def operating(plan: Sprt, rate: float, longest: int = 2000) -> tuple[float, float]:
    """(probability to accept, average records read) at a true rate, exact; see `fate`.

    Read it as the probability to accept *among finished* tests only when `longest` is reached by none, as it is by default.
    """
    found = fate(plan, rate, longest)
    return found.accepted, found.average
