"""Coverage: what the training set holds, what it repeats and what it lacks, on a map of meaning."""

import streamlit as st

from core.steps import current
from pages.ui import (
    coverage_clusters,
    coverage_diversity,
    coverage_holes,
    coverage_link,
    coverage_map,
    coverage_record,
    coverage_search,
    coverage_selection,
    coverage_settings,
    jobs,
    state,
)  # fmt: skip
from pages.ui.coverage_data import layout

PANELS = {
    "Record": coverage_record.panel,
    "Search": coverage_search.panel,
    "Clusters": coverage_clusters.panel,
    "Holes": coverage_holes.panel,
    "Diversity": coverage_diversity.panel,
    "Selection": coverage_selection.panel,
}


def main() -> None:
    workspace = state.workspace()
    coverage_link.follow(workspace, list(PANELS))
    data = workspace.dataset()
    points = layout(workspace, data) if data is not None else None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.title("Coverage", width="stretch")
        if points is not None:
            coverage_map.meaning(points)
            coverage_map.filters(workspace, data)
        if data is not None:
            coverage_settings.popover(workspace, data)
    st.write("What the training set holds, what it repeats, and what production asks for that it lacks.")
    if data is None:
        st.write("Nothing is imported yet, so there is nothing to map.")
        st.page_link("pages/data.py", label="Import a file", icon=":material/folder_open:")
        return
    if points is None:
        jobs.waiting_for("map" if current(workspace, "embed") else "embed", "The map")
        return
    coverage_map.facts(workspace, points)
    if st.session_state.get("coverage.panel") not in PANELS:
        st.session_state["coverage.panel"] = "Clusters"
    coverage_map.draw(workspace, data, points, holes=st.session_state["coverage.panel"] == "Holes")
    panel = st.segmented_control(
        "Below the map", list(PANELS), key="coverage.panel", required=True, label_visibility="collapsed",
        persist_state="session",
    )  # fmt: skip
    PANELS[panel](workspace, data, points)


main()
