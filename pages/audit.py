"""Audit: a random sample, read one record at a time, and what it says about the whole set."""

import streamlit as st

from core.decisions import open_reviews, own_samples
from core.errors import WorkspaceError
from core.review.ledger import removed_ids
from core.review.rubric_store import rubric_of
from core.review.samples import Sample, sample_records
from core.review.schema import Store
from core.review.verdicts import current_verdicts
from core.workspace import Dataset
from pages.ui import (
    audit_draw,
    audit_edits,
    audit_groups,
    audit_issues,
    audit_people,
    audit_place,
    audit_report,
    audit_result,
    audit_rubric,
    heat,
    state,
)  # fmt: skip
from pages.ui.records import positions
from pages.ui.reviewer import reviewer, rows_of, save_outbox
from pages.ui.safe import literal, short
from pages.ui.steady import steady, unreadable

VIEWS = {
    "Result": audit_result.result,
    "By group": audit_groups.groups,
    "Issues": audit_issues.issues,
    "Corrections": audit_edits.corrections,
    "Report": audit_report.document,
}


def controls(store: Store, data: Dataset, samples: list[Sample]) -> Sample:
    """Which sample, who reads, and a new draw."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        known = {sample.id: sample for sample in samples}
        wanted = state.remembered("audit.sample", samples[0].id)
        ids = list(known)
        chosen = st.selectbox(
            "Sample", ids, index=ids.index(wanted) if wanted in known else 0, key=f"audit.picked.{len(ids)}",
            format_func=lambda one: _label(known[one], data), width="stretch",
        )  # fmt: skip
        state.remember("audit.sample", chosen)
        audit_rubric.picker(state.workspace(), store, known[chosen])
        audit_people.picker(store, "audit.who")
        audit_draw.another(store, data, samples)
    return known[chosen]


def _label(sample: Sample, data: Dataset) -> str:
    age = "" if sample.dataset_digest == data.digest else " · earlier version of the data"
    # Not how many are read: this line stands still while the reader goes on.
    return short(f"{sample.name} · drawn {sample.created_at[:10]}{age}", 120)


def facts(store: Store, data: Dataset, sample: Sample) -> None:
    """How the sample was drawn, and what has become of its records since."""
    how = {"random": "Simple random sample", "stratified": "Random sample stratified by category", "census": "All"}
    drawn = f"{how.get(sample.method, sample.method)}: {sample.size:,} of {sample.population:,} records"
    seed = "" if sample.method == "census" else f", seed {sample.seed}"
    st.caption(literal(f"{drawn}{seed}, drawn {sample.created_at[:10]} by {sample.created_by}.", 300))
    records = sample_records(store, sample.id)
    ids = [record.record_id for record in records]
    stale = audit_result.stale_of(data, sample, records)
    if stale:
        same = len(ids) - len(stale)
        st.warning(
            f"This sample was drawn from an earlier version of the data. {same:,} of its {len(ids):,} records are "
            f"unchanged and their verdicts stand. {len(stale):,} have changed or are gone, or other columns are mapped to what is "
            "read: verdicts on them are stale. They count as they were given; draw a new sample to judge the data of today.",
            icon=":material/history:",
        )
    elif sample.dataset_digest != data.digest:
        st.caption("Drawn from an earlier version of the data; every one of its records is unchanged.")
    removed = len(removed_ids(store) & set(ids) & set(positions(data)))
    if removed:
        st.caption(f"{removed:,} of these records {'is' if removed == 1 else 'are'} removed from training by now.")


@st.fragment
def reading(store: Store, data: Dataset, sample: Sample, who: str) -> None:
    """The reviewer and the live result; a saved batch of verdicts reruns this part alone."""
    records = sample_records(store, sample.id)
    (own, rubric), trouble = steady(
        f"audit.steady.{sample.id}.{audit_people.slug(who)}",
        lambda: (current_verdicts(store, sample.id, who), rubric_of(store, sample.id)),
    )
    workspace = state.workspace()
    reviewer(
        sample, records, rows_of(data), who=who, standings=own, on_outbox=save_outbox(store, sample, who),
        rubric=rubric, about=audit_place.about(workspace, data), near=audit_place.near(workspace, data), tints=heat.tints(workspace),
        go_to=st.session_state.pop("audit.goto", None), key=f"audit.reviewer.{sample.id}.{audit_people.slug(who)}",
    )  # fmt: skip
    if trouble:
        st.warning(
            f"{literal(trouble, 500)} Go on reading: verdicts are kept in this browser, and sent when it can be reached."
        )
        return
    standings = audit_people.visible(current_verdicts(store, sample.id), who, sample)
    view = st.segmented_control(
        "What to show", list(VIEWS), default="Result", key="audit.view", label_visibility="collapsed", required=True
    )
    VIEWS[view](audit_result.Reading(store, data, sample, who, standings))


def page() -> None:
    workspace = state.workspace()
    data = workspace.dataset("training")
    st.title("Audit")
    st.markdown("Is the data as good as it looks? Read a random sample, record by record, and let the count decide.")
    if data is None:
        st.markdown("There is nothing to read yet: this workspace holds no training data.")
        st.page_link("pages/data.py", label="Open data", icon=":material/folder_open:")
        return
    try:
        audit(open_reviews(workspace), data)
    except WorkspaceError as error:
        unreadable(str(error), "audit")


def audit(store: Store, data: Dataset) -> None:
    """The sample that is read, its reviewer and its result; the offer to draw one when there is none."""
    samples = own_samples(store, data)
    if not samples:
        audit_draw.greeting(store, data)
        return
    sample = controls(store, data, samples)
    facts(store, data, sample)
    reading(store, data, sample, state.reviewer())


page()
