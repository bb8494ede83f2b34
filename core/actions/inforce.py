"""Which decisions are in force on a dataset, gathered from the ledger, the changed labels and the accepted responses.

An export with corrections writes the records just so, and the scorecard, the comparison with production and the plans speak of them.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from core.actions.decisions import open_reviews
from core.actions.relabelling import label_fixes
from core.actions.standing import NOTHING, InForce
from core.dataset.selected import correctable, select
from core.review.edits import accepted
from core.review.ledger import entry_ids, ledger, newest, removed_ids
from core.review.relabels import Change, fields, relabelled
from core.review.schema import Store
from core.workspace import Dataset, Workspace


@dataclass(frozen=True)
class Corrections:
    """What an export puts in for some records, and what its manifest says of each."""

    responses: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # column -> record_id -> label
    corrections: Sequence[Mapping] = ()
    left_out: Sequence[Mapping] = ()  # accepted responses that cannot be put in, and why
    relabels: Sequence[Mapping] = ()


def in_force(workspace: Workspace, data: Dataset) -> InForce:
    """The decisions in force on this dataset."""
    store = open_reviews(workspace)
    mark = newest(store)
    if not any(entry for entry, _ in mark):
        return NOTHING
    where = os.environ.get("QUADRANT_DATABASE_URL") or ""
    return _in_force(f"{where} {workspace.path} {data.path} {data.digest} {mark}", _Held(store, data))


class _Held:
    """Carries what a cached call needs and its key already names: equal to any other."""

    def __init__(self, store: Store, data: Dataset):
        self.store, self.data = store, data

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)


@lru_cache(maxsize=4)
def _in_force(version: str, held: _Held) -> InForce:
    store, data = held.store, held.data
    ids = data.ids()
    known = set(ids)
    removed = frozenset(removed_ids(store) & known)
    found = corrections_of(data, store, [one for one in ids if one not in removed])
    pairs = frozenset(pair for pair in settled(store) if pair <= known)
    return InForce(version, removed, found.labels, found.responses, pairs)


def settled(store: Store) -> set[frozenset[str]]:
    """The pairs of records that a reader kept together: entries of the ledger in force that keep exactly two records."""
    entries = [e for e in ledger(store) if e.action == "keep" and e.count == 2 and e.undone_by is None]
    return {frozenset(entry_ids(store, e.entry)) for e in entries}


def corrections_of(data: Dataset, store: Store, chosen: Sequence[str]) -> Corrections:
    """The accepted responses and changed labels in force among these records, and what a manifest says of each.

    A changed label is also written where the whole response was the old one; a response that a person accepted goes before that.
    """
    responses, told, left = _responses(data, store, chosen)
    labels, answers, relabels = _labels(data, store, chosen)
    return Corrections(answers | responses, labels, told, left, relabels)


def _responses(data: Dataset, store: Store, chosen: Sequence[str]) -> tuple[dict[str, str], list[dict], list[dict]]:
    edits = accepted(store)
    wanted = [i for i in chosen if i in edits]
    responses, told, left = {}, [], []
    if not wanted:
        return responses, told, left
    for row in select(data, wanted).rows(["record_id", "messages", "response"]):
        edit = edits[row["record_id"]]
        fact = {
            "record_id": row["record_id"], "proposed_by": edit.proposed_by, "accepted_by": edit.created_by, "at": edit.created_at,
            "verdict": edit.verdict,
        }  # fmt: skip
        if not correctable(row):
            left.append(fact | {"why": "its response is a tool call, or not the text of its last assistant turn"})
        elif edit.text != row["response"]:
            responses[row["record_id"]] = edit.text
            told.append(fact | {"original": row["response"]})
    return responses, told, left


def _labels(
    data: Dataset, store: Store, chosen: Sequence[str]
) -> tuple[dict[str, dict[str, str]], dict[str, str], list[dict]]:
    """(column -> record_id -> label, record_id -> response that was the label, what a manifest says of each)."""
    labels: dict[str, dict[str, str]] = {}
    answers: dict[str, str] = {}
    told: list[dict] = []
    for column in fields(store):
        changes = standing_labels(data, column, relabelled(store, column), chosen)
        if not changes:
            continue
        fixed = label_fixes(data, changes, chosen)
        rows = select(data, list(fixed)).rows(["record_id", "messages", "response"]) if fixed else ()
        able = {row["record_id"] for row in rows if correctable(row)}
        answers |= {one: text for one, text in fixed.items() if one in able}
        labels[column] = {one: change.after for one, change in changes.items()}
        told += [
            {
                "record_id": one, "column": column, "original": change.before, "label": change.after, "entry": change.entry,
                "by": change.by, "response_too": one in able,
            }
            for one, change in changes.items()
        ]  # fmt: skip
    return labels, answers, told


def standing_labels(
    data: Dataset, column: str, changes: Mapping[str, Change], chosen: Sequence[str]
) -> dict[str, Change]:
    """The changes of these records whose imported label is still the one that they were made from."""
    if not changes or column not in data.columns:
        return {}
    wanted = set(chosen).intersection(changes)
    imported = dict(zip(data.ids(), data.column(column).to_pylist(), strict=True)) if wanted else {}
    return {one: changes[one] for one in changes if one in wanted and str(imported[one]) == changes[one].before}
