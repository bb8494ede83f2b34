"""The layout of a set of vectors, coarse to fine: groups first, then each record from the place of its group.

From principal components a layout of many records spends most of its epochs on untangling them, and parts that lie apart stay where
chance has put them. The layout of the groups' centres costs little and settles that first; the records then have only to find their
places among their like, in half the epochs. (Multilevel layout, as for drawing graphs: Walshaw 2003, "A multilevel algorithm for
force-directed graph drawing". umap-learn begins with the graph's eigenvectors instead.)
"""

import numpy as np

from core.embedding.manifold import BLOCK, graph, lay_out, nudged, principal, spread_out
from core.embedding.neighbours import cross_knn, knn
from core.embedding.products import single
from core.progress import Progress, part, silent

FEW = 250  # records up to which a layout begins at principal components
MEMBERS = 16  # of a group, on average
REACH = 7.0  # root mean square distance of the groups from their middle; wider leaves the map empty between its parts
# Up to so many records so many epochs, else LEAST: twice as many raise trustworthiness by .005 or less.
EPOCHS = ((2000, 500), (12_000, 300), (20_000, 200))
LEAST = 100
NEIGHBOURS = 15


def draw(
    vectors: np.ndarray,
    indices: np.ndarray,
    similarity: np.ndarray,
    neighbours: int,
    epochs: int,
    seed: int | None,
    progress: Progress = silent,
    device: str = "cpu",
) -> tuple[np.ndarray, int]:
    """(N, 2) layout of unit vectors with their nearest (N, k), and the epochs it took: as given, or by EPOCHS for 0."""
    epochs = epochs or next((number for most, number in EPOCHS if len(vectors) <= most), LEAST)
    strengths = graph(indices, similarity, neighbours)
    if device == "cuda":  # begins by itself
        start = np.zeros((len(vectors), 2), np.float32)
    else:
        start = first_places(vectors, seed or 0, part(progress, 0.0, 0.25))
    return lay_out(strengths, start, epochs, seed, progress=part(progress, 0.25, 1.0), device=device), epochs


def first_places(vectors: np.ndarray, seed: int, progress: Progress = silent) -> np.ndarray:
    """(N, 2) float32 where the layout of unit vectors begins: up to FEW principal components, else the places of groups."""
    if len(vectors) <= FEW:
        return spread_out(principal(vectors, 2))
    labels, centres = groups(vectors, len(vectors) // MEMBERS, seed, part(progress, 0.0, 0.5))
    near = knn(centres, NEIGHBOURS - 1)
    placed, _ = draw(centres, *near, NEIGHBOURS, 0, seed, part(progress, 0.5, 1.0))
    places = placed[labels] - placed[labels].mean(0)
    reach = float(np.sqrt((places**2).sum(1).mean()))
    return nudged(places * (REACH / max(reach, 1e-6)))


def groups(vectors: np.ndarray, count: int, seed: int, progress: Progress = silent) -> tuple[np.ndarray, np.ndarray]:
    """(N,) labels of the nearest of `count` records drawn by chance, and the mean directions (groups, d) float32 of the groups."""
    from scipy.sparse import csr_matrix

    drawn = np.sort(np.random.default_rng(seed).choice(len(vectors), count, replace=False))
    nearest = cross_knn(vectors, vectors[drawn], 1, progress)[0][:, 0]
    kept, labels = np.unique(nearest, return_inverse=True)  # a copy of a drawn record draws nothing to itself
    sums = np.zeros((len(kept), vectors.shape[1]), np.float32)
    for start in range(0, len(vectors), BLOCK):
        rows, mine = single(vectors[start : start + BLOCK]), labels[start : start + BLOCK]
        sums += (
            csr_matrix((np.ones(len(rows), np.float32), (mine, np.arange(len(rows)))), (len(kept), len(rows))) @ rows
        )
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    centres = np.where(length > 1e-6, sums / np.maximum(length, 1e-6), vectors[drawn][kept])  # opposites have no mean
    return labels, centres.astype(np.float32)
