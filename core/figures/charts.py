"""Frames to plotly figures: pure functions, no files, no state.

Category names, ids and the like are other people's text. Plotly reads HTML-like tags, entities and `%{…}` in labels and hover, and
fetches what a style names there, so all such text goes through `plain`. Bars stand at numbers and get their names as tick
labels: a category axis would merge two names that look alike and would read "2024-01-01" as a date.
"""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

GRID = "rgba(128,128,128,0.22)"


@dataclass(frozen=True)
class Colours:
    """What a figure draws with; the defaults are readable on light and dark and told apart by colour-blind readers."""

    training: str = "#4a78d6"
    production: str = "#e0812f"
    bad: str = "#c8453b"
    good: str = "#2f9e78"
    neutral: str = "#8b949e"
    categories: tuple[str, ...] = (
        "#4a78d6",
        "#e0812f",
        "#2f9e78",
        "#b06ac4",
        "#2ab0dd",
        "#a8473f",
        "#c9a227",
        "#7b56a8",
    )
    scale: tuple[str, ...] = ("#440154", "#365c8d", "#1fa187", "#86d549", "#fde725")


DEFAULT = Colours()

# Signs that turn the direction of the text around them, which could dress one label up as another.
_BIDI = {*"\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"}


def plain(text: object, longest: int = 60) -> str:
    """Text that plotly shows literally, on one line, at most `longest` characters: tags, entities, `%{…}` and `$…$` have no effect."""
    line = " ".join(
        "".join(" " if unicodedata.category(c) == "Cc" else "" if c in _BIDI else c for c in str(text)).split()
    )
    if len(line) > longest:
        line = line[: longest - 1].rstrip() + "…"
    return re.sub(r"[&<>%$]", lambda hit: _ENTITY[hit[0]], line)


_ENTITY = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "%": "&#37;", "$": "&#36;"}


def plot(height: int, **layout) -> go.Figure:
    """An empty figure of this height in the style of all charts."""
    figure = go.Figure()
    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "automargin": True}
    figure.update_layout(
        height=height,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 8, "r": 16, "t": 28, "b": 8},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "title": {"text": ""}},
        hoverlabel={"namelength": -1},
        bargap=0.25,
        xaxis=axis,
        yaxis=axis,
    )
    return figure.update_layout(**layout)


def _names(figure: go.Figure, names: Sequence[str], longest: int = 32) -> go.Figure:
    """Names down the left side, the first on top, at the positions 0, 1, …"""
    shown = [plain(name, longest) for name in names]
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(names))),
        ticktext=shown,
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )
    return figure


def _rows(count: int, each: int = 26, least: int = 160) -> int:
    return max(least, 70 + each * count)


def category_bars(
    names: Sequence[str],
    training: Sequence[float],
    production: Sequence[float],
    flags: Sequence[str] = (),
    colours: Colours = DEFAULT,
    as_given: bool = False,
) -> go.Figure:
    """Shares (0..1) of training and production side by side, one row a category, the largest production share on top (or in the
    order `as_given`); a flag stands at the end of its row ("over", "under", "missing", "unasked"). An empty `production` draws
    training alone."""
    alone, production = not len(production), production if len(production) else [0.0] * len(names)
    order = sorted(range(len(names)), key=lambda i: (-production[i], -training[i], str(names[i])))
    order = list(range(len(names))) if as_given else order
    names, training, production = ([values[i] for i in order] for values in (names, training, production))
    flags = [flags[i] for i in order] if flags else [""] * len(names)
    figure = plot(_rows(len(names), 34), barmode="group")
    full = [plain(name, 200) for name in names]
    for label, values, colour in (
        ("Production", production, colours.production),
        ("Training", training, colours.training),
    )[1 if alone else 0 :]:
        figure.add_bar(
            y=list(range(len(names))),
            x=list(values),
            orientation="h",
            name=label,
            marker_color=colour,
            customdata=full,
            hovertemplate="%{customdata}<br>" + label + " %{x:.1%}<extra></extra>",
        )
    for row, flag in enumerate(flags):
        if flag:
            figure.add_annotation(
                y=row,
                x=max(training[row], production[row]),
                text=_FLAGS.get(flag, plain(flag)),
                showarrow=False,
                xanchor="left",
                xshift=6,
                font={"color": colours.bad, "size": 12},
            )
    figure.update_xaxes(tickformat=".2~%", rangemode="tozero")
    top = max([0.01, *training, *production])
    figure.update_xaxes(range=[0, top * 1.18])
    return _names(figure, names)


_FLAGS = {"over": "▲ over", "under": "▼ under", "missing": "○ missing", "unasked": "▲ not in production"}


def shares(
    names: Sequence[str], series: Mapping[str, Sequence[float]], colours: Sequence[str] = (), most: int = 24
) -> go.Figure:
    """Shares (0..1) of a few series side by side, one row a category, in the order given; beyond `most` rows the rest is summed."""
    if len(names) > most:
        rest = len(names) - most + 1
        names = [*names[: most - 1], f"{rest} more"]
        series = {k: [*v[: most - 1], math.fsum(v[most - 1 :])] for k, v in series.items()}
    figure = plot(_rows(len(names), 14 + 9 * len(series)), barmode="group", bargap=0.3)
    full = [plain(name, 200) for name in names]
    for number, (label, values) in enumerate(series.items()):
        figure.add_bar(
            y=list(range(len(names))),
            x=list(values),
            orientation="h",
            name=plain(label),
            marker_color=(list(colours) or list(DEFAULT.categories))[number],
            customdata=full,
            hovertemplate="%{customdata}<br>" + plain(label) + " %{x:.1%}<extra></extra>",
        )
    figure.update_xaxes(tickformat=".0%", rangemode="tozero")
    return _names(figure, names)


def contributions(
    names: Sequence[str], values: Sequence[float], colours: Colours = DEFAULT, most: int = 20
) -> go.Figure:
    """What each category adds to KL(production || training), in nats, by size; an infinite one is a full bar marked ∞. Beyond `most`
    categories the smallest are summed in one row that says how many they are."""
    order = sorted(range(len(names)), key=lambda i: -abs(values[i]))
    if len(order) > most:
        rest = order[most:]
        names = [*(names[i] for i in order[:most]), f"{len(rest)} more"]
        values = [*(values[i] for i in order[:most]), math.fsum(values[i] for i in rest)]
    else:
        names, values = [names[i] for i in order], [values[i] for i in order]
    finite = [abs(v) for v in values if math.isfinite(v)]
    full = 1.15 * max(finite, default=0.0) or 1.0
    figure = plot(_rows(len(names)), showlegend=False)
    figure.add_bar(
        y=list(range(len(names))),
        x=[v if math.isfinite(v) else full for v in values],
        orientation="h",
        marker_color=[
            colours.bad if not math.isfinite(v) else colours.production if v > 0 else colours.training for v in values
        ],
        text=["∞" if not math.isfinite(v) else f"{v:+.4f}" for v in values],
        textposition="outside",
        cliponaxis=False,
        customdata=[plain(name, 200) for name in names],
        hovertemplate="%{customdata}<br>%{text} nats<extra></extra>",
    )
    lowest = min([0.0, *(v for v in values if v < 0)])
    room = 0.24 * (full - lowest) if lowest < 0 else 0.0  # for the number beside the longest bar to the left
    figure.update_xaxes(title={"text": "nats"}, range=[lowest - room, 1.2 * full])
    return _names(figure, names)


def histogram(
    values: Sequence[float] | np.ndarray,
    groups: Sequence[str] | None = None,
    unit: str = "",
    bins: int = 40,
    lines: Mapping[str, float] | None = None,
    colours: Colours = DEFAULT,
) -> go.Figure:
    """Counts of values in equal bins, one stacked colour a group (quadrant, category …); `lines` draws named cuts. Absent values
    (nan) are left out. The bins are counted here, so that the browser gets at most `bins` bars a group. Whole numbers that span no
    more than that, such as ratings, get a bar each, centred on the number."""
    values = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(values)
    labels = (
        np.array(["" if g is None else str(g) for g in groups], dtype=object)[finite] if groups is not None else None
    )
    values = values[finite]
    figure = plot(300, barmode="stack", bargap=0.04)
    if len(values):
        whole = bool((values == np.round(values)).all()) and np.ptp(values) < bins
        edges = np.arange(values.min() - 0.5, values.max() + 1) if whole else np.histogram_bin_edges(values, bins=bins)
        middle = (edges[:-1] + edges[1:]) / 2
        parts = (
            {"": values} if labels is None else {name: values[labels == name] for name in dict.fromkeys(sorted(labels))}
        )
        for i, (name, some) in enumerate(parts.items()):
            count = np.histogram(some, bins=edges)[0]
            shown = plain(name) or ("none" if labels is not None else "")
            figure.add_bar(
                x=middle.tolist(),
                y=count.tolist(),
                width=(edges[1] - edges[0]) * 0.96,
                name=shown,
                marker_color=colours.categories[i % len(colours.categories)],
                customdata=[f"{m:.0f}" for m in middle]
                if whole
                else [f"{a:.4g} to {b:.4g}" for a, b in zip(edges, edges[1:], strict=False)],
                hovertemplate=(f"{shown}<br>" if shown else "") + "%{customdata}: %{y:,}<extra></extra>",
            )
        if whole and len(middle) <= 12:
            figure.update_xaxes(dtick=1)
        figure.update_layout(showlegend=labels is not None)
    for name, at in (lines or {}).items():
        figure.add_vline(
            x=at, line={"color": colours.neutral, "dash": "dash", "width": 1.5}, annotation={"text": plain(name)}
        )
    figure.update_xaxes(title={"text": plain(unit)})
    figure.update_yaxes(title={"text": "records"})
    return figure


def loss_curve(
    steps: Sequence[float], losses: Sequence[float], validation: Sequence[float | None] = (), colours: Colours = DEFAULT
) -> go.Figure:
    """Loss in nats a token by step; `validation` (None where it was not measured) as points joined by a line."""
    figure = plot(280)
    figure.add_scatter(
        x=list(steps), y=list(losses), mode="lines", name="Training", line={"color": colours.training, "width": 2}
    )
    if any(value is not None for value in validation):
        known = [(step, value) for step, value in zip(steps, validation, strict=False) if value is not None]
        x, y = zip(*known, strict=True)
        figure.add_scatter(
            x=list(x),
            y=list(y),
            mode="lines+markers",
            name="Validation",
            line={"color": colours.production, "width": 2},
        )
    figure.update_traces(hovertemplate="step %{x}: %{y:.4f} nats<extra></extra>")
    figure.update_xaxes(title={"text": "step"})
    figure.update_yaxes(title={"text": "loss, nats a token"})
    return figure


def oc_curve(
    rates: Sequence[float],
    passing: Sequence[float],
    plan: str = "",
    points: Mapping[str, tuple[float, float]] | None = None,
    colours: Colours = DEFAULT,
) -> go.Figure:
    """Operating characteristic of a sampling plan: probability to pass (0..1) by the true error rate (0..1), with named points."""
    figure = plot(300, showlegend=False)
    figure.add_scatter(
        x=list(rates),
        y=list(passing),
        mode="lines",
        name=plain(plan),
        line={"color": colours.training, "width": 2.5},
        hovertemplate="true rate %{x:.1%}: passes with %{y:.1%}<extra></extra>",
    )
    for name, (x, y) in (points or {}).items():
        figure.add_scatter(
            x=[x],
            y=[y],
            mode="markers+text",
            marker={"color": colours.production, "size": 9},
            text=[plain(name)],
            textposition="middle right",
            hovertemplate="%{x:.1%}: %{y:.1%}<extra></extra>",
        )
    figure.update_xaxes(tickformat=".0%", title={"text": "true share of records with an issue"}, rangemode="tozero")
    figure.update_yaxes(tickformat=".0%", title={"text": "probability to pass"}, range=[0, 1.03])
    return figure


def intervals(
    names: Sequence[str],
    values: Sequence[float],
    low: Sequence[float | None],
    high: Sequence[float | None],
    target: float | None = None,
    percent: bool = True,
    colours: Colours = DEFAULT,
) -> go.Figure:
    """Estimates with their intervals, one row each, and the target as a dashed line. Without an interval there is the point alone."""
    figure = plot(_rows(len(names), 30, 140), showlegend=False)
    form = ".1%" if percent else ".4g"
    ends = [(v if a is None else a, v if b is None else b) for v, a, b in zip(values, low, high, strict=True)]
    figure.add_scatter(
        x=list(values),
        y=list(range(len(names))),
        mode="markers",
        marker={"color": colours.training, "size": 10},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [b - v for v, (_, b) in zip(values, ends, strict=True)],
            "arrayminus": [v - a for v, (a, _) in zip(values, ends, strict=True)],
            "color": colours.training,
            "thickness": 2,
            "width": 5,
        },
        customdata=[[plain(name, 200), a, b] for name, (a, b) in zip(names, ends, strict=True)],
        hovertemplate="%{customdata[0]}<br>%{x:"
        + form
        + "} (%{customdata[1]:"
        + form
        + "} to %{customdata[2]:"
        + form
        + "})<extra></extra>",
    )
    if target is not None:
        figure.add_vline(x=target, line={"color": colours.bad, "dash": "dash", "width": 1.5})
    figure.update_xaxes(tickformat=".0%" if percent else None, title={"text": ""})
    return _names(figure, names)


def history(
    names: Sequence[str],
    values: Sequence[float | None],
    low: Sequence[float | None] = (),
    high: Sequence[float | None] = (),
    target: float | None = None,
    percent: bool = True,
    colours: Colours = DEFAULT,
) -> go.Figure:
    """One metric over versions, oldest first, with the band of its interval where there is one; an unknown version is a gap."""
    figure = plot(260, showlegend=False)
    at = list(range(len(names)))
    known = [i for i in at if i < len(low) and i < len(high) and low[i] is not None and high[i] is not None]
    if known:
        figure.add_scatter(
            x=known + known[::-1],
            y=[high[i] for i in known] + [low[i] for i in reversed(known)],
            fill="toself",
            fillcolor=_faint(colours.training),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
        )
    form = ".1%" if percent else ".4g"
    figure.add_scatter(
        x=at,
        y=list(values),
        mode="lines+markers",
        line={"color": colours.training, "width": 2.5},
        marker={"size": 8},
        customdata=[plain(name, 200) for name in names],
        hovertemplate="%{customdata}<br>%{y:" + form + "}<extra></extra>",
    )
    if target is not None:
        figure.add_hline(y=target, line={"color": colours.bad, "dash": "dash", "width": 1.5})
    figure.update_xaxes(tickmode="array", tickvals=at, ticktext=[plain(name, 18) for name in names], showgrid=False)
    figure.update_yaxes(tickformat=".0%" if percent else None)
    return figure


def confusion(
    names: Sequence[str], counts: np.ndarray, colours: Colours = DEFAULT, clickable: bool = False
) -> go.Figure:
    """Counts (K, K) of given (row) against other (column) labels as a heat map; zeros are left blank.

    clickable: each cell off the diagonal that holds something can be picked; its point's customdata is [row, column].
    """
    counts = np.asarray(counts, dtype=np.float64)
    at = list(range(len(names)))
    full = [plain(name, 200) for name in names]
    figure = plot(_rows(len(names), 26, 260))
    figure.add_heatmap(
        z=np.where(counts > 0, counts, np.nan),
        x=at,
        y=at,
        colorscale=[[i / (len(colours.scale) - 1), colour] for i, colour in enumerate(colours.scale)],
        customdata=[[[row, column] for column in full] for row in full],
        hovertemplate="given %{customdata[0]}<br>other %{customdata[1]}<br>%{z:.4g} records<extra></extra>",
        hoverongaps=False,
        showscale=False,
        xgap=1,
        ygap=1,
    )
    if clickable:  # a heat map takes no clicks in Streamlit, marks upon it do
        cells = [(r, c) for r in at for c in at if counts[r, c] > 0 and r != c]
        figure.add_scatter(
            x=[c for _, c in cells],
            y=[r for r, _ in cells],
            mode="markers",
            marker={"symbol": "square", "size": 20, "opacity": 0.01},
            selected={"marker": {"opacity": 0.35, "color": colours.scale[-1]}},
            unselected={"marker": {"opacity": 0.01}},
            customdata=[[r, c, full[r], full[c], float(counts[r, c])] for r, c in cells],
            hovertemplate="given %{customdata[2]}<br>other %{customdata[3]}<br>%{customdata[4]:,.4~g} records<extra></extra>",
            showlegend=False,
        )
    figure.update_xaxes(
        tickmode="array",
        tickvals=at,
        ticktext=[plain(n, 18) for n in names],
        tickangle=-40,
        showgrid=False,
        side="bottom",
    )
    return _names(figure, names)


def _faint(colour: str, alpha: float = 0.18) -> str:
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{alpha})"
