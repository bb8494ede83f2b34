"""The people who read, their calibration, and the rules that they work by."""

from dataclasses import replace

import streamlit as st

from core.actions.decisions import open_reviews
from core.actions.readiness import Readiness, readiness, rules, set_rules
from core.errors import QuadrantError
from core.review.people import LENGTHS, ROLES, Person, keep_person, people, remove_person
from core.review.verdicts import reviewers
from pages.ui import identity, state
from pages.ui.safe import literal, short

NEW = "Somebody new"


def everybody() -> None:
    """The list, a form to enter or change somebody, and the rules."""
    store = open_reviews(state.workspace())
    known = people(store)
    unknown = [name for name in reviewers(store) if name not in known]
    if state.signed_in():
        st.caption("People sign in here: their e-mail address decides under which name they read.")
    else:
        st.caption(
            "This server has no sign-in: names are picked, and anyone can pick any name, an advisor's too. Section “Sign-in” of "
            "CONTRIBUTING says how to set one up."
        )
    if known:
        _table(known)
    else:
        st.markdown("Nobody is entered yet. Enter who reads, and an advisor who decides where readers differ.")
    if unknown:
        st.caption(f"Read here without being entered, so as annotators: {literal(', '.join(unknown), 300)}.")
    if not identity.may_manage():
        st.info("An advisor changes people and rules.")
        return
    _form(store, known, unknown)
    _rules()


def _table(known: dict[str, Person]) -> None:
    found = {name: readiness(state.workspace(), name) for name in known}
    st.dataframe(
        {
            "name": [short(one.name, 80) for one in known.values()],
            "role": [one.role for one in known.values()],
            "credential": [short(one.credential, 60) for one in known.values()],
            "specialty": [short(one.specialty, 60) for one in known.values()],
            "e-mail": [short(one.email, 80) for one in known.values()],
            "calibration": [_said(one) for one in found.values()],
        },
        hide_index=True, width="stretch", key="agreement.people",
    )  # fmt: skip
    st.caption("Calibration: settled verdicts given on gold records, with the 95 % interval (Wilson).")


WORDS = {"no gold": "no gold records", "unread": "not begun", "failed": "not passed"}


def _said(one: Readiness) -> str:
    ends = f", {one.right} of {one.of} ({one.interval.low:.0%}–{one.interval.high:.0%})" if one.interval else ""
    return WORDS.get(one.state, one.state) + ends


def _form(store, known: dict[str, Person], unknown: list[str]) -> None:
    names = [NEW, *known, *unknown]
    st.subheader("Enter or change somebody")
    who = st.selectbox("Person", names, format_func=short, key="agreement.person")
    now = known.get(who, Person("" if who == NEW else who))
    number = names.index(who)
    with st.form(f"agreement.person.form.{number}", border=True):
        left, right = st.columns(2)
        given = {
            "name": left.text_input(
                "Name", now.name, max_chars=LENGTHS["name"], disabled=who != NEW, key=f"agreement.person.name.{number}"
            ),
            "credential": left.text_input(
                "Credential", now.credential, max_chars=LENGTHS["credential"], placeholder="MD, RN, pharmacist …",
                key=f"agreement.person.credential.{number}",
            ),
            "specialty": right.text_input(
                "Specialty", now.specialty, max_chars=LENGTHS["specialty"], key=f"agreement.person.specialty.{number}"
            ),
            "email": right.text_input(
                "E-mail (of the sign-in)", now.email, max_chars=LENGTHS["email"], key=f"agreement.person.email.{number}"
            ),
        }  # fmt: skip
        role = st.selectbox(
            "Role",
            list(ROLES),
            index=list(ROLES).index(now.role),
            format_func=ROLES.get,
            key=f"agreement.person.role.{number}",
        )
        with st.container(horizontal=True):
            keep = st.form_submit_button("Keep", type="primary", key=f"agreement.person.keep.{number}")
            drop = who in known and st.form_submit_button("Take off the list", key=f"agreement.person.drop.{number}")
    try:
        if keep:
            keep_person(
                store,
                replace(now, **(given | {"name": given["name"] or now.name}), role=role, active=True),
                state.reviewer(),
            )
        if drop:
            remove_person(store, who, state.reviewer())
    except QuadrantError as error:
        st.error(literal(error, 400))
        return
    if keep or drop:
        st.rerun()


def _rules() -> None:
    workspace = state.workspace()
    now = rules(workspace)
    st.subheader("Rules")
    with st.form("agreement.rules", border=True):
        mark = st.number_input(
            "Pass mark of the calibration (%)", 1, 100, round(100 * now.mark), key="agreement.rules.mark"
        )
        required = st.checkbox(
            "Reading opens only to those who passed", now.required, key="agreement.rules.required",
            help="Otherwise a banner says that the reader is not calibrated.",
        )  # fmt: skip
        hidden = st.checkbox(
            "Hide the readers' names until a record is decided", now.hidden, key="agreement.rules.hidden"
        )
        deciders = st.multiselect("Who decides", list(ROLES), list(now.adjudicators), key="agreement.rules.deciders")
        own = st.checkbox(
            "Somebody may decide on a record that they read themselves", now.own, key="agreement.rules.own"
        )
        if st.form_submit_button("Keep these rules", key="agreement.rules.keep"):
            try:
                set_rules(
                    workspace,
                    replace(
                        now, mark=mark / 100, required=required, hidden=hidden, adjudicators=tuple(deciders), own=own
                    ),
                )
            except QuadrantError as error:
                st.error(literal(error, 400))
                return
            st.rerun()
