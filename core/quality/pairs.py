"""All pairs of vectors whose cosine similarity is at or over a floor, exactly: no neighbour list, nothing capped in silence."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.embedding import products
from core.errors import InputError
from core.progress import Progress, silent

FLOORS = (0.80, 0.85, 0.90, 0.92, 0.95, 0.98, 0.99)
"""Where the floor goes when there are more pairs than `limit`: up to the next of these, and the result says so."""


@dataclass(frozen=True)
class Pairs:
    """Pairs (left < right, as positions) by falling similarity; complete at and above `floor`."""

    left: np.ndarray  # (M,) int32
    right: np.ndarray
    similarity: np.ndarray  # (M,) float32 cosine, at most 1
    floor: float

    def __len__(self) -> int:
        return len(self.left)

    def over(self, threshold: float) -> "Pairs":
        """The pairs at or over the threshold, in O(log M). Errors: a threshold under the floor."""
        if threshold < self.floor - 1e-9:
            raise InputError(
                f"Pairs are known from {self.floor:g} upwards; a threshold of {threshold:g} is under that. Raise it."
            )
        # Compared as float32, so that a pair at exactly the threshold is in.
        stop = int(np.searchsorted(-self.similarity, -np.float32(threshold), side="right"))
        return Pairs(self.left[:stop], self.right[:stop], self.similarity[:stop], threshold)

    def write(self, path: Path) -> None:
        table = pa.table({"left": self.left, "right": self.right, "similarity": self.similarity})
        pq.write_table(table.replace_schema_metadata({"floor": repr(self.floor)}), path, compression="zstd")


def read(path: Path) -> Pairs:
    """Pairs as `Pairs.write` stored them."""
    table = pq.read_table(path)
    columns = (table[name].to_numpy() for name in ("left", "right", "similarity"))
    return Pairs(*columns, floor=float(table.schema.metadata[b"floor"]))


def pairs_over(vectors: np.ndarray, floor: float = 0.80, limit: int = 5_000_000, progress: Progress = silent) -> Pairs:
    """All pairs i < j of unit rows (N, d) with `vectors[i] . vectors[j] >= floor`.

    Blocks of the upper triangle, so each pair is computed once: an upper bound for all, the product itself in float32 where the
    bound reaches the floor (core/embedding/products.py). When more than `limit` pairs turn up, the floor is raised to the next of
    FLOORS and the pairs under it are dropped: read `Pairs.floor`. Errors: more than `limit` pairs at 0.99 and
    over.
    """
    count = len(vectors)
    blocks = [(a, b) for a in range(0, count, products.ROWS) for b in range(a, count, products.COLUMNS)]
    return _collect(vectors, vectors, blocks, True, floor, limit, progress)


def cross_pairs_over(
    left: np.ndarray, right: np.ndarray, floor: float = 0.80, limit: int = 5_000_000, progress: Progress = silent
) -> Pairs:
    """All pairs (row of `left`, row of `right`) at or over the floor, e.g. training against validation: leakage."""
    blocks = [(a, b) for a in range(0, len(left), products.ROWS) for b in range(0, len(right), products.COLUMNS)]
    return _collect(left, right, blocks, False, floor, limit, progress)


def _collect(
    left: np.ndarray, right: np.ndarray, blocks: list, triangle: bool, floor: float, limit: int, progress: Progress
) -> Pairs:
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    held = 0
    both = products.bounds(left, right, floor) if blocks else None
    for done, (a, b) in enumerate(blocks):
        progress(done, len(blocks), f"comparing, {held:,} pairs so far")
        i, j, s = products.over(both, floor, a, b)
        if triangle:
            upper = j > i
            i, j, s = i[upper], j[upper], s[upper]
        found.append((i, j, s))
        held += len(i)
        while held > limit:
            higher = next((f for f in FLOORS if f > floor + 1e-9), None)
            if higher is None:
                raise InputError(
                    f"More than {limit:,} pairs of texts are {floor:g} alike or more, after {done + 1} of {len(blocks)} blocks. "
                    "Such a set is mostly one text: look at what is embedded, or deduplicate it first."
                )
            floor = higher
            found = [tuple(part[s >= np.float32(floor)] for part in (i, j, s)) for i, j, s in found]
            held = sum(len(i) for i, _, _ in found)
    progress(len(blocks), len(blocks), f"{held:,} pairs")
    if not found:
        found = [(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))]
    i, j, s = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((j, i, -s))
    return Pairs(
        i[order].astype(np.int32), j[order].astype(np.int32), np.minimum(s[order], 1).astype(np.float32), floor
    )
