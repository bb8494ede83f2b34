"""Strategies that look at embeddings: near the validation set, near what production lacks, spread out, typical.

Each takes a frame, a size and parameters, and returns (rows, best first; notes), like those of core.influence.selection.strategies.
"""

from typing import Any

import numpy as np

from core.errors import InputError, MissingInput
from core.influence.difficulty.candidates import Frame
from core.influence.selection import spread
from core.influence.selection.spread import EXACT_UNTIL, facility_location, facility_location_sparse, in_turn


def similarity(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    """Mean cosine similarity to the validation records: with unit rows, the dot product with their mean."""
    scores = np.asarray(frame.embeddings, np.float32) @ np.asarray(frame.validation_embeddings, np.float32).mean(0)
    return frame.by(np.where(frame.valid, scores.astype(float), np.nan)), [
        "Ranked by mean cosine similarity to the validation records."
    ]


def _in_turn(frame: Frame, targets: np.ndarray, size: int, seed: int) -> np.ndarray:
    """The turns are shuffled: a budget below the number of targets would otherwise serve the first of their file alone."""
    rows = np.flatnonzero(frame.valid)
    goals = np.asarray(targets, np.float32)
    goals = np.random.default_rng(seed).permutation(goals[goals.any(1)])
    return rows[in_turn(np.asarray(frame.embeddings)[rows], goals, size, frame.rank[rows])]


def rds(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    return _in_turn(frame, frame.validation_embeddings, size, params["seed"]), [
        "Each validation record in turn, in an order by chance, takes its most similar record (the round of RDS+; here "
        "over the workspace's embeddings, not a language model's hidden states)."
    ]


def holes(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    if not len(frame.uncovered_embeddings):
        raise InputError("All of production is covered, so there is no hole to feed. Choose another strategy.")
    return _in_turn(frame, frame.uncovered_embeddings, size, params["seed"]), [
        f"Each of the {len(frame.uncovered_embeddings):,} uncovered production records in turn, in an order by chance, takes its most "
        "similar record. Nothing here fills a hole that training has no record for: see the holes of the Coverage page."
    ]


def k_centre(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    rows = np.flatnonzero(frame.valid)
    if not len(rows):
        return rows, []
    first = next(r for r in frame.shuffled(params["seed"]) if frame.valid[r])
    found, radius = spread.k_centre(
        np.asarray(frame.embeddings)[rows], size, int(np.searchsorted(rows, first)), frame.rank[rows]
    )
    share = f"{1 - radius**2 / 2:.3f}"
    return rows[found], [
        f"Greedy farthest-first from a record by chance: no record's cosine to its nearest pick is below {share}. "
        "The largest distance is at most twice that of the best pick of this size. It reaches for the unusual, faults included."
    ]


def facility(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    rows = np.flatnonzero(frame.valid)
    if len(rows) <= EXACT_UNTIL:
        found, value = facility_location(np.asarray(frame.embeddings)[rows], size, frame.rank[rows])
        how = "over every pair of records"
    else:
        if frame.neighbours is None:
            raise MissingInput(
                f"Facility location of {len(rows):,} records (over {EXACT_UNTIL:,}) needs their nearest neighbours. Run `neighbours`."
            )
        indices, similarity = frame.neighbours
        back = np.full(len(frame.ids), -1, np.int64)
        back[rows] = np.arange(len(rows))
        own = np.where(indices[rows] >= 0, back[indices[rows]], -1)
        rank = np.argsort(np.argsort(frame.rank[rows], kind="stable"), kind="stable")
        found, value = facility_location_sparse(own, similarity[rows], size, rank)
        how = f"approximate (over {EXACT_UNTIL:,} records): over the {indices.shape[1]} nearest neighbours of each record alone"
    thinned = " of this thinned sum" if len(rows) > EXACT_UNTIL else ""
    note = (
        f"Lazy greedy {how}. Mean similarity of a record to its nearest pick: {value / max(1, len(rows)):.3f}; greedy reaches "
        f"at least 63 % (1 - 1/e) of the best total{thinned}."
    )
    return rows[found], [note]


def pairs(frame: Frame, count: int) -> float:
    """Floating-point operations of the cosines of every record with `count` others."""
    return 2.0 * count * frame.embeddings.shape[0] * frame.embeddings.shape[1]


def turns_work(frame: Frame, targets: int) -> float:
    """The cosines, and for each target a partition of all records, which costs about as much as 1,000 operations a record."""
    return pairs(frame, targets) + 1000.0 * targets * len(frame.ids)


def facility_work(frame: Frame, size: int) -> float:
    """Every pair in one product, or the thinned links, each of which costs about as much as 10,000 operations of a product."""
    count = len(frame.ids)
    if count <= EXACT_UNTIL:
        return pairs(frame, count) / 10
    return 10_000.0 * count * (frame.neighbours[0].shape[1] if frame.neighbours is not None else 0)
