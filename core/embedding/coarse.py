"""Where a layout begins: each record at the place of its group, in a layout of the groups' centres.

From principal components a layout of many records spends most of its epochs on untangling them, and parts that lie apart stay where
chance has put them. The layout of a thousand centres costs next to nothing and settles that first; the records then have only to find
their places among their like, in half the epochs. (Multilevel layout, as for drawing graphs: Walshaw 2003, "A multilevel algorithm for
force-directed graph drawing". umap-learn begins with the graph's eigenvectors instead.)
"""

import numpy as np

from core.embedding.manifold import graph, lay_out, nudged, principal, spread_out
from core.embedding.neighbours import knn

GROUPS = 1000
EPOCHS = 500  # for the centres
REACH = 7.0  # root mean square distance from the middle; wider leaves the map empty between its parts
BLOCK = 4096
NEIGHBOURS = 15


def first_places(vectors: np.ndarray, seed: int) -> np.ndarray:
    """(N, 2) float32 places of unit vectors (N, d), N >= 60, by the layout of the centres of up to GROUPS groups.

    A group is what lies nearest to one of GROUPS records drawn by chance; its centre the mean of its vectors, scaled to unit length.
    """
    labels, centres = groups(vectors, min(GROUPS, len(vectors) // 4), seed)
    near = knn(centres, NEIGHBOURS - 1)
    start = spread_out(principal(centres, 2))
    placed = lay_out(graph(*near, NEIGHBOURS), start, EPOCHS, seed)
    places = placed[labels] - placed[labels].mean(0)
    reach = float(np.sqrt((places**2).sum(1).mean()))
    return nudged(places * (REACH / max(reach, 1e-6)))


def groups(vectors: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) labels of the nearest of `count` records drawn by chance, and the groups' mean directions (groups, d) float32."""
    from scipy.sparse import csr_matrix

    drawn = np.sort(np.random.default_rng(seed).choice(len(vectors), count, replace=False))
    chosen = np.asarray(vectors[drawn], np.float32)
    labels, sums = np.empty(len(vectors), np.int64), np.zeros((count, vectors.shape[1]), np.float32)
    for start in range(0, len(vectors), BLOCK):
        rows = np.asarray(vectors[start : start + BLOCK], np.float32)
        at = (rows @ chosen.T).argmax(1)
        labels[start : start + BLOCK] = at
        sums += csr_matrix((np.ones(len(rows), np.float32), (at, np.arange(len(rows)))), (count, len(rows))) @ rows
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    centres = np.where(
        length > 1e-6, sums / np.maximum(length, 1e-6), chosen
    )  # opposite vectors have no mean direction
    kept, labels = np.unique(labels, return_inverse=True)  # a copy of a drawn record draws nothing to itself
    return labels, centres[kept]
