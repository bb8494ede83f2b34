"""Columns that the scatter can be filtered by in the browser: one byte a point, so that a filter never waits for the server."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

NONE = 255  # the code of "no value"
MOST = 250  # categories with a bar of their own; the rest are one bar
BINS = 26  # bars of a histogram, about
FEW = 12  # so many whole numbers or fewer are bars of their own (a Likert scale)
FACETS = 12  # columns at once: one bit each in the browser


@dataclass(frozen=True)
class Facet:
    """A column as bars. `codes` (N,) uint8: the bar of each point, 255 without a value.

    Categories have `names`; numbers have `edges`, ascending, one more than bars: bar k holds edges[k] <= v < edges[k + 1], the
    first and the last also what lies beyond them. `levels`: the values themselves where each bar is one value.
    """

    name: str
    title: str
    codes: np.ndarray
    names: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()
    absent: str = "none"

    def described(self) -> dict[str, Any]:
        """What the browser must know besides the codes; `keys` name the categories in a link without saying them."""
        return {
            "name": self.name, "title": self.title, "absent": self.absent, "names": list(self.names),
            "keys": [value_key(n) for n in self.names], "edges": list(self.edges), "levels": list(self.levels),
        }  # fmt: skip


def value_key(text: str) -> str:
    """Eight hex digits that stand for a value in a link: the text itself may be private."""
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=4).hexdigest()


def category_facet(name: str, title: str, codes: np.ndarray, names: Sequence[str], absent: str = "none") -> Facet:
    """Bars of categories: `codes` (N,) integers, index into `names` (most frequent first), negative = none."""
    codes, kept = np.asarray(codes), list(names)
    if len(kept) > MOST:
        rest = len(kept) - MOST + 1
        kept = [*kept[: MOST - 1], f"{rest:,} smaller ones"]
        codes = np.minimum(codes, MOST - 1)
    return Facet(name, title, np.where(codes < 0, NONE, codes).astype(np.uint8), tuple(kept), absent=absent)


def number_facet(name: str, title: str, values: np.ndarray) -> Facet:
    """Bars of a number: its own values where they are few and whole, otherwise round steps between the 0.5th and 99.5th percentile."""
    values = np.asarray(values, dtype=np.float64)
    known = np.isfinite(values)
    found = values[known]
    levels = _levels(found)
    if levels is not None:
        edges = np.concatenate([[levels[0] - 0.5], (levels[:-1] + levels[1:]) / 2, [levels[-1] + 0.5]])
    else:
        edges = _edges(found)
    codes = np.full(len(values), NONE, np.uint8)
    codes[known] = np.searchsorted(edges[1:-1], found, side="right")
    own = () if levels is None else tuple(float(v) for v in levels)
    return Facet(name, title, codes, edges=tuple(float(e) for e in edges), levels=own, absent="no value")


def _levels(found: np.ndarray) -> np.ndarray | None:
    """The whole numbers that there are when they are few; None otherwise."""
    if not len(found) or (found[:1000] % 1).any() or (found % 1).any():
        return None
    levels = np.unique(found)
    return levels if len(levels) <= FEW else None


def _edges(found: np.ndarray) -> np.ndarray:
    if not len(found):
        return np.array([0.0, 1.0])
    low, high = (float(q) for q in np.percentile(found, [0.5, 99.5]))
    if not high > low:
        low, high = float(found.min()), float(found.max())
    if not high > low:
        return np.array([low - 0.5, low + 0.5])
    rough = (high - low) / BINS
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(s for s in (1, 2, 2.5, 5, 10) if s * power >= rough * (1 - 1e-9))
    first, last = int(np.floor(low / step)), int(np.ceil(high / step - 1e-9))
    return np.arange(first, max(last, first + 1) + 1) * step
