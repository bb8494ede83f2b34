"""Taking records out by the ledger: a dialog that says how many go and what stays, and an undo in its place afterwards."""

import os
from collections.abc import Sequence

import streamlit as st

from core.actions.decisions import open_reviews
from core.review.ledger import ledger, remove_records, undo
from pages.ui import state
from pages.ui.safe import literal


def ask(ids: Sequence[str], reason: str, stays: str) -> None:
    """Open the dialog. `reason` goes into the ledger, `stays` is one sentence of what remains."""
    _dialog(tuple(ids), reason, stays, os.urandom(8).hex())


@st.dialog("Remove records")
def _dialog(ids: tuple[str, ...], reason: str, stays: str, token: str) -> None:
    count = "1 record" if len(ids) == 1 else f"{len(ids):,} records"
    st.markdown(f"**{count}** will be removed. {literal(stays, 400)}")
    st.caption(
        "The source file is not touched: the removal is an entry in the ledger, which every page and export obeys, "
        "and it can be undone."
    )
    st.text_input("Reason, for the ledger", reason, key="removal.reason", max_chars=200)
    left, right = st.columns(2)
    if left.button("Cancel", key="removal.cancel", width="stretch"):
        st.rerun()
    if right.button(
        f"Remove {count}",
        key="removal.confirm",
        type="primary",
        width="stretch",
        on_click=_remove,
        args=(ids, reason, token),
    ):
        st.rerun()


def _remove(ids: tuple[str, ...], reason: str, token: str) -> None:
    why = str(st.session_state.get("removal.reason", "")).strip() or reason
    entry = remove_records(open_reviews(state.workspace()), ids, reason=why, by=state.reviewer(), token=token)
    state.remember("removal.last", (state.current_name(), entry.entry))


def undo_bar() -> None:
    """What was removed last in this session, with a button that takes it back; nothing when there is nothing to take back."""
    name, number = state.remembered("removal.last", ("", 0))
    if name != state.current_name():
        return
    store = open_reviews(state.workspace())
    entry = next((one for one in ledger(store) if one.entry == number), None)
    if entry is None or entry.undone_by is not None:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        count = "1 record" if entry.count == 1 else f"{entry.count:,} records"
        st.markdown(f"**{count} removed** · {literal(entry.reason, 120)} · entry {entry.entry} of the ledger")
        if st.button("Undo", key="removal.undo", icon=":material/undo:"):
            undo(store, number, by=state.reviewer())
            st.rerun()
