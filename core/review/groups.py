"""The share of records with an issue in each group of a sample: by category, by annotator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.review.acceptance import Interval, wilson

NONE = "(none)"


@dataclass(frozen=True)
class Group:
    """One group of a sample with its counts; the interval is Wilson's and None when nothing was judged."""

    name: str
    judged: int
    failed: int
    interval: Interval | None

    @property
    def rate(self) -> float | None:
        return self.failed / self.judged if self.judged else None


def error_by(outcomes: Mapping[str, str], group_of: Mapping[str, str | None]) -> list[Group]:
    """Groups by their rate of issues, highest first, then by records judged and name; groups with nothing judged are left out.

    outcomes: record_id -> pass, fail, unsure or disputed. Only pass and fail count. Records without a group form "(none)".
    """
    counts: dict[str, list[int]] = {}
    for record_id, said in outcomes.items():
        if said in ("pass", "fail"):
            row = counts.setdefault(group_of.get(record_id) or NONE, [0, 0])
            row[0] += 1
            row[1] += said == "fail"
    groups = [Group(name, n, k, wilson(k, n)) for name, (n, k) in counts.items()]
    return sorted(groups, key=lambda g: (-(g.rate or 0), -g.judged, g.name))
