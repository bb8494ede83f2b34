"""Products of many rows, exactly, at a fraction of the matrix rate: a bound in bfloat16 first, float32 for what passes it.

A pair of rows is of interest when its dot product reaches a threshold, and almost none does. So each row x becomes a short z
whose product with another row's z is an upper bound of the true one: the leading principal components of x, then the norm of the
rest (Cauchy–Schwarz: x.y = x_p.y_p + x_r.y_r <= x_p.y_p + |x_r| |y_r|), rounded to bfloat16. With z = z' + e (z' the rounded
one), z.w <= z'.w' + |e_z||w'| + |z'||e_w| + |e_z||e_w|: the rounding costs a slack of about 0.004 for unit rows. Processors that
multiply bfloat16 do so several times faster than float32; on others the bound is multiplied in float32. What passes is computed in
float32 from the rows themselves, so the result does not depend on the way.
"""

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import InputError

if TYPE_CHECKING:
    import torch

ROWS, COLUMNS = 1024, 8192  # a block of bounds: 16 MiB
WIDTHS = (64, 96, 128, 192, 256)  # principal components to choose from, besides all
PART = 65_536  # rows that are rounded at a time
SAMPLE = 2000
LOWEST = -32768
OUTPUT = 2.0**-8  # relative: rounding a product to bfloat16, twice what rounding to nearest costs
# CPU nanoseconds a pair, of which only the ratios matter: a product of width p costs BASE + p * SLOPE, an exact product EXACT.
BASE, SLOPE, SLOPE_FLOAT32, EXACT = 0.5, 0.004, 0.022, 150.0


@dataclass(frozen=True)
class Bounds:
    """Rows and their bounds. Products of `left` and `right` are at most the product of their bounds + `slack` (+ OUTPUT of it)."""

    rows: tuple[np.ndarray, np.ndarray]  # (N, d), (M, d) float32 or float16, where they lie
    short: "tuple[torch.Tensor, torch.Tensor]"  # (N, p), (M, p) bfloat16, or float32
    slack: float


def bounds(left: np.ndarray, right: np.ndarray, threshold: float | None = None) -> Bounds:
    """Bounds for the products of rows (N, d) and (M, d), the same array for one set with itself.

    With a threshold the bounds are upper ones, on as many principal components as is cheapest on a sample. Without one they keep
    all columns, and a product differs from its bound by at most the slack, to either side.

    Errors: InputError for rows with NaN or infinity.
    """
    import torch

    x = _plain(left)
    y = x if left is right else _plain(right)
    kind = torch.bfloat16 if _bfloat16_pays() else torch.float32
    axes = None if threshold is None else _axes(x, y, threshold, kind == torch.bfloat16)
    short, errors, sizes = [], [], []
    for rows in (x,) if y is x else (x, y):
        rounded, error, size = _rounded(rows, axes, kind)
        short.append(rounded)
        errors.append(error)
        sizes.append(size)
    (a, b), (s, t) = ((v[0], v[-1]) for v in (errors, sizes))
    if not np.isfinite(a + b + s + t):
        raise InputError(
            "Some vectors hold NaN or infinity, which are like nothing. Embed the records again, or mend the file."
        )
    accumulated = 2e-6 * max(1.0, s * t)  # float32 sums of a few hundred terms
    return Bounds((x, y), (short[0], short[-1]), a * t + s * b + a * b + accumulated)


def over(both: Bounds, threshold: float, first: int, column: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs at or over the threshold of the block that begins at (first, column): rows, columns (int64), products (float32)."""
    scores = block(both, slice(first, first + ROWS), slice(column, column + COLUMNS))
    _kernels().order(scores)
    i, j, exact = _passing(both, scores, np.full(len(scores), threshold, np.float32), first, column)
    keep = exact >= np.float32(threshold)
    return i[keep], j[keep], exact[keep]


def _passing(
    both: Bounds, scores: np.ndarray, thresholds: np.ndarray, first: int, column: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of a block whose bound allows their row's threshold (B,), with their exact products."""
    kernels = _kernels()
    lowest = (thresholds - both.slack) / (1 + np.sign(thresholds - both.slack) * OUTPUT)
    keys = _key(lowest)
    counts = np.zeros(len(scores), np.int64)
    kernels.count(scores, keys, counts)
    i, j = np.empty(counts.sum(), np.int64), np.empty(counts.sum(), np.int64)
    kernels.fill(scores, keys, counts, first, column, i, j)
    exact = np.empty(len(i), np.float32)
    if not len(i):
        return i, j, exact
    left, right = (
        single(rows[start : start + size])
        for rows, start, size in zip(both.rows, (first, column), scores.shape, strict=True)
    )
    kernels.dots(left, right, i, j, first, column, exact)
    return i, j, exact


def block(both: Bounds, rows: slice, columns: slice) -> np.ndarray:
    """(B, C) int16: the products of the bounds of these rows of `left` and `right`, as the bits of bfloat16."""
    import torch

    left, right = both.short
    return (left[rows] @ right[columns].T).bfloat16().view(torch.int16).numpy()


def values() -> np.ndarray:
    """(65536,) float32: what each key stands for, at the key + 32768. NaN where a key is no number."""
    keys = np.arange(-32768, 32768, dtype=np.int32)
    bits = np.where(keys >= 0, keys, keys ^ 0x7FFF).astype(np.uint16).astype(np.uint32) << 16
    return bits.view(np.float32)


def _key(values: np.ndarray) -> np.ndarray:
    """int16 keys of the largest bfloat16 at or under float32 values; -inf gives the lowest key."""
    bits = np.ascontiguousarray(values, np.float32).view(np.int32)
    keys = np.where(bits >= 0, bits >> 16, ~(((bits & 0x7FFFFFFF) + 0xFFFF) >> 16))
    return np.maximum(keys, LOWEST).astype(np.int16)


@lru_cache(maxsize=1)
def _kernels() -> Any:
    """The loops over a block, compiled on first use (about a second in each process)."""
    from types import SimpleNamespace

    from numba import njit

    @njit(nogil=True)
    def order(keys):
        """Bits of bfloat16 as int16 -> keys in the same order: negative numbers have theirs turned round."""
        flat = keys.reshape(-1)
        for n in range(flat.size):
            flat[n] ^= (flat[n] >> 15) & 0x7FFF

    @njit(nogil=True)
    def count(keys, lowest, counts):
        for r in range(keys.shape[0]):
            row, cut, total = keys[r], lowest[r], 0
            for c in range(row.size):
                total += row[c] >= cut
            counts[r] = total

    @njit(nogil=True)
    def fill(keys, lowest, counts, first, column, i, j):
        n = 0
        for r in range(keys.shape[0]):
            if counts[r]:
                row, cut, left = keys[r], lowest[r], counts[r]
                for c in range(row.size):
                    if row[c] >= cut:
                        i[n], j[n] = first + r, column + c
                        n += 1
                        left -= 1
                        if left == 0:
                            break

    @njit(nogil=True, fastmath=True)
    def dots(x, y, i, j, first, column, out):
        for n in range(i.size):
            a, b, total = x[i[n] - first], y[j[n] - column], np.float32(0)
            for d in range(a.size):
                total += a[d] * b[d]
            out[n] = total

    return SimpleNamespace(order=order, count=count, fill=fill, dots=dots)


def _rounded(rows: np.ndarray, axes: np.ndarray | None, kind: Any) -> "tuple[torch.Tensor, float, float]":
    """The short rows in `kind`, the largest error of one and the largest norm; made in blocks, so that nothing is held twice."""
    import torch

    if axes is None and kind == torch.float32 and rows.dtype == np.float32:
        whole = torch.from_numpy(rows)
        return whole, 0.0, float(whole.norm(dim=1).max()) if len(rows) else 0.0
    width = rows.shape[1] if axes is None else axes.shape[1] + 1
    out, error, size = torch.empty((len(rows), width), dtype=kind), 0.0, 0.0
    for start in range(0, len(rows), PART):
        part = rows[start : start + PART]
        whole = torch.from_numpy(single(part) if axes is None else _shortened(part, axes))
        out[start : start + len(part)] = whole
        back = out[start : start + len(part)].float()
        error = float(np.maximum(error, float((whole - back).norm(dim=1).max())))  # a NaN stays one
        size = float(np.maximum(size, float(back.norm(dim=1).max())))
    return out, error, size


def tensor(rows: np.ndarray) -> "torch.Tensor":
    """Rows as a float32 tensor that nobody writes to, by `single`."""
    import warnings

    import torch

    with warnings.catch_warnings():  # of an array that torch could write to
        warnings.simplefilter("ignore")
        return torch.from_numpy(single(rows))


def single(rows: np.ndarray) -> np.ndarray:
    """Rows in float32: as they lie where they are that, else a copy; give it a block, or a set known to be small."""
    return rows if rows.dtype == np.float32 else rows.astype(np.float32)


def _axes(x: np.ndarray, y: np.ndarray, threshold: float, fast: bool) -> np.ndarray | None:
    """(d, p) principal axes on which the bound is cheapest, judged by a sample of pairs; None: keep all columns."""
    random = np.random.default_rng(0)
    few = [single(rows[np.sort(random.choice(len(rows), min(SAMPLE, len(rows)), replace=False))]) for rows in (x, y)]
    _, axes = np.linalg.eigh(sum(part.T.astype(np.float64) @ part for part in few))
    axes = np.ascontiguousarray(axes[:, ::-1].astype(np.float32))
    width = x.shape[1]
    slope = SLOPE if fast else SLOPE_FLOAT32
    best, cost = None, BASE + slope * width + EXACT * float(np.mean(few[0] @ few[1].T >= threshold - 0.005))
    for p in WIDTHS:
        if p < width:
            short = [_shortened(part, axes[:, :p]) for part in few]
            price = BASE + slope * p + EXACT * float(np.mean(short[0] @ short[1].T >= threshold - 0.005))
            if price < cost:
                best, cost = axes[:, :p], price
    return best


def _shortened(rows: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """(N, p + 1): rows on the axes, then the norm of what these leave out, never too small."""
    short = np.empty((len(rows), axes.shape[1] + 1), np.float32)
    for start in range(0, len(rows), PART):
        part = single(rows[start : start + PART])
        on = part @ axes
        rest = np.einsum("nd,nd->n", part, part, dtype=np.float64) - np.einsum("np,np->n", on, on, dtype=np.float64)
        short[start : start + len(part), :-1] = on
        short[start : start + len(part), -1] = np.sqrt(np.maximum(rest, 0) + 1e-6)
    return short


@lru_cache(maxsize=1)
def _bfloat16_pays() -> bool:
    """Whether this processor multiplies bfloat16 faster than float32; only the speed of a result depends on it."""
    import torch

    took = []
    for kind in (torch.float32, torch.bfloat16):
        a, b = torch.ones(256, 384, dtype=kind), torch.ones(2048, 384, dtype=kind)
        a @ b.T
        begun = time.perf_counter()
        for _ in range(3):
            a @ b.T
        took.append(time.perf_counter() - begun)
    return took[1] < took[0]


def _plain(rows: np.ndarray) -> np.ndarray:
    """Contiguous float32 or float16 that torch may wrap; copied only when it must be, so a memory map stays on disk."""
    import warnings

    import torch

    if rows.dtype not in (np.float32, np.float16) or not rows.flags.c_contiguous or not rows.size:
        return np.array(rows, np.float32, order="C")
    if rows.flags.writeable:
        return rows
    with warnings.catch_warnings():  # of writing to it, which nothing here does
        warnings.simplefilter("ignore")
        return torch.from_numpy(rows).numpy()
