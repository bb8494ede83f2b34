"""Corrected responses that readers proposed: the difference to what stands, and whether an export may apply it."""

import streamlit as st

from core.errors import QuadrantError
from core.review.edits import Proposal, decide, edits, proposals
from pages.ui.audit_result import Reading
from pages.ui.diff import side_by_side
from pages.ui.records import rows_of
from pages.ui.safe import literal, short

STATES = {"": "open", "accept": "accepted", "reject": "not wanted", "withdraw": "open"}


def corrections(reading: Reading) -> None:
    """Every proposal of this sample, one of them side by side with the response as imported."""
    found = proposals(reading.standings, edits(reading.store))
    if not found:
        st.info(
            "No response is corrected yet. Press c in the reviewer, or open its further fields, to write one as it should be."
        )
        return
    ids = [one.record_id for one in found]
    rows = {row["record_id"]: row for row in rows_of(reading.data, ids, ("prompt", "response"))}
    st.caption(
        "A correction is a proposed edit: the record stays as it was imported. An accepted one is applied by an export that asks "
        "for it, which keeps the original in its manifest."
    )
    event = st.dataframe(
        {
            "state": [STATES[one.decision] for one in found],
            "by": [short(one.by, 40) for one in found],
            "corrected response": [short(one.text, 200) for one in found],
            "prompt": [short(rows[i]["prompt"], 120) if i in rows else "changed or gone since" for i in ids],
        },
        hide_index=True, width="stretch", key="audit.edits", selection_mode="single-row", on_select="rerun",
    )  # fmt: skip
    chosen = event.selection.rows
    at = chosen[0] if chosen and chosen[0] < len(found) else next((n for n, p in enumerate(found) if not p.decision), 0)
    _one(reading, found[at], rows.get(found[at].record_id))


def _one(reading: Reading, proposal: Proposal, row: dict | None) -> None:
    if row is None:
        st.warning("The record has changed or is gone since, so the correction cannot be applied.")
        return
    side_by_side(
        {"response": row["response"]}, {"response": proposal.text},
        (("As imported", short(row["prompt"], 90)), ("Corrected", f"by {short(proposal.by, 40)}")), key="audit.edit.diff",
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center"):
        actions = (
            {"accept": "Accept", "reject": "Not wanted"}
            if proposal.decision in ("", "withdraw")
            else {"withdraw": "Take back"}
        )
        if proposal.decision == "reject":
            actions = {"accept": "Accept after all"}
        for action, label in actions.items():
            st.button(
                label, key=f"audit.edit.{action}.{proposal.verdict}", type="primary" if action == "accept" else "secondary",
                on_click=_decide, args=(reading, proposal, action),
            )  # fmt: skip
        if proposal.by == reading.who and "accept" in actions:
            st.caption("This is your own proposal; another reader's eye is worth having.")


def _decide(reading: Reading, proposal: Proposal, action: str) -> None:
    try:
        decide(reading.store, proposal, action, reading.who)
    except QuadrantError as error:
        st.toast(literal(error, 400), icon=":material/error:")
