"""Audit: a random sample, read one record at a time, and what it says about the whole set."""

import streamlit as st

from core.actions.auditing import redraw
from core.actions.decisions import decided, open_reviews, own_samples
from core.errors import WorkspaceError
from core.review.ledger import removed_ids
from core.review.people import person
from core.review.queues import double_records
from core.review.rubric_store import rubric_of
from core.review.samples import Sample, sample_records
from core.review.schema import Store
from core.review.verdicts import current_verdicts
from core.workspace import Dataset
from pages.ui import (
    audit_decide,
    audit_draw,
    audit_edits,
    audit_groups,
    audit_issues,
    audit_people,
    audit_place,
    audit_queue,
    audit_report,
    audit_result,
    audit_rubric,
    heat,
    state,
)  # fmt: skip
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


HOW = {
    "random": "Simple random sample",
    "stratified": "Random sample stratified by {group}",
    "risk": "Random sample with chances by risk",
    "high-stakes": "High-stakes records",
    "follow-up": "Follow-up by {group}",
    "census": "All",
}
PARTS = {
    "high-stakes": "It speaks for the high-stakes records alone: all of them are in it, and no other.",
    "follow-up": "It speaks for the records of {groups} that nobody had read when it was drawn, and for no others.",
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
    how = HOW.get(str(sample.recipe.get("how")), HOW.get(sample.method, sample.method))
    how = how.format(group=sample.recipe.get("group") or "category")
    how = "All" if sample.method == "census" and sample.recipe.get("how") not in PARTS else how
    drawn = f"{how}: {sample.size:,} of {sample.population:,} records"
    seed = "" if sample.method == "census" else f", seed {sample.seed}"
    second = len(double_records(sample, sample_records(store, sample.id)))
    twice = f" {second:,} of them, chosen by chance, are for a second reader too." if second else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(literal(f"{drawn}{seed}, drawn {sample.created_at[:10]} by {sample.created_by}.{twice}", 400))
        again = st.button(
            "Check the draw", key="audit.verify", type="tertiary", icon=":material/verified:",
            help="Draws again from what the sample records of itself, and compares.",
        )  # fmt: skip
    if again:
        found = redraw(state.workspace(), sample)
        box = {True: st.success, False: st.error, None: st.info}[found.same]
        box(literal(found.told, 500))
    if sample.recipe.get("how") in PARTS:
        st.caption(literal(PARTS[sample.recipe["how"]].format(groups=", ".join(sample.recipe.get("groups", ()))), 500))
    if sample.method == "risk":
        st.caption(literal(audit_draw.risk_words(sample.recipe.get("risks", {})), 900))
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
    removed = len(data.index.known(removed_ids(store).intersection(ids)))
    if removed:
        st.caption(f"{removed:,} of these records {'is' if removed == 1 else 'are'} removed from training by now.")


@st.fragment
def reading(store: Store, data: Dataset, sample: Sample, who: str, open_: bool, high: frozenset[str]) -> None:
    """The reviewer and the live result; a saved batch of verdicts reruns this part alone."""
    records = sample_records(store, sample.id)
    (everything, rubric, role, decisions), trouble = steady(
        f"audit.steady.{sample.id}.{audit_people.slug(who)}",
        lambda: (
            current_verdicts(store, sample.id),
            rubric_of(store, sample.id),
            person(store, who).role,
            decided(store, sample),
        ),
    )
    queue = audit_queue.chosen(sample, records, who, role, everything, decisions, high)
    if queue.name == "decide" and not trouble:
        audit_decide.decide(store, data, sample, who, queue, everything)
    elif queue.name != "decide" and open_:
        own = [entry for entry in everything if entry.verdict.reviewer == who]
        workspace, part = state.workspace(), audit_queue.suffix(queue, sample.size)
        reviewer(
            sample, queue.records, rows_of(data), who=who, standings=own, on_outbox=save_outbox(store, sample, who),
            rubric=rubric, about=audit_place.about(workspace, data), near=audit_place.near(workspace, data),
            tints=heat.tints(workspace), go_to=st.session_state.pop("audit.goto", None),
            key=f"audit.reviewer.{sample.id}.{audit_people.slug(who)}{part}",
        )  # fmt: skip
    if trouble:
        st.warning(
            f"{literal(trouble, 500)} Go on reading: verdicts are kept in this browser, and sent when it can be reached."
        )
        return
    standings = audit_people.visible(store, current_verdicts(store, sample.id), who, sample)
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
    who = state.reviewer()
    reading(store, data, sample, who, audit_people.calibrated(store, who), audit_queue.high_stakes(store, data, who))


page()
