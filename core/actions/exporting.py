"""An export of a workspace: which records, in which order, in which splits, and what manifest and card say of the choice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from core.actions.card import put_card
from core.actions.decisions import open_reviews
from core.actions.frame import has_values
from core.actions.inforce import Corrections, corrections_of
from core.dataset.columns import FIELD_PREFIX
from core.dataset.preflight import LIMITS, Preflight, checkable
from core.dataset.preflight import preflight as preflight_of
from core.dataset.selected import Selected, select
from core.dataset.splitting import Split, joined, split_by_group
from core.dataset.writing import FORMATS, check_target, refuse_edits, write_selected
from core.errors import InputError, MissingInput
from core.progress import Progress, part, silent
from core.quality.duplicates import canonical_text, load_pairs
from core.review.ledger import ledger, removed_ids
from core.review.schema import Store
from core.review.subsets import subset as subset_of
from core.review.subsets import subset_ids
from core.steps import current
from core.workspace import Dataset, Workspace

NEAR, PROMPT = "duplicates", "prompt"
"""Groups of a split: near-duplicates as found by the step, or equal prompts; anything else names a column."""


@dataclass(frozen=True)
class Splitting:
    """How an export is split: {name: share}, by groups that stay whole, stratified by a column ("" = not)."""

    shares: Mapping[str, float]
    group_by: tuple[str, ...] = ()  # NEAR, PROMPT, column names; () = the best that is there
    stratify: str = "category"
    seed: int = 0


@dataclass(frozen=True)
class Chosen:
    """What an export writes, before it is written: `ids` in their order, edits to put in, and what the manifest says of it."""

    data: Dataset
    ids: list[str]
    facts: dict[str, Any]
    responses: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def selected(self) -> Selected:
        return select(self.data, self.ids, self.responses, self.labels)


def export_records(
    workspace: Workspace,
    to: str,
    out: str | Path,
    subset: str | None = None,
    ids: Sequence[str] | None = None,
    title: str = "",
    overwrite: bool = False,
    progress: Progress = silent,
    corrections: bool = False,
    leave_out: bool = False,
    limit: int | None = None,
    tokenizer: str | None = None,
    split: Splitting | None = None,
    card: bool = False,
) -> dict:
    """Write a named subset, given ids (in their order), or everything but the removed records; returns the manifest.

    Records that a ledger entry in force removes are never written, also not as part of a subset; the manifest counts them.
    `corrections`: accepted edits (`core.review.edits`) take the place of what was imported; the manifest keeps each original beside
    who proposed and who accepted it, and names those that could not be put in. Labels that a rule of the ledger changed
    (`core.actions.relabelling`) are written too, also where the whole response was the old label.
    `leave_out`: records that the trainer would refuse or drop (`core.dataset.preflight`, at `limit` tokens by `tokenizer`) are not
    written and named in the manifest. `split`: a file for each split, `out` with its name before the ending; the manifest returned
    then holds theirs under "files". `card`: a dataset card in Markdown beside it.
    """
    out = Path(out).expanduser()
    found = choose(workspace, subset, ids, title, corrections)
    targets = {name: split_path(out, name) for name in split.shares} if split else {"": out}
    for path in targets.values():
        check_target(found.data, to, path, overwrite)
    chosen, facts = found.selected(), dict(found.facts)
    checked, written = None, list(found.ids)
    if leave_out and checkable(to):
        checked = preflight_of(chosen, to, limit, tokenizer, part(progress, 0.0, 0.4))
        lost = set(checked.lost)
        keep = np.array([n for n, one in enumerate(written) if one not in lost], np.int64)
        if not len(keep):
            raise InputError(
                f"No record is left: the trainer would drop all {len(written):,}. See the preflight of the export."
            )
        chosen, written = chosen.part(keep), [written[n] for n in keep.tolist()]
        facts["preflight"] = checked.to_json() | {"left_out": list(checked.lost)}
    rest = part(progress, 0.4 if checked else 0.0, 1.0)
    if split is None:
        manifest = write_selected(chosen, written, to, out, overwrite, facts, rest)
    else:
        manifest = _write_split(workspace, found.data, chosen, written, to, targets, overwrite, facts, split, rest)
    if card:
        manifest["card"] = put_card(workspace, manifest, out, checked)
    return manifest


def choose(
    workspace: Workspace,
    subset: str | None = None,
    ids: Sequence[str] | None = None,
    title: str = "",
    corrections: bool = False,
) -> Chosen:
    """The records of an export, and what its manifest says of the choice. InputError when none is left."""
    data = workspace.need("training")
    store = open_reviews(workspace)
    known, removed = set(data.ids()), removed_ids(store)
    facts: dict[str, Any] = {"name": title or "everything but the removed records"}
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
    chosen = [i for i in wanted if i in known and i not in removed]
    if not chosen:
        raise InputError("There is nothing to export: the selection is empty, or all of its records were removed.")
    facts["left_out_as_removed"] = sum(i in known and i in removed for i in wanted)
    facts["not_in_this_version"] = sum(i not in known for i in wanted)
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
    responses: Mapping[str, str] = {}
    labels: Mapping[str, Mapping[str, str]] = {}
    if corrections:
        found = corrections_of(data, store, chosen)
        responses, labels = found.responses, found.labels
        facts["corrections"], facts["corrections_left_out"] = list(found.corrections), list(found.left_out)
        facts["labels"] = list(found.relabels)
    return Chosen(data, chosen, facts, responses, labels)


def check(
    workspace: Workspace,
    to: str,
    subset: str | None = None,
    ids: Sequence[str] | None = None,
    corrections: bool = False,
    limit: int | None = None,
    tokenizer: str | None = None,
    progress: Progress = silent,
) -> Preflight:
    """What the trainer of a format would drop, cut or refuse of an export, nothing written."""
    if not checkable(to):
        raise InputError(f"{to!r} is no trainer's format, so it drops nothing. Trainers' formats: {', '.join(LIMITS)}.")
    return preflight_of(choose(workspace, subset, ids, "", corrections).selected(), to, limit, tokenizer, progress)


AHEAD = 50
"""Records that are looked at together for the first one that a trainer takes."""


def first_written(
    data: Dataset, store: Store, rows: np.ndarray, to: str, corrections: bool = False, leave_out: bool = False,
    limit: int | None = None, tokenizer: str | None = None,
) -> tuple[int, bytes]:  # fmt: skip
    """(n, the file with the first record alone as an export of these rows writes it); n: how many before it are left out.

    `rows` (n,) of records.parquet in the order of the export. In the shape of the whole: keys that another record has stand there
    too. InputError when the format cannot take it, or when the trainer would drop every record.
    """
    ids = data.column("record_id")

    def chosen(some: np.ndarray) -> Selected:
        named = ids.take(some).to_pylist()
        found = corrections_of(data, store, named) if corrections else Corrections()
        return Selected(data, some, found.responses, found.labels, shape)

    shape = Selected(data, rows).shape if checkable(to) else None
    at = 0
    if leave_out and checkable(to):
        while at < len(rows):
            some = rows[at : at + AHEAD]
            lost = set(preflight_of(chosen(some), to, limit, tokenizer).lost)
            able = [n for n, one in enumerate(ids.take(some).to_pylist()) if one not in lost]
            if able:
                at += able[0]
                break
            at += len(some)
        else:
            raise InputError(f"No record is left: the trainer would drop all {len(rows):,}. See the preflight below.")
    first, out = chosen(rows[at : at + 1]), BytesIO()
    refuse_edits(first, to)
    FORMATS[to].write(first, out)
    return at, out.getvalue()


# -- splits -------------------------------------------------------------------------------------------------------------------


def split_path(out: Path, name: str) -> Path:
    """`data.jsonl` -> `data-train.jsonl`; the ending .gz stays last."""
    stem, packed = (out.name[:-3], ".gz") if out.name.endswith(".gz") else (out.name, "")
    head, dot, ending = stem.rpartition(".")
    return out.with_name((f"{head}-{name}.{ending}" if head else f"{stem}-{name}") + packed)


def split_records(workspace: Workspace, data: Dataset, ids: Sequence[str], how: Splitting) -> Split:
    """The splits of these records. MissingInput: near-duplicates were not computed; InputError: a column is not there."""
    at = {one: n for n, one in enumerate(data.ids())}
    rows = np.array([at[one] for one in ids], np.int64)
    near = current(workspace, "duplicates")
    group_by = how.group_by or ((NEAR,) if near else (PROMPT,))
    columns = [_groups(workspace, data, name, near)[rows] for name in group_by]
    strata = None
    if how.stratify and (how.stratify != "category" or has_values(data, "category")):
        strata = ["" if v is None else str(v) for v in _column(data, how.stratify)[rows]]
    found = split_by_group(joined(*columns), how.shares, how.seed, strata)
    facts = dict(found.facts) | {
        "grouped_by": [grouping_title(name) for name in group_by],
        "stratified_by": how.stratify if strata else None,
    }
    if near:
        facts["near_duplicates_across"] = _across(near, found, rows, data.count)
        facts["similarity"] = float(near.info["threshold"])
    return Split(found.names, found.of, facts)


def grouping_title(name: str) -> str:
    """A grouping in words."""
    known = {NEAR: "near-duplicates", PROMPT: "equal prompts"}
    return known.get(name, name.removeprefix(FIELD_PREFIX))


def group_columns(data: Dataset) -> list[str]:
    """Columns that can group or stratify: those with a value in more than one record."""
    names = ["category", "language", "annotator", *(n for n in data.columns if n.startswith(FIELD_PREFIX))]
    return [name for name in names if has_values(data, name)]


def _groups(workspace: Workspace, data: Dataset, name: str, near) -> np.ndarray:
    """(N,) object: what binds a record to others."""
    if name == NEAR:
        if near is None:
            raise MissingInput(
                "Splits by near-duplicates need the step `duplicates`. Run it first, or group by equal prompts."
            )
        return np.asarray(near.table(["group"]).column(0).to_numpy(zero_copy_only=False)).astype(object)
    if name == PROMPT:
        texts = data.column("prompt").to_pylist()
        return np.array([canonical_text(text or "") for text in texts] + [None], dtype=object)[:-1]
    return _column(data, name)


def _column(data: Dataset, name: str) -> np.ndarray:
    full = name if name in data.columns else FIELD_PREFIX + name
    if full not in data.columns:
        raise InputError(
            f"There is no column {name!r} to split by. Columns: {', '.join(grouping_title(n) for n in group_columns(data)[:30])}."
        )
    return pc.cast(data.column(full), "string").to_numpy(zero_copy_only=False).astype(object)


def _across(near, found: Split, rows: np.ndarray, count: int) -> int:
    """Pairs at or over the threshold whose two records came into different splits."""
    of = np.full(count, -1, np.int16)
    of[rows] = found.of
    pairs = load_pairs(near).over(near.info["threshold"])
    left, right = of[pairs.left], of[pairs.right]
    return int(((left >= 0) & (right >= 0) & (left != right)).sum())


def _write_split(
    workspace: Workspace, data: Dataset, chosen: Selected, ids: list[str], to: str, targets: Mapping[str, Path], overwrite: bool,
    facts: dict, how: Splitting, progress: Progress,
) -> dict:  # fmt: skip
    found = split_records(workspace, data, ids, how)
    empty = [name for name in found.names if not len(found.rows(name))]
    if empty:
        raise InputError(
            f"The split {empty[0]!r} would be empty: too few groups. Give it a larger share, or group by something finer."
        )
    files, done = {}, 0.0
    for name, path in targets.items():
        rows = found.rows(name)
        part_facts = facts | {"split": name, "splits": dict(found.facts)}
        own = {ids[n] for n in rows.tolist()}
        part_facts |= {
            k: [c for c in facts[k] if c["record_id"] in own] for k in ("corrections", "labels") if k in facts
        }
        share = len(rows) / len(ids)
        own_ids, watched = [ids[n] for n in rows.tolist()], part(progress, done, min(1.0, done + share))
        files[name] = write_selected(chosen.part(rows), own_ids, to, path, overwrite, part_facts, watched)
        done += share
    first = next(iter(files.values()))
    return {
        "records": sum(one["records"] for one in files.values()), "bytes": sum(one["bytes"] for one in files.values()),
        "format": to, "splits": dict(found.facts), "files": files, "subset": facts, "created": first["created"],
        "dataset": first["dataset"], "source": first["source"],
        "notes": list(dict.fromkeys(note for one in files.values() for note in one["notes"])),
    }  # fmt: skip
