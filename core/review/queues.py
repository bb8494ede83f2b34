"""What is whose to read: an ordered part of a sample for each reader, with how much of it is left."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from core.review.adjudication import Adjudication, open_cases
from core.review.samples import Sample, SampleRecord
from core.review.verdicts import Standing

TITLES: Mapping[str, str] = {
    "mine": "Mine",
    "all": "All records",
    "high": "High stakes",
    "decide": "To adjudicate",
}


@dataclass(frozen=True)
class Queue:
    """Some records of a sample, numbered from 0 as the reviewer counts them."""

    name: str
    records: Sequence[SampleRecord]
    left: int
    """Records without a verdict of this reader; of `decide`, without a decision."""

    @property
    def title(self) -> str:
        return TITLES[self.name]


def double_records(sample: Sample, records: Sequence[SampleRecord]) -> list[SampleRecord]:
    """The records that a second reader reads too, in reading order; empty when no share was drawn."""
    told = sample.recipe.get("double") or {}
    wanted = set(told.get("positions", ()))
    return [record for record in records if record.position in wanted]


def own_part(sample: Sample, records: Sequence[SampleRecord], role: str) -> Sequence[SampleRecord]:
    """What somebody of this role reads of a sample: a second reader the double-review share where one was drawn, others all of it."""
    return (double_records(sample, records) if role == "second" else []) or list(records)


def queues(
    sample: Sample,
    records: Sequence[SampleRecord],
    who: str,
    role: str,
    standings: Sequence[Standing],
    decisions: Mapping[str, Adjudication],
    high: Collection[str],
    decides: bool = True,
) -> dict[str, Queue]:
    """{name: queue} for one reader. standings: everybody's; the reader's own say what is left, everybody's what waits for a decision.

    high: the high-stakes records, without marks that the reader may not see. decides: whether this reader adjudicates; others get no
    such queue, for its mere length would tell a blind reader how often they differ.
    """
    read = {entry.verdict.record_id for entry in standings if entry.verdict.reviewer == who}
    mine = own_part(sample, records, role)
    parts: dict[str, Sequence[SampleRecord]] = {"mine": mine}
    if len(mine) < len(records):
        parts["all"] = records
    parts["high"] = [record for record in records if record.record_id in high]
    found = {}
    for name, part in parts.items():
        left = sum(record.record_id not in read for record in part)
        whole = len(part) == len(records)  # numbered from 0 as it is
        found[name] = Queue(name, part if whole else [replace(r, position=n) for n, r in enumerate(part)], left)
    if decides:
        waiting = set(open_cases(standings, decisions))
        cases = [record for record in records if record.record_id in waiting or record.record_id in decisions]
        found["decide"] = Queue("decide", cases, len(waiting))
    return found
