"""Error rates by category, annotator, source and period, with intervals and what many groups do to them."""

import streamlit as st

from core.review.acceptance import LIMIT
from core.review.groups import Group
from pages.ui.audit_result import PLOT, Reading
from pages.ui.safe import literal, short

MOST = 30


def groups(reading: Reading) -> None:
    """One chart a grouping: the highest rates first."""
    found = reading.found
    if not found.summary.judged:
        st.info("No record is judged yet, so there is no rate to compare.")
        return
    if not found.groups:
        st.info(
            "Nothing sets the records of this sample apart: no category, annotator, language, source or date with two values or "
            "more. Map one on the Data page."
        )
        return
    titles = list(found.groups)
    chosen = st.pills(
        "Compare by", titles, default=titles[:3], selection_mode="multi", format_func=short, key="audit.by"
    )
    for title in chosen:
        _by(title, found.groups[title])
    weighted = any(group.weighted is not None for some in found.groups.values() for group in some)
    st.caption(
        f"Share with an issue with 95 % intervals ({'weighted, Korn–Graubard' if weighted else 'Wilson'}); the dashed line is "
        f"{LIMIT:.0%}. "
        f"Each interval is for its group alone: of {_all(found.groups):,} intervals here about {_all(found.groups) / 20:.1f} miss "
        "their true rate by chance. "
        + ("" if weighted else "A group is named as standing out only when its difference from all others survives Holm's correction "
           "for the number of groups. ")
        + "Where none is named, treat a high rate as a hint where to read more."
    )  # fmt: skip


def _all(found) -> int:
    return sum(len(some) for some in found.values())


def _by(title: str, some: list[Group]) -> None:
    from core.figures.charts import intervals

    st.markdown(f"**{literal(title, 80)}**")
    out = [group for group in some if group.stands_out]
    if out:
        worst = ", ".join(
            f"{short(g.name, 40)} ({g.failed} of {g.judged}, corrected p = {g.p_value:.3f})" for g in out[:5]
        )
        st.caption(f"Stands out: {literal(worst, 500)}")
    if title.startswith("Period"):
        some = sorted(some, key=lambda group: group.name)
    shown = some[:MOST]
    ends = [(g.interval.low, g.interval.high) if g.interval else (None, None) for g in shown]
    figure = intervals(
        [f"{short(group.name, 28)} ({group.failed} of {group.judged})" for group in shown],
        [group.rate for group in shown], [low for low, _ in ends], [high for _, high in ends], target=LIMIT,
    )  # fmt: skip
    figure.update_xaxes(rangemode="tozero")
    st.plotly_chart(figure, theme="streamlit", config=PLOT, key=f"audit.by.{title}")
    if len(some) > MOST:
        st.caption(f"The first {MOST} of {len(some):,}.")
