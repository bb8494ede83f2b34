"""Draws of records to read: by seed, reproducible from what the draw records of itself.

The generator is NumPy's PCG64 (`numpy.random.Generator(numpy.random.PCG64(seed))`). It draws positions in the list of
ids *sorted as text*, so the order of the file does not matter, and `choice(..., replace=False)` gives the reading order
too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.errors import InputError

GENERATOR = (
    "numpy.random.Generator(PCG64(seed)).choice(n, size, replace=False, shuffle=True) over the ids sorted as text"
)


@dataclass(frozen=True)
class Draw:
    """Records drawn, in reading order, with the chance each had of being drawn."""

    record_ids: Sequence[str]
    probabilities: Sequence[float]
    method: str
    """random, stratified, risk, or census when there were no more records than asked for: then nothing was left to chance."""
    seed: int | None
    population: int
    strata: Sequence[Mapping[str, Any]] = ()
    """Of a stratified draw: {"name", "population", "drawn"} for each stratum."""
    stratum_of: Sequence[str] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """How it was drawn, for the screen."""
        n = len(self.record_ids)
        if self.method == "census":
            return f"Census: all {n:,} records, for no more than that were asked for or are there."
        how = {"stratified": "Stratified random", "risk": "Risk-based random"}.get(self.method, "Simple random")
        return f"{how} sample of {n:,} from {self.population:,} records, seed {self.seed}."


def draw_random(record_ids: Sequence[str], size: int, seed: int, removed: Collection[str] = frozenset()) -> Draw:
    """A simple random sample of `size` records without replacement, never one of `removed`; a census when there are not
    more.
    """
    ids = pool(record_ids, size, seed, removed)
    chosen, census = _choose(ids, size, np.random.Generator(np.random.PCG64(seed)))
    share = 1.0 if census else size / len(ids)
    return Draw(
        record_ids=chosen,
        probabilities=[share] * len(chosen),
        method="census" if census else "random",
        seed=seed,
        population=len(ids),
        recipe={"generator": GENERATOR, "asked": size},
    )


def draw_stratified(
    record_ids: Sequence[str],
    strata: Sequence[str | None],
    size: int,
    seed: int,
    removed: Collection[str] = frozenset(),
    by: str = "category",
) -> Draw:
    """A sample shared out over the strata in proportion to their size (largest remainder), random within each.

    strata: the stratum of each record, aligned with `record_ids`; None and "" form the stratum "(none)". The strata are
    drawn in the order of their names from one generator, then the whole is shuffled, so that the reading order tells
    nothing.
    """
    if len(strata) != len(record_ids):
        raise InputError(f"{len(record_ids):,} records have {len(strata):,} strata; each record needs one.")
    stratum_by_id = {one: (name or "(none)") for one, name in zip(record_ids, strata, strict=True)}
    ids = pool(record_ids, size, seed, removed)
    members: dict[str, list[str]] = {}
    for one in ids:
        members.setdefault(stratum_by_id[one], []).append(one)
    names = sorted(members)
    wanted = dict(
        zip(names, largest_remainder([len(members[name]) for name in names], min(size, len(ids))), strict=True)
    )
    generator = np.random.Generator(np.random.PCG64(seed))
    chosen: list[tuple[str, float]] = []
    for name in names:
        picked, _ = _choose(members[name], wanted[name], generator)
        chosen += [(one, wanted[name] / len(members[name])) for one in picked]
    order = generator.permutation(len(chosen))
    chosen = [chosen[i] for i in order]
    return Draw(
        record_ids=[one for one, _ in chosen],
        probabilities=[share for _, share in chosen],
        method="census" if size >= len(ids) else "stratified",
        seed=seed,
        population=len(ids),
        strata=[{"name": name, "population": len(members[name]), "drawn": wanted[name]} for name in names],
        stratum_of=[stratum_by_id[one] for one, _ in chosen],
        recipe={"generator": GENERATOR, "asked": size, "by": by, "order": "strata by name, then one permutation"},
    )


def double_positions(size: int, share: float, seed: int) -> list[int]:
    """Positions of a sample that a second reader reads too: a simple random share of it, rounded up, in reading order.

    Drawn by `Generator(PCG64([seed, 2])).choice(size, k, replace=False)`, so that it does not depend on the draw of the sample.
    """
    if not 0 <= share <= 1:
        raise InputError(
            f"A double-review share of {share} cannot be drawn; it lies between 0 and 1 (the practice: 0.05 to 0.1)."
        )
    count = min(size, int(np.ceil(round(size * share, 9))))
    generator = np.random.Generator(np.random.PCG64([seed, 2]))
    return sorted(int(i) for i in generator.choice(size, size=count, replace=False))


def largest_remainder(weights: Sequence[float], total: int) -> list[int]:
    """`total` shared out in proportion to `weights`, in whole numbers (Hamilton): floors first, then the largest remainders.

    Ties go to the larger weight, then to the earlier one. With weights that are counts and total <= their sum, no share
    exceeds its count.
    """
    if not weights or sum(weights) <= 0:
        return [0] * len(weights)
    if all(isinstance(weight, int) for weight in weights):  # whole arithmetic: no rounding decides a tie
        whole = sum(weights)
        shares = [weight * total // whole for weight in weights]
        rests = [weight * total % whole for weight in weights]
    else:
        exact = [weight * total / sum(weights) for weight in weights]
        shares = [int(value + 1e-9) for value in exact]
        rests = [round(value - share, 9) for value, share in zip(exact, shares, strict=True)]
    order = sorted(range(len(weights)), key=lambda i: (-rests[i], -weights[i], i))
    for i in order[: total - sum(shares)]:
        shares[i] += 1
    return shares


def pool(record_ids: Sequence[str], size: int, seed: int, removed: Collection[str] = frozenset()) -> list[str]:
    """The ids that a draw chooses from, each once, sorted as text; InputError when size or seed cannot be used."""
    if size < 1:
        raise InputError(f"A sample of {size} records was asked for; it needs at least 1.")
    if seed < 0 or seed >= 2**31:
        raise InputError(f"The seed {seed} cannot be used; it must be a whole number from 0 to 2,147,483,647.")
    gone = removed if isinstance(removed, set | frozenset) else set(removed)
    return sorted(set(record_ids) - gone)


def _choose(ids: list[str], size: int, generator: np.random.Generator) -> tuple[list[str], bool]:
    """(chosen ids in random order, whether that was all of them)."""
    if size >= len(ids):
        return [ids[i] for i in generator.permutation(len(ids))], True
    return [ids[i] for i in generator.choice(len(ids), size=size, replace=False, shuffle=True)], False
