"""Near-equal prompts that teach different things, side by side."""

import numpy as np
import streamlit as st

from core.quality.contradictions import KINDS
from core.workspace import Dataset, Result, Workspace
from pages.ui import jobs, removal, state
from pages.ui.diff import side_by_side
from pages.ui.records import positions, rows_of
from pages.ui.safe import literal, short

NAMES = {"category": "category", "number": "number", "negation": "negation", "answer": "other words"}
SHOWN = 500


def standing(found: Result, data: Dataset, kept: np.ndarray) -> list[dict]:
    """The pairs both of whose records are still in the data, the gravest first."""
    at = positions(data)
    return [pair for pair in _pairs(str(found.path), found) if kept[at[pair["left_id"]]] and kept[at[pair["right_id"]]]]


@st.cache_resource(max_entries=4, show_spinner=False)
def _pairs(path: str, _found: Result) -> tuple[dict, ...]:
    return tuple(_found.table().to_pylist())


def draw(workspace: Workspace, data: Dataset, found: Result | None, pairs: list[dict] | None) -> None:
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
    kinds = [kind for kind in KINDS if any(kind in pair["kinds"] for pair in pairs)]
    picked = st.pills(
        "Kinds", kinds, selection_mode="multi", key="duplicates.kinds", label_visibility="collapsed",
        format_func=lambda kind: f"{NAMES[kind]} ({sum(kind in p['kinds'] for p in pairs):,})",
    )  # fmt: skip
    wanted = [pair for pair in pairs if not picked or set(picked) & set(pair["kinds"])]
    first = rows_of(data, [pair["left_id"] for pair in wanted[:SHOWN]], ("prompt",))
    event = st.dataframe(
        {
            "differs in": [", ".join(NAMES[kind] for kind in pair["kinds"]) for pair in wanted[:SHOWN]],
            "similarity": [round(pair["similarity"], 3) for pair in wanted[:SHOWN]],
            "why": [short(pair["reason"], 160) for pair in wanted[:SHOWN]],
            "prompt": [short(row["prompt"] or "", 140) for row in first],
        },
        hide_index=True, height=min(260, 38 + 35 * len(wanted)), on_select="rerun", selection_mode="single-row",
        key=f"duplicates.pairs.{len(pairs)}.{'-'.join(picked)}",
    )  # fmt: skip
    if len(wanted) > SHOWN:
        st.caption(f"The first {SHOWN:,} of {len(wanted):,}, the gravest first.")
    ids = list(dict.fromkeys(i for pair in wanted for i in (pair["left_id"], pair["right_id"])))
    if st.button(f"Select these {len(ids):,} records", key="duplicates.select-contradictions"):
        state.select(ids, "Contradicting records")
        st.rerun()
    rows = event.selection.rows
    _pair(data, wanted[rows[0] if rows and rows[0] < len(wanted) else 0])


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
