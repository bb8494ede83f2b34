"""The same points on a Plotly chart, for a browser without WebGL2: slower and plainer, and it says so."""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from pages.ui.scatter.payload import ScatterPayload

if TYPE_CHECKING:
    from pages.ui.scatter.component import Axes, ScatterEvent

DRAWN_AT_MOST = 20_000
TRACES_AT_MOST = 60


def plotly_scatter(
    payload: ScatterPayload,
    key: str,
    *,
    height: int = 600,
    axes: Axes | None = None,
    cuts: tuple[float, float] | None = None,
) -> ScatterEvent:
    """As `scatter`, with lasso, rectangle and click; cuts are drawn but not draggable.

    Above 20,000 points a fixed sample is drawn, and a selection holds drawn points alone. Points are known by their customdata (the
    payload's row), never by Plotly's own numbering.
    """
    import plotly.graph_objects as go

    from pages.ui.scatter.component import ScatterEvent

    rows = _drawn(payload)
    told = f"Simple plot (this browser has no WebGL2): {len(rows):,} of {payload.count:,} points"
    told += ", a fixed sample; only drawn points can be selected." if len(rows) < payload.count else "."
    if payload.header.get("facets"):
        told += (
            " The filters beside the map, its link and its keys need WebGL2; search and choosing by value work as ever."
        )
    st.caption(told)
    x, y = payload.xy()
    figure = go.Figure()
    for name, members, marker in _traces(payload, rows):
        figure.add_trace(
            go.Scattergl(
                x=x[members] + payload.header["origin"][0], y=y[members] + payload.header["origin"][1], mode="markers", name=name,
                customdata=members, marker={"size": 5, "opacity": 0.75, **marker}, hovertemplate=f"{name}<extra></extra>",
            )
        )  # fmt: skip
    figure.update_layout(
        height=height, margin={"l": 10, "r": 10, "t": 10, "b": 10}, dragmode="lasso", uirevision=payload.digest
    )
    if axes is None:
        figure.update_xaxes(visible=False)
        figure.update_yaxes(visible=False, scaleanchor="x")
    else:
        figure.update_xaxes(title=html.escape(axes.x))
        figure.update_yaxes(title=html.escape(axes.y))
    if cuts is not None:
        figure.add_vline(x=cuts[0], line_width=1, line_dash="dot")
        figure.add_hline(y=cuts[1], line_width=1, line_dash="dot")
    chart_key = (
        f"{key}.{payload.digest}"  # another payload is another chart: its selection cannot be read as this one's
    )
    state = st.plotly_chart(figure, key=chart_key, on_select="rerun", selection_mode=("points", "box", "lasso"))
    return _event(payload, state, chart_key, ScatterEvent)


def _drawn(payload: ScatterPayload) -> np.ndarray:
    """Rows to draw: with a position, passing the filter, at most 20,000 (a fixed random sample)."""
    x, y = payload.xy()
    shown = np.isfinite(x) & np.isfinite(y)
    if "visible" in payload.blocks:
        bits = np.frombuffer(payload.blocks["visible"][1], np.uint8)
        shown &= np.unpackbits(bits, count=payload.count, bitorder="little").astype(bool)
    rows = np.flatnonzero(shown)
    if len(rows) > DRAWN_AT_MOST:
        rows = np.sort(np.random.default_rng(0).choice(rows, DRAWN_AT_MOST, replace=False))
    return rows


def _traces(payload: ScatterPayload, rows: np.ndarray) -> list[tuple[str, np.ndarray, dict[str, Any]]]:
    """(name, rows, marker) of each trace: one a category, the smallest together when there are many; or one with a colour bar."""
    described, content = payload.header["colour"], payload.blocks["colour"][1]
    if described["kind"] == "values":
        values = np.frombuffer(content, "<f4")[rows]
        stops, (low, high), title = described["light"], described["limits"], html.escape(described["title"] or "value")
        known = np.isfinite(values)
        bar = {"cmin": low, "cmax": high, "colorscale": [[k / (len(stops) - 1), c] for k, c in enumerate(stops)]}
        out = [(title, rows[known], {"color": values[known], "colorbar": {"title": title}, **bar})]
        return [*out, ("no value", rows[~known], {"color": described["grey"][0]})] if not known.all() else out
    names = described["names"]
    codes = np.frombuffer(content, np.uint8 if len(names) <= 256 else "<u2")[rows]
    sizes = np.bincount(codes, minlength=len(names))
    order = [int(k) for k in np.argsort(-sizes, kind="stable") if sizes[k]]
    out = [
        (html.escape(names[k] or "(empty)"), rows[codes == k], {"color": described["light"][k]})
        for k in order[:TRACES_AT_MOST]
    ]
    if len(order) > TRACES_AT_MOST:
        out.append(("other categories", rows[np.isin(codes, order[TRACES_AT_MOST:])], {"color": "#a3abb0"}))
    return out


def _event(payload: ScatterPayload, state: Any, chart_key: str, make: type[ScatterEvent]) -> ScatterEvent:
    """The chart's selection as an event, when it is not the one of the last run."""
    selection = (state or {}).get("selection") or {}
    rows = sorted({row for p in selection.get("points", []) if 0 <= (row := _row(p)) < payload.count})
    last = st.session_state.setdefault(f"{chart_key}.last", [])
    if rows == last:
        return make(payload.digest, webgl=False)
    st.session_state[f"{chart_key}.last"] = rows
    counter = time.time_ns() // 1000
    drawn_shape = bool(selection.get("lasso") or selection.get("box"))
    if len(rows) == 1 and not drawn_shape:
        return make(payload.digest, clicked=rows[0], counter=counter, webgl=False)
    mask = np.zeros(payload.count, dtype=bool)
    mask[rows] = True
    return make(payload.digest, selected=mask, counter=counter, webgl=False)


def _row(point: Any) -> int:
    """The payload's row of a selected point: its customdata, a number or a list of one; -1 without."""
    data = point.get("customdata")
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return int(data) if isinstance(data, (int, float)) else -1
