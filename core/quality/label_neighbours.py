"""What the nearest records say of a label: the share of them that have it, and the label that most of them have."""

import numpy as np

from core.embedding.neighbours import cross_knn, knn
from core.progress import Progress, silent
from core.quality.columns import slices


def neighbour_votes(
    vectors: np.ndarray, labels: np.ndarray, k: int = 10, progress: Progress = silent
) -> tuple[np.ndarray, np.ndarray]:
    """((N,) float32 share of the k most similar other records with the same label, 0..1; (N,) int64 the label most of them have).

    Unit rows (N, d); the neighbours are exact. Of labels with equally many votes that of the nearer neighbour wins. nan and -1 when
    there is no other record.
    """
    return votes(knn(vectors, k, progress)[0], labels)


def votes(found: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What neighbours (N, k), most similar first, say of labels (N,): see `neighbour_votes`. A row that begins with -1 has none."""
    count = len(labels)
    agreement, most = np.full(count, np.nan, dtype=np.float32), np.full(count, -1, dtype=np.int64)
    if found.shape[1] < 1:
        return agreement, most
    for rows in slices(count):
        known = found[rows, 0] >= 0
        near = labels[found[rows]]
        agreement[rows] = np.where(known, (near == labels[rows, None]).mean(axis=1), np.nan)
        counted = (near[:, :, None] == near[:, None, :]).sum(axis=2)  # of each neighbour's label among the k
        most[rows] = np.where(known, near[np.arange(len(near)), counted.argmax(axis=1)], -1)
    return agreement, most


def shared_neighbours(
    shared: np.ndarray, vectors: np.ndarray, rows: np.ndarray, k: int, progress: Progress = silent
) -> np.ndarray:
    """(M, <= k) int32 nearest of the records `rows` (M,) among themselves, as places in `rows`, most similar first.

    Taken from neighbours (N, k') among all N records, -1 for none; for a record with fewer than k of `rows` among
    its k' they are searched for among all of `rows`, exactly.
    """
    place = np.full(len(shared), -1, dtype=np.int32)
    place[rows] = np.arange(len(rows), dtype=np.int32)
    width = min(k, len(rows) - 1)
    found, short = np.full((len(rows), max(width, 0)), -1, dtype=np.int32), []
    for some in slices(len(rows)) if width > 0 else ():
        near = np.asarray(shared[rows[some]])
        near = np.where(near >= 0, place[near], -1)
        order = np.argsort(near < 0, axis=1, kind="stable")[:, :width]  # those among `rows` first, in their order
        near = np.take_along_axis(near, order, axis=1)
        if near.shape[1] == width:
            found[some] = near
        short.append(some.start + np.flatnonzero((near < 0).any(axis=1) | (near.shape[1] < width)))
    lacking = np.concatenate(short) if short else np.zeros(0, dtype=np.int64)
    if len(lacking):
        pool = vectors if len(rows) == len(vectors) else np.asarray(vectors[rows], dtype=np.float32)
        near, _ = cross_knn(vectors[rows[lacking]], pool, width + 1, progress)
        own = near == lacking[:, None]
        own[~own.any(axis=1), -1] = True  # hidden by copies of itself: leave out the farthest instead
        found[lacking] = near[~own].reshape(len(lacking), width)
    return found


def neighbour_agreement(vectors: np.ndarray, labels: np.ndarray, k: int = 10) -> np.ndarray:
    """(N,) float32 share of the k most similar other records with the same label, 0..1; unit rows (N, d). nan when alone."""
    return neighbour_votes(vectors, labels, k)[0]
