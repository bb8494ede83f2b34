"""How many points of one set lie in the ball around each point of another: the count behind coverage, density and local density."""

import numpy as np

from core.embedding.products import tensor
from core.progress import Progress, silent

QUERIES, BLOCK = 1024, 8192


def inside_radius(reference: np.ndarray, sample: np.ndarray, k: int, progress: Progress = silent) -> np.ndarray:
    """(N,) int64: how many sample points (M, d) lie inside the radius of each reference point (N, d), N > k."""
    import torch

    ref = tensor(reference)
    square, radius = (ref * ref).sum(1, keepdim=True), torch.zeros(len(ref), 1)
    for start in range(0, len(ref), QUERIES):
        some = slice(start, start + QUERIES)
        own = (square[some] + square.T - 2 * ref[some] @ ref.T).clamp_(min=0)
        own[torch.arange(len(own)), torch.arange(start, start + len(own))] = float("inf")
        # The last term: rounding of |a|^2 + |b|^2 - 2ab.
        radius[some] = own.kthvalue(k, dim=1, keepdim=True).values + 1e-6 * square[some]
        del own
    inside = torch.zeros(len(ref), dtype=torch.int64)
    for first in range(0, len(sample), BLOCK):
        other = tensor(sample[first : first + BLOCK])
        half = (other * other).sum(1) / -2
        for start in range(0, len(ref), QUERIES):
            some = slice(start, start + QUERIES)  # |a - b|^2 <= r^2 where ab - |b|^2 / 2 >= (|a|^2 - r^2) / 2
            inside[some] += (torch.addmm(half, ref[some], other.T) >= (square[some] - radius[some]) / 2).sum(1)
        progress(min(first + BLOCK, len(sample)), len(sample), "Looking into the balls of production")
    return inside.numpy()
