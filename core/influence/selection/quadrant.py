"""Difficulty x influence: cuts, the four quadrants, and DIQ's order through them (arXiv 2508.01450).

Q1 hard and influential, Q2 easy and influential, Q3 hard and not influential, Q4 easy and not influential. A record is hard when its
difficulty is *at or above* the cut, influential when its influence is at or above that cut. Where all difficulties are equal the axis
says nothing: with a cut at that value, all are hard.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import InputError

QUADRANTS = {1: "hard, influential", 2: "easy, influential", 3: "hard, not influential", 4: "easy, not influential"}


@dataclass(frozen=True)
class Cut:
    """A value on one axis and how it came about, e.g. "median" or "75th percentile"."""

    value: float
    how: str


@dataclass(frozen=True)
class Quadrants:
    """N records placed by two cuts. `codes` 1..4; 0 = no quadrant, because a value is missing."""

    codes: np.ndarray  # (N,) int8
    difficulty_cut: Cut
    influence_cut: Cut
    missing: int
    notes: tuple[str, ...]

    def counts(self) -> dict[int, int]:
        return {q: int((self.codes == q).sum()) for q in QUADRANTS}


def cut(values: np.ndarray, how: str | float = "median") -> Cut:
    """A cut through the finite values: "median", "p75" (a percentile, linear between values), or a number as it is.

    Errors: InputError when it can be read as none of these, or no value is there.
    """
    given = np.asarray(values, float)
    finite = given[np.isfinite(given)]
    text = str(how).strip().lower()
    if text == "median" or text.startswith("p"):
        try:
            share = 50.0 if text == "median" else float(text[1:])
        except ValueError:
            share = -1.0
        if not 0 <= share <= 100:
            raise InputError(f"Cut {how!r} is not known. Give median, a percentile such as p75, or a number.")
        if not len(finite):
            raise InputError("No record has a value on this axis, so there is nothing to cut. Choose another column.")
        return Cut(float(np.percentile(finite, share)), "median" if text == "median" else f"percentile {share:g}")
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise InputError(f"Cut {how!r} is not known. Give median, a percentile such as p75, or a number.")
    return Cut(value, "typed")


def quadrants(
    difficulty: np.ndarray,
    influence: np.ndarray,
    difficulty_cut: str | float = "median",
    influence_cut: str | float = "median",
) -> Quadrants:
    """Place every record. Cuts are taken over the records that have both values; both axes: higher = harder, more helpful."""
    hard, helpful = np.asarray(difficulty, float), np.asarray(influence, float)
    if hard.shape != helpful.shape:
        raise InputError(
            f"{len(hard)} difficulties and {len(helpful)} influences were given; one of each is needed per record."
        )
    known = np.isfinite(hard) & np.isfinite(helpful)
    d, i = cut(hard[known], difficulty_cut), cut(helpful[known], influence_cut)
    codes = np.where(helpful >= i.value, np.where(hard >= d.value, 1, 2), np.where(hard >= d.value, 3, 4)).astype(
        np.int8
    )
    codes[~known] = 0
    notes = []
    if (~known).any():
        notes.append(f"{int((~known).sum()):,} records lack difficulty or influence and are in no quadrant.")
    for name, values, chosen in (("difficulty", hard[known], d), ("influence", helpful[known], i)):
        if len(values) and (values == values[0]).all():
            notes.append(f"All records have the same {name} ({values[0]:g}): this axis tells nothing.")
            continue
        ties = int((values == chosen.value).sum())
        if ties > 1:
            notes.append(f"{ties:,} records lie exactly on the {name} cut ({chosen.value:g}) and count as above it.")
    return Quadrants(codes, d, i, int((~known).sum()), tuple(notes))


def ranking(ids: Sequence[str] | np.ndarray, keys: Sequence[np.ndarray], rows: np.ndarray | None = None) -> np.ndarray:
    """Row numbers sorted by `keys` (each highest first, the first key counts most), then by record_id.

    `ids` may also be an array of their places among the sorted ids: whole numbers sort faster.
    """
    rows = np.arange(len(ids)) if rows is None else np.asarray(rows)
    if isinstance(ids, np.ndarray):
        names = ids[rows]
    else:
        names = np.array([ids[r] for r in rows], dtype=str) if len(rows) else np.array([], dtype=str)
    columns = [names, *(-np.asarray(k, float)[rows] for k in reversed(keys))]
    return rows[np.lexsort(columns)]


def diq_order(
    ids: Sequence[str] | np.ndarray, difficulty: np.ndarray, influence: np.ndarray, placed: Quadrants
) -> np.ndarray:
    """Row numbers Q1 -> Q2 -> Q3 -> Q4, inside one by influence, ties by difficulty (both highest first), then record_id.

    Records in no quadrant are not in it.
    """
    parts = [ranking(ids, (influence, difficulty), np.flatnonzero(placed.codes == q)) for q in QUADRANTS]
    return np.concatenate(parts)


def reduces_to(placed: Quadrants, budget: int) -> str:
    """What a budget makes of DIQ, in one sentence: below |Q1| it is a plain ranking behind one cut."""
    counts = placed.counts()
    if 0 < budget <= counts[1]:
        word = "fills exactly" if budget == counts[1] else "lies within"
        return (
            f"This budget of {budget:,} {word} the {counts[1]:,} hard and influential records: DIQ here is the top {budget:,} "
            f"by influence among records with a difficulty of at least {placed.difficulty_cut.value:.4g}."
        )
    taken, left = [], budget
    for q in QUADRANTS:
        share = min(left, counts[q])
        if share:
            taken.append(f"{share:,} of the {counts[q]:,} {QUADRANTS[q]}")
        left -= share
    return f"This budget of {budget:,} takes {', '.join(taken)}." if taken else "Nothing is taken."
