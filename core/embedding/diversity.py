"""How varied a set is: the Vendi score and the distance to the nearest other record, beside a random subset of equal size."""

from typing import Any

import numpy as np

from core.embedding.neighbours import has_vector, knn


def vendi_of_kernel(kernel: np.ndarray) -> float:
    """Vendi score of a similarity matrix (n, n) with ones on its diagonal: exp of the entropy of the eigenvalues of K / n.

    1 = all alike, n = all different (Friedman & Dieng 2023, eq. 2)."""
    if not len(kernel):
        return 0.0
    return _effective(np.linalg.eigvalsh(np.asarray(kernel, np.float64) / len(kernel)))


LARGE = 50_000
"""Rows over which the products are made in float32 and summed in float64: half the time, and the score moves by less than 0.001."""


def vendi(vectors: np.ndarray, block: int = 16_384) -> float:
    """Vendi score of unit rows (N, d) under cosine similarity, of all rows at any N; zero rows are left out. At most min(N, d).

    X X^T / N and X^T X / N have the same eigenvalues but zeros, so the smaller matrix is enough."""
    from threadpoolctl import threadpool_limits

    width = vectors.shape[1]
    if len(vectors) < width:
        rows = np.asarray(vectors, np.float64)
        rows = rows[rows.any(1)]
        return _effective(np.linalg.eigvalsh(rows @ rows.T / len(rows))) if len(rows) else 0.0
    scatter, count = np.zeros((width, width)), 0
    kind = np.float32 if len(vectors) > LARGE else np.float64
    for start in range(0, len(vectors), block):
        part = np.asarray(vectors[start : start + block], kind)
        there = part.any(1)
        part = part if there.all() else part[there]
        scatter += part.T @ part
        count += len(part)
    with threadpool_limits(1):  # a few hundred columns: threads wait for each other longer than they compute
        return _effective(np.linalg.eigvalsh(scatter / count)) if count else 0.0


def _effective(eigenvalues: np.ndarray) -> float:
    shares = eigenvalues[eigenvalues > 1e-12]
    shares = shares / shares.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def diversity(vectors: np.ndarray, rows: np.ndarray | None = None, seed: int = 0, sample: int = 5000) -> dict[str, Any]:
    """Vendi score and mean distance (1 - cosine) to the nearest other record of some rows (all by default), and the same of a random
    subset of equal size, so that the numbers of a selection mean something. Distances are measured on at most `sample` rows."""
    valid = np.flatnonzero(has_vector(vectors))
    mine = valid if rows is None else np.intersect1d(np.asarray(rows), valid)
    random = np.random.default_rng(seed)
    found = {"records": len(mine), **_numbers(vectors, mine, random, sample)}
    if rows is not None and len(mine):
        other = np.sort(random.choice(valid, len(mine), replace=False))
        found["random"] = _numbers(vectors, other, random, sample)
    return found


def _numbers(vectors: np.ndarray, rows: np.ndarray, random: np.random.Generator, sample: int) -> dict[str, Any]:
    some = rows if len(rows) <= sample else np.sort(random.choice(rows, sample, replace=False))
    _, similarity = knn(np.asarray(vectors[some]), 1)
    return {
        "vendi": vendi(np.asarray(vectors[rows])),
        "nearest_distance": float(1 - similarity[:, 0].mean()) if similarity.size else None,
        "distance_sample": len(some),
    }
