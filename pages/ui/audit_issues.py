"""The records of a sample that need something done: failed, unsure, or with two verdicts that differ."""

import uuid

import streamlit as st

from core.errors import QuadrantError
from core.review.ledger import remove_records, removed_ids, undo
from core.review.schema import Store
from core.review.verdicts import Standing, settle
from pages.ui import state
from pages.ui.audit_result import Reading
from pages.ui.records import rows_of
from pages.ui.safe import literal, short

WORDS = {"pass": "pass", "fail": "fail", "unsure": "unsure", "withdrawn": "taken back"}


def issues(reading: Reading) -> None:
    """The list with notes, what can be done with the failed ones, and conflicts to settle."""
    said = reading.found.outcomes
    listed = [record_id for record_id, outcome in said.items() if outcome != "pass"]
    failed = [record_id for record_id, outcome in said.items() if outcome == "fail"]
    if not listed:
        st.info("No record has failed, and none is unsure or disputed." if said else "No record is judged yet.")
        return
    conflicts(reading)
    _actions(reading, failed)
    _table(reading, said, listed)


def _table(reading: Reading, said: dict[str, str], listed: list[str]) -> None:
    order = {"disputed": 0, "fail": 1, "unsure": 2}
    listed = sorted(listed, key=lambda one: order[said[one]])
    rows = {row["record_id"]: row for row in rows_of(reading.data, listed, ("category", "prompt", "response"))}
    notes: dict[str, list[str]] = {}
    for entry in reading.standings:
        for verdict in (entry.verdict, *entry.others):
            if verdict.note:
                notes.setdefault(verdict.record_id, []).append(verdict.note)
    st.dataframe(
        {
            "verdict": ["two verdicts" if said[one] == "disputed" else said[one] for one in listed],
            "note": [short(" · ".join(notes.get(one, [])), 300) for one in listed],
            "category": [short(rows.get(one, {}).get("category") or "", 40) for one in listed],
            "prompt": [short(rows[one]["prompt"], 160) if one in rows else "changed or gone since" for one in listed],
            "response": [short(rows.get(one, {}).get("response") or "", 160) for one in listed],
        },
        hide_index=True, width="stretch", key="audit.issues", selection_mode="single-row",
        on_select=lambda: _go_to(listed), column_config={"note": st.column_config.TextColumn(width="medium")},
    )  # fmt: skip
    st.caption("Choose a row to read that record in the reviewer above.")


def _go_to(listed: list[str]) -> None:
    rows = st.session_state["audit.issues"]["selection"]["rows"]
    if rows and rows[0] < len(listed):
        st.session_state["audit.goto"] = (listed[rows[0]], uuid.uuid4().hex)


def _actions(reading: Reading, failed: list[str]) -> None:
    there = {row["record_id"] for row in rows_of(reading.data, failed, ())}
    gone = removed_ids(reading.store)
    removable = [one for one in failed if one in there and one not in gone]
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            f"Select the {len(there):,} failed", key="audit.select", disabled=not there, icon=":material/check_box:"
        ):
            state.select([one for one in failed if one in there], f"Failed in audit {reading.sample.name}")
            st.rerun()
        if st.button(
            f"Remove {len(removable):,} failed from training …", key="audit.remove", disabled=not removable,
            icon=":material/remove_circle:",
        ):  # fmt: skip
            removal(reading.store, removable, reading.sample.name, reading.who, uuid.uuid4().hex)
        entry = state.remembered("audit.removal", None)
        if entry:
            st.caption(f"{entry[1]:,} removed as entry {entry[0]} of the ledger.")
            if st.button("Undo", key="audit.undo"):
                _undo(reading, entry[0])
    if failed and not removable and not entry:
        st.caption(
            "All of the failed records are out of training already; the ledger on the Export page can undo that."
        )


def _undo(reading: Reading, entry: int) -> None:
    try:
        undo(reading.store, entry, by=reading.who)
    except QuadrantError as error:
        st.error(literal(error, 400))
        return
    state.remember("audit.removal", None)
    st.rerun()


@st.dialog("Remove failed records")
def removal(store: Store, ids: list[str], sample: str, who: str, token: str) -> None:
    """Names the count and the reason; the entry in the ledger can be undone."""
    st.markdown(
        f"**{len(ids):,} {'record' if len(ids) == 1 else 'records'}** will no longer be exported or drawn from. The file "
        "stays as it is; the ledger keeps who removed them and why, and can undo it."
    )
    st.caption(
        "Removing the failed records of a sample does not make the rest better: about the same share of the records that "
        "nobody read has an issue too."
    )
    reason = st.text_input("Reason", f"Failed in audit {sample}", key="audit.reason", max_chars=300)
    if st.button(f"Remove {len(ids):,}", type="primary", key="audit.remove.yes", disabled=not reason.strip()):
        try:
            entry = remove_records(store, ids, reason=reason, by=who, token=token)
        except QuadrantError as error:
            st.error(literal(error, 400))
            return
        state.remember("audit.removal", (entry.entry, entry.count))
        st.rerun()


def conflicts(reading: Reading) -> None:
    """Two windows of one reviewer that said different things, to settle here; readers who differ are counted."""
    own = [entry for entry in reading.standings if entry.conflict]
    for entry in own[:20]:
        _conflict(reading, entry)
    several = {entry.verdict.record_id for entry in own}
    apart = [one for one, outcome in reading.found.outcomes.items() if outcome == "disputed" and one not in several]
    if apart:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"On **{len(apart):,}** {'record' if len(apart) == 1 else 'records'} the readers differ; they count as "
                "disputed until one of them changes the verdict."
            )
            st.page_link("pages/agreement.py", label="Agreement", icon=":material/group:")


def _conflict(reading: Reading, entry: Standing) -> None:
    heads = (entry.verdict, *entry.others)
    with st.container(border=True):
        told = " and ".join(
            f"**{WORDS.get(one.outcome, 'disputed')}** at {one.created_at[11:16]} UTC"
            + (f" ({literal(one.note, 120)})" if one.note else "")
            for one in heads
        )
        st.markdown(
            f"Two windows gave verdicts of {literal(entry.verdict.reviewer, 60)} on one record: {told}. Both are kept."
        )
        row = next(iter(rows_of(reading.data, [entry.verdict.record_id], ("prompt",))), None)
        if row:
            st.caption(literal(row["prompt"], 200))
        if entry.verdict.reviewer != reading.who:
            st.caption("Only that reviewer can settle it.")
            return
        with st.container(horizontal=True):
            for one in heads:
                word = WORDS.get(one.outcome, one.outcome)
                if st.button(f"Settle: {word}", key=f"audit.settle.{one.client_id}"):
                    settle(reading.store, entry, one)
                    st.rerun(scope="fragment")
