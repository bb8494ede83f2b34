"""What happens when a workspace is opened, and the side bar's card of the selection."""

import shutil
from datetime import datetime
from pathlib import Path

import streamlit as st

from core import jobs
from core.dataset.importing import import_file
from core.errors import QuadrantError
from core.workspace import Workspace
from pages.ui import state
from pages.ui.safe import literal

SAMPLE_FILES = {"production": "production.jsonl", "validation": "validation.jsonl", "gold": "gold.jsonl"}


def fill(data: str) -> None:
    """Give an empty workspace its data: the sample set, or the file the app was started with; then start the analysis.

    A file that cannot be read is told and leaves no workspace behind. One that failed in its job is tried again once it was changed.
    """
    if not data and state.current_name() != "sample":
        return
    if state.current_name() != state.started_with() or state.remembered("opening.fault", ""):
        return
    path = Path(data).expanduser()
    workspace = state.workspace()
    if workspace.dataset() or _tried(workspace, path if data else None):
        return
    try:
        if data:
            found = _fault(path)
            if found:
                _refused(workspace, path, found)
                st.rerun()
            jobs.start(workspace, ["analyze", str(path)], f"Open {path.name}")
        else:
            import_sample()
    except QuadrantError as error:
        st.error(literal(error, 600))
    st.rerun()


def _tried(workspace: Workspace, path: Path | None) -> bool:
    """Whether a job here was under way or ended since the file was last written."""
    job = jobs.latest(workspace)
    if job is None or job.active or path is None or job.state != "failed":
        return job is not None
    try:
        return path.stat().st_mtime <= datetime.fromisoformat(job.started).timestamp()
    except OSError:
        return False  # the file is gone: say so


def _fault(path: Path) -> str:
    """Why the file cannot be opened as training data; "" when its first rows can be read."""
    from core.dataset.preview import preview

    try:
        seen = preview(path, rows=20, role="training")
    except (QuadrantError, OSError) as error:
        return str(error)
    if seen.kind == "shares":
        return f"{path.name} is a table of category shares, not of records."
    return seen.error or ""


def _refused(workspace: Workspace, path: Path, fault: str) -> None:
    """Remember why the file was not opened, and go to another workspace; the one made for it goes while it holds nothing."""
    others = [name for name in state.workspace_names() if name != state.current_name()]
    if holds_nothing(workspace):
        shutil.rmtree(workspace.path, ignore_errors=True)
        state.use_workspace("sample" if "sample" in others or not others else others[0])
    state.remember("opening.fault", f"{path} was not opened. {fault}")


def fault() -> None:
    """Why the file that the app was started with was not opened, until it is dismissed."""
    said = state.remembered("opening.fault", "")
    if said:
        st.error(literal(said, 600))
        if st.button("Dismiss", key="opening.dismiss"):
            state.remember("opening.fault", "")
            st.rerun()


def holds_nothing(workspace: Workspace) -> bool:
    """Whether a workspace was made and nothing was ever put into it: no data, no result, no decision."""
    roles = [*SAMPLE_FILES, "training"]
    if any(workspace.versions(role) for role in roles) or workspace.shares():
        return False
    kept = {"datasets", "results", "scratch", "jobs", "selections", "exports", "kept", "versions"}
    for path in workspace.path.iterdir():
        if path.is_dir() and path.name in kept and any(path.iterdir()):
            return False
        if path.name not in kept and path.name != "workspace.json":
            return False
    return True


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
        st.markdown(f"**{len(chosen):,} selected** · {literal(chosen.title, 120)}")
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
