"""What the proof trains: a learner fits a subset of the training records from one start, and tells its loss on the validation set."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from core.progress import Progress, silent


@dataclass(frozen=True)
class Fit:
    """One training. Losses in nats a response token, the mean over the validation records; lower = better."""

    loss: float
    start: float  # before the first step
    steps: int
    seconds: float


class Learner(Protocol):
    """Anything that can be trained on a subset; the same rows, seed and steps give the same loss on the same machine.

    `able` (N,) bool: training rows that have something to learn from. `forbidden` (N,) bool: rows that share their text with a
    validation record; `fit` refuses them.
    """

    name: str
    sentence: str  # what it is and what its loss means, for the screen
    identity: str  # changes with the records, the start, the settings of the training and the validation set
    able: np.ndarray
    forbidden: np.ndarray
    batch: int  # records in an optimiser step

    def fit(self, rows: np.ndarray, seed: int, steps: int, progress: Progress = silent) -> Fit: ...


def check_rows(learner: Learner, rows: np.ndarray) -> np.ndarray:
    """The rows, ascending, each once. Raises ValueError where one may not be trained on: a defect of the caller, never of the data."""
    rows = np.unique(np.asarray(rows, np.int64))
    if not len(rows):
        raise ValueError("nothing to train on")
    leaked = rows[learner.forbidden[rows]]
    if len(leaked):
        raise ValueError(f"{len(leaked)} rows to train on are part of the validation set (first: {leaked[0]})")
    return rows


def steps_for(count: int, batch: int, epochs: float) -> int:
    """Optimiser steps of `epochs` passes over `count` records; at least 1."""
    return max(1, round(epochs * max(1, count / batch)))


def batches(rows: np.ndarray, batch: int, steps: int, seed: int) -> Iterator[np.ndarray]:
    """`steps` batches: pass after pass over the rows, each in a new order by the seed; a pass ends with what is left of it."""
    rng = np.random.default_rng(seed)
    done = 0
    while done < steps:
        order = rows[rng.permutation(len(rows))]
        for at in range(0, len(order), batch):
            if done == steps:
                return
            done += 1
            yield order[at : at + batch]


def rate(top: float, step: int, steps: int) -> float:
    """A short rise, then a cosine down to a twentieth."""
    return top * min((step + 1) / max(1.0, 0.05 * steps), 0.525 + 0.475 * float(np.cos(np.pi * step / steps)))
