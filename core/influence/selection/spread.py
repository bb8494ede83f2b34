"""Picks by embedding: what resembles some targets in turn, what covers the whole (k-centre), what represents it (facility location).

Vectors are unit rows; `rank` (N,) orders records where two are equally good, so that the order of the rows changes nothing.
"""

import heapq
from collections.abc import Callable, Sequence

import numpy as np

EXACT_UNTIL = 5000  # records up to which facility location looks at every pair: a matrix of 100 MB
TIE = 1e-6  # cosines that differ by less are equal: a product's rounding decides no tie


def in_turn(vectors: np.ndarray, targets: np.ndarray, size: int, rank: np.ndarray) -> np.ndarray:
    """Rows (size,) int64: each target in turn takes the record most similar to it that is not taken yet.

    The round-robin of RDS+ (Ivison et al. 2025, section 3), here over these embeddings. O(N M d) once, and N d again for a
    target whose list of candidates is used up.
    """
    order = np.argsort(rank, kind="stable")
    pool, goals = np.asarray(vectors, np.float32)[order], np.asarray(targets, np.float32)
    size = min(size, len(pool))
    if not len(goals) or not size:
        return np.zeros(0, np.int64)
    keep = min(len(pool), 4 * -(-size // len(goals)) + 50)
    lists = [_nearest(pool @ goal, keep) for goal in goals]
    place, taken, picked = [0] * len(goals), np.zeros(len(pool), bool), []
    while len(picked) < size:
        for goal, vector in enumerate(goals):
            while True:
                if place[goal] == len(lists[goal]):  # used up: rank everything that is left for this target
                    lists[goal], place[goal] = _nearest(np.where(taken, -9, pool @ vector), len(pool)), 0
                row = lists[goal][place[goal]]
                place[goal] += 1
                if not taken[row]:
                    break
            taken[row] = True
            picked.append(row)
            if len(picked) == size:
                break
    return order[np.array(picked, np.int64)]


def _nearest(scores: np.ndarray, keep: int) -> np.ndarray:
    """Rows with the highest scores, ties by row; of a group of ties that `keep` would cut, all are left out unless it is the first."""
    steps = np.round(scores / TIE).astype(np.int64)
    if keep >= len(steps):
        return np.argsort(-steps, kind="stable")
    edge = np.partition(steps, len(steps) - keep)[len(steps) - keep]
    rows = np.flatnonzero(steps > edge)
    if not len(rows):
        rows = np.flatnonzero(steps == edge)
    return rows[np.argsort(-steps[rows], kind="stable")]


def k_centre(
    vectors: np.ndarray,
    size: int,
    first: int,
    rank: np.ndarray,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[np.ndarray, float]:
    """(rows (size,), radius): greedy farthest-first from `first`; each next record is the one farthest from all picked so far.

    The radius is the largest distance |a - b| of a record to its nearest pick, at most twice that of the best possible pick of
    this size (Gonzalez 1985). O(N d size); a smaller size is a prefix of a larger one.
    """
    order = np.argsort(rank, kind="stable")
    pool = np.ascontiguousarray(np.asarray(vectors, np.float32)[order])
    size = min(size, len(pool))
    gap = np.full(len(pool), np.inf, np.float32)  # 1 - cosine = |a - b|^2 / 2, which has the same order
    row, picked, done = int(np.flatnonzero(order == first)[0]), [], np.zeros(len(pool), bool)
    for _ in range(size):
        picked.append(row)
        done[row] = True
        np.minimum(gap, 1 - pool @ pool[row], out=gap)
        gap[done] = -1
        row = int(np.argmax(gap >= gap.max() - TIE))
    radius = float(np.sqrt(2 * max(gap.max(), 0))) if len(pool) else float("nan")
    return order[np.array(picked, np.int64)], radius


def facility_location(vectors: np.ndarray, size: int, rank: np.ndarray) -> tuple[np.ndarray, float]:
    """(rows (size,), value): lazy greedy for F(S) = sum_i max_{j in S} max(0, cos(i, j)), over every pair.

    F is monotone and submodular, so greedy reaches at least 1 - 1/e of the best value (Nemhauser et al. 1978); lazy evaluation
    (Minoux 1978) picks what plain greedy would. O(N^2) memory: at most EXACT_UNTIL records.
    """
    order = np.argsort(rank, kind="stable")
    pool = np.asarray(vectors, np.float32)[order]
    alike = np.maximum(pool @ pool.T, 0)

    def column(row: int) -> tuple[slice, np.ndarray]:
        return slice(None), alike[row]

    rows, value = _lazy_greedy(alike.sum(1, dtype=np.float64), column, min(size, len(pool)))
    return order[rows], value


def facility_location_sparse(
    neighbours: np.ndarray, similarity: np.ndarray, size: int, rank: np.ndarray
) -> tuple[np.ndarray, float]:
    """The same over the similarities of nearest neighbours only (N, k), made symmetric, the rest counted as 0.

    Greedy keeps its 1 - 1/e for this thinned F, not for the full one. O(N k) memory.
    """
    from scipy.sparse import coo_array, eye_array

    count = len(neighbours)
    order = np.argsort(rank, kind="stable")
    there = (neighbours >= 0) & np.isfinite(similarity) & (similarity > 0)
    left = np.repeat(np.arange(count), neighbours.shape[1])[there.ravel()]
    links = coo_array(
        (similarity[there].astype(np.float64), (rank[left], rank[neighbours[there]])), (count, count)
    ).tocsr()
    alike = links.maximum(links.T).maximum(eye_array(count, format="csr")).tocsr()

    def column(row: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(alike.indptr[row], alike.indptr[row + 1])
        return alike.indices[part], alike.data[part]

    rows, value = _lazy_greedy(np.asarray(alike.sum(axis=1)).ravel(), column, min(size, count))
    return order[rows], value


def _lazy_greedy(
    first: np.ndarray, column: Callable[[int], tuple[slice | np.ndarray, np.ndarray]], size: int
) -> tuple[np.ndarray, float]:
    """Gains only shrink as the pick grows, so an old gain is an upper bound: only the top of the heap is computed anew."""
    heap = [(-round(float(gain), 5), row, 0) for row, gain in enumerate(first)]
    heapq.heapify(heap)
    best, picked = np.zeros(len(first)), []
    while len(picked) < size:
        gain, row, seen = heapq.heappop(heap)
        where, values = column(row)
        if seen < len(picked):
            now = float(np.maximum(values - best[where], 0).sum(dtype=np.float64))
            heapq.heappush(heap, (-round(now, 5), row, len(picked)))
            continue
        best[where] = np.maximum(best[where], values)
        picked.append(row)
    return np.array(picked, np.int64), float(best.sum())


def location_value(vectors: np.ndarray, rows: Sequence[int]) -> float:
    """F(S) of any pick: sum over all records of the largest non-negative cosine to a picked one."""
    pool = np.asarray(vectors, np.float64)
    return float(np.maximum(pool @ pool[np.asarray(rows, np.int64)].T, 0).max(1).sum()) if len(rows) else 0.0
