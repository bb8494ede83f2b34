"""What the quadrant page looks at, read once and kept under the keys of the results it comes from."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from core.actions.choosing import selection_frame
from core.actions.decisions import open_reviews
from core.actions.frame import FROM_RESULTS, HEURISTICS, column, difficulty_sources, influence_sources
from core.influence.selection.strategies import Frame
from core.review.ledger import ledger
from core.steps import current
from core.workspace import Dataset, Workspace
from pages.ui import palette, records
from pages.ui.coverage_data import ABSENT, DIVERGING, OTHER_DARK, OTHER_LIGHT, coded, source_key
from pages.ui.coverage_data import column as kept_column
from pages.ui.scatter import Categories, ScatterPayload, Values, scatter_payload
from pages.ui.scatter.payload import LABEL_LENGTH, LABELS_UP_TO

LEVELS = 12  # with at most this many different values, difficulty is a rating and its points are spread sideways
SPREAD = 0.36  # of the gap between two ratings


@dataclass(frozen=True)
class View:
    """The two axes over the N training records in file order, and the K of them that can be picked, as a frame."""

    key: str
    source: str  # name of the difficulty column, "" = none yet
    difficulty: np.ndarray | None  # (N,)
    influence: np.ndarray | None  # (N,)
    heldout: np.ndarray  # (N,) bool: kept, but part of the validation set and never picked
    frame: Frame
    rows: np.ndarray  # (K,) rows of the frame among the N; removed and held-out records are not in it
    category: np.ndarray  # (K,) codes into `categories`
    categories: tuple[str, ...]
    query: str = "influence"  # which column of influence: the mean over the queries, their maximum, or one of them

    @property
    def heuristic(self) -> bool:
        return self.source in HEURISTICS

    @property
    def levels(self) -> np.ndarray | None:
        """The different ratings, ascending, when difficulty has few values; else None."""
        values = np.unique(self.frame.difficulty[np.isfinite(self.frame.difficulty)])
        return values if 1 < len(values) <= LEVELS else None

    @property
    def pickable(self) -> np.ndarray:
        """(N,) bool"""
        mask = np.zeros(len(self.heldout), bool)
        mask[self.rows] = True
        return mask


def view(workspace: Workspace, data: Dataset, source: str | None, query: str = "influence") -> View:
    """The axes of now with `source` as difficulty and `query` as influence (the first there is, when that one is gone)."""
    query = query if query in dict(influence_sources(workspace)) else "influence"
    names = [name for name, _ in difficulty_sources(workspace, data)]
    chosen = source if source in names else (names[0] if names else "")
    steps = [
        "influence", "influence:sketch", "influence:sketch:validation", "embed", "embed:validation", "embed:production", "clusters",
        "neighbours", "coverage",
    ]  # fmt: skip
    if chosen in FROM_RESULTS:
        steps.append(FROM_RESULTS[chosen][2])
    found = [current(workspace, step) for step in steps]
    entries = ledger(open_reviews(workspace))
    parts = [
        data.digest,
        chosen,
        query,
        *[r.key if r else "-" for r in found],
        str(entries[-1].entry if entries else 0),
    ]
    production = workspace.dataset("production")
    parts.append(production.digest if production else str(sorted((workspace.shares() or {}).items())))
    return _view(str(workspace.path), "/".join(parts), chosen, query, workspace, data)


@st.cache_resource(max_entries=4, show_spinner=False)
def _view(path: str, key: str, source: str, query: str, _workspace: Workspace, _data: Dataset) -> View:
    frame = selection_frame(_workspace, _data, source or None, query)
    result = current(_workspace, "influence")
    influence, heldout = None, np.zeros(_data.count, bool)
    if result is not None:
        influence = column(_workspace, _data, query).values
        heldout = np.asarray(result.table(["heldout"]).column(0).to_numpy(zero_copy_only=False), bool).copy()
        heldout &= records.kept_mask(_workspace, _data)
    words = pa.array(["" if c is None else c for c in frame.category], pa.large_string()).dictionary_encode()
    return View(
        f"{path}/{key}",
        source,
        column(_workspace, _data, source).values if source else None,
        influence,
        heldout,
        frame,
        _data.index.rows(frame.ids),
        words.indices.to_numpy(),
        tuple(words.dictionary.to_pylist()),
        query,
    )


# -- the plot --------------------------------------------------------------------------------------------------------------


@st.cache_resource(max_entries=4, show_spinner=False)
def points(key: str, digest: str, _seen: View, _data: Dataset) -> ScatterPayload:
    """The kept records at (difficulty, influence), those held out as rings; ratings spread sideways so that none hides another."""
    x = np.array(_seen.difficulty, float)
    if _seen.levels is not None:
        gap = float(np.diff(_seen.levels).min())
        x += np.random.default_rng(0).uniform(-SPREAD, SPREAD, len(x)) * gap
    labels = None
    if _data.count <= LABELS_UP_TO:
        text = pc.fill_null(_data.column("prompt").cast(pa.large_string()), "")
        labels = pc.utf8_slice_codeunits(text, 0, 3 * LABEL_LENGTH).to_pylist()
    shown = _seen.pickable | _seen.heldout
    layer = _seen.heldout.astype(np.uint8) if _seen.heldout.any() else None
    return scatter_payload(
        x, _seen.influence, Categories(np.zeros(_data.count, np.uint8), ["record"]), visible=None if shown.all() else shown,
        layer=layer, layers=("training", "held out as validation"), labels=labels, identity=digest,
    )  # fmt: skip


def colour(workspace: Workspace, data: Dataset, name: str) -> Categories | Values:
    """A column of the records as the colour of the points."""
    return _colour(data.digest, name, f"{workspace.path}{source_key(workspace, name)}", workspace, data)


@st.cache_resource(max_entries=8, show_spinner=False)
def _colour(digest: str, name: str, source: str, _workspace: Workspace, _data: Dataset) -> Categories | Values:
    known = kept_column(_workspace, _data, name)
    if known.kind == "number":
        return Values(known.values, known.title, "diverging" if name in DIVERGING else "sequential")
    codes, names, rest = coded(known)
    light, dark = palette.categorical(len(names)), palette.categorical(len(names), dark=True)
    if rest:
        light[-1], dark[-1] = OTHER_LIGHT, OTHER_DARK
    return Categories(codes, names, known.title, ABSENT.get(name, "none"), light, dark)


def drawn_cut(seen: View, cut: float) -> float:
    """Where a difficulty cut is drawn: among ratings half-way below the first that counts as hard."""
    levels = seen.levels
    if levels is None:
        return cut
    k = int(np.searchsorted(levels, cut))
    gap = float(np.diff(levels).min())
    if k == len(levels):
        return float(levels[-1] + gap / 2)
    return float(levels[k] - gap / 2 if k == 0 else (levels[k - 1] + levels[k]) / 2)


def meant_cut(seen: View, drawn: float) -> float:
    """The difficulty cut that a reader means by dragging the line there."""
    levels = seen.levels
    if levels is None:
        return float(f"{drawn:.4g}")
    k = int(np.searchsorted(levels, drawn))
    return float(levels[k]) if k < len(levels) else float(levels[-1] + np.diff(levels).min())


# -- records ---------------------------------------------------------------------------------------------------------------


@st.cache_data(max_entries=48, show_spinner=False)
def texts(digest: str, ids: tuple[str, ...], _data: Dataset) -> dict[str, dict]:
    """{record_id: category, prompt and response} of a few records."""
    return {r["record_id"]: r for r in records.rows_of(_data, ids, ("category", "prompt", "response"))}
