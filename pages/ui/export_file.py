"""Writing the file: what it will look like and weigh, where it goes, and what was written."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from core.dataset.selected import Selected
from core.dataset.writing import FORMATS, suffix_of
from core.decisions import open_reviews
from core.errors import QuadrantError
from core.exporting import corrected, export_records
from core.workspace import Dataset, Workspace
from pages.ui import records, state
from pages.ui.export_lists import asking
from pages.ui.safe import literal, short, visible

BLOCKS, EACH = 8, 25  # runs of neighbouring records that are written to tell the size before the export
PREVIEW = 4_000  # characters of the first record
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
    """What is to be written: `ids` in their order, none of them removed or unknown. `subset`: by its name in the store."""

    title: str
    ids: tuple[str, ...]
    subset: str | None = None
    left_out: int = 0  # removed by the ledger
    lost: int = 0  # not in this version of the data
    corrections: bool = False  # accepted corrected responses take the place of the imported ones


def size_text(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _written(data: Dataset, ids: tuple[str, ...], to: str, responses: dict[str, str] | None = None) -> bytes:
    at, out = records.positions(data), io.BytesIO()
    FORMATS[to].write(Selected(data, np.array([at[i] for i in ids], np.int64), responses or {}), out)
    return out.getvalue()


@st.cache_data(max_entries=64, show_spinner=False)
def _preview(digest: str, record_id: str, to: str, response: str | None, _data: Dataset) -> bytes:
    return _written(_data, (record_id,), to, None if response is None else {record_id: response})


@st.cache_data(max_entries=64, show_spinner=False)
def _estimate(digest: str, ids: tuple[str, ...], to: str, count: int, _data: Dataset) -> float:
    """Bytes of `count` records, from those of `ids`."""
    return len(_written(_data, ids, to)) * count / len(ids)


def _sample(ids: tuple[str, ...]) -> tuple[str, ...]:
    """A few runs of neighbours, evenly spaced: near each other in the file, so that little of it is read."""
    if len(ids) <= BLOCKS * EACH:
        return ids
    starts = np.linspace(0, len(ids) - EACH, BLOCKS).astype(int)
    return tuple(ids[k] for k in np.unique(starts[:, None] + np.arange(EACH)))


def preview(data: Dataset, choice: Choice, to: str) -> None:
    """The first record exactly as it will be written, and about how large all of it is."""
    sample = _sample(choice.ids)
    ending = suffix_of(data, to)
    st.markdown("**The first record, as it will be written**")
    try:
        first = choice.ids[0]
        responses = corrected(data, open_reviews(state.workspace()), [first])[0] if choice.corrections else {}
        content = _preview(data.digest, first, to, responses.get(first), data)
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
        weight = _estimate(data.digest, sample, to, len(choice.ids), data)
    except QuadrantError as error:
        st.warning(literal(error, 400))
        return
    exact = len(sample) == len(choice.ids)
    how = "" if exact else f", estimated from {len(sample):,} of them"
    st.caption(f"{len(choice.ids):,} records, {'' if exact else 'about '}{size_text(weight)}{how}.")


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


def write(workspace: Workspace, choice: Choice, to: str, path: Path, overwrite: bool = False) -> None:
    """Write the file and remember what was written, or say why not."""
    try:
        if path.parent == workspace.path / "exports":
            path.parent.mkdir(exist_ok=True)
        with st.spinner(f"Writing {len(choice.ids):,} records…"):
            ids = None if choice.subset else choice.ids
            manifest = export_records(
                workspace, to, path, choice.subset, ids, choice.title, overwrite, corrections=choice.corrections
            )
    except (QuadrantError, OSError) as error:
        st.error(literal(error, 500))
        return
    state.remember("export.done", {"workspace": str(workspace.path), "path": str(path), "manifest": manifest})
    st.rerun()


@st.dialog("Replace the file?", on_dismiss=asking)
def ask(workspace: Workspace, choice: Choice, to: str, path: Path) -> None:
    """An existing file is replaced only after this question."""
    st.text(str(path))
    st.markdown(
        f"There is a file of this name already, {size_text(path.stat().st_size)}. Replace it, with the manifest beside it?"
    )
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
    path, manifest = Path(last["path"]), last["manifest"]
    with st.container(border=True, key="export.result"):
        st.markdown(
            f":green[:material/check_circle:] **{manifest['records']:,} records written**, {size_text(manifest['bytes'])}"
        )
        st.code(str(path), language=None)
        st.caption(f"SHA-256 `{manifest['sha256']}`")
        put_in = manifest["subset"].get("corrections", ())
        if put_in:
            st.markdown(f":material/edit_note: {len(put_in):,} corrected responses; the originals are in the manifest.")
        for one in manifest["subset"].get("corrections_left_out", ())[:5]:
            st.markdown(f":material/info: {literal(one['record_id'])} left as imported: {literal(one['why'], 200)}")
        for note in manifest["notes"]:
            st.markdown(f":material/info: {literal(note, 300)}")
        beside = [f"{path.name}.manifest.json", *manifest["beside"]]
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
