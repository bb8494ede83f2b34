"""The share of records with an issue in each group of a sample: by category, annotator, source, period.

Among many groups some look bad by chance alone. So each group is also tested against all the others (Fisher's exact test, two-sided),
and the p-values are corrected for their number by Holm's method, which keeps the chance of a single false alarm at 5 %.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import exp, lgamma

from core.review.intervals import Interval, wilson
from core.review.stratified import unequal_rate

NONE = "(none)"
FALSE_ALARM = 0.05


@dataclass(frozen=True)
class Group:
    """One group of a sample with its counts; the interval is Wilson's and None when nothing was judged.

    Where records had unequal chances, rate and interval are weighted (Hájek, Korn–Graubard) and there is no test.
    """

    name: str
    judged: int
    failed: int
    interval: Interval | None
    weighted: float | None = None
    p_value: float | None = None
    """Of this group against the others, corrected for the number of groups (Holm); None with a single group or weights."""

    @property
    def rate(self) -> float | None:
        if self.weighted is not None:
            return self.weighted
        return self.failed / self.judged if self.judged else None

    @property
    def stands_out(self) -> bool:
        """Whether its rate differs from the others' by more than chance among so many groups explains."""
        return self.p_value is not None and self.p_value < FALSE_ALARM


def error_by(
    outcomes: Mapping[str, str],
    group_of: Mapping[str, str | None],
    probability: Mapping[str, float] | None = None,
) -> list[Group]:
    """Groups by their rate of issues, highest first, then by records judged and name; groups with nothing judged are left out.

    outcomes: record_id -> pass, fail, unsure or disputed. Only pass and fail count. Records without a group form "(none)".
    probability: the inclusion probability of each record, given where they are unequal.
    """
    judged: dict[str, list[str]] = {}
    for record_id, said in outcomes.items():
        if said in ("pass", "fail"):
            judged.setdefault(group_of.get(record_id) or NONE, []).append(record_id)
    groups = []
    for name, ids in judged.items():
        failed = sum(outcomes[one] == "fail" for one in ids)
        group = Group(name, len(ids), failed, wilson(failed, len(ids)))
        if probability is not None:
            found = unequal_rate([(probability[one], outcomes[one] == "fail") for one in ids], 0)
            group = replace(group, weighted=found.rate, interval=found.interval)
        groups.append(group)
    if probability is None and len(groups) > 1:
        groups = _tested(groups)
    return sorted(groups, key=lambda g: (-(g.rate or 0), -g.judged, g.name))


def _tested(groups: Sequence[Group]) -> list[Group]:
    n, k = sum(g.judged for g in groups), sum(g.failed for g in groups)
    raw = [fisher(g.failed, g.judged, k - g.failed, n - g.judged) for g in groups]
    return [replace(g, p_value=p) for g, p in zip(groups, holm(raw), strict=True)]


def fisher(k: int, n: int, other_k: int, other_n: int) -> float:
    """The two-sided p-value of Fisher's exact test of k of n against other_k of other_n (tables no likelier than this one)."""
    whole, bad = n + other_n, k + other_k

    def chance(x: int) -> float:
        top = lgamma(bad + 1) - lgamma(x + 1) - lgamma(bad - x + 1)
        top += lgamma(whole - bad + 1) - lgamma(n - x + 1) - lgamma(whole - bad - n + x + 1)
        return exp(top - lgamma(whole + 1) + lgamma(n + 1) + lgamma(whole - n + 1))

    here = chance(k)
    return min(
        1.0, sum(p for x in range(max(0, n - (whole - bad)), min(n, bad) + 1) if (p := chance(x)) <= here * 1.0000001)
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm 1979), in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, last = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        last = max(last, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = last
    return corrected


_DAY = re.compile(r"^\s*(\d{4})-(\d{2})(?:-(\d{2}))?(?:[T ].*)?\s*$")


def period_of(text: str | None, by: str = "month") -> str | None:
    """ "2026-03", "2026 Q1" or "2026" of a date that starts as 2026-03-01 or 2026-03; None for anything else."""
    found = _DAY.match(text or "")
    if not found:
        return None
    year, month, day = int(found[1]), int(found[2]), int(found[3] or 1)
    try:
        date(year, month, day)
    except ValueError:
        return None
    return {"month": f"{year:04d}-{month:02d}", "quarter": f"{year:04d} Q{(month + 2) // 3}", "year": f"{year:04d}"}[by]


def periods(values: Mapping[str, str | None]) -> dict[str, str | None] | None:
    """record_id -> its period, by month, quarter or year so that there are at most 12; None unless nine in ten values are dates."""
    given = {one: text for one, text in values.items() if text}
    if not given or sum(period_of(text) is not None for text in given.values()) < 0.9 * len(given):
        return None
    for by in ("month", "quarter", "year"):
        found = {one: period_of(text, by) for one, text in values.items()}
        if len({*found.values()} - {None}) <= 12 or by == "year":
            return found
    return None
