"""All that an audit found, in one piece: what the screen and the report both show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.review.acceptance import Summary
from core.review.adjudication import Adjudication
from core.review.comparison import Comparison
from core.review.correction import Calibration, Corrected, corrected_rate
from core.review.groups import Group
from core.review.plan import Plan
from core.review.readers import Final
from core.review.samples import Sample, SampleRecord
from core.review.stratified import Estimate, strata_of, stratified_rate, unequal_of
from core.review.verdicts import Standing


@dataclass(frozen=True)
class Reader:
    """One reviewer of a sample: the share they failed, and that share without their own errors, known from gold records."""

    name: str
    judged: int
    failed: int
    unsure: int
    calibration: Calibration | None
    corrected: Corrected | None


@dataclass(frozen=True)
class Findings:
    """A sample with everything that is known of it; read only."""

    sample: Sample
    records: Sequence[SampleRecord]
    plan: Plan
    summary: Summary
    standings: Sequence[Standing]
    equal: bool
    """Whether the plan's rule applies: equal chances but for rounding."""
    design: str
    """equal, stratified or unequal: how the weighted estimate is made; equal has none."""
    estimate: Estimate | None
    """The weighted estimate; None with equal chances and no strata, and where it is undefined."""
    readers: Sequence[Reader]
    groups: Mapping[str, Sequence[Group]] = field(default_factory=dict)
    agreement: Comparison | None = None
    """Of the readers of this sample; None with one."""
    adjudicated: Sequence[Adjudication] = ()
    """What was decided where readers saw something differently."""
    outcomes: Mapping[str, str] = field(default_factory=dict)
    """record_id -> pass, fail, unsure or disputed: as adjudicated, else as the readers agree."""
    waiting: int = 0
    """Disputed or unsure records without a decision."""
    finals: Sequence[Final] = ()
    """How far each reader is with the final verdicts."""
    stale: int = 0
    """Standing verdicts on records that have changed or are gone since."""
    questions: Sequence[tuple[str, str]] = ()
    """(question, how often each answer was given) of the rubrics it was read under."""
    marks: Sequence[tuple[str, str]] = ()
    """(error types, severity, …; how often each) of what readers marked."""


def weighted(
    sample: Sample, records: Sequence[SampleRecord], said: Mapping[str, str], equal: bool
) -> tuple[str, Estimate | None]:
    """(equal, stratified or unequal; the weighted estimate) of a sample, from record_id -> final outcome."""
    if sample.method == "census":
        return "equal", None
    if sample.strata:
        _, strata = strata_of(sample.strata, records, said)
        return "stratified", stratified_rate(strata)
    if not equal:
        return "unequal", unequal_of(records, said, sample.population)
    return "equal", None


def readers_of(standings: Sequence[Standing], calibrations: Mapping[str, Calibration]) -> list[Reader]:
    """The readers by how many records they judged, most first, each with the correction for their own errors."""
    counts: dict[str, dict[str, int]] = {}
    for entry in standings:
        said = "unsure" if entry.conflict else entry.verdict.outcome
        row = counts.setdefault(entry.verdict.reviewer, {})
        row[said] = row.get(said, 0) + 1
    found = []
    for name, row in counts.items():
        failed, judged = row.get("fail", 0), row.get("fail", 0) + row.get("pass", 0)
        known = calibrations.get(name)
        corrected = corrected_rate(failed, judged, known) if known else None
        found.append(Reader(name, judged, failed, row.get("unsure", 0), known, corrected))
    return sorted(found, key=lambda reader: (-reader.judged, reader.name))
