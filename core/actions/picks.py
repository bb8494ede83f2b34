"""What a pick looks like beside another of the same size: overlap, category mix, coverage of production, diversity."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.embedding.diversity import vendi, vendi_of_kernel
from core.influence.selection.strategies import Selection
from core.quality.mismatch import kl, smoothed

PAIRS = 40_000_000  # production x training pairs looked at for coverage; above, production is sampled
VENDI_SAMPLE = 2000  # picked records whose diversity is measured
DRAWS = 100  # random picks behind the spread of coverage by chance


def jaccard(a: Sequence[int] | np.ndarray, b: Sequence[int] | np.ndarray) -> float:
    """|A and B| / |A or B|: 0 nothing in common, 1 the same; NaN when both are empty."""
    a, b = set(np.asarray(a).tolist()), set(np.asarray(b).tolist())
    return len(a & b) / len(a | b) if a or b else float("nan")


def expected_jaccard(count: int, a: int, b: int) -> float:
    """Mean Jaccard of two independent uniform picks of `a` and `b` from `count` records: over the hypergeometric number in common."""
    if not a + b or max(a, b) > count:
        return float("nan")
    mean = a * b / count
    reach = 12 * math.sqrt(mean * (1 - a / count) * (1 - b / count) * count / max(count - 1, 1)) + 12
    low, high = max(0, a + b - count, math.floor(mean - reach)), min(a, b, math.ceil(mean + reach))
    total = weight = 0.0
    whole = _log_choose(count, b)
    for common in range(low, high + 1):
        p = math.exp(_log_choose(a, common) + _log_choose(count - a, b - common) - whole)
        total += p * common / (a + b - common)
        weight += p
    return total / weight


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def overlaps(picks: Mapping[str, Selection]) -> np.ndarray:
    """(K, K) Jaccard of every pair of picks of one frame, in their order; 1 on the diagonal."""
    count = max((int(p.rows.max()) + 1 for p in picks.values() if len(p.rows)), default=0)
    member = np.zeros((len(picks), count), np.float32)
    for place, p in enumerate(picks.values()):
        member[place, p.rows] = 1
    both = (member @ member.T).astype(np.float64)
    either = np.diag(both)[:, None] + np.diag(both) - both
    return np.divide(both, either, out=np.full_like(both, np.nan), where=either > 0)


# -- coverage of production ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reach:
    """For P distinct production texts, the training rows inside the radius of each (Naeem et al. 2020), as a sparse table."""

    starts: np.ndarray  # (P + 1,)
    rows: np.ndarray  # training rows, text after text
    weights: np.ndarray  # (P,) share of production that each text stands for
    training: int
    distinct: int  # production texts; P of them are in the table
    k: int

    @property
    def sampled(self) -> bool:
        return len(self.weights) < self.distinct


def reach(training: np.ndarray, production: np.ndarray, keys: Sequence[str], k: int = 5, seed: int = 0) -> Reach | None:
    """Which training rows (N, d) reach which production texts (M, d, `keys` telling equal texts): closer than its k-th nearest other
    production text. None with at most k texts. Above PAIRS pairs a seeded sample of the texts is looked at; their radii stay exact."""
    has = np.any(production != 0, axis=1)
    _, first, counts = np.unique(np.asarray(keys).astype(str)[has], return_index=True, return_counts=True)
    texts = np.asarray(production, np.float32)[np.flatnonzero(has)[first]]
    if len(texts) <= k:
        return None
    chosen = np.arange(len(texts))
    most = max(50, PAIRS // max(1, len(training)))
    if len(texts) > most:
        chosen = np.sort(np.random.default_rng(seed).choice(len(texts), most, replace=False))
    pool = np.asarray(training, np.float32)
    usable = np.any(pool != 0, axis=1)
    starts, rows = [0], []
    for at in range(0, len(chosen), 256):
        block = texts[chosen[at : at + 256]]
        own = block @ texts.T
        own[np.arange(len(block)), chosen[at : at + 256]] = -np.inf
        least = np.partition(own, own.shape[1] - k, axis=1)[
            :, own.shape[1] - k
        ]  # cosine to the k-th nearest other text
        inside = (block @ pool.T >= least[:, None] - 5e-7) & usable
        text, row = np.nonzero(inside)
        rows.append(row.astype(np.int32))
        starts += (starts[-1] + np.cumsum(np.bincount(text, minlength=len(block)))).tolist()
    weights = counts[chosen] / counts[chosen].sum()
    return Reach(np.array(starts), np.concatenate(rows), weights, len(pool), len(texts), k)


def coverage(reached: Reach, picked: np.ndarray) -> float:
    """Share of production (0..1) with a picked record inside its radius."""
    mask = np.zeros(reached.training, bool)
    mask[picked] = True
    hits = np.concatenate([[0], np.cumsum(mask[reached.rows])])
    return float(reached.weights[hits[reached.starts[1:]] > hits[reached.starts[:-1]]].sum())


def coverage_by_chance(reached: Reach, size: int, draws: int = DRAWS, seed: int = 0) -> tuple[float, float, float]:
    """(expected, low, high): coverage of a uniform pick of `size` rows.

    The mean is exact: text i with c_i rows in reach is missed with probability C(N - c_i, size) / C(N, size). Low and high hold 95 %
    of `draws` seeded picks."""
    n, counts = reached.training, np.diff(reached.starts)
    size = min(size, n)
    missed = {}
    for c in np.unique(counts).tolist():
        missed[c] = math.exp(_log_choose(n - c, size) - _log_choose(n, size)) if n - c >= size else 0.0
    expected = 1 - float(np.dot(reached.weights, [missed[c] for c in counts.tolist()]))
    rng = np.random.default_rng(seed)
    found = [coverage(reached, rng.choice(n, size, replace=False, shuffle=False)) for _ in range(draws)]
    low, high = np.percentile(found, [2.5, 97.5]) if found else (expected, expected)
    return expected, float(low), float(high)


# -- one pick in numbers ---------------------------------------------------------------------------------------------------


def mix_kl(names: Sequence[str], shares: Mapping[str, float]) -> float:
    """D(production || pick) in nats over the categories; half a record is added to each count of the pick, so that it stays finite."""
    every = sorted(set(names) | {n for n, s in shares.items() if s > 0})
    place = {n: i for i, n in enumerate(every)}
    counts = np.bincount([place[n] for n in names], minlength=len(every)).astype(float)
    wanted = np.array([shares.get(n, 0.0) for n in every])
    return float(kl(smoothed(wanted), smoothed(counts, 0.5)))


def off_production(names: Sequence[str], shares: Mapping[str, float]) -> float:
    """Share of the pick (0..1) that would have to be in another category to match production (total variation)."""
    every = set(names) | set(shares)
    counts = Counter(names)
    return 0.5 * sum(abs(counts[n] / max(1, len(names)) - shares.get(n, 0.0)) for n in every)


def describe(
    found: Selection,
    names: Sequence[str],
    vectors: np.ndarray | None = None,
    shares: Mapping[str, float] | None = None,
    reached: Reach | None = None,
) -> dict[str, Any]:
    """{categories, kl, off_production, coverage, vendi, vendi_sample} of a pick; None where it cannot be said.

    `names` (N,): category of every record that could be picked. vendi: effective number of different records (Vendi score, 1 .. the
    smaller of records and dimensions), on at most VENDI_SAMPLE picked records by chance.
    """
    own = [names[r] for r in found.rows]
    sample = found.rows
    if len(sample) > VENDI_SAMPLE:
        sample = np.sort(np.random.default_rng(0).choice(sample, VENDI_SAMPLE, replace=False))
    return {
        "categories": len(set(own)),
        "kl": mix_kl(own, shares) if shares else None,
        "off_production": off_production(own, shares) if shares else None,
        "coverage": coverage(reached, found.rows) if reached else None,
        "vendi": _vendi(np.asarray(vectors)[sample]) if vectors is not None and len(sample) else None,
        "vendi_sample": len(sample) if len(sample) < len(found.rows) else None,
    }


def _vendi(vectors: np.ndarray) -> float:
    """The smaller of the two matrices with the same eigenvalues is enough; rows without a vector are left out."""
    some = np.asarray(vectors, np.float64)
    some = some[some.any(1)]
    return vendi(some) if len(some) > some.shape[1] else vendi_of_kernel(some @ some.T)
