"""A budget and a strategy: what would be picked, how it differs from what the others would pick, and taking it."""

import numpy as np
import streamlit as st

from core import figures
from core.decisions import open_reviews
from core.errors import QuadrantError
from core.influence.selection import STRATEGIES, Selection, parse_budget
from core.review.subsets import add_subset
from core.workspace import Dataset, Workspace
from pages.ui import palette, state
from pages.ui import quadrant_data as data_of
from pages.ui.quadrant_data import View
from pages.ui.safe import literal, short


def panel(workspace: Workspace, data: Dataset, seen: View, cuts: tuple[str, str]) -> None:
    """Everything between the wish for a budget and the selection."""
    st.subheader("Spend a budget")
    able = data_of.strategies(seen.frame)
    strategy, budget_text, seed = _fields(able)
    try:
        budget = parse_budget(budget_text, len(seen.frame.ids))
        found = data_of.picked(workspace, seen, strategy, budget, seed, cuts)
    except QuadrantError as error:
        st.error(literal(error, 400))
        return
    others = {name: found if name == strategy else _try(workspace, seen, name, budget, seed, cuts) for name in able}
    others = {name: one for name, one in others.items() if one is not None}
    left, right = st.columns([2, 3], gap="large")
    with left:
        _summary(workspace, data, seen, found, budget)
    with right:
        _mix(workspace, seen, found)
    _rivals(workspace, seen, found, others, budget)
    unable = [STRATEGIES[name].title for name in STRATEGIES if name not in able]
    if unable:
        st.caption(f"Not able yet, for want of a score or a validation set: {', '.join(unable)}.")


def _fields(able: list[str]) -> tuple[str, str, int]:
    first, second, third = st.columns([3, 1.2, 1.2])
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
    return strategy, budget, int(seed)


def _try(
    workspace: Workspace, seen: View, name: str, budget: int, seed: int, cuts: tuple[str, str]
) -> Selection | None:
    try:
        return data_of.picked(workspace, seen, name, budget, seed, cuts)
    except QuadrantError:
        return None


def _summary(workspace: Workspace, data: Dataset, seen: View, found: Selection, budget: int) -> None:
    count = len(found.record_ids)
    st.markdown(f"### {count:,} records")
    removed = data.count - len(seen.frame.ids) - int(seen.heldout.sum())
    base = (
        f"{100 * count / max(1, len(seen.frame.ids)):.1f} % of the {len(seen.frame.ids):,} records that can be picked"
    )
    st.caption(base + (f"; {removed:,} removed ones are out of reach." if removed else "."))
    first, *rest = found.notes or ("",)
    if first:
        st.markdown(literal(first, 500))
    if any(rest):
        st.caption(literal(" ".join(rest), 600))
    held = int(seen.heldout.sum())
    if held:
        st.caption(f"The {held:,} records held out as the validation set are not among them.")
    ids = list(found.record_ids)
    title = f"{STRATEGIES[found.strategy].title}, {len(ids):,} records"
    with st.container(horizontal=True):
        if st.button(f"Select these {len(ids):,}", key="quadrant.take", type="primary", disabled=not ids):
            state.select(ids, title)
            st.rerun()
        with st.popover("Save as subset", disabled=not ids), st.form("quadrant.save", border=False):
            name = st.text_input("Name", f"{found.strategy} {len(ids)}", key="quadrant.save_name")
            if st.form_submit_button("Save", type="primary"):
                _save(workspace, data, found, ids, name)


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
    production = data_of.production_shares(workspace)
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


def _rivals(workspace: Workspace, seen: View, found: Selection, others: dict[str, Selection], budget: int) -> None:
    """Every strategy at the same budget: what it shares with this pick, and what it picks."""
    production = data_of.production_shares(workspace)
    count = len(seen.categories)
    target = np.array([(production or {}).get(name, 0.0) for name in seen.categories])
    beyond = 1 - target.sum() if production else 0.0
    mine = np.zeros(len(seen.frame.ids), bool)
    mine[found.rows] = True
    columns = ("strategy", "in common", "influence", "difficulty", "words", "categories", "off production")
    table: dict[str, list] = {name: [] for name in columns}
    for name, one in others.items():
        if not len(one.rows):
            continue
        rows = one.rows
        shares = _shares(seen.category[rows], count)
        table["strategy"].append(STRATEGIES[name].title + (" (this pick)" if name == found.strategy else ""))
        table["in common"].append(100 * float(mine[rows].mean()))
        table["influence"].append(_mean(seen.frame.influence, rows))
        table["difficulty"].append(_mean(seen.frame.difficulty, rows))
        table["words"].append(float(np.median(seen.frame.length[rows])))
        table["categories"].append(f"{int((shares > 0).sum())} of {count}" if count > 1 else None)
        table["off production"].append(50 * float(np.abs(shares - target).sum() + beyond) if production else None)
    st.markdown("**The same budget by every strategy**")
    config = st.column_config
    st.dataframe(
        {k: v for k, v in table.items() if any(x is not None for x in v)}, hide_index=True, width="stretch", key="quadrant.rivals",
        column_config={
            "strategy": config.TextColumn("Strategy", width=260),
            "in common": config.ProgressColumn(
                "In common", help="Share of it that this pick holds as well.", format="%.0f %%", min_value=0, max_value=100
            ),
            "influence": config.NumberColumn("Mean influence", format="%.4g"),
            "difficulty": config.NumberColumn("Mean difficulty", format="%.3g"),
            "words": config.NumberColumn("Words", format="%.0f", help="Median length of the responses."),
            "categories": config.TextColumn("Categories", help="How many categories it reaches."),
            "off production": config.NumberColumn(
                "Off production", format="%.0f %%",
                help="Share of the pick that would have to be in another category to match production (total variation).",
            ),
        },
    )  # fmt: skip
    chance = 100 * budget / max(1, len(seen.frame.ids))
    st.caption(
        f"Two independent picks of this size share about {chance:.0f} % by chance. A high mean influence is what a strategy "
        "ranked by, no proof that it trains better."
    )


def _mean(values: np.ndarray | None, rows: np.ndarray) -> float | None:
    if values is None:
        return None
    some = np.asarray(values, float)[rows]
    some = some[np.isfinite(some)]
    return float(some.mean()) if len(some) else None


def extremes(data: Dataset, seen: View, most: int = 10) -> None:
    """The records that help most and harm most; a click on a row opens the record."""
    from pages.ui.quadrant_plot import number, reading

    helpful = np.asarray(seen.frame.influence, float)
    known = np.flatnonzero(np.isfinite(helpful))
    order = known[np.lexsort((np.asarray(seen.frame.ids, str)[known], -helpful[known]))]
    below = int((helpful[known] < 0).sum())
    st.subheader("Most influential, most harmful")
    st.caption(
        f"{below:,} of {len(known):,} records have an influence below 0: a step of training on them raises the validation loss. "
        "Read them before removing them: an unusual record can be the right one. Click a row to read it."
    )
    worst = [r for r in order[::-1][:most] if helpful[r] < 0]
    sides = (("Help most", order[:most], "top"), ("Harm most", np.array(worst, np.int64), "bottom"))
    for where, (title, rows, key) in zip(st.columns(2, gap="medium"), sides, strict=True):
        ids = tuple(seen.frame.ids[r] for r in rows)
        with where:
            st.markdown(f"**{title}**")
            if not ids:
                st.caption("No record has an influence below 0." if key == "bottom" else "No record has an influence.")
                continue
            found = data_of.texts(data.digest, ids, data)

            def opened(key: str = key, ids: tuple[str, ...] = ids) -> None:
                chosen = st.session_state[f"quadrant.{key}"].selection.rows
                if chosen:
                    reading(ids[chosen[0]])

            table = {
                "influence": [number(helpful[r]) for r in rows],
                "category": [short(found[i].get("category") or "", 30) for i in ids],
                "prompt": [short(found[i]["prompt"], 140) for i in ids],
                "response": [short(found[i]["response"], 140) for i in ids],
            }
            st.dataframe(
                {name: cells for name, cells in table.items() if any(cells)},
                hide_index=True, width="stretch", key=f"quadrant.{key}", on_select=opened, selection_mode="single-row",
            )  # fmt: skip
