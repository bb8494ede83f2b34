"""Groups found in a sample, given to all records: each goes where most of its nearest sampled records belong."""

from collections.abc import Sequence

import numpy as np

from core.embedding.levels import by_size
from core.embedding.manifold import BLOCK

VOTES = 15


def smallest_of(asked: int, records: int, sampled: int) -> int:
    """The smallest cluster to look for in a sample: the sample's share of what was asked, or what suits a set of its size."""
    return max(5, round(asked * sampled / records) if asked else round(sampled**0.5 / 3))


def assigned(
    found: Sequence[np.ndarray], pool: np.ndarray, indices: np.ndarray, similarity: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(len(rows),) labels, probabilities and finer labels of the records `rows` from those of the sampled records `pool`.

    `found`: the three of the sample. Another record goes where most of its 15 nearest sampled records belong, noise included, each
    vote weighted by its similarity; its probability is the share of the votes. Finer labels by the same vote, and only inside the
    label. `indices`, `similarity` (N, k): places in `pool`.
    """
    label, fine = np.full(len(indices), -1, np.int32), np.full(len(indices), -1, np.int32)
    sure = np.zeros(len(indices), np.float32)
    label[pool], sure[pool], fine[pool] = found
    rest = np.setdiff1d(rows, pool, assume_unique=True)
    for start in range(0, len(rest), BLOCK):
        some = rest[start : start + BLOCK]
        near = indices[some, :VOTES]
        weight = np.maximum(np.asarray(similarity[some, :VOTES], np.float32), 1e-6)
        label[some], sure[some] = winners(found[0][near], weight)
        inside = (found[0][near] == label[some][:, None]) & (label[some] >= 0)[:, None]
        fine[some] = winners(np.where(inside, found[2][near], -1), weight * inside)[0]
    sure[label < 0] = 0
    return by_size(label[rows]), sure[rows], by_size(fine[rows])


def winners(votes: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(B,) label with the largest sum of weights in each row of votes (B, k), and its share; ties: the smaller label, noise last."""
    total = np.stack([(weight * (votes == votes[:, [v]])).sum(1) for v in range(votes.shape[1])], 1)
    order = np.where(votes < 0, np.iinfo(np.int32).max, votes)
    best = np.lexsort((order, -total.round(6)), axis=1)[:, 0]
    at = np.arange(len(votes))
    return votes[at, best], (total[at, best] / np.maximum(weight.sum(1), 1e-12)).astype(np.float32)
