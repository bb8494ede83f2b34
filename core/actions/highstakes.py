"""Which records are high stakes: by a rule over columns that the workspace keeps, or because a reader marked them.

The rule is a mapping of columns to values: a record is high stakes when any of these columns has one of the values chosen for it.
A category, a field of the file that says so, a language: any column with words will do.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from core.dataset.columns import FIELD_PREFIX
from core.errors import InputError
from core.review.samples import samples
from core.review.schema import Store
from core.review.verdicts import current_verdicts
from core.workspace import Dataset, Workspace

SETTING = "high_stakes"
MOST_VALUES = 200
OFTEN = ("category", "language", "annotator")


def columns_for(data: Dataset) -> list[str]:
    """Columns that a rule can be made of, the category first."""
    return [
        one for one in (*OFTEN, *data.columns) if one in data.columns and (one in OFTEN or one.startswith(FIELD_PREFIX))
    ]


def values_of(data: Dataset, column: str) -> list[str]:
    """The different values of a column, most frequent first; at most 200."""
    import pyarrow as pa
    import pyarrow.compute as pc

    counted = pc.value_counts(data.column(column).cast(pa.string()).drop_null()).to_pylist()
    counted = sorted(counted, key=lambda row: (-row["counts"], row["values"]))
    return [row["values"] for row in counted if row["values"]][:MOST_VALUES]


def rule(workspace: Workspace) -> dict[str, list[str]]:
    """{column: values} as the workspace keeps it; empty when none was chosen."""
    kept = workspace.settings().get(SETTING) or {}
    return {str(column): [str(one) for one in values] for column, values in kept.items() if values}


def set_rule(workspace: Workspace, chosen: Mapping[str, Sequence[str]], data: Dataset, keep: bool = True) -> None:
    """Keep the rule (`keep` False: only check it); InputError when a column is not in the data. An empty one takes it away."""
    known = columns_for(data)
    for column in chosen:
        if column not in known:
            names = ", ".join(one.removeprefix(FIELD_PREFIX) for one in known[:20])
            raise InputError(f"The data has no column {column!r} to tell high stakes by. It has {names or 'none'}.")
    if not keep:
        return
    workspace.set_setting(SETTING, {column: list(values) for column, values in chosen.items() if values})


def by_rule(workspace: Workspace, data: Dataset) -> set[str]:
    """The records that the rule names."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = {column: values for column, values in rule(workspace).items() if column in data.columns}
    if not wanted:
        return set()
    mask = np.zeros(data.count, dtype=bool)
    for column, values in wanted.items():
        mask |= np.asarray(
            pc.is_in(data.column(column).cast(pa.string()), value_set=pa.array(values, pa.string())).to_numpy(),
            dtype=bool,
        )
    return set(data.index.names.at(np.flatnonzero(mask)))


def marked(store: Store, reviewer: str | None = None) -> set[str]:
    """The records that a standing verdict, of this reviewer or of anybody, marks as high stakes."""
    return {
        entry.verdict.record_id
        for sample in samples(store)
        for entry in current_verdicts(store, sample.id, reviewer)
        if entry.verdict.high_stakes
    }


def high_stakes_ids(workspace: Workspace, data: Dataset, store: Store, reviewer: str | None = None) -> set[str]:
    """The records of the data that are high stakes by the rule or by a mark; `reviewer` counts the marks of that one alone."""
    return by_rule(workspace, data) | {one for one in marked(store, reviewer) if one in data.index}
