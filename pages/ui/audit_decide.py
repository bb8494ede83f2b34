"""Adjudication: a record on which readers differ or are unsure, what each said side by side, and the final verdict with its reason."""

import hashlib
import uuid
from collections.abc import Sequence

import streamlit as st

from core.actions.decisions import decided
from core.actions.readiness import Rules, rules
from core.errors import QuadrantError
from core.review.adjudication import Adjudication, adjudicate, changed_since, open_cases
from core.review.queues import Queue
from core.review.rubric_store import rubric_kept
from core.review.samples import Sample
from core.review.schema import Store
from core.review.verdicts import OUTCOMES, Standing, Verdict
from core.workspace import Dataset
from pages.ui import records, state
from pages.ui.safe import literal, short

COLOURS = {"pass": "green", "fail": "red", "unsure": "orange", "withdrawn": "gray"}
WORDS = {"pass": "Pass", "fail": "Fail", "unsure": "Unsure: it cannot be told"}


def decide(store: Store, data: Dataset, sample: Sample, who: str, queue: Queue, standings: Sequence[Standing]) -> None:
    """The cases of a sample, one at a time. For those who may decide alone, as `audit_queue` sees to: readers stay blind."""
    ours = rules(state.workspace())
    decisions = decided(store, sample)
    waiting = open_cases(standings, decisions)
    cases = [record.record_id for record in queue.records]
    key = f"audit.decide.{sample.id[:8]}"
    at = st.session_state.get(f"{key}.at")
    if at not in cases:
        at = waiting[0] if waiting else cases[0]
    numbers = {one: n for n, one in enumerate(cases, 1)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        at = st.selectbox(
            "Record", cases, index=cases.index(at), key=f"{key}.pick.{at}", width="stretch",
            format_func=lambda one: f"{numbers[one]} of {len(cases)} · {_state(one, decisions, waiting)}",
        )  # fmt: skip
        later = [one for one in waiting if one != at]
        if st.button("Next open one", key=f"{key}.next", disabled=not later, icon=":material/skip_next:"):
            after = [one for one in later if numbers[one] > numbers[at]]
            st.session_state[f"{key}.at"] = (after or later)[0]
            st.rerun()
    st.session_state[f"{key}.at"] = at
    mine = [entry for entry in standings if entry.verdict.record_id == at]
    decision = decisions.get(at)
    with st.container(border=True):
        records.show(data, at, key=f"{key}.record.{at}")
    _sides(store, mine, hidden=ours.hidden and decision is None, at=at)
    if decision is not None:
        _decision(store, sample, who, decision, mine, ours, key)
    else:
        _form(store, sample, who, at, mine, ours, key)


def _state(record_id: str, decisions: dict[str, Adjudication], waiting: list[str]) -> str:
    if record_id in decisions:
        return f"decided: {decisions[record_id].outcome}"
    return "open" if record_id in waiting else "settled"


def _sides(store: Store, mine: Sequence[Standing], hidden: bool, at: str) -> None:
    """What each reader said, side by side; without names in an order that does not tell who is who."""
    said = [verdict for entry in mine for verdict in (entry.verdict, *entry.others)]
    order = {one.client_id: hashlib.blake2b(f"{at}{one.client_id}".encode()).hexdigest() for one in said}
    said.sort(key=lambda one: order[one.client_id] if hidden else one.reviewer.casefold())
    beside = st.container(horizontal=True, gap="medium", key="audit.decide.sides")
    for n, verdict in enumerate(said):
        with beside.container(border=True, width="stretch"):
            name = f"Reader {chr(65 + n)}" if hidden else verdict.reviewer
            st.markdown(f"**{literal(name, 60)}** :{COLOURS[verdict.outcome]}-badge[{verdict.outcome}]")
            _told(store, verdict)
    if hidden:
        st.caption("Names, and which reader is which, are shown after the decision.")


def _told(store: Store, verdict: Verdict) -> None:
    rubric = rubric_kept(store, verdict.rubric)
    names = {option.id: option.label for option in (*rubric.error_types, *rubric.severity)}
    lines = []
    for one in rubric.criteria:
        given = verdict.answers.get(one.id)
        if given is None:
            continue
        label = next((option.label for option in one.options if option.id == given), given)
        detail = verdict.answers.get(f"{one.id}.detail")
        if detail and one.detail:
            label += f" ({next((o.label for o in one.detail.options if o.id == detail), detail)})"
        note = verdict.answer_notes.get(one.id, "")
        title = literal(one.title, 120) + ("" if one.title.endswith("?") else ":")
        lines.append(f"- {title} **{literal(label, 60)}**{f'. {literal(note, 600)}' if note else ''}")
    marks = [names.get(kind, kind) for kind in verdict.error_types]
    marks += [f"severity {names.get(verdict.severity, verdict.severity)}"] if verdict.severity else []
    marks += ["high stakes"] if verdict.high_stakes else []
    if marks:
        lines.append(f"- {literal(', '.join(marks), 400)}")
    st.markdown("\n".join(lines) or ":gray[No question was answered.]")
    for title, text in (
        ("Note", verdict.note),
        ("Guideline", verdict.guideline),
        ("Corrected response", verdict.correction),
    ):
        if text:
            st.caption(title)
            st.text(text)


def _form(store: Store, sample: Sample, who: str, at: str, mine: Sequence[Standing], ours: Rules, key: str) -> None:
    if not mine:
        st.info("Nobody's verdict on this record stands any more.")
        return
    with st.form(f"{key}.form.{at}", border=True):
        outcome = st.radio(
            "Final verdict", OUTCOMES, index=None, format_func=WORDS.get, horizontal=True, key=f"{key}.outcome.{at}"
        )
        reason = st.text_area(
            "Reason", key=f"{key}.reason.{at}", max_chars=20_000, height=90, placeholder="What decides it"
        )
        token = st.session_state.setdefault(f"{key}.token.{at}", uuid.uuid4().hex)
        if st.form_submit_button("Decide", type="primary", icon=":material/gavel:", key=f"{key}.go.{at}"):
            if outcome is None:
                st.error("Choose pass, fail or unsure.")
                return
            _keep(store, sample, at, outcome, reason, who, mine, ours, token)
            st.session_state.pop(f"{key}.token.{at}", None)
            st.rerun()


def _keep(
    store: Store,
    sample: Sample,
    at: str,
    outcome: str,
    reason: str,
    who: str,
    mine: Sequence[Standing],
    ours: Rules,
    token: str,
) -> None:
    try:
        adjudicate(
            store,
            sample.id,
            at,
            outcome,
            reason,
            who,
            standings=mine,
            token=token,
            allowed=ours.adjudicators,
            own=ours.own,
        )
    except QuadrantError as error:
        st.error(literal(error, 600))
        st.stop()


def _decision(
    store: Store, sample: Sample, who: str, decision: Adjudication, mine: Sequence[Standing], ours: Rules, key: str
) -> None:
    st.success(
        f"Final verdict: **{decision.outcome}**, by {literal(decision.adjudicator, 60)} ({decision.role}), "
        f"{decision.created_at[:16].replace('T', ' ')} UTC. {literal(decision.reason, 2000)}",
        icon=":material/gavel:",
    )
    if changed_since(decision, mine):
        st.warning("A reader has given another verdict since. The decision stands until it is opened again.")
    with st.popover("Open it again", icon=":material/undo:", key=f"{key}.again.{decision.entry}"):
        reason = st.text_input("Reason", key=f"{key}.again.reason.{decision.entry}", max_chars=2000)
        if st.button("Open again", key=f"{key}.again.go.{decision.entry}", disabled=not short(reason)):
            _keep(store, sample, decision.record_id, "withdrawn", reason, who, mine, ours, uuid.uuid4().hex)
            st.rerun()
