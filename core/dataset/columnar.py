"""Rows of Parquet files, one or a folder of shards, read in small batches within a budget.

A Parquet file of 212 KB can decode to 2 GB: one long text in a dictionary, a million references to it; the sizes in the footer may
lie. So texts are read as dictionaries, which keeps one copy of each, and what the rows come to is counted as they are made.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.dataset.jsontext import Fault, dumps
from core.dataset.limits import Limits
from core.dataset.rows import Budget, Row
from core.dataset.tabular import checked_names
from core.errors import InputError

FLAT_BATCH, NESTED_BATCH = 1024, 32


def shards(folder: Path) -> list[Path]:
    """The Parquet files of a folder, in the order of their names."""
    found = sorted(
        p for p in folder.rglob("*") if p.suffix.casefold() in (".parquet", ".pq") and not p.name.startswith(".")
    )
    if not found:
        scripts = next(folder.glob("*.py"), None)
        what = f" It has a script ({scripts.name}), which is never run." if scripts else ""
        raise InputError(
            f"{folder} holds no Parquet file; a folder is read as shards of one Parquet table.{what} Give a file."
        )
    linked = next((p for p in found if p.is_symlink() or not p.is_file()), None)
    if linked:
        raise InputError(
            f"{linked} is a symbolic link or no regular file; links are not followed. Give the folder with the real files."
        )
    return found


def opened_parquet(path: Path, name: str) -> pq.ParquetFile:
    try:
        schema = pq.read_schema(path)
        texts = [
            f.name
            for f in schema
            if pa.types.is_string(f.type) or pa.types.is_large_string(f.type) or pa.types.is_binary(f.type)
        ]
        return pq.ParquetFile(path, read_dictionary=texts)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{name} is a damaged Parquet file ({str(error).splitlines()[0]}). Write or download it again."
        ) from None


def parquet_schema(path: Path, name: str) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{name} is a damaged Parquet file ({str(error).splitlines()[0]}). Write or download it again."
        ) from None


def read_parquet(paths: list[Path], name: str, limits: Limits) -> Iterator[Row]:
    """One row for every row of the files, in order; `raw` is the row as JSON, values that JSON lacks as text."""
    budget = Budget(name, sum(p.stat().st_size for p in paths), limits, compressed=True)
    first = parquet_schema(paths[0], paths[0].name)
    checked_names(first.names, name, limits)
    line = 0
    for path in paths:
        file = opened_parquet(path, path.name)
        if parquet_schema(path, path.name).names != first.names:
            raise InputError(
                f"{path.name} has other columns than {paths[0].name}; shards of one table have the same. Import them apart."
            )
        nested = any(pa.types.is_nested(f.type) for f in file.schema_arrow)
        try:
            for batch in file.iter_batches(batch_size=NESTED_BATCH if nested else FLAT_BATCH):
                columns = [_values(column, limits) for column in batch.columns]
                for cells in zip(*columns, strict=True) if columns else ():
                    line += 1
                    row = _row(line, dict(zip(batch.schema.names, cells, strict=True)))
                    budget.spend(len(row.raw), 1)
                    yield row
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{path.name} is a damaged Parquet file ({str(error).splitlines()[0]}). Write or download it again."
            ) from None


def _row(line: int, value: dict) -> Row:
    try:
        raw = dumps(value)
    except (Fault, ValueError, RecursionError) as error:
        return Row(line, repr(value)[:2000], None, "not JSON", str(error)[:200])
    return Row(line, raw, value)


def _values(column: pa.Array, limits: Limits) -> list:
    """The values of a column as what JSON can hold; equal texts share one object."""
    if pa.types.is_dictionary(column.type):
        words = _values(column.dictionary, limits)
        return [None if code is None else words[code] for code in column.indices.to_pylist()]
    kind = column.type
    if (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
    ):
        try:
            return column.to_pylist()
        except UnicodeDecodeError:
            return [
                plain(_bytes(value))
                for value in column.view(pa.large_binary() if pa.types.is_large_string(kind) else pa.binary())
            ]
    return [plain(value) for value in column.to_pylist()]


def _bytes(value: pa.Scalar) -> bytes | None:
    return value.as_py()


def plain(value: Any) -> Any:
    """A value as JSON can hold it: times in ISO 8601, decimals and NaN as text, bytes as text or hexadecimal."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (bytes, bytearray)):
        try:
            return bytes(value).decode("utf-8")
        except UnicodeDecodeError:
            return bytes(value).hex()
    if isinstance(value, tuple):  # an entry of a map
        return [plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
