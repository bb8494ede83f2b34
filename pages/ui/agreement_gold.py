"""Calibration: a reader judges the gold records, whose verdicts are known, before reading what is not known."""

import streamlit as st

from core.auditing import gold_sample
from core.decisions import open_reviews
from core.raters import rating_columns
from core.review.acceptance import wilson
from core.review.comparison import compare
from core.review.samples import Sample, sample_records
from core.review.schema import Store
from core.review.verdicts import OUTCOMES, current_verdicts, outcomes
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
    columns = [c.name for c in rating_columns(gold) if {value.strip().lower() for value in c.values} <= {*OUTCOMES}]
    if not columns:
        st.info(
            "The gold records have no field that says pass or fail for each, such as `verdict`. Add one and import again."
        )
        return
    store = open_reviews(workspace)
    audit_people.picker(store, "agreement.gold.who")
    who = state.reviewer()
    sample = gold_sample(workspace, who)
    st.markdown(
        f"**{gold.count:,} gold records** with a settled verdict. Read all of them as you would read an audit; what was "
        "expected is shown when you are through."
    )
    _reading(store, gold, sample, who, columns[0])


@st.fragment
def _reading(store: Store, gold: Dataset, sample: Sample, who: str, column: str) -> None:
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
    ids = gold.ids()
    expected = [(value or "").strip().lower() or None for value in gold.column(column).to_pylist()]
    mine = [said.get(one) for one in ids]
    known = dict(zip(ids, expected, strict=True))
    right = sum(known[one] == given for one, given in said.items() if known.get(one))
    of = sum(bool(known.get(one)) for one in said)
    interval = wilson(right, of)
    st.subheader("Against what was expected")
    if interval:
        st.markdown(
            f"**{literal(who, 60)}** gave the expected verdict on **{right:,} of {of:,}** records "
            f"({right / of:.0%}; 95 % {interval.low:.0%}–{interval.high:.0%}, Wilson). An unsure one counts as another verdict."
        )
    found = compare([expected, mine], ["expected", who if who != "expected" else "reader"], ids)
    agreement_view.view(
        found, gold,
        lambda some: {"expected": [known[one] or "" for one in some], "given": [said.get(one, "") for one in some]},
        "agreement.gold",
    )  # fmt: skip
