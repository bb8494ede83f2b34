"""What the map shows, read once and kept: points, colours, clusters and hits, each under the keys of the results it comes from."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from core.actions import frame, naming
from core.actions.decisions import open_reviews, verdict_by_record
from core.dataset.ids import Names
from core.embedding import search
from core.review.subsets import subset_ids, subsets
from core.steps import current
from core.workspace import Dataset, Result, Workspace
from pages.ui import palette
from pages.ui.scatter import (
    Categories,
    Facet,
    Name,
    ScatterPayload,
    Values,
    category_facet,
    centroid_names,
    number_facet,
    scatter_payload,
)  # fmt: skip

NAMED = 60  # values of a column that get a colour of their own; the rest are drawn as one
CLUSTERS = 400  # as many as the legend lists
OTHER_LIGHT, OTHER_DARK = "#7d868b", "#8b959a"
ABSENT = {
    "cluster": "noise",
    "verdict": "not audited",
    "subset": "in none",
}  # what a record without a value is called; otherwise "none"
DIVERGING = ("influence",)
SUBSET, SEVERAL = (
    "subset",
    "in several",
)  # the pseudo-column of saved selections, and what a record in more than one is called
FILTERS = (
    "category",
    "cluster",
    "response_words",
    "influence",
    "language",
    "annotator",
    "verdict",
)  # with a difficulty source


@dataclass(frozen=True)
class Points:
    """Every point as drawn: the training records in file order, then production. `key` names the layout and both datasets."""

    key: str
    ids: Names  # (N + M,)
    training: int
    x: np.ndarray
    y: np.ndarray
    preview: bool
    info: dict[str, Any] = field(repr=False)

    @property
    def production(self) -> int:
        return len(self.ids) - self.training


def layout(workspace: Workspace, data: Dataset) -> Points | None:
    """The map, or the first sketch of it while the map is computed; None before either."""
    result = current(workspace, "map") or current(workspace, "preview")
    return None if result is None else _points(result.key, data.digest, result, data.count)


@st.cache_resource(max_entries=4, show_spinner=False)
def _points(key: str, digest: str, _result: Result, count: int) -> Points:
    table = _result.table()
    ids = Names(table.column("record_id").combine_chunks())
    x, y = (table.column(name).to_numpy() for name in ("x", "y"))
    return Points(f"{key}{digest}", ids, count, x, y, _result.step == "preview", _result.info)


def source_key(workspace: Workspace, name: str) -> str:
    """Names the values of a column as they are now: the key of the result that knows them, or the verdicts given so far."""
    if name.startswith(frame.QUERY_PREFIX) or name == "influence_max":
        name = "influence"
    if name == SUBSET:
        return "-".join(s.id for s in subsets(open_reviews(workspace)))
    if name == "cluster" or name.startswith(frame.LEVEL):
        found = current(workspace, "clusters")
        return f"{found.key}{naming.version(workspace)}" if found else ""
    if name in frame.FROM_RESULTS or name in frame.DERIVED:
        found = current(workspace, (frame.FROM_RESULTS.get(name) or frame.DERIVED[name])[2])
        return found.key if found else ""
    return str(hash(frozenset(verdict_by_record(open_reviews(workspace)).items()))) if name == "verdict" else ""


def column(workspace: Workspace, data: Dataset, name: str) -> frame.Column:
    """A column of the training records, read once."""
    return _column(data.digest, name, source_key(workspace, name), workspace, data)


def known_columns(workspace: Workspace, data: Dataset) -> dict[str, tuple[str, str]]:
    """{name: (title, kind)} of what the map can be coloured and filtered by: what is known of a record, and the saved selections."""
    known = frame.available(workspace, data)
    if subsets(open_reviews(workspace)):
        known[SUBSET] = ("Saved selections", "category")
    return known


@st.cache_resource(max_entries=40, show_spinner=False)
def _column(digest: str, name: str, source: str, _workspace: Workspace, _data: Dataset) -> frame.Column:
    if name == SUBSET:
        return _subset_column(_workspace, _data)
    return frame.column(_workspace, _data, name)


def _subset_column(workspace: Workspace, data: Dataset) -> frame.Column:
    """The saved selection that each record is in."""
    store = open_reviews(workspace)
    values = np.full(data.count, "", dtype=object)
    for one in subsets(store):
        rows = data.index.known(subset_ids(store, one.id))
        values[rows] = np.where(values[rows] == "", one.name, SEVERAL)
    return frame.Column(SUBSET, "Saved selections", "category", values)


# -- filters ---------------------------------------------------------------------------------------------------------------


def default_filters(workspace: Workspace, data: Dataset) -> list[str]:
    """The columns that the map can be filtered by at first: what exists of them, the best difficulty source, saved selections."""
    known = known_columns(workspace, data)
    best = [name for name, _ in frame.difficulty_sources(workspace, data)[:1]]
    wanted = [*FILTERS[:3], *best, *FILTERS[3:], SUBSET]
    return [name for name in wanted if name in known]


def facets(workspace: Workspace, data: Dataset, points: Points, names: list[str]) -> list[Facet]:
    """The columns as bars, those that tell any two records apart."""
    key = _source_of_places(workspace) if points.production else ""
    made = [_facet(points.key, n, f"{source_key(workspace, n)}{key}", workspace, data, points) for n in names]
    return [f for f in made if f is not None]


@st.cache_resource(max_entries=40, show_spinner=False)
def _facet(key: str, name: str, source: str, _workspace: Workspace, _data: Dataset, _points: Points) -> Facet | None:
    found = column(_workspace, _data, name)
    production = _workspace.dataset("production") if _points.production else None
    theirs = _production_values(_workspace, _data, production, found) if production else None
    made = _colour(found, theirs, _points)
    if isinstance(made, Values):
        facet = number_facet(name, found.title, made.values)
    else:
        facet = category_facet(name, found.title, made.codes, made.names, made.noise)
    own = facet.codes[: _points.training]
    return facet if len(own) and (own != own[0]).any() else None


def payload(workspace: Workspace, data: Dataset, points: Points, colour: str) -> tuple[ScatterPayload, str]:
    """The points in a colour, and what a reader must know of that column."""
    key = f"{source_key(workspace, colour)}{points.production and _source_of_places(workspace)}"
    return _payload(points.key, colour, key, workspace, data, points)


def _source_of_places(workspace: Workspace) -> str:
    found = current(workspace, "coverage")
    return found.key if found else ""


@st.cache_resource(max_entries=12, show_spinner=False)
def _payload(key: str, colour: str, source: str, _workspace: Workspace, _data: Dataset, _points: Points):
    found = column(_workspace, _data, colour)
    production = _workspace.dataset("production") if _points.production else None
    theirs = _production_values(_workspace, _data, production, found) if production else None
    return _bare(key, _data, production, _points).with_colour(_colour(found, theirs, _points)), found.note


@st.cache_resource(max_entries=3, show_spinner=False)
def _bare(key: str, _data: Dataset, _production: Dataset | None, _points: Points) -> ScatterPayload:
    from pages.ui.scatter.payload import LABEL_LENGTH, LABELS_UP_TO

    labels = None
    if len(_points.ids) <= LABELS_UP_TO:
        labels = []
        for part in (_data, _production)[: 2 if _production else 1]:
            text = pc.utf8_slice_codeunits(
                pc.fill_null(part.column("prompt").cast(pa.large_string()), ""), 0, 3 * LABEL_LENGTH
            )
            labels += text.to_pylist()
    one = Categories(np.zeros(len(_points.ids), np.uint8), ["record"])
    layer = (np.arange(len(_points.ids)) >= _points.training).astype(np.uint8) if _points.production else None
    return scatter_payload(_points.x, _points.y, one, layer=layer, labels=labels, identity=key)


def _production_values(
    workspace: Workspace, data: Dataset, production: Dataset, known: frame.Column
) -> np.ndarray | None:
    """What the production sample itself says in this column, or the cluster it falls into; None when it says nothing."""
    name = known.name
    if name == SUBSET:
        return None
    if name in ("prompt_words", "response_words"):
        return frame.words(production.column(name.removesuffix("_words")))
    if name in frame.FROM_RECORDS or name in production.columns and name.startswith("field."):
        return frame.texts(production.column(name))
    coverage = current(workspace, "coverage") if name == "cluster" else None
    if coverage is None:
        return None
    table = coverage.table(["nearest_id", "covered"])
    nearest = data.index.rows(table["nearest_id"])
    there = (nearest >= 0) & np.asarray(table["covered"].to_numpy(zero_copy_only=False), dtype=bool)
    return np.where(there, known.values[nearest], "")


def _colour(known: frame.Column, theirs: np.ndarray | None, points: Points) -> Categories | Values:
    if known.kind == "number":
        more = np.full(points.production, np.nan) if theirs is None else theirs
        scale = "diverging" if known.name in DIVERGING else "sequential"
        return Values(np.concatenate([known.values, more]), known.title, scale)
    codes, names, rest = coded(known)
    more = np.full(points.production, -1, np.int32)
    if theirs is not None and points.production:
        number = {text: code for code, text in enumerate(names) if not rest or code < len(names) - 1}
        more = np.array([number.get(t, -1) for t in theirs], np.int32)
    light, dark = palette.categorical(len(names)), palette.categorical(len(names), dark=True)
    if rest:
        light[-1], dark[-1] = OTHER_LIGHT, OTHER_DARK
    both = np.concatenate([codes, more])
    return Categories(both, names, known.title, ABSENT.get(known.name.partition(":")[0], "none"), light, dark)


def coded(known: frame.Column) -> tuple[np.ndarray, list[str], int]:
    """(N,) codes of a column of texts (-1 none), the names by frequency, and how many rarer values the last name stands for (0)."""
    words = pa.chunked_array([pa.array(known.values, pa.large_string())]).combine_chunks().dictionary_encode()
    raw, texts = words.indices.to_numpy(), words.dictionary.to_pylist()
    absent = {"", "noise"} if known.name.partition(":")[0] == "cluster" else {""}
    sizes = np.bincount(raw, minlength=len(texts))
    order = sorted((k for k in range(len(texts)) if texts[k] not in absent), key=lambda k: (-sizes[k], texts[k]))
    most = CLUSTERS if known.name.partition(":")[0] == "cluster" else NAMED
    rest = len(order) - most if len(order) > most + 1 else 0
    kept = order[:most] if rest else order
    number = np.full(len(texts), -1, np.int32)
    number[order] = len(kept)
    number[kept] = np.arange(len(kept))
    names = [texts[k] for k in kept] + ([f"{rest:,} rarer values"] if rest else [])
    return number[raw], names, rest


def cluster_names(workspace: Workspace, points: Points) -> list[Name]:
    """The clusters' names, each at the middle of its records; noise has none."""
    found = current(workspace, "clusters")
    called = {} if found is None else naming.names(workspace, found)
    return (
        []
        if found is None
        else _cluster_names(points.key, found.key, tuple(called[c] for c in sorted(called)), points, found)
    )


@st.cache_resource(max_entries=4, show_spinner=False)
def _cluster_names(key: str, source: str, names: tuple[str, ...], _points: Points, _found: Result) -> list[Name]:
    codes = _found.table(["cluster"]).column(0).to_numpy()
    n = _points.training
    return centroid_names(_points.x[:n], _points.y[:n], codes, list(names)) if len(codes) == n else []


def hole_names(workspace: Workspace, points: Points) -> list[Name]:
    """The holes' names, each at the middle of its production records."""
    found = current(workspace, "coverage")
    return [] if found is None else _hole_names(points.key, found.key, points, found)


@st.cache_resource(max_entries=4, show_spinner=False)
def _hole_names(key: str, source: str, _points: Points, _found: Result) -> list[Name]:
    codes, n = _found.table(["hole"]).column(0).to_numpy(), _points.training
    names = [f"Hole {h['hole'] + 1}: {h['name']}" for h in _found.info["holes"]]
    return centroid_names(_points.x[n:], _points.y[n:], codes, names) if len(codes) == _points.production else []


# -- search ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hits:
    """Records found by a search, best first."""

    ids: tuple[str, ...]
    scores: tuple[float, ...]
    what: str  # "similarity" (cosine) or "occurrences"


SIMILAR = 50


def hits(data: Dataset, embed: Result | None, how: str, query: str, other: Result | None = None) -> Hits:
    """The records found, best first. Errors: InputError, as core.embedding.search.

    how: "text" (literal), "regex" (RE2), "meaning", "like" (the query is the id of a training record) or "like production" (of a
    production record; `other` is the embedding of production).
    """
    return _hits(data.digest, embed.key if embed else "", how, query, data, embed, other)


@st.cache_resource(max_entries=16, show_spinner=False)
def _hits(
    digest: str, key: str, how: str, query: str, _data: Dataset, _embed: Result | None, _other: Result | None
) -> Hits:
    if how in ("text", "regex"):
        found, what = search.by_text(_data, query, regex=how == "regex"), "occurrences"
    elif how == "meaning":
        found, what = search.by_meaning(_embed, query, SIMILAR), "similarity"
    else:
        found = search.by_example(_embed, query, SIMILAR, _other if how == "like production" else None)
        what = "similarity"
    return Hits(tuple(found.column(0).to_pylist()), tuple(found.column(1).to_pylist()), what)
