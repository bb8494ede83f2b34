"""The selection: what is in it, how it is kept under a name, and where it goes next."""

from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from core.actions.decisions import open_reviews
from core.actions.frame import available
from core.errors import QuadrantError
from core.review.subsets import add_subset, subset_ids, subsets
from core.workspace import Dataset, Workspace
from pages.ui import coverage_data, coverage_search, records, state
from pages.ui.coverage_data import Points
from pages.ui.safe import literal, short
from pages.ui.tables import pager

COMBINE = {"replace": "Replace", "add": "Or: add", "keep": "And: keep common", "remove": "Not: take away"}


def panel(workspace: Workspace, data: Dataset, points: Points) -> None:
    chosen = state.selection()
    here = data.index.known(chosen.ids)
    _actions(data, chosen, here)
    _by_value(workspace, data)
    if not len(here):
        return
    _save(workspace, data, chosen, here)
    mark = f"{len(here)}.{here[0]}.{here[-1]}"
    shown = here[
        pager(len(here), f"coverage.selected.page.{mark}", what="Records", order="in the order of the selection")
    ]
    coverage_search.table(data, records.ids_of(data).at(shown), {}, f"coverage.selected.{mark}.{shown[0]}")


def _actions(data: Dataset, chosen: state.Selection, here: np.ndarray) -> None:
    if len(here):
        st.markdown(
            f"**{len(here):,}** of {data.count:,} records selected ({len(here) / data.count:.1%}) · {literal(chosen.title, 80)}"
        )
        if len(here) < len(chosen):
            st.caption(
                f"{len(chosen) - len(here):,} more were selected in other data and are not in the records open now."
            )
    else:
        st.caption(
            "Nothing is selected. Draw a lasso (L) or a rectangle (B) on the map, click a cluster, search, or choose by value here. "
            "Shift adds, Alt takes away."
        )
    with st.container(horizontal=True):
        st.button(
            "Select the rest",
            icon=":material/invert_colors:",
            key="coverage.invert",
            disabled=not len(here),
            on_click=_invert,
        )
        st.button(
            "Clear",
            icon=":material/close:",
            key="coverage.clear",
            disabled=not chosen,
            on_click=partial(state.select, [], ""),
        )
        st.button(
            "Undo",
            icon=":material/undo:",
            key="coverage.undo",
            on_click=state.undo_selection,
            disabled=not state.can_step("undo"),
            help="Back to the selection before this one (Z on the map)",
        )
        st.button(
            "Redo",
            icon=":material/redo:",
            key="coverage.redo",
            on_click=state.redo_selection,
            disabled=not state.can_step("redo"),
            help="Forward again (Y on the map)",
        )
        if st.button("Audit a sample", icon=":material/fact_check:", key="coverage.audit", disabled=not len(here)):
            st.switch_page("pages/audit.py")
        if st.button("Export", icon=":material/download:", key="coverage.export", disabled=not len(here)):
            st.switch_page("pages/export.py")


def _invert() -> None:
    data, chosen = state.workspace().need(), state.selection()
    rest = np.flatnonzero(~data.index.mask(chosen.ids))
    state.select(records.ids_of(data).at(rest), f"All but {chosen.title}")


def _by_value(workspace: Workspace, data: Dataset) -> None:
    """Choosing without a pointer: the records with a value in a column, or those of a saved subset, combined with what is selected."""
    known = {n: t for n, (t, kind) in available(workspace, data).items() if kind == "category"}
    saved = subsets(open_reviews(workspace))
    options = [*known, *(["subset"] if saved else [])]
    if not options:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="bottom"):
        if st.session_state.get("coverage.by") not in options:
            st.session_state["coverage.by"] = options[0]
        by = st.selectbox(
            "Choose by", options, key="coverage.by", format_func=lambda n: short(known.get(n, "Saved subset"), 50), width=170,
            persist_state="session",
        )  # fmt: skip
        if by == "subset":
            names = [s.name for s in saved]
        else:
            codes, names, rest = coverage_data.coded(coverage_data.column(workspace, data, by))
            sizes = np.bincount(codes[codes >= 0], minlength=len(names))
            names = names[: len(names) - 1] if rest else names
        key = f"coverage.values.{by}.{data.digest[:8]}"
        count = {} if by == "subset" else {n: f" ({sizes[k]:,})" for k, n in enumerate(names)}
        picked = st.multiselect(
            "Values", names, key=key, format_func=lambda n: short(n, 60) + count.get(n, ""), width=240
        )
        how = st.segmented_control(
            "And the selection",
            list(COMBINE),
            key="coverage.combine",
            format_func=COMBINE.get,
            default="replace",
            required=True,
        )
        if st.button("Select", key="coverage.choose", type="primary", disabled=not picked):
            _choose(workspace, data, by, picked, how)
            st.rerun()


def _choose(workspace: Workspace, data: Dataset, by: str, picked: list[str], how: str) -> None:
    if by == "subset":
        store = open_reviews(workspace)
        found = data.index.mask(i for name in picked for i in subset_ids(store, name))
    else:
        values = pa.array(coverage_data.column(workspace, data, by).values, pa.large_string())
        found = pc.is_in(values, value_set=pa.array(picked, pa.large_string())).to_numpy(zero_copy_only=False)
    before = data.index.mask(state.selection().ids)
    wanted = {"replace": found, "add": before | found, "keep": before & found, "remove": before & ~found}[how]
    word = ", ".join(picked)
    title = {"replace": word, "add": f"{state.selection().title} and {word}"}.get(
        how, f"{state.selection().title} · {COMBINE[how].partition(': ')[2]} {word}"
    )
    state.select(records.ids_of(data).at(np.flatnonzero(wanted)), short(title, 120))


def _save(workspace: Workspace, data: Dataset, chosen: state.Selection, here: np.ndarray) -> None:
    with st.form("coverage.save", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(
            "Keep as a subset under the name", key="coverage.name", placeholder=short(chosen.title, 60), width=240
        )
        if st.form_submit_button("Save subset", icon=":material/bookmark_add:", key="coverage.save_now"):
            try:
                kept = add_subset(
                    open_reviews(workspace), name or chosen.title, records.ids_of(data).at(here), by=state.reviewer(),
                    strategy="coverage",
                    dataset_digest=data.digest, params={"title": chosen.title},
                )  # fmt: skip
                st.toast(f"Kept {kept.count:,} records as {literal(kept.name, 80)}. Export offers it by this name.")
            except QuadrantError as error:
                st.error(literal(error, 300))
