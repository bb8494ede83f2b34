"""A sample of records that keeps the density of the whole, for what is fitted on part of a large set."""

import numpy as np

CELLS = 1024
BLOCK = 65_536


def density_sample(vectors: np.ndarray, rows: np.ndarray, size: int, seed: int = 0) -> np.ndarray:
    """(size,) int64 of `rows`, ascending, spread over the space as all of them are; all of them when there are no more.

    Each record falls to the nearest of up to 1,024 records drawn at random; within such a cell records stand in the order of their
    similarity to its centre. The whole row of cells is cut into `size` runs of equal length and one record of each is drawn. So every
    cell, and every shell of it, gives its share to within two records, where a simple random sample would miss it by the
    square root of that share.
    """
    if len(rows) <= size:
        return np.sort(rows)
    random = np.random.default_rng(seed)
    centres = np.asarray(
        vectors[np.sort(random.choice(rows, min(CELLS, max(1, size // 8)), replace=False))], np.float32
    )
    cell, close = np.empty(len(rows), np.int32), np.empty(len(rows), np.float32)
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK]
        near = np.asarray(vectors[some], np.float32) @ centres.T
        cell[start : start + BLOCK] = best = near.argmax(1)
        close[start : start + BLOCK] = near[np.arange(len(some)), best]
    order = np.lexsort((rows, -close, cell))
    bounds = np.arange(size + 1) * len(rows) // size
    drawn = bounds[:-1] + (random.random(size) * np.diff(bounds)).astype(np.int64)
    return np.sort(rows[order[drawn]])
