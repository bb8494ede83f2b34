"""How a proof stands: what may be said, the curves, the marginal values, and how it was done."""

import math

import streamlit as st

from core.actions.proving import Standing
from core.influence.proof.proof import ANY, Interval
from core.influence.selection.strategies import STRATEGIES
from core.workspace import Workspace
from pages.ui.safe import literal, short

TITLES = {name: s.title for name, s in STRATEGIES.items()}
KINDS = {"gap": "Against random", "loss": "Loss"}


def panel(workspace: Workspace, stood: Standing) -> None:
    if not stood.current:
        st.warning("This proof was made of other training records than those of now. Ask again to make it anew.")
    if not stood.points:
        return
    if not stood.finished:
        st.info(
            f"{stood.done:,} of {stood.total:,} trainings are there: what follows is not the last word, and its intervals are wide."
        )
    st.subheader("What may be said")
    *told, how = stood.verdicts if len(stood.verdicts) > 1 else (*stood.verdicts, "")
    for line in told:
        st.markdown(literal(line, 700))
    if how:
        st.caption(literal(how, 900))
    st.caption(literal(" ".join((stood.sentence, *stood.notes)), 1500))
    _curves(stood)
    if stood.marginals:
        _marginals(stood)
    with st.expander("How this was done"):
        st.markdown(f"- {literal(stood.steps, 700)}")
        st.markdown(
            f"- {stood.done:,} of {stood.total:,} trainings, {stood.seconds:,.0f} s of training; each is kept by itself."
        )


def _curves(stood: Standing) -> None:
    from core.figures import proof as proof_figures

    kind = st.segmented_control(
        "Show", list(KINDS), default="gap", format_func=KINDS.get, key="proof.kind", label_visibility="collapsed"
    )
    if kind == "loss":
        figure = proof_figures.loss_by_budget(stood.points, TITLES, stood.pool, stood.start)
        said = "Validation loss, lower is better; t-intervals of 95 % over the seeds, each strategy by itself."
    else:
        figure = proof_figures.gap_by_budget(stood.points, TITLES, stood.pool)
        said = (
            "Loss minus that of random with the same seed: below the line is better than random. t-intervals of 95 % over the seeds, "
            "paired."
        )
    st.plotly_chart(figure, theme="streamlit", config={"displayModeBar": False}, key="proof.curve")
    st.caption(said)
    with st.popover("The numbers"):
        st.dataframe(
            {
                "strategy": [TITLES.get(p.strategy, p.strategy) for p in stood.points],
                "budget": [f"{p.budget:g} %" for p in stood.points],
                "records": [p.size for p in stood.points],
                "loss": [_said(p.loss, 4) for p in stood.points],
                "to random": ["" if p.strategy == "random" else _said(p.gap, 4, True) for p in stood.points],
                "seeds": [p.loss.n for p in stood.points],
            },
            hide_index=True, width="stretch", key="proof.numbers",
        )  # fmt: skip


def _said(found: Interval, digits: int, sign: bool = False) -> str:
    form = f"{'+' if sign else ''}.{digits}f"
    if math.isnan(found.mean):
        return ""
    span = "" if math.isnan(found.low) else f" ({found.low:{form}} to {found.high:{form}})"
    return f"{found.mean:{form}}{span}"


def _marginals(stood: Standing) -> None:
    from core.figures.proof import marginal_values

    count = stood.marginals[0].added
    st.subheader(f"What {count:,} more records are worth")
    figure = marginal_values(stood.marginals)
    st.plotly_chart(figure, theme="streamlit", config={"displayModeBar": False}, key="proof.marginal")
    st.caption(literal(_marginal_words(stood, count), 900))


def _marginal_words(stood: Standing, count: int) -> str:
    beyond = [m for m in stood.marginals if m.category != ANY]
    if not beyond:
        return (
            f"Change of the validation loss when {count:,} records of any category join a random half of the records (equal optimiser "
            "steps; paired by seed, t-interval of 95 %). No category has enough records in reserve to be measured by itself."
        )
    better = [short(m.category, 40) for m in beyond if m.beyond.high < 0]
    worse = [short(m.category, 40) for m in beyond if m.beyond.low > 0]
    few = "" if count == 100 else f" 100 were asked for; no more than {count:,} are in reserve in every category."
    said = (
        f"Change of the validation loss when {count:,} records of a category join a random half of the records (equal optimiser "
        "steps; paired by "
        f"seed, t-intervals of 95 %, not corrected for the number of categories).{few} The last row adds as many of any category: "
    )
    said += (
        f"more than that help {', '.join(better)}; "
        if better
        else "no category helps more than that beyond its interval; "
    )
    return said + (f"less {', '.join(worse)}." if worse else "none less.")
