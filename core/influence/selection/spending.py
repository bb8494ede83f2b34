"""A budget spent along an order of records under limits: at most so many from a cluster, just so many from a category."""

from collections.abc import Mapping, Sequence

import numpy as np


def largest_remainder(shares: Sequence[float], total: int) -> np.ndarray:
    """(K,) int64 summing to `total`, as near to the shares as whole numbers allow: floors first, then the largest remainders,
    ties to the earlier one (Hamilton's method)."""
    given = np.asarray(shares, float)
    if not len(given) or given.sum() <= 0 or total <= 0:
        return np.zeros(len(given), np.int64)
    exact = total * given / given.sum()
    whole = np.floor(exact + 1e-9).astype(np.int64)
    rest = np.round(exact - whole, 9)
    whole[np.lexsort((np.arange(len(given)), -rest))[: total - int(whole.sum())]] += 1
    return whole


def running_count(groups: np.ndarray) -> np.ndarray:
    """(N,) int64: how many entries of the same group stand before each."""
    order = np.argsort(groups, kind="stable")
    sorted_groups = groups[order]
    starts = np.flatnonzero(np.r_[True, sorted_groups[1:] != sorted_groups[:-1]]) if len(groups) else np.zeros(0, int)
    sizes = np.diff(np.r_[starts, len(groups)])
    out = np.empty(len(groups), np.int64)
    out[order] = np.arange(len(groups)) - np.repeat(starts, sizes)
    return out


def capped(order: np.ndarray, groups: np.ndarray, cap: int, size: int) -> tuple[np.ndarray, int]:
    """(rows (size,), lifted): along `order`, at most `cap` of each group; group -1 (noise) has no cap.

    Where the caps leave the budget unfilled, the next best beyond them fill it; `lifted` says how many those are.
    """
    own = groups[order]
    within = (own < 0) | (running_count(own) < cap)
    rows = np.concatenate([order[within], order[~within]])[:size]
    return rows, max(0, len(rows) - int(within.sum()))


def quotas(shares: Mapping[str, float], able: Mapping[str, int], size: int) -> tuple[dict[str, int], dict[str, int]]:
    """({category: records to pick}, {category: records short of its share}).

    Every category gets its largest-remainder part of `size`; where fewer are able, all are taken and what is missing goes, again
    by largest remainder, to the categories with a share and records left; then, by size, to those without a share.
    """
    names = sorted(set(shares) | set(able))
    given = np.array([max(0.0, shares.get(n, 0.0)) for n in names])
    have = np.array([able.get(n, 0) for n in names], np.int64)
    wanted = largest_remainder(given, size)
    taken = np.minimum(wanted, have)
    for weights in (given, have.astype(float)):
        while (left := min(size, int(have.sum())) - int(taken.sum())) > 0:
            room = np.where(have > taken, weights, 0.0)
            if room.sum() <= 0:
                break
            taken = np.minimum(taken + largest_remainder(room, left), have)
    short = {n: int(w - h) for n, w, h in zip(names, wanted, have, strict=True) if w > h}
    return {n: int(t) for n, t in zip(names, taken, strict=True)}, short
