"""Who sits here: by sign-in (OpenID Connect) when the secrets have an [auth] section, else by a name that anyone may pick."""

import streamlit as st

from core.actions.decisions import open_reviews
from core.errors import QuadrantError
from core.review.people import Person, by_email, keep_person, people
from pages.ui import state
from pages.ui.safe import literal
from pages.ui.steady import unreadable


def configured() -> bool:
    """Whether this server asks for a sign-in."""
    try:
        return "auth" in st.secrets
    except (FileNotFoundError, KeyError):
        return False


def gate() -> None:
    """Lets a person in under the name that goes with their e-mail address, and nobody else; does nothing without a sign-in."""
    if not configured():
        return
    if not st.user.get("is_logged_in"):
        st.title("Quadrant")
        st.markdown("This server asks who you are before it shows anything.")
        st.button("Sign in", type="primary", icon=":material/login:", on_click=st.login, key="identity.in")
        st.stop()
    email = str(st.user.get("email") or "").strip().casefold()
    if "@" not in email or st.user.get("email_verified") is False:
        st.error(
            "The sign-in gave no confirmed e-mail address, so it does not say who you are. Sign in with another account."
        )
        st.button("Sign out", on_click=st.logout, key="identity.out")
        st.stop()
    try:
        state.sign_in(_name(email, str(st.user.get("name") or "")))
    except QuadrantError as error:
        unreadable(str(error), "identity")
        st.stop()


def _name(email: str, called: str) -> str:
    """The name of the person with this address; somebody new is entered as an annotator under the name of their account."""
    store = open_reviews(state.workspace())
    found = by_email(store, email)
    if found is None:
        name = " ".join(called.split())[:80] or email
        taken = people(store, gone=True)
        name = email[:80] if name in taken and taken[name].email not in ("", email) else name
        known = taken.get(name, Person(name))
        # An entry without an address may have been somebody else's choice of name: it lends its name, not its rights.
        role = known.role if known.email == email else "annotator"
        found = keep_person(store, Person(name, role, known.specialty, known.credential, email), by="sign-in")
    return found.name


def card() -> None:
    """In the side bar: who is signed in, and the way out."""
    if configured():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"Signed in as {literal(state.reviewer(), 60)}")
            st.button("Sign out", on_click=st.logout, key="identity.leave", type="tertiary")


def may_manage() -> bool:
    """Whether who sits here may change people and rules: with a sign-in advisors alone, once one of them has an address."""
    if not configured():
        return True
    known = people(open_reviews(state.workspace()))
    advisors = {one.name for one in known.values() if one.role == "advisor" and one.email}
    return not advisors or state.reviewer() in advisors
