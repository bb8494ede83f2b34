"""Drawing an audit sample: the first one with one click, others by a small form."""

import streamlit as st

from core.auditing import draw_audit
from core.decisions import kept_ids
from core.errors import QuadrantError
from core.frame import has_values
from core.review.acceptance import PLAN_SIZE, PLAN_SOURCE
from core.review.plan import BAD, GOOD, plan_for
from core.review.samples import Sample
from core.review.schema import Store
from core.review.subsets import subsets
from core.workspace import Dataset
from pages.ui import state
from pages.ui.safe import literal, short

SEED = 7
KEPT, SELECTED = "kept", "selected"
PLANS = {
    "fixed": "A fixed number: over 6 % with an issue is systemic (3 of 50)",
    "exact": "A fixed number, computed for two rates",
    "sequential": "Sequential: stop as soon as it is clear (Wald)",
}


def greeting(store: Store, data: Dataset) -> None:
    """No sample yet: what an audit is, and the one click that starts it."""
    kept = len(kept_ids(state.workspace(), data))
    size = min(PLAN_SIZE, kept)
    with st.container(border=True, key="audit.greeting"):
        st.subheader("Nobody has read this data yet")
        st.markdown(
            f"Read **{size:,} of the {kept:,} records**, chosen by chance, and judge each one: pass, fail or unsure. Four "
            "questions help: is the output correct, would you be satisfied seeing it in production, is the formatting "
            "consistent, does the reasoning support the conclusion. Every verdict is saved as you give it, and you can "
            "stop and go on whenever you like."
        )
        st.caption(literal(PLAN_SOURCE, 300))
        if kept == 0:
            st.markdown("Every record is removed, so there is none to draw. Put some back on the Export page.")
        elif st.button(
            f"Draw {size:,} and start reading", type="primary", icon=":material/play_arrow:", key="audit.start"
        ):
            _draw(size=PLAN_SIZE, seed=SEED)
        if kept:
            from_selection(SEED)
    if kept:
        with st.expander("Draw it another way", icon=":material/tune:"):
            form(store, data, [])


def from_selection(seed: int) -> None:
    """One click for a sample of what is selected."""
    chosen = state.selection()
    if chosen and st.button(
        f"Draw {min(PLAN_SIZE, len(chosen)):,} of the {len(chosen):,} selected", icon=":material/fact_check:",
        key="audit.selected", help=literal(chosen.title, 120) or None,
    ):  # fmt: skip
        _draw(size=PLAN_SIZE, seed=seed, ids=list(chosen.ids), name=_name(PLAN_SIZE, seed, chosen))


def another(store: Store, data: Dataset, samples: list[Sample]) -> None:
    """A further sample, beside those there are."""
    from_selection(_free_seed(data, samples))
    # A new key after each draw: the popover is closed then.
    with st.popover("New sample", icon=":material/casino:", key=f"audit.new.{len(samples)}"):
        form(store, data, samples)


def form(store: Store, data: Dataset, samples: list[Sample]) -> None:
    """Size, seed, method and the records to draw from."""
    chosen = state.selection()
    named = {one.id: one for one in subsets(store)}
    sources = [*([SELECTED] if chosen else []), KEPT, *named]
    titles = {KEPT: "everything that is kept", SELECTED: f"the selection ({len(chosen):,}: {chosen.title})"}
    titles |= {one.id: f"subset {one.name} ({one.count:,})" for one in named.values()}
    seed = _free_seed(data, samples)
    with st.form("audit.draw", border=False):
        source = st.selectbox("Draw from", sources, format_func=lambda one: short(titles[one], 90), key="audit.source")
        left, right = st.columns(2)
        size = left.number_input("Records", 1, 10_000, PLAN_SIZE, key="audit.size")
        given = right.number_input(
            "Seed",
            0,
            2**31 - 1,
            seed,
            key="audit.seed",
            help="The same seed over the same records draws the same sample.",
        )
        stratify = False
        if has_values(data, "category"):
            stratify = st.checkbox(
                "Stratify by category", key="audit.stratify",
                help="Each category gets its share of the sample, in whole records; within it chance decides.",
            )  # fmt: skip
        kind, good, bad = _plan_inputs()
        if st.form_submit_button("Draw", type="primary", key="audit.draw.submit"):
            try:
                plan = plan_for(kind, int(size), good / 100, bad / 100)
            except QuadrantError as error:
                st.error(literal(error, 400))
                return
            size = plan.size
            _draw(
                plan=plan, size=int(size), seed=int(given), stratify=stratify,
                subset=named[source].name if source in named else None,
                ids=list(chosen.ids) if source == SELECTED else None,
                name=_name(int(size), int(given), chosen) if source == SELECTED else None,
            )  # fmt: skip


def _plan_inputs() -> tuple[str, float, float]:
    """(plan, good %, bad %): what will decide, chosen before anything is read and kept with the sample."""
    kind = st.selectbox(
        "What decides", list(PLANS), format_func=PLANS.get, key="audit.plan",
        help="Chosen now and kept with the sample: a plan chosen after a look at the verdicts would keep none of its risks.",
    )  # fmt: skip
    left, right = st.columns(2)
    good = left.number_input("Good: a true rate of (%)", 0.1, 50.0, 100 * GOOD, 0.5, key="audit.good")
    bad = right.number_input("Bad: a true rate of (%)", 0.2, 90.0, 100 * BAD, 0.5, key="audit.bad")
    st.caption(
        "The two rates are what the plan should tell apart, with 5 % risk of stopping a good set and 10 % of passing a bad one. A "
        "computed plan sets the number of records itself; a sequential one reads at most the number above."
    )
    return kind, good, bad


def _free_seed(data: Dataset, samples: list[Sample]) -> int:
    """The first seed that no sample of this data has used: the same one would draw the same records again."""
    used = {sample.seed for sample in samples if sample.dataset_digest == data.digest}
    return next(n for n in range(SEED, SEED + len(used) + 1) if n not in used)


def _name(size: int, seed: int, chosen: state.Selection) -> str:
    return f"{min(size, len(chosen))} by seed {seed} of {chosen.title or 'the selection'}"[:200]


def _draw(**what) -> None:
    try:
        sample, _ = draw_audit(state.workspace(), by=state.reviewer(), **what)
    except QuadrantError as error:
        st.error(literal(error, 500))
        return
    state.remember("audit.sample", sample.id)
    st.rerun()
