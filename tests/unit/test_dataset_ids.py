"""The index of record ids, some rows of a result, and the ledger's state, against a plain dictionary and a whole read."""

import numpy as np
import pyarrow as pa
import pytest

from core.dataset import ids as module
from core.dataset.ids import Index
from core.errors import Corrupt
from core.review.ledger import keep_records, remove_records, removed_ids, undo
from core.review.schema import open_store
from core.workspace import ROW_GROUP, Output, open_workspace

IDS = ["b-1", "a-1", "a-10", "a-2", "ünï-1", "z" * 30 + "-1"]


@pytest.fixture(params=[2_000, 0], ids=["searched", "hashed"])
def index(request, monkeypatch):
    """The same index, asked either way."""
    monkeypatch.setattr(module, "FEW", request.param)
    return Index(pa.array(IDS, pa.string()))


def test_rows_masks_and_names_are_those_of_a_dictionary(index):
    asked = ["a-2", "gone-1", "b-1", "", "a-", "ünï-1", "a-2"]
    at = {one: n for n, one in enumerate(IDS)}
    assert index.rows(asked).tolist() == [at.get(one, -1) for one in asked]
    assert index.known(asked).tolist() == [3, 0, 4, 3]
    assert index.mask(asked).tolist() == [one in asked for one in IDS]
    assert index.rows(pa.chunked_array([["a-10"], [None]], pa.large_string())).tolist() == [2, -1]
    assert dict(index) == at and "a-1" in index and "a-11" not in index and 5 not in index
    assert (
        index.names.at(np.array([5, 0])) == [IDS[5], "b-1"]
        and index.names[1:3] == IDS[1:3]
        and index.names[-1] == IDS[-1]
    )


def test_an_empty_index_knows_nothing():
    empty = Index(pa.array([], pa.string()))
    assert (
        not len(empty) and "a-1" not in empty and empty.rows(["a-1"]).tolist() == [-1] and not empty.mask(["a-1"]).any()
    )


def test_some_rows_of_a_result_are_those_of_the_whole(tmp_path):
    space = open_workspace(tmp_path / "w")
    count = 2 * ROW_GROUP + 7
    table = pa.table({"n": np.arange(count), "text": [f"row {n}" for n in range(count)]})
    output = Output(table, np.arange(8, dtype=np.float32))
    made = space.compute("formats", "k" * 32, {"version": 1, "params": {}, "inputs": {}}, lambda inputs: output, {}, {})
    asked = [count - 1, 0, ROW_GROUP, ROW_GROUP - 1, 0]
    assert made.rows(asked).equals(table.take(pa.array(asked)))
    assert made.rows(np.array(asked), ["text"])["text"].to_pylist() == [f"row {n}" for n in asked]
    assert made.rows([]).num_rows == 0
    assert made.glance().tolist() == made.array().tolist()
    (made.path / "array.npy").write_bytes(b"short")
    with pytest.raises(Corrupt):
        made.glance()


def test_removals_are_told_anew_after_every_entry(tmp_path):
    store = open_store(tmp_path / "reviews.sqlite")
    assert removed_ids(store) == frozenset()
    first = remove_records(store, ["a-1", "b-1"], reason="copies", by="ada")
    assert removed_ids(store) == {"a-1", "b-1"} and removed_ids(store) is removed_ids(store)
    keep_records(store, ["b-1"], reason="looked at", by="ada")
    assert removed_ids(store) == {"a-1"}
    undo(store, first.entry, by="ada")
    assert removed_ids(store) == frozenset()
