"""Who reads: the name picker, whether they may start, and what a reader may see of the others while reading."""

import hashlib
from collections.abc import Sequence

import streamlit as st

from core.actions.readiness import Readiness, readiness, rules
from core.review.people import people, person
from core.review.queues import own_part
from core.review.samples import Sample, sample_records
from core.review.schema import Store
from core.review.verdicts import Standing, reviewers
from pages.ui import state
from pages.ui.safe import literal, short


def picker(store: Store, key: str) -> None:
    """The name that verdicts are stored under: of the sign-in, or to choose or to type."""
    who = state.reviewer()
    with st.popover(f"Reading as {literal(who, 40)}", icon=":material/person:", key=f"{key}.{slug(who)}"):
        known = people(store)
        if who in known:
            st.markdown(literal(known[who].title, 300))
        if state.signed_in():
            st.caption("You are signed in; verdicts are stored under this name. Sign out in the side bar to change.")
            chosen = who
        else:
            names = sorted({*reviewers(store), *known, who}, key=str.casefold)
            chosen = st.selectbox(
                "Your name", names, index=names.index(who), key=key, accept_new_options=True,
                format_func=lambda one: short(known[one].title if one in known else one, 90),
            )  # fmt: skip
            st.caption(
                "A name picker, not a sign-in: anyone here can pick any name, and verdicts are stored under it. Roles are entered on "
                "the Agreement page, under People."
            )
    if chosen and chosen.strip() and " ".join(chosen.split())[:80] != who:
        state.set_reviewer(chosen)
        st.rerun()


def slug(who: str) -> str:
    """A name as a part of a widget key."""
    return hashlib.blake2b(who.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def calibrated(store: Store, who: str) -> bool:
    """Whether this reader may read on: says what is missing, and is False only where the workspace insists on it."""
    found = readiness(state.workspace(), who)
    required = rules(state.workspace()).required
    if found.ready or (not required and (found.state == "no gold" or person(store, who).role == "advisor")):
        return True
    with st.container(horizontal=True, vertical_alignment="center", key="audit.calibration"):
        box = st.warning if required else st.info
        box(f"{_missing(found, who)} {_asked(required)}", icon=":material/tune:")
        label = "Open data" if found.state == "no gold" else "Calibrate on the gold records"
        if st.button(label, key="audit.calibrate", icon=":material/workspace_premium:"):
            state.remember(f"agreement.view.{state.current_name()}", "Gold records")
            st.switch_page("pages/data.py" if found.state == "no gold" else "pages/agreement.py")
    return not required


def _missing(found: Readiness, who: str) -> str:
    name = f"**{literal(who, 60)}**"
    if found.state == "no gold":
        return "Calibration is required, but there are no gold records with a settled verdict to calibrate on. Import some."
    if found.state == "failed":
        ends = f"95 % {found.interval.low:.0%}–{found.interval.high:.0%}" if found.interval else ""
        return (
            f"{name} gave the settled verdict on {found.right} of {found.of} gold records ({found.share:.0%}; {ends}); the pass mark "
            f"is {found.mark:.0%}. Look at the differences, then read another round."
        )
    begun = (
        f"has {found.left} gold records left to read"
        if found.state == "reading"
        else "has not read the gold records yet"
    )
    return f"{name} {begun}: {found.mark:.0%} of the settled verdicts is the pass mark."


def _asked(required: bool) -> str:
    if required:
        return "Reading opens after that: this workspace requires it."
    return "You can read on; what you find is then not corrected for your own errors."


def visible(
    store: Store, standings: Sequence[Standing], who: str, sample: Sample, page: str = "audit"
) -> Sequence[Standing]:
    """The verdicts that `who` may see: everybody's after reading all that is theirs, or after asking for them; else the own ones.

    A second reader who read the double-review share sees what others said of these records, and of no others. An advisor who read
    none of the sample sees all: it is theirs to decide.
    """
    own = {entry.verdict.record_id for entry in standings if entry.verdict.reviewer == who}
    others = {entry.verdict.reviewer for entry in standings} - {who}
    if not others or len(own) >= sample.size:
        return standings
    role = person(store, who).role
    if role == "advisor" and not own:
        st.caption(f"You decide, so everybody's verdicts are shown ({_people(others)}).")
        return standings
    key = f"audit.open.{sample.id}.{slug(who)}"
    if state.remembered(key, False):
        st.caption(f"Everybody's verdicts are shown ({_people(others | {who})}).")
        return standings
    part = own_part(sample, sample_records(store, sample.id), role)
    done = len(part) < sample.size and all(record.record_id in own for record in part)
    with st.container(horizontal=True, vertical_alignment="center"):
        if done:
            st.caption(
                f"You have read your {len(part):,} records. What follows counts these, with verdicts of {_people(others)}."
            )
        else:
            st.caption(
                f"Verdicts of {_people(others)} are hidden until you have read every record, so that yours stay your own. "
                f"What follows counts your {len(own):,} alone."
            )
        if st.button(
            "Show all verdicts",
            key=f"{page}.open.{sample.id}.{slug(who)}.button",
            help="Your reading is then no longer blind.",
        ):
            state.remember(key, True)
            st.rerun(scope="fragment" if page == "audit" else "app")
    return [e for e in standings if e.verdict.reviewer == who or (done and e.verdict.record_id in own)]


def _people(names: set[str]) -> str:
    return literal(", ".join(sorted(names, key=str.casefold)), 120)
