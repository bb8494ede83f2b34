"""Each reader against the final verdicts, and over time."""

from collections.abc import Sequence

import streamlit as st

from core.actions.decisions import decided
from core.actions.readiness import rules
from core.review.adjudication import adjudications, in_force, open_cases
from core.review.people import people
from core.review.readers import FEW, FINAL_NOTE, Drift, Trend, against_final, drift, final_of
from core.review.samples import Sample
from core.review.schema import Store
from core.review.verdicts import Standing, current_verdicts
from pages.ui import state
from pages.ui.safe import literal, short

HERE, ALL = "This sample", "All audit samples"
BY = {"": "chosen by the dates", "day": "day", "week": "week", "month": "month", "order": "parts of the reading order"}


def finals(store: Store, sample: Sample, standings: Sequence[Standing]) -> None:
    """How often each reader gave the final verdict, with intervals."""
    decisions = decided(store, sample)
    waiting = len(open_cases(standings, decisions))
    found = against_final(standings, decisions)
    st.subheader("Against the final verdict")
    if waiting:
        roles = rules(state.workspace()).adjudicators
        able = [one.title for one in people(store).values() if one.role in roles]
        whom = (
            f"Those who decide: {literal(', '.join(able), 400)}."
            if able
            else "Nobody is entered as one yet: see People."
        )
        st.markdown(
            f"**{waiting:,}** {'record is' if waiting == 1 else 'records are'} disputed or unsure. Whoever has the role "
            f"{' or '.join(roles)} decides, on the Audit page under To adjudicate. {whom}"
        )
    if not any(one.settled for one in found):
        st.info(
            "There is no final verdict yet: it takes two readers who agree on a record, or an adjudicator's decision."
        )
        return
    st.dataframe(
        {
            "reader": [short(one.reader, 60) for one in found],
            "decided": [f"{one.agreed} of {one.decided}" for one in found],
            "of decided, 95 %": [_ends(one.agreed, one.decided, one.interval) for one in found],
            "settled": [f"{one.agreed_all} of {one.settled}" for one in found],
            "of settled, 95 %": [_ends(one.agreed_all, one.settled, one.interval_all) for one in found],
            "passed, final fail": [one.passed_bad for one in found],
            "failed, final pass": [one.failed_good for one in found],
        },
        hide_index=True, width="stretch", key="agreement.finals",
    )  # fmt: skip
    st.caption(f"{FINAL_NOTE} Intervals are Wilson's.")


def _ends(k: int, n: int, interval) -> str:
    return f"{k / n:.0%} ({interval.low:.0%}–{interval.high:.0%})" if n and interval else "undefined"


def over_time(store: Store, sample: Sample, samples: Sequence[Sample], standings: Sequence[Standing]) -> None:
    """Each reader's share of issues and agreement with the final verdicts by period, with a test for a trend."""
    st.subheader("Over time")
    left, right = st.columns(2)
    which = left.segmented_control("Verdicts of", [HERE, ALL], default=HERE, key="agreement.drift.which", required=True)
    by = right.selectbox("By", list(BY), format_func=BY.get, key="agreement.drift.by")
    known = [sample] if which == HERE else list(samples)
    entries, final = [], {}
    for one in known:
        some = standings if one.id == sample.id else current_verdicts(store, one.id)
        decisions = in_force(adjudications(store, one.id))
        entries += some
        final |= final_of(some, decisions)
    found = drift(entries, final, by or None)
    if not found:
        st.info("Nobody has given a verdict yet.")
        return
    for one in found:
        _one(one)
    st.caption(
        "The trend is tested by Cochran and Armitage (two-sided, normal approximation), on the days between periods or on the parts "
        "in order. The records differ from period to period, so a trend may be theirs"
        + (", all the more across samples that were drawn in different ways." if which == ALL else ".")
        + " With several readers, one test in twenty shows a trend by chance."
    )


def _one(one: Drift) -> None:
    st.markdown(f"**{literal(one.reader, 60)}**: {_trend('share with an issue', one.trend)}; "
                f"{_trend('agreement with final verdicts', one.agreement_trend)}")  # fmt: skip
    dated = any("-" in p.title or "W" in p.title for p in one.periods)
    what = "period" if dated else "records, as read"
    st.dataframe(
        {
            what: [short(p.title, 30) + (" (few)" if p.judged < FEW else "") for p in one.periods],
            "with an issue": [f"{p.failed} of {p.judged}" for p in one.periods],
            "share, 95 %": [_ends(p.failed, p.judged, p.interval) for p in one.periods],
            "as the final verdict": [f"{p.agreed} of {p.settled}" for p in one.periods],
            "agreement, 95 %": [_ends(p.agreed, p.settled, p.agreement) for p in one.periods],
            "median seconds": [None if p.seconds is None else round(p.seconds, 1) for p in one.periods],
        },
        hide_index=True, width="stretch",
    )  # fmt: skip


def _trend(what: str, trend: Trend | None) -> str:
    if trend is None:
        return f"no trend to test in the {what}"
    rough = ", rough: few cases" if trend.small else ""
    if trend.p_value >= 0.05:
        return f"no trend shown in the {what} (p = {trend.p_value:.3f}{rough})"
    return f"the {what} {'rises' if trend.z > 0 else 'falls'} (p = {trend.p_value:.3f}{rough})"
