"""Steps `preview` and `map`: two coordinates for each record, at once by PCA, then by UMAP with production placed into it."""

from typing import Any

import numpy as np
import pyarrow as pa

from core.embedding.manifold import SMALL, graph, lay_out, place, principal
from core.embedding.neighbours import check_same_space, has_vector
from core.errors import InputError
from core.progress import part
from core.workspace import Inputs, Output

DEFAULTS: dict[str, Any] = {
    "mode": "reproducible",  # or "parallel": all cores, another layout each time
    "seed": 42,
    "neighbours": 15,
    "epochs": 0,  # 0: 500 up to 10,000 records, 200 above
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

    info: method ("UMAP", or "PCA" for fewer than 15 records), mode, seed, epochs, neighbours, placed, trustworthiness and
    neighbour_overlap at 15 (0..1, higher = the map keeps more of the true neighbours; on a sample), warnings.
    """
    params = inputs.params
    if params["mode"] not in ("reproducible", "parallel"):
        raise InputError(f"mode={params['mode']!r} is not known; choose reproducible or parallel.")
    embed, near = inputs.results["embed"], inputs.results["neighbours"]
    vectors = embed.array()
    valid = has_vector(vectors)
    seed = int(params["seed"]) if params["mode"] == "reproducible" else None
    epochs = int(params["epochs"]) or (500 if valid.sum() <= SMALL else 200)
    info: dict[str, Any] = {"mode": params["mode"], "seed": seed}
    rows = np.flatnonzero(valid)
    production = inputs.results.get("embed:production")
    if production is not None:
        check_same_space(embed.info, production.info)
    start = principal(vectors[rows] if len(rows) < len(vectors) else vectors, 2)
    placed = None
    if len(rows) < FEWEST:
        info["method"] = "PCA"
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
        indices, similarity = compact(near.array(), np.load(near.file("similarity.npy"), mmap_mode="r"), rows)
        strengths = graph(indices, similarity, int(params["neighbours"]))
        layout = lay_out(strengths, start, epochs, seed)
        inputs.progress(700, 1000, "Laying out the map")
        points, messages = _scatter(layout, rows, valid)
        info |= {"method": "UMAP", "epochs": epochs, "neighbours": int(params["neighbours"])}
        info |= fidelity(vectors, points, rows)
        if production is not None:
            progress = part(inputs.progress, 0.75, 1.0)
            placed = place(production.array(), vectors[rows], layout, int(params["neighbours"]), seed, progress)
            placed, more = settle(placed, np.isfinite(placed).all(1), points)
            messages += [f"Production: {m}" for m in more]
    ids = [embed.table(["record_id"]).column(0)]
    roles = ["training"] * len(vectors)
    if placed is not None:
        ids.append(production.table(["record_id"]).column(0))
        roles += ["production"] * len(placed)
        points = np.vstack([points, placed])
        info |= {
            "placed": len(placed),
            "placement": "UMAP transform on exact neighbours; the training layout does not move",
        }
    record_ids = pa.concat_arrays(
        [chunk.cast(pa.string()) for c in ids for chunk in c.chunks] or [pa.array([], pa.string())]
    )
    table = pa.table(
        {"role": pa.array(roles, pa.string()), "record_id": record_ids, "x": points[:, 0], "y": points[:, 1]}
    )
    return Output(table, None, info | {"warnings": messages})


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
    high, low = np.asarray(vectors[rows]), points[rows].astype(np.float64)
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
