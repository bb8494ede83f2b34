"""A budget and a strategy: what would be picked, how it differs from what the others would pick, and taking it."""

import numpy as np
import streamlit as st

from core.actions.decisions import open_reviews
from core.errors import MissingInput, QuadrantError
from core.figures import charts as figures
from core.influence.selection.strategies import STRATEGIES, Selection, heavy, lacks, parse_budget, wanted
from core.review.subsets import add_subset
from core.workspace import Dataset, Workspace
from pages.ui import palette, quadrant_picks, quadrant_rivals, state
from pages.ui import quadrant_data as data_of
from pages.ui.quadrant_data import View
from pages.ui.safe import literal, short

MANY = 50_000  # records; with more of them the rivals wait until they are asked for


def panel(workspace: Workspace, data: Dataset, seen: View, cuts: tuple[str, str], told: tuple[str, ...] = ()) -> None:
    """Everything between the wish for a budget and the selection; `told`: notes of the cuts that stand above already."""
    st.subheader("Spend a budget")
    able = quadrant_picks.strategies(seen.frame)
    strategy, budget_text, seed, options = _fields(able, seen)
    waiting: list[str] = []
    try:
        budget = parse_budget(budget_text, len(seen.frame.ids))
        if heavy(strategy, seen.frame, budget):
            waiting.append(strategy)
        found = quadrant_picks.picked(workspace, seen, strategy, budget, seed, cuts, options)
    except QuadrantError as error:
        (st.info if isinstance(error, MissingInput) else st.error)(literal(error, 400))
        quadrant_rivals.waiting(waiting, parse_budget(budget_text, len(seen.frame.ids)) if waiting else 0, seed)
        return
    left, right = st.columns([2, 3], gap="large")
    with left:
        _summary(workspace, data, seen, found, told)
    with right:
        _mix(workspace, seen, found)
    if not _compared(seen, len(able) - 1):
        return
    others, waiting = quadrant_picks.tried(workspace, seen, [n for n in able if n != strategy], budget, seed, cuts)
    others = {name: found if name == strategy else others[name] for name in able if name == strategy or name in others}
    quadrant_rivals.table(workspace, seen, found, others)
    quadrant_rivals.pairs(seen, others)
    quadrant_rivals.waiting(waiting, budget, seed)
    unable = _unable(able, seen)
    if unable:
        st.caption(f"Not able yet, {'; '.join(unable)}.")


def _compared(seen: View, rivals: int) -> bool:
    """Whether the rivals are wanted: at once; on a large set, where each takes a while, once they were asked for."""
    if len(seen.frame.ids) <= MANY or state.remembered("quadrant.compared", ""):
        return True
    if st.button(f"Compare with {rivals} other strategies", key="quadrant.compare", icon=":material/compare_arrows:"):
        state.remember("quadrant.compared", "yes")
        return True
    st.caption(f"Picks by every strategy at this budget: a few seconds for {len(seen.frame.ids):,} records, then kept.")
    return False


def _unable(able: list[str], seen: View) -> list[str]:
    """The other strategies, a text for each thing that is missing."""
    by_need: dict[str, list[str]] = {}
    for name in STRATEGIES:
        if name not in able:
            by_need.setdefault(wanted(lacks(name, seen.frame) or ("like",)), []).append(STRATEGIES[name].title)
    return [f"for want of {need}: {', '.join(titles)}" for need, titles in by_need.items()]


def _fields(able: list[str], seen: View) -> tuple[str, str, int, quadrant_picks.Chosen]:
    first, second, third, fourth = st.columns([3, 1.2, 1.2, 1.8])
    kept = state.remembered("quadrant.strategy", able[0])
    strategy = first.selectbox(
        "Strategy", able, index=able.index(kept) if kept in able else 0, format_func=lambda s: STRATEGIES[s].title,
        key="quadrant.strategy",
    )  # fmt: skip
    state.remember("quadrant.strategy", strategy)
    budget = second.text_input(
        "Budget", state.remembered("quadrant.budget", "10%"), key="quadrant.budget",
        help="A share such as 10%, or a number of records such as 85.",
    )  # fmt: skip
    state.remember("quadrant.budget", budget)
    seed = third.number_input(
        "Seed", 0, 2**31 - 1, state.remembered("quadrant.seed", 0), key="quadrant.seed", help="For what is picked by chance.",
    )  # fmt: skip
    state.remember("quadrant.seed", int(seed))
    return strategy, budget, int(seed), _option(fourth, strategy, able, seen)


def _option(where, strategy: str, able: list[str], seen: View) -> quadrant_picks.Chosen:
    """The one setting that some strategies have."""
    if strategy == "diq caps":
        cap = where.text_input(
            "Cap per cluster", state.remembered("quadrant.cap", "10%"), key="quadrant.cap",
            help="At most this share of the budget, or this many records, from one cluster.",
        )  # fmt: skip
        state.remember("quadrant.cap", cap)
        return (("cap", cap),)
    if strategy == "diq quotas":
        kinds = {"production": "As production", "equal": "Equal"}
        quotas = where.selectbox("Quotas", list(kinds), format_func=kinds.get, key="quadrant.quotas")
        return (("quotas", quotas),)
    if strategy == "length-matched random":
        models = [n for n in able if n not in ("length-matched random", "random")]
        like = where.selectbox("Lengths of", models, format_func=lambda n: STRATEGIES[n].title, key="quadrant.like")
        return (("like", like),)
    return ()


def _summary(workspace: Workspace, data: Dataset, seen: View, found: Selection, told: tuple[str, ...]) -> None:
    count = len(found.record_ids)
    st.markdown(f"### {count:,} {'record' if count == 1 else 'records'}")
    removed = data.count - len(seen.frame.ids) - int(seen.heldout.sum())
    base = (
        f"{100 * count / max(1, len(seen.frame.ids)):.1f} % of the {len(seen.frame.ids):,} records that can be picked"
    )
    st.caption(base + (f"; {removed:,} removed ones are out of reach." if removed else "."))
    first, *rest = [note for note in found.notes if note not in told] or ("",)
    if first:
        st.markdown(literal(first, 500))
    if any(rest):
        st.caption(literal(" ".join(rest), 600))
    held = int(seen.heldout.sum())
    if held:
        st.caption(f"The {held:,} records held out as the validation set are not among them.")
    _reach(workspace, seen, found)
    ids = list(found.record_ids)
    title = f"{STRATEGIES[found.strategy].title}, {len(ids):,} records"
    if seen.heuristic and "difficulty" in STRATEGIES[found.strategy].needs:
        title += f" (difficulty: {found.params['difficulty_axis']})"  # it goes into the export's manifest
    with st.container(horizontal=True):
        if st.button(
            f"Select these {len(ids):,}" if len(ids) != 1 else "Select this one",
            key="quadrant.take",
            type="primary",
            disabled=not ids,
        ):
            state.select(ids, title)
            st.rerun()
        with st.popover("Save as subset", disabled=not ids), st.form("quadrant.save", border=False):
            name = st.text_input("Name", f"{found.strategy} {len(ids)}", key="quadrant.save_name")
            if st.form_submit_button("Save", type="primary"):
                _save(workspace, data, found, ids, name)


def _reach(workspace: Workspace, seen: View, found: Selection) -> None:
    told = quadrant_picks.described(workspace, seen, found) if len(found.rows) else {}
    chance = quadrant_picks.by_chance(workspace, seen, len(found.rows)) if told.get("coverage") is not None else None
    if chance is not None:
        expected, low, high = (100 * x for x in chance)
        st.markdown(
            f"Covers **{100 * told['coverage']:.0f} %** of production; random picks of this size {expected:.0f} % "
            f"(95 in 100 of them {low:.0f} to {high:.0f} %)."
        )


def _save(workspace: Workspace, data: Dataset, found: Selection, ids: list[str], name: str) -> None:
    try:
        saved = add_subset(
            open_reviews(workspace), name, ids,
            by=state.reviewer(), strategy=found.strategy, dataset_digest=data.digest, params=found.params,
        )  # fmt: skip
    except QuadrantError as error:
        st.error(literal(error, 300))
        return
    st.success(f"Saved: {literal(saved.name)}, {saved.count:,} records. It can be audited and exported by name.")


def _shares(codes: np.ndarray, count: int) -> np.ndarray:
    return np.bincount(codes, minlength=count) / max(1, len(codes))


def _mix(workspace: Workspace, seen: View, found: Selection) -> None:
    """Categories of the pick against the whole and production."""
    production = seen.frame.production_shares
    if set(seen.categories) <= {""}:
        st.caption("The records have no category, so there is no mix to compare.")
        return
    names = list(seen.categories) + sorted(set(production or ()) - set(seen.categories))
    pad = np.zeros(len(names) - len(seen.categories))
    whole = np.concatenate([_shares(seen.category, len(seen.categories)), pad])
    picked = np.concatenate([_shares(seen.category[found.rows], len(seen.categories)), pad])
    series = {"This pick": picked, "All records": whole}
    colours = palette.categorical(3, dark=st.context.theme.type == "dark")
    if production:
        series["Production"] = np.array([production.get(name, 0.0) for name in names])
    by = series["Production"] if production else whole
    order = sorted(range(len(names)), key=lambda i: (-by[i], names[i]))
    figure = figures.shares(
        [names[i] or "(none)" for i in order],
        {k: [float(v[i]) for i in order] for k, v in series.items()},
        [colours[2], colours[0], colours[1]],
    )
    st.markdown("**Category mix**")
    st.plotly_chart(figure, theme="streamlit", config={"displayModeBar": False}, key="quadrant.mix")


def extremes(data: Dataset, seen: View, signed: bool = True, most: int = 10) -> None:
    """Both ends of influence, of which only a signed score says help and harm; a click on a row opens the record."""
    from pages.ui.quadrant_plot import reading

    helpful = np.asarray(seen.frame.influence, float)
    known = np.flatnonzero(np.isfinite(helpful))
    order = known[np.lexsort((seen.frame.rank[known], -helpful[known]))]
    below = int((helpful[known] < 0).sum())
    if signed:
        st.subheader("Most influential, most harmful")
        said = "a step of training on them raises the validation loss" if below else "no record harms by this score"
        st.caption(
            f"{below:,} of {len(known):,} records have an influence below 0: {said}. Read the last ones before removing them: an "
            "unusual record can be the right one. Click a row to read it."
        )
        names = ("Help most", "Harm most" if below else "Help least")
    else:
        st.subheader("Highest and lowest self-influence")
        st.caption("High ones move the model most: rare, hard or wrong records. Click a row to read it.")
        names = ("Highest", "Lowest")
    worst = [r for r in order[::-1][:most] if helpful[r] < 0 or not (below and signed)]
    sides = ((names[0], order[:most], "top"), (names[1], np.array(worst, np.int64), "bottom"))
    for where, (title, rows, key) in zip(st.columns(2, gap="medium"), sides, strict=True):
        ids = tuple(seen.frame.ids[r] for r in rows)
        with where:
            st.markdown(f"**{title}**")
            if not ids:
                st.caption("No record has an influence.")
                continue
            found = data_of.texts(data.digest, ids, data)

            def opened(key: str = key, ids: tuple[str, ...] = ids) -> None:
                chosen = st.session_state[f"quadrant.{key}"].selection.rows
                if chosen:
                    reading(ids[chosen[0]])

            table = {
                "influence": [f"{helpful[r]:.4f}" for r in rows],
                "category": [short(found[i].get("category") or "", 30) for i in ids],
                "prompt": [short(found[i]["prompt"], 140) for i in ids],
                "response": [short(found[i]["response"], 140) for i in ids],
            }
            st.dataframe(
                {name: cells for name, cells in table.items() if any(cells)},
                hide_index=True, width="stretch", key=f"quadrant.{key}", on_select=opened, selection_mode="single-row",
            )  # fmt: skip
