"""The records that a strategy may pick from: their columns in one order, and orders that do not depend on that order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.influence.selection.quadrant import ranking


@dataclass(frozen=True)
class Frame:
    """Columns of the same N records, in one order. What a strategy needs and finds absent is a MissingInput."""

    ids: Sequence[str]
    influence: np.ndarray | None = None  # (N,) float, NaN = none
    difficulty: np.ndarray | None = None  # (N,) float, higher = harder
    length: np.ndarray | None = None  # (N,) response length, tokens or characters
    embeddings: np.ndarray | None = None  # (N, d) unit rows; a row of zeros has no vector
    validation_embeddings: np.ndarray | None = None  # (M, d) unit rows
    category: Sequence[str | None] | None = None
    cluster: np.ndarray | None = None  # (N,) int, -1 = noise
    uncovered_embeddings: np.ndarray | None = (
        None  # (U, d) unit rows: the production records that training does not cover
    )
    production_shares: Mapping[str, float] | None = None  # {category: share}, summing to 1
    neighbours: tuple[np.ndarray, np.ndarray] | None = None  # (N, k) rows of the frame (-1: none) and their cosines

    @cached_property
    def rank(self) -> np.ndarray:
        """(N,) int: place of each record_id among the sorted ones, so that ties by record_id cost no string comparison."""
        order = np.argsort(np.array(self.ids, dtype=str), kind="stable") if len(self.ids) else np.zeros(0, int)
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        return places

    @cached_property
    def valid(self) -> np.ndarray:
        """(N,) bool: records with a vector."""
        return np.any(np.asarray(self.embeddings) != 0, axis=1)

    def by(self, *keys: np.ndarray) -> np.ndarray:
        """Rows that have every key, sorted by the keys (highest first, the first counts most), then by record_id."""
        return ranking(self.rank, keys, known(*keys))

    def shuffled(self, seed: int) -> np.ndarray:
        """All rows by chance; the same for any order of the rows, and a larger budget only adds to a smaller one."""
        order = np.argsort(self.rank, kind="stable")
        return order[np.random.default_rng(seed).permutation(len(order))]


def known(*columns: np.ndarray) -> np.ndarray:
    """Rows in which every column is finite."""
    return np.flatnonzero(np.logical_and.reduce([np.isfinite(np.asarray(c, float)) for c in columns]))
