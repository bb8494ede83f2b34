"""The layout of an earlier version, kept: records that were on its map stay where they were, new ones are placed among them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.embedding.manifold import place
from core.embedding.neighbours import has_vector
from core.embedding.sampling import density_sample
from core.progress import Progress
from core.workspace import Result

ENOUGH = 0.5  # of the records must have a place in the earlier layout, or it says too little about this version
POOL = 100_000  # records among which new ones are placed, drawn by density where there are more
PROBES, DIGITS = 32, 3  # records whose vectors show that two embeddings are one space, and the decimals kept of them


def space_of(embed: Result, ids: pa.ChunkedArray) -> dict[str, Any]:
    """What tells one embedding from another: model, text, and the beginnings of some records' vectors (JSON)."""
    vectors = embed.array()
    filled = np.flatnonzero(has_vector(vectors))
    some = filled[np.unique(np.linspace(0, len(filled) - 1, min(PROBES, len(filled))).astype(int))]
    probes = {ids[int(n)].as_py(): [round(float(v), DIGITS) for v in vectors[n, :8]] for n in some}
    return {name: embed.info.get(name) for name in ("revision", "text", "lead", "dimension")} | {"probes": probes}


def same_space(known: dict[str, Any] | None, embed: Result, ids: dict[str, int]) -> bool:
    """Whether a map with this `space` shows vectors like those of `embed`; `ids`: the row of each record."""
    if not known or any(known[name] != embed.info.get(name) for name in ("revision", "text", "lead", "dimension")):
        return False
    vectors = embed.array()
    shared = [(values, ids[one]) for one, values in known["probes"].items() if one in ids]
    shared = [(values, row) for values, row in shared if vectors[row].any()]
    return bool(shared) and all(np.allclose(values, vectors[row, :8], atol=10**-DIGITS) for values, row in shared)


def earlier_places(
    earlier: Sequence[Result], embed: Result, ids: pa.ChunkedArray, rows: np.ndarray
) -> tuple[np.ndarray | None, dict[str, Any]]:
    """(len(rows), 2) places of the records `rows` in the map of an earlier version, NaN for new ones; and what to say of it.

    Of the maps in `earlier` (same parameters, newest first) the one that holds most of these records. None when there is none in the
    same space that holds half of them; the facts then say why, or are empty.
    """
    candidates = [r for r in earlier if r.info.get("method") == "UMAP" and r.info.get("space")]
    if not candidates:
        return None, {}
    names = ids.to_pylist()
    where = {name: row for row, name in enumerate(names)}
    place_of = np.full(len(names), -1, np.int64)
    place_of[rows] = np.arange(len(rows))
    best: np.ndarray | None = None
    shared, source = 0, None
    other = 0
    for result in candidates:
        if not same_space(result.info["space"], embed, where):
            other += 1
            continue
        found, count = _places(result, where, place_of, len(rows))
        if count > shared:
            best, shared, source = found, count, result
    if best is None or shared < ENOUGH * len(rows):
        said = "another embedding" if best is None and other else "other records"
        return None, {"anew": f"an earlier map stands for {said}" + (f" ({shared:,} shared)" if shared else "")}
    return best, {
        "kept": shared, "added": len(rows) - shared, "kept_from": source.manifest["created"],
        **{name: source.info[name] for name in ("epochs", "engine", "sample") if name in source.info},
    }  # fmt: skip


def _places(result: Result, where: dict[str, int], place_of: np.ndarray, count: int) -> tuple[np.ndarray, int]:
    table = result.table(["role", "record_id", "x", "y"])
    known = table.filter(pc.equal(table["role"], "training"))
    out = np.full((count, 2), np.nan, np.float32)
    xy = np.stack([known["x"].to_numpy(), known["y"].to_numpy()], 1)
    held = np.array([where.get(name, -1) for name in known["record_id"].to_pylist()], np.int64)
    at = np.where(held >= 0, place_of[held], -1)
    if result.info.get("without_vector"):  # these stood in a row under the others
        at[xy[:, 1] == xy[:, 1].min()] = -1
    out[at[at >= 0]] = xy[at >= 0]
    return out, int((at >= 0).sum())


def extend(
    vectors: np.ndarray, rows: np.ndarray, old: np.ndarray, neighbours: int, seed: int | None, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """(len(rows), 2) the old places, to the bit, with the new records placed among them; and the rows placed among."""
    known = np.isfinite(old).all(1)
    pool = density_sample(vectors, rows[known], POOL)
    out = old.copy()
    new = np.flatnonzero(~known)
    if len(new):
        inside = np.searchsorted(rows, pool)
        found = place(vectors[rows[new]], vectors[pool], old[inside], neighbours, seed, progress)
        out[new] = found
    return out, pool
