"""An export of a workspace: which records, in which order, and what the manifest says of the choice."""

from collections.abc import Sequence
from pathlib import Path

from core.dataset.selected import correctable, select
from core.dataset.writing import write
from core.decisions import open_reviews
from core.errors import InputError
from core.progress import Progress, silent
from core.relabelling import changes_in_force, label_fixes
from core.review.edits import accepted
from core.review.ledger import ledger, removed_ids
from core.review.schema import Store
from core.review.subsets import subset as subset_of
from core.review.subsets import subset_ids
from core.steps import params_of
from core.workspace import Dataset, Workspace


def export_records(
    workspace: Workspace,
    to: str,
    out: str | Path,
    subset: str | None = None,
    ids: list[str] | tuple[str, ...] | None = None,
    title: str = "",
    overwrite: bool = False,
    progress: Progress = silent,
    corrections: bool = False,
) -> dict:
    """Write a named subset, given ids (in their order), or everything but the removed records; returns the manifest.

    Records that a ledger entry in force removes are never written, also not as part of a subset; the manifest counts them.
    `corrections`: accepted corrected responses (`core.review.edits`) take the place of the imported ones; the manifest keeps each
    original beside who proposed and who accepted it, and names those that could not be put in. Labels that a rule of the ledger
    changed (`core.relabelling`) are written too, also where the whole response was the old label.
    """
    data = workspace.need("training")
    store = open_reviews(workspace)
    known, removed = set(data.ids()), removed_ids(store)
    facts: dict = {"name": title or "everything but the removed records"}
    wanted = list(ids) if ids is not None else data.ids()
    if subset:
        entry = subset_of(store, subset)
        wanted = subset_ids(store, subset)
        facts = {
            "name": entry.name,
            "strategy": entry.strategy,
            "params": dict(entry.params),
            "made_by": entry.created_by,
        }
    lost = [i for i in wanted if i not in known]
    chosen = [i for i in wanted if i in known and i not in removed]
    if not chosen:
        raise InputError("There is nothing to export: the selection is empty, or all of its records were removed.")
    facts["left_out_as_removed"] = sum(i in known and i in removed for i in wanted)
    facts["not_in_this_version"] = len(lost)
    facts["ledger"] = [
        {
            "entry": e.entry,
            "action": e.action,
            "reason": e.reason,
            "by": e.created_by,
            "at": e.created_at,
            "records": e.count,
        }
        for e in ledger(store)
        if e.action != "undo" and e.undone_by is None
    ]
    responses, labels = None, None
    if corrections:
        responses, facts["corrections"], facts["corrections_left_out"] = corrected(data, store, chosen)
        labels, answers, facts["labels"] = _relabelled(workspace, data, chosen)
        responses = answers | responses  # a response that a person wrote goes before one that a rule changed
    return write(data, chosen, to, out, overwrite, facts, progress, responses, labels)


def _relabelled(
    workspace: Workspace, data: Dataset, chosen: Sequence[str]
) -> tuple[dict[str, dict[str, str]], dict[str, str], list[dict]]:
    """(column -> record_id -> label, record_id -> response that was the label, what the manifest says of each) among these records."""
    column = str(params_of(workspace, "labels")["column"])
    wanted = set(chosen)
    changes = {one: change for one, change in changes_in_force(workspace, column).items() if one in wanted}
    if not changes:
        return {}, {}, []
    imported = dict(zip(data.ids(), data.column(column).to_pylist(), strict=True))
    changes = {one: change for one, change in changes.items() if str(imported[one]) == change.before}
    answers = label_fixes(data, changes, chosen)
    rows = select(data, list(answers)).rows(["record_id", "messages", "response"]) if answers else ()
    answers = {row["record_id"]: answers[row["record_id"]] for row in rows if correctable(row)}
    told = [
        {
            "record_id": one, "column": column, "original": change.before, "label": change.after, "entry": change.entry,
            "by": change.by, "response_too": one in answers,
        }
        for one, change in changes.items()
    ]  # fmt: skip
    return {column: {one: change.after for one, change in changes.items()}}, answers, told


def corrected(data: Dataset, store: Store, chosen: Sequence[str]) -> tuple[dict[str, str], list[dict], list[dict]]:
    """(record_id -> accepted response, what the manifest says of each, those that cannot be put in and why) among these records."""
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
