"""The error rate corrected for the reviewer's own errors, which are known from records with a settled verdict (gold).

A reviewer finds a share `se` of the bad records and passes a share `sp` of the good ones. Of a set with true rate p such a reviewer
fails se p + (1 - sp)(1 - p). Solved for p that is Rogan & Gladen's estimate (1978); it is undefined when se + sp is not above 1, for
then the reviewer says nothing about the record. Interval: Lang & Reiczigel 2014, which contains the uncertainty of se and sp.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

from core.errors import InputError
from core.review.intervals import Interval, clopper_pearson


@dataclass(frozen=True)
class Calibration:
    """What a reviewer said of gold records: of those that are bad, how many were failed; of the good, how many passed."""

    caught: int
    bad: int
    kept: int
    good: int
    unsure: int = 0
    """Gold records on which no pass or fail was given; they belong to neither count."""

    @property
    def sensitivity(self) -> float | None:
        return self.caught / self.bad if self.bad else None

    @property
    def specificity(self) -> float | None:
        return self.kept / self.good if self.good else None

    def interval(self, which: str) -> Interval | None:
        """The 95 % Clopper–Pearson interval of "sensitivity" or "specificity"."""
        return (
            clopper_pearson(self.caught, self.bad) if which == "sensitivity" else clopper_pearson(self.kept, self.good)
        )


@dataclass(frozen=True)
class Corrected:
    """The rate without the reviewer's errors; both None with the reason in `undefined`."""

    rate: float | None
    """Cut to 0..1; an apparent rate below the reviewer's share of false alarms gives 0."""
    interval: Interval | None
    undefined: str = ""


def calibrated(expected: Mapping[str, str | None], given: Mapping[str, str]) -> Calibration:
    """The calibration from record_id -> expected (pass or fail; others are left out) and record_id -> what the reviewer gave."""
    counts = {"caught": 0, "bad": 0, "kept": 0, "good": 0, "unsure": 0}
    for record_id, said in given.items():
        truth = expected.get(record_id)
        if truth not in ("pass", "fail"):
            continue
        if said not in ("pass", "fail"):
            counts["unsure"] += 1
        elif truth == "fail":
            counts["bad"] += 1
            counts["caught"] += said == "fail"
        else:
            counts["good"] += 1
            counts["kept"] += said == "pass"
    return Calibration(**counts)


def corrected_rate(k: int, n: int, known: Calibration, confidence: float = 0.95) -> Corrected:
    """The true rate behind k of n that this reviewer failed, with an interval for all three uncertainties.

    Departure from Lang & Reiczigel: the smoothed counts (one success and one failure more) stand in every variance, so that a reviewer
    without an error on few gold records is not taken as infallible.
    """
    if not 0 <= k <= n:
        raise InputError(f"{k} of {n} is not a count: it must lie between 0 and the number of records read.")
    if not n:
        return Corrected(None, None, "No record was judged.")
    if not known.bad or not known.good:
        missing = "bad" if not known.bad else "good"
        return Corrected(
            None, None, f"No {missing} gold record was judged by this reviewer, so their errors are not known."
        )
    se, sp = known.sensitivity, known.specificity
    z = NormalDist().inv_cdf(1 - (1 - confidence) / 2)
    n1, n2 = known.bad + 2, known.good + 2
    se1, sp1 = (known.caught + 1) / n1, (known.kept + 1) / n2
    better = se1 + sp1 - 1
    noise = (se1 * (1 - se1) / n1 + sp1 * (1 - sp1) / n2) ** 0.5
    if se + sp - 1 <= 0 or better - z * noise <= 0:
        return Corrected(
            None,
            None,
            "On the gold records this reviewer is not surely better than chance, so nothing can be corrected.",
        )
    rate = min(1.0, max(0.0, (k / n + sp - 1) / (se + sp - 1)))
    size = n + z * z
    apparent = (k + z * z / 2) / size
    middle = (apparent + sp1 - 1) / better
    one, two = se1 * (1 - se1) / n1, sp1 * (1 - sp1) / n2
    shift = 2 * z * z * (middle * one - (1 - middle) * two)
    spread = (apparent * (1 - apparent) / size + middle**2 * one + (1 - middle) ** 2 * two) ** 0.5 / better
    low, high = max(0.0, middle + shift - z * spread), min(1.0, middle + shift + z * spread)
    return Corrected(rate, Interval(min(low, rate), max(high, rate), "Lang–Reiczigel", confidence))
