"""Step `neighbours`: the nearest records of each record by cosine similarity, found once for every step that needs them."""

from typing import Any

import numpy as np

from core.embedding.nearest import STEPS, nearest
from core.embedding.products import bounds
from core.embedding.sampling import density_sample
from core.errors import InputError
from core.progress import Progress, part, silent
from core.workspace import Inputs, Output

DEFAULTS: dict[str, Any] = {
    "k": 30,
    # Beyond, an approximate graph costs much less, even with the minute that pynndescent takes to compile in a fresh process.
    "exact_until": 200_000,
    "seed": 0,
    "sample": 100_000,  # records that the map and the clusters are fitted on; where there are more, the others are placed among these
}
RECALL_SAMPLE = 500


def run(inputs: Inputs) -> Output:
    """(N, k) int32 indices of the nearest records, most similar first, itself left out; similarity.npy (N, k) float32 beside it.

    Exact up to `exact_until` records, pynndescent above, with its recall measured on a sample. k is smaller when there are
    fewer records. A record without a vector is nobody's neighbour: its indices are -1, its similarities NaN.
    Above `sample` records also sample.npy, rows of a sample that keeps the density of the whole, and sample_indices.npy,
    sample_similarity.npy: the nearest of these for every record, exact, as places in the sample.
    info: k, method, recall (1 when exact), recall_sample, without_vector, sample (0 when there is none).
    """
    vectors = inputs.results["embed"].array()
    k, seed = int(inputs.params["k"]), int(inputs.params["seed"])
    valid = np.flatnonzero(has_vector(vectors))
    recall, sampled = 1.0, len(valid) > int(inputs.params["sample"])
    progress = part(inputs.progress, 0.0, 0.6) if sampled else inputs.progress
    if len(valid) <= int(inputs.params["exact_until"]):
        method = "exact"
        indices, similarity = knn(vectors, k, progress)
    else:
        method = "pynndescent"
        indices, similarity = approximate(vectors, k, seed, part(progress, 0.0, 0.95))
        sample = np.sort(np.random.default_rng(seed).choice(valid, RECALL_SAMPLE, replace=False))
        exact, _ = cross_knn(vectors[sample], vectors, k + 1, part(progress, 0.95, 1.0))
        hits = [
            len(set(indices[row]) & set([i for i in found if i != row][:k]))
            for row, found in zip(sample, exact, strict=True)
        ]
        recall = float(np.mean(hits) / k)
    np.save(inputs.files / "similarity.npy", similarity)
    if sampled:
        rows = density_sample(vectors, valid, int(inputs.params["sample"]), seed)
        among, alike = among_sample(vectors, rows, k, part(inputs.progress, 0.6, 1.0))
        for name, values in (("sample", rows), ("sample_indices", among), ("sample_similarity", alike)):
            np.save(inputs.files / f"{name}.npy", values)
    info = {
        "k": int(indices.shape[1]), "method": method, "recall": round(recall, 4), "recall_sample": RECALL_SAMPLE * (method != "exact"),
        "without_vector": int(len(vectors) - len(valid)), "records": int(len(vectors)),
        "sample": int(inputs.params["sample"]) if sampled else 0,
    }  # fmt: skip
    return Output(None, indices, info)


def among_sample(
    vectors: np.ndarray, rows: np.ndarray, k: int, progress: Progress = silent
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of the records `rows` for every record, itself left out: (N, k) int32 places in `rows`, float32 similarities."""
    sample = np.asarray(vectors[rows], np.float32)
    found, alike = cross_knn(vectors, sample, k + 1, progress)
    own = np.full((len(vectors), 1), -2, np.int32)
    own[rows, 0] = np.arange(len(rows))
    out = found == own
    out[~out.any(1), -1] = True  # not there (or hidden by copies): leave out the farthest instead
    kept = ~(out & (np.cumsum(out, 1) == 1))
    return found[kept].reshape(len(vectors), -1), alike[kept].reshape(len(vectors), -1)


def check_same_space(left: dict, right: dict) -> None:
    """Errors: InputError when two sets of vectors cannot be compared."""
    for name, label in (("dimension", "dimensions"), ("revision", "model"), ("text", "text embedded")):
        if left.get(name) != right.get(name) and left.get("records") and right.get("records"):
            raise InputError(
                f"Training and production vectors differ in {label} ({left.get(name)} and {right.get(name)}). Embed both with the "
                "same model and text."
            )


def has_vector(vectors: np.ndarray, block: int = 65_536) -> np.ndarray:
    """(N,) bool: rows that are not all zero."""
    found = [np.any(vectors[start : start + block], axis=1) for start in range(0, len(vectors), block)]
    return np.concatenate(found) if found else np.zeros(0, bool)


def knn(vectors: np.ndarray, k: int, progress: Progress = silent) -> tuple[np.ndarray, np.ndarray]:
    """(N, k) int32 indices and float32 cosine similarities of unit rows, exact, descending, ties by position, self left out."""
    valid = np.flatnonzero(has_vector(vectors))
    width = max(0, min(k, len(valid) - 1))
    indices = np.full((len(vectors), width), -1, np.int32)
    similarity = np.full((len(vectors), width), np.nan, np.float32)
    if width:
        pool = vectors if len(valid) == len(vectors) else vectors[valid]  # where it lies, unless some have no vector
        for start, found, score in _nearest(pool, pool, width, True, progress):
            rows = valid[start : start + len(found)]
            indices[rows] = valid[found]
            similarity[rows] = score
    return indices, similarity


def cross_knn(
    queries: np.ndarray, pool: np.ndarray, k: int, progress: Progress = silent
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest rows of `pool` for each query: (Q, k) int32 indices and float32 similarities; -1 and NaN for a query without vector."""
    valid, asked = np.flatnonzero(has_vector(pool)), np.flatnonzero(has_vector(queries))
    width = min(k, len(valid))
    indices = np.full((len(queries), width), -1, np.int32)
    similarity = np.full((len(queries), width), np.nan, np.float32)
    if width and len(asked):
        inside = pool if len(valid) == len(pool) else pool[valid]
        mine = queries if len(asked) == len(queries) else queries[asked]
        for start, found, score in _nearest(mine, inside, width, False, progress):
            rows = asked[start : start + len(found)]
            indices[rows] = valid[found]
            similarity[rows] = score
    return indices, similarity


def _nearest(queries: np.ndarray, pool: np.ndarray, k: int, same: bool, progress: Progress):
    """Yield (first row, indices, cosine similarities) for blocks of queries against the whole pool."""
    both = bounds(queries, pool)
    for start, found, score in nearest(both, k, same, progress):
        yield start, found, np.clip(np.rint(score * STEPS) / STEPS, -1, 1).astype(np.float32)


def approximate(vectors: np.ndarray, k: int, seed: int, progress: Progress = silent) -> tuple[np.ndarray, np.ndarray]:
    """As `knn`, by nearest-neighbour descent (Dong et al. 2011): about 96 % of the neighbours at a tenth of the time at 200,000."""
    import warnings

    progress(0, 1, "Building the neighbour graph")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pynndescent import NNDescent

        valid = np.flatnonzero(has_vector(vectors))
        # As it lies: pynndescent makes one copy, scaled to unit length, and needs no other.
        pool = np.asarray(vectors if len(valid) == len(vectors) else vectors[valid])
        graph = NNDescent(pool, metric="cosine", n_neighbors=k + 1, random_state=seed, compressed=False)
        found, distance = graph.neighbor_graph
    indices = np.full((len(vectors), k), -1, np.int32)
    similarity = np.full((len(vectors), k), np.nan, np.float32)
    mine = found == np.arange(len(found))[:, None]
    mine[~mine.any(1), -1] = True  # among many copies a record may not find itself: drop the last instead
    kept = ~(mine & (np.cumsum(mine, 1) == 1))
    indices[valid] = valid[found[kept].reshape(len(found), k)]
    similarity[valid] = 1 - distance[kept].reshape(len(found), k)
    progress(1, 1, "Neighbour graph built")
    return indices, similarity
