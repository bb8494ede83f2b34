"""Agreement: do two people, or the annotators whose labels came with the data, say the same of the same record?"""

import uuid
from collections.abc import Mapping, Sequence

import streamlit as st

from core.actions.decisions import open_reviews, own_samples
from core.actions.raters import RatingColumn, rating_columns, ratings_of, suggested
from core.review.comparison import Comparison, compare
from core.review.people import Person, keep_person, people, person
from core.review.rubric_store import rubric_of
from core.review.samples import Sample, sample_records
from core.review.schema import Store
from core.review.verdicts import Standing, current_verdicts
from core.workspace import Dataset
from pages.ui import agreement_final, agreement_gold, agreement_people, agreement_view, audit_people, state
from pages.ui.records import positions
from pages.ui.safe import literal, short

READERS, COLUMNS, GOLD, PEOPLE = "Two readers", "Columns of the data", "Gold records", "People"
MOST = 8  # columns compared at once: every two of them are


def readers(data: Dataset) -> None:
    """Agreement of reviewers on one audit sample, and the start of a second reading."""
    store = open_reviews(state.workspace())
    samples = own_samples(store, data)
    if not samples:
        st.markdown(
            "Nobody has read an audit sample yet. Draw one and read it; a second reader then reads the same records."
        )
        st.page_link("pages/audit.py", label="Draw an audit sample", icon=":material/fact_check:")
        return
    known = {sample.id: sample for sample in samples}
    wanted = state.remembered("audit.sample", samples[0].id)
    sample = known[
        st.selectbox(
            "Sample", list(known), index=list(known).index(wanted) if wanted in known else 0, key="agreement.sample",
            format_func=lambda one: short(f"{known[one].name} · drawn {known[one].created_at[:10]}", 100),
        )
    ]  # fmt: skip
    state.remember("audit.sample", sample.id)
    everything = current_verdicts(store, sample.id)
    second_reading(sample, {name: [e for e in everything if e.verdict.reviewer == name] for name in _names(everything)})
    who = state.reviewer()
    begun = any(entry.verdict.reviewer == who for entry in everything) or person(store, who).role == "second"
    standings = audit_people.visible(store, everything, who, sample, "agreement") if begun else everything
    _compared_readers(store, data, sample, standings)
    agreement_final.finals(store, sample, standings)
    agreement_final.over_time(store, sample, samples if standings is everything else [sample], standings)


def _compared_readers(store: Store, data: Dataset, sample: Sample, standings: Sequence[Standing]) -> None:
    """Agreement of those whose verdicts may be shown."""
    by = {name: [e for e in standings if e.verdict.reviewer == name] for name in _names(standings)}
    if len(by) < 2:
        st.info(
            "Agreement takes two readers of the same records. With one it is undefined."
            if by else "Nobody has given a verdict on this sample yet."
        )  # fmt: skip
        return
    left, right = st.columns([3, 2])
    chosen = left.multiselect(
        "Readers",
        list(by),
        default=list(by)[:2],
        format_func=short,
        key=f"agreement.readers.{sample.id}",
        max_selections=MOST,
    )
    questions = rubric_of(store, sample.id).questions
    what = right.selectbox(
        "What to compare",
        ["", *questions],
        format_func=lambda one: short(questions.get(one, "The verdict"), 90),
        key="agreement.what",
    )
    if len(chosen) < 2:
        st.info("Choose two readers or more.")
        return
    ids = [record.record_id for record in sample_records(store, sample.id)]
    said = {name: _said(by[name], what) for name in chosen}
    found = compare([[said[name].get(one) for one in ids] for name in chosen], chosen, ids)
    agreement_view.view(
        found,
        data,
        lambda some: {name: [said[name].get(one, "") for one in some] for name in chosen},
        "agreement.readers",
        lambda record_id: _read_in_audit(sample, record_id),
    )
    st.caption(
        "Unsure is a class of its own. A record on which one reader's two windows differ is left out until settled."
    )


def _read_in_audit(sample: Sample, record_id: str) -> None:
    """The audit page at this record of this sample."""
    state.remember("audit.sample", sample.id)
    st.session_state["audit.goto"] = (record_id, uuid.uuid4().hex)
    st.switch_page("pages/audit.py")


def _names(standings: Sequence[Standing]) -> list[str]:
    """Readers by how many records they judged, most first."""
    counts: dict[str, int] = {}
    for entry in standings:
        counts[entry.verdict.reviewer] = counts.get(entry.verdict.reviewer, 0) + 1
    return sorted(counts, key=lambda name: (-counts[name], name))


def _said(standings: Sequence[Standing], what: str) -> Mapping[str, str]:
    """record_id -> the verdict, or the answer to one question; conflicts and questions not answered are absent."""
    told = {e.verdict.record_id: e.verdict for e in standings if not e.conflict}
    if not what:
        return {one: verdict.outcome for one, verdict in told.items()}
    return {one: verdict.answers[what] for one, verdict in told.items() if verdict.answers.get(what, "na") != "na"}


def second_reading(sample: Sample, by: Mapping[str, Sequence[Standing]]) -> None:
    """Who has read how much, and a further reader's start: blind, for the reviewer shows the own verdicts alone."""
    told = ", ".join(f"{literal(name, 60)} **{len(own):,}** of {sample.size:,}" for name, own in by.items())
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"Read so far: {told}" if told else "Read so far: nothing")
        share = len((sample.recipe.get("double") or {}).get("positions", ()))
        if state.signed_in():
            return
        with st.popover("Start a second reading", icon=":material/person_add:"):
            with st.form("agreement.second", border=False):
                name = st.text_input("Name of the second reader", key="agreement.second.name", max_chars=80)
                st.caption(
                    "A name, not a sign-in: anyone can pick any name. "
                    + (
                        f"The {share:,} records of the double-review share are read again"
                        if share
                        else "The same records are read again"
                    )
                    + ", blind: the verdicts of others stay hidden until these are read."
                )
                go = st.form_submit_button("Read the same records", type="primary", key="agreement.second.go")
            if go and name.strip():
                store = open_reviews(state.workspace())
                state.set_reviewer(name)
                if state.reviewer() not in people(store):
                    keep_person(store, Person(state.reviewer(), "second"), by=state.reviewer())
                state.remember("audit.sample", sample.id)
                st.switch_page("pages/audit.py")
            elif go:
                st.caption(":red[A second reader needs a name.]")


def columns(data: Dataset) -> None:
    """Agreement of rating columns that came with the data."""
    known = {column.name: column for column in _rating_columns(str(data.path), data)}
    if len(known) < 2:
        st.markdown(
            "This data has no two columns that look like ratings: a few values each, used by many records. Import a file "
            "with the labels of each annotator in a column of its own."
        )
        return
    default = suggested(list(known.values()))[:MOST]
    picked = st.multiselect(
        "Columns to compare", list(known), default=default, key=f"agreement.columns.{data.digest[:12]}", max_selections=MOST,
        format_func=lambda name: short(f"{known[name].title} ({', '.join(known[name].values[:4])}"
                                       f"{', …' if len(known[name].values) > 4 else ''})", 90),
    )  # fmt: skip
    if len(picked) < 2:
        st.info("Choose two columns or more that rate the same thing.")
        return
    found = _compared(str(data.path), tuple(picked), data)
    at = positions(data)
    names = {name: known[name].title for name in picked}

    def told(some: Sequence[str]) -> dict[str, list[str]]:
        values = _values(str(data.path), tuple(picked), data)
        return {names[name]: [row[at[one]] or "" for one in some] for name, row in zip(picked, values, strict=True)}

    agreement_view.view(found, data, told, "agreement.columns")
    st.caption("A record without a value in a column counts as not rated by it. Values are compared as they stand.")


@st.cache_resource(max_entries=8, show_spinner=False)
def _rating_columns(path: str, _data: Dataset) -> list[RatingColumn]:
    return rating_columns(_data)


@st.cache_resource(max_entries=4, show_spinner=False)
def _values(path: str, names: tuple[str, ...], _data: Dataset) -> list[list[str | None]]:
    return ratings_of(_data, names)


@st.cache_resource(max_entries=16, show_spinner="Comparing …")
def _compared(path: str, names: tuple[str, ...], _data: Dataset) -> Comparison:
    titles = {column.name: column.title for column in _rating_columns(path, _data)}
    return compare(_values(path, names, _data), [titles[name] for name in names], _data.ids())


def page() -> None:
    data = state.workspace().dataset("training")
    st.title("Agreement")
    st.markdown(
        "Do two people say the same of the same record? A rate that one reader found contains that reader's own errors."
    )
    if data is None:
        st.markdown("There is nothing to agree on yet: this workspace holds no training data.")
        st.page_link("pages/data.py", label="Open data", icon=":material/folder_open:")
        return
    default = COLUMNS if suggested(_rating_columns(str(data.path), data)) else READERS
    kept = state.remembered(f"agreement.view.{state.current_name()}", default)
    view = st.segmented_control(
        "Whose agreement",
        [READERS, COLUMNS, GOLD, PEOPLE],
        default=kept,
        key="agreement.view",
        label_visibility="collapsed",
        required=True,
    )
    state.remember(f"agreement.view.{state.current_name()}", view)
    if view == GOLD:
        agreement_gold.calibration()
    elif view == PEOPLE:
        agreement_people.everybody()
    else:
        {READERS: readers, COLUMNS: columns}[view](data)


page()
