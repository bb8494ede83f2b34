"""Quadrant: difficulty against influence, the cuts, the four quadrants, and a budget spent by a strategy."""

import numpy as np
import streamlit as st

from core.actions.frame import axis_title, column, difficulty_sources, influence_sources
from core.influence.selection.strategies import Frame
from core.steps import current
from core.workspace import Dataset, Workspace
from pages.ui import jobs, quadrant_budget, quadrant_how, quadrant_plot, quadrant_rerank, state
from pages.ui import quadrant_data as data_of
from pages.ui.quadrant_data import View
from pages.ui.safe import literal, short

VIEWS = ("Plot and budget", "Difficulty and ratings")


def page() -> None:
    workspace = state.workspace()
    data = workspace.dataset("training")
    st.title("Quadrant")
    if data is None:
        st.markdown("Which records are hard, and which of them help? Import training records to see.")
        st.page_link("pages/data.py", label="Open a file", icon=":material/folder_open:")
        return
    st.markdown("Which records are hard, which of them help, and which are worth the budget?")
    with st.container(horizontal=True, vertical_alignment="center"):
        shown = st.segmented_control(
            "What to show", VIEWS, default=state.remembered("quadrant.view", VIEWS[0]), key="quadrant.view",
            label_visibility="collapsed", required=True,
        )  # fmt: skip
        state.remember("quadrant.view", shown)
        if shown == VIEWS[0]:
            with st.container(horizontal=True, horizontal_alignment="right"):
                quadrant_rerank.popover(workspace)
                quadrant_how.settings(workspace)
    if shown == VIEWS[1]:
        from pages.ui import difficulty_view

        difficulty_view.panel(workspace, data)
        return
    seen = data_of.view(
        workspace, data, state.remembered("quadrant.source", None), state.remembered("quadrant.query", "influence")
    )
    influence = current(workspace, "influence")
    cuts, told = ("median", "median"), ()
    if influence is None or seen.difficulty is None or not _any(seen.frame):
        _without(workspace, data, seen, influence is not None)
    else:
        cuts, told = _with(workspace, data, seen)
    quadrant_budget.panel(workspace, data, seen, cuts, told)
    if influence is not None and _any_influence(seen.frame):
        quadrant_budget.extremes(data, seen, influence.params["score"] != "self-influence")
        quadrant_how.how(workspace, influence, current(workspace, "difficulty"))
    record_id = state.remembered("quadrant.reading", "")
    if record_id:
        quadrant_plot.read(data, seen, record_id)


def _any_influence(frame: Frame) -> bool:
    return frame.influence is not None and bool(np.isfinite(frame.influence).any())


def _any(frame: Frame) -> bool:
    """Whether any record can be placed on both axes."""
    return _any_influence(frame) and bool((np.isfinite(frame.difficulty) & np.isfinite(frame.influence)).any())


def _with(workspace: Workspace, data: Dataset, seen: View) -> tuple[tuple[str, str], tuple[str, ...]]:
    """Both axes are there: the plot and the four quadrants. Returns the cuts and what is noted of them."""
    _query_field(workspace, seen)
    source, colour, first, second = st.columns([3, 2.4, 1.5, 1.5], vertical_alignment="bottom")
    _source_field(source, workspace, data, seen)
    titles = quadrant_plot.colours_of(workspace, data)
    kept = state.remembered("quadrant.colour", "quadrant")
    names = list(titles)
    paint = colour.selectbox(
        "Colour", names, index=names.index(kept) if kept in names else 0,
        format_func=lambda n: short(titles[n], 60), key="quadrant.colour",
    )  # fmt: skip
    state.remember("quadrant.colour", paint)
    cuts = quadrant_plot.cut_fields(first, second)
    placed, cuts = quadrant_plot.place(seen, cuts)
    quadrant_plot.plot(workspace, data, seen, placed, paint)
    _captions(workspace, seen, placed)
    quadrant_plot.cards(data, seen, placed)
    return cuts, tuple(placed.notes)


def _source_field(where, workspace: Workspace, data: Dataset, seen: View) -> None:
    names = [name for name, _ in difficulty_sources(workspace, data)]
    chosen = where.selectbox(
        "Difficulty", names, index=names.index(seen.source),
        format_func=lambda n: short(axis_title(n), 70), key="quadrant.source",
        help="Ratings by people or a model first; the others are heuristics of the model's own losses. Rate records, or have them "
        "rated, under Difficulty and ratings.",
    )  # fmt: skip
    if chosen != seen.source:
        state.remember("quadrant.source", chosen)
        state.remember("quadrant.cuts", ("median", state.remembered("quadrant.cuts", ("median", "median"))[1]))
        st.rerun()


def _query_field(workspace: Workspace, seen: View) -> None:
    """Which query is on the axis, where several were asked."""
    titles = dict(influence_sources(workspace))
    if len(titles) < 2:
        return
    names = list(titles)
    chosen = st.selectbox(
        "Influence", names, index=names.index(seen.query), format_func=lambda n: short(titles[n], 90), key="quadrant.query",
        help="Exact columns first, then re-rankings for other validation sets; the picks below follow the one on the axis.",
    )  # fmt: skip
    if chosen != seen.query:
        state.remember("quadrant.query", chosen)
        state.remember("quadrant.cuts", (state.remembered("quadrant.cuts", ("median", "median"))[0], "median"))
        st.rerun()


def _captions(workspace: Workspace, seen: View, placed) -> None:
    info = current(workspace, "influence").info
    helpful = seen.frame.influence
    below = int((helpful[np.isfinite(helpful)] < 0).sum())
    known = int(np.isfinite(helpful).sum())
    first, second = (
        "set by hand" if c.how == "typed" else c.how for c in (placed.difficulty_cut, placed.influence_cut)
    )
    said = [
        f"Cuts: difficulty at least {quadrant_plot.number(placed.difficulty_cut.value)} ({first}) is hard, "
        f"influence at least {quadrant_plot.number(placed.influence_cut.value)} ({second}) is influential.",
        "Self-influence is no help and no harm: high are the records that move the model most, rare, hard or wrong ones."
        if current(workspace, "influence").params["score"] == "self-influence"
        else f"Zero is the darker line: {known - below:,} records lie on it or above and help, {below:,} below and harm.",
    ]
    if seen.heuristic:
        said.append("Difficulty is a heuristic of the model's own losses here; nobody rated it.")
    if seen.source.startswith("ifd"):
        ratios = seen.difficulty[np.isfinite(seen.difficulty)]
        said.append(
            f"{int((ratios >= 1).sum()):,} of {len(ratios):,} records have an IFD of 1 or more: the prompt did not help to predict "
            "the response (colour by it to see them)."
        )
    if seen.levels is not None:
        said.append("Equal ratings are spread sideways so that none hides another; the cut counts the rating itself.")
    said += quadrant_rerank.said(workspace, seen.query)
    held = int(seen.heldout.sum())
    if held:
        said.append(f"The {held:,} rings are held out as the validation set: in no quadrant, never picked.")
    said += [note for note in placed.notes if note]
    st.caption(literal(" ".join(said), 1500))
    _limits(info)


def _limits(info: dict) -> None:
    """What a reader must know before trusting the axis, in one box."""
    found = [literal(line, 500) for line in quadrant_how.limits(info)]
    if found:
        st.warning("  \n".join(found), icon=":material/warning:")


def _without(workspace: Workspace, data: Dataset, seen: View, has_influence: bool) -> None:
    """An axis is missing: what is known of the other, and what the missing one waits for."""
    missing = ("difficulty", "Difficulty") if has_influence and seen.difficulty is None else ("influence", "Influence")
    if has_influence and seen.difficulty is not None:
        st.info(
            "No record has both a difficulty and an influence, so nothing can be placed. Choose another difficulty, or map a rating."
        )
    if seen.difficulty is not None:
        _source_field(st, workspace, data, seen)
        values, title, lines = seen.frame.difficulty, axis_title(seen.source), ("median",)
    elif has_influence:
        values, title, lines = seen.frame.influence, quadrant_how.axis(workspace), ("median", "zero")
    else:
        known = column(workspace, data, "response_words")
        values, title, lines = known.values[seen.rows], known.title, ("median",)
    if not has_influence or seen.difficulty is None:
        jobs.waiting_for(*missing)
    _histogram(values, title, lines)
    if has_influence:
        _limits(current(workspace, "influence").info)


def _histogram(values: np.ndarray, title: str, lines: tuple[str, ...]) -> None:
    from core.figures.charts import histogram

    finite = np.asarray(values, float)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        st.caption("No record has a value on this axis.")
        return
    marks = {"median": float(np.median(finite))} if "median" in lines else {}
    if "zero" in lines:
        marks["zero"] = 0.0
    low, high = np.percentile(finite, [0.5, 99.5])
    inside = finite[(finite >= low) & (finite <= high)] if high > low else finite
    figure = histogram(inside, None, title, lines=marks)
    st.plotly_chart(figure, theme="streamlit", config={"displayModeBar": False}, key="quadrant.histogram")
    low, middle, high = (quadrant_plot.number(v) for v in np.percentile(finite, [5, 50, 95]))
    said = f"{len(finite):,} {'record' if len(finite) == 1 else 'records'}, median {middle}, 9 of 10 between {low} and {high}."
    if len(inside) < len(finite):
        said += f" {len(finite) - len(inside):,} beyond the ends of the axis are not drawn."
    st.caption(literal(said, 400))


page()
