"""How many points of one set lie in the ball around each point of another: the count behind coverage, density and local density."""

import numpy as np

from core.embedding.products import tensor
from core.progress import Progress, part, silent

QUERIES, BLOCK = 1024, 8192


def inside_radius(reference: np.ndarray, sample: np.ndarray, k: int, progress: Progress = silent) -> np.ndarray:
    """(N,) int64: how many sample points (M, d) lie inside the radius of each reference point (N, d), N > k: the Euclidean distance to
    its k-th nearest other reference point."""
    return inside_and_nearest(reference, sample, k, k, progress)[0]


def inside_and_nearest(
    reference: np.ndarray, sample: np.ndarray, k: int, near: int, progress: Progress = silent
) -> tuple[np.ndarray, np.ndarray]:
    """`inside_radius`, and (N, min(near, N - 1)) int64 the nearest other reference points, nearest first."""
    import torch

    ref, most = tensor(reference), min(max(k, near), len(reference) - 1)
    square, radius = (ref * ref).sum(1, keepdim=True), torch.zeros(len(ref), 1)
    order = np.zeros((len(ref), most), np.int64)
    first_part, second_part = part(progress, 0.0, 0.3), part(progress, 0.3, 1.0)
    for start in range(0, len(ref), QUERIES):
        some = slice(start, start + QUERIES)
        own = (square[some] + square.T - 2 * ref[some] @ ref.T).clamp_(min=0)
        own[torch.arange(len(own)), torch.arange(start, start + len(own))] = float("inf")
        found = own.topk(most, dim=1, largest=False)
        order[some] = found.indices.numpy()
        # The last term: rounding of |a|^2 + |b|^2 - 2ab.
        radius[some] = found.values[:, k - 1 : k] + 1e-6 * square[some]
        first_part(min(start + QUERIES, len(ref)), len(ref), "Drawing balls around production")
    inside = torch.zeros(len(ref), dtype=torch.int64)
    for first in range(0, len(sample), BLOCK):
        other = tensor(sample[first : first + BLOCK])
        half = (other * other).sum(1) / -2
        for start in range(0, len(ref), QUERIES):
            some = slice(start, start + QUERIES)  # |a - b|^2 <= r^2 where ab - |b|^2 / 2 >= (|a|^2 - r^2) / 2
            inside[some] += (torch.addmm(half, ref[some], other.T) >= (square[some] - radius[some]) / 2).sum(1)
        second_part(min(first + BLOCK, len(sample)), len(sample), "Looking into the balls of production")
    return inside.numpy(), order[:, :near]
