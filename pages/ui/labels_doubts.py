"""The matrix of confused categories, the ranked list of doubtful labels, and one of them in full."""

import streamlit as st

from core.workspace import Dataset, Result
from pages.ui import palette, records, state
from pages.ui.labels_data import Doubts, matrix
from pages.ui.safe import literal, short

SHOWN = 500


def draw(data: Dataset, result: Result, found: Doubts) -> None:
    if not len(found.rows):
        st.success("No label of a kept record is in doubt.", icon=":material/check_circle:")
        return
    with st.expander("Which categories are confused", expanded=True):
        _matrix(found)
    names = {pair: f"{short(pair[0], 50)} → {short(pair[1], 50)} ({count:,})" for pair, count in found.pairs}
    asked = st.selectbox(
        "Pair of categories", [None, *names], key="labels.pair",
        format_func=lambda pair: f"All pairs ({len(found.rows):,})" if pair is None else names[pair],
    )  # fmt: skip
    chosen = [n for n, pair in enumerate(zip(found.given, found.suggested, strict=True)) if asked in (None, pair)]
    all_ids = records.ids_of(data)
    ids = [all_ids[found.rows[n]] for n in chosen]
    title = "Labels in doubt" if asked is None else f"Labelled {asked[0]}, rather {asked[1]}?"[:120]
    with st.container(horizontal=True):
        if st.button(f"Select these {len(ids):,}", key="labels.select"):
            state.select(ids, title)
            st.rerun()
        if st.button("Audit a sample of them", key="labels.audit", type="primary", icon=":material/fact_check:",
                     help="Selects them and opens the audit, where a sample of the selection is drawn."):  # fmt: skip
            state.select(ids, title)
            st.switch_page("pages/audit.py")
    _list(data, result, found, chosen, ids, asked)


def _matrix(found: Doubts) -> None:
    from core import figures

    names, counts, every = matrix(found)
    dark = st.context.theme.type == "dark"
    figure = figures.confusion(names, counts, figures.Colours(scale=tuple(palette.scale("sequential", dark))))
    figure.update_traces(texttemplate="%{z:,.0f}")
    st.plotly_chart(figure, theme="streamlit", config={"displayModeBar": False}, key="labels.matrix")
    st.caption(
        "Labels in doubt: given category (row) against the suggested one (column), in records."
        + (f" The {len(names):,} categories most often confused, of {every:,}." if every > len(names) else "")
    )


def _list(data: Dataset, result: Result, found: Doubts, chosen: list[int], ids: list[str], asked) -> None:
    part = chosen[:SHOWN]
    rows = records.rows_of(data, ids[:SHOWN], ("prompt", "annotator"))
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
        key=f"labels.list.{asked}.{len(ids)}",
        column_config={
            "self-confidence": st.column_config.NumberColumn(
                format="%.3f", help="Probability of the given label, by a classifier that never saw the record. Low: doubtful."
            ),
            "neighbours agree": st.column_config.NumberColumn(
                format="%.0f %%", help=f"Of the {result.params['neighbours']} most similar records, how many have this label."
            ),
        },
    )  # fmt: skip
    st.caption(
        "The least confident first. Tick a record to read it."
        + (f" The first {SHOWN:,} of {len(chosen):,}; “Select these” takes all." if len(chosen) > SHOWN else "")
    )
    picked = event.selection.rows
    n = part[picked[0] if picked and picked[0] < len(part) else 0]
    with st.container(border=True):
        st.markdown(f"Labelled **{literal(found.given[n], 80)}**, rather **{literal(found.suggested[n], 80)}**?")
        record_id = records.ids_of(data)[found.rows[n]]
        records.show(data, record_id, key=f"labels.record.{record_id}")
