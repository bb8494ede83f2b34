"""Step `neighbours`: the nearest records of each record by cosine similarity, found once for every step that needs them."""

from typing import Any

import numpy as np

from core.errors import InputError
from core.progress import Progress, part, silent
from core.workspace import Inputs, Output

DEFAULTS: dict[str, Any] = {
    "k": 30,
    # Exact search of 100,000 x 384 takes about 75 s on two cores, and so does the compilation of pynndescent in a fresh process.
    "exact_until": 100_000,
    "seed": 0,
}
ROWS, COLUMNS = 1024, 8192  # a block of similarities: 32 MiB
MARGIN = 8  # candidates kept beyond k, to order ties by position
STEPS_PER_UNIT = 2**20  # similarities are compared in steps of 1e-6, so that rounding in a product decides no tie
RECALL_SAMPLE = 500


def run(inputs: Inputs) -> Output:
    """(N, k) int32 indices of the nearest records, most similar first, itself left out; similarity.npy (N, k) float32 beside it.

    Exact up to `exact_until` records, pynndescent above, with its recall measured on a sample. k is smaller when there are
    fewer records. A record without a vector is nobody's neighbour: its indices are -1, its similarities NaN.
    info: k, method, recall (1 when exact), without_vector.
    """
    vectors = inputs.results["embed"].array()
    k, seed = int(inputs.params["k"]), int(inputs.params["seed"])
    valid = np.flatnonzero(has_vector(vectors))
    recall = 1.0
    if len(valid) <= int(inputs.params["exact_until"]):
        method = "exact"
        indices, similarity = knn(vectors, k, inputs.progress)
    else:
        method = "pynndescent"
        indices, similarity = approximate(vectors, k, seed, part(inputs.progress, 0.0, 0.95))
        sample = np.sort(np.random.default_rng(seed).choice(valid, RECALL_SAMPLE, replace=False))
        exact, _ = cross_knn(vectors[sample], vectors, k + 1, part(inputs.progress, 0.95, 1.0))
        hits = [
            len(set(indices[row]) & set([i for i in found if i != row][:k]))
            for row, found in zip(sample, exact, strict=True)
        ]
        recall = float(np.mean(hits) / k)
    np.save(inputs.files / "similarity.npy", similarity)
    info = {
        "k": int(indices.shape[1]), "method": method, "recall": round(recall, 4), "recall_sample": RECALL_SAMPLE * (method != "exact"),
        "without_vector": int(len(vectors) - len(valid)), "records": int(len(vectors)),
    }  # fmt: skip
    return Output(None, indices, info)


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
        whole = len(valid) == len(vectors)
        pool = np.asarray(vectors if whole else vectors[valid], np.float32)
        for start, found, score in _blocks(pool, pool, width, True, progress):
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
        inside = np.asarray(pool if len(valid) == len(pool) else pool[valid], np.float32)
        for start, found, score in _blocks(np.asarray(queries[asked], np.float32), inside, width, False, progress):
            rows = asked[start : start + len(found)]
            indices[rows] = valid[found]
            similarity[rows] = score
    return indices, similarity


def _blocks(queries: np.ndarray, pool: np.ndarray, k: int, same: bool, progress: Progress):
    """Yield (first row, indices, similarities) for blocks of queries against the whole pool, never more than 1,024 x 8,192 at once."""
    import torch

    left, right = torch.from_numpy(_plain(queries)), torch.from_numpy(_plain(pool))
    wide = min(k + MARGIN, len(pool) - same)
    buffer = torch.empty((ROWS, min(COLUMNS, len(pool))))
    with torch.inference_mode():
        for start in range(0, len(left), ROWS):
            block = left[start : start + ROWS]
            best, place = None, None
            for first in range(0, len(right), COLUMNS):
                others = right[first : first + COLUMNS]
                scores = buffer[: len(block), : len(others)]
                torch.matmul(block, others.T, out=scores)
                if same:
                    rows = torch.arange(len(block))
                    own = rows + start - first
                    here = (own >= 0) & (own < len(others))
                    scores[rows[here], own[here]] = -2.0
                top, at = _top(scores, min(wide, len(others)), best)
                at = at + first
                if best is not None:
                    top, at = torch.cat([best, top], 1), torch.cat([place, at], 1)
                    keep = top.topk(min(wide, top.shape[1]), sorted=False).indices
                    top, at = top.gather(1, keep), at.gather(1, keep)
                best, place = top, at
            yield start, *_ordered(block, right, best.numpy(), place.numpy(), k, start if same else None)
            progress(min(start + ROWS, len(left)), len(left), "Comparing records")


def _top(scores, count: int, best):
    """The `count` largest of each row. Rows in which nothing reaches what is held already are left out of the selection."""
    import torch

    if best is None or best.shape[1] < count:
        return scores.topk(count, sorted=False)
    floor = best.min(1).values
    # Few scores of a later block still count: take the most that any row has, instead of `count` of every row.
    most = int((scores > floor[:, None]).sum(1).max())
    if most == 0:
        return scores[:, :0], torch.zeros((len(scores), 0), dtype=torch.int64)
    return scores.topk(min(most, count), sorted=False)


def _plain(array: np.ndarray) -> np.ndarray:
    """Contiguous float32 that torch may wrap (it dislikes read-only memory maps); copied only when it must be."""
    return array if array.flags.writeable and array.flags.c_contiguous else np.array(array, np.float32)


def _ordered(
    block, pool, scores: np.ndarray, places: np.ndarray, k: int, own: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """The k best of the candidates by (similarity in steps of 1e-6, position)."""
    import torch

    steps = np.rint(scores * STEPS_PER_UNIT).astype(np.int64)
    # One integer carries both: more similar first, then the earlier position.
    order = np.argsort(-(steps * len(pool)) + places, axis=1, kind="stable")
    steps, places = np.take_along_axis(steps, order, 1), np.take_along_axis(places, order, 1)
    crowded = np.flatnonzero(steps[:, k - 1] <= steps[:, -1]) if steps.shape[1] > k else np.zeros(0, int)
    if steps.shape[1] < len(pool) - (own is not None):
        for at in range(
            0, len(crowded), 64
        ):  # more ties than the margin holds (many equal texts): look at every candidate
            rows = crowded[at : at + 64]
            full = (block[rows] @ pool.T).mul_(STEPS_PER_UNIT).round_().long()
            if own is not None:
                full[torch.arange(len(rows)), torch.from_numpy(rows + own)] = -(2**40)
            top = (full * len(pool) - torch.arange(len(pool))).topk(k).indices
            places[rows, :k] = top.numpy()
            steps[rows, :k] = full.gather(1, top).numpy()
    return places[:, :k], np.clip(steps[:, :k] / STEPS_PER_UNIT, -1, 1).astype(np.float32)


def approximate(vectors: np.ndarray, k: int, seed: int, progress: Progress = silent) -> tuple[np.ndarray, np.ndarray]:
    """As `knn`, by nearest-neighbour descent (Dong et al. 2011): about 96 % of the neighbours at a tenth of the time at 200,000."""
    import warnings

    progress(0, 1, "Building the neighbour graph")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pynndescent import NNDescent

        valid = np.flatnonzero(has_vector(vectors))
        pool = np.array(vectors if len(valid) == len(vectors) else vectors[valid], np.float32)
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
