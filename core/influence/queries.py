"""Several queries at once: the validation records by a column, one direction and one column of scores each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.dataset.columns import FIELD_PREFIX
from core.errors import InputError
from core.influence.encode import Tokens
from core.workspace import Dataset, digest_of

MOST = 64  # queries; each holds a direction of its own in memory
BY = ("category", "language", "annotator")
PREFIX = "influence:"  # of the column of one query
NAMELESS = "(none)"  # records that have no value in the column


@dataclass(frozen=True)
class Query:
    """A group of validation records: `rows` among the validation tokens, each with a response."""

    name: str  # "" = all of them
    rows: np.ndarray

    @property
    def column(self) -> str:
        return PREFIX + self.name if self.name else "influence"


def field_of(by: str, columns: Sequence[str]) -> str:
    """The column of a dataset that `by` names: a mapped one, or a field of the file with or without its prefix."""
    for name in (by, FIELD_PREFIX + by):
        if name in columns and (name in BY or name.startswith(FIELD_PREFIX)):
            return name
    known = [c for c in columns if c in BY] + [
        c.removeprefix(FIELD_PREFIX) for c in columns if c.startswith(FIELD_PREFIX)
    ]
    raise InputError(
        f"queries={by!r} names no column of the validation records. Choose {', '.join(known[:12])}, or leave it empty for one query."
    )


def labels(dataset: Dataset, by: str) -> list[str]:
    """The group of each record of a dataset. Errors: InputError when there is no such column."""
    return [v if v else NAMELESS for v in dataset.column(field_of(by, dataset.columns)).to_pylist()]


def split(tokens: Tokens, groups: Sequence[str] | None) -> list[Query]:
    """The queries, by name; groups without any response are no query. Errors: InputError beyond MOST groups."""
    able = tokens.response_tokens > 0
    if groups is None:
        return [Query("", np.flatnonzero(able))]
    names = np.array(groups, object)
    found = [
        Query(n, np.flatnonzero(able & (names == n)))
        for n in sorted({g for g, a in zip(groups, able, strict=True) if a})
    ]
    if len(found) > MOST:
        raise InputError(
            f"The validation records fall into {len(found)} groups; at most {MOST} queries can be scored at once. "
            "Choose a coarser column."
        )
    return found


def digest(tokens: Tokens, queries: Sequence[Query]) -> str:
    """Changes with the name or any record of any query, not with the order of the records."""
    keys = tokens.keys()
    return digest_of(*(part for q in queries for part in (f"query:{q.name}", *sorted(keys[r] for r in q.rows))))
