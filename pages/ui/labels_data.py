"""What the labels page shows, read once a result: the ranked doubts and the pairs of categories that are confused."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from core.actions.frame import has_values
from core.dataset.columns import FIELD_PREFIX
from core.workspace import Dataset, Result

MATRIX = 16
"""Categories of a matrix; of more, those most in doubt."""


@dataclass(frozen=True)
class Doubts:
    """The flagged records that are kept, the least confident first; rows are of the training dataset."""

    rows: np.ndarray
    given: Sequence[str]
    suggested: Sequence[str]
    confidence: np.ndarray
    agreement: np.ndarray
    pairs: list[tuple[tuple[str, str], int]]  # ((given, suggested), flagged records), the most frequent first
    judged: int  # kept records with a self-confidence
    agreeing: float  # share of these whose suggested category is the given one
    pair: np.ndarray  # number in `pairs` of each doubt

    def of(self, pair: tuple[str, str] | None) -> np.ndarray:
        """Places of the doubts with this given and suggested label; of all without one."""
        number = next((n for n, (one, _) in enumerate(self.pairs) if one == pair), -1)
        return np.arange(len(self.rows)) if pair is None else np.flatnonzero(self.pair == number)


def doubts(data: Dataset, result: Result, kept: np.ndarray, relabelled: frozenset[str] = frozenset()) -> Doubts:
    """The doubts among kept records; those that a rule has relabelled are settled and no longer in the list."""
    open_ = kept.copy()
    if relabelled:
        open_[data.index.known(relabelled)] = False
    return _doubts(str(result.path), kept.tobytes(), open_.tobytes(), result)


@st.cache_resource(max_entries=6, show_spinner=False)
def _doubts(path: str, mask: bytes, unsettled: bytes, _result: Result) -> Doubts:
    kept, open_ = np.frombuffer(mask, dtype=bool), np.frombuffer(unsettled, dtype=bool)
    table = _result.table(["given", "suggested", "self_confidence", "flagged", "knn_agreement"])
    confidence, agreement = (
        pc.fill_null(table[name].cast(pa.float64()), float("nan")).to_numpy()
        for name in ("self_confidence", "knn_agreement")
    )
    flagged = np.asarray(table["flagged"].to_numpy(), dtype=bool) & open_
    rows = np.flatnonzero(flagged)
    rows = rows[np.lexsort((rows, agreement[rows], confidence[rows]))]
    some = table.select(["given", "suggested"]).take(pa.array(rows, pa.int64())).to_pydict()
    each = list(zip(some["given"], some["suggested"], strict=True))
    count = sorted(Counter(each).items(), key=lambda item: (-item[1], item[0]))
    number = {pair: n for n, (pair, _) in enumerate(count)}
    judged = kept & ~np.isnan(confidence)
    same = pc.fill_null(pc.equal(table["given"], table["suggested"]), False).to_numpy()
    return Doubts(
        rows, some["given"], some["suggested"], confidence[rows], agreement[rows],
        count, int(judged.sum()), float(same[judged].mean()) if judged.any() else 0.0,
        np.fromiter((number[pair] for pair in each), np.int32, len(each)),
    )  # fmt: skip


def matrix(found: Doubts, result: Result, estimated: bool) -> tuple[list[str], np.ndarray, int]:
    """(names, (K, K) of given against other label, how many categories are confused at all).

    estimated: records of the calibrated joint, the diagonal left out, else flagged records against their suggestion.
    """
    if estimated:
        joint, every = _joint(str(result.path), result)
        names = every
        counts = joint * int(result.info["judged"])
    else:
        names = list(dict.fromkeys(name for pair, _ in found.pairs for name in pair))
        index = {name: n for n, name in enumerate(names)}
        counts = np.zeros((len(names), len(names)))
        for (given, suggested), count in found.pairs:
            counts[index[given], index[suggested]] = count
    weight = counts.sum(axis=0) + counts.sum(axis=1)
    most = [n for n in np.argsort(-weight, kind="stable").tolist() if weight[n] > 0]
    some = sorted(most[:MATRIX], key=lambda n: names[n])
    return [names[n] for n in some], counts[np.ix_(some, some)], len(most)


@st.cache_resource(max_entries=4, show_spinner=False)
def _joint(path: str, _result: Result) -> tuple[np.ndarray, list[str]]:
    joint = np.array(_result.array())
    np.fill_diagonal(joint, 0)
    return joint, list(_result.info["names"])


@st.cache_data(max_entries=8, show_spinner=False)
def label_columns(digest: str, _data: Dataset) -> dict[str, int]:
    """{column: number of its values} of the columns that look like labels: 2 values or more, and 5 records a value on average."""
    names = ["category", "language", "annotator", *(c for c in _data.columns if c.startswith(FIELD_PREFIX))]
    found = {}
    for name in names:
        if name in _data.columns and has_values(_data, name):
            column = _data.column(name)
            values = pc.count_distinct(column, mode="only_valid").as_py()
            filled = len(column) - column.null_count
            if name == "category" or (values >= 2 and 5 * values <= filled):
                found[name] = values
    return found
