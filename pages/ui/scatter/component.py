"""`scatter`: the one component that draws the map and the quadrants, and what the reader did in it."""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from pages.ui.scatter.payload import Name, ScatterPayload

HERE = Path(__file__).parent
WAYS = ("lasso", "rectangle", "filter", "legend", "all", "invert", "clear")
ACTIONS = ("undo", "redo", "like", "link")


@dataclass(frozen=True)
class Axes:
    """Axes instead of a free map: both scales stretch to the frame, with ticks and titles.

    `quadrants`: names of (low x, low y), (high x, low y), (low x, high y), (high x, high y), drawn with live counts of the drawn
    points (of the first layer) while there are cuts; x is high where x >= cut. `range`: (x0, x1, y0, y1) shown at first (heavy
    tails: percentiles of the data; the legend's foot counts what lies outside); by default all points. `levels`: the x values that
    there really are, ascending, when the page spreads points around them: the hover then says the nearest, the cut the first above it.
    """

    x: str
    y: str
    quadrants: tuple[str, str, str, str] | None = None
    range: tuple[float, float, float, float] | None = None
    levels: Sequence[float] | None = None


@dataclass(frozen=True)
class ScatterEvent:
    """What the reader did since the last run; each part is None when nothing new happened, and is given exactly once.

    selected: (N,) bool in the payload's row order, the whole new selection. polygon: (M, 2) lasso or rectangle in the coordinates as
    drawn (`payload.xy()`), when that made the selection. how: lasso, rectangle, filter (what passes), legend, all, invert or clear.
    clicked: index of a point. action: one of the `actions` that the page offers, asked for by button or key, `about` the index of
    the point that it is about, if about one. cuts: (x, y). counter: of the newest part, 0 without one. digest: of the payload the
    event belongs to; events on other payloads are dropped, `dropped` counts them. webgl: False where the browser has no WebGL2 and
    the simpler plot was drawn.
    """

    digest: str
    selected: np.ndarray | None = None
    how: str | None = None
    clicked: int | None = None
    action: str | None = None
    about: int | None = None
    cuts: tuple[float, float] | None = None
    polygon: np.ndarray | None = None
    counter: int = 0
    dropped: int = 0
    webgl: bool = True


def scatter(
    payload: ScatterPayload,
    key: str,
    *,
    height: int = 600,
    axes: Axes | None = None,
    cuts: tuple[float, float] | None = None,
    names: Sequence[Name] | None = None,
    selection: np.ndarray | None = None,
    label: str = "Scatter plot",
    actions: Sequence[str] = (),
    opened: int | None = None,
    colour_name: str = "",
    linked: Mapping[str, Any] | None = None,
) -> ScatterEvent:
    """Draw the points and return what the reader did: see ScatterEvent.

    payload: from `scatter_payload`; keep it (it is immutable) and vary it with `with_selected`, `with_visible`, `with_colour`, so that
    only the changed part travels. selection: shorthand for `payload.with_selected(selection)`; without any the browser keeps its own.
    cuts: the two lines in data units; the reader's new ones come back as an event, and the page passes them in from the next
    run on. names: texts over the points (see `centroid_names`). label: what a screen reader calls the plot.

    actions: of "undo", "redo", "like", "link", what the page answers to. opened: index of the record that is open, ringed.
    colour_name: the facet that the colours stand for, so that its bars wear them. linked: {"slot": where this browser keeps filters
    and view, "open": {"n", "filters", "box"} of a link that was followed, "link": {"n", "query"} the answer to an action "link"}.

    The selection drawn is the page's as soon as the page has had the reader's last event; until then the reader's strokes stand.
    Which events were handled is kept in `st.session_state[f"{key}.handled"]`, and nothing else is.
    """
    if selection is not None:
        payload = payload.with_selected(selection)
    handled: dict[str, int] = st.session_state.setdefault(f"{key}.handled", {})
    view, carrier = _components()
    config = {
        "digest": payload.digest,
        "count": payload.count,
        "blocks": {name: block[0] for name, block in payload.blocks.items()},
        "origin": payload.header["origin"],
        "colour": payload.header["colour"],
        "layers": payload.header.get("layers"),
        "home": payload.header.get("home"),
        "facets": payload.header.get("facets", []),
        "colourName": colour_name,
        "actions": list(actions),
        "opened": -1 if opened is None else int(opened),
        "linked": dict(linked or {}),
        "height": int(height),
        "axes": axes and _axes(axes, payload.header["origin"]),
        "cuts": None if cuts is None else [float(c) for c in cuts],
        "names": _names(names, payload.header["origin"]),
        "label": label,
        "seen": {"selected": handled.get("selected", 0), "cuts": handled.get("cuts", 0)},
    }
    with st.container(gap=None, key=f"{key}-frame"):
        state = view(key=key, data=config)
        for name, (digest, content) in payload.blocks.items():
            carrier(key=f"{key}-{name}", data=digest.encode() + content)
        if state.get("webgl") is False:
            from pages.ui.scatter.fallback import plotly_scatter

            return plotly_scatter(payload, f"{key}.plotly", height=height, axes=axes, cuts=cuts)
    return read_event(payload, state, handled)


def read_event(payload: ScatterPayload, state: Mapping[str, Any], handled: dict[str, int]) -> ScatterEvent:
    """What is new in the component's state: nothing that `handled` (by kind, updated here) already has, nothing of another payload."""
    found: dict[str, Any] = {}
    counter = dropped = 0
    for kind, decode in _DECODERS.items():
        said = state.get(kind)
        if not isinstance(said, Mapping) or not isinstance(said.get("n"), int) or said["n"] == handled.get(kind):
            continue
        handled[kind] = said["n"]
        decoded = decode(said, payload.count) if said.get("digest") == payload.digest else None
        if decoded is None:
            dropped += 1
            continue
        counter = max(counter, said["n"])
        found.update(decoded)
    return ScatterEvent(payload.digest, counter=counter, dropped=dropped, **found)


def _selected(said: Mapping[str, Any], count: int) -> dict[str, Any] | None:
    try:
        bits = np.frombuffer(base64.b64decode(said["bits"], validate=True), dtype=np.uint8)
        polygon = None if said.get("polygon") is None else np.asarray(said["polygon"], dtype=np.float64).reshape(-1, 2)
    except (KeyError, TypeError, ValueError, binascii.Error):
        return None
    if len(bits) != (count + 7) // 8:
        return None
    return {
        "selected": np.unpackbits(bits, count=count, bitorder="little").view(np.bool_),
        "polygon": polygon,
        "how": said.get("how") if said.get("how") in WAYS else None,
    }


def _clicked(said: Mapping[str, Any], count: int) -> dict[str, Any] | None:
    index = said.get("index")
    return {"clicked": index} if isinstance(index, int) and 0 <= index < count else None


def _action(said: Mapping[str, Any], count: int) -> dict[str, Any] | None:
    do, index = said.get("do"), said.get("index")
    if not isinstance(do, str) or do not in ACTIONS:
        return None
    return {"action": do, "about": index if isinstance(index, int) and 0 <= index < count else None}


def _cuts(said: Mapping[str, Any], _count: int) -> dict[str, Any] | None:
    try:
        x, y = (float(c) for c in said["cuts"])
    except (KeyError, TypeError, ValueError):
        return None
    return {"cuts": (x, y)} if np.isfinite(x) and np.isfinite(y) else None


_DECODERS: dict[str, Callable[[Mapping[str, Any], int], dict[str, Any] | None]] = {
    "selected": _selected, "clicked": _clicked, "cuts": _cuts, "action": _action,
}  # fmt: skip


def _axes(axes: Axes, origin: Sequence[float]) -> dict[str, Any]:
    levels = [float(v) for v in axes.levels or ()]
    return {"x": axes.x, "y": axes.y, "quadrants": axes.quadrants, "range": _range(axes, origin), "levels": levels}


def _range(axes: Axes, origin: Sequence[float]) -> list[float] | None:
    """The first view in the coordinates as drawn; None without one, or with an empty one."""
    if axes.range is None or not (axes.range[0] < axes.range[1] and axes.range[2] < axes.range[3]):
        return None
    return [float(v) - origin[k // 2] for k, v in enumerate(axes.range)]


def _names(names: Sequence[Name] | None, origin: Sequence[float]) -> list[list[Any]]:
    """Largest first, in the coordinates as drawn."""
    ordered = sorted(names or (), key=lambda n: -n.weight)
    return [[n.text, n.x - origin[0], n.y - origin[1]] for n in ordered if np.isfinite(n.x) and np.isfinite(n.y)]


@functools.cache
def _components() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The visible component and the carrier of bytes, registered once a process."""

    def source(*files: str) -> str:
        return "\n".join((HERE / file).read_text(encoding="utf-8") for file in files)

    view = st.components.v2.component(
        "quadrant_scatter",
        html=source("scatter.html"),
        css=source("scatter.css"),
        js=source(
            "blocks.js",
            "geometry.js",
            "points.js",
            "state.js",
            "names.js",
            "drawing.js",
            "legend.js",
            "detail.js",
            "facets.js",
            "filters.js",
            "links.js",
            "hands.js",
            "scatter.js",
        ),
    )
    return view, st.components.v2.component("quadrant_scatter_block", js=source("blocks.js", "carrier.js"))
