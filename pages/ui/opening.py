"""What happens when a workspace is opened, and the side bar's card of the selection."""

from pathlib import Path

import streamlit as st

from core import jobs
from core.dataset.importing import import_file
from core.errors import QuadrantError
from pages.ui import state
from pages.ui.safe import literal

SAMPLE_FILES = {"production": "production.jsonl", "validation": "validation.jsonl", "gold": "gold.jsonl"}


def fill(data: str) -> None:
    """Give an empty workspace its data: the sample set, or the file the app was started with; then start the analysis."""
    workspace = state.workspace()
    if not data and state.current_name() != "sample":
        return
    if state.current_name() != state.started_with() or workspace.dataset() or jobs.latest(workspace):
        return
    try:
        if data:
            jobs.start(workspace, ["analyze", str(Path(data).expanduser())], f"Open {Path(data).name}")
        else:
            import_sample()
    except QuadrantError as error:
        st.error(literal(error, 600))
    st.rerun()


def import_sample() -> None:
    """Import the sample files in all their roles and start the analysis. Takes well under a second."""
    workspace = state.workspace()
    for role, name in {**SAMPLE_FILES, "training": "training.jsonl"}.items():
        path = state.SAMPLE / name
        workspace.add(role, name, lambda folder, path=path, role=role: import_file(path, folder, role))
    jobs.start(workspace, ["run", "--all"], "Analyse the sample data")


def selection_card() -> None:
    """The selection, wherever the user is: how many, what, and what can be done with it."""
    chosen = state.selection()
    if not chosen:
        return
    with st.container(border=True):
        st.markdown(f"**{len(chosen):,} selected** · {literal(chosen.title, 60)}")
        with st.container(horizontal=True, gap="small"):
            audit = st.button("Audit", key="selection.audit", help="Audit a sample of it", type="tertiary")
            export = st.button("Export", key="selection.export", help="Write it to a file", type="tertiary")
            clear = st.button("Clear", key="selection.clear", help="Clear the selection", type="tertiary")
        if audit:
            st.switch_page("pages/audit.py")
        if export:
            st.switch_page("pages/export.py")
        if clear:
            state.select([], "")
            st.rerun()
