"""How dense the training set is around each production record, relative to production itself: where it is thin, production has a hole
even though some training record may be similar enough."""

import numpy as np

from core.embedding.products import tensor
from core.progress import Progress, silent

QUERIES, BLOCK = 1024, 8192


def relative_density(
    production: np.ndarray, training: np.ndarray, k: int = 5, smooth: int = 8, progress: Progress = silent
) -> np.ndarray:
    """(N,) float64 >= 0: training records per production record near each production record, over the same ratio in the whole.

    About 1 where both are equally frequent, 0.5 where training is half as dense as production. For one record the ball reaches to its
    k-th nearest other production record (as in Naeem et al. 2020); the log ratio, 0.05 added to it, is then averaged over the record
    and its `smooth` nearest production records, because a hole is a region and one ball holds few points. NaN with no more than k
    production records, or no training. Rows are unit vectors of distinct texts; copies would have balls of radius 0.
    """
    import torch

    count, held = len(production), len(training)
    if count <= k or not held:
        return np.full(count, np.nan)
    own, near = tensor(production), min(max(k, smooth), count - 1)
    order, radius = np.zeros((count, near), np.int64), torch.zeros(count, 1)
    for start in range(0, count, QUERIES):
        block = own[start : start + QUERIES]
        similarity = block @ own.T
        similarity[torch.arange(len(block)), torch.arange(start, start + len(block))] = -2.0
        top = similarity.topk(near, dim=1)
        order[start : start + len(block)] = top.indices.numpy()
        radius[start : start + len(block)] = top.values[:, k - 1 : k] - 1e-6
    inside = torch.zeros(count, dtype=torch.int64)
    for first in range(0, held, BLOCK):
        other = tensor(training[first : first + BLOCK]).T
        for start in range(0, count, QUERIES):
            some = slice(start, start + QUERIES)
            inside[some] += (own[some] @ other >= radius[some]).sum(1)
        progress(min(first + BLOCK, held), held, "Comparing local densities")
    log = np.log(inside.numpy() / (k * held / count) + 0.05)
    around = order[:, : min(smooth, near)]
    return np.exp((log + log[around].sum(1)) / (1 + around.shape[1]))
