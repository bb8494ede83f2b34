"""Row-wise work that survives a kill: what each batch gave is kept in small files until the whole is done."""

import os
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from core.influence.transfer import Work, one_behind
from core.progress import Progress

KEEP_EVERY = 3.0  # seconds of work that a kill may cost


def run_batches(
    scratch: Path,
    label: str,
    batches: Sequence[np.ndarray],
    sizes: np.ndarray,
    work: Work,
    columns: Sequence[str],
    progress: Progress,
    keep_every: float = KEEP_EVERY,
    spread: Callable[[Sequence[int]], Iterator[tuple[int, dict[str, np.ndarray]]]] | None = None,
) -> tuple[dict[str, np.ndarray], float]:
    """({column: (N,) float64, NaN where no batch reached}, tokens per second of this run).

    With `spread`, other workers do what `work` would do here: given the numbers of batches, it yields (number, values) in any order.

    `work(rows)` returns one value a row for each column; `sizes` (N,) are the rows' tokens. `label` must change with anything that
    the values or the batches depend on: files of another label are not read. Batches are the same in a resumed run, so its values
    are bit for bit those of an unbroken one.
    """
    found = {name: np.full(len(sizes), np.nan) for name in columns}
    done = np.zeros(len(batches), bool)
    for numbers, rows, *values in _kept(scratch, f"rows-{label}", columns):
        done[numbers] = True
        for name, column in zip(columns, values, strict=True):
            found[name][rows] = column
    total, seen = sum(len(b) for b in batches), sum(len(b) for b, d in zip(batches, done, strict=True) if d)
    tokens_left = sum(int(sizes[b].sum()) for b, d in zip(batches, done, strict=True) if not d)
    started, worked, kept, pending = time.monotonic(), 0, time.monotonic(), []

    def keep() -> None:
        if not pending:
            return
        rows = np.concatenate([batches[i] for i in pending])
        _keep(scratch, f"rows-{label}", pending, rows, **{name: found[name][rows] for name in columns})
        pending.clear()

    try:
        todo = np.flatnonzero(~done).tolist()
        for i, values in spread(todo) if spread else one_behind(work, batches, todo):
            rows = batches[i]
            for name in columns:
                found[name][rows] = values[name]
            pending.append(i)
            seen += len(rows)
            worked += int(sizes[rows].sum())
            if time.monotonic() - kept > keep_every:
                keep()
                kept = time.monotonic()
            rate = worked / max(time.monotonic() - started, 1e-6)
            left = (tokens_left - worked) / max(rate, 1e-6)
            progress(seen, total, f"{seen:,} of {total:,} records, {rate:,.0f} tokens/s, {left:.0f} s left")
    except BaseException:
        keep()
        raise
    return found, worked / max(time.monotonic() - started, 1e-6)


def run_ragged(
    scratch: Path,
    label: str,
    batches: Sequence[np.ndarray],
    sizes: np.ndarray,
    work: Callable[[np.ndarray], Sequence[np.ndarray]],
    progress: Progress,
    keep_every: float = KEEP_EVERY,
) -> tuple[dict[int, np.ndarray], float]:
    """({row: its (sizes[row],) float64 values}, tokens per second of this run): as `run_batches`, for many values a row."""
    found: dict[int, np.ndarray] = {}
    done = np.zeros(len(batches), bool)
    for numbers, rows, values in _kept(scratch, f"ragged-{label}", ["values"]):
        done[numbers] = True
        found |= dict(zip(rows.tolist(), np.split(values, np.cumsum(sizes[rows])[:-1]), strict=True))
    total, seen = sum(len(b) for b in batches), len(found)
    started, worked, kept, pending = time.monotonic(), 0, time.monotonic(), []

    def keep() -> None:
        if not pending:
            return
        rows = np.concatenate([batches[i] for i in pending])
        _keep(scratch, f"ragged-{label}", pending, rows, values=np.concatenate([found[r] for r in rows.tolist()]))
        pending.clear()

    try:
        for i, rows in enumerate(batches):
            if done[i]:
                continue
            found |= dict(zip(rows.tolist(), work(rows), strict=True))
            pending.append(i)
            seen += len(rows)
            worked += int(sizes[rows].sum())
            if time.monotonic() - kept > keep_every:
                keep()
                kept = time.monotonic()
            rate = worked / max(time.monotonic() - started, 1e-6)
            progress(seen, total, f"{seen:,} of {total:,} records, {rate:,.0f} response tokens/s")
    except BaseException:
        keep()
        raise
    return found, worked / max(time.monotonic() - started, 1e-6)


def _keep(scratch: Path, name: str, batches: Sequence[int], rows: np.ndarray, **values: np.ndarray) -> None:
    """What some batches gave, in a file of its own that is there whole or not at all."""
    path = scratch / f"{name}-{batches[0]:07d}.npz"
    part = path.with_suffix(".part")
    with part.open("wb") as stream:
        np.savez(stream, batches=np.array(batches), rows=rows, **values)
    os.replace(part, path)


def _kept(scratch: Path, name: str, values: Sequence[str]) -> Iterator[list[np.ndarray]]:
    """[numbers of batches, rows, one array for each of `values`] of every file that `_keep` wrote under this name."""
    for path in sorted(scratch.glob(f"{name}-*.npz")):
        try:
            with np.load(path, allow_pickle=False) as stored:
                yield [stored[key] for key in ("batches", "rows", *values)]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            continue  # half-written before a power cut: computed again
