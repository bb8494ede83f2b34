"""Columns of numbers side by side that need not be in memory: read by rows, kept in a file where they are many."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MAPPED = 2**26  # bytes from which an array is a file that is mapped


@dataclass(frozen=True)
class Columns:
    """Arrays (M, d) side by side, mapped ones too, each with the rows (N,) of it that are meant, None for all."""

    parts: tuple[tuple[np.ndarray, np.ndarray | None], ...]

    def __len__(self) -> int:
        values, rows = self.parts[0]
        return len(values if rows is None else rows)

    @property
    def width(self) -> int:
        return sum(values.shape[1] for values, _ in self.parts)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """(B, width) float32, some of the rows."""
        found = [np.asarray(v[rows if own is None else own[rows]], dtype=np.float32) for v, own in self.parts]
        return found[0] if len(found) == 1 else np.concatenate(found, axis=1)


def columns_of(vectors: "np.ndarray | Columns") -> Columns:
    return vectors if isinstance(vectors, Columns) else Columns(((vectors, None),))


def drawn(count: int, most: int, seed: int = 0) -> np.ndarray:
    """The rows 0..count, or `most` of them drawn by chance; ascending. Every n-th would miss what comes round in a file."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def slices(count: int, size: int = 65_536) -> Iterator[slice]:
    """The rows 0..count in order, `size` at a time."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def room(shape: tuple[int, ...], folder: Path | None, name: str, kind: type = np.float32) -> np.ndarray:
    """An array to write into: a mapped file NAME.npy of the folder where it is large, so that a process need not hold it."""
    if folder is None or int(np.prod(shape)) * np.dtype(kind).itemsize < MAPPED:
        return np.empty(shape, dtype=kind)
    return np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype=kind, shape=shape)
