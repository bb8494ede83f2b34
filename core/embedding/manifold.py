"""UMAP in three parts: the fuzzy neighbour graph, its layout, and placing new points into a layout that stays as it is.

umap-learn's own functions do the layout, so results are UMAP's. The graph is built in NumPy from the exact neighbours of the
`neighbours` step: that spares pynndescent and most of numba's compilation, a minute at the first map of a process.
"""

import warnings
from typing import Any

import numpy as np

from core.embedding.neighbours import cross_knn
from core.progress import Progress, silent

MIN_DIST, SPREAD = 0.1, 1.0
SMALL = 10_000  # records up to which umap-learn takes 500 epochs instead of 200


def graph(indices: np.ndarray, similarity: np.ndarray, neighbours: int):
    """Symmetric (N, N) sparse matrix of membership strengths (McInnes et al. 2018, algorithm 2 and 3, union of both directions).

    `neighbours` counts the record itself, as umap-learn does: 15 uses the 14 nearest others. Distance is 1 - cosine similarity.
    """
    width = min(neighbours - 1, indices.shape[1])
    rows = _memberships(indices[:, :width], similarity[:, :width], np.log2(width + 1), True, len(indices))
    other = rows.T.tocsr()
    return (rows + other - rows.multiply(other)).tocsr()


def _memberships(indices: np.ndarray, similarity: np.ndarray, target: float, local: bool, columns: int):
    """exp(-(d - rho) / sigma) for each neighbour, sigma such that a row sums to `target`; rho the nearest distance > 0, or 0."""
    from scipy.sparse import csr_matrix

    distance = np.maximum(1 - np.asarray(similarity, np.float64), 0)
    count, width = distance.shape
    rho = np.zeros(count)
    if local:
        positive = np.where(distance > 0, distance, np.inf).min(1, initial=np.inf)
        rho = np.where(np.isfinite(positive), positive, 0)
    excess = np.maximum(distance - rho[:, None], 0)
    low, high, sigma = np.zeros(count), np.full(count, np.inf), np.ones(count)
    for _ in range(64):  # bisection, doubling until there is an upper end
        total = np.exp(-excess / sigma[:, None]).sum(1)
        if np.all(np.abs(total - target) < 1e-5):
            break
        over = total > target
        high, low = np.where(over, sigma, high), np.where(over, low, sigma)
        sigma = np.where(np.isinf(high), sigma * 2, (low + high) / 2)
    mean = np.where(rho > 0, distance.mean(1), distance.mean()) if count else rho
    sigma = np.maximum(np.maximum(sigma, 1e-3 * mean), 1e-12)
    strength = np.exp(-excess / sigma[:, None]).astype(np.float32)
    pointers = np.arange(0, count * width + 1, max(width, 1))[: count + 1] if width else np.zeros(count + 1, int)
    return csr_matrix(
        (strength.ravel(), np.ascontiguousarray(indices, np.int32).ravel(), pointers), shape=(count, columns)
    )


def lay_out(
    strengths: Any, start: np.ndarray, epochs: int | None, seed: int | None, min_dist: float = MIN_DIST
) -> np.ndarray:
    """(N, d) float32 layout of a graph from `start` (N, d). A seed makes it reproducible, on one core; None uses all cores."""
    umap = _umap()
    a, b = umap.find_ab_params(SPREAD, min_dist)
    random = np.random.RandomState(seed)
    placed, _ = umap.simplicial_set_embedding(
        None, strengths.copy(), start.shape[1], 1.0, a, b, 1.0, 5, epochs, spread_out(start), random, "cosine", {}, False, {}, False,
        parallel=seed is None,
    )  # fmt: skip
    return np.asarray(placed, np.float32)


def place(
    new: np.ndarray,
    pool: np.ndarray,
    layout: np.ndarray,
    neighbours: int,
    seed: int | None,
    progress: Progress = silent,
) -> np.ndarray:
    """(M, d) float32 positions of new vectors in a layout that does not move: umap-learn's transform, on exact neighbours.

    A new point starts at the mean of its nearest pool records, weighted by membership strength, and is then refined by the same
    attraction and repulsion against them (100 epochs, 30 above 10,000 points). NaN for a row without a vector.
    """
    umap = _umap()
    from umap.layouts import optimize_layout_euclidean

    indices, similarity = cross_knn(new, pool, neighbours, progress)
    asked = np.flatnonzero(indices[:, 0] >= 0) if indices.shape[1] else np.zeros(0, int)
    out = np.full((len(new), layout.shape[1]), np.nan, np.float32)
    if not len(asked):
        return out
    # A new point has no neighbour for certain, so rho is 0 (local connectivity 1 lowered by 1, as in UMAP.transform).
    weights = _memberships(indices[asked], similarity[asked], np.log2(indices.shape[1]), False, len(layout))
    total = np.asarray(weights.sum(1)).ravel()
    placed = np.asarray((weights @ layout) / np.maximum(total, 1e-12)[:, None], np.float32)
    epochs = 100 if len(asked) <= SMALL else 30
    links = weights.tocoo()
    links.data[links.data < links.data.max() / epochs] = 0.0
    links.eliminate_zeros()
    a, b = umap.find_ab_params(SPREAD, MIN_DIST)
    state = np.random.RandomState(seed).randint(-(2**31) + 1, 2**31 - 1, 3).astype(np.int64)
    # umap-learn moves the fixed points too when both sides have the same number of rows: one far row more keeps them fixed.
    fixed = np.vstack([layout, np.full((1, layout.shape[1]), 1e4)]).astype(np.float32)
    optimize_layout_euclidean(
        placed, fixed, links.row, links.col, epochs, len(layout), umap.make_epochs_per_sample(links.data, epochs), a, b, state, 1.0,
        0.25, 5, seed is None,
    )  # fmt: skip
    out[asked] = placed
    return out


def _umap():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import umap.umap_ as umap
    return umap


def spread_out(start: np.ndarray) -> np.ndarray:
    """Starting points scaled to +-10, equal ones nudged apart (by a fixed seed), so that no two points pull in the same place."""
    largest = float(np.abs(start).max(initial=0))
    scaled = 10 * start / largest if largest > 0 else start
    return (scaled + np.random.RandomState(0).normal(0, 1e-2, start.shape)).astype(np.float32)


def principal(vectors: np.ndarray, dimensions: int, block: int = 65_536) -> np.ndarray:
    """(N, dimensions) float32 leading principal components, signs fixed (the largest loading is positive); rows in blocks.

    Missing dimensions (fewer columns than asked for) are zero.
    """
    count, width = vectors.shape
    out = np.zeros((count, dimensions), np.float32)
    if not count:
        return out
    starts = range(0, count, block)
    mean = sum(vectors[s : s + block].sum(0, dtype=np.float64) for s in starts) / count
    scatter = np.zeros((width, width))
    for s in starts:
        centred = vectors[s : s + block] - mean.astype(np.float32)
        scatter += centred.T @ centred
    _, axes = np.linalg.eigh(scatter)
    axes = axes[:, ::-1][:, :dimensions]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    for s in starts:
        out[s : s + block, : axes.shape[1]] = (vectors[s : s + block] - mean.astype(np.float32)) @ axes.astype(
            np.float32
        )
    return out
