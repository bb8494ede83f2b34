"""Small datasets and results on disk for the tests of core/quality."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.dataset.columns import SCHEMA
from core.progress import silent
from core.workspace import Dataset, Inputs, Output, Result, file_sha256

SHARED = Path(__file__).resolve().parents[2] / "shared"


def make_dataset(folder: Path, records: Sequence[Mapping], role: str = "training") -> Dataset:
    """A Dataset of `records` (keys: SCHEMA columns and field.<name>); what is left out gets a plain value."""
    folder.mkdir(parents=True, exist_ok=True)
    seen: Counter = Counter()
    rows = []
    for line, record in enumerate(records, start=1):
        raw = json.dumps(record, sort_keys=True, ensure_ascii=False)
        stem = hashlib.blake2b(raw.encode(), digest_size=8).hexdigest()
        seen[stem] += 1
        row = {
            "record_id": f"{stem}-{seen[stem]}",
            "line": line,
            "raw": raw,
            "prompt": "",
            "response": "",
            "turns": 2,
        } | dict(record)
        turns = [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["response"]}]
        row.setdefault("messages", json.dumps(turns, ensure_ascii=False))
        rows.append(row)
    extra = sorted({name for row in rows for name in row if name.startswith("field.")})
    schema = pa.schema([*SCHEMA, *(pa.field(name, pa.string()) for name in extra)])
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "records.parquet")
    return Dataset(folder, role, folder.name, "0" * 32, len(rows), {}, {}, "2025-01-01T00:00:00+00:00")


def make_inputs(
    folder: Path, datasets: Mapping[str, Dataset], results: Mapping[str, Result] | None = None, **params
) -> Inputs:
    for name in ("scratch", "files"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return Inputs(datasets, results or {}, params, (), folder / "scratch", folder / "files", silent)


def make_result(
    folder: Path, step: str, output: Output, files: Path | None = None, params: Mapping | None = None
) -> Result:
    """Store an Output as the workspace would."""
    folder.mkdir(parents=True, exist_ok=True)
    if files is not None:
        for path in files.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
    if output.table is not None:
        pq.write_table(output.table, folder / "table.parquet")
    if output.array is not None:
        np.save(folder / "array.npy", output.array)
    entries = {p.name: {"bytes": p.stat().st_size, "sha256": file_sha256(p)} for p in folder.iterdir()}
    return Result(folder, step, "0" * 32, {"info": output.info, "params": dict(params or {}), "files": entries})


def embedded(folder: Path, dataset: Dataset, vectors: np.ndarray) -> Result:
    """An `embed` result with these vectors, made unit length."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)
    table = pa.table({"record_id": dataset.ids()})
    return make_result(folder, "embed", Output(table=table, array=unit, info={}), params={"text": "prompt"})
