"""Who reads: the name picker, and what a reader may see of the others while reading."""

import hashlib
from collections.abc import Sequence

import streamlit as st

from core.review.samples import Sample
from core.review.schema import Store
from core.review.verdicts import Standing, reviewers
from pages.ui import state
from pages.ui.safe import literal, short


def picker(store: Store, key: str) -> None:
    """The name that verdicts are stored under, to choose or to type."""
    who = state.reviewer()
    with st.popover(f"Reading as {literal(who, 40)}", icon=":material/person:", key=f"{key}.{slug(who)}"):
        names = sorted({*reviewers(store), who}, key=str.casefold)
        chosen = st.selectbox(
            "Your name", names, index=names.index(who), key=key, accept_new_options=True, format_func=short
        )
        st.caption("A name picker, not a sign-in: whoever sits here chooses a name, and verdicts are stored under it.")
    if chosen and chosen.strip() and " ".join(chosen.split())[:80] != who:
        state.set_reviewer(chosen)
        st.rerun()


def slug(who: str) -> str:
    """A name as a part of a widget key."""
    return hashlib.blake2b(who.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def visible(standings: Sequence[Standing], who: str, sample: Sample) -> Sequence[Standing]:
    """The verdicts that `who` may see: all of them after reading every record, or after asking for them; else the own ones."""
    own = [entry for entry in standings if entry.verdict.reviewer == who]
    others = {entry.verdict.reviewer for entry in standings} - {who}
    if not others or len(own) >= sample.size:
        return standings
    key = f"audit.open.{sample.id}.{slug(who)}"
    if not state.remembered(key, False):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                f"Verdicts of {_people(others)} are hidden until you have read every record, so that yours stay your own. "
                f"What follows counts your {len(own):,} alone."
            )
            if st.button("Show all verdicts", key=f"{key}.button", help="Your reading is then no longer blind."):
                state.remember(key, True)
                st.rerun(scope="fragment")
        return own
    st.caption(f"Everybody's verdicts are shown ({_people(others | {who})}).")
    return standings


def _people(names: set[str]) -> str:
    return literal(", ".join(sorted(names, key=str.casefold)), 120)
