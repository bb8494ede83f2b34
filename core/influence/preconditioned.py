"""Directions other than the plain mean gradient g of the validation loss.

adam   g / (sqrt(s) + eps): what Adam would make of a step, read from the side of the validation set. s is the mean of the squared
       gradients of BATCHES random batches of training records (Adam's second moment without its decay; LESS, arXiv 2402.04333,
       takes moments and s from a warm-up's optimizer and scales the training gradient: the same inner product while s is fixed).
       eps = 1e-8 + FLOOR * the root mean of s: without the floor a coordinate that no batch touched would rule every score.
ggn    (G + lambda I)^-1 g by conjugate gradients, G the Gauss-Newton matrix of random training records (curvature.py): influence
       functions (Koh & Liang 2017) with the curvature that Schioppa 2022 and kronfluence approximate, here solved for. lambda is a
       share of G's mean diagonal. Stopping early regularises as well: iterations, lambda and the residual are reported.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import InputError
from core.influence.curvature import GaussNewton, Vector
from core.influence.direction import Direction, mean_gradient, nested
from core.influence.encode import Tokens
from core.influence.losses import ResponseLoss
from core.progress import Progress, part, silent

DIRECTIONS = {
    "mean": "mean gradient of the response loss over the validation records",
    "adam": "mean validation gradient over the root of the mean squared training gradient, by coordinate, as Adam scales a step",
    "ggn": "mean validation gradient times the inverse of the damped Gauss-Newton matrix of training records",
}
BATCHES, BATCH = 32, 8  # of training records behind Adam's second moment
FLOOR = 0.1


@dataclass(frozen=True)
class Curvature:
    """How a direction is preconditioned, and the training records that it looks at."""

    kind: str  # "adam" or "ggn"
    tokens: Tokens  # of the training set; `records` of them are drawn
    records: int = 256
    damping: float = 0.1  # lambda over the mean diagonal of G
    iterations: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in DIRECTIONS:
            raise InputError(f"direction {self.kind!r} is not known; choose {', '.join(DIRECTIONS)}.")
        if not (self.damping > 0 and self.iterations >= 1 and self.records >= 1):
            raise InputError(
                f"damping={self.damping}, iterations={self.iterations}, curvature_records={self.records}: all must be above 0."
            )

    def sample(self) -> Tokens:
        """The drawn records: those whose keys hash lowest with the seed, so that an edit elsewhere changes none of them."""
        return self.tokens.take(drawn(self.tokens, self.records, self.seed))


def drawn(tokens: Tokens, count: int, seed: int | str) -> np.ndarray:
    """(<= count,) rows with a response, a random sample that depends on the seed and each record's own tokens; in hash order."""
    able = np.flatnonzero(tokens.response_tokens > 0)
    keys = tokens.take(able).keys()
    marks = [hashlib.blake2b(f"{seed}:{k}".encode(), digest_size=8).digest() for k in keys]
    return able[np.array(sorted(range(len(able)), key=lambda i: (marks[i], i))[:count], np.int64)]


def precondition(
    losses: ResponseLoss, found: Sequence[Direction], how: Curvature, batch_tokens: int, progress: Progress = silent
) -> list[Direction]:
    """The directions again, each with what was done to it in its `facts`."""
    sample = how.sample()
    if not len(sample.ids):
        raise InputError("No training record has a response to measure curvature on. Use direction=mean.")
    if how.kind == "adam":
        return _adam(losses, found, sample, batch_tokens, progress)
    if how.kind == "ggn":
        return _ggn(losses, found, how, sample, batch_tokens, progress)
    return list(found)


def _adam(
    losses: ResponseLoss, found: Sequence[Direction], sample: Tokens, batch_tokens: int, progress: Progress
) -> list[Direction]:
    space, many = found[0].space, len(sample.ids)
    batches = np.array_split(np.arange(many), max(1, min(BATCHES, -(-many // BATCH))))
    squares: dict[str, Any] = {}
    for k, rows in enumerate(batches):
        for name, t in mean_gradient(losses, sample.take(rows), space, batch_tokens).tensors().items():
            squares[name] = squares[name] + t.square() if name in squares else t.square()
        progress(k + 1, len(batches), f"second moments: {k + 1} of {len(batches)} batches")
    squares = {n: s / len(batches) for n, s in squares.items()}
    size = sum(s.numel() for s in squares.values())
    eps = 1e-8 + FLOOR * (sum(float(s.double().sum()) for s in squares.values()) / size) ** 0.5
    facts = {"batches": len(batches), "records": many, "eps": eps}
    return [
        Direction(
            space,
            nested(space, {n: t / (squares[n].sqrt() + eps) for n, t in d.tensors().items()}),
            d.records,
            d.query,
            facts,
        )
        for d in found
    ]


def _ggn(
    losses: ResponseLoss,
    found: Sequence[Direction],
    how: Curvature,
    sample: Tokens,
    batch_tokens: int,
    progress: Progress,
) -> list[Direction]:
    matrix = GaussNewton(losses, sample, found[0].space, batch_tokens)
    probes, rounds = 4, len(found) * (how.iterations + 1)
    progress(0, probes + rounds, "curvature: its mean diagonal")
    diagonal = matrix.mean_diagonal(found[0].tensors(), how.seed, probes)
    damping = how.damping * max(diagonal, 1e-30)
    solved = []
    for q, d in enumerate(found):
        share = part(
            progress,
            (probes + q * (how.iterations + 1)) / (probes + rounds),
            (probes + (q + 1) * (how.iterations + 1)) / (probes + rounds),
        )
        x, steps, residual = solve(matrix.product, d.tensors(), damping, how.iterations, share)
        facts = {
            "records": len(sample.ids), "mean_diagonal": diagonal, "damping": damping, "damping_relative": how.damping,
            "iterations": steps, "residual": residual,
        }  # fmt: skip
        solved.append(Direction(d.space, nested(d.space, x), d.records, d.query, facts))
    return solved


def solve(
    product: Callable[[Vector], Vector], right: Vector, damping: float, iterations: int, progress: Progress = silent
) -> tuple[Vector, int, float]:
    """(x, steps taken, |right - (G + damping I) x| / |right|) by conjugate gradients from 0; the residual is measured at the end."""
    import torch

    def inner(a: Vector, b: Vector) -> float:
        return sum(float((a[n].double() * b[n].double()).sum()) for n in a)

    def damped(v: Vector) -> Vector:
        g = product(v)
        return {n: g[n] + damping * v[n] for n in v}

    x = {n: torch.zeros_like(t) for n, t in right.items()}
    r = {n: t.clone() for n, t in right.items()}
    p, size = dict(r), inner(r, r)
    start, step = size, 0
    while step < iterations and size > 1e-20 * start > 0:
        moved = damped(p)
        bend = inner(p, moved)
        if not bend > 0:
            break  # only rounding can bring a matrix that is never negative here
        alpha = size / bend
        x = {n: x[n] + alpha * p[n] for n in x}
        r = {n: r[n] - alpha * moved[n] for n in r}
        before, size = size, inner(r, r)
        p = {n: r[n] + size / before * p[n] for n in p}
        step += 1
        progress(
            step,
            iterations + 1,
            f"conjugate gradients: step {step} of {iterations}, residual {(size / start) ** 0.5:.2g}",
        )
    left = damped(x)
    gap = sum(float((right[n].double() - left[n].double()).square().sum()) for n in right)
    return x, step, (gap / start) ** 0.5 if start else 0.0


def sentence(kind: str, found: Sequence[Direction]) -> str:
    """The direction in words, with what was measured while it was made."""
    facts = found[0].facts
    if kind == "adam":
        return f"{DIRECTIONS[kind]} ({facts['batches']} batches of {facts['records']} random training records, eps {facts['eps']:.2g})"
    if kind == "ggn":
        steps, worst = max(d.facts["iterations"] for d in found), max(d.facts["residual"] for d in found)
        return (
            f"{DIRECTIONS[kind]} ({facts['records']} random ones; {steps} steps of conjugate gradients, residual {worst:.2g}; "
            f"damping {facts['damping_relative']:g} of the mean diagonal, {facts['damping']:.2g})"
        )
    return DIRECTIONS[kind]
