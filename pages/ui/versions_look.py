"""An earlier version, read-only: its scorecard and its records, while the current one stays open everywhere else."""

from collections.abc import Mapping, Sequence

import streamlit as st

from core.actions.summary import metrics
from core.actions.versions import as_of
from core.workspace import Dataset, Workspace
from pages.ui import records, state
from pages.ui.safe import literal, short

PAGE = 50


def draw(workspace: Workspace, known: Sequence[Dataset], current: Dataset | None, titles: Mapping[str, str]) -> None:
    by = {one.digest: one for one in known}
    names = list(reversed(by))
    asked = st.selectbox("Version", names, format_func=titles.get, key=f"versions.look.{len(names)}")
    data = by[asked]
    row = st.container(horizontal=True, vertical_alignment="center")
    row.caption("Only looked at: nothing here changes it, and every other page stays with the version that is open.")
    other = current is None or data.path != current.path
    if other and row.button(
        "Make it the current one", key=f"versions.use.{data.digest[:12]}", icon=":material/history:"
    ):
        workspace.use(data)
        state.select([], "")
        st.rerun()
    found = [m for m in metrics(as_of(workspace, data), data) if m.value is not None]
    st.dataframe(
        {
            "metric": [m.title for m in found],
            "value": [m.shown() for m in found],
            "as imported": [m.shown_imported() or "the same" for m in found],
            "interval": [m.shown_interval() for m in found],
            "target": [m.shown_target() for m in found],
            "verdict": [m.verdict for m in found],
            "note": [short(m.note, 160) for m in found],
        },
        hide_index=True, width="stretch",
    )  # fmt: skip
    st.caption("As it stands under the decisions of today; steps that were never run on this version are missing.")
    pages = -(-data.count // PAGE)
    number = st.number_input(
        f"Page, 1 to {pages:,}", 1, max(1, pages), 1, key=f"versions.look_page.{asked[:8]}", width=160
    )
    ids = records.ids_of(data)[(number - 1) * PAGE : number * PAGE]
    rows = records.rows_of(data, ids, ("category", "prompt", "response"))
    event = st.dataframe(
        {
            "category": [short(r.get("category") or "", 40) for r in rows],
            "prompt": [short(r.get("prompt") or "", 160) for r in rows],
            "response": [short(r.get("response") or "", 160) for r in rows],
        },
        hide_index=True, width="stretch", on_select="rerun", selection_mode="single-row",
        key=f"versions.look_rows.{asked[:8]}.{number}",
    )  # fmt: skip
    picked = event.selection.rows
    if rows:
        with st.container(border=True):
            record_id = ids[picked[0] if picked and picked[0] < len(ids) else 0]
            st.caption(literal(titles[asked], 200))
            records.show(data, record_id, key=f"versions.look_record.{record_id}")
