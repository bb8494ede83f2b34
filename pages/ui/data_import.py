"""Importing the file that was looked at: at once when it is small, as a job when it is large; then the analysis."""

import json
import shutil
from pathlib import Path

import streamlit as st

from core import jobs
from core.dataset.importing import import_file
from core.dataset.preview import Preview
from core.dataset.shares import read_counted
from core.errors import InputError, QuadrantError
from core.workspace import Workspace, open_workspace
from pages.ui import data_source, state
from pages.ui.data_source import ROLES, Source
from pages.ui.safe import literal

LARGE = 20_000_000  # bytes to read; beyond that the import is a job
HERE, NEW = "This workspace", "A new workspace"
UNITS = {None: "as the file says", "percent": "percent (45)", "fraction": "fractions (0.45)", "count": "counts"}


def where(source: Source, role: str) -> str:
    """The name of the workspace to import into. Errors: InputError when a new one is asked for under a name that is taken."""
    now = state.current_name()
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    first = HERE if role != "training" or state.workspace().dataset() is None else NEW
    chosen = left.segmented_control("Import into", [HERE, NEW], default=first, key=f"data.where.{role}", required=True)
    if chosen == HERE:
        right.caption(f"Workspace **{literal(now)}**." + _replaces(role))
        return now
    name = state.safe_name(
        right.text_input("Its name", value=_free(state.name_for(Path(source.name))), key=f"data.name.{source.path}")
    )
    if not name:
        raise InputError("A workspace needs a name of letters, digits or hyphens. Type one.")
    if name in state.workspace_names():
        raise InputError(f"There is a workspace {name} already. Choose another name, or open it in the side bar first.")
    return name


def _replaces(role: str) -> str:
    data = state.workspace().dataset(role)
    if data is None:
        return ""
    return (
        f" It takes the place of {literal(data.name, 60)} ({data.count:,} records), which stays as an earlier version."
    )


def _free(name: str) -> str:
    taken, number = set(state.workspace_names()), 2
    free = name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free


def offer(source: Source, role: str, seen: Preview) -> None:
    """The Import button with what it needs to know."""
    try:
        target = where(source, role)
    except InputError as error:
        st.error(literal(error, 300))
        return
    trains = role == "training" or (target == state.current_name() and state.workspace().dataset() is not None)
    left, right = st.columns([2, 3], vertical_alignment="center")
    analyse = trains and right.toggle(
        "Analyse afterwards", value=True, key=f"data.analyse.{role}",
        help="Embeds the records, then runs every step that the data allows, as a job. About 3 minutes for 1,000 records.",
    )  # fmt: skip
    if left.button(
        f"Import as {ROLES[role].lower()}",
        type="primary",
        disabled=bool(seen.error),
        key="data.import",
        width="stretch",
    ):
        _import(source, role, seen, target, analyse)


def _import(source: Source, role: str, seen: Preview, target: str, analyse: bool) -> None:
    folder = state.HOME / target
    fresh = not folder.exists()
    large = source.weight > LARGE
    try:
        workspace = open_workspace(folder)
        if large:
            _job(workspace, source, role, seen, analyse)
        else:
            bar = st.progress(0.0, "Importing…")

            def progress(done: int, total: int, message: str) -> None:
                bar.progress(min(done / total, 1.0) if total else 0.0, literal(message))

            data = workspace.add(
                role, source.name, lambda part: import_file(source.path, part, role, seen.mapping, progress)
            )
            st.toast(f"{data.count:,} records imported", icon=":material/check:")
    except QuadrantError as error:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        st.error(data_source.told(error, source))
        return
    data_source.done(source, keep=large)
    state.remember("data.report", role)
    if target != state.current_name():
        state.use_workspace(target)
    if analyse and not large:
        jobs.start(workspace, ["run", "--all"], "Analysis")
    st.rerun()


def _job(workspace: Workspace, source: Source, role: str, seen: Preview, analyse: bool) -> None:
    """A large file: read by a process of its own, whose progress the side bar shows."""
    command = ["analyze" if analyse else "import", str(source.path), "--role", role, "--name", source.name]
    command += ["--mapping", json.dumps(seen.mapping.as_dict(), ensure_ascii=False)]
    jobs.start(workspace, command, f"Import {source.name}")


def offer_shares(source: Source) -> None:
    """Use a file of category shares as production, its unit asked for where the file does not say it."""
    unit = st.selectbox("The numbers are", list(UNITS), format_func=UNITS.get, key="data.unit")
    try:
        shares, total = read_counted(source.path, unit)
    except QuadrantError as error:
        st.error(data_source.told(error, source))
        return
    shares_table(shares)
    if st.button("Use as production shares", type="primary", key="data.shares.file"):
        use_shares(shares, total)
        data_source.done(source, keep=False)
        st.rerun()


def use_shares(shares: dict[str, float], total: int | None = None) -> None:
    """Make these, counted from `total` requests when they were counted, the production of the workspace; compare categories anew."""
    workspace = state.workspace()
    workspace.set_shares(shares, total)
    if workspace.dataset() is not None:
        jobs.start(workspace, ["run", "distribution"], "Compare categories with production")


def shares_table(shares: dict[str, float]) -> None:
    from pages.ui.safe import short

    st.dataframe(
        {"category": [short(c) for c in shares], "share": list(shares.values())}, hide_index=True, height=240,
        column_config={"share": st.column_config.NumberColumn("share of requests", format="percent")},
    )  # fmt: skip
