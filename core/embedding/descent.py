"""UMAP's layout by stochastic gradient descent, on all cores and yet the same each time.

The forces, the sampling of edges by their strength, five repulsions for an attraction and the falling step are those of McInnes et al.
2018, algorithm 5. umap-learn moves both ends of an edge where they lie in memory, so a layout on several cores comes out differently
each time and a seed costs all cores but one. Here each point moves by its own edges alone, from where the others were after the
epoch before: points can go to any core in any order. An edge of a symmetric graph is seen from both ends, and umap-learn pulls each
end twice for it; so it is pulled twice here. Random numbers come from the seed, the epoch and the point.
"""

from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from core.progress import Progress, silent

REPULSIONS = 5
CELLS = 4096  # of a table of forces
FAR = 4.0  # a force is cut at this, as in umap-learn
STEP = 0.25  # the first; umap-learn begins with 1, but moves one end of an edge after the other, and what moves at once swings


@lru_cache(maxsize=8)
def curve(min_dist: float, spread: float = 1.0) -> tuple[float, float]:
    """a, b of 1 / (1 + a d^2b) fitted to a step at min_dist that falls off with `spread` (McInnes et al. 2018, section 3.2)."""
    from scipy.optimize import curve_fit

    distance = np.linspace(0, 3 * spread, 300)
    wanted = np.where(distance < min_dist, 1.0, np.exp(-(distance - min_dist) / spread))
    (a, b), _ = curve_fit(lambda x, a, b: 1 / (1 + a * x ** (2 * b)), distance, wanted)
    return float(a), float(b)


@lru_cache(maxsize=8)
def forces(min_dist: float) -> tuple[np.ndarray, np.ndarray]:
    """(CELLS + 1,) float32 each: what an attraction and a repulsion multiply the way between two points by (UMAP's gradients).

    At x = s / (1 + s) of their squared distance s, x in even steps from 0 to 1, to be read with linear interpolation: a power for
    every draw was most of a layout's time. Up to a distance of .016 the attraction is cut where it would rise without end.
    """
    a, b = curve(min_dist)
    x = np.arange(CELLS) / CELLS
    x[0] = 0.25 / CELLS
    square = x / (1 - x)
    pull = -2 * a * b * square ** (b - 1) / (a * square**b + 1)
    push = 2 * b / ((0.001 + square) * (a * square**b + 1))
    return np.append(pull, 0).astype(np.float32), np.append(push, 0).astype(np.float32)


def descend(
    strengths: Any,
    start: np.ndarray,
    epochs: int,
    seed: int,
    min_dist: float,
    progress: Progress = silent,
) -> np.ndarray:
    """(N, d) float32 layout of a symmetric CSR graph of strengths (N, N) from `start` (N, d)."""
    pull, push = forces(min_dist)
    here = np.array(start, np.float32, order="C")
    # Edges that would not be drawn once in all epochs are left out, as in umap-learn.
    often = _rates(strengths.data, float(strengths.data.max(initial=0)), epochs)
    work = _kernels(here.shape[1])
    there = np.empty_like(here)
    for epoch in range(epochs):
        size = np.float32(STEP * (1 - epoch / epochs))
        work.step(here, there, strengths.indptr, strengths.indices, often, pull, push, size, epoch, seed)
        here, there = there, here
        if epoch % 10 == 0:
            progress(epoch, epochs, "Laying out the map")
    return here


def settle_in(
    start: np.ndarray,
    layout: np.ndarray,
    ends: np.ndarray,
    strengths: np.ndarray,
    epochs: int,
    seed: int,
    min_dist: float,
) -> np.ndarray:
    """(M, d) float32: new points moved from `start` among the fixed points of `layout` (N, d) by their edges (M, k).

    A point moves alone: with its row of edges it would come to lie in the same place whatever else is placed. (umap-learn draws a
    point's strongest edge in proportion to the strongest of all points; here always.) And it is pulled twice for each draw, as the
    points of the layout were, where UMAP.transform pulls once and pushes as often: that drives new points to the rim. Of
    held-out records, .24 instead of .21 (sample data), .45 instead of .43 (MedQuAD and CLINC150) of the 15 nearest are kept.
    """
    pull, push = forces(min_dist)
    out = np.ascontiguousarray(start, np.float32).copy()
    often = _rates(strengths, strengths.max(1, keepdims=True), epochs)
    fixed = np.ascontiguousarray(layout, np.float32)
    _kernels(out.shape[1]).alone(out, fixed, np.ascontiguousarray(ends), often, pull, push, epochs, seed)
    return out


def _rates(strengths: np.ndarray, most: Any, epochs: int) -> np.ndarray:
    """float32 draws of an edge in an epoch, 1 for the strongest; 0 for one that would be drawn less than once in all."""
    rates = np.asarray(strengths, np.float32) / np.maximum(most, np.float32(1e-30))
    return np.where(rates * epochs >= 1, rates, 0).astype(np.float32)


@lru_cache(maxsize=4)
def _kernels(width: int) -> SimpleNamespace:
    """The loops for `width` dimensions, compiled on first use (some seconds)."""
    from numba import njit, prange

    cut, tiny = np.float32(FAR), np.float32(1e-20)
    one, two, cells = np.float32(1), np.float32(2), np.float32(CELLS)
    mix, add, shift, half = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x9E3779B97F4A7C15), np.uint64(31), np.uint64(32)

    @njit(inline="always")
    def scramble(x):
        x = (x ^ (x >> np.uint64(30))) * mix
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> shift)

    @njit(inline="always", fastmath=True)
    def moved(at, n, others, k, table, step):
        square = np.float32(0)
        for d in range(width):
            square += (at[n, d] - others[k, d]) ** two
        cell = square / (one + square) * cells
        low = min(int(cell), CELLS - 1)
        force = table[low] + (table[low + 1] - table[low]) * (cell - np.float32(low))
        for d in range(width):
            at[n, d] += min(max(force * (at[n, d] - others[k, d]), -cut), cut) * step
        return square

    @njit(inline="always", fastmath=True)
    def pushed(at, n, others, k, table, step):
        if moved(at, n, others, k, table, step) <= tiny:
            for d in range(width):
                at[n, d] += cut * step

    @njit(parallel=True, fastmath=True, nogil=True)
    def step(here, there, starts, ends, often, pull, push, size, epoch, seed):
        now, later = np.float32(epoch), np.float32(epoch + 1)
        count = np.uint64(len(here))
        for n in prange(len(here)):
            state = scramble(np.uint64(seed) * add + np.uint64(n) * mix + np.uint64(epoch))
            for d in range(width):
                there[n, d] = here[n, d]
            for e in range(starts[n], starts[n + 1]):
                if int(later * often[e]) > int(now * often[e]):
                    moved(there, n, here, ends[e], pull, two * size)
                    for _ in range(REPULSIONS):
                        state += add
                        k = np.int64(((scramble(state) >> half) * count) >> half)
                        if k != n:
                            pushed(there, n, here, k, push, size)

    @njit(parallel=True, fastmath=True, nogil=True)
    def alone(at, fixed, ends, often, pull, push, epochs, seed):
        count = np.uint64(len(fixed))
        for n in prange(len(at)):
            state = scramble(np.uint64(seed) * add + np.uint64(ends[n, 0]))
            for epoch in range(epochs):
                now, later = np.float32(epoch), np.float32(epoch + 1)
                size = np.float32(STEP * (1 - epoch / epochs))
                for e in range(ends.shape[1]):
                    if int(later * often[n, e]) > int(now * often[n, e]):
                        moved(at, n, fixed, ends[n, e], pull, two * size)
                        for _ in range(REPULSIONS):
                            state += add
                            k = np.int64(((scramble(state) >> half) * count) >> half)
                            pushed(at, n, fixed, k, push, size)

    return SimpleNamespace(step=step, alone=alone)
