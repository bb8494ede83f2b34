"""Calibration: a reader judges the gold records, whose verdicts are known, before reading what is not known."""

import streamlit as st

from core.actions.auditing import gold_sample
from core.actions.decisions import open_reviews
from core.actions.raters import gold_verdicts
from core.actions.readiness import Readiness, current_round, next_round, readiness
from core.review.comparison import compare
from core.review.samples import Sample, sample_records
from core.review.schema import Store
from core.review.verdicts import current_verdicts, outcomes
from core.workspace import Dataset
from pages.ui import agreement_view, audit_people, state
from pages.ui.reviewer import reviewer, rows_of, save_outbox
from pages.ui.safe import literal


def calibration() -> None:
    """The gold records in the reviewer, and after the last of them the comparison with what was expected."""
    workspace = state.workspace()
    gold = workspace.dataset("gold")
    if gold is None:
        st.markdown(
            "There are no gold records: cases with a verdict that experts have settled. Import a file in the role gold."
        )
        st.page_link("pages/data.py", label="Open data", icon=":material/folder_open:")
        return
    expected = gold_verdicts(gold)
    if not expected:
        st.info(
            "The gold records have no field that says pass or fail for each, such as `verdict`. Add one and import again."
        )
        return
    store = open_reviews(workspace)
    audit_people.picker(store, "agreement.gold.who")
    who = state.reviewer()
    number = st.session_state.get(f"agreement.gold.round.{audit_people.slug(who)}")
    sample = gold_sample(workspace, who, number) if number else current_round(workspace, who)
    st.markdown(
        f"**{gold.count:,} gold records** with a settled verdict. Read all of them as you would read an audit; what was "
        "expected is shown when you are through."
    )
    _reading(store, gold, sample, who, expected)


@st.fragment
def _reading(store: Store, gold: Dataset, sample: Sample, who: str, known: dict[str, str]) -> None:
    own = current_verdicts(store, sample.id, who)
    reviewer(
        sample, sample_records(store, sample.id), rows_of(gold), who=who, standings=own,
        on_outbox=save_outbox(store, sample, who), key=f"agreement.gold.{sample.id}.{audit_people.slug(who)}",
    )  # fmt: skip
    said = outcomes(current_verdicts(store, sample.id, who))
    if len(said) < sample.size:
        st.caption(
            f"{sample.size - len(said):,} of {sample.size:,} are unread. The comparison comes after the last one."
        )
        return
    _mark(readiness(state.workspace(), who), who)
    ids = gold.ids()
    expected = [known.get(one) for one in ids]
    mine = [said.get(one) for one in ids]
    found = compare([expected, mine], ["expected", who if who != "expected" else "reader"], ids)
    agreement_view.view(
        found, gold,
        lambda some: {"expected": [known.get(one, "") for one in some], "given": [said.get(one, "") for one in some]},
        "agreement.gold",
    )  # fmt: skip


def _mark(found: Readiness, who: str) -> None:
    """Passed or not, by the first reading of this round, and the way to another one."""
    st.subheader("Against what was expected")
    ends = (
        f"{found.share:.0%}; 95 % {found.interval.low:.0%}–{found.interval.high:.0%}, Wilson"
        if found.interval
        else "undefined"
    )
    told = (
        f"**{literal(who, 60)}** gave the expected verdict on **{found.right:,} of {found.of:,}** records ({ends}). The pass mark is "
        f"{found.mark:.0%}. An unsure one counts as another verdict."
    )
    if found.ready:
        st.success(f"Passed. {told}", icon=":material/verified:")
    else:
        st.warning(f"Not passed. {told}", icon=":material/tune:")
    st.caption(
        "It counts what was said when the last record was read for the first time: what is changed afterwards is changed knowing "
        "what was expected."
        + (f" This is round {found.number}, of records that were read before." if found.number > 1 else "")
    )
    if found.state == "failed" and st.button(
        "Read another round", key="agreement.gold.again", icon=":material/replay:"
    ):
        next_round(state.workspace(), who)
        st.session_state[f"agreement.gold.round.{audit_people.slug(who)}"] = found.number + 1
        st.rerun(scope="app")
