"""What an export builds on: the removals in force with their undo, and the named subsets."""

import streamlit as st

from core.errors import QuadrantError
from core.review.ledger import Entry, ledger, remove_records, undo
from core.review.schema import Store
from core.review.subsets import Subset, delete_subset, rename_subset, subset_ids, subsets
from core.workspace import Dataset
from pages.ui import state
from pages.ui.safe import literal, short

SHOWN = 12  # rows with buttons before "show all"
DONE = {"remove": "removed", "keep": "kept or put back", "undo": "taken back", "pin": "pinned", "relabel": "relabelled"}


def plural(count: int, word: str = "record") -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def day(stamp: str) -> str:
    """A stored time for the eye, in UTC."""
    return str(stamp)[:16].replace("T", " ")


# -- removals --------------------------------------------------------------------------------------------------------------


def removals(store: Store) -> None:
    """The entries in force, newest first, each with its undo; the whole ledger below."""
    st.subheader("Ledger")
    entries = ledger(store)
    standing = [e for e in reversed(entries) if e.action != "undo" and e.undone_by is None]
    if not standing:
        st.caption("Nothing is removed or changed: every imported record is in force.")
    every = st.session_state.get("export.all_entries", False)
    for entry in standing if every else standing[:SHOWN]:
        _entry(store, entry)
    if len(standing) > SHOWN:
        st.toggle(f"Show all {len(standing):,} entries in force", key="export.all_entries")
    if entries and st.toggle("The whole ledger, undone entries included", key="export.whole_ledger"):
        st.dataframe(
            {
                "entry": [e.entry for e in entries],
                "action": [DONE.get(e.action, e.action) for e in entries],
                "records": [e.count for e in entries],
                "reason": [short(e.reason, 200) for e in entries],
                "by": [short(e.created_by, 40) for e in entries],
                "at (UTC)": [day(e.created_at) for e in entries],
                "taken back by": [str(e.undone_by) if e.undone_by else "" for e in entries],
            },
            hide_index=True, width="stretch",
        )  # fmt: skip


def _entry(store: Store, entry: Entry) -> None:
    row = st.container(horizontal=True, vertical_alignment="center")
    facts = literal(f"Entry {entry.entry}, by {entry.created_by or 'unknown'}, {day(entry.created_at)} UTC")
    with row.container(width="stretch", gap=None):
        st.markdown(f"**{plural(entry.count)} {DONE[entry.action]}** · {literal(entry.reason, 200)}")
        st.caption(facts)
    if row.button("Undo", key=f"export.undo.{entry.entry}"):
        try:
            undo(store, entry.entry, by=state.reviewer())
        except QuadrantError as error:
            st.error(literal(error, 300))
            return
        st.rerun()


def asking(what: str = "", **details: object) -> None:
    """Which question stands open ("remove", "replace" or none), kept over reruns until it is answered or closed."""
    state.remember("export.asking", (what, details))


@st.dialog("Remove records", on_dismiss=asking)
def remove(store: Store, ids: list[str], token: str) -> None:
    """Ask for the reason, then write the removal into the ledger, once a `token`; the file itself is never touched."""
    st.markdown(
        f"**{plural(len(ids))}** leave the training data: exports, audits and selections go on without them. "
        "The imported file stays as it is, and the entry can be undone."
    )
    reason = st.text_input("Reason", key="export.reason", placeholder="for example: near-duplicates of kept records")
    left, right = st.columns(2)
    if left.button(f"Remove {plural(len(ids))}", key="export.remove_now", type="primary", width="stretch"):
        try:
            entry = remove_records(store, ids, reason=reason, by=state.reviewer(), token=token)
        except QuadrantError as error:
            st.error(literal(error, 300))
            return
        asking()
        state.remember("export.said", f"{plural(entry.count)} removed, entry {entry.entry} of the ledger.")
        state.select([], "")
        st.rerun()
    if right.button("Cancel", key="export.remove_not", width="stretch"):
        asking()
        st.rerun()


# -- subsets ---------------------------------------------------------------------------------------------------------------


def named(store: Store, data: Dataset) -> None:
    """The named subsets, newest first: select, rename, delete."""
    st.subheader("Named subsets")
    found = subsets(store)
    if not found:
        st.caption("None yet. A selection can be saved under a name on the Quadrant page, or here.")
    every = st.session_state.get("export.all_subsets", False)
    for one in found if every else found[:SHOWN]:
        _subset(store, data, one)
    if len(found) > SHOWN:
        st.toggle(f"Show all {len(found):,} subsets", key="export.all_subsets")


def _subset(store: Store, data: Dataset, one: Subset) -> None:
    elsewhere = "" if one.dataset_digest == data.digest else ", saved from another version of the data"
    facts = literal(f"{one.strategy}, by {one.created_by or 'unknown'}, {day(one.created_at)} UTC{elsewhere}", 200)
    row = st.container(horizontal=True, vertical_alignment="center")
    with row.container(width="stretch", gap=None):
        st.markdown(f"**{literal(one.name, 80)}** · {plural(one.count)}")
        st.caption(facts)
    if row.button("Select", key=f"export.select.{one.id}"):
        ids = data.index.names.at(data.index.known(subset_ids(store, one.id)))
        state.select(ids, one.name)
        lost = one.count - len(ids)
        state.remember("export.said", f"{plural(lost)} of it are not in the data that is open now." if lost else "")
        st.rerun()
    with row.popover("Rename"), st.form(f"export.rename.{one.id}", border=False):
        name = st.text_input("Name", one.name, key=f"export.name.{one.id}")
        if st.form_submit_button("Rename", type="primary"):
            _attempt(lambda: rename_subset(store, one.id, name))
    with row.popover("Delete"):
        st.markdown(f"Take {literal(one.name, 80)} off the list? Its {plural(one.count)} stay in the data.")
        if st.button("Delete", key=f"export.delete.{one.id}", type="primary"):
            _attempt(lambda: delete_subset(store, one.id, by=state.reviewer()))


def _attempt(act) -> None:
    try:
        act()
    except QuadrantError as error:
        st.error(literal(error, 300))
        return
    st.rerun()
