"""An export of a workspace: which records, in which order, and what the manifest says of the choice."""

from pathlib import Path

from core.dataset.writing import write
from core.decisions import open_reviews
from core.errors import InputError
from core.progress import Progress, silent
from core.review.ledger import ledger, removed_ids
from core.review.subsets import subset as subset_of
from core.review.subsets import subset_ids
from core.workspace import Workspace


def export_records(
    workspace: Workspace,
    to: str,
    out: str | Path,
    subset: str | None = None,
    ids: list[str] | tuple[str, ...] | None = None,
    title: str = "",
    overwrite: bool = False,
    progress: Progress = silent,
) -> dict:
    """Write a named subset, given ids (in their order), or everything but the removed records; returns the manifest.

    Records that a ledger entry in force removes are never written, also not as part of a subset; the manifest counts them.
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
    return write(data, chosen, to, out, overwrite, facts, progress)
