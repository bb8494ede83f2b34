"""The record ids of a dataset as an index: where a record stands, and which records some ids are, without a Python object for each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

FEW = 2_000  # ids up to which each is looked up in the sorted ones; of more a hash table is made for the call


class Names(Sequence[str]):
    """The ids in file order, made into text when they are looked at."""

    def __init__(self, array: pa.Array):
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, at):
        return self.array[at].to_pylist() if isinstance(at, slice) else self.array[int(at)].as_py()

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self.array), 50_000):
            yield from self.array.slice(start, 50_000).to_pylist()

    def at(self, rows: np.ndarray | Sequence[int]) -> list[str]:
        """The ids of some rows, in their order."""
        return self.array.take(pa.array(np.asarray(rows, np.int64))).to_pylist()


class Index(Mapping[str, int]):
    """{record_id: row} of N records, held as Arrow and numpy arrays: about 45 bytes a record."""

    def __init__(self, ids: pa.Array):
        self.names = Names(ids)
        raw = ids.cast(pa.binary()).to_numpy(zero_copy_only=False)
        raw = raw.astype("S") if len(raw) else np.array([], "S1")
        self._order = np.argsort(raw, kind="stable").astype(np.int32)
        self._sorted = raw[self._order]

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __getitem__(self, record_id: str) -> int:
        if not isinstance(record_id, str):
            raise KeyError(record_id)
        key = np.bytes_(record_id.encode("utf-8", "surrogatepass"))
        at = int(np.searchsorted(self._sorted, key))
        if at == len(self._sorted) or self._sorted[at] != key:
            raise KeyError(record_id)
        return int(self._order[at])

    def rows(self, ids: Iterable[str] | pa.Array | pa.ChunkedArray) -> np.ndarray:
        """(n,) int64 row of each id, -1 for one that is not in this dataset."""
        if not isinstance(ids, (pa.Array, pa.ChunkedArray)):
            ids = list(ids)
            if len(ids) <= FEW:
                return np.array([self.get(one, -1) for one in ids], np.int64)
            ids = pa.array(ids, pa.string())
        found = pc.fill_null(pc.index_in(ids.cast(self.names.array.type), value_set=self.names.array), -1)
        return found.to_numpy(zero_copy_only=False).astype(np.int64)

    def known(self, ids: Iterable[str] | pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Rows of those of the ids that are in this dataset, in the order of the ids."""
        rows = self.rows(ids)
        return rows[rows >= 0]

    def mask(self, ids: Iterable[str] | pa.Array | pa.ChunkedArray) -> np.ndarray:
        """(N,) True for the records that have one of these ids."""
        found = np.zeros(len(self), dtype=bool)
        found[self.known(ids)] = True
        return found


@lru_cache(maxsize=8)
def index_of(folder: Path, digest: str) -> Index:
    """The index of a stored dataset, made once a process for each digest (which names its ids)."""
    with pq.ParquetFile(folder / "records.parquet", pre_buffer=False) as file:
        groups = [
            file.read_row_group(n, columns=["record_id"], use_threads=False).column(0)
            for n in range(file.num_row_groups)
        ]
        ids = pa.chunked_array([c for g in groups for c in g.chunks], groups[0].type if groups else pa.string())
    return Index(ids.combine_chunks() if ids.num_chunks != 1 else ids.chunk(0))
