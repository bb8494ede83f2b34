"""Samples in the store: what was drawn, how, from how many, and the order in which it is read."""

from __future__ import annotations

import hashlib
import json
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from core.errors import InputError, MissingInput
from core.review.sampling import Draw
from core.review.schema import Store, digest_of, now, pack, reading, tables, unpack, writing

EQUAL = 1.5
"""How far the chances of two records may be apart and still count as equal but for rounding."""


@dataclass(frozen=True)
class SampleRecord:
    """One drawn record: its place in the reading order and how likely it was to be drawn."""

    position: int
    record_id: str
    record_digest: str
    stratum: str | None
    probability: float


@dataclass(frozen=True)
class Sample:
    """A draw as the store keeps it; `sample_records` gives its records."""

    id: str
    name: str
    role: str
    method: str
    seed: int | None
    size: int
    population: int
    dataset_digest: str
    strata: Sequence[Mapping[str, Any]]
    recipe: Mapping[str, Any]
    created_at: str
    created_by: str
    read: int = field(default=0, compare=False)
    """Records with at least one verdict, filled in by `samples`."""


@dataclass(frozen=True)
class Frame:
    """What a sample was drawn from: ids of the dataset, and the stratum or the risk of each where these decided."""

    ids: Sequence[str]
    """Sorted as text."""
    marks: Sequence[Any] | None = None
    """Aligned with `ids`: strata as text, risks as numbers."""
    left_out: Sequence[str] | None = None
    """The ids of the dataset that are not in it; kept in place of `ids` when they are fewer."""

    @property
    def digest(self) -> str:
        """64 hex characters of the ids and their marks."""
        told = json.dumps([list(self.ids), None if self.marks is None else list(self.marks)], ensure_ascii=False)
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()

    def row(self) -> dict[str, Any]:
        """Its columns in the database."""
        without = self.left_out is not None and len(self.left_out) < len(self.ids)
        marks = None if self.marks is None else zlib.compress(json.dumps(list(self.marks)).encode(), 6)
        members = pack(self.left_out if without else self.ids)
        return {"kind": "without" if without else "these", "members": members, "marks": marks, "digest": self.digest}


def frame_of(store: Store, sample_id: str, dataset_ids: Sequence[str]) -> Frame | None:
    """What a sample was drawn from, given the ids of its dataset's version; None for samples from before frames were kept.

    InputError when it does not come out as it was kept: these are not the ids of that dataset.
    """
    from sqlalchemy import select

    t = tables().frames
    with reading(store) as connection:
        row = connection.execute(select(t).where(t.c.sample_id == sample_id)).mappings().first()
    if row is None:
        return None
    members = set(unpack(row["members"]))
    ids = sorted(set(dataset_ids) - members if row["kind"] == "without" else members)
    marks = None if row["marks"] is None else json.loads(zlib.decompress(row["marks"]))
    found = Frame(ids, marks)
    if found.digest != row["digest"]:
        raise InputError(
            "The records that this sample was drawn from are not those of the dataset that is named in its record."
        )
    return found


def chances(sample: Sample) -> tuple[float, float]:
    """The smallest and the largest chance that a record of the population had of being drawn."""
    shares = [stratum["drawn"] / stratum["population"] for stratum in sample.strata if stratum["population"]]
    shares = shares or [sample.size / sample.population if sample.population else 1.0]
    return min(shares), max(shares)


def equal_chances(sample: Sample) -> bool:
    """Whether the raw count may be read against a plan: chances equal, or apart by no more than whole records make them.

    Proportional strata round their shares; up to a factor of 1.5 between the likeliest and the least likely record is taken as
    that. A stratum that got no record at all cannot speak, so its sample has unequal chances.
    """
    low, high = chances(sample)
    return low > 0 and high <= EQUAL * low


def add_sample(
    store: Store,
    draw: Draw,
    *,
    name: str,
    role: str,
    dataset_digest: str,
    by: str,
    digests: Mapping[str, str] | None = None,
    frame: Frame | None = None,
) -> Sample:
    """The stored sample of a draw (`core.review.sampling`), with a fresh id.

    digests: record_id -> what a reviewer will read of it (`core.review.seen`), to tell later that it has changed.
    frame: what it was drawn from, so that the draw can be repeated from its record.
    """
    from sqlalchemy import insert

    if not draw.record_ids:
        raise InputError("There is no record to draw from. Import records, or put removed ones back, then draw again.")
    if not name.strip():
        raise InputError("The sample has no name. Give it one.")
    sample = Sample(
        id=uuid.uuid4().hex,
        name=name.strip(),
        role=role,
        method=draw.method,
        seed=draw.seed,
        size=len(draw.record_ids),
        population=draw.population,
        dataset_digest=dataset_digest,
        strata=[dict(stratum) for stratum in draw.strata],
        recipe=dict(draw.recipe),
        created_at=now(),
        created_by=by,
    )
    rows = [
        {
            "sample_id": sample.id,
            "position": position,
            "record_id": record_id,
            "record_digest": (digests or {}).get(record_id) or digest_of(record_id),
            "stratum": draw.stratum_of[position] if draw.stratum_of else None,
            "probability": draw.probabilities[position],
        }
        for position, record_id in enumerate(draw.record_ids)
    ]
    t = tables()
    values = {name: getattr(sample, name) for name in Sample.__dataclass_fields__ if name != "read"}
    with writing(store) as connection:
        connection.execute(insert(t.samples).values(**values))
        connection.execute(insert(t.sample_records), rows)
        if frame is not None:
            connection.execute(insert(t.frames).values(sample_id=sample.id, **frame.row()))
    return sample


def samples(store: Store) -> list[Sample]:
    """Every sample, newest first, each with how many of its records carry a verdict."""
    from sqlalchemy import distinct, func, select

    t = tables()
    counts = (
        select(t.verdicts.c.sample_id, func.count(distinct(t.verdicts.c.record_id)).label("read"))
        .group_by(t.verdicts.c.sample_id)
        .subquery()
    )
    query = (
        select(t.samples, func.coalesce(counts.c.read, 0).label("read"))
        .outerjoin(counts, counts.c.sample_id == t.samples.c.id)
        .order_by(t.samples.c.created_at.desc(), t.samples.c.id)
    )
    with reading(store) as connection:
        return [Sample(**row) for row in connection.execute(query).mappings()]


def sample(store: Store, sample_id: str) -> Sample:
    """The sample with this id; MissingInput when there is none."""
    for found in samples(store):
        if found.id == sample_id:
            return found
    raise MissingInput(f"There is no sample {sample_id!r} here. Draw one, or choose another from the list.")


def sample_records(store: Store, sample_id: str) -> Sequence[SampleRecord]:
    """The records of a sample in reading order; MissingInput when there is no such sample. Read once: a draw never changes."""
    return _records(store, sample_id)


@lru_cache(maxsize=16)
def _records(store: Store, sample_id: str) -> tuple[SampleRecord, ...]:
    from sqlalchemy import select

    c = tables().sample_records.c
    query = select(c.position, c.record_id, c.record_digest, c.stratum, c.probability).where(c.sample_id == sample_id)
    with reading(store) as connection:
        found = tuple(SampleRecord(*row) for row in connection.execute(query.order_by(c.position)))
    if not found:
        raise MissingInput(f"There is no sample {sample_id!r} here. Draw one, or choose another from the list.")
    return found
