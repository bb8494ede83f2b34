"""Coverage and density of one set against another (Naeem et al. 2020), in the embedding and never on the drawn map."""

import math
from typing import Any

import numpy as np

from core.embedding.balls import inside_radius
from core.embedding.chance import intervals
from core.embedding.neighbours import has_vector


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


def expected_coverage(reference: int, sample: int, k: int = 5) -> float:
    """Coverage to expect when both come from one distribution (Naeem et al. 2020, eq. 12).

    1 - prod_i (N - i) / (M + N - i), i = 1 … k, for N reference and M sample points."""
    if reference <= k or not sample:
        return float("nan")
    return 1 - math.prod((reference - i) / (sample + reference - i) for i in range(1, k + 1))


def distinct_coverage(
    train: np.ndarray, prod: np.ndarray, keys: np.ndarray, k: int, seed: int = 0, inside: np.ndarray | None = None
) -> dict[str, Any]:
    """Coverage and density over the distinct production texts, each counting as often as it occurs: a question that is asked five
    times would otherwise have radius 0, which nothing reaches. With 95 % bootstrap intervals over the texts (production is the
    sample, training is what it is; the radii stay those of all texts). `inside`: by `inside_radius`, where it is known already."""
    has, mine = has_vector(prod), has_vector(train)
    _, first, counts = np.unique(keys[has].astype(str), return_index=True, return_counts=True)
    reference = prod[np.flatnonzero(has)[first]] if has.any() else prod[:0]
    held = int(mine.sum())
    names = ("coverage", "density", "coverage_low", "coverage_high", "density_low", "density_high")
    numbers = dict.fromkeys(names, float("nan"))
    if len(reference) > k and held:
        if inside is None:
            inside = inside_radius(reference, train if mine.all() else train[mine], k)
        values = np.column_stack([inside > 0, inside * (len(reference) / (k * held))])
        numbers |= dict(zip(names[:2], np.average(values, axis=0, weights=counts).tolist(), strict=True))
        low, high = intervals(np.repeat(np.arange(len(counts)), counts), np.repeat(values, counts, 0), seed=seed)
        numbers |= {"coverage_low": low[0], "coverage_high": high[0], "density_low": low[1], "density_high": high[1]}
    numbers["expected_coverage"] = expected_coverage(len(reference), held, k)
    return {name: None if math.isnan(value) else round(float(value), 6) for name, value in numbers.items()} | {"k": k}
