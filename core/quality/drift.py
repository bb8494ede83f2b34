"""Whether labels differ by annotator or over time: the share in doubt and the mix of labels of each group against all others.

Several groups are several tests, so their p-values are raised by Holm's method (1979), which holds whatever the tests have to do with
one another. A group with harder records has more doubts without being worse, so beside the count stands what its mix of labels leads
to expect (indirect standardisation).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist

import numpy as np

from core.errors import InputError
from core.quality import mismatch

MOST = 50
"""Groups that are compared; of more, the largest."""
LEAST = 5
"""Judged records under which a group is too small to compare; it counts among the others."""


@dataclass(frozen=True)
class Group:
    """One annotator or period against all others."""

    name: str
    judged: int
    doubted: int
    share: float
    low: float  # Wilson interval of the share
    high: float
    expected: float  # doubts among as many records of the same labels, at the rate of all
    p: float  # Fisher's exact test of the share against that of the others, two-sided
    p_holm: float  # raised for the number of groups
    mix: float  # Jensen–Shannon divergence of its labels from those of the others, bits
    p_mix: float | None  # chi-squared test, or by permutation where counts are small
    p_mix_holm: float | None


@dataclass(frozen=True)
class Drift:
    groups: tuple[Group, ...]
    left_out: int  # groups too small or too many to compare
    p_all: (
        float | None
    )  # chi-squared test that no two groups differ in their share of doubts (by permutation where counts are small)
    p_trend: float | None  # Cochran–Armitage test for a trend, of ordered groups
    slope: float | None  # of the share, from one group to the next
    confidence: float
    ordered: bool

    @property
    def tests(self) -> int:
        return len(self.groups)


def wilson(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """(low, high) of k of n, Wilson's score interval."""
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    middle, size = (k + z * z / 2) / (n + z * z), n + z * z
    half = z * (k * (n - k) / n + z * z / 4) ** 0.5 / size
    return max(0.0, middle - half), min(1.0, middle + half)


def fisher(a: int, b: int, c: int, d: int) -> float:
    """Two-sided p of the table [[a, b], [c, d]]: the tables with the same margins that are at most as likely."""
    from scipy.special import gammaln

    row, column, total = a + b, a + c, a + b + c + d
    x = np.arange(max(0, row + column - total), min(row, column) + 1, dtype=np.float64)

    def log_choose(n: np.ndarray | float, k: np.ndarray | float) -> np.ndarray:
        return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)

    log = log_choose(column, x) + log_choose(total - column, row - x) - log_choose(total, row)
    chance = np.exp(log)
    own = chance[int(a - x[0])]
    return float(min(1.0, chance[chance <= own * (1 + 1e-7)].sum()))


def holm(values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: the chance of one false alarm among all of them is held."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    raised, largest = [0.0] * len(values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[i]))
        raised[i] = largest
    return raised


def trend(doubted: np.ndarray, judged: np.ndarray) -> tuple[float | None, float | None]:
    """(two-sided p, slope of the share from group to group) of Cochran and Armitage's test with scores 0, 1, 2, …"""
    scores, total = np.arange(len(judged), dtype=np.float64), judged.sum()
    share = doubted.sum() / total
    centred = scores - (judged * scores).sum() / total
    spread = (judged * centred**2).sum()
    if share in (0, 1) or spread == 0:
        return None, None
    slope = float((doubted * centred).sum() / spread)
    z = slope / (share * (1 - share) / spread) ** 0.5
    return float(2 * (1 - NormalDist().cdf(abs(z)))), slope


def periods(values: Sequence[str | None], most: int = 8) -> tuple[list[str | None], list[str]] | None:
    """(the period of each value, the periods in order) of dates, times or numbers, about equally many in each; None: they are neither.

    At least nine of ten of the values that are there must be readable; the others get no period. Equal values share a period.
    """
    known = [value for value in values if value not in (None, "")]
    if not known:
        return None
    cache: dict[str, tuple[float, str] | None] = {value: _moment(value) for value in set(known)}
    read = sum(cache[value] is not None for value in known)
    kinds = {found[1] for found in cache.values() if found}
    if read < 0.9 * len(known) or len(kinds) != 1:
        return None
    number = np.array([cache[v][0] if v not in (None, "") and cache[v] else np.nan for v in values], dtype=np.float64)
    there = number[~np.isnan(number)]
    edges = np.unique(np.quantile(there, np.linspace(0, 1, most + 1)[1:-1], method="higher"))
    place = np.searchsorted(edges, number, side="right")
    word = {found[0]: text for text, found in cache.items() if found}
    names = {}
    for p in np.unique(place[~np.isnan(number)]).tolist():
        inside = number[(place == p) & ~np.isnan(number)]
        first, last = word[float(inside.min())], word[float(inside.max())]
        names[p] = first[:16] if first == last else f"{first[:16]} to {last[:16]}"
    periods_of = [None if np.isnan(x) else names[p] for x, p in zip(number, place.tolist(), strict=True)]
    return periods_of, [names[p] for p in sorted(names)]


def _moment(text: str) -> tuple[float, str] | None:
    """(a number that sorts as the text's moment or value does, its kind)."""
    try:
        return float(text), "number"
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text.strip()).timestamp(), "time"
    except (ValueError, OverflowError):
        return None


def positions(count: int, parts: int = 8) -> tuple[list[str], list[str]]:
    """(part of the file that each of `count` records is in, the parts in order): where nothing tells the time."""
    edge = np.linspace(0, count, min(parts, max(count, 1)) + 1).astype(int)
    names = [f"records {a + 1:,} to {b:,}" for a, b in zip(edge, edge[1:], strict=False)]
    return [names[i] for i in np.searchsorted(edge[1:], np.arange(count), side="right")], names


def drift(
    groups: Sequence[str | None], doubted: np.ndarray, labels: Sequence[str | None], judged: np.ndarray,
    order: Sequence[str] | None = None, confidence: float = 0.95, draws: int = 2000, seed: int = 0,
) -> Drift:  # fmt: skip
    """Each group against the others: share in doubt with interval and test, and mix of labels. All sequences are of N records.

    Only `judged` records with a group count. `order`: the groups as time has them, for the trend. InputError with fewer than two
    groups of LEAST judged records.
    """
    if not len(groups) == len(doubted) == len(labels) == len(judged):
        raise InputError(
            f"{len(groups):,} groups, {len(doubted):,} doubts and {len(labels):,} labels do not belong together."
        )
    rows = [i for i in np.flatnonzero(judged).tolist() if groups[i] not in (None, "")]
    names, of = np.unique(np.array([groups[i] for i in rows], dtype=object).astype(str), return_inverse=True)
    kinds, label = np.unique(np.array([str(labels[i]) for i in rows], dtype=object).astype(str), return_inverse=True)
    mark = np.asarray(doubted, dtype=bool)[rows]
    table = np.zeros((len(names), len(kinds)), dtype=np.int64)
    np.add.at(table, (of, label), 1)
    n, k = table.sum(axis=1), np.bincount(of, weights=mark, minlength=len(names)).astype(np.int64)
    able = sorted((i for i in range(len(names)) if n[i] >= LEAST), key=lambda i: (-n[i], names[i]))[:MOST]
    if len(able) < 2:
        raise InputError(f"Drift needs two groups with {LEAST} judged records or more; here there are {len(able)}.")
    if order is not None:
        rank = {name: r for r, name in enumerate(order)}
        able.sort(key=lambda i: rank.get(names[i], len(rank)))
    rate = np.bincount(label, weights=mark, minlength=len(kinds)) / np.maximum(table.sum(axis=0), 1)
    total, doubts = int(n.sum()), int(k.sum())
    p = [fisher(k[i], n[i] - k[i], doubts - k[i], total - n[i] - (doubts - k[i])) for i in able]
    mix, p_mix = [], []
    for i in able:
        rest = table.sum(axis=0) - table[i]
        mix.append(mismatch.js_bits(mismatch.smoothed(table[i]), mismatch.smoothed(rest)) if rest.sum() else 0.0)
        p_mix.append(mismatch.independence(rest, table[i], True, draws, seed)["p_chi2"] if rest.sum() else None)
    tested = [value for value in p_mix if value is not None]
    raised = iter(holm(tested))
    mix_holm = [next(raised) if value is not None else None for value in p_mix]
    found = []
    for place, (i, p_one, p_raised) in enumerate(zip(able, p, holm(p), strict=True)):
        low, high = wilson(int(k[i]), int(n[i]), confidence)
        found.append(Group(
            str(names[i]), int(n[i]), int(k[i]), float(k[i] / n[i]), low, high, float((table[i] * rate).sum()), p_one, p_raised,
            mix[place], p_mix[place], mix_holm[place],
        ))  # fmt: skip
    some = np.array(able)
    whole = (
        mismatch.independence(n[some] - k[some], k[some], True, draws, seed)
        if 0 < k[some].sum() < n[some].sum()
        else None
    )
    p_trend, slope = trend(k[some], n[some]) if order is not None else (None, None)
    return Drift(
        tuple(found),
        len(names) - len(able),
        whole["p_chi2"] if whole else None,
        p_trend,
        slope,
        confidence,
        order is not None,
    )
