"""Vectors that the user brings: a .npy file with a row for each record, or a field that holds a list of numbers."""

import json
import re
from pathlib import Path

import numpy as np

from core.dataset.columns import FIELD_PREFIX
from core.errors import InputError
from core.workspace import Dataset

PREFIX = "column:"
_NUMBERS = re.compile(r"[\s,;]+")


def is_given(model: str) -> bool:
    return model.startswith(PREFIX) or model.lower().endswith(".npy")


def given_vectors(dataset: Dataset, model: str) -> np.ndarray:
    """(N, d) float32 as given, not yet scaled to unit length; `model` is "column:<field>" or a path that ends in .npy."""
    if model.startswith(PREFIX):
        return _from_field(dataset, model.removeprefix(PREFIX))
    return _from_file(dataset, Path(model).expanduser())


def unit_rows(vectors: np.ndarray, out: np.ndarray, block: int = 65_536) -> dict[str, int]:
    """Write the rows, scaled to unit length, into `out`; rows with NaN or infinity, and zero rows, become zero. Counts both."""
    broken = zero = 0
    for start in range(0, len(vectors), block):
        part = np.array(vectors[start : start + block], np.float64)
        bad = ~np.isfinite(part).all(1)
        part[bad] = 0
        norms = np.linalg.norm(part, axis=1)
        broken += int(bad.sum())
        zero += int(((norms == 0) & ~bad).sum())
        out[start : start + block] = np.divide(part, norms[:, None], out=np.zeros_like(part), where=norms[:, None] > 0)
    return {"broken": broken, "zero": zero}


def _from_file(dataset: Dataset, path: Path) -> np.ndarray:
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise InputError(
            f"The vectors {path} cannot be read: {error.strerror or error}. Give the path of a .npy file."
        ) from error
    except ValueError as error:
        raise InputError(
            f"{path} is no plain .npy array of numbers ({error}). Save it with numpy.save as float32, one row for each record."
        ) from error
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu" or not vectors.shape[1]:
        raise InputError(
            f"{path} holds an array of shape {vectors.shape} and type {vectors.dtype}; vectors must be a table of numbers, one row "
            "for each record."
        )
    if len(vectors) == dataset.count:
        return vectors
    lost = dataset.quarantine()
    if len(vectors) == dataset.count + lost.num_rows and "line" in lost.column_names:
        # One row for each row of the file: leave out those of the rows that were not imported.
        lines = np.asarray(dataset.column("line").to_numpy())
        every = np.unique(np.concatenate([lines, np.asarray(lost.column("line").to_numpy(), np.int64)]))
        if len(every) == len(vectors):
            return vectors[np.searchsorted(every, lines)]
    raise InputError(
        f"{path} holds {len(vectors):,} vectors, the {dataset.role} data {dataset.count:,} records ({lost.num_rows:,} rows were "
        "not imported). Give one row for each record, in the order of the file."
    )


def _from_field(dataset: Dataset, name: str) -> np.ndarray:
    texts = _field_texts(dataset, name)
    out: np.ndarray | None = None
    missing = 0
    for row, text in enumerate(texts):
        numbers = _parse(text)
        if numbers is None:
            if text is not None and str(text).strip():
                raise InputError(
                    f"Field {name} of record {row + 1} is {str(text)[:40]!r}; it must be a list of numbers. "
                    "Choose another field, or a model to compute vectors with."
                )
            missing += 1
            continue
        if out is None:
            out = np.zeros((dataset.count, len(numbers)), np.float32)
        if len(numbers) != out.shape[1]:
            raise InputError(
                f"Field {name} of record {row + 1} holds {len(numbers)} numbers, the records before it {out.shape[1]}. "
                "All vectors must have the same length."
            )
        out[row] = numbers
    if out is None:
        raise InputError(
            f"No record holds numbers in the field {name}. Choose another field, or a model to compute vectors with."
        )
    return out


def _field_texts(dataset: Dataset, name: str) -> list:
    column = name if name.startswith(FIELD_PREFIX) else FIELD_PREFIX + name
    if column in dataset.columns:
        return dataset.column(column).to_pylist()
    # Lists are no scalar fields: they stand only in the row as it was in the file.
    source = dataset.path / "source.parquet"
    if source.is_file():
        import pyarrow.parquet as pq

        if name in pq.read_schema(source).names:
            values = pq.read_table(source, columns=[name]).column(0)
            lines = np.asarray(dataset.column("line").to_numpy()) - 1
            if lines.size and lines.max() < len(values):
                return values.take(lines).to_pylist()
    found = []
    for raw in dataset.column("raw").to_pylist():
        try:
            row = json.loads(raw)
        except ValueError:
            row = None
        found.append(row.get(name) if isinstance(row, dict) else None)
    if all(value is None for value in found):
        raise InputError(f"The {dataset.role} data has no field {name}. Choose a field that holds a list of numbers.")
    return found


def _parse(value: object) -> np.ndarray | None:
    if isinstance(value, str):
        parts = [p for p in _NUMBERS.split(value.strip().strip("[]()")) if p]
        value = [float("nan") if p.lower() in ("nan", "null", "none") else p for p in parts]
    if not isinstance(value, list) or not value:
        return None
    try:
        return np.array(value, np.float64)
    except (TypeError, ValueError):
        return None
