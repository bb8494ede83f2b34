"""The store of human decisions in one import: verdicts, samples, named subsets and the ledger of removals."""

from core.review.ledger import Entry, entry_ids, keep_records, ledger, remove_records, removed_ids, undo
from core.review.samples import Sample, SampleRecord, add_sample, sample, sample_records, samples
from core.review.schema import FILE_NAME, SCHEMA_VERSION, Store, open_store
from core.review.subsets import Subset, add_subset, delete_subset, rename_subset, subset, subset_ids, subsets
from core.review.verdicts import (
    OUTCOMES,
    QUESTIONS,
    WITHDRAWN,
    Standing,
    Verdict,
    all_verdicts,
    current_verdicts,
    outcomes,
    reviewers,
    save_verdicts,
    settle,
    standing,
)

__all__ = [
    "FILE_NAME",
    "OUTCOMES",
    "QUESTIONS",
    "SCHEMA_VERSION",
    "WITHDRAWN",
    "Entry",
    "Sample",
    "SampleRecord",
    "Standing",
    "Store",
    "Subset",
    "Verdict",
    "add_sample",
    "add_subset",
    "all_verdicts",
    "current_verdicts",
    "delete_subset",
    "entry_ids",
    "keep_records",
    "ledger",
    "open_store",
    "outcomes",
    "remove_records",
    "removed_ids",
    "rename_subset",
    "reviewers",
    "sample",
    "sample_records",
    "samples",
    "save_verdicts",
    "settle",
    "standing",
    "subset",
    "subset_ids",
    "subsets",
    "undo",
]
