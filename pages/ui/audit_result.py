"""What a sample says: the decision on its plan, intervals, what the plan can tell apart, what it would take to say more."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import streamlit as st

from core.actions.decisions import seen_now
from core.actions.reporting import findings, grouping
from core.review import acceptance
from core.review.acceptance import LIMIT, Summary, practice_lines
from core.review.curves import Curve, curve_of
from core.review.findings import Findings
from core.review.phrases import SIZED, corrected_words, curve_words, estimate_words
from core.review.plan import Plan
from core.review.samples import Sample, SampleRecord, chances
from core.review.schema import Store
from core.review.seen import is_stale
from core.review.sequential import sprt
from core.review.verdicts import Standing
from core.workspace import Dataset
from pages.ui import state
from pages.ui.safe import literal

PLOT = {"displayModeBar": False}


@dataclass(frozen=True)
class Reading:
    """A sample with the verdicts on it that may be shown to the reader."""

    store: Store
    data: Dataset
    sample: Sample
    who: str
    standings: Sequence[Standing]

    @cached_property
    def found(self) -> Findings:
        return self.findings(agree=False)

    def findings(self, agree: bool) -> Findings:
        """All that was found; with `agree` also how far readers agree."""
        ids = tuple(record.record_id for record in self.records)
        known = (str(self.data.path), self.sample.id, ids, self.data)
        return findings(state.workspace(), self.sample, self.standings, _seen(*known), _grouped(*known), agree)

    @property
    def records(self) -> Sequence[SampleRecord]:
        from core.review.samples import sample_records

        return sample_records(self.store, self.sample.id)

    @property
    def summary(self) -> Summary:
        return self.found.summary


@st.cache_resource(max_entries=16, show_spinner=False)
def _seen(path: str, sample: str, ids: tuple[str, ...], _data: Dataset) -> dict[str, str]:
    return seen_now(_data, ids)


@st.cache_resource(max_entries=16, show_spinner=False)
def _grouped(path: str, sample: str, ids: tuple[str, ...], _data: Dataset):
    return grouping(_data, ids)


def stale_of(data: Dataset, sample: Sample, records: Sequence[SampleRecord]) -> list[str]:
    """The drawn records that now read otherwise (edited, or another column mapped to what is read) or are gone."""
    now = _seen(str(data.path), sample.id, tuple(record.record_id for record in records), data)
    return [r.record_id for r in records if is_stale(r.record_digest, r.record_id, now.get(r.record_id))]


def result(reading: Reading) -> None:
    """The decision, in words that claim no more than is true, and the numbers behind it."""
    found, sample, plan = reading.summary, reading.sample, reading.found.plan
    box = {"systemic": st.error, "stop": st.error, "open": st.warning, "undecided": st.warning}.get(
        found.decision, st.info
    )
    box(
        f"**{literal(found.headline, 400)}.** {literal(found.detail, 2400)}",
        icon=":material/flag:" if box is st.error else None,
    )
    _numbers(reading.found)
    _weighting(reading.found)
    if sample.method == "census":
        st.caption("Every record there was is in this sample: the count is the rate, and nothing is left to estimate.")
        _corrected(reading.found)
        return
    beside = st.container(horizontal=True, gap="large")  # one below the other where both do not fit
    with beside.container(width="stretch"):
        if reading.found.equal:
            _plan(found, plan, sample)
        else:
            st.caption("No plan (n, c) holds for records with unequal chances, so there is no curve to draw.")
        _corrected(reading.found)
    with beside.container(width=380):
        if reading.found.equal:
            _practice(found)
        _intervals(reading.found)
        _further(reading.found)


def _numbers(told: Findings) -> None:
    found, plan, sample = told.summary, told.plan, told.sample
    with st.container(horizontal=True):
        rule = (
            f"Sequential plan: {plan.good:.0%} against {plan.bad:.0%}, at most {plan.size:,} records."
            if plan.kind == "sequential" else f"{acceptance.PLAN_SOURCE} Here: more than {plan.accept:,} of {sample.size:,}."
        )  # fmt: skip
        st.metric(
            "With an issue", f"{found.failed:,} of {found.judged:,}", border=True, width="stretch",
            help=rule.replace("%", "\\%"),
        )  # fmt: skip
        interval, method = found.interval, "Clopper–Pearson: exact, never too narrow."
        rate, title = found.rate, "Rate, 95 % interval"
        if found.walk is not None:
            method, title = "Anytime-valid: it holds although reading may stop at any moment.", "Rate, anytime interval"
        if told.estimate:
            rate, interval, title = told.estimate.rate, told.estimate.interval, "Weighted rate, 95 % interval"
            method = "Each record counts for those it stands for; Korn–Graubard, Clopper–Pearson at the effective size."
        biased = " Reading stopped because of what was found, so the share itself is biased; the interval is not."
        if rate is not None and sample.method != "census" and (told.equal or told.estimate):
            ends = f" ({interval.low:.1%}–{interval.high:.1%})" if interval else " (no interval)"
            st.metric(
                title + (" · biased" if found.biased else ""), f"{rate:.1%}{ends}", border=True, width="stretch",
                help=f"{method} Unsure and unread records are in no rate."
                + (biased if found.biased and found.walk else ""),
            )  # fmt: skip
        if found.above_limit is not None and sample.method != "census" and told.equal:
            st.metric(
                f"P(true rate > {LIMIT:.0%})", f"{found.above_limit:.0%}", border=True, width="stretch",
                help="Probability under the Jeffreys posterior that more than 6 \\% of the whole set has an issue.",
            )  # fmt: skip
        st.metric("Unsure · two verdicts", f"{found.unsure:,} · {found.disputed:,}", border=True, width="stretch")
        st.metric("Unread", f"{found.unread:,} of {found.size:,}", border=True, width="stretch")


def _weighting(told: Findings) -> None:
    """What a draw with strata or unequal chances adds: whether the plan applies, and how the estimate is made."""
    sample = told.sample
    if told.design == "equal":
        return
    drawn = [record.probability for record in told.records]
    low, high = chances(sample) if sample.strata else (min(drawn), max(drawn))
    if not told.equal:
        gone = sum(1 for stratum in sample.strata if not stratum["drawn"])
        none = f"; {gone:,} small categories got no record and say nothing" if gone else ""
        said = (
            f"The records of this draw had unequal chances of being chosen, {low:.1%} to {high:.1%}{none}. "
            "The raw count is not the rate of the set, and the plan's rule does not apply to it."
        )
    else:
        said = (
            f"Stratified by category: each record had a chance of {low:.1%} to {high:.1%} of being chosen, equal but for "
            "rounding to whole records, so the plan's rule applies."
        )
    st.caption(literal(f"{said} {estimate_words(told)}", 1200))


def _plan(found: Summary, plan: Plan, sample: Sample) -> None:
    from core.figures.audit import walk_over

    if found.walk is not None:
        st.markdown("**The walk of this audit**")
        lines = sprt(plan.good, plan.bad, plan.alpha, plan.beta)
        st.plotly_chart(walk_over(lines, sample.size, found.walk), theme="streamlit", config=PLOT, key="audit.walk")
        st.caption(
            f"Sequential plan, {plan.good:.0%} against {plan.bad:.0%}, chosen when the sample was drawn: stop as soon as the walk "
            "leaves the band. The first record at which it does decides; the order is that of the draw, so verdicts given out of "
            "order wait. Stopping so keeps both risks; stopping by any other wish does not."
        )
    st.markdown("**What the plan can tell apart**")
    curve = _curve(plan, sample.population)
    share = found.rate if found.walk is None else None
    st.plotly_chart(_curve_figure(plan, sample.population, share), theme="streamlit", config=PLOT, key="audit.oc")
    st.caption(f"{curve_words(plan, curve)} Marked: {curve.producer.text}; {curve.consumer.text}.")


@st.cache_resource(max_entries=64, show_spinner=False)
def _curve(plan: Plan, population: int) -> Curve:
    return curve_of(plan, population)


@st.cache_resource(max_entries=64, show_spinner=False)
def _curve_figure(plan: Plan, population: int, found: float | None):
    from core.figures.audit import operating_curve

    return operating_curve(_curve(plan, population), found)


def _practice(found: Summary) -> None:
    """The practice's own three lines, side by side: they disagree at 3 of 50."""
    lines = practice_lines(found.failed, found.judged)
    if not lines or found.unread:
        return
    st.markdown("**The practice's own lines**")
    st.table(
        {"line": [line.text for line in lines], "here": ["kept" if line.kept else "not kept" for line in lines]},
        border="horizontal", hide_index=True,
    )  # fmt: skip
    if len({line.kept for line in lines}) > 1:
        st.caption(
            f"The practice's lines disagree at {found.failed:,} of {found.judged:,}; none of them is a statement about the whole set."
        )


def _intervals(told: Findings) -> None:
    """Every interval for the rate, side by side."""
    found = told.summary
    if not found.judged or not told.equal:
        return
    some = [acceptance.clopper_pearson, acceptance.wilson, acceptance.jeffreys]
    rows = [] if found.walk is not None else [make(found.failed, found.judged) for make in some]
    rows.append(found.anytime)
    st.markdown("**Intervals, 95 %**")
    st.table(
        {
            "": [row.method for row in rows],
            "from": [f"{row.low:.1%}" for row in rows],
            "to": [f"{row.high:.1%}" for row in rows],
        },
        border="horizontal", hide_index=True,
    )  # fmt: skip
    if found.walk is not None:
        st.caption(
            "The usual intervals take a size fixed beforehand; after a sequential plan only the anytime one holds."
        )
    else:
        st.caption("The anytime interval also holds for whoever stops early; the others take a size fixed beforehand.")


def _further(told: Findings) -> None:
    """What it would take to certify a rate, and how many records of the set that may be."""
    found, sample = told.summary, told.sample
    if not told.equal:
        return
    st.markdown("**What it would take to show more**")
    limits = (0.04, 0.05, 0.06)
    sizes = [acceptance.certifying_size(found.failed, limit) for limit in limits]
    finite = [acceptance.certifying_size(found.failed, limit, population=sample.population) for limit in limits]
    st.table(
        {
            "To show a true rate of at most": [f"{limit:.0%}" for limit in limits],
            "read": [f"{size:,} records" for size in sizes],
            f"of these {sample.population:,}": [f"{size:,}" if size else "cannot be" for size in finite],
        },
        border="horizontal", hide_index=True,
    )  # fmt: skip
    st.caption(
        f"At 95 % confidence, exact: with {found.failed:,} with an issue among that many random records "
        + (
            "of a new sample of fixed size. "
            if found.walk is not None
            else f"in all, of which {found.judged:,} are judged so far. "
        )
        + "Each further issue raises the number. The last column counts that the set is finite."
    )
    whole = acceptance.bad_in_population(found.failed, found.judged, sample.population) if found.judged else None
    if whole and found.walk is None:
        st.caption(
            f"In all {sample.population:,} records that were drawn from, between {whole[0]:,} and {whole[1]:,} would be "
            "found to have an issue (95 %, hypergeometric)."
        )


def _corrected(told: Findings) -> None:
    """The rate without each reader's own errors, where gold records tell what those are."""
    known = [reader for reader in told.readers if reader.calibration is not None]
    if not known or not told.summary.judged:
        return
    st.markdown("**Corrected for the readers' own errors**")
    for reader in known:
        st.caption(literal(f"{reader.name}: {corrected_words(reader)}", 700))
    if told.summary.walk is not None:
        st.caption(SIZED)
    if not told.equal:
        st.caption("The correction takes the raw share of each reader, which here is not the rate of the set.")
