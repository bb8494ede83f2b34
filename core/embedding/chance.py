"""What chance alone would do: the density below which a region counts as thin, and how far a share could lie from the one seen."""

from collections.abc import Callable

import numpy as np

from core.embedding.relative_density import relative_density
from core.progress import Progress, silent

MOST = 3000  # production texts in a draw of the null; training in proportion
PAIRS = 600_000_000  # comparisons spent on the null
FEWEST, DRAWS = 2, 20
RESAMPLES = 1000


def thin_cut(
    production: np.ndarray,
    training: np.ndarray,
    level: float,
    most: float,
    k: int = 5,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, float | int]:
    """{cut, by_chance, draws, sampled}: relative densities below `cut` (<= `most`) are thin; when training and production are alike,
    a share `by_chance` (<= `level`, but for the draw) of production lies below it.

    A permutation null: both sets are thrown together and dealt out again in their sizes, so that they are alike by construction;
    `cut` is the `level` quantile of the densities (core.embedding.relative_density) of all draws, or `most` where that is lower still:
    half as dense is asked for whatever chance does. Above MOST production texts both are thinned in proportion (`sampled`: how many
    were dealt). NaN cut where densities have no value.
    """
    count, held = len(production), len(training)
    if count <= k or not held:
        return {"cut": float("nan"), "by_chance": float("nan"), "draws": 0, "sampled": 0}
    random = np.random.default_rng(seed)
    few = min(count, MOST)
    mine = max(1, round(held * few / count))
    both = [np.asarray(rows, np.float32) for rows in _thinned(production, training, few, mine, random)]
    pool = np.concatenate(both)
    draws = int(min(DRAWS, max(FEWEST, PAIRS // (few * len(pool)))))
    found = []
    for n in range(draws):
        order = random.permutation(len(pool))
        found.append(relative_density(pool[order[:few]], pool[order[few:]], k))
        progress(n + 1, draws, "Learning what chance does to densities")
    null = np.concatenate(found)
    cut = min(float(most), float(np.quantile(null, level)))
    return {"cut": cut, "by_chance": float((null < cut).mean()), "draws": draws, "sampled": few if few < count else 0}


def _thinned(production, training, few: int, mine: int, random: np.random.Generator):
    for rows, wanted in ((production, few), (training, mine)):
        yield rows if wanted >= len(rows) else rows[np.sort(random.choice(len(rows), wanted, replace=False))]


def intervals(
    groups: np.ndarray, values: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray] | None = None, seed: int = 0,
    resamples: int = RESAMPLES,
) -> np.ndarray:  # fmt: skip
    """(2, V) 95 % percentile bootstrap interval of the means of `values` (N, V), resampling whole `groups` (N,) of rows.

    A group is a text: five records that ask the same are one draw of chance, not five. The means are ratios of sums, so groups of
    different sizes count by their records. `statistic`: of the (V,) sums, with the number of records as a further, last entry, what to
    return instead of the means. NaN without rows.
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        return np.full((2, values.shape[1]), np.nan)
    _, back = np.unique(groups, return_inverse=True)
    sums = np.zeros((back.max() + 1, values.shape[1] + 1))
    np.add.at(sums, back, np.column_stack([values, np.ones(len(values))]))
    random, found = np.random.default_rng(seed), []
    compute = statistic or (lambda total: total[..., :-1] / total[..., -1:])
    for start in range(0, resamples, 50):
        times = random.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), min(50, resamples - start))
        found.append(compute(times @ sums))
    return np.quantile(np.concatenate(found), (0.025, 0.975), axis=0)
