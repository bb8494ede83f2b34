"""Versions: what each import changed, record by record, and how the scorecard moved; an earlier one can be looked at."""

import streamlit as st

from core.workspace import Dataset
from pages.ui import state, versions_changes, versions_history, versions_look, versions_recipe
from pages.ui.safe import literal, short

VIEWS = {"changes": "What changed", "history": "Scorecard over time", "look": "Look at one", "recipe": "Recipe"}


def title(number: int, one: Dataset, current: Dataset | None) -> str:
    """A version in a list: number, day, records, file; the one that is open says so."""
    now = ", open now" if current is not None and one.path == current.path else ""
    return f"{number}: {one.imported[:16].replace('T', ' ')}, {one.count:,} records, {short(one.name, 40)}{now}"


def page() -> None:
    workspace = state.workspace()
    st.title("Versions")
    known = workspace.versions("training")
    if not known:
        st.markdown("Every import of a changed file is a version. Nothing is imported yet.")
        st.page_link("pages/data.py", label="Open data", icon=":material/folder_open:")
        return
    st.markdown(
        "Every import of a changed file is kept as a version. What did each change, and did the set become better?"
    )
    current = workspace.dataset("training")
    st.dataframe(
        {
            "version": list(range(len(known), 0, -1)),
            "imported (UTC)": [one.imported[:16].replace("T", " ") for one in reversed(known)],
            "file": [short(one.name) for one in reversed(known)],
            "records": [one.count for one in reversed(known)],
            "quarantined": [one.report.get("quarantined", 0) for one in reversed(known)],
            "digest": [one.digest[:12] for one in reversed(known)],
            "open now": [current is not None and one.path == current.path for one in reversed(known)],
        },
        hide_index=True, width="stretch", height=min(250, 38 + 35 * len(known)),
    )  # fmt: skip
    kept = state.remembered("versions.view", "changes")
    view = st.segmented_control(
        "View",
        list(VIEWS),
        default=kept,
        format_func=VIEWS.get,
        key="versions.view",
        required=True,
        label_visibility="collapsed",
    )
    state.remember("versions.view", view)
    titles = {one.digest: title(n, one, current) for n, one in enumerate(known, 1)}
    if view == "changes":
        versions_changes.draw(workspace, known, current, titles)
    elif view == "history":
        versions_history.draw(workspace)
    elif view == "look":
        versions_look.draw(workspace, known, current, titles)
    else:
        versions_recipe.draw(workspace)
    if len(known) < 2 and view == "changes":
        st.caption(
            literal("Import a changed file in this workspace: it becomes version 2, and this page compares them.")
        )


page()
