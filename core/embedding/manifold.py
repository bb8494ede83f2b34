"""UMAP in three parts: the fuzzy neighbour graph, its layout, and placing new points into a layout that stays as it is.

The graph is built in NumPy from the neighbours of the `neighbours` step: that spares pynndescent and most of numba's compilation, a
minute at the first map of a process. The layout is by core/embedding/descent.py, or by umap-learn's own optimiser, or by cuML.
"""

import warnings
from typing import Any

import numpy as np

from core.embedding.neighbours import cross_knn
from core.progress import Progress, silent

MIN_DIST, SPREAD = 0.1, 1.0
SMALL = 10_000  # points placed up to which umap-learn takes 100 epochs instead of 30
BLOCK = 65_536
AXES_FROM = 100_000  # rows that are enough for two to five principal axes
ENGINES = {  # how a layout came about, as it is said on the page
    "own": "gradient descent on all cores, the same each time",
    "umap-learn": "umap-learn's optimiser on all cores, another layout each time",
    "cuML": "cuML on the GPU",
}


def graph(indices: np.ndarray, similarity: np.ndarray, neighbours: int):
    """Symmetric (N, N) sparse matrix of membership strengths (McInnes et al. 2018, algorithm 2 and 3, union of both directions).

    `neighbours` counts the record itself, as umap-learn does: 15 uses the 14 nearest others. Distance is 1 - cosine similarity.
    """
    width = min(neighbours - 1, indices.shape[1])
    rows = _memberships(indices[:, :width], similarity[:, :width], np.log2(width + 1), True, len(indices))
    other = rows.T.tocsr()
    return (rows + other - rows.multiply(other)).tocsr()


def _memberships(indices: np.ndarray, similarity: np.ndarray, target: float, local: bool, columns: int):
    """(N, columns) sparse matrix of `_strengths`."""
    from scipy.sparse import csr_matrix

    if indices.size and indices.min() < 0:
        raise ValueError("A record without neighbours is no part of a neighbour graph.")
    count, width = similarity.shape
    blocks = [_strengths(similarity[s : s + BLOCK], target, local) for s in range(0, count, BLOCK)]
    strength = np.concatenate(blocks) if blocks else np.zeros((0, width), np.float32)
    pointers = np.arange(0, count * width + 1, max(width, 1))[: count + 1] if width else np.zeros(count + 1, int)
    return csr_matrix(
        (strength.ravel(), np.ascontiguousarray(indices, np.int32).ravel(), pointers), shape=(count, columns)
    )


def _strengths(similarity: np.ndarray, target: float, local: bool) -> np.ndarray:
    """(N, k) float32 exp(-(d - rho) / sigma), sigma such that a row sums to `target`; rho the nearest distance > 0, or 0."""
    distance = np.maximum(1 - np.asarray(similarity, np.float64), 0)
    count, _ = distance.shape
    rho = np.zeros(count)
    if local:
        positive = np.where(distance > 0, distance, np.inf).min(1, initial=np.inf)
        rho = np.where(np.isfinite(positive), positive, 0)
    excess = np.maximum(distance - rho[:, None], 0)
    low, high, sigma = np.zeros(count), np.full(count, np.inf), np.ones(count)
    for _ in range(64):  # bisection, doubling until there is an upper end
        total = np.exp(-excess / sigma[:, None]).sum(1)
        open_ = np.abs(total - target) >= 1e-5  # a row that is done stays, so that it does not depend on the others
        if not open_.any():
            break
        over = total > target
        high, low = np.where(over, sigma, high), np.where(over, low, sigma)
        sigma = np.where(open_, np.where(np.isinf(high), sigma * 2, (low + high) / 2), sigma)
    mean = np.where(rho > 0, distance.mean(1), distance.mean()) if local and count else distance.mean(1)
    sigma = np.maximum(np.maximum(sigma, 1e-3 * mean), 1e-12)
    return np.exp(-excess / sigma[:, None]).astype(np.float32)


def lay_out(
    strengths: Any,
    start: np.ndarray,
    epochs: int,
    seed: int | None,
    min_dist: float = MIN_DIST,
    progress: Progress = silent,
    device: str = "cpu",
) -> np.ndarray:
    """(N, d) float32 layout of a graph from `start` (N, d), by one of ENGINES: with a seed the same each time, on all cores.

    None: umap-learn's own optimiser on all cores, another layout each time. On a GPU ("cuda"): cuML's, from a start of its own.
    """
    if device == "cuda":
        return _on_gpu(strengths, start, epochs, seed, min_dist)
    if seed is not None:
        from core.embedding.descent import descend

        return descend(strengths, start, epochs, seed, min_dist, progress)
    umap = _umap()
    a, b = umap.find_ab_params(SPREAD, min_dist)
    placed, _ = umap.simplicial_set_embedding(
        None, strengths.copy(), start.shape[1], 1.0, a, b, 1.0, 5, epochs, start, np.random.RandomState(), "cosine", {},
        False, {}, False, parallel=True,
    )  # fmt: skip
    return np.asarray(placed, np.float32)


def gpu_ready() -> bool:
    """Whether cuML is installed and sees a GPU."""
    import importlib.util

    if importlib.util.find_spec("cuml") is None:
        return False
    try:
        import cupy

        return cupy.cuda.runtime.getDeviceCount() > 0
    except Exception:  # noqa: BLE001 - no driver, no device, another CUDA: all mean that it cannot be used
        return False


def _on_gpu(strengths: Any, start: np.ndarray, epochs: int, seed: int | None, min_dist: float) -> np.ndarray:
    from cuml.manifold.umap import simplicial_set_embedding

    from core.embedding.descent import curve

    a, b = curve(min_dist)
    placed = simplicial_set_embedding(
        start.astype(np.float32), strengths.tocoo(), n_components=start.shape[1], a=a, b=b, n_epochs=epochs, init="spectral",
        random_state=seed,
    )  # fmt: skip
    return np.asarray(placed.get() if hasattr(placed, "get") else placed, np.float32)


def place(
    new: np.ndarray,
    pool: np.ndarray,
    layout: np.ndarray,
    neighbours: int,
    seed: int | None,
    progress: Progress = silent,
) -> np.ndarray:
    """(M, d) float32 positions of new vectors in the layout of `pool`, which does not move. NaN for a row without a vector."""
    indices, similarity = cross_knn(new, pool, neighbours, progress)
    return place_by(indices, similarity, layout, seed)


def place_by(
    indices: np.ndarray, similarity: np.ndarray, layout: np.ndarray, seed: int | None, min_dist: float = MIN_DIST
) -> np.ndarray:
    """(M, d) float32 positions in a layout that does not move, from the nearest points of it (M, k), much as UMAP.transform.

    A new point starts at the mean of its nearest, weighted by membership strength, and is then refined by attraction and repulsion
    against them (core.embedding.descent; 100 epochs, 30 above 10,000 points). NaN for a row without neighbours.
    """
    from core.embedding.descent import settle_in

    out = np.full((len(indices), layout.shape[1]), np.nan, np.float32)
    asked = np.flatnonzero(indices[:, 0] >= 0) if indices.shape[1] else np.zeros(0, int)
    epochs = 100 if len(asked) <= SMALL else 30
    for start in range(0, len(asked), BLOCK):
        rows = asked[start : start + BLOCK]
        near = np.ascontiguousarray(indices[rows])
        # A new point has no neighbour for certain, so rho is 0 (local connectivity 1 lowered by 1, as in UMAP.transform).
        weights = _strengths(similarity[rows], np.log2(near.shape[1]), False)
        mean = np.einsum("mk,mkd->md", weights, layout[near]) / np.maximum(weights.sum(1, keepdims=True), 1e-12)
        out[rows] = settle_in(mean, layout, near, weights, epochs, 0 if seed is None else seed, min_dist)
    return out


def _umap():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import umap.umap_ as umap
    return umap


def spread_out(start: np.ndarray) -> np.ndarray:
    """Starting points scaled to +-10 and `nudged`."""
    largest = float(np.abs(start).max(initial=0))
    return nudged(10 * start / largest if largest > 0 else start)


def nudged(start: np.ndarray) -> np.ndarray:
    """float32 points, equal ones moved apart a little (by a fixed seed), so that no two pull in the same place."""
    return (start + np.random.RandomState(0).normal(0, 1e-2, start.shape)).astype(np.float32)


def principal(vectors: np.ndarray, dimensions: int, block: int = BLOCK) -> np.ndarray:
    """(N, dimensions) float32 leading principal components, signs fixed (the largest loading is positive); rows in blocks.

    Above 200,000 rows the axes are those of every n-th row, 100,000 or more of them. Missing dimensions (fewer columns than asked
    for) are zero.
    """
    count, width = vectors.shape
    out = np.zeros((count, dimensions), np.float32)
    if not count:
        return out
    some = vectors[:: max(1, count // AXES_FROM)]
    mean = np.zeros(width)
    for start in range(0, len(some), block):
        mean += some[start : start + block].sum(0, dtype=np.float64)
    mean = (mean / len(some)).astype(np.float32)
    scatter = np.zeros((width, width))
    for start in range(0, len(some), block):
        centred = some[start : start + block] - mean
        scatter += centred.T @ centred
    _, axes = np.linalg.eigh(scatter)
    axes = axes[:, ::-1][:, :dimensions]
    axes = (axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])).astype(np.float32)
    for start in range(0, count, block):
        # (x - mean) A = x A - mean A: no copy of the block is made
        out[start : start + block, : axes.shape[1]] = vectors[start : start + block] @ axes - mean @ axes
    return out
