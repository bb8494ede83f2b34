"""What was read last, for as long as a database cannot be read: a page that a person works on must not vanish under them."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.errors import WorkspaceError
from pages.ui.safe import literal


def steady(key: str, read: Callable[[], Any]) -> tuple[Any, str | None]:
    """(what `read` gives, None); while the database fails, (what it gave last in this session, why). Raises when there is no last."""
    try:
        value = read()
    except WorkspaceError as error:
        if key not in st.session_state:
            raise
        return st.session_state[key], str(error)
    st.session_state[key] = value
    return value, None


def unreadable(error: str, key: str) -> None:
    """The reviews cannot be read at all: why, and a way to go on once they can."""
    st.error(
        f"{literal(error, 600)} Verdicts that were not saved yet are kept in this browser.",
        icon=":material/database_off:",
    )
    st.button("Try again", key=f"{key}.again", icon=":material/refresh:")
