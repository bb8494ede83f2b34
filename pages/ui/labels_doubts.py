"""The matrix of confused categories, the ranked list of doubtful labels, and one of them in full."""

import os

import numpy as np
import streamlit as st

from core.actions.relabelling import queue, relabel_one
from core.workspace import Dataset, Result
from pages.ui import palette, records, state
from pages.ui.labels_data import Doubts, matrix
from pages.ui.safe import literal, short
from pages.ui.tables import pager

QUEUE = 200  # records of a queue for the reviewer


EVERY = ("", "")  # the pair that stands for all pairs; None would show as an empty box
FLAGGED, ESTIMATED = "Records in doubt", "Estimated for all records"


def draw(data: Dataset, result: Result, found: Doubts) -> None:
    if not len(found.rows):
        st.success("No label of a kept record is in doubt.", icon=":material/check_circle:")
        return
    with st.expander("Which categories are confused", expanded=True):
        clicked = _matrix(result, found)
    names = {pair: f"{short(pair[0], 50)} → {short(pair[1], 50)} ({count:,})" for pair, count in found.pairs}
    if clicked in names and clicked != state.remembered("labels.clicked", None):
        st.session_state["labels.pair"] = clicked
    state.remember("labels.clicked", clicked)
    if st.session_state.get("labels.pair") not in names:
        st.session_state["labels.pair"] = EVERY
    asked = st.selectbox(
        "Pair of categories", [EVERY, *names], key="labels.pair",
        format_func=lambda pair: f"All pairs ({len(found.rows):,})" if pair == EVERY else names[pair],
    )  # fmt: skip
    if clicked and clicked not in names:
        st.caption(
            f"No single record given as {literal(clicked[0], 60)} is surely {literal(clicked[1], 60)}; the estimate spreads."
        )
    chosen = found.of(asked if asked != EVERY else None)
    count = len(chosen)

    def ids() -> list[str]:
        return records.ids_of(data).at(found.rows[chosen])

    title = "Labels in doubt" if asked == EVERY else f"Labelled {asked[0]}, rather {asked[1]}?"[:120]
    with st.container(horizontal=True):
        said = f"Read the {min(count, QUEUE):,} most doubtful" if count > 1 else "Read it"
        if st.button(said, key="labels.queue", type="primary",
                     icon=":material/fact_check:",
                     help="Opens them in the reviewer, the least confident first. A queue says nothing of the whole set, so the "
                     "scorecard leaves it out."):  # fmt: skip
            sample = queue(state.workspace(), ids(), f"Queue: {title}", state.reviewer(), QUEUE)
            state.remember("audit.sample", sample.id)
            st.switch_page("pages/audit.py")
        if st.button(f"Select these {count:,}" if count != 1 else "Select this one", key="labels.select"):
            state.select(ids(), title)
            st.rerun()
        if st.button("Audit a sample of them", key="labels.audit",
                     help="Selects them and opens the audit, where a random sample of the selection is drawn."):  # fmt: skip
            state.select(ids(), title)
            st.switch_page("pages/audit.py")
    _list(data, result, found, chosen, asked)


def _matrix(result: Result, found: Doubts) -> tuple[str, str] | None:
    """The matrix; returns the pair of the cell that was clicked."""
    from core.figures import charts as figures

    kind = st.segmented_control(
        "Matrix of",
        [FLAGGED, ESTIMATED],
        default=FLAGGED,
        key="labels.matrix_of",
        required=True,
        label_visibility="collapsed",
    )
    names, counts, every = matrix(found, result, kind == ESTIMATED)
    dark = st.context.theme.type == "dark"
    figure = figures.confusion(
        names, counts, figures.Colours(scale=tuple(palette.scale("sequential", dark))), clickable=True
    )
    figure.update_traces(texttemplate="%{z:,.0f}" if kind == FLAGGED else "%{z:,.1f}", selector={"type": "heatmap"})
    event = st.plotly_chart(
        figure, theme="streamlit", config={"displayModeBar": False}, key=f"labels.matrix.{kind}", on_select="rerun",
        selection_mode="points",
    )  # fmt: skip
    told = (
        "given category (row) against the suggested one (column), in records. Click a cell to see its records."
        if kind == FLAGGED
        else "given category (row) against the true one (column), in records: the calibrated joint of confident learning, of all "
        "judged records, removed and relabelled ones included."
    )
    st.caption(
        f"{kind}: {told}"
        + (f" The {len(names):,} categories most confused, of {every:,}." if every > len(names) else "")
    )
    points = [p["customdata"] for p in event.selection.points if p.get("customdata")]
    return (names[int(points[0][0])], names[int(points[0][1])]) if points else None


def _list(data: Dataset, result: Result, found: Doubts, chosen: np.ndarray, asked) -> None:
    here = pager(
        len(chosen), f"labels.page.{'.'.join(asked)}", what="Labels in doubt", order="the least confident first"
    )
    part = chosen[here].tolist()
    rows = records.rows_of(data, records.ids_of(data).at(found.rows[part]), ("prompt", "annotator"))
    who = [short(row.get("annotator") or "", 30) for row in rows]
    event = st.dataframe(
        {
            "given": [short(found.given[n], 50) for n in part],
            "suggested": [short(found.suggested[n], 50) for n in part],
            "self-confidence": [round(float(found.confidence[n]), 3) for n in part],
            "neighbours agree": [100 * float(found.agreement[n]) for n in part],
            **({"annotator": who} if any(who) else {}),
            "prompt": [short(row.get("prompt") or "", 140) for row in rows],
        },
        hide_index=True, height=min(420, 38 + 35 * len(part)), on_select="rerun", selection_mode="single-row",
        key=f"labels.list.{asked}.{len(chosen)}.{here.start}",
        column_config={
            "self-confidence": st.column_config.NumberColumn(
                format="%.3f", help="Probability of the given label, by a classifier that never saw the record. Low: doubtful."
            ),
            "neighbours agree": st.column_config.NumberColumn(
                format="%.0f %%", help=f"Of the {result.params['neighbours']} most similar records, how many have this label."
            ),
        },
    )  # fmt: skip
    st.caption("The least confident first. Tick a record to read it.")
    picked = event.selection.rows
    n = part[picked[0] if picked and picked[0] < len(part) else 0]
    with st.container(border=True):
        st.markdown(f"Labelled **{literal(found.given[n], 80)}**, rather **{literal(found.suggested[n], 80)}**?")
        record_id = records.ids_of(data)[found.rows[n]]
        st.button(
            f"Call it {literal(found.suggested[n], 40)}", key=f"labels.call.{record_id}", icon=":material/label:", on_click=_call,
            args=(record_id, found.suggested[n], os.urandom(8).hex()),
            help="An entry of the ledger, which can be undone: the imported record stays as it is.",
        )  # fmt: skip
        records.show(data, record_id, key=f"labels.record.{record_id}")


def _call(record_id: str, suggested: str, token: str) -> None:
    """One label changed by a person."""
    relabel_one(state.workspace(), record_id, suggested, state.reviewer(), token)
