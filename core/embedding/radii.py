"""Coverage and density of one set against another (Naeem et al. 2020), in the embedding and never on the drawn map."""

import math
from typing import Any

import numpy as np

from core.embedding.chance import intervals
from core.embedding.neighbours import has_vector
from core.embedding.products import tensor

QUERIES, BLOCK = 1024, 8192


def coverage_density(
    reference: np.ndarray, sample: np.ndarray, k: int = 5, weights: np.ndarray | None = None
) -> dict[str, float]:
    """Coverage and density (Naeem et al. 2020) of `sample` (M, d) against `reference` (N, d), by Euclidean distance.

    coverage: share of reference points with a sample point inside their radius, the distance to their k-th nearest other reference
    point (0..1, higher = more is reached). density: mean number of radii that a sample point lies in, over k (about 1 for
    identical distributions). `weights`: how many records each reference point stands for.
    """
    weights = np.ones(len(reference)) if weights is None else np.asarray(weights, float)
    if len(reference) <= k or not len(sample):
        return {"coverage": float("nan"), "density": float("nan")}
    inside = inside_radius(reference, sample, k)
    share = weights / weights.sum()
    return {
        "coverage": float(share[inside > 0].sum()),
        "density": float((inside * share).sum() * len(reference) / (k * len(sample))),
    }


def inside_radius(reference: np.ndarray, sample: np.ndarray, k: int) -> np.ndarray:
    """(N,) int64: how many sample points (M, d) lie inside the radius of each reference point (N, d), N > k."""
    import torch

    ref = tensor(reference)
    square, radius = (ref * ref).sum(1, keepdim=True), torch.zeros(len(ref), 1)
    for start in range(0, len(ref), QUERIES):
        some = slice(start, start + QUERIES)
        own = (square[some] + square.T - 2 * ref[some] @ ref.T).clamp_(min=0)
        own[torch.arange(len(own)), torch.arange(start, start + len(own))] = float("inf")
        # The last term: rounding of |a|^2 + |b|^2 - 2ab.
        radius[some] = own.kthvalue(k, dim=1, keepdim=True).values + 1e-6 * square[some]
        del own
    inside = torch.zeros(len(ref), dtype=torch.int64)
    for first in range(0, len(sample), BLOCK):
        other = tensor(sample[first : first + BLOCK])
        norm = (other * other).sum(1)
        for start in range(0, len(ref), QUERIES):
            some = slice(start, start + QUERIES)
            inside[some] += (square[some] + norm - 2 * ref[some] @ other.T <= radius[some]).sum(1)
    return inside.numpy()


def expected_coverage(reference: int, sample: int, k: int = 5) -> float:
    """Coverage to expect when both come from one distribution (Naeem et al. 2020, eq. 12).

    1 - prod_i (N - i) / (M + N - i), i = 1 … k, for N reference and M sample points."""
    if reference <= k or not sample:
        return float("nan")
    return 1 - math.prod((reference - i) / (sample + reference - i) for i in range(1, k + 1))


def distinct_coverage(train: np.ndarray, prod: np.ndarray, keys: np.ndarray, k: int, seed: int = 0) -> dict[str, Any]:
    """Coverage and density over the distinct production texts, each counting as often as it occurs: a question that is asked five
    times would otherwise have radius 0, which nothing reaches. With 95 % bootstrap intervals over the texts (production is the
    sample, training is what it is; the radii stay those of all texts)."""
    has, mine = has_vector(prod), has_vector(train)
    _, first, counts = np.unique(keys[has].astype(str), return_index=True, return_counts=True)
    reference = prod[np.flatnonzero(has)[first]] if has.any() else prod[:0]
    held = int(mine.sum())
    names = ("coverage", "density", "coverage_low", "coverage_high", "density_low", "density_high")
    numbers = dict.fromkeys(names, float("nan"))
    if len(reference) > k and held:
        inside = inside_radius(reference, train if mine.all() else train[mine], k)
        values = np.column_stack([inside > 0, inside * (len(reference) / (k * held))])
        numbers |= dict(zip(names[:2], np.average(values, axis=0, weights=counts).tolist(), strict=True))
        low, high = intervals(np.repeat(np.arange(len(counts)), counts), np.repeat(values, counts, 0), seed=seed)
        numbers |= {"coverage_low": low[0], "coverage_high": high[0], "density_low": low[1], "density_high": high[1]}
    numbers["expected_coverage"] = expected_coverage(len(reference), held, k)
    return {name: None if math.isnan(value) else round(float(value), 6) for name, value in numbers.items()} | {"k": k}
