"""Drawing an audit sample: the first one with one click, others by a small form."""

from collections.abc import Mapping

import streamlit as st

from core.actions.auditing import DOUBLE, FOLLOW_BY, METHODS, draw_audit
from core.actions.decisions import kept_count
from core.actions.frame import available, has_values
from core.actions.highstakes import columns_for, high_stakes_ids, rule, set_rule, values_of
from core.actions.risks import MOST as MOST_POINTS
from core.actions.risks import SIGNALS
from core.dataset.columns import FIELD_PREFIX
from core.errors import QuadrantError
from core.review.acceptance import PLAN_SIZE, PLAN_SOURCE
from core.review.plan import BAD, GOOD, plan_for
from core.review.samples import Sample
from core.review.schema import Store
from core.review.subsets import subsets
from core.steps import current
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
    kept = kept_count(state.workspace(), data)
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
            _draw(size=PLAN_SIZE, seed=SEED, double=DOUBLE)
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
        _draw(size=PLAN_SIZE, seed=seed, double=DOUBLE, ids=list(chosen.ids), name=_name(PLAN_SIZE, seed, chosen))


def another(store: Store, data: Dataset, samples: list[Sample]) -> None:
    """A further sample, beside those there are."""
    from_selection(_free_seed(data, samples))
    # A new key after each draw: the popover is closed then.
    with st.popover("New sample", icon=":material/casino:", key=f"audit.new.{len(samples)}"):
        form(store, data, samples)


def form(store: Store, data: Dataset, samples: list[Sample]) -> None:
    """Method, size, seed and the records to draw from."""
    method = st.selectbox("How to draw", list(METHODS), format_func=METHODS.get, key="audit.method")
    if method == "high-stakes":
        _rule(store, data)
    chosen = state.selection()
    named = {one.id: one for one in subsets(store)}
    sources = [*([SELECTED] if chosen else []), KEPT, *named]
    titles = {KEPT: "everything that is kept", SELECTED: f"the selection ({len(chosen):,}: {chosen.title})"}
    titles |= {one.id: f"subset {one.name} ({one.count:,})" for one in named.values()}
    seed = _free_seed(data, samples)
    with st.form("audit.draw", border=False):
        source = st.selectbox("Draw from", sources, format_func=lambda one: short(titles[one], 90), key="audit.source")
        more = _method_inputs(method, data, samples)
        size = PLAN_SIZE
        left, right = st.columns(2)
        if method != "high-stakes":
            size = left.number_input("Records", 1, 10_000, PLAN_SIZE, key="audit.size")
        given = right.number_input(
            "Seed",
            0,
            2**31 - 1,
            seed,
            key="audit.seed",
            help="The same seed over the same records draws the same sample.",
        )
        double = st.number_input(
            "Share for a second reader (%)", 0, 100, round(100 * DOUBLE), key="audit.double",
            help="Drawn by chance from the sample and read blind by a second reader. The practice asks for 5 to 10 %.",
        )  # fmt: skip
        kind, good, bad = ("fixed", 100 * GOOD, 100 * BAD) if method in ("high-stakes", "risk") else _plan_inputs()
        if st.form_submit_button("Draw", type="primary", key="audit.draw.submit"):
            plan = None
            try:
                if method not in ("high-stakes", "risk"):
                    plan = plan_for(kind, int(size), good / 100, bad / 100)
            except QuadrantError as error:
                st.error(literal(error, 400))
                return
            size = plan.size if plan else size
            named_so = source == SELECTED and method == "random"
            _draw(
                plan=plan, size=int(size), seed=int(given), method=method, double=double / 100, **more,
                subset=named[source].name if source in named else None,
                ids=list(chosen.ids) if source == SELECTED else None,
                name=_name(int(size), int(given), chosen) if named_so else None,
            )  # fmt: skip


def _method_inputs(method: str, data: Dataset, samples: list[Sample]) -> dict:
    """What a method asks beyond size and seed."""
    workspace = state.workspace()
    if method == "stratified":
        kinds = available(workspace, data)
        names = [name for name, (_, kind) in kinds.items() if kind == "category" and name != "verdict"]
        first = names.index("category") if "category" in names else 0
        group = st.selectbox(
            "Stratify by", names, index=first, format_func=lambda one: short(kinds[one][0], 60), key="audit.group",
            help="Each group gets its share of the sample, in whole records; within it chance decides.",
        )  # fmt: skip
        return {"group": group}
    if method == "follow-up":
        known = {one.id: one for one in samples}
        if not known:
            st.caption("There is no sample to follow up yet.")
            return {}
        after = st.selectbox(
            "Follow up", list(known), format_func=lambda one: short(known[one].name, 90), key="audit.after"
        )
        group = st.selectbox("More records of the same", FOLLOW_BY, key="audit.follow")
        st.caption(
            "Drawn from the groups in which a record of that sample failed, without records that anybody has read."
        )
        return {"after": known[after], "group": group}
    if method == "risk":
        st.caption(
            "Every record starts with 1 point and gets those of the signals that hold for it; its chance is in proportion. The points "
            "are a judgement that steers where reading time goes. The estimate weighs the chances out, whatever the points are."
        )
        points = {}
        able = {name: one for name, one in SIGNALS.items() if not one.source or current(workspace, one.source)}
        beside = st.columns(2)
        for n, (name, one) in enumerate(able.items()):
            points[name] = beside[n % 2].number_input(
                one.title[0].upper() + one.title[1:], 0.0, MOST_POINTS, one.points, 0.5, key=f"audit.risk.{name}"
            )
        missing = [one.title for name, one in SIGNALS.items() if name not in able]
        if missing:
            st.caption(literal(f"Not known yet, so nobody gets points for it: {'; '.join(missing)}.", 600))
        return {"points": points}
    return {}


def risk_words(kept: Mapping) -> str:
    """How the risks of a sample came about, from its record."""
    found = kept.get("records", {})
    told = [
        f"{SIGNALS[name].title} (+{kept['points'][name]:g}, {found[name]:,} records)"
        for name in found
        if name in SIGNALS
    ]
    return f"Chances are in proportion to 1 point and: {'; '.join(told) or 'nothing more'}. Every record had a chance."


def _rule(store: Store, data: Dataset) -> None:
    """What makes a record high stakes: columns and values, kept in the workspace."""
    workspace = state.workspace()
    now = rule(workspace)
    columns = [one for one in columns_for(data) if has_values(data, one)]
    for column, values in now.items():
        st.markdown(f"{literal(column.removeprefix(FIELD_PREFIX), 60)}: {literal(', '.join(values), 300)}")
    if columns:
        column = st.selectbox(
            "High stakes by",
            columns,
            format_func=lambda one: short(one.removeprefix(FIELD_PREFIX), 60),
            key="audit.high.column",
        )
        values = st.multiselect(
            "is one of", values_of(data, column), default=[one for one in now.get(column, []) if one in values_of(data, column)],
            format_func=short, key=f"audit.high.values.{column}",
        )  # fmt: skip
        if values != now.get(column, []) and st.button("Keep this rule", key="audit.high.keep"):
            set_rule(workspace, {**now, column: values}, data)
            st.rerun()
    count = len(high_stakes_ids(workspace, data, store))
    st.caption(f"{count:,} records are high stakes by this rule or because a reader marked them.")


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
