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
from core.influence.direction import Direction, mean_gradient
from core.influence.encode import Tokens, plan_batches
from core.influence.ghost import Ghost, exact_scores
from core.influence.losses import ResponseLoss, make_batch
from core.influence.models import LanguageModel
from core.influence.preconditioned import Curvature, precondition
from core.progress import Progress, part, silent

SCORES = {
    "dot": "dot product of the record's gradient and the direction; positive = training on it lowers the validation loss",
    "cosine": "cosine of the record's gradient and the direction, in -1..1; positive = training on it lowers the validation loss",
}
Work = Callable[[np.ndarray], dict[str, np.ndarray]]


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
) -> list[Direction]:
    """One direction for each query: the mean gradient of its records, preconditioned where `curvature` says how."""
    found = []
    for q, query in enumerate(asked):
        share = part(progress, q / len(asked) * 0.5, (q + 1) / len(asked) * 0.5)
        mean = mean_gradient(losses, validation.take(query.rows), space, batch_tokens, share)
        found.append(Direction(space, mean.vectors, mean.records, query.name))
    return precondition(losses, found, curvature, batch_tokens, part(progress, 0.5, 1.0)) if curvature else found


def worker(score: str, ghost: Ghost, tokens: Tokens) -> Work:
    """What scores a batch: {"q0": (B,), …, "nll": (B,)}. Errors: InputError for an unknown score."""
    if score not in SCORES:
        raise InputError(f"score {score!r} is not known; choose {' or '.join(SCORES)}.")

    def dot(rows: np.ndarray) -> dict[str, np.ndarray]:
        found = ghost.score(tokens, rows)
        return {column(q): v for q, v in enumerate(found.each.T)} | {"nll": found.nll}

    def cosine(rows: np.ndarray) -> dict[str, np.ndarray]:
        dots, sizes = exact_scores(ghost.losses, tokens, rows, ghost.directions)
        each = dots / np.maximum(sizes[:, None] * ghost.norms, 1e-30)
        nll = ghost.losses(make_batch(tokens, rows, ghost.losses.model.device))
        return {column(q): v for q, v in enumerate(each.T)} | {"nll": nll}

    return dot if score == "dot" else cosine


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
    found = directions_of(losses, validation, asked, where, batch_tokens, how, progress)
    ghost = Ghost(losses, found)
    work = Halving(worker(score, ghost, tokens), tokens.lengths)
    each = np.full((len(tokens.ids), len(asked)), np.nan)
    able = np.flatnonzero(tokens.response_tokens > 0)
    for batch in plan_batches(tokens.lengths[able], batch_tokens):
        rows = able[batch]
        values = work(rows)
        each[rows] = np.stack([values[column(q)] for q in range(len(asked))], axis=1)
    return each
