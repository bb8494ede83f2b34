"""Relabelling by rule: which labels would change, how, and the entry of the ledger that changes them."""

import os

import streamlit as st

from core.actions.relabelling import Preview, Rule, apply_rule, preview
from core.errors import QuadrantError
from core.review.ledger import ledger, undo
from core.workspace import Dataset, Result, Workspace
from pages.ui import records, state
from pages.ui.labels_data import Doubts
from pages.ui.safe import literal, short
from pages.ui.tables import pager


def draw(workspace: Workspace, data: Dataset, result: Result, found: Doubts) -> None:
    st.markdown(
        "Call records by the label that the rest of the set suggests, by a rule and in one step that can be undone."
    )
    names = result.info["names"]
    with st.container(horizontal=True):
        given = st.selectbox("Given label", [None, *names], format_func=_name, key="labels.rule.given")
        suggested = st.selectbox("Suggested label", [None, *names], format_func=_name, key="labels.rule.suggested")
        sure = st.slider("Probability of the suggested label, at least", 0.5, 0.99, 0.9, 0.01, key="labels.rule.sure")
    near = st.toggle("Only where most neighbours have the suggested label too", True, key="labels.rule.near")
    read = st.toggle("Also records that passed an audit", False, key="labels.rule.read")
    try:
        seen = preview(workspace, Rule(given, suggested, sure, near, read))
    except QuadrantError as error:
        st.error(literal(error, 400))
        return
    _shown(data, seen)
    token = f"{state.remembered('labels.rule.click', os.urandom(6).hex())}"
    if st.button(
        f"Relabel {_records(len(seen.changes))}", type="primary", disabled=not seen.changes, key="labels.rule.apply"
    ):
        try:
            entry = apply_rule(workspace, seen, state.reviewer(), token)
        except QuadrantError as error:
            st.error(literal(error, 400))
            return
        state.remember("labels.rule.click", os.urandom(6).hex())
        st.toast(f"{_records(entry.count)} relabelled, entry {entry.entry} of the ledger", icon=":material/check:")
        st.rerun()
    _applied(workspace)


def _name(label: str | None) -> str:
    return "any" if label is None else short(label, 60)


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count:,} records"


def _shown(data: Dataset, seen: Preview) -> None:
    """The count and the difference, before anything is written."""
    st.markdown(f"**{_records(len(seen.changes))}** would get another label.")
    said = [f"{seen.passed:,} that passed an audit are left out"] if seen.passed else []
    said += [f"{seen.already:,} have the new label already"] if seen.already else []
    said += (
        [f"{seen.answers:,} answer with the label itself: an export with corrections changes that answer too"]
        if seen.answers
        else []
    )
    said += (
        [f"{seen.named:,} name the old label inside a longer answer, which stays as it is: read these"]
        if seen.named
        else []
    )
    if said:
        st.caption("; ".join(said) + ".")
    if not seen.changes:
        return
    here = pager(len(seen.changes), "labels.rule.page", what="Labels", order="the surest first")
    some = seen.changes[here]
    rows = {row["record_id"]: row for row in records.rows_of(data, [one for one, _, _ in some], ("prompt",))}
    st.dataframe(
        {
            "label now": [short(before, 50) for _, before, _ in some],
            "new label": [short(after, 50) for _, _, after in some],
            "probability": [round(p, 3) for p in seen.confidence[here]],
            "prompt": [short((rows.get(one) or {}).get("prompt") or "", 140) for one, _, _ in some],
        },
        hide_index=True, width="stretch", height=min(320, 38 + 35 * len(some)),
    )  # fmt: skip
    pairs = ", ".join(f"{literal(a, 40)} → {literal(b, 40)} ({n:,})" for a, b, n in seen.pairs[:6])
    st.caption(
        f"{pairs}{' …' if len(seen.pairs) > 6 else ''}. The imported file stays as it is. The new label counts on this page, on "
        "the scorecard, in the comparison with production and its plans, and in an export that applies corrections. The estimate of "
        "accuracy follows by the same classifier, which takes its own suggestions for right: have a sample of them read."
    )


def _applied(workspace: Workspace) -> None:
    from core.actions.decisions import open_reviews

    store = open_reviews(workspace)
    entries = [e for e in reversed(ledger(store)) if e.action == "relabel" and e.undone_by is None]
    for entry in entries[:8]:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"Entry {entry.entry}: {_records(entry.count)} relabelled by {literal(entry.created_by, 40)}. "
                       f"{literal(entry.reason, 160)}.")  # fmt: skip
            st.button("Undo", key=f"labels.undo.{entry.entry}", on_click=_undo, args=(workspace, entry.entry))
    if len(entries) > 8:
        st.caption(f"{len(entries) - 8:,} earlier ones stand in the ledger on the Export page.")


def _undo(workspace: Workspace, entry: int) -> None:
    from core.actions.decisions import open_reviews

    try:
        undo(open_reviews(workspace), entry, by=state.reviewer())
    except QuadrantError as error:
        st.toast(literal(error, 300), icon=":material/error:")
