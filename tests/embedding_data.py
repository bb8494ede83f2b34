"""A tiny deterministic encoder, and datasets and results on disk, for the tests of core/embedding."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.dataset.columns import SCHEMA
from core.embedding.encoders import Tokens
from core.progress import silent
from core.workspace import Dataset, Inputs, Output, Result, Workspace, digest_of, open_workspace


class HashEncoder:
    """Words hashed to random directions, added up: equal words, near vectors. Counts the texts it was asked for."""

    name, revision, dimension, limit, budget, prompt = "hash", "hash-1", 32, 8, 24, ""

    def __init__(self):
        self.encoded: list[str] = []

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        full = np.array([len(t.split()) for t in texts], np.int32)
        return Tokens(full, np.minimum(full, self.limit), list(texts))

    def vectors(self, tokens: Tokens, rows: np.ndarray) -> np.ndarray:
        self.encoded += [tokens.payload[r] for r in rows]
        return np.stack([sum(map(direction, tokens.payload[r].split()[: self.limit])) for r in rows]).astype(np.float32)


def direction(word: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.blake2b(word.lower().encode(), digest_size=4).digest(), "big")
    return np.random.default_rng(seed).standard_normal(HashEncoder.dimension)


def workspace(folder: Path) -> Workspace:
    return open_workspace(folder)


def dataset(space: Workspace, prompts: Sequence[str], role: str = "training", **columns: Sequence) -> Dataset:
    """A dataset with these prompts; further columns by name (fields as `field__name`)."""
    columns = {name.replace("field__", "field."): list(values) for name, values in columns.items()}
    count = len(prompts)
    ids = []
    for prompt in prompts:
        stem = hashlib.blake2b(prompt.encode(), digest_size=8).hexdigest()
        ids.append(f"{stem}-{1 + sum(i.startswith(stem) for i in ids)}")
    data = {
        "record_id": ids, "line": range(1, count + 1), "raw": [json.dumps({"prompt": p}) for p in prompts],
        "messages": ["[]"] * count, "prompt": prompts, "response": [""] * count, "turns": [2] * count, **columns,
    }  # fmt: skip
    fields = [*SCHEMA, *(pa.field(n, pa.string()) for n in data if n.startswith("field."))]
    table = pa.table([pa.array(data.get(f.name) or [None] * count, f.type) for f in fields], pa.schema(fields))

    def importer(place: Path) -> dict:
        pq.write_table(table, place / "records.parquet")
        pq.write_table(pa.table({"line": pa.array([], pa.int64())}), place / "quarantine.parquet")
        return {"digest": digest_of(role, *ids), "count": count, "mapping": {}, "report": {}}

    return space.add(role, "test", importer)


def computed(
    space: Workspace,
    step: str,
    run: Callable[[Inputs], Output],
    params: Mapping,
    datasets: Sequence[Dataset] = (),
    results: Sequence[Result] = (),
    progress=silent,
) -> Result:
    """The stored result of a step function, run by the workspace itself."""
    data, before = {d.role: d for d in datasets}, {r.step: r for r in results}
    key = digest_of(
        step, json.dumps(dict(params), sort_keys=True), *(d.digest for d in datasets), *(r.key for r in results)
    )
    recipe = {"version": 1, "params": dict(params), "inputs": {}}
    return space.compute(step, key, recipe, run, data, before, progress)


def given(space: Workspace, data: Dataset, vectors: np.ndarray, folder: Path) -> Result:
    """The `embed` result of vectors brought by the user."""
    from core.embedding import encode

    path = folder / f"{data.role}-{digest_of(str(vectors.tobytes()))[:8]}.npy"
    np.save(path, vectors)
    step = "embed" if data.role == "training" else f"embed:{data.role}"
    params = encode.DEFAULTS | {"model": str(path), f"{data.role}_vectors": str(path)}
    return computed(space, step, encode.run, {k: v for k, v in params.items() if k != "training_vectors"}, [data])
