"""How far raters agree beyond chance: raw agreement, Cohen's and Fleiss' kappa, Gwet's AC1, Krippendorff's alpha.

Ratings are a table of raters by records: `ratings[rater][record]`, None where a rater gave none. What is undefined (one rater, no
record rated twice, or everybody always the same class) is None and never 0 or 1. Kappas may be negative.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import InputError

WEIGHTS = ("plain", "linear", "quadratic")
LEVELS = ("nominal", "ordinal", "interval", "ratio")
Ratings = Sequence[Sequence[Hashable | None]]


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa with its standard error (of the estimate, not under the null) and normal confidence interval."""

    value: float
    standard_error: float
    low: float
    high: float
    weights: str = "plain"
    confidence: float = 0.95


@dataclass(frozen=True)
class Agreement:
    """Everything about two raters of the same records; None marks what is undefined."""

    records: int
    classes: Sequence[Hashable]
    table: Sequence[Sequence[int]]
    """Counts, rows the first rater's class, columns the second's."""
    raw: float | None
    kappa: Kappa | None
    linear: Kappa | None
    quadratic: Kappa | None
    ac1: float | None
    ac1_error: float | None
    """Standard error of AC1; None where it is undefined."""
    alpha: float | None
    pabak: float | None
    """Agreement beyond chance if every class were as likely: (K raw - 1) / (K - 1) (Byrt 1993; Brennan & Prediger 1981)."""
    specific: Sequence[tuple[Hashable, float | None]]
    """(class, of the ratings that gave it the share that the other rater gave too), for each class."""
    prevalence: float | None
    """Of two classes: |a - d| / n. High: kappa is low for the prevalence alone; read AC1 beside it (Byrt 1993)."""
    bias: float | None
    """Of two classes: |b - c| / n, how differently the two use them."""


def crosstab(first: Sequence[Hashable | None], second: Sequence[Hashable | None], classes: Sequence | None = None):
    """(classes, counts): (K, K) int64, rows the first rater, columns the second, over records that both rated.

    classes: in their order, which linear and quadratic weights need; by default those that occur, sorted.
    """
    if len(first) != len(second):
        raise InputError(f"The raters have {len(first)} and {len(second)} ratings; they must rate the same records.")
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if classes is None:
        classes = _sorted({value for pair in pairs for value in pair})
    index = {value: i for i, value in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)), np.int64)
    for a, b in pairs:
        if a not in index or b not in index:
            raise InputError(f"A rating {a if a not in index else b!r} is none of the classes {list(classes)!r}.")
        counts[index[a], index[b]] += 1
    return list(classes), counts


def raw_agreement(counts: np.ndarray | Sequence[Sequence[int]]) -> float | None:
    """Share of records on which two raters gave the same class; None without records."""
    n = _square(counts)
    return float(np.trace(n) / n.sum()) if n.sum() else None


def cohen_kappa(
    counts: np.ndarray | Sequence[Sequence[int]], weights: str = "plain", confidence: float = 0.95
) -> Kappa | None:
    """Cohen's kappa of a (K, K) table; None without records or when chance agreement is already complete.

    Standard error of Fleiss, Cohen & Everitt 1969. weights: plain (all disagreements alike), linear, quadratic (by the distance
    of the classes in their order).
    """
    if weights not in WEIGHTS:
        raise InputError(f"Weights {weights!r} are not known; choose plain, linear or quadratic.")
    n = _square(counts)
    total = n.sum()
    if not total:
        return None
    p = n / total
    k = len(p)
    apart = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    w = np.eye(k) if weights == "plain" else 1 - (apart / max(k - 1, 1)) ** (1 if weights == "linear" else 2)
    row, column = p.sum(1), p.sum(0)
    observed, expected = float((w * p).sum()), float((w * np.outer(row, column)).sum())
    if 1 - expected < 1e-12:
        return None
    value = (observed - expected) / (1 - expected)
    # w_i. weighs a class of the first rater by the second's margins, w_.j the other way round.
    mean_row, mean_column = w @ column, row @ w
    spread = w - (mean_row[:, None] + mean_column[None, :]) * (1 - value)
    variance = float((p * spread**2).sum() - (value - expected * (1 - value)) ** 2) / (total * (1 - expected) ** 2)
    error = max(variance, 0.0) ** 0.5
    z = _z(confidence)
    return Kappa(value, error, value - z * error, value + z * error, weights, confidence)


def scott_pi(counts: np.ndarray | Sequence[Sequence[int]]) -> float | None:
    """Scott's pi: chance agreement from the margins of both raters together."""
    n = _square(counts)
    if not n.sum():
        return None
    p = n / n.sum()
    expected = float((((p.sum(0) + p.sum(1)) / 2) ** 2).sum())
    return None if 1 - expected < 1e-12 else (float(np.trace(p)) - expected) / (1 - expected)


def ac1(ratings: Ratings, classes: Sequence | None = None) -> float | None:
    """Gwet's AC1 for two or more raters with missing ratings (Gwet 2008); steady where one class is rare and kappa is not.

    Chance agreement: sum pi_q (1 - pi_q) / (Q - 1), pi_q the mean share of class q over the records that anyone rated.
    """
    by_record, found = counts_by_record(ratings, classes)
    rated = by_record.sum(1)
    twice = rated >= 2
    if len(found) < 2 or not twice.any():
        return None
    observed = _pairwise(by_record[twice])
    pi = (by_record[rated > 0] / rated[rated > 0, None]).mean(0)
    if (pi > 0).sum() < 2:
        return None
    expected = float((pi * (1 - pi)).sum() / (len(found) - 1))
    return (observed - expected) / (1 - expected)


def ac1_of_table(counts: np.ndarray | Sequence[Sequence[int]]) -> float | None:
    """Gwet's AC1 of two raters from their (K, K) table."""
    n = _square(counts)
    if not n.sum() or len(n) < 2:
        return None
    p = n / n.sum()
    pi = (p.sum(0) + p.sum(1)) / 2
    if (pi > 0).sum() < 2:
        return None
    expected = float((pi * (1 - pi)).sum() / (len(n) - 1))
    return (float(np.trace(p)) - expected) / (1 - expected)


def ac1_error(ratings: Ratings, classes: Sequence | None = None) -> float | None:
    """The standard error of Gwet's AC1, any number of raters, missing ratings too; None where AC1 is undefined or n < 2.

    Linearised (Gwet 2014): with g_i = (n/n') (a_i - e [rated twice]) / (1 - e), a_i the agreement on record i, n' the records rated
    twice, e chance agreement and e_i = sum_q (1 - pi_q) r_iq / r_i / (Q - 1), var = sum (g_i - 2 (1 - g) (e_i - e) / (1 - e) - g)^2 /
    (n (n - 1)).
    """
    value = ac1(ratings, classes)
    if value is None:
        return None
    by_record, found = counts_by_record(ratings, classes)
    by_record = by_record[by_record.sum(1) > 0]
    rated = by_record.sum(1)
    twice = rated >= 2
    n = len(by_record)
    if n < 2:
        return None
    shares = by_record / rated[:, None]
    pi = shares.mean(0)
    expected = float((pi * (1 - pi)).sum() / (len(found) - 1))
    agree = np.zeros(n)
    agree[twice] = (by_record * (by_record - 1)).sum(1)[twice] / (rated * (rated - 1))[twice]
    one = n / twice.sum() * (agree - expected * twice) / (1 - expected)
    chance = shares @ (1 - pi) / (len(found) - 1)
    one = one - 2 * (1 - value) * (chance - expected) / (1 - expected)
    return float((((one - value) ** 2).sum() / (n * (n - 1))) ** 0.5)


def ac1_error_of_table(counts: np.ndarray | Sequence[Sequence[int]]) -> float | None:
    """The standard error of AC1 of two raters from their (K, K) table; as `ac1_error`, each cell a kind of record."""
    table = _square(counts)
    value, n, k = ac1_of_table(table), int(table.sum()), len(table)
    if value is None or n < 2:
        return None
    pi = (table.sum(0) + table.sum(1)) / (2 * n)
    expected = float((pi * (1 - pi)).sum() / (k - 1))
    one = (np.eye(k) - expected) / (1 - expected)
    chance = np.add.outer(1 - pi, 1 - pi) / (2 * (k - 1))
    one = one - 2 * (1 - value) * (chance - expected) / (1 - expected)
    return float(((table * (one - value) ** 2).sum() / (n * (n - 1))) ** 0.5)


def pabak(counts: np.ndarray | Sequence[Sequence[int]]) -> float | None:
    """Prevalence- and bias-adjusted kappa of a (K, K) table, (K raw - 1) / (K - 1); None with one class or no record."""
    raw, k = raw_agreement(counts), len(counts)
    return None if raw is None or k < 2 else (k * raw - 1) / (k - 1)


def _specific(counts: np.ndarray, i: int) -> float | None:
    """2 n_ii / (n_i. + n_.i): how often the one agrees when the other gives the class (Cicchetti & Feinstein 1990)."""
    given = counts[i].sum() + counts[:, i].sum()
    return float(2 * counts[i, i] / given) if given else None


def fleiss_kappa(ratings: Ratings) -> float | None:
    """Fleiss' kappa for two or more raters. With missing ratings it is the generalisation of Gwet (2014): observed agreement over
    records rated twice or more, class shares over all rated ones.
    """
    by_record, found = counts_by_record(ratings, None)
    rated = by_record.sum(1)
    twice = rated >= 2
    if len(found) < 2 or not twice.any():
        return None
    pi = (by_record[rated > 0] / rated[rated > 0, None]).mean(0)
    expected = float((pi**2).sum())
    return None if 1 - expected < 1e-12 else (_pairwise(by_record[twice]) - expected) / (1 - expected)


def krippendorff_alpha(ratings: Ratings, level: str = "nominal", classes: Sequence | None = None) -> float | None:
    """Krippendorff's alpha = 1 - observed / expected disagreement, for any number of raters and missing ratings.

    level: nominal, ordinal (by ranks, classes in `classes` order or sorted), interval or ratio (classes are numbers). Records
    rated once say nothing and are left out (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability").
    """
    if level not in LEVELS:
        raise InputError(f"The level {level!r} is not known; choose nominal, ordinal, interval or ratio.")
    by_record, found = counts_by_record(ratings, classes)
    by_record = by_record[by_record.sum(1) >= 2].astype(float)
    if not len(by_record):
        return None
    rated = by_record.sum(1, keepdims=True)
    # Coincidences: each record counts n_c n_k pairs (n_c (n_c - 1) within a class) over its number of ratings less one.
    shares = by_record / (rated - 1)
    return _alpha(by_record.T @ shares - np.diag(shares.sum(0)), level, found)


def _alpha(coincidence: np.ndarray, level: str, classes: Sequence) -> float | None:
    margins = coincidence.sum(1)
    distance = disagreement(level, margins, classes)
    expected = float((np.outer(margins, margins) * distance).sum() / (margins.sum() - 1))
    if expected <= 1e-12:
        return None
    return 1 - float((coincidence * distance).sum()) / expected


def alpha_of_table(counts: np.ndarray | Sequence[Sequence[int]], level: str = "nominal") -> float | None:
    """Krippendorff's alpha of two raters from their (K, K) table, classes 0, 1, …"""
    n = _square(counts)
    return _alpha((n + n.T).astype(float), level, list(range(len(n)))) if n.sum() else None


def agreement(
    first: Sequence[Hashable | None], second: Sequence[Hashable | None], classes: Sequence | None = None
) -> Agreement:
    """All two-rater statistics of the records that both rated."""
    named, counts = crosstab(first, second, classes)
    total = int(counts.sum())
    two = len(named) == 2 and total
    return Agreement(
        records=total,
        classes=named,
        table=counts.tolist(),
        raw=raw_agreement(counts),
        kappa=cohen_kappa(counts),
        linear=cohen_kappa(counts, "linear"),
        quadratic=cohen_kappa(counts, "quadratic"),
        ac1=ac1_of_table(counts),
        ac1_error=ac1_error_of_table(counts),
        alpha=alpha_of_table(counts),
        pabak=pabak(counts),
        specific=[(named[i], _specific(counts, i)) for i in range(len(named))],
        prevalence=abs(int(counts[0, 0]) - int(counts[1, 1])) / total if two else None,
        bias=abs(int(counts[0, 1]) - int(counts[1, 0])) / total if two else None,
    )


def contested(ratings: Ratings, ids: Sequence[str], top: int = 20) -> list[tuple[str, float]]:
    """(record id, share of its rater pairs that disagree), the most contested first; records rated once are left out."""
    by_record, _ = counts_by_record(ratings, None)
    rated = by_record.sum(1)
    pairs = rated * (rated - 1)
    agree = (by_record * (by_record - 1)).sum(1)
    scored = [(ids[i], 1 - float(agree[i] / pairs[i])) for i in range(len(ids)) if pairs[i] and agree[i] < pairs[i]]
    return sorted(scored, key=lambda pair: (-pair[1], pair[0]))[:top]


def counts_by_record(ratings: Ratings, classes: Sequence | None) -> tuple[np.ndarray, list]:
    """((records, K) counts of each class, the classes)."""
    if len({len(row) for row in ratings}) > 1:
        raise InputError("The raters have different numbers of ratings; give None where a record was not rated.")
    found = list(classes) if classes is not None else _sorted({v for row in ratings for v in row if v is not None})
    index = {value: i for i, value in enumerate(found)}
    counts = np.zeros((len(ratings[0]) if len(ratings) else 0, len(found)), np.int64)
    for row in ratings:
        for record, value in enumerate(row):
            if value is not None:
                if value not in index:
                    raise InputError(f"A rating {value!r} is none of the classes {found!r}.")
                counts[record, index[value]] += 1
    return counts, found


def _pairwise(by_record: np.ndarray) -> float:
    """Mean over records of the share of rater pairs that agree."""
    rated = by_record.sum(1)
    return float(((by_record * (by_record - 1)).sum(1) / (rated * (rated - 1))).mean())


def disagreement(level: str, margins: np.ndarray, classes: Sequence) -> np.ndarray:
    """Squared difference of each two classes, (K, K)."""
    k = len(classes)
    if level == "nominal":
        return 1.0 - np.eye(k)
    if level == "ordinal":
        # (sum of margins from c to k, less half of both ends)^2
        middle = np.cumsum(margins) - margins / 2
        return np.subtract.outer(middle, middle) ** 2
    try:
        values = np.array([float(value) for value in classes])
    except (TypeError, ValueError):
        raise InputError(f"The level {level} needs numbers as ratings, not {list(classes)!r}.") from None
    apart = np.subtract.outer(values, values)
    if level == "interval":
        return apart**2
    whole = np.add.outer(values, values)
    return np.divide(apart, whole, out=np.zeros_like(apart), where=whole != 0) ** 2


def _square(counts: np.ndarray | Sequence[Sequence[int]]) -> np.ndarray:
    n = np.asarray(counts)
    if n.ndim != 2 or n.shape[0] != n.shape[1]:
        raise InputError(f"A table of two raters is square; this one is {' x '.join(map(str, n.shape))}.")
    if (n < 0).any():
        raise InputError("A table of counts has a negative entry.")
    return n


def _sorted(values: set) -> list:
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=lambda value: (type(value).__name__, str(value)))


def _z(confidence: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(1 - (1 - confidence) / 2)
