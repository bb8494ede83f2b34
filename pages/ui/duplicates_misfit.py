"""Responses that do not fit their prompt: the ranked list, the record whose prompt they fit, and the queue for the reviewer."""

import numpy as np
import streamlit as st

from core.actions.relabelling import queue
from core.errors import QuadrantError
from core.steps import current
from core.workspace import Dataset, Result, Workspace
from pages.ui import jobs, removal, state
from pages.ui.diff import side_by_side
from pages.ui.duplicates_contradictions import facts
from pages.ui.records import ids_of, positions, rows_of
from pages.ui.safe import literal, short
from pages.ui.tables import pager

QUEUE = 200
TOLD = ("prompt", "response", "reasoning", "category", "annotator", "line")


@st.cache_resource(max_entries=4, show_spinner=False)
def _ranked(path: str, _result: Result) -> tuple[np.ndarray, np.ndarray]:
    """(misfit of each row, -1 without a response; the rows, the worst first)."""
    misfit = np.nan_to_num(_result.table(["misfit"])["misfit"].to_numpy(), nan=-1.0)
    return misfit, np.argsort(-misfit, kind="stable")


def draw(workspace: Workspace, data: Dataset, kept: np.ndarray) -> None:
    result = current(workspace, "misfit")
    if result is None:
        jobs.waiting_for("misfit", "Responses that do not fit")
        return
    info = result.info
    if "undefined" in info:
        st.info(literal(info["undefined"], 300))
        return
    threshold = st.slider(
        "Show a response when at least this share of the others fits its prompt better", 0.02, 0.5, float(info["threshold"]), 0.01,
        format="percent", key="duplicates.misfit.threshold",
    )  # fmt: skip
    st.caption(
        f"What a prompt asks for is learnt from the other records ({literal(info['encoder'], 80)}), and {info['judged']:,} responses "
        f"are held against it. {literal(info['limit'], 400)} A sign, not a verdict: a reader decides."
    )
    for warning in info["warnings"]:
        st.caption(literal(warning, 300))
    misfit, order = _ranked(str(result.path), result)
    order = order[(misfit[order] >= threshold - 1e-9) & kept[order]]
    if not len(order):
        st.success("No response of a kept record is so far off.", icon=":material/check_circle:")
        return
    count = len(order)
    with st.container(horizontal=True):
        if st.button(
            f"Read these {min(QUEUE, count):,} one by one", key="duplicates.misfit.queue", type="primary",
            icon=":material/fact_check:",
            help="A queue for the reviewer, the worst first. It is no random sample and says nothing of the whole set.",
        ):  # fmt: skip
            try:
                ids = ids_of(data).at(order)
                queue(workspace, ids, f"Responses that do not fit ({count:,})", state.reviewer(), QUEUE)
                st.switch_page("pages/audit.py")
            except QuadrantError as error:
                st.error(literal(error, 300))
        if st.button(f"Select these {count:,}" if count != 1 else "Select this one", key="duplicates.misfit.select"):
            state.select(ids_of(data).at(order), "Responses that do not fit")
            st.rerun()
    _one(data, result, _list(data, order, misfit), misfit, kept)


def _list(data: Dataset, order: np.ndarray, misfit: np.ndarray) -> int:
    """The records in doubt, a page at a time; returns the row of the one that is open."""
    here = pager(len(order), "duplicates.misfit.page", what="Records", order="the worst first")
    part = order[here]
    rows = rows_of(data, ids_of(data).at(part), ("prompt", "response", "category"))
    event = st.dataframe(
        {
            "others fit better": [100 * float(misfit[row]) for row in part],
            "prompt": [short(row["prompt"], 120) for row in rows],
            "response": [short(row["response"], 120) for row in rows],
            "category": [short(row.get("category") or "", 40) for row in rows],
        },
        hide_index=True, height=min(300, 38 + 35 * len(rows)), on_select="rerun", selection_mode="single-row",
        key=f"duplicates.misfit.list.{len(order)}.{here.start}",
        column_config={"others fit better": st.column_config.NumberColumn(format="%.0f %%")},
    )  # fmt: skip
    chosen = event.selection.rows
    return int(part[chosen[0] if chosen and chosen[0] < len(rows) else 0])


def _one(data: Dataset, result: Result, row: int, misfit: np.ndarray, kept: np.ndarray) -> None:
    at = positions(data)
    record_id = ids_of(data)[row]
    other = result.rows([row], ["better_id"])["better_id"][0].as_py()
    st.markdown(f"**{100 * misfit[row]:.0f} % of the other responses fit this prompt better.**")
    mine = rows_of(data, [record_id], TOLD)[0]
    if other is not None and kept[at[other]]:
        theirs = rows_of(data, [other], TOLD)[0]
        heads = (("In doubt", facts(mine)), ("Its response fits this prompt best", facts(theirs)))
        side_by_side(mine, theirs, heads, key="duplicates.misfit.pair")
    else:
        side_by_side(
            mine,
            mine,
            (("In doubt", facts(mine)), ("No other prompt fits it better", "")),
            key="duplicates.misfit.alone",
        )
    if st.button("Remove this record", key=f"duplicates.misfit.remove.{record_id}", icon=":material/delete:"):
        removal.ask([record_id], "The response does not fit the prompt", "All other records stay.")
