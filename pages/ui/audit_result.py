"""What a sample says: the decision on the plan, intervals, what it would take to say more, rates by group, the report."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from core.decisions import audit_summary
from core.frame import has_values
from core.review import acceptance
from core.review.acceptance import LIMIT, PLAN_SOURCE, Summary, plan_accept
from core.review.groups import error_by
from core.review.report import report
from core.review.samples import Sample, chances, equal_chances, sample_records
from core.review.schema import Store
from core.review.stratified import Stratum, stratified_rate
from core.review.verdicts import Standing, outcomes
from core.workspace import Dataset
from pages.ui.records import positions, rows_of
from pages.ui.safe import literal, short

PLOT = {"displayModeBar": False}
GROUPS = {"category": "Category", "annotator": "Annotator", "language": "Language"}


@dataclass(frozen=True)
class Reading:
    """A sample with the verdicts on it that may be shown to the reader."""

    store: Store
    data: Dataset
    sample: Sample
    who: str
    standings: Sequence[Standing]

    @property
    def summary(self) -> Summary:
        return audit_summary(self.store, self.sample, self.standings)


def stale_of(data: Dataset, ids: list[str]) -> list[str]:
    """The records that the data of today lacks: an id holds the record's digest, so a changed record is gone too."""
    there = positions(data)
    return [one for one in ids if one not in there]


def result(reading: Reading) -> None:
    """The decision, in words that claim no more than is true, and the numbers behind it."""
    found, sample = reading.summary, reading.sample
    accept = plan_accept(sample.size)
    box = {"systemic": st.error, "stop": st.error, "open": st.warning}.get(found.decision, st.info)
    box(
        f"**{literal(found.headline, 400)}.** {literal(found.detail, 2000)}",
        icon=":material/flag:" if box is st.error else None,
    )
    _numbers(found, sample, accept)
    _weighting(reading)
    beside = st.container(horizontal=True, gap="large")  # one below the other where both do not fit
    with beside.container(width="stretch"):
        st.markdown("**What the plan can tell apart**")
        st.plotly_chart(
            _curve(sample.size, accept, found.failed, found.judged), theme="streamlit", config=PLOT, key="audit.oc"
        )
        st.caption(
            f"Chance that a set passes this plan (read {sample.size:,}, at most {accept:,} with an issue), by its true rate. "
            f"A set with {LIMIT:.0%} of bad records passes {_pass(LIMIT, sample.size, accept):.0%} of the time."
        )
    with beside.container(width=380):
        _further(found, sample)


def _numbers(found: Summary, sample: Sample, accept: int) -> None:
    with st.container(horizontal=True):
        st.metric(
            "With an issue", f"{found.failed:,} of {found.judged:,}", border=True, width="stretch",
            help=f"{PLAN_SOURCE} Here: more than {accept:,} of {sample.size:,}.".replace("%", "\\%"),
        )  # fmt: skip
        interval = found.interval
        if interval and found.rate is not None and sample.method != "census":
            st.metric(
                "Rate, 95 % interval", f"{found.rate:.1%} ({interval.low:.1%}–{interval.high:.1%})", border=True,
                width="stretch", help="Clopper–Pearson: exact, never too narrow. Unsure and unread records are in no rate.",
            )  # fmt: skip
        if found.above_limit is not None and sample.method != "census":
            st.metric(
                f"P(true rate > {LIMIT:.0%})", f"{found.above_limit:.0%}", border=True, width="stretch",
                help="Probability under the Jeffreys posterior that more than 6 % of the whole set has an issue.",
            )  # fmt: skip
        st.metric("Unsure · two verdicts", f"{found.unsure:,} · {found.disputed:,}", border=True, width="stretch")
        st.metric("Unread", f"{found.unread:,} of {found.size:,}", border=True, width="stretch")


def _weighting(reading: Reading) -> None:
    """What a stratified draw adds: whether its records were equally likely, and the weighted estimate."""
    sample = reading.sample
    if not sample.strata or sample.method == "census":
        return
    low, high = chances(sample)
    if not equal_chances(sample):
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
    stratum_of = {record.record_id: record.stratum for record in sample_records(reading.store, sample.id)}
    judged = {stratum["name"]: [0, 0] for stratum in sample.strata}
    for record_id, outcome in outcomes(reading.standings).items():
        if outcome in ("pass", "fail") and stratum_of.get(record_id) in judged:
            judged[stratum_of[record_id]][0] += 1
            judged[stratum_of[record_id]][1] += outcome == "fail"
    found = stratified_rate([Stratum(s["population"], *judged[s["name"]]) for s in sample.strata])
    if found is None:
        said += " The weighted rate is not defined before every category has a judged record."
    elif found.standard_error is None:
        said += f" Weighted by category: {found.rate:.1%}; its standard error is not defined."
    else:
        half = 1.96 * found.standard_error
        said += (
            f" Weighted by category: {found.rate:.1%}, 95 % about {max(0, found.rate - half):.1%} to "
            f"{min(1, found.rate + half):.1%} (normal approximation)."
        )
    st.caption(literal(said, 900))


def _further(found: Summary, sample: Sample) -> None:
    """What it would take to certify a rate, how many records that may be, and the practice's own lines side by side."""
    st.markdown("**What it would take to show more**")
    if sample.method == "census":
        st.caption("Every record there was is in this sample: the count is the rate, and nothing is left to estimate.")
        return
    limits = (0.04, 0.05, 0.06)
    st.table(
        {
            "To show a true rate of at most": [f"{limit:.0%}" for limit in limits],
            "read": [f"{acceptance.certifying_size(found.failed, limit):,} records" for limit in limits],
        },
        border="horizontal", hide_index=True,
    )  # fmt: skip
    st.caption(
        f"At 95 % confidence, exact: with {found.failed:,} with an issue among that many random records in all, of which "
        f"{found.judged:,} are judged so far. Each further issue raises the number."
    )
    whole = acceptance.bad_in_population(found.failed, found.judged, sample.population) if found.judged else None
    if whole and equal_chances(sample):
        st.caption(
            f"In all {sample.population:,} records that were drawn from, between {whole[0]:,} and {whole[1]:,} would be "
            "found to have an issue (95 %, hypergeometric)."
        )
    if found.judged and not found.unread:
        rate = found.failed / found.judged
        lines = [
            ("more than 6 % with an issue: systemic", found.failed <= plan_accept(sample.size)),
            ("over 5 % disagreement: a problem", rate <= 0.05),
            ("accuracy over 96 %: the target", 1 - rate > 0.96),
        ]
        st.table(
            {"Line of the practice": [text for text, _ in lines], "here": ["kept" if ok else "crossed" for _, ok in lines]},
            border="horizontal", hide_index=True,
        )  # fmt: skip
        if len({ok for _, ok in lines}) > 1:
            st.caption("The practice's lines disagree at this count; none of them is a statement about the whole set.")


@st.cache_resource(max_entries=64, show_spinner=False)
def _curve(size: int, accept: int, failed: int, judged: int):
    from core.figures import oc_curve

    top = max(0.2, 1.3 * acceptance.rate_at(0.05, size, accept)) if accept < size else 1.0
    rates = [min(1.0, top * i / 60) for i in range(61)]
    points = {}
    for chance, name in ((0.95, "passes 95 %"), (0.5, "passes 50 %"), (0.1, "passes 10 %")):
        rate = acceptance.rate_at(chance, size, accept) if accept < size else 1.0
        points[f"{name} at {rate:.1%}"] = (rate, chance)
    figure = oc_curve(rates, [_pass(rate, size, accept) for rate in rates], f"{accept} of {size}", points)
    if judged:
        rate = failed / judged
        figure.add_vline(
            x=rate, line={"dash": "dot", "width": 1.5, "color": "#8b949e"},
            annotation={"text": f"found here {rate:.1%}", "yanchor": "bottom", "y": 0},
        )  # fmt: skip
    return figure


def _pass(rate: float, size: int, accept: int) -> float:
    return acceptance.pass_probability(rate, size, accept)


def groups(reading: Reading) -> None:
    """Error rates by category, annotator or language with Wilson intervals."""
    data, said = reading.data, outcomes(reading.standings)
    known = [name for name in GROUPS if has_values(data, name)]
    if not known:
        st.info("This data has no category, annotator or language to compare by. Map one on the Data page.")
        return
    if not any(outcome in ("pass", "fail") for outcome in said.values()):
        st.info("No record is judged yet, so there is no rate to compare.")
        return
    rows = {row["record_id"]: row for row in rows_of(data, list(said), tuple(known))}
    group_of = {name: {record_id: row.get(name) for record_id, row in rows.items()} for name in known}
    several = [name for name in known if len(set(group_of[name].values())) > 1]
    if not several:
        st.info(
            "The records of this sample all have one category, annotator and language: there is nothing to compare."
        )
        return
    for name in several:
        _by(name, said, group_of[name])
    st.caption(
        f"Share with an issue, Wilson 95 % intervals; the dashed line is {LIMIT:.0%}. Groups of a few records have wide "
        "intervals, and among many groups one looks bad by chance: treat this as a hint where to read more."
    )


def _by(name: str, said: dict[str, str], group_of: dict[str, str | None]) -> None:
    from core.figures import intervals

    found = error_by(said, group_of)[:30]
    st.markdown(f"**{GROUPS[name]}**")
    figure = intervals(
        [f"{short(group.name, 28)} ({group.failed} of {group.judged})" for group in found],
        [group.rate for group in found],
        [group.interval.low for group in found],
        [group.interval.high for group in found],
        target=LIMIT,
    )
    figure.update_xaxes(rangemode="tozero")
    st.plotly_chart(figure, theme="streamlit", config=PLOT, key=f"audit.by.{name}")


def document(reading: Reading) -> None:
    """The result on one page, to keep or to send."""
    sample = reading.sample
    records = sample_records(reading.store, sample.id)
    stale = set(stale_of(reading.data, [record.record_id for record in records]))
    page = report(
        sample, reading.standings,
        stratum_of={record.record_id: record.stratum for record in records if record.stratum},
        stale=sum(entry.verdict.record_id in stale for entry in reading.standings),
    )  # fmt: skip
    st.download_button(
        "Download the report", page, file_name=f"audit-{sample.id[:8]}.md", mime="text/markdown", key="audit.report",
        icon=":material/download:", type="primary",
    )  # fmt: skip
    st.code(page, language=None, wrap_lines=True)
