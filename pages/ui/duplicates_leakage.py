"""Training records that stand in what a model is judged by: the sets, the records, side by side, and taking them out."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import streamlit as st

from core.quality.leakage import BY, OTHERS, leaking
from core.steps import current, params_of, set_params
from core.workspace import Dataset, Result, Workspace
from pages.ui import jobs, removal, state
from pages.ui.diff import side_by_side
from pages.ui.duplicates_contradictions import facts
from pages.ui.records import rows_of
from pages.ui.safe import literal, short
from pages.ui.tables import pager

NAMES = {"embedding": "Meaning (embedding)", "words": "Words (shingles)", "both": "Either"}
SETS = {
    "validation": "validation set",
    "gold": "gold set",
    "production": "production sample",
    "files": "benchmark file",
}


@st.cache_resource(max_entries=4, show_spinner=False)
def _table(path: str, _result: Result) -> pa.Table:
    return _result.table().combine_chunks()


@st.cache_resource(max_entries=16, show_spinner=False)
def _hits(path: str, threshold: float, words: float, by: str, mask: bytes, _result: Result, _data: Dataset) -> pa.Table:
    """The rows that leak at these thresholds; of training only records that are kept, the most alike first."""
    table = _table(path, _result)
    table = table.filter(pa.array(leaking(table, threshold, words, by)))
    kept, rows = np.frombuffer(mask, bool), _data.index.rows(table["record_id"])
    other = pc.equal(table["side"], "other").to_numpy()
    table = table.filter(pa.array(other | ((rows >= 0) & kept[rows])))
    key = table["words"] if by == "words" else table["similarity"]
    order = np.argsort(-np.nan_to_num(key.to_numpy(), nan=-1.0), kind="stable")
    return table.take(pa.array(order))


def draw(workspace: Workspace, data: Dataset, kept: np.ndarray) -> None:
    result = current(workspace, "leakage")
    if result is None:
        if (
            any(workspace.dataset(role) for role in ("validation", "gold", "production"))
            or params_of(workspace, "leakage")["files"]
        ):
            jobs.waiting_for("leakage", "Leakage")
        else:
            st.write("There is no validation, gold or production set that training could be held against.")
            st.page_link("pages/data.py", label="Import one on the data page", icon=":material/folder_open:")
        _files(workspace)
        return
    by, threshold, words = _settings(workspace, result)
    hits = _hits(str(result.path), threshold, words, by, kept.tobytes(), result, data)
    _sets(result, hits)
    _files(workspace)
    names = list(result.info["sets"])
    counted = [name for name in names if result.info["sets"][name]["counted"]]
    asked = st.selectbox(
        "Records that leak into", [None, *names], key="duplicates.leak.set",
        format_func=lambda name: f"any counted set ({', '.join(counted) or 'none'})" if name is None else short(name, 80),
    )  # fmt: skip
    wanted = pa.array(counted if asked is None else [asked], pa.string())
    mine = hits.filter(pc.and_(pc.equal(hits["side"], "training"), pc.is_in(hits["set"], wanted)))
    if not mine.num_rows:
        st.success("No kept training record leaks here at this threshold.", icon=":material/check_circle:")
        return
    _actions(pc.unique(mine["record_id"]), asked)
    _list(data, result, mine, by)


def _settings(workspace: Workspace, result: Result) -> tuple[str, float, float]:
    info = result.info
    by = (
        st.segmented_control("Compare by", BY, default=info["by"], format_func=NAMES.get, key="duplicates.leak.by")
        or info["by"]
    )
    floor = max([one["floor"] for one in info["sets"].values()] or [0.8])
    low = max([one["words_floor"] for one in info["sets"].values()] or [0.4])
    threshold, words = info["threshold"], info["words"]
    middle, right = st.columns(2)
    if by == "words":
        middle, right = right, middle
    if by != "words":
        threshold = middle.slider("Similarity from which a record leaks", min(floor, 0.99), 1.0, max(floor, threshold), 0.01,
                                  format="%.2f", key="duplicates.leak.threshold")  # fmt: skip
    if by != "embedding":
        words = right.slider("Shared wording from which a record leaks", min(low, 0.95), 1.0, max(low, words), 0.05,
                             format="%.2f", key="duplicates.leak.words")  # fmt: skip
    st.caption(
        f"Compared is the {literal(info['text'])} of every record with every other one. Equal texts always leak. Near texts are "
        "found by cosine similarity, or by the share of neighbouring word pairs that both have (Jaccard). The sliders compute "
        "nothing again."
    )
    for warning in info["warnings"]:
        st.caption(literal(warning, 300))
    changed = (by, round(threshold, 2), round(words, 2)) != (
        info["by"],
        round(info["threshold"], 2),
        round(info["words"], 2),
    )
    if changed and st.button("Use this everywhere", key="duplicates.leak.everywhere", help="The scorecard and the gates count at "
                             f"{info['threshold']:.2f} by {NAMES[info['by']].lower()} until then."):  # fmt: skip
        set_params(workspace, "leakage", {"by": by, "threshold": round(threshold, 2), "words": round(words, 2)})
        jobs.launch(["run", "leakage"], "Leakage")
    return by, float(threshold), float(words)


def _sets(result: Result, hits: pa.Table) -> None:
    many = hits.group_by(["side", "set"]).aggregate([([], "count_all")]).to_pylist()
    found = {(row["side"], row["set"]): row["count_all"] for row in many}
    sets = result.info["sets"]
    st.dataframe(
        {
            "set": [short(name, 80) for name in sets],
            "kind": [SETS[one["role"]] for one in sets.values()],
            "its records": [one["records"] for one in sets.values()],
            "touched": [found.get(("other", name), 0) for name in sets],
            "share": [100 * found.get(("other", name), 0) / one["records"] for name, one in sets.items()],
            "equal texts": [one["exact"] for one in sets.values()],
            "training records that leak": [found.get(("training", name), 0) for name in sets],
            "counts on the scorecard": [one["counted"] for one in sets.values()],
        },
        hide_index=True,
        column_config={
            "its records": st.column_config.NumberColumn(format="localized"),
            "equal texts": st.column_config.NumberColumn(format="localized"),
            "touched": st.column_config.NumberColumn(
                format="localized", help="Its records with a training record as near as the threshold, removed ones included."
            ),
            "share": st.column_config.NumberColumn(format="%.1f %%"),
            "training records that leak": st.column_config.NumberColumn(format="localized", help="Kept records only."),
            "counts on the scorecard": st.column_config.CheckboxColumn(
                help="Production is compared and not counted: to train on what production asks is the aim."
            ),
        },
    )  # fmt: skip


def _files(workspace: Workspace) -> None:
    files = list(params_of(workspace, "leakage")["files"])
    with st.expander(f"Benchmark files ({len(files)})"):
        st.caption(
            "A file that the model will be judged by, in any format that can be imported. It is read where it is and not imported."
        )
        for number, file in enumerate(files):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.code(short(file, 200), None)
                if st.button("Take out", key=f"duplicates.leak.out.{number}"):
                    set_params(workspace, "leakage", {"files": [f for f in files if f != file]})
                    jobs.launch(["run", "leakage"], "Leakage")
        path = st.text_input(
            "Path of a file on this machine", key="duplicates.leak.path", placeholder="/data/benchmark.jsonl"
        ).strip()
        if st.button("Compare with it", key="duplicates.leak.add", disabled=not path):
            if not Path(path).expanduser().is_file():
                st.error(literal(f"There is no file {path}. Correct the path.", 300))
            elif path in files:
                st.info("That file is compared already.")
            else:
                set_params(workspace, "leakage", {"files": [*files, path]})
                jobs.launch(["run", "leakage"], "Leakage")


def _actions(ids: pa.Array, asked: str | None) -> None:
    where = "a set that judges the model" if asked is None else f"{asked}"
    with st.container(horizontal=True):
        if st.button(
            f"Remove these {len(ids):,} from training",
            key="duplicates.leak.remove",
            type="primary",
            icon=":material/delete:",
        ):
            removal.ask(ids.to_pylist(), f"Leaks into {where}"[:200], "The other set stays as it is.")
        if st.button(
            f"Select these {len(ids):,}" if len(ids) != 1 else "Select this one", key="duplicates.leak.select"
        ):
            state.select(ids.to_pylist(), f"Leaks into {where}"[:120])
            st.rerun()


def _list(data: Dataset, result: Result, mine: pa.Table, by: str) -> None:
    here = pager(mine.num_rows, "duplicates.leak.page", what="Records", order="the most alike first")
    start, part = here.start, mine.slice(here.start, here.stop - here.start).to_pylist()
    own = {row["record_id"]: row for row in rows_of(data, [row["record_id"] for row in part], ("prompt",))}
    event = st.dataframe(
        {
            "similarity": [row["similarity"] for row in part],
            "shared wording": [row["words"] for row in part],
            "equal": [row["exact"] for row in part],
            "set": [short(row["set"], 40) for row in part],
            "training prompt": [short(own[row["record_id"]]["prompt"], 160) for row in part],
        },
        hide_index=True, height=min(300, 38 + 35 * len(part)), on_select="rerun", selection_mode="single-row",
        key=f"duplicates.leak.list.{mine.num_rows}.{start}.{by}",
        column_config={name: st.column_config.NumberColumn(format="%.3f") for name in ("similarity", "shared wording")},
    )  # fmt: skip
    rows = event.selection.rows
    row = part[rows[0] if rows and rows[0] < len(part) else 0]
    other_id = row["nearest_id"] or row["word_id"] if by != "words" else row["word_id"] or row["nearest_id"]
    ours, theirs = (
        rows_of(data, [row["record_id"]], ("prompt", "response", "category", "annotator", "line"))[0],
        _other(result, row["set"], other_id),
    )
    if theirs is None:
        return
    heads = (
        ("Training", facts(ours)),
        (SETS[result.info["sets"][row["set"]]["role"]].capitalize() + f" · {short(row['set'], 60)}", facts(theirs)),
    )
    side_by_side(ours, theirs, heads, key="duplicates.leak.pair")


def _other(result: Result, name: str, record_id: str) -> dict | None:
    """The record of the other set as it was when it was compared."""
    asked = [("set", "=", name), ("record_id", "=", record_id)]
    found = pq.read_table(result.file(OTHERS), filters=asked).to_pylist()
    return found[0] if found else None
