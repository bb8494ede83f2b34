"""Near-equal prompts that teach different things, side by side."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from core.quality.contradictions import KINDS
from core.workspace import Dataset, Result, Workspace
from pages.ui import jobs, removal, state
from pages.ui.diff import side_by_side
from pages.ui.records import ids_of, rows_of
from pages.ui.safe import literal, short
from pages.ui.tables import pager

NAMES = {"category": "category", "number": "number", "negation": "negation", "answer": "other words"}


@dataclass(frozen=True)
class Standing:
    """The contradictions between records that are still in the data, the gravest first; their texts stay on disk."""

    found: Result
    places: np.ndarray  # rows of the result
    left: np.ndarray  # rows of the dataset, aligned
    right: np.ndarray
    kinds: np.ndarray  # (n, kinds) bool, in the order of KINDS

    def __len__(self) -> int:
        return len(self.places)

    def only(self, keep: np.ndarray) -> "Standing":
        return Standing(self.found, self.places[keep], self.left[keep], self.right[keep], self.kinds[keep])

    @property
    def records(self) -> np.ndarray:
        """Rows of the dataset that contradict another, each once, the gravest first."""
        both = np.stack([self.left, self.right], 1).ravel()
        _, first = np.unique(both, return_index=True)
        return both[np.sort(first)]


def standing(found: Result, data: Dataset, kept: np.ndarray) -> Standing:
    """The pairs both of whose records are still in the data, the gravest first."""
    every = _pairs(str(found.path), data.digest, found, data)
    return every.only(kept[every.left] & kept[every.right])


@st.cache_resource(max_entries=4, show_spinner=False)
def _pairs(path: str, digest: str, _found: Result, _data: Dataset) -> Standing:
    table = _found.table(["left_id", "right_id", "kinds"])
    lists = table["kinds"].combine_chunks()
    kinds = np.zeros((len(lists), len(KINDS)), dtype=bool)
    number = pc.index_in(lists.flatten(), value_set=pa.array(list(KINDS), lists.type.value_type))
    kinds[pc.list_parent_indices(lists).to_numpy(), number.to_numpy()] = True
    left, right = (_data.index.rows(table[name]) for name in ("left_id", "right_id"))
    return Standing(_found, np.arange(len(lists)), left, right, kinds)


def draw(workspace: Workspace, data: Dataset, found: Result | None, pairs: Standing | None) -> None:
    if found is None or pairs is None:
        jobs.waiting_for("contradictions", "Contradictions")
        return
    compared, same = found.info["pairs_compared"], found.info["same_text_groups"]
    st.caption(
        f"{compared:,} pairs of prompts at {found.info['threshold']:.2f} or more (copies included) were compared by category, "
        "numbers with units, negation and shared words. These are signs, found by rule: a reader decides."
        + (f" {same:,} groups of equal prompts contradict themselves in the file." if same else "")
    )
    for warning in found.info["warnings"]:
        st.caption(literal(warning, 300))
    if not pairs:
        st.success("No contradiction stands among the records that are kept.", icon=":material/check_circle:")
        return
    count = dict(zip(KINDS, pairs.kinds.sum(0).tolist(), strict=True))
    picked = st.pills(
        "Kinds", [kind for kind in KINDS if count[kind]], selection_mode="multi", key="duplicates.kinds",
        label_visibility="collapsed", format_func=lambda kind: f"{NAMES[kind]} ({count[kind]:,})",
    )  # fmt: skip
    wanted = pairs.only(pairs.kinds[:, [kind in picked for kind in KINDS]].any(1)) if picked else pairs
    here = pager(
        len(wanted), f"duplicates.contradictions.page.{'-'.join(picked)}", what="Pairs", order="the gravest first"
    )
    shown = found.rows(wanted.places[here]).to_pylist()
    first = rows_of(data, [pair["left_id"] for pair in shown], ("prompt",))
    event = st.dataframe(
        {
            "differs in": [", ".join(NAMES[kind] for kind in pair["kinds"]) for pair in shown],
            "similarity": [round(pair["similarity"], 3) for pair in shown],
            "why": [short(pair["reason"], 160) for pair in shown],
            "prompt": [short(row["prompt"] or "", 140) for row in first],
        },
        hide_index=True, height=min(260, 38 + 35 * len(shown)), on_select="rerun", selection_mode="single-row",
        key=f"duplicates.pairs.{len(pairs)}.{'-'.join(picked)}.{here.start}",
    )  # fmt: skip
    rows = wanted.records
    if st.button(f"Select these {len(rows):,} records", key="duplicates.select-contradictions"):
        state.select(ids_of(data).at(rows), "Contradicting records")
        st.rerun()
    ticked = event.selection.rows
    _pair(data, shown[ticked[0] if ticked and ticked[0] < len(shown) else 0])


def _pair(data: Dataset, pair: dict) -> None:
    ids = pair["left_id"], pair["right_id"]
    rows = rows_of(data, ids, ("prompt", "response", "reasoning", "category", "annotator", "line"))
    st.markdown(f"**{literal(pair['reason'], 300)}** · similarity {pair['similarity']:.3f}")
    heads = tuple((name, facts(row)) for name, row in zip(("One", "The other"), rows, strict=True))
    side_by_side(rows[0], rows[1], heads, key="duplicates.pair")
    for column, row, other in zip(st.columns(2), rows, ("the other", "the one"), strict=True):
        if column.button("Remove this one", key=f"duplicates.remove.{row['record_id']}", icon=":material/delete:"):
            removal.ask([row["record_id"]], f"Contradicts another record: {pair['reason']}"[:200],
                        f"Of the pair, {other} stays.")  # fmt: skip


def facts(row: dict) -> str:
    """What is known of a record, in one line of plain text."""
    said = [f"line {row['line']}"] if row.get("line") is not None else []
    said += [f"{name} {short(row[name], 40)}" for name in ("category", "annotator") if row.get(name)]
    return " · ".join([*said, row["record_id"]])
