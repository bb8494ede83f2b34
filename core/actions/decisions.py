"""The human decisions of a workspace: where they are kept, and what they say of the records of today."""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from core.dataset.selected import Selected
from core.review.acceptance import Summary, plan_of, summarise
from core.review.adjudication import Adjudication, adjudications, final_outcomes, in_force
from core.review.ledger import removed_ids
from core.review.rubric_store import rubric_of
from core.review.samples import EQUAL, Sample, SampleRecord, equal_chances, sample_records, samples
from core.review.schema import FILE_NAME, Store, open_store
from core.review.seen import COLUMNS as SEEN
from core.review.seen import seen_digest
from core.review.verdicts import Standing, current_verdicts
from core.workspace import Dataset, Workspace

__all__ = [
    "audit_summary",
    "chances_equal",
    "decided",
    "final_by_record",
    "kept_count",
    "kept_ids",
    "latest_sample",
    "open_reviews",
    "seen_now",
    "verdict_by_record",
]


def open_reviews(workspace: Workspace) -> Store:
    """The database of verdicts, subsets and the ledger: QUADRANT_DATABASE_URL, else SQLite in the workspace."""
    return _opened(os.environ.get("QUADRANT_DATABASE_URL") or str(workspace.path / FILE_NAME))


@lru_cache(maxsize=32)
def _opened(where: str) -> Store:
    return open_store(where if "://" in where else Path(where))


def kept_ids(workspace: Workspace, data: Dataset) -> list[str]:
    """The records of a dataset that no ledger entry in force removes, in file order."""
    removed = removed_ids(open_reviews(workspace))
    return data.index.names.at(np.flatnonzero(~data.index.mask(removed))) if removed else data.ids()


def kept_count(workspace: Workspace, data: Dataset) -> int:
    """How many records of a dataset no ledger entry in force removes."""
    return data.count - len(set(data.index.known(removed_ids(open_reviews(workspace))).tolist()))


def own_samples(store: Store, data: Dataset | None) -> list[Sample]:
    """Audits of the training set, newest first: of this very dataset before those of other versions."""
    found = [s for s in samples(store) if s.role == "training"]
    found.sort(key=lambda s: s.created_at, reverse=True)
    return sorted(found, key=lambda s: data is not None and s.dataset_digest != data.digest)


LABELS = "labels"
"""The rubric of a second reading of labels, which says nothing of the answers."""


def latest_sample(store: Store, data: Dataset, labels: bool = False) -> Sample | None:
    """The newest audit drawn from this very dataset that speaks for all of it, as a follow-up or a queue does not; `labels`: the
    newest second reading of labels instead."""
    able = (s for s in own_samples(store, data) if s.dataset_digest == data.digest and speaks_for_all(s))
    return next((s for s in able if (rubric_of(store, s.id).id == LABELS) == labels), None)


def speaks_for_all(sample: Sample) -> bool:
    """Whether a sample was drawn from the whole set rather than from a selection or what a census or a follow-up looked at."""
    return sample.recipe.get("how") not in ("high-stakes", "follow-up", "queue") and not sample.recipe.get("part")


def seen_now(data: Dataset, ids: Sequence[str]) -> dict[str, str]:
    """{record_id: the digest of what a reviewer reads of it today} of those `ids` that the dataset still has."""
    rows = Selected(data, np.sort(data.index.known(ids))).rows(["record_id", *SEEN])
    return {row["record_id"]: seen_digest(row) for row in rows}


def decided(store: Store, sample: Sample) -> dict[str, Adjudication]:
    """record_id -> the decision of an adjudicator that is in force."""
    return in_force(adjudications(store, sample.id))


def final_by_record(store: Store, sample: Sample, standings: Sequence[Standing] | None = None) -> dict[str, str]:
    """record_id -> pass, fail, unsure or disputed: as adjudicated, else as the readers agree.

    With `standings` narrowed, a decision counts only where everybody it was made between is among them.
    """
    standings = current_verdicts(store, sample.id) if standings is None else standings
    return final_outcomes(standings, decided(store, sample))


def audit_summary(store: Store, sample: Sample, standings: Sequence[Standing] | None = None) -> Summary:
    """What the standing verdicts of a sample say; several reviewers of one record count once, as disputed if they differ, or as was
    decided between them.

    The plan is the one kept with the sample, by default the practice's share, 3 of 50, at this sample's size. `standings` narrows it
    to some verdicts, of one reviewer say.
    """
    found = final_by_record(store, sample, standings)
    records = sample_records(store, sample.id)
    return summarise(
        found,
        sample.size,
        population=sample.population,
        equal_chances=chances_equal(sample, records),
        plan=plan_of(sample.recipe, sample.size),
        order=[record.record_id for record in records],
    )


def chances_equal(sample: Sample, records: Sequence[SampleRecord]) -> bool:
    """Whether a plan's rule applies: every record of the set was equally likely to be drawn, but for rounding to whole records."""
    drawn = [record.probability for record in records]
    if sample.method == "risk":
        return False
    return equal_chances(sample) and max(drawn) <= EQUAL * min(drawn)


def verdict_by_record(store: Store) -> dict[str, str]:
    """{record_id: pass | fail | unsure} of every record with a standing verdict, in any sample; the newest sample wins."""
    found: dict[str, str] = {}
    for sample in sorted(samples(store), key=lambda s: s.created_at):
        found |= final_by_record(store, sample)
    return found
