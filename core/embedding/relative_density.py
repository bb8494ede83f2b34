"""How dense the training set is around each production record, relative to production itself: where it is thin, production has a hole
even though some training record may be similar enough."""

import numpy as np

from core.progress import Progress, silent


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
    own, other = (torch.from_numpy(np.array(a, np.float32)) for a in (production, training))
    near = min(max(k, smooth), count - 1)
    inside, order = np.zeros(count), np.zeros((count, near), np.int64)
    for start in range(0, count, 1024):
        block = own[start : start + 1024]
        similarity = block @ own.T
        similarity[torch.arange(len(block)), torch.arange(start, start + len(block))] = -2.0
        top = similarity.topk(near, dim=1)
        order[start : start + len(block)] = top.indices.numpy()
        radius = top.values[:, k - 1 : k] - 1e-6
        for first in range(0, held, 8192):
            within = block @ other[first : first + 8192].T >= radius
            inside[start : start + len(block)] += within.sum(1).numpy()
        progress(min(start + 1024, count), count, "Comparing local densities")
    log = np.log(inside / (k * held / count) + 0.05)
    around = order[:, : min(smooth, near)]
    return np.exp((log + log[around].sum(1)) / (1 + around.shape[1]))
