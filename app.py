"""Quadrant: see, audit and select the fine-tuning data worth training on. Router, workspace picker, job strip."""

import os
from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

PagesManager.uses_pages_directory = (
    False  # this is the router: see pages/ui/__init__.py, which acts when a page runs without it
)

from pages.ui import identity, jobs, opening, state  # noqa: E402
from pages.ui.safe import short  # noqa: E402

ICON = Path(__file__).parent / "pages" / "ui" / "icon.svg"

PAGES = {
    "": [
        ("overview", "Overview", ":material/dashboard:"),
        ("data", "Data", ":material/folder_open:"),
        ("versions", "Versions", ":material/history:"),
    ],
    "See": [
        ("coverage", "Coverage", ":material/bubble_chart:"),
        ("distribution", "Distribution", ":material/bar_chart:"),
    ],
    "Choose": [
        ("quadrant", "Quadrant", ":material/grid_view:"),
        ("proof", "Does it help here?", ":material/science:"),
        ("export", "Export", ":material/download:"),
    ],
    "Prove": [("audit", "Audit", ":material/fact_check:"), ("agreement", "Agreement", ":material/group:")],
    "Clean": [
        ("duplicates", "Duplicates", ":material/content_copy:"),
        ("formatting", "Formatting", ":material/rule:"),
        ("labels", "Labels", ":material/label:"),
    ],
}


def main() -> None:
    st.set_page_config("Quadrant", page_icon=str(ICON), layout="wide")
    pages = {
        section: [
            st.Page(f"pages/{name}.py", title=title, icon=icon, default=name == "overview")
            for name, title, icon in entries
        ]
        for section, entries in PAGES.items()
    }
    page = st.navigation(pages, expanded=True)
    identity.gate()
    st.logo(str(ICON.with_name("logo.svg")), icon_image=str(ICON), size="large")
    with st.sidebar:
        st.session_state["app.workspace"] = state.current_name()  # a page may have opened another one
        st.selectbox(
            "Workspace", state.workspace_names(), format_func=short, key="app.workspace",
            on_change=lambda: state.use_workspace(st.session_state["app.workspace"]),
        )  # fmt: skip
        opening.fill(os.environ.get("QUADRANT_DATA", ""))
        opening.fault()
        jobs.strip()
        opening.selection_card()
        identity.card()
    state.link()
    page.run()


main()
