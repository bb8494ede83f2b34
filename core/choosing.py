"""From a workspace to a selection of records: what strategies rank by, and the pick itself."""

from dataclasses import replace

import numpy as np

from core.decisions import kept_ids
from core.errors import MissingInput
from core.frame import column, difficulty_sources
from core.influence.selection import STRATEGIES, Frame, Selection, select
from core.steps import current
from core.workspace import Dataset, Workspace


def selection_frame(workspace: Workspace, data: Dataset, difficulty: str | None = None) -> Frame:
    """Everything that is known now and that a strategy may rank by, over the records that can be picked.

    Those are the records that the ledger keeps, without those held out as validation: the target itself is no training record.
    `difficulty` names the source (see core.frame.DIFFICULTY); the best one there is by default.
    """
    ids = data.ids()
    kept = set(kept_ids(workspace, data))
    able = np.fromiter((i in kept for i in ids), bool, len(ids))
    sources = [name for name, _ in difficulty_sources(workspace, data)]
    source = difficulty or (sources[0] if sources else None)
    influence, embed, valid = (current(workspace, s) for s in ("influence", "embed", "embed:validation"))
    scores = None
    if influence is not None:
        table = influence.table(["influence", "heldout"])
        scores = np.array(table.column(0).to_numpy(zero_copy_only=False), float)
        able &= ~np.asarray(table.column(1).to_numpy(zero_copy_only=False), bool)
    whole = Frame(
        ids,
        influence=scores,
        difficulty=column(workspace, data, source).values if source else None,
        length=column(workspace, data, "response_words").values,
        embeddings=embed.array() if embed else None,
        validation_embeddings=valid.array() if valid else None,
        category=data.column("category").to_pylist(),
    )
    return whole if able.all() else _rows(whole, np.flatnonzero(able))


def _rows(frame: Frame, rows: np.ndarray) -> Frame:
    def take(values):
        return None if values is None else values[rows]

    return replace(
        frame,
        ids=[frame.ids[r] for r in rows],
        influence=take(frame.influence),
        difficulty=take(frame.difficulty),
        length=take(frame.length),
        embeddings=take(frame.embeddings),
        category=[frame.category[r] for r in rows] if frame.category is not None else None,
    )


def pick(
    workspace: Workspace,
    strategy: str,
    budget: str | int,
    seed: int = 0,
    difficulty: str | None = None,
    frame: Frame | None = None,
    **params,
) -> Selection:
    """Pick a budget of the training records. Errors: InputError (strategy, budget), MissingInput (a score not computed yet).

    `frame`: what `selection_frame` gave for this difficulty, when the caller has it already.
    """
    data = workspace.need("training")
    frame = frame or selection_frame(workspace, data, difficulty)
    needs = STRATEGIES[strategy].needs if strategy in STRATEGIES else ()
    if "influence" in needs and frame.influence is None:
        raise MissingInput(f"Strategy {strategy} needs influence. Run `influence` first.")
    if "difficulty" in needs and frame.difficulty is None:
        raise MissingInput(f"Strategy {strategy} needs difficulty. Map a rating column, or run `difficulty` first.")
    found = select(strategy, frame, budget, seed, **params)
    source = difficulty or next((name for name, _ in difficulty_sources(workspace, data)), None)
    return replace(found, params={**found.params, "difficulty": source})
