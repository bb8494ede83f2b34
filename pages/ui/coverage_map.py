"""The map itself: what it is worth, how it is coloured, what the reader picks on it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from core.embedding.given import is_given
from core.steps import current
from core.workspace import Dataset, Workspace
from pages.ui import coverage_data, coverage_link, coverage_search, jobs, records, state
from pages.ui.coverage_data import Points, cluster_names, hole_names, payload
from pages.ui.safe import literal, short
from pages.ui.scatter import ScatterEvent, scatter
from pages.ui.scatter.facets import FACETS

HEIGHT = 520
FIRST = ("cluster", "category", "language", "prompt_words")  # what the map is coloured by at first, if there is one

TITLES = {
    "lasso": "Lasso on the map", "rectangle": "Rectangle on the map", "filter": "Passing the filters",
    "legend": "Picked in the legend", "all": "All shown on the map", "invert": "The rest of what is shown",
}  # fmt: skip

MEANING = """
**Trustworthiness** (0 to 1): of the records that the map draws next to each other, how many really are alike. Below about
0.8, read small distances with care.

**Neighbours kept**: the share of each record's 15 nearest in the full embedding that are among its 15 nearest on the map too. 20 to
40 % is usual for two dimensions; it is why clusters, duplicates and holes are found in the embedding and never on the map.

**Distances between far groups, their sizes and their order mean nothing** in a UMAP. Only "these are alike" does.

Groups of like records are laid out first, then each record from the place of its group. **Reproducible** mode draws the same map
again from the same data, on every core; **parallel** is umap-learn's own optimiser and draws another each time: what both show
is there.

A **new version of the data keeps the map of the old one**: records that did not change stay exactly where they were and new ones are
placed among them, so versions can be compared in place. Settings has a button that lays it out anew. **Large sets** are laid out by a
sample that keeps their density; the other records are placed among it.
"""


def _embedded(info: Mapping[str, Any]) -> list[str]:
    """What the vectors are of; of vectors that were given, nobody here knows whether a text was cut."""
    model = str(info.get("model", ""))
    name = Path(model).name  # a folder or a file by its name: the whole path stands in the settings
    if is_given(model):
        return [f"vectors given in {literal(name.replace('column:', 'the column '), 60)}"]
    cut, limit = info.get("truncated") or 0, info.get("limit")
    return [
        f"{literal(name if Path(model).is_absolute() else model, 60)} on the {literal(info.get('text', 'prompt'))}",
        f"**{cut:,}** texts cut at {limit} tokens" if cut and limit else "no text cut",
    ]


def facts(workspace: Workspace, points: Points) -> None:
    """The figures that keep a map honest, in one line, and the warnings of the steps behind it."""
    embed = current(workspace, "embed")
    info, said = points.info, []
    method = "First sketch by PCA" if points.preview else info.get("method", "Map")
    said.append(f"{literal(method)} of **{points.training:,}** {'record' if points.training == 1 else 'records'}")
    if points.production:
        said.append(f"**{points.production:,}** of production placed into it")
    if info.get("trustworthiness") is not None:
        said.append(f"trustworthiness **{info['trustworthiness']:.2f}**")
        said.append(f"**{info['neighbour_overlap']:.0%}** of neighbours kept")
    if info.get("mode"):
        said.append(
            "another layout each time" if info["mode"] == "parallel" else f"reproducible, seed {info.get('seed')}"
        )
    said += _origin(info)
    if embed is not None:
        said += _embedded(embed.info)
    st.caption(" · ".join(said))
    if points.preview:
        jobs.waiting_for("map", "The map")
        st.caption(
            "Until then: the first two principal components, a preview that shows only the coarsest differences."
        )
    _warnings(workspace, points, embed)


def _origin(info: dict) -> list[str]:
    """How the places came about: kept from an earlier version, fitted on a sample, on neighbours that are approximate."""
    said = []
    if info.get("kept") is not None:
        said.append(
            f"**{info['kept']:,}** records where an earlier version had them, **{info['added']:,}** placed among them"
            if info["added"]
            else "every place kept from the map before"
        )
    elif info.get("anew"):
        said.append(f"laid out anew: {literal(info['anew'])}")
    if info.get("sample"):
        said.append(f"fitted on a sample of **{info['sample']:,}** that keeps the density, the others placed")
    if info.get("recall") is not None and info["recall"] < 1:
        said.append(
            f"approximate neighbours, **{info['recall']:.1%}** of the true ones found (on {info['recall_sample']:,})"
        )
    if info.get("engine") == "cuML":
        said.append("laid out on the GPU by cuML")
    return said


def meaning(points: Points) -> None:
    """What the figures over the map mean, to open when one asks."""
    with st.popover("About", icon=":material/help:", key="coverage.about"):
        st.markdown(MEANING)
        sample = points.info.get("fidelity_sample")
        if sample and sample < points.training:
            st.caption(f"Both figures are measured on a random sample of {sample:,} records.")


def filters(workspace: Workspace, data: Dataset) -> None:
    """Which columns stand under the map as bars that filter it."""
    known = coverage_data.known_columns(workspace, data)
    kept = st.session_state.get("coverage.filters")
    if kept is None or not set(kept) <= set(known):
        kept = [n for n in kept or () if n in known] or coverage_data.default_filters(workspace, data)
        st.session_state["coverage.filters"] = kept
    with st.popover("Filters", icon=":material/filter_alt:", key="coverage.filters_open"):
        st.multiselect(
            "Columns that filter the map", list(known), key="coverage.filters", format_func=lambda n: short(known[n][0], 60),
            max_selections=FACETS, persist_state="session",
            help="Each is drawn under the map as bars. Press a value or sweep over a histogram: the map and all other bars follow. "
            "A column in which all records are alike is left out.",
        )  # fmt: skip


def _warnings(workspace: Workspace, points: Points, embed) -> None:
    clusters = current(workspace, "clusters")
    if embed is not None and embed.info.get("warning"):
        st.warning(literal(embed.info["warning"], 600), icon=":material/warning:")
    quiet = [
        w
        for info in (embed and embed.info, points.info, clusters and clusters.info)
        for w in (info or {}).get("warnings", [])
    ]
    for text in dict.fromkeys(quiet):
        st.caption(f":material/info: {literal(text, 600)}")


def draw(workspace: Workspace, data: Dataset, points: Points, holes: bool) -> None:
    """Controls and map; reacts to a lasso (the selection) and a click (the open record). `holes`: name the holes on it."""
    known = coverage_data.known_columns(workspace, data)
    _settle("coverage.colour", next((n for n in FIRST if n in known), "prompt_words"), known)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        colour = st.selectbox(
            "Colour by", list(known), key="coverage.colour", format_func=lambda n: short(known[n][0], 60),
            width=240, persist_state="session",
        )  # fmt: skip
        coverage_search.box(workspace)
        overlay = points.production and st.toggle(
            "Production", value=True, key="coverage.production", persist_state="session",
            help="Rings: the production sample, placed into the map by the records it is nearest to.",
        )  # fmt: skip
    made, note = payload(workspace, data, points, colour)
    if points.production and not overlay:
        made = made.with_visible(np.arange(len(points.ids)) < points.training)
    made = made.with_facets(coverage_data.facets(workspace, data, points, st.session_state["coverage.filters"]))
    names = cluster_names(workspace, points)
    if holes and overlay:
        names = hole_names(workspace, points)
    event = scatter(
        made, "coverage.map", height=HEIGHT, names=names, selection=mask(data, points),
        label=f"Map of {points.training:,} training records and {points.production:,} production records",
        actions=_offered(workspace), opened=_opened(workspace, data, points), colour_name=colour,
        linked=coverage_link.linked(f"{state.current_name()}.{data.digest[:12]}.{points.key[:12]}"),
    )  # fmt: skip
    notes = ([note] if note else []) + (
        [f"{known[colour][0]}: production has no value here"] if _silent(made, points) else []
    )
    if notes:
        st.caption(literal(" · ".join(notes), 400))
    _react(workspace, points, event)


def _offered(workspace: Workspace) -> list[str]:
    """What the map may ask of the page now."""
    able = [way for way in ("undo", "redo") if state.can_step(way)]
    return [*able, *(["like"] if current(workspace, "embed") is not None else []), "link"]


def _opened(workspace: Workspace, data: Dataset, points: Points) -> int | None:
    """The row of the record that is open."""
    role, record_id = coverage_search.opened() or ("", "")
    if role == "training":
        return records.positions(data).get(record_id)
    home = workspace.dataset("production") if role and points.production else None
    row = None if home is None else records.positions(home).get(record_id)
    return None if row is None or row >= points.production else points.training + row


def _silent(made, points: Points) -> bool:
    return (
        bool(points.production)
        and made.header["colour"]["kind"] == "values"
        and not np.isfinite(np.frombuffer(made.blocks["colour"][1], "<f4")[points.training :]).any()
    )


def mask(data: Dataset, points: Points) -> np.ndarray:
    """(N + M,) the selection on the map; made again only when the selection or the map is another."""
    chosen = state.selection()
    kept = state.remembered("coverage.mask", None)
    if kept is None or kept[0] is not chosen or kept[1] != points.key:
        bits = np.zeros(len(points.ids), bool)
        bits[: points.training] = data.index.mask(chosen.ids)
        kept = (chosen, points.key, bits)
        state.remember("coverage.mask", kept)
    return kept[2]


def _react(workspace: Workspace, points: Points, event: ScatterEvent) -> None:
    if event.clicked is not None:
        coverage_search.open_record(points.ids[event.clicked], _role(points, event.clicked))
    if event.action == "link":
        coverage_link.make(workspace, event.counter)
        st.rerun()
    if event.action in ("undo", "redo"):
        (state.undo_selection if event.action == "undo" else state.redo_selection)()
        st.rerun()
    if event.action == "like" and event.about is not None:
        coverage_search.like(_role(points, event.about), points.ids[event.about])
        st.rerun()
    if event.selected is not None:
        rows = np.flatnonzero(event.selected[: points.training])
        if not len(rows) and event.selected.any():
            st.toast(
                "Only production records are in there. A selection holds training records; click a ring to read it."
            )
        title = TITLES.get(event.how, "Picked on the map")
        state.select(points.ids.at(rows), title)
        bits = event.selected.copy()
        bits[points.training :] = False
        state.remember("coverage.mask", (state.selection(), points.key, bits))
        st.rerun()  # the side bar's card was drawn before


def _role(points: Points, row: int) -> str:
    return "training" if row < points.training else "production"


def _settle(key: str, default: str, options) -> None:
    """A widget's kept value must be among the options of now: another workspace has other columns."""
    if st.session_state.get(key) not in options:
        st.session_state[key] = default
