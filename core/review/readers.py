"""How each reader stands: agreement with the final verdicts, and whether they change over time.

Both are descriptions of people at work. A reader's share of issues moves with the records they get as well as with themselves, so
drift within one random sample says more than drift across samples drawn in different ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.review.adjudication import Adjudication
from core.review.intervals import Interval, wilson
from core.review.verdicts import Standing, outcomes

MOST_PERIODS = 12
FEW = 5
"""Verdicts in a period under which its share is hardly worth a look; said on the screen."""
FINAL_NOTE = (
    "Decided records are those on which readers differed or were unsure, so agreement with decisions is lower than on all records. "
    "Where two readers agree their common verdict stands without a decision; the second figure counts these too."
)


@dataclass(frozen=True)
class Final:
    """How often one reader gave the final verdict."""

    reader: str
    agreed: int
    decided: int
    """Of the records that an adjudicator decided, those this reader gave a verdict on."""
    interval: Interval | None
    """Wilson, 95 %, of agreed / decided; None when nothing was decided."""
    agreed_all: int
    settled: int
    """Decided records, and those on which two readers or more agree."""
    interval_all: Interval | None
    passed_bad: int
    """Passed although the final verdict was fail."""
    failed_good: int
    """Failed although the final verdict was pass."""


def against_final(standings: Sequence[Standing], decisions: Mapping[str, Adjudication]) -> list[Final]:
    """Each reader against the final verdicts, by name. An unsure verdict, or two windows that differ, agree with unsure alone."""
    final = final_of(standings, decisions)
    counts: dict[str, list[int]] = {}
    for entry in standings:
        record_id = entry.verdict.record_id
        row = counts.setdefault(entry.verdict.reviewer, [0] * 6)
        if record_id not in final:
            continue
        said = "unsure" if entry.conflict else entry.verdict.outcome
        same = said == final[record_id]
        row[2] += same
        row[3] += 1
        row[4] += said == "pass" and final[record_id] == "fail"
        row[5] += said == "fail" and final[record_id] == "pass"
        if record_id in decisions:
            row[0] += same
            row[1] += 1
    return [
        Final(name, k, n, wilson(k, n), ka, na, wilson(ka, na), bad, good)
        for name, (k, n, ka, na, bad, good) in sorted(counts.items(), key=lambda one: one[0].casefold())
    ]


def final_words(one: Final) -> str:
    """ "gave the final verdict on 7 of 10 decided records (95 % 40–89 %), on 47 of 50 settled ones (84–98 %)"."""
    told = "gave the final verdict on no decided record" if not one.decided else (
        f"gave the final verdict on {one.agreed} of {one.decided} decided records (95 % {_ends(one.interval)})"
    )  # fmt: skip
    if one.settled > one.decided:
        told += f", on {one.agreed_all} of {one.settled} settled ones ({_ends(one.interval_all)})"
    return f"{told}; passed {one.passed_bad} that had an issue, failed {one.failed_good} that had none."


def _ends(interval: Interval | None) -> str:
    return f"{interval.low:.0%}–{interval.high:.0%}" if interval else "undefined"


@dataclass(frozen=True)
class Period:
    """A stretch of one reader's work."""

    title: str
    judged: int
    failed: int
    interval: Interval | None
    """Wilson, 95 %, of failed / judged."""
    seconds: float | None
    """Median time on a record."""
    agreed: int
    settled: int
    """Of the records with a final verdict, on which this reader gave it; Wilson in `agreement`."""
    agreement: Interval | None


@dataclass(frozen=True)
class Drift:
    """One reader over time, with a test for a trend of the share of issues and of the agreement with final verdicts."""

    reader: str
    by: str
    """day, week, month, or order (equal parts of the reading order, when all was read within a day)."""
    periods: Sequence[Period]
    trend: Trend | None
    """Of the share with an issue."""
    agreement_trend: Trend | None


@dataclass(frozen=True)
class Trend:
    """The Cochran–Armitage test for a linear trend of a share over ordered periods, two-sided, by the normal approximation."""

    z: float
    """Above 0: the share rises."""
    p_value: float
    small: bool
    """Fewer than 10 cases on either side: the approximation is rough."""


def cochran_armitage(
    cases: Sequence[int], totals: Sequence[int], scores: Sequence[float] | None = None
) -> Trend | None:
    """The trend of cases / totals over scores (0, 1, 2 … by default); None when there is no spread to test.

        T = sum s_i (k_i - n_i p),  var T = p (1 - p) (sum n_i s_i^2 - (sum n_i s_i)^2 / N),  p = K / N  (Armitage 1955)

    The square of z is what R's `prop.trend.test` gives as X-squared.
    """
    from math import erfc, sqrt

    scores = list(range(len(cases))) if scores is None else list(scores)
    whole, bad = sum(totals), sum(cases)
    if not whole or not 0 < bad < whole:
        return None
    p = bad / whole
    first = sum(n * s for n, s in zip(totals, scores, strict=True))
    second = sum(n * s * s for n, s in zip(totals, scores, strict=True))
    variance = p * (1 - p) * (second - first**2 / whole)
    if variance <= 1e-12:
        return None
    z = sum(s * (k - n * p) for s, k, n in zip(scores, cases, totals, strict=True)) / sqrt(variance)
    return Trend(z, erfc(abs(z) / sqrt(2)), min(bad, whole - bad) < 10)


def drift(standings: Sequence[Standing], final: Mapping[str, str], by: str | None = None) -> list[Drift]:
    """Each reader over time, by name. final: record_id -> final verdict where there is one that is not the reader's alone.

    by: day, week, month or order; the finest of day, week and month that gives 2 to 12 periods over everybody by default, else order.
    """
    from datetime import datetime

    own: dict[str, list[Standing]] = {}
    for entry in standings:
        own.setdefault(entry.verdict.reviewer, []).append(entry)
    moments = [entry.verdict.created_at for entry in standings]
    by = by or next(
        (one for one in ("day", "week", "month") if 2 <= len({_period(m, one) for m in moments}) <= MOST_PERIODS),
        "order",
    )
    found = []
    for name in sorted(own, key=str.casefold):
        mine = sorted(own[name], key=lambda entry: (entry.verdict.created_at, entry.verdict.client_id))
        parts: dict[str, list[Standing]] = {}
        if by == "order":
            size = max(10, -(-len(mine) // 4))
            for start in range(0, len(mine), size):
                parts[f"{start + 1}–{min(start + size, len(mine))}"] = mine[start : start + size]
        else:
            for entry in mine:
                parts.setdefault(_period(entry.verdict.created_at, by), []).append(entry)
        periods = [_stretch(title, some, final) for title, some in parts.items()]
        scores = None
        if by != "order" and periods:  # a pause counts: the scores are days
            days = [datetime.fromisoformat(some[0].verdict.created_at).date().toordinal() for some in parts.values()]
            scores = [day - days[0] for day in days]
        found.append(Drift(
            name, by, periods,
            cochran_armitage([p.failed for p in periods], [p.judged for p in periods], scores),
            cochran_armitage([p.agreed for p in periods], [p.settled for p in periods], scores),
        ))  # fmt: skip
    return found


def _period(moment: str, by: str) -> str:
    from datetime import datetime

    if by == "week":
        year, week, _ = datetime.fromisoformat(moment).isocalendar()
        return f"{year} week {week:02d}"
    return moment[: 10 if by == "day" else 7]


def _stretch(title: str, some: Sequence[Standing], final: Mapping[str, str]) -> Period:
    said = [(e.verdict.record_id, "unsure" if e.conflict else e.verdict.outcome) for e in some]
    judged = sum(one in ("pass", "fail") for _, one in said)
    failed = sum(one == "fail" for _, one in said)
    seconds = sorted(e.verdict.seconds for e in some if e.verdict.seconds is not None)
    known = [one == final[record] for record, one in said if record in final]
    middle = len(seconds) // 2
    median = (
        None if not seconds else seconds[middle] if len(seconds) % 2 else (seconds[middle - 1] + seconds[middle]) / 2
    )
    return Period(
        title, judged, failed, wilson(failed, judged), median, sum(known), len(known), wilson(sum(known), len(known))
    )


def final_of(standings: Sequence[Standing], decisions: Mapping[str, Adjudication]) -> dict[str, str]:
    """record_id -> the final verdict where two readers agree or an adjudicator decided."""
    readers: dict[str, set[str]] = {}
    for entry in standings:
        readers.setdefault(entry.verdict.record_id, set()).add(entry.verdict.reviewer)
    agreed = {one: said for one, said in outcomes(standings).items() if said != "disputed" and len(readers[one]) > 1}
    return agreed | {one: decision.outcome for one, decision in decisions.items()}
