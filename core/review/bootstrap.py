"""Intervals of agreement by resampling whole records: all ratings of a record are drawn together (a cluster bootstrap by record).

Records are exchangeable, ratings of one record are not, so a record is what is drawn. Percentile intervals of a fixed seed, the same
at every call. A resample in which a statistic is undefined (one class only, say) is left out; when that happens in more than one in
twenty, or the statistic is undefined itself, there is no interval: undefined stays undefined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.review.agreement import LEVELS, WEIGHTS, Ratings, counts_by_record, disagreement
from core.review.intervals import Interval

RESAMPLES, FEWER, MANY, SEED = 2000, 500, 2000, 7
"""How often records are drawn; fewer where there are more than MANY different patterns of ratings."""
UNDEFINED = 0.05


def of_pair(table: Sequence[Sequence[int]], confidence: float = 0.95) -> Mapping[str, Interval | None]:
    """{"raw", "plain", "linear", "quadratic", "ac1", "alpha"} -> interval, of two raters' (K, K) table."""
    counts = np.asarray(table, np.int64)
    n, k = int(counts.sum()), len(counts)
    names = ("raw", *WEIGHTS, "ac1", "alpha")
    if not n or k < 2:
        return dict.fromkeys(names)
    p = _drawn(counts.ravel()).reshape(-1, k, k) / n
    row, column = p.sum(2), p.sum(1)
    raw = np.trace(p, axis1=1, axis2=2)
    found = {"raw": raw}
    apart = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    for name in WEIGHTS:
        weight = np.eye(k) if name == "plain" else 1 - (apart / (k - 1)) ** (1 if name == "linear" else 2)
        observed = (p * weight).sum((1, 2))
        expected = np.einsum("bi,ij,bj->b", row, weight, column)
        found[name] = _beyond(observed, expected)
    pi = (row + column) / 2
    expected = (pi * (1 - pi)).sum(1) / (k - 1)
    found["ac1"] = np.where((pi > 0).sum(1) < 2, np.nan, (raw - expected) / (1 - expected))
    # alpha of two raters: 2n values, expected agreement sum n_c (n_c - 1) / (2n (2n - 1))
    expected = ((2 * n * pi) * (2 * n * pi - 1)).sum(1) / (2 * n * (2 * n - 1))
    found["alpha"] = _beyond(raw, expected)
    return {name: _percentiles(found[name], confidence) for name in names}


def of_all(
    ratings: Ratings, classes: Sequence, scaled: bool, confidence: float = 0.95
) -> tuple[Mapping[str, Interval | None], int]:
    """({"raw", "ac1", "fleiss", "nominal", and with `scaled` "ordinal" and "interval"} -> interval, resamples) of all raters."""
    names = ("raw", "ac1", "fleiss", "nominal", *(("ordinal", "interval") if scaled else ()))
    by_record, found_classes = counts_by_record(ratings, classes)
    by_record = by_record[by_record.sum(1) > 0]
    k = len(found_classes)
    if k < 2 or not (by_record.sum(1) >= 2).any():
        return dict.fromkeys(names), 0
    patterns, often = np.unique(by_record, axis=0, return_counts=True)
    rated = patterns.sum(1)
    twice = rated >= 2
    agree = np.zeros(len(patterns))
    agree[twice] = (patterns * (patterns - 1)).sum(1)[twice] / (rated * (rated - 1))[twice]
    shares = patterns / rated[:, None]
    pairs = patterns[:, :, None] * patterns[:, None, :] - patterns[:, :, None] * np.eye(k, dtype=np.int64)
    pairs = np.where(twice[:, None, None], pairs / np.maximum(rated - 1, 1)[:, None, None], 0.0).reshape(
        len(patterns), -1
    )
    out: dict[str, list[np.ndarray]] = {name: [] for name in names}
    resamples = RESAMPLES if len(patterns) <= MANY else FEWER
    for drawn in _chunks(often, resamples):
        of = drawn @ twice
        with np.errstate(invalid="ignore", divide="ignore"):
            raw = (drawn @ agree) / of
            pi = (drawn @ shares) / drawn.sum(1, keepdims=True)
            spread = (pi * (1 - pi)).sum(1) / (k - 1)
            out["raw"].append(raw)
            out["ac1"].append(np.where((pi > 0).sum(1) < 2, np.nan, (raw - spread) / (1 - spread)))
            out["fleiss"].append(_beyond(raw, (pi**2).sum(1)))
            coincidence = (drawn @ pairs).reshape(-1, k, k)
            for level in names[3:]:
                out[level].append(_alphas(coincidence, level, found_classes))
    return {name: _percentiles(np.concatenate(out[name]), confidence) for name in names}, resamples


def _alphas(coincidence: np.ndarray, level: str, classes: Sequence) -> np.ndarray:
    assert level in LEVELS
    margins = coincidence.sum(2)
    total = margins.sum(1)
    if level == "ordinal":  # the ranks move with the margins of each resample
        middle = np.cumsum(margins, 1) - margins / 2
        distance = (middle[:, :, None] - middle[:, None, :]) ** 2
    else:
        distance = disagreement(level, margins[0], classes)[None]
    observed = (coincidence * distance).sum((1, 2))
    expected = (margins[:, :, None] * margins[:, None, :] * distance).sum((1, 2)) / (total - 1)
    return np.where(expected > 1e-12, 1 - observed / np.where(expected > 1e-12, expected, 1), np.nan)


def _beyond(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Agreement beyond chance; nan where chance alone explains all of it."""
    rest = 1 - expected
    return np.where(rest < 1e-12, np.nan, (observed - expected) / np.where(rest < 1e-12, 1, rest))


def _drawn(often: np.ndarray) -> np.ndarray:
    """(RESAMPLES, cells) counts of records drawn with replacement."""
    return np.random.default_rng(SEED).multinomial(int(often.sum()), often / often.sum(), size=RESAMPLES)


def _chunks(often: np.ndarray, resamples: int):
    generator, n, share = np.random.default_rng(SEED), int(often.sum()), often / often.sum()
    for start in range(0, resamples, 100):
        yield generator.multinomial(n, share, size=min(100, resamples - start)).astype(np.float64)


def _percentiles(values: np.ndarray, confidence: float) -> Interval | None:
    defined = values[np.isfinite(values)]
    if len(defined) < (1 - UNDEFINED) * len(values):
        return None
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high), "bootstrap by record", confidence)
