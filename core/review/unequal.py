"""Draws in which riskier records are likelier: each has an exact, known chance, and nobody's is zero.

Randomised systematic sampling (Goodman & Kish 1950; Hartley & Rao 1962): the records in random order, laid end to end on a line of
length n by their chances, and every whole step from one random start takes the record it lands in. The size is fixed and the
chance of each record is exactly its length. With whom it is drawn together is not known exactly (`stratified.unequal_rate`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from core.errors import InputError
from core.review.sampling import Draw, pool

METHOD = (
    "randomised systematic: order = Generator(PCG64(seed)).permutation(N) over the ids sorted as text, start = .random(), records at "
    "start + 0..n-1 on the cumulated chances, then one permutation"
)


def inclusion(weights: Sequence[float] | np.ndarray, size: int) -> np.ndarray:
    """(N,) the chance of each record, proportional to its weight and adding up to `size`.

    A weight so large that its chance would pass 1 is drawn with certainty, and the rest is shared out again (until none is).
    """
    weights = np.asarray(weights, dtype=float)
    if not np.all(np.isfinite(weights)) or np.any(weights <= 0):
        raise InputError(
            "A weight is zero, negative or no number. Every record needs a weight above 0: nobody's chance may be zero."
        )
    if size >= len(weights):
        return np.ones(len(weights))
    sure = np.zeros(len(weights), bool)
    while True:
        rest = size - int(sure.sum())
        chances = np.where(sure, 1.0, rest * weights / weights[~sure].sum())
        over = ~sure & (chances >= 1)
        if not over.any():
            return chances
        sure |= over


def systematic(chances: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Positions drawn, as many as the chances add up to (a whole number), each with exactly its chance."""
    size = round(float(chances.sum()))
    order = generator.permutation(len(chances))
    ends = np.cumsum(chances[order])
    ends *= size / ends[-1]  # rounding must not cost the last record its place
    at = np.searchsorted(ends, generator.random() + np.arange(size), side="right")
    return order[np.minimum(at, len(order) - 1)]


def draw_unequal(
    record_ids: Sequence[str],
    weights: Mapping[str, float],
    size: int,
    seed: int,
    removed: Collection[str] = frozenset(),
    recipe: Mapping[str, object] | None = None,
) -> Draw:
    """A sample of `size` records with chances proportional to `weights` (record_id -> above 0); a census when there are not more."""
    ids = pool(record_ids, size, seed, removed)
    chances = inclusion([weights[one] for one in ids], size) if ids else np.ones(0)
    generator = np.random.Generator(np.random.PCG64(seed))
    census = size >= len(ids)
    drawn = np.arange(len(ids)) if census else systematic(chances, generator)
    drawn = drawn[generator.permutation(len(drawn))]
    return Draw(
        record_ids=[ids[i] for i in drawn],
        probabilities=[float(chances[i]) for i in drawn],
        method="census" if census else "risk",
        seed=seed,
        population=len(ids),
        recipe={"generator": METHOD, "asked": size, **(recipe or {})},
    )
