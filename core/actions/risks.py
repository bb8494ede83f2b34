"""How much there is to fear of each record, from what the app knows: for samples that read the riskier ones more often.

The points below are a judgement, not a measurement; they only steer where reading time goes. The estimate stays fair whatever they
are, because every record's chance is known and weighed out. Each record starts with 1 point, so nobody's chance is zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from core.actions.decisions import open_reviews
from core.actions.frame import column, words
from core.actions.highstakes import high_stakes_ids
from core.errors import InputError
from core.steps import current
from core.workspace import Dataset, Workspace

MOST = 20.0
"""The most points one signal may have."""


@dataclass(frozen=True)
class Signal:
    """One thing that makes a record riskier, its points by default, and where it comes from."""

    title: str
    points: float
    source: str


SIGNALS: Mapping[str, Signal] = {
    "high_stakes": Signal("high stakes", 3.0, ""),
    "label": Signal("its category is in doubt", 3.0, "labels"),
    "contradiction": Signal("contradicts a near-duplicate", 3.0, "contradictions"),
    "format": Signal("breaks a format rule", 2.0, "formats"),
    "influence": Signal("among the tenth with the lowest influence", 2.0, "influence"),
    "loss": Signal("among the tenth with the highest loss of the response", 1.0, "difficulty"),
    "duplicate": Signal("has a near-duplicate", 1.0, "duplicates"),
    "long": Signal("among the tenth with the longest responses", 1.0, ""),
    "empty": Signal("has no prompt or no response", 2.0, ""),
}


@dataclass(frozen=True)
class Risks:
    """Weights of all records of a dataset, in its order, and how they came about."""

    weights: np.ndarray
    """(N,) 1 + the points of the signals that hold for it; above 0."""
    holds: Mapping[str, np.ndarray]
    """signal -> (N,) bool; only signals that could be looked at."""
    points: Mapping[str, float]
    missing: Mapping[str, str]
    """signal -> the step that has not run, so that nobody has it."""
    sources: Mapping[str, str]
    """step -> the key of the result that was used."""

    def recipe(self) -> dict:
        """What a sample keeps of it."""
        found = {name: int(mask.sum()) for name, mask in self.holds.items()}
        return {
            "points": dict(self.points),
            "records": found,
            "missing": dict(self.missing),
            "results": dict(self.sources),
        }


def risks(workspace: Workspace, data: Dataset, points: Mapping[str, float] | None = None) -> Risks:
    """The risk of every record; `points` replaces the default points of the signals it names (0 leaves a signal out).

    InputError: an unknown signal, or points below 0 or above 20.
    """
    asked = {name: signal.points for name, signal in SIGNALS.items()} | dict(points or {})
    for name, value in asked.items():
        if name not in SIGNALS:
            raise InputError(f"There is no risk {name!r}. Known: {', '.join(SIGNALS)}.")
        if not 0 <= value <= MOST:
            raise InputError(f"The risk {name} was given {value} points; 0 to {MOST:.0f} are possible.")
    weights = np.ones(data.count)
    holds: dict[str, np.ndarray] = {}
    missing: dict[str, str] = {}
    sources: dict[str, str] = {}
    for name, value in asked.items():
        step = SIGNALS[name].source
        if not value:
            continue
        if step:
            result = current(workspace, step)
            if result is None:
                missing[name] = step
                continue
            sources[step] = result.key
        holds[name] = _holds(workspace, data, name)
        weights += value * holds[name]
    return Risks(weights, holds, asked, missing, sources)


def _holds(workspace: Workspace, data: Dataset, name: str) -> np.ndarray:
    if name == "high_stakes":
        return _among(data, high_stakes_ids(workspace, data, open_reviews(workspace)))
    if name == "label":
        return column(workspace, data, "label").values == "suspect"
    if name == "format":
        return column(workspace, data, "format").values == "breaks a rule"
    if name == "duplicate":
        return column(workspace, data, "duplicate").values != "unique"
    if name == "contradiction":
        table = current(workspace, "contradictions").table(["left_id", "right_id"])
        return _among(data, {*table["left_id"].to_pylist(), *table["right_id"].to_pylist()})
    if name == "influence":
        return extreme(-column(workspace, data, "influence").values)
    if name == "loss":
        return extreme(column(workspace, data, "nll").values)
    if name == "long":
        return extreme(words(data.column("response")))
    blank = [
        np.asarray(pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(pc.fill_null(data.column(one), ""))), 0).to_numpy())
        for one in ("prompt", "response")
    ]
    return blank[0] | blank[1]


def extreme(values: np.ndarray, share: float = 0.1) -> np.ndarray:
    """(N,) True for the tenth with the largest values; ties at the edge are left out, so it is never more than a tenth."""
    known = np.isfinite(values)
    most = int(share * known.sum())
    if not most:
        return np.zeros(len(values), bool)
    edge = np.sort(values[known])[-most - 1] if most < known.sum() else -np.inf
    return known & (values > edge)


def _among(data: Dataset, ids: set[str]) -> np.ndarray:
    return data.index.mask(ids)
