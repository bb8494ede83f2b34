"""Data: open files in their roles, correct how they are read, see what was imported and what was left out."""

import streamlit as st

from core.errors import QuadrantError
from pages.ui import data_import, data_mapper, data_open, data_report, data_shares, data_source, state
from pages.ui.data_source import SAMPLE, SHARES
from pages.ui.safe import literal


def open_a_file() -> None:
    st.subheader("Open a file")
    left, right = st.columns(2)
    with left:
        role = data_source.role()
    with right:
        way = data_source.way(role)
    if way == SHARES:
        data_shares.edit()
        return
    try:
        source = data_source.ask(way)
    except (QuadrantError, OSError) as error:
        st.error(literal(state.refused(error), 600))
        return
    if source is None:
        if way != SAMPLE:
            st.caption("Nothing leaves this machine, and nothing is imported before you have seen how it will be read.")
        return
    try:
        seen = data_mapper.choose(source, role)
    except (QuadrantError, OSError) as error:
        st.error(data_source.told(error, source))
        return
    if seen.kind != "shares":
        data_import.offer(source, role, seen)
    elif role == "production":
        st.markdown(f"**{literal(source.name)}** is a table of category shares.")
        data_import.offer_shares(source)
    else:
        st.warning(f"{literal(source.name)} is a table of category shares. Open it in the role Production.")


def page() -> None:
    workspace = state.workspace()
    st.title("Data")
    st.markdown("Which records are open, how each field is read, and what was left out and why.")
    holds = any(workspace.dataset(role) for role in data_source.ROLES) or workspace.shares()
    if holds:
        data_open.cards(workspace)
    open_a_file()
    if holds:
        data_report.show(workspace)


page()
