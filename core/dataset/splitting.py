"""Splits whose groups stay whole: near-duplicates, or one source, never stand on both sides. Arrays only; the ids are elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import InputError


@dataclass(frozen=True)
class Split:
    """`of` (N,) int16: the place of each record's split in `names`. `facts` say what was asked and what came of it."""

    names: tuple[str, ...]
    of: np.ndarray
    facts: Mapping[str, Any]

    def rows(self, name: str) -> np.ndarray:
        """(n,) rows of one split, in order."""
        return np.flatnonzero(self.of == self.names.index(name))


def parse_shares(text: str) -> dict[str, float]:
    """{"train": 0.8, …} from `train=80,validation=10,test=10` (percent or shares that sum to 1). InputError: anything else."""
    found: dict[str, float] = {}
    for item in text.split(","):
        name, equals, value = (part.strip() for part in item.partition("="))
        try:
            number = float(value.removesuffix("%"))
        except ValueError:
            number = float("nan")
        known = name.replace("-", "").replace("_", "").isalnum() and name not in found
        if not equals or not known or not number > 0 or not np.isfinite(number):
            raise InputError(f"The split {item.strip()!r} is not understood. Write train=80,validation=10,test=10.")
        found[name] = number
    total = sum(found.values())
    if len(found) < 2 or min(abs(total - 1), abs(total - 100)) > 1e-6 * total:
        raise InputError(f"{len(found)} shares sum to {total:g}. Give at least two that sum to 100 (or to 1).")
    return {name: value / total for name, value in found.items()}


def joined(*columns: Sequence[Any] | np.ndarray) -> np.ndarray:
    """(N,) int64 groups: records that share a value in any column are together, also through a third one.

    None, "" and -1 bind nobody.
    """
    count = len(columns[0]) if columns else 0
    parent = np.arange(count)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for column in columns:
        first: dict[Any, int] = {}
        values = column.tolist() if isinstance(column, np.ndarray) else column
        for row, value in enumerate(values):
            if value is None or value == "" or value == -1:
                continue
            other = first.setdefault(value, row)
            if other != row:
                a, b = root(other), root(row)
                parent[max(a, b)] = min(a, b)
    return np.array([root(i) for i in range(count)], np.int64)


def split_by_group(
    groups: np.ndarray, shares: Mapping[str, float], seed: int = 0, strata: Sequence[str] | None = None
) -> Split:
    """Every group in one split, sizes as near to `shares` as the groups allow, each stratum too.

    groups (N,) int: equal = together. Larger groups are placed first, each where it leaves the smallest squared gap to the wanted
    counts over the strata; groups of one fill the gaps that are left, stratum by stratum. The same seed gives the same split; the
    order of equal groups is drawn. Errors: InputError when there are fewer groups than splits.
    """
    names = tuple(shares)
    wanted = np.array([shares[n] for n in names])
    _, group = np.unique(groups, return_inverse=True)
    sizes = np.bincount(group)
    if len(sizes) < len(names):
        raise InputError(
            f"{len(groups):,} records form {len(sizes):,} groups, too few for {len(names)} splits. Group by something finer."
        )
    values = np.asarray(strata if strata is not None else [""] * len(groups), dtype=object).astype(str)
    kinds, kind = np.unique(values, return_inverse=True)
    # gap[s, k]: records of stratum k that split s still lacks
    gap = np.outer(wanted, np.bincount(kind, minlength=len(kinds))).astype(float)
    rng = np.random.default_rng(seed)
    draw = rng.permutation(len(sizes))
    at = np.full(len(sizes), -1, np.int64)
    order = np.lexsort((draw, -sizes))
    many = order[sizes[order] > 1]
    rows = np.argsort(group, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    for g in many.tolist():
        own = np.bincount(kind[rows[starts[g] : starts[g + 1]]], minlength=len(kinds)).astype(float)
        # sum over strata of (gap - own)^2 - gap^2 = own.own - 2 gap.own; the total counts as one stratum more, so that shares hold.
        change = -2 * gap @ own - 2 * gap.sum(1) * own.sum()
        best = int(np.argmin(change))
        at[g], gap[best] = best, gap[best] - own
    single = order[sizes[order] == 1]
    for k in range(len(kinds)):
        mine = single[kind[rows[starts[single]]] == k]
        at[mine] = np.repeat(np.arange(len(names)), _filled(gap[:, k], len(mine), gap.sum(1)))[
            rng.permutation(len(mine))
        ]
        gap[:, k] -= np.bincount(at[mine], minlength=len(names))
    of = at[group].astype(np.int16)
    return Split(names, of, _facts(names, wanted, of, values, kinds, sizes, seed, strata is not None))


def _filled(gap: np.ndarray, count: int, overall: np.ndarray) -> np.ndarray:
    """How many of `count` single records go to each split: what it lacks, rounded by the largest remainder, never below 0."""
    lack = np.maximum(gap, 0)
    if lack.sum() <= 0:
        lack = np.maximum(overall, 0) if overall.max() > 0 else np.ones_like(gap)
    exact = lack * (count / lack.sum())
    found = np.floor(exact).astype(np.int64)
    rest = count - int(found.sum())
    # Equal remainders go where most is lacking overall, or small strata would all round the same way.
    for place in np.lexsort((-overall, -(np.round(exact - found, 9))))[:rest]:
        found[place] += 1
    return found


def _facts(names, wanted, of, values, kinds, sizes, seed: int, stratified: bool) -> dict[str, Any]:
    counts = np.bincount(of, minlength=len(names))
    total = len(of)
    facts: dict[str, Any] = {
        "seed": seed,
        "groups": len(sizes),
        "groups_of_several": int((sizes > 1).sum()),
        "largest_group": int(sizes.max()),
        "splits": {
            name: {"asked": float(wanted[s]), "records": int(counts[s]), "share": float(counts[s] / total)}
            for s, name in enumerate(names)
        },
        "off_by": float(np.abs(counts / total - wanted).max()),
    }
    if stratified:
        table = np.zeros((len(names), len(kinds)), np.int64)
        np.add.at(table, (of, np.searchsorted(kinds, values)), 1)
        ideal = np.outer(wanted, table.sum(0))
        apart = np.abs(table - ideal)
        worst = np.unravel_index(np.argmax(apart), apart.shape)
        facts["strata"] = len(kinds)
        facts["worst_stratum"] = {
            "split": names[worst[0]], "stratum": str(kinds[worst[1]]), "records": int(table[worst]), "asked": float(ideal[worst]),
        }  # fmt: skip
        facts["absent"] = {
            name: [str(k) for k, n in zip(kinds, table[s], strict=True) if not n and k][:50]
            for s, name in enumerate(names)
        }
    return facts
