"""How well two columns of numbers agree in rank or level, with intervals, and with the length of the text held equal."""

from collections.abc import Callable, Sequence

import numpy as np

BINS = 10


def ranks(values: np.ndarray) -> np.ndarray:
    """(N,) float64 ranks from 1, equal values sharing their mean rank."""
    values = np.asarray(values, float)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation, -1..1; NaN under 3 pairs, or where one side has a single value."""
    if len(a) < 3:
        return float("nan")
    return _pearson(ranks(a), ranks(b))


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / size) if size > 1e-12 else float("nan")


def length_matched_spearman(a: np.ndarray, b: np.ndarray, length: np.ndarray, bins: int = BINS) -> float:
    """Rank correlation of `a` and `b` among records of like length: ranks are taken inside each tenth of the lengths, scaled to 0..1.

    What both columns owe to length alone is gone from it; -1..1, NaN when no tenth holds three records.
    """
    tenth = length_bins(length, bins)
    first, second = [], []
    for k in np.unique(tenth):
        rows = np.flatnonzero(tenth == k)
        if len(rows) >= 3:
            for values, into in ((a, first), (b, second)):
                into.append((ranks(np.asarray(values, float)[rows]) - 0.5) / len(rows) - 0.5)
    return _pearson(np.concatenate(first), np.concatenate(second)) if first else float("nan")


def length_bins(length: np.ndarray, bins: int = BINS) -> np.ndarray:
    """(N,) int: which of `bins` groups of about equal size a length falls into; equal lengths share one."""
    edges = np.unique(np.percentile(np.asarray(length, float), np.linspace(0, 100, bins + 1)[1:-1]))
    return np.searchsorted(edges, length, side="right")


def quadratic_kappa(a: np.ndarray, b: np.ndarray, levels: Sequence[float]) -> float:
    """Cohen's kappa with quadratic weights over `levels` (Cohen 1968): 1 agreement, 0 chance; NaN where both sides are one constant.

    A difference counts by its square in level *values*, which for 1..5 is the usual weighting by position.
    """
    levels = np.asarray(levels, float)
    left, right = (np.searchsorted(levels, np.asarray(v, float)) for v in (a, b))
    table = np.zeros((len(levels), len(levels)))
    np.add.at(table, (left, right), 1)
    table /= max(1, len(left))
    weights = (levels[:, None] - levels[None, :]) ** 2
    chance = float((weights * np.outer(table.sum(1), table.sum(0))).sum())
    return 1 - float((weights * table).sum()) / chance if chance > 0 else float("nan")


def interval(
    measure: Callable[..., float], columns: Sequence[np.ndarray], seed: int = 0, draws: int = 1000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of `measure(*columns)` over records drawn with replacement, seeded."""
    random, count = np.random.default_rng(seed), len(columns[0])
    if count < 3:
        return float("nan"), float("nan")
    found = np.empty(draws)
    for k in range(draws):
        rows = random.integers(0, count, count)
        found[k] = measure(*(c[rows] for c in columns))
    found = found[np.isfinite(found)]
    if not len(found):
        return float("nan"), float("nan")
    low, high = np.percentile(found, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)
