"""Steps `preview` and `map`: two coordinates for each record, at once by PCA, then by UMAP with production placed into it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from core.embedding import keeping
from core.embedding.coarse import draw
from core.embedding.manifold import gpu_ready, place, place_by, principal
from core.embedding.neighbours import check_same_space, has_vector
from core.errors import InputError
from core.progress import Progress, part
from core.workspace import Inputs, Output, Result

DEFAULTS: dict[str, Any] = {
    "mode": "reproducible",  # or "parallel": umap-learn's own optimiser, another layout each time
    "seed": 42,
    "neighbours": 15,
    "epochs": 0,  # 0: by the number of records (core.embedding.coarse)
    "edition": 1,  # raise it to lay out anew instead of keeping the places of an earlier version's records
}
FEWEST = 15  # below, neighbours say nothing: a PCA is shown
FIDELITY_SAMPLE = 2000
FIDELITY_NEIGHBOURS = 15


def preview(inputs: Inputs) -> Output:
    """table record_id, x, y: the first two principal components of the vectors, to look at while the map is computed."""
    result = inputs.results["embed"]
    vectors = result.array()
    points, messages = settle(principal(vectors, 2), has_vector(vectors))
    ids = result.table(["record_id"]).column(0)
    table = pa.table({"record_id": ids, "x": pa.array(points[:, 0]), "y": pa.array(points[:, 1])})
    return Output(table, None, {"method": "PCA", "preview": True, "warnings": messages})


def run(inputs: Inputs) -> Output:
    """table role, record_id, x, y: training records in order, then production placed into their layout, which stays as it is.

    Where the same map was computed for an earlier version, its records keep their places exactly and new ones are placed among them
    (core/embedding/keeping.py). Above the sample size of `neighbours`, UMAP is fitted on that sample and the others are placed.
    info: method ("UMAP", or "PCA" for fewer than 15 records), mode, engine, seed, epochs, neighbours, recall of these where they are
    approximate, sample (records fitted on, when not all), kept and added (when an earlier layout stands), placed (production),
    trustworthiness and neighbour_overlap at 15 (0..1, higher = the map keeps more of the true neighbours; on a sample),
    warnings.
    """
    params = inputs.params
    if params["mode"] not in ("reproducible", "parallel"):
        raise InputError(f"mode={params['mode']!r} is not known; choose reproducible or parallel.")
    embed = inputs.results["embed"]
    vectors = embed.array()
    valid = has_vector(vectors)
    seed = int(params["seed"]) if params["mode"] == "reproducible" else None
    info: dict[str, Any] = {"mode": params["mode"], "seed": seed}
    rows = np.flatnonzero(valid)
    production = inputs.results.get("embed:production")
    if production is not None:
        check_same_space(embed.info, production.info)
    ids = embed.table(["record_id"]).column(0)
    placed = None
    if len(rows) < FEWEST:
        info["method"] = "PCA"
        start = principal(vectors[rows] if len(rows) < len(vectors) else vectors, 2)
        points, messages = _scatter(start, rows, valid)
        messages.insert(
            0,
            f"{len(rows)} records are too few for UMAP (it needs {FEWEST}); their first two principal components are shown.",
        )
        if production is not None:
            both = np.concatenate([np.asarray(vectors), np.asarray(production.array())])
            points, messages[1:] = settle(principal(both, 2), has_vector(both))
            points, placed = points[: len(vectors)], points[len(vectors) :]
    else:
        inputs.progress(0, 1000, "Laying out the map")
        old, facts = keeping.earlier_places(inputs.earlier, embed, ids, rows)
        near = inputs.results["neighbours"]
        info |= {"method": "UMAP", "neighbours": int(params["neighbours"])} | facts
        info |= {name: near.info[name] for name in ("recall", "recall_sample") if name in near.info}
        progress = part(inputs.progress, 0.0, 0.75)
        if old is not None:
            layout, pool = keeping.extend(vectors, rows, old, int(params["neighbours"]), seed, progress)
        else:
            layout, pool, facts = fit(vectors, rows, near, params, seed, progress)
            info |= facts
        points, messages = _scatter(layout, rows, valid)
        info |= fidelity(vectors, points, rows)
        if production is not None:
            progress = part(inputs.progress, 0.75, 1.0)
            placed = place(production.array(), vectors[pool], points[pool], int(params["neighbours"]), seed, progress)
            placed, more = settle(placed, np.isfinite(placed).all(1), points)
            messages += [f"Production: {m}" for m in more]
        info["space"] = keeping.space_of(embed, ids)
    info["without_vector"] = len(vectors) - len(rows)
    ids = [ids]
    roles = ["training"] * len(vectors)
    if placed is not None:
        ids.append(production.table(["record_id"]).column(0))
        roles += ["production"] * len(placed)
        points = np.vstack([points, placed])
        info |= {
            "placed": len(placed),
            "placement": "among their nearest training records, found exactly; the training layout does not move",
        }
    record_ids = pa.concat_arrays(
        [chunk.cast(pa.string()) for c in ids for chunk in c.chunks] or [pa.array([], pa.string())]
    )
    table = pa.table(
        {"role": pa.array(roles, pa.string()), "record_id": record_ids, "x": points[:, 0], "y": points[:, 1]}
    )
    return Output(table, None, info | {"warnings": messages})


def fit(
    vectors: np.ndarray, rows: np.ndarray, near: Result, params: Mapping[str, Any], seed: int | None, progress: Progress
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """(len(rows), 2) layout of the records `rows`, the rows that it was fitted on, and epochs, engine, sample for the info."""
    width = int(params["neighbours"])
    chosen = sample_of(near, rows)
    pool = rows if chosen is None else chosen.rows
    if chosen is None:
        indices, similarity = compact(near.array(), np.load(near.file("similarity.npy"), mmap_mode="r"), rows)
    else:
        indices, similarity = chosen.indices[pool], chosen.similarity[pool]
    epochs = int(params["epochs"])
    device = "cuda" if gpu_ready() else "cpu"
    engine = "cuML" if device == "cuda" else "own" if seed is not None else "umap-learn"
    fitted = vectors[pool] if len(pool) < len(vectors) else vectors
    layout, epochs = draw(fitted, indices, similarity, width, epochs, seed, part(progress, 0.0, 0.8), device)
    info = {"epochs": epochs, "engine": engine, "sample": len(pool) if chosen is not None else 0}
    if chosen is None:
        return layout, pool, info
    out = np.empty((len(vectors), 2), np.float32)
    out[pool] = layout
    rest = np.setdiff1d(rows, pool, assume_unique=True)
    progress(800, 1000, f"Placing {len(rest):,} records")
    out[rest] = place_by(chosen.indices[rest, :width], chosen.similarity[rest, :width], layout, seed)
    return out[rows], pool, info


@dataclass(frozen=True)
class Sample:
    """The records that a large set is fitted on, and the nearest of them for every record."""

    rows: np.ndarray  # (n,) int64, ascending
    indices: np.ndarray  # (N, k) int32 places in `rows`; -1 for a record without a vector
    similarity: np.ndarray  # (N, k) float32


def sample_of(near: Result, rows: np.ndarray) -> Sample | None:
    """The sample that the `neighbours` step has drawn, memory-mapped; None where all records are fitted on."""
    if not near.info.get("sample"):
        return None
    names = ("sample.npy", "sample_indices.npy", "sample_similarity.npy")
    return Sample(*(np.load(near.file(name), mmap_mode="r") for name in names))


def compact(indices: np.ndarray, similarity: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours of the records that have a vector, numbered among those records."""
    if len(rows) == len(indices):
        return indices, similarity
    number = np.full(len(indices), -1, np.int32)
    number[rows] = np.arange(len(rows), dtype=np.int32)
    return number[indices[rows]], similarity[rows]


def _scatter(layout: np.ndarray, rows: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, list[str]]:
    points = np.zeros((len(valid), 2), np.float32)
    points[rows] = layout
    return settle(points, valid)


def settle(points: np.ndarray, valid: np.ndarray, beside: np.ndarray | None = None) -> tuple[np.ndarray, list[str]]:
    """(N, 2) finite float32 points whatever came in, and what to say about it.

    Records that all share one vector stand in a spiral; records without a vector stand in a row under the others.
    """
    points, messages = np.array(points, np.float32), []
    count = int(valid.sum())
    held = points[valid]
    if count > 1 and float(np.ptp(held, axis=0).max()) < 1e-6:
        turn = np.arange(count) * np.pi * (3 - np.sqrt(5))
        points[valid] = (held + np.sqrt(np.arange(count))[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)).astype(
            np.float32
        )
        messages.append(f"All {count:,} records have the same vector; their places on the map mean nothing.")
    lost = np.flatnonzero(~valid)
    if len(lost):
        frame = (
            points[valid] if count else (beside if beside is not None and len(beside) else np.zeros((1, 2), np.float32))
        )
        low, span = frame.min(0), np.maximum(np.ptp(frame, axis=0), 1.0)
        points[lost, 0] = low[0] + span[0] * np.arange(len(lost)) / max(len(lost), 20)
        points[lost, 1] = low[1] - 0.08 * span[1]
        messages.append(f"{len(lost):,} records have no vector; they stand in a row under the others.")
    return points, messages


def fidelity(vectors: np.ndarray, points: np.ndarray, rows: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """How far the map keeps true neighbours, on a sample: trustworthiness (Venna & Kaski 2001, eq. 2), overlap of the 15 nearest."""
    k = FIDELITY_NEIGHBOURS
    if len(rows) > FIDELITY_SAMPLE:
        rows = np.sort(np.random.default_rng(seed).choice(rows, FIDELITY_SAMPLE, replace=False))
    count = len(rows)
    if count < 2 * k:
        return {"trustworthiness": None, "neighbour_overlap": None, "fidelity_sample": count}
    high, low = np.asarray(vectors[rows], np.float32), points[rows].astype(np.float64)
    far = -(high @ high.T)
    np.fill_diagonal(far, -np.inf)
    ranks = np.empty((count, count), np.int32)
    order = np.argsort(far, axis=1, kind="stable")
    np.put_along_axis(ranks, order, np.arange(count, dtype=np.int32)[None], 1)  # 0 is the record itself
    squares = (low**2).sum(1)
    flat = squares[:, None] + squares - 2 * low @ low.T
    np.fill_diagonal(flat, np.inf)
    near = np.argpartition(flat, k, axis=1)[:, :k]
    rank = np.take_along_axis(ranks, near, 1)
    penalty = np.maximum(rank - k, 0).sum()
    trust = 1 - 2 * penalty / (count * k * (2 * count - 3 * k - 1))
    return {
        "trustworthiness": round(float(trust), 4), "neighbour_overlap": round(float((rank <= k).mean()), 4), "fidelity_sample": count,
    }  # fmt: skip
