"""Writing the file: what it will look like and weigh, where it goes, and what was written."""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import streamlit as st

from core import jobs
from core.actions.decisions import open_reviews
from core.actions.exporting import export_records, first_written, split_path
from core.actions.inforce import Corrections, corrections_of
from core.dataset.ids import Names
from core.dataset.selected import Selected
from core.dataset.writing import FORMATS, suffix_of
from core.errors import QuadrantError
from core.review.ledger import newest
from core.workspace import Dataset, Workspace
from pages.ui import state
from pages.ui.export_lists import asking, plural
from pages.ui.jobs import launch
from pages.ui.safe import literal, short, visible

BLOCKS, EACH = 8, 25  # runs of neighbouring records that are written to tell the size before the export
PREVIEW = 4_000  # characters of the first record
AT_ONCE = 20_000  # records that are written while the page waits; more of them are a job
DOWNLOAD = 200 * 2**20  # bytes; a larger file is left where it is
BINARY = (".parquet", ".xlsx")
MIME = {
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
}


@dataclass(frozen=True)
class Choice:
    """What is to be written: `rows` of the dataset in their order, none of them removed. `subset`: by its name in the store."""

    title: str
    rows: np.ndarray
    names: Names  # record ids of the dataset
    subset: str | None = None
    left_out: int = 0  # removed by the ledger
    lost: int = 0  # not in this version of the data
    corrections: bool = False  # accepted corrected responses and changed labels take the place of the imported ones
    how: Mapping[str, Any] = field(
        default_factory=dict
    )  # splits, preflight and card, as pages.ui.export_how asked for them

    @cached_property
    def ids(self) -> Names:
        """The record ids in their order."""
        return Names(self.names.array.take(pa.array(self.rows)))

    @cached_property
    def mark(self) -> str:
        """Changes when other records, or the same in another order, are chosen: for caches."""
        return hashlib.blake2b(np.ascontiguousarray(self.rows).tobytes(), digest_size=12).hexdigest()


def size_text(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


@st.cache_data(max_entries=32, show_spinner="Writing the first record…")
def _first(key: tuple, to: str, _data: Dataset, _choice: "Choice", _how: Mapping[str, Any]) -> tuple[int, bytes]:
    """How many records before the first one are left out, and that one as it is written."""
    store = open_reviews(state.workspace())
    return first_written(
        _data, store, _choice.rows, to, _choice.corrections, _how["leave_out"], _how["limit"], _how["tokenizer"]
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _estimate(
    digest: str, ids: tuple[str, ...], to: str, count: int, marks: tuple, _data: Dataset, edits: bool
) -> float:
    """Bytes of `count` records, from those of `ids`."""
    out = io.BytesIO()
    found = corrections_of(_data, open_reviews(state.workspace()), ids) if edits else Corrections()
    FORMATS[to].write(Selected(_data, _data.index.rows(ids), found.responses, found.labels), out)
    return len(out.getvalue()) * count / len(ids)


def _sample(ids: Names) -> tuple[str, ...]:
    """A few runs of neighbours, evenly spaced: near each other in the file, so that little of it is read."""
    if len(ids) <= BLOCKS * EACH:
        return tuple(ids)
    starts = np.linspace(0, len(ids) - EACH, BLOCKS).astype(int)
    return tuple(ids[k] for k in np.unique(starts[:, None] + np.arange(EACH)))


def preview(data: Dataset, choice: Choice, to: str) -> None:
    """The first record exactly as it will be written, and about how large all of it is."""
    how = {name: choice.how.get(name) for name in ("leave_out", "limit", "tokenizer")}
    marks = newest(open_reviews(state.workspace()))
    ending = suffix_of(data, to)
    st.markdown("**The first record, as it will be written**")
    try:
        key = (str(data.path), data.digest, choice.mark, choice.corrections, *how.values(), marks)
        skipped, content = _first(key, to, data, choice, how)
        if ending in BINARY:
            _cells(content, ending)
        else:
            text = "\n".join(visible(line) for line in content.decode("utf-8", "replace").split("\n"))
            language = "json" if ending in (".json", ".jsonl") else None
            st.code(
                text[:PREVIEW] + (" …" if len(text) > PREVIEW else ""), language=language, wrap_lines=True, height=280
            )
            if len(text) > PREVIEW:
                st.caption(f"The first {PREVIEW:,} of {len(text):,} characters.")
        if skipped:
            st.caption(
                f"{plural(skipped)} before it {'is' if skipped == 1 else 'are'} left out: the trainer would drop or refuse."
            )
        if choice.how.get("split"):
            st.caption("It goes into one of the splits; each file begins with its own first record.")
        _weight(data, choice, to, marks)
    except QuadrantError as error:
        st.warning(literal(error, 400))


def _weight(data: Dataset, choice: Choice, to: str, marks: tuple) -> None:
    """How many records are written, and about how large the file is."""
    count, lost = len(choice.ids), choice.how.get("lost")
    sample = _sample(choice.ids)
    weight = _estimate(data.digest, sample, to, count - (lost or 0), marks, data, choice.corrections)
    said = f"{count:,} records"
    if choice.how.get("leave_out"):
        said = f"{count - lost:,} of {count:,} records, {lost:,} left out" if lost is not None else (
            f"Up to {count:,} records: how many are left out is known when they are checked")  # fmt: skip
    exact = len(sample) == count and not choice.how.get("leave_out")
    how = "" if exact else f", estimated from {len(sample):,} of them"
    st.caption(f"{said}, {'' if exact else 'about '}{size_text(weight)}{how}.")


def _cells(content: bytes, ending: str) -> None:
    """One row of a table file, a line a column."""
    if ending == ".parquet":
        import pyarrow.parquet as pq

        row = pq.read_table(io.BytesIO(content)).to_pylist()[0]
    else:
        from openpyxl import load_workbook

        head, values = list(load_workbook(io.BytesIO(content), read_only=True).active.iter_rows(values_only=True))[:2]
        row = dict(zip(head, values, strict=False))
    st.dataframe(
        {"column": [short(k) for k in row], "value": ["" if v is None else short(v, 300) for v in row.values()]},
        hide_index=True, width="stretch",
    )  # fmt: skip


def default_path(workspace: Workspace, data: Dataset, choice: Choice, to: str) -> Path:
    """A free name in the workspace's folder of exports."""
    stem = f"{state.name_for(Path(data.name))}-{state.safe_name(choice.title.partition('(')[0])[:40].strip('-') or 'selection'}"
    stem += "" if to == "original" else f"-{to}"
    folder, ending = workspace.path / "exports", suffix_of(data, to)
    number, path = 1, folder / f"{stem}{ending}"
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{ending}"
    return path


def targets(choice: Choice, path: Path) -> list[Path]:
    """The files that an export to this path writes."""
    split = choice.how.get("split")
    return [split_path(path, name) for name in split.shares] if split else [path]


def write(workspace: Workspace, choice: Choice, to: str, path: Path, overwrite: bool = False) -> None:
    """Write the file and remember what was written, or say why not. A large export is a job, whose end the result waits for."""
    how = choice.how
    try:
        if path.parent == workspace.path / "exports":
            path.parent.mkdir(exist_ok=True)
        if len(choice.ids) > AT_ONCE:
            _launch(workspace, choice, to, path, overwrite)
            return
        with st.spinner(f"Writing {len(choice.ids):,} records…"):
            ids = None if choice.subset else choice.ids
            manifest = export_records(
                workspace, to, path, choice.subset, ids, choice.title, overwrite, corrections=choice.corrections,
                leave_out=how.get("leave_out", False), limit=how.get("limit"), tokenizer=how.get("tokenizer"),
                split=how.get("split"), card=how.get("card", False),
            )  # fmt: skip
            # Inside: leaving the spinner is where a press elsewhere ends this run, and the file is written by then.
            state.remember("export.done", {"workspace": str(workspace.path), "path": str(path), "manifest": manifest})
    except (QuadrantError, OSError) as error:
        st.error(literal(state.refused(error), 500))
        return
    st.rerun()


def _launch(workspace: Workspace, choice: Choice, to: str, path: Path, overwrite: bool) -> None:
    """The same as a job of its own."""
    how, split = choice.how, choice.how.get("split")
    command = ["export", "--to", to, "--out", str(path), "--title", choice.title]
    if choice.subset:
        command += ["--subset", choice.subset]
    else:
        listed = workspace.path / "exports" / f"ids-{os.urandom(6).hex()}.json"
        listed.parent.mkdir(exist_ok=True)
        listed.write_text(json.dumps(list(choice.ids)), "utf-8")
        command += ["--ids", str(listed)]
    command += ["--overwrite"] * overwrite + ["--corrections"] * choice.corrections
    command += ["--leave-out"] * bool(how.get("leave_out")) + ["--card"] * bool(how.get("card"))
    command += ["--limit", str(how["limit"])] if how.get("limit") else []
    command += ["--tokenizer", str(how["tokenizer"])] if how.get("tokenizer") else []
    if split:
        shares = ",".join(f"{name}={100 * share:.10g}" for name, share in split.shares.items())
        command += ["--split", shares, "--seed", str(split.seed), "--stratify", split.stratify]
        command += [word for name in split.group_by for word in ("--group", name)]
    state.remember(
        "export.done", {"workspace": str(workspace.path), "path": str(path), "manifest": None, "split": bool(split)}
    )
    launch(command, f"Export {path.name}")


@st.dialog("Replace the file?", on_dismiss=asking)
def ask(workspace: Workspace, choice: Choice, to: str, path: Path) -> None:
    """An existing file is replaced only after this question."""
    there = [one for one in targets(choice, path) if one.is_file()]
    for one in there:
        st.text(f"{one} ({size_text(one.stat().st_size)})")
    many = "There is a file of this name already. Replace it, with the manifest" if len(there) == 1 else (
        f"There are {len(there)} files of these names already. Replace them, with the manifests")  # fmt: skip
    st.markdown(f"{many} beside it?")
    left, right = st.columns(2)
    if left.button("Replace", key="export.replace", type="primary", width="stretch"):
        asking()
        write(workspace, choice, to, path, overwrite=True)
    if right.button("Keep it", key="export.replace_not", width="stretch"):
        asking()
        st.rerun()


def done(workspace: Workspace) -> None:
    """What the last export of this session wrote: where, how much, its digest, its manifest, and the download."""
    last = state.remembered("export.done", None)
    if not last or last["workspace"] != str(workspace.path):
        return
    path, manifest = Path(last["path"]), last["manifest"] or _of_job(workspace, last)
    if manifest is None:
        return
    if "files" in manifest:
        _done_split(path, manifest)
        return
    with st.container(border=True, key="export.result"):
        st.markdown(
            f":green[:material/check_circle:] **{manifest['records']:,} records written**, {size_text(manifest['bytes'])}"
        )
        st.code(str(path), language=None)
        st.caption(f"SHA-256 `{manifest['sha256']}`")
        _edits(manifest)
        for one in manifest["subset"].get("corrections_left_out", ())[:5]:
            st.markdown(f":material/info: {literal(one['record_id'])} left as imported: {literal(one['why'], 200)}")
        for note in manifest["notes"]:
            st.markdown(f":material/info: {literal(note, 300)}")
        _left_out(manifest)
        beside = [
            f"{path.name}.manifest.json",
            *manifest["beside"],
            *([manifest["card"]] if manifest.get("card") else []),
        ]
        st.caption(literal(f"Beside it: {', '.join(beside)}", 300))
        left, right, _ = st.columns([1, 1, 1])
        if not path.is_file():
            st.warning("The file is no longer there.")
        elif path.stat().st_size > DOWNLOAD:
            st.caption(f"Larger than {size_text(DOWNLOAD)}: take it from its folder.")
        else:
            left.download_button(
                "Download", path.read_bytes, path.name, MIME.get(path.suffix, "application/octet-stream"),
                key="export.download", icon=":material/download:", on_click="ignore", width="stretch",
            )  # fmt: skip
        beside_path = path.with_name(f"{path.name}.manifest.json")
        if beside_path.is_file():
            right.download_button(
                "Download the manifest", beside_path.read_bytes, beside_path.name, "application/json",
                key="export.download_manifest", on_click="ignore", width="stretch",
            )  # fmt: skip
        with st.expander("Manifest"):
            st.json(manifest, expanded=1)


def _of_job(workspace: Workspace, last: Mapping[str, Any]) -> dict | None:
    """The manifest that a finished job wrote; None while it runs, or when it failed (the side bar says so)."""
    path = Path(last["path"])
    job = jobs.latest(workspace)
    if job is None or job.active or not job.title.endswith(path.name):
        return None
    if last.get("split"):
        parts = sorted(path.parent.glob(f"{path.name.split('.')[0]}-*.manifest.json"))
        if job.state != "done" or not parts:
            return None
        files = {}
        for one in parts:
            manifest = json.loads(one.read_text("utf-8"))
            if "split" in manifest["subset"]:
                files[manifest["subset"]["split"]] = manifest
        if not files:
            return None
        first = next(iter(files.values()))
        return {"records": sum(f["records"] for f in files.values()), "splits": first["subset"]["splits"], "files": files,
                "subset": first["subset"], "notes": first["notes"]}  # fmt: skip
    try:
        return (
            json.loads(path.with_name(f"{path.name}.manifest.json").read_text("utf-8")) if job.state == "done" else None
        )
    except (OSError, ValueError):
        return None


def _done_split(path: Path, manifest: Mapping[str, Any]) -> None:
    """What an export in splits wrote, and how near it came to what was asked."""
    facts = manifest["splits"]
    with st.container(border=True, key="export.result"):
        st.markdown(
            f":green[:material/check_circle:] **{manifest['records']:,} records written** in {len(manifest['files'])} splits"
        )
        st.dataframe(
            {
                "split": list(manifest["files"]),
                "file": [one["file"] for one in manifest["files"].values()],
                "records": [one["records"] for one in manifest["files"].values()],
                "asked": [f"{100 * facts['splits'][name]['asked']:.1f} %" for name in manifest["files"]],
                "got": [f"{100 * facts['splits'][name]['share']:.2f} %" for name in manifest["files"]],
                "SHA-256": [one["sha256"] for one in manifest["files"].values()],
            },
            hide_index=True, width="stretch",
        )  # fmt: skip
        groups = f"{facts['groups']:,} groups, {facts['groups_of_several']:,} of several records"
        told = [
            f"Groups by {', '.join(facts['grouped_by'])} stay whole: {groups}, the largest of {facts['largest_group']:,}."
        ]
        if "near_duplicates_across" in facts:
            told.append(f"{facts['near_duplicates_across']:,} near-duplicate pairs lie in two splits.")
        if facts.get("worst_stratum"):
            worst = facts["worst_stratum"]
            got = f"{worst['records']:,} records instead of {worst['asked']:.1f}"
            told.append(f"Furthest from its share: {worst['stratum']} in {worst['split']}, {got}.")
        st.caption(literal(" ".join(told), 600))
        st.code(str(path.parent), language=None)
        _edits(manifest)
        _left_out(manifest)
        for note in manifest["notes"]:
            st.markdown(f":material/info: {literal(note, 300)}")
        with st.expander("Manifest"):
            st.json(dict(manifest), expanded=1)


def _edits(manifest: Mapping[str, Any]) -> None:
    """What was put in, and where a source row stands for several records."""
    chosen = manifest["subset"]
    for kind, what in (("corrections", "corrected responses"), ("labels", "changed labels")):
        if chosen.get(kind):
            st.markdown(
                f":material/edit_note: {len(chosen[kind]):,} {what} written; the originals are in the manifest."
            )
    if manifest.get("rows", manifest["records"]) != manifest["records"]:
        st.markdown(
            f":material/info: {manifest['rows']:,} rows of the source: one that gave several records is written once."
        )


def _left_out(manifest: Mapping[str, Any]) -> None:
    left = manifest["subset"].get("preflight", {}).get("left_out")
    if left:
        count = "1 record" if len(left) == 1 else f"{len(left):,} records"
        st.markdown(f":material/info: {count} left out that the trainer would refuse or drop; the manifest names them.")
