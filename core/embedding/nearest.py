"""The k nearest rows of each row, exactly: bounds in bfloat16 (core/embedding/products.py), then float32 where it counts.

A block of bounds is made by one matrix product. The k best products of a row so far say what a further one must reach, and only pairs
whose bound allows it are computed in float32. A set with itself is symmetric: a block beside the diagonal is made once and read twice,
for its rows and for its columns. Each thread has its own rows, then its own columns, so that none waits for another and the outcome
does not depend on their number.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from core.embedding.products import COLUMNS, LOWEST, OUTPUT, ROWS, Bounds, block, single, values
from core.progress import Progress, silent

STEPS = 2**20  # products are compared in steps of about 1e-6
WIDE = 64  # bounds that are looked at together, and singly only when one of them matters


def nearest(
    both: Bounds, k: int, same: bool, progress: Progress = silent
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Blocks of (first row, (B, k) int64 columns, (B, k) float32 products): for each row of `left` the k largest, largest first.

    Products are compared in steps of 1 / STEPS, so that rounding decides no tie; ties go by position. With `same`, left and
    right are one set and a row is not its own neighbour. k must not exceed the columns there are to choose from.
    """
    import torch

    left, right = both.short
    kept = len(left) if same else ROWS  # rows whose best are held: all, where later rows are columns of earlier blocks
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:

        def share(work: Any, begin: int, end: int, *given: Any) -> None:
            """work(…, start, stop) of equal parts of begin..end, a thread each."""
            cuts = [begin + (end - begin) * n // threads for n in range(threads + 1)]
            list(pool.map(lambda start, stop: work(*given, start, stop), cuts[:-1], cuts[1:]))

        for first in range(0, len(left), ROWS):
            last = min(first + ROWS, len(left))
            if first % kept == 0:
                columns, products = np.full((kept, k), -1, np.int64), np.full((kept, k), -np.inf, np.float32)
            mine, x = slice(first, last), single(both.rows[0][first:last])
            best = (columns[first % kept :][: last - first], products[first % kept :][: last - first])
            for column in range(first if same else 0, len(right), COLUMNS):
                others = slice(column, column + COLUMNS)
                keys, y = block(both, mine, others), single(both.rows[1][others])
                about = (keys, values(), both.slack, OUTPUT, x, y, first, column)
                share(_kernels().by_row, 0, len(keys), *about, same, *best)
                if same:
                    share(_kernels().by_column, max(column, last), column + keys.shape[1], *about, columns, products)
            yield first, *best
            progress(*_done(last, len(left), same), "Comparing records")


def _done(rows: int, of: int, same: bool) -> tuple[int, int]:
    """How much of the work is done after so many rows: of a set with itself the first blocks are the longest."""
    return (of * of - (of - rows) ** 2, of * of) if same else (rows, of)


@lru_cache(maxsize=1)
def _kernels() -> SimpleNamespace:
    """The loops over a block, compiled on first use (two or three seconds in each process)."""
    from numba import njit

    @njit(nogil=True)
    def key(value):
        """int16 key of the largest bfloat16 at or under a float32 (-inf has one too)."""
        bits = np.float32(value).view(np.int32)
        return np.int16(bits >> 16 if bits >= 0 else ~(((bits & 0x7FFFFFFF) + 0xFFFF) >> 16))

    @njit(nogil=True)
    def needed(reach, slack, output):
        """Key that a bound must have for its product to be able to reach `reach`."""
        least = reach - slack
        return key(least / (1 + output if least > 0 else 1 - output))

    @njit(nogil=True)
    def raised(best, value, slack, output):
        """Take the product with the bound `value` into the lower bounds `best`, ascending; the key over which others raise them."""
        value -= slack + abs(value) * output
        if value > best[0]:
            at = 0
            while at + 1 < best.size and best[at + 1] < value:
                best[at] = best[at + 1]
                at += 1
            best[at] = value
        return key(best[0])

    @njit(nogil=True, fastmath=True)
    def dot(a, b):
        total = np.float32(0)
        for d in range(a.size):
            total += a[d] * b[d]
        return total

    @njit(nogil=True)
    def insert(columns, products, column, product):
        """Into the k best of a row, largest first; among equal ones it comes last, as it is the last by position. The new k-th."""
        rank, at = np.rint(np.float64(product) * STEPS), columns.size
        while at and np.rint(np.float64(products[at - 1]) * STEPS) < rank:
            if at < columns.size:
                columns[at], products[at] = columns[at - 1], products[at - 1]
            at -= 1
        if at < columns.size:
            columns[at], products[at] = column, product
        return products[-1] - np.float32(2 / STEPS)

    # Slices let the compiler see that no index is negative: these two run at 0.05 ns a bound, with indices into the row at 0.4.
    @njit(nogil=True)
    def highest(keys):
        top = keys[0]
        for n in range(keys.size):
            top = max(top, keys[n])
        return top

    @njit(nogil=True)
    def any_over(keys, cuts):
        over = False
        for n in range(keys.size):
            over |= keys[n] >= cuts[n]
        return over

    @njit(nogil=True)
    def by_row(keys, values, slack, output, x, y, first, column, same, columns, products, start, stop):
        """The columns of a block that may be near rows start..stop of it; the keys are put in order on the way."""
        best = np.empty(columns.shape[1], np.float32)
        for r in range(start, stop):
            row, n = keys[r], first + r
            for c in range(row.size):
                row[c] ^= (row[c] >> 15) & 0x7FFF
            if same and column <= n < column + row.size:
                row[n - column] = LOWEST
            reach = products[r, -1] - np.float32(2 / STEPS)
            if columns[r, -1] < 0:
                best[:] = -np.inf
                over = np.int16(LOWEST)
                for begin in range(0, row.size, WIDE):
                    few = row[begin : begin + WIDE]
                    if highest(few) > over:
                        for c in range(begin, begin + few.size):
                            if row[c] > over:
                                over = raised(best, values[row[c] + 32768], slack, output)
                reach = best[0]
            cut = needed(reach, slack, output)
            for begin in range(0, row.size, WIDE):
                few = row[begin : begin + WIDE]
                if highest(few) >= cut:
                    for c in range(begin, begin + few.size):
                        if row[c] >= cut:
                            reach = max(reach, insert(columns[r], products[r], column + c, dot(x[r], y[c])))
                            cut = needed(reach, slack, output)

    @njit(nogil=True)
    def by_column(keys, values, slack, output, x, y, first, column, columns, products, start, stop):
        """The rows of an ordered block that may be near the rows start..stop of the set, which are columns of the block."""
        size, k, low = max(stop - start, 0), columns.shape[1], start - column
        reach, cuts = products[start : start + size, -1] - np.float32(2 / STEPS), np.full(size, LOWEST, np.int16)
        if size and columns[start, -1] < 0:
            best = np.full((size, k), -np.inf, np.float32)
            for r in range(keys.shape[0]):
                row = keys[r, low : low + size]
                for begin in range(0, size, WIDE):
                    few = row[begin : begin + WIDE]
                    if any_over(few, cuts[begin : begin + WIDE]):
                        for c in range(begin, begin + few.size):
                            if row[c] > cuts[c]:
                                cuts[c] = raised(best[c], values[row[c] + 32768], slack, output)
            reach[:] = best[:, 0]
        for c in range(size):
            cuts[c] = needed(reach[c], slack, output)
        for r in range(keys.shape[0]):
            row = keys[r, low : low + size]
            for begin in range(0, size, WIDE):
                few = row[begin : begin + WIDE]
                if any_over(few, cuts[begin : begin + WIDE]):
                    for c in range(begin, begin + few.size):
                        if row[c] >= cuts[c]:
                            kth = insert(columns[start + c], products[start + c], first + r, dot(x[r], y[low + c]))
                            reach[c] = max(reach[c], kth)
                            cuts[c] = needed(reach[c], slack, output)

    return SimpleNamespace(by_row=by_row, by_column=by_column)
