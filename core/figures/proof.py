"""Figures of a proof: loss against budget, the difference to random, and what more records of a category are worth."""

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from core.figures.charts import DEFAULT, GRID, Colours, intervals, plain
from core.influence.proof.proof import Interval, Marginal, Point

SPREAD = 0.05  # of a budget, between the points of two strategies, so that their intervals do not hide one another


def _error(found: Sequence[Interval], colour: str) -> dict:
    reach = [0.0 if math.isnan(i.high) else i.high - i.mean for i in found]
    return {"type": "data", "array": reach, "color": colour, "thickness": 1.5, "width": 3}


def _lines(
    points: Sequence[Point], titles: Mapping[str, str], gaps: bool, total: int, colours: Sequence[str]
) -> go.Figure:
    figure = go.Figure()
    names = list(dict.fromkeys(p.strategy for p in points))
    for number, name in enumerate(names):
        own = [p for p in points if p.strategy == name and not (gaps and (name == "random" or p.budget == 100))]
        if not own:
            continue
        shown = [p.gap if gaps else p.loss for p in own]
        colour = colours[number % len(colours)]
        shift = (1 + SPREAD) ** (number - (len(names) - 1) / 2)
        title = plain(titles.get(name, name))
        figure.add_scatter(
            x=[p.budget * shift for p in own], y=[i.mean for i in shown], mode="lines+markers", name=title,
            line={"color": colour, "width": 2, "dash": "dot" if name == "random" else "solid"}, marker={"size": 7, "color": colour},
            error_y=_error(shown, colour),
            customdata=[[title, p.budget, p.size, i.low, i.high, i.n] for p, i in zip(own, shown, strict=True)],
            hovertemplate="%{customdata[0]}<br>%{customdata[1]:g} %: %{customdata[2]:,} records<br>%{y:.4f} nats "
            "(%{customdata[3]:.4f} to %{customdata[4]:.4f}, %{customdata[5]} seeds)<extra></extra>",
        )  # fmt: skip
    budgets = sorted({p.budget for p in points if not (gaps and p.budget == 100)})
    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "automargin": True}
    figure.update_layout(
        height=380, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", margin={"l": 8, "r": 16, "t": 8, "b": 8},
        legend={"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0, "title": {"text": ""}}, hoverlabel={"namelength": -1},
        xaxis=axis | {
            "type": "log", "tickmode": "array", "tickvals": budgets, "ticktext": [f"{b:g} &#37;" for b in budgets],
            "title": {"text": f"budget, share of the {total:,} records that can be picked"},
        },
        yaxis=axis,
    )  # fmt: skip
    return figure


def loss_by_budget(
    points: Sequence[Point],
    titles: Mapping[str, str],
    total: int,
    start: float | None = None,
    colours: Colours = DEFAULT,
) -> go.Figure:
    """Validation loss against budget (log axis), one line a strategy, t-intervals over seeds; `start` = the loss before training."""
    figure = _lines(points, titles, False, total, [colours.neutral, *colours.categories])
    figure.update_yaxes(title={"text": "validation loss, nats"})
    if start is not None:
        figure.add_hline(
            y=start, line={"color": colours.neutral, "dash": "dash", "width": 1}, annotation_text="before training"
        )
    return figure


def gap_by_budget(
    points: Sequence[Point], titles: Mapping[str, str], total: int, colours: Colours = DEFAULT
) -> go.Figure:
    """The difference to random of the same seed, one line a strategy; below 0 = better than random."""
    figure = _lines(points, titles, True, total, [colours.neutral, *colours.categories])
    figure.add_hline(y=0, line={"color": colours.neutral, "dash": "dot", "width": 2})
    figure.update_yaxes(title={"text": "loss minus that of random, nats"})
    return figure


def marginal_values(found: Sequence[Marginal], colours: Colours = DEFAULT) -> go.Figure:
    """The change of the loss by more records of each category, with its interval; left of 0 = they help."""
    low, high = (
        [None if math.isnan(v) else v for v in side]
        for side in zip(*[(m.change.low, m.change.high) for m in found], strict=True)
    )
    figure = intervals(
        [m.category for m in found], [m.change.mean for m in found], low, high, percent=False, colours=colours
    )
    figure.add_vline(x=0, line={"color": colours.neutral, "dash": "dot", "width": 2})
    return figure.update_xaxes(title={"text": "change of the validation loss, nats (left: they help)"})
