"""Columns of a dataset that look like ratings of the same thing by several annotators, and the ratings in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow.compute as pc

from core.dataset.columns import FIELD_PREFIX
from core.review.verdicts import OUTCOMES
from core.workspace import Dataset

MOST = 30
"""More different values than this are no classes that people choose from."""


@dataclass(frozen=True)
class RatingColumn:
    """A column with few different values, each used more than once on average."""

    name: str
    title: str
    values: tuple[str, ...]
    rated: int


def rating_columns(data: Dataset) -> list[RatingColumn]:
    """The columns that could hold ratings, in file order, the category last; reads each candidate once."""
    names = [name for name in data.columns if name.startswith(FIELD_PREFIX)] + ["category"]
    found = []
    for name in names:
        column = data.column(name)
        counts = {row["values"]: row["counts"] for row in pc.value_counts(column.drop_null()).to_pylist()}
        counts.pop("", None)
        if 1 <= len(counts) <= MOST and sum(counts.values()) >= 2 * len(counts):
            title = name.removeprefix(FIELD_PREFIX)
            found.append(RatingColumn(name, title, tuple(sorted(counts)), sum(counts.values())))
    return found


def suggested(columns: Sequence[RatingColumn]) -> list[str]:
    """The largest set of columns that use the same values (two in three at least), which is what raters of one thing do.

    The category is suggested only where a single other column goes with it: it may well be what the raters agreed on in the end.
    """
    fields = [column for column in columns if column.name.startswith(FIELD_PREFIX)]
    return _alike(fields) or _alike(columns)


def _alike(columns: Sequence[RatingColumn]) -> list[str]:
    best: list[str] = []
    for column in columns:
        mine = set(column.values)
        alike = [
            other.name
            for other in columns
            if len(mine) > 1 and 3 * len(mine & set(other.values)) >= 2 * len(mine | set(other.values))
        ]
        best = alike if len(alike) > len(best) else best
    return best if len(best) > 1 else []


def ratings_of(data: Dataset, names: Sequence[str]) -> list[list[str | None]]:
    """One row a rater, one entry a record in file order; an empty text is no rating."""
    return [[value or None for value in data.column(name).to_pylist()] for name in names]


def gold_verdicts(gold: Dataset) -> dict[str, str] | None:
    """record_id -> the settled verdict (pass, fail, unsure), from the first column that holds nothing else; None without one."""
    for column in rating_columns(gold):
        if {value.strip().lower() for value in column.values} <= {*OUTCOMES}:
            values = gold.column(column.name).to_pylist()
            return {one: (said or "").strip().lower() for one, said in zip(gold.ids(), values, strict=True) if said}
    return None
