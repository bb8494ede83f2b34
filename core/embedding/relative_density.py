"""How dense the training set is around each production record, relative to production itself: where it is thin, production has a hole
even though some training record may be similar enough."""

import numpy as np

from core.embedding.balls import inside_and_nearest
from core.progress import Progress, silent

SMOOTH = 8


def relative_density(
    production: np.ndarray,
    training: np.ndarray,
    k: int = 5,
    smooth: int = SMOOTH,
    progress: Progress = silent,
    counted: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """(N,) float64 >= 0: training records per production record near each production record, over the same ratio in the whole.

    About 1 where both are equally frequent, 0.5 where training is half as dense as production. For one record the ball reaches to its
    k-th nearest other production record (as in Naeem et al. 2020); the log ratio, 0.05 added to it, is then averaged over the record
    and its `smooth` nearest production records, because a hole is a region and one ball holds few points. NaN with no more than k
    production records, or no training. Rows are unit vectors (to the rounding of float16) of distinct texts; copies would have
    balls of radius 0. `counted`: by core.embedding.balls.inside_and_nearest, where that is known already.
    """
    count, held = len(production), len(training)
    if count <= k or not held:
        return np.full(count, np.nan)
    inside, around = counted or inside_and_nearest(production, training, k, smooth, progress)
    log = np.log(inside / (k * held / count) + 0.05)
    return np.exp((log + log[around].sum(1)) / (1 + around.shape[1]))
