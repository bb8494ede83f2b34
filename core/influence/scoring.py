"""Scores of tokenised records under one model: a validation set in, one column for each query out. The step `influence` calls these.

from core.influence.scoring import scores
found = scores(model, tokens, validation, space="lora", direction="ggn", curvature=tokens)   # (N, 1)
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from core.errors import InputError
from core.influence import queries, spaces
from core.influence.batches import Halving
from core.influence.direction import Direction, mean_gradient, zeros
from core.influence.encode import Tokens, iterate, plan_batches
from core.influence.ghost import Ghost, exact_scores
from core.influence.losses import ResponseLoss, in_float32, make_batch
from core.influence.models import LanguageModel
from core.influence.norms import Norms, Unfit
from core.influence.preconditioned import Curvature, precondition
from core.influence.transfer import Work, on_gpu, settled
from core.progress import Progress, part, silent

SCORES = {
    "dot": "dot product of the record's gradient and the direction; positive = training on it lowers the validation loss",
    "cosine": "cosine of the record's gradient and the direction, in -1..1; positive = training on it lowers the validation loss",
    "mean-cosine": "mean over the validation records of the cosine of the record's gradient and theirs, in -1..1; "
    "positive = training on it lowers the validation loss of more of them than not",
    "self-influence": "squared length of the record's own gradient; higher = training on it moves the model more, as rare, hard and "
    "wrong records do, whatever that does to the validation loss",
}


def column(q: int) -> str:
    """The name under which `worker` gives the scores of query q."""
    return f"q{q}"


def directions_of(
    losses: ResponseLoss,
    validation: Tokens,
    asked: Sequence[queries.Query],
    space: spaces.Space,
    batch_tokens: int,
    curvature: Curvature | None = None,
    progress: Progress = silent,
    score: str = "dot",
) -> list[Direction]:
    """One direction for each query: the mean gradient of its records, preconditioned where `curvature` says how.

    For the score "mean-cosine" it is the mean of the records' gradients, each divided by its own length, u = (1/M) sum_j g_j / |g_j|:
    the mean over j of the cosines of g with g_j is <g, u> / |g|, so M cosines cost one product and the length of g, which is exact.
    """
    if curvature is not None and curvature.kind == "ggn" and losses.model.dtype in ("bfloat16", "float16"):
        with in_float32(
            losses
        ) as wider:  # the inverse enlarges rounding: ranks like float64 at .91 to .99 in half precision
            return directions_of(wider, validation, asked, space, batch_tokens, curvature, progress, score)
    found = []
    if score == "mean-cosine" and curvature:
        raise InputError("score=mean-cosine is defined for direction=mean alone. Choose one of the two.")
    for q, query in enumerate(asked):
        share = part(progress, q / len(asked) * 0.5, (q + 1) / len(asked) * 0.5)
        records = validation.take(query.rows)
        weights = None
        if score == "mean-cosine":
            weights = 1 / np.maximum(lengths_of(losses, records, space, batch_tokens), 1e-30)
        mean = mean_gradient(losses, records, space, batch_tokens, share, weights)
        found.append(Direction(space, mean.vectors, mean.records, query.name))
    return precondition(losses, found, curvature, batch_tokens, part(progress, 0.5, 1.0)) if curvature else found


def worker(score: str, ghost: Ghost, tokens: Tokens) -> Work:
    """What scores a batch: {"q0": (B,), …, "nll": (B,)}, on a GPU a function that waits for them (transfer.py).

    Errors: InputError for an unknown score.
    """
    if score not in SCORES:
        raise InputError(f"score {score!r} is not known; choose {', '.join(SCORES)}.")

    def dot(rows: np.ndarray) -> dict[str, np.ndarray] | Callable[[], dict[str, np.ndarray]]:
        wait = ghost.later(tokens, rows)

        def values() -> dict[str, np.ndarray]:
            found = wait()
            return {column(q): v for q, v in enumerate(found.each.T)} | {"nll": found.nll}

        return values if on_gpu(ghost.losses.model.device) else values()

    measure = None if score == "dot" else Measured(ghost, tokens)

    def measured(rows: np.ndarray) -> dict[str, np.ndarray]:
        dots, sizes, nll = measure(rows)
        if score == "self-influence":
            each = np.repeat(sizes[:, None] ** 2, dots.shape[1], axis=1)
        else:  # the mean of cosines: its direction is no unit vector, and need not be
            each = dots / np.maximum(sizes[:, None] * (ghost.norms if score == "cosine" else 1.0), 1e-30)
        return {column(q): v for q, v in enumerate(each.T)} | {"nll": nll}

    measured.measure = measure  # what went the slow way can be asked afterwards
    return dot if score == "dot" else measured


class Measured:
    """Dot products and lengths of the records of a batch from one backward; from plain gradients where a layer forbids it."""

    def __init__(self, ghost: Ghost, tokens: Tokens) -> None:
        self.ghost, self.tokens = ghost, tokens
        self.norms: Norms | None = None
        self.slow = ""  # why plain gradients are taken
        try:
            self.norms = Norms(ghost.losses, ghost.space)
        except Unfit as layer:
            self.slow = str(layer)
        self.checked = False

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(dots (B, Q), lengths (B,), NLL (B,)), all float64."""
        if self.norms is not None and not self.ghost.direct:
            if not self.checked:
                self.checked = True
                self._check(rows)
            if self.norms is not None and not self.norms.fits(self.tokens, rows):
                parts = [self(half) for half in np.array_split(rows, 2)]
                return tuple(np.concatenate(p) for p in zip(*parts, strict=True))
            found = self._watched(rows)
            if found is not None:
                return found
        dots, sizes = exact_scores(self.ghost.losses, self.tokens, rows, self.ghost.directions)
        nll = self.ghost.losses(make_batch(self.tokens, rows, self.ghost.losses.model.device))
        return dots, sizes, nll

    def _watched(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        if self.norms is None:
            return None
        try:
            with self.norms.watching(self.tokens, rows):
                found = self.ghost.score(self.tokens, rows)
            if not self.ghost.direct:
                return found.each, self.norms.lengths(), found.nll
        except Unfit as layer:
            self.norms, self.slow = None, str(layer)
        return None

    def _check(self, rows: np.ndarray) -> None:
        """Two records of the first batch against plain gradients; where they differ, everything goes the slow exact way."""
        two = rows[np.argsort(self.tokens.lengths[rows], kind="stable")[:2]]
        found = self._watched(two) if self.norms.fits(self.tokens, two) else None
        if found is None:
            return
        _, exact = exact_scores(self.ghost.losses, self.tokens, two, self.ghost.directions)
        rough = self.ghost.dtype.itemsize == 2
        if not np.all(np.abs(found[1] - exact) <= (0.1 if rough else 1e-3) * np.maximum(exact, 1e-30)):
            self.norms, self.slow = None, "a check against plain gradients"


def lengths_of(losses: ResponseLoss, tokens: Tokens, space: spaces.Space, batch_tokens: int) -> np.ndarray:
    """(N,) float64 length of each record's gradient in a space; 0 where there is no response."""
    out = np.zeros(len(tokens.ids))
    nothing = Direction(space, zeros(losses.module, space), 0)
    measure = Measured(Ghost(losses, nothing), tokens)
    for rows in iterate(tokens, batch_tokens):
        out[rows] = measure(rows)[1]
    return out


def scores(
    model: LanguageModel,
    tokens: Tokens,
    validation: Tokens,
    *,
    space: str = "lora",
    rank: int = 8,
    direction: str = "mean",
    score: str = "dot",
    loss: str = "mean",
    groups: Sequence[str] | None = None,
    curvature: Tokens | None = None,
    batch_tokens: int = 4096,
    seed: int = 0,
    progress: Progress = silent,
    **settings: Any,
) -> np.ndarray:
    """(N, Q) float64 influence of each record on each query; positive = training on it lowers that query's loss; NaN = no response.

    `groups` names the query of each validation record (None: all are one); columns follow the sorted names. `direction`: "mean",
    "adam" or "ggn" (see preconditioned.py); the last two look at `curvature`, by default the records themselves, and `settings`
    are those of `Curvature` (records, damping, iterations).
    """
    losses = ResponseLoss(model, loss)
    where = spaces.resolve(model.module, space, rank, seed)
    asked = queries.split(validation, groups)
    how = (
        None
        if direction == "mean"
        else Curvature(direction, curvature if curvature is not None else tokens, seed=seed, **settings)
    )
    found = directions_of(losses, validation, asked, where, batch_tokens, how, progress, score)
    ghost = Ghost(losses, found)
    work = Halving(worker(score, ghost, tokens), tokens.lengths)
    each = np.full((len(tokens.ids), len(asked)), np.nan)
    able = np.flatnonzero(tokens.response_tokens > 0)
    for batch in plan_batches(tokens.lengths[able], batch_tokens):
        rows = able[batch]
        values = settled(work(rows))
        each[rows] = np.stack([values[column(q)] for q in range(len(asked))], axis=1)
    return each
