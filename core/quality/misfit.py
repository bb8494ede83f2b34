"""Responses that do not fit their prompt, as when two answers were swapped: found by a map from prompts to responses.

The matching head (core/influence/match/matching.py) says of every prompt, reasoning included, what its response should look like,
learnt from the other records alone. misfit = the share of the other responses that come nearer to that than the record's own. Planted:
of 30 swapped responses of the sample data 25 are flagged at 0.10 among 28 flags, of 24 swapped answers among 800 of MedQuAD 21 to 23
among 22 to 24. It judges the subject: of wrong answers on the right subject it finds hardly more than chance would (AUROC .60).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from core.embedding.texts import common_lead
from core.errors import InputError
from core.influence.match import matching
from core.influence.match.texts import Side, side, vectors
from core.progress import part
from core.workspace import Inputs, Output

DEFAULTS: dict[str, Any] = {
    "threshold": 0.10,
    "target": "reasoning+response",  # "response": the prompt alone, for sets whose reasoning was swapped along with the response
    "against": 20_000,  # responses that each record is held against; of more, a seeded sample
    "seed": 0,
}
LEAST = 100  # records with a response from which the map says anything
ROWS = 512
LIMIT = (
    "Found is a response about something else than its prompt. A wrong answer on the right subject looks right to this check, and so "
    "does a response that was swapped together with its reasoning (set target to response for that)."
)


def run(inputs: Inputs) -> Output:
    """Step `misfit`: record_id, misfit (0..1, higher = fits worse; null without a response), fit (-1..1), flagged, better_id.

    better_id: of a flagged record, the one whose prompt its response fits best; null where that is its own.
    """
    params, dataset = DEFAULTS | dict(inputs.params), inputs.datasets["training"]
    if params["target"] not in ("reasoning+response", "response"):
        raise InputError(f"target is {params['target']!r}; it must be reasoning+response or response.")
    ids = dataset.ids()
    own = side(dataset, params["target"], common_lead([p or "" for p in dataset.column("prompt").to_pylist()]))
    able = own.able
    count = int(able.sum())
    empty = np.full(len(ids), np.nan)
    info: dict[str, Any] = {"threshold": float(params["threshold"]), "judged": count, "limit": LIMIT, "warnings": []}
    if count < LEAST:
        info |= {"flagged": 0, "undefined": f"{count:,} records have a response; it takes {LEAST} to learn what fits."}
        return Output(_table(ids, empty, empty, np.zeros(len(ids), bool), [None] * len(ids)), info=info)
    # The vectors of all texts are kept once, where the step `influence` looks for them too.
    shared = replace(inputs, kept=inputs.kept.parent / "influence") if inputs.kept is not None else inputs
    (mine, _), facts = vectors(shared, own, Side([], [], []), part(inputs.progress, 0.0, 0.9), inputs.kept is not None)
    for name in ("texts.npy", "texts.parquet"):
        (inputs.files / name).unlink(missing_ok=True)
    e, x, r = mine
    folds = matching.folds_of([i.rpartition("-")[0] for i in ids], int(params["seed"]))
    head, _ = matching.parts((e, x, r), (e[:1], x[:1], r[:1]), able, folds)
    answers = matching.unit(np.where(r.any(1)[:, None], r - head.centre, 0.0)).astype(np.float32)
    towards = head.towards.astype(np.float32)
    pool = np.flatnonzero(able)
    if len(pool) > params["against"]:
        pool = np.sort(np.random.default_rng(params["seed"]).choice(pool, int(params["against"]), replace=False))
        info["warnings"].append(
            f"Each response is held against {len(pool):,} others drawn at random, not against all {count:,}."
        )
    misfit = np.where(able, _better(towards, answers, head.fit, pool, part(inputs.progress, 0.9, 1.0)), np.nan)
    flagged = able & (misfit >= params["threshold"])
    info["warnings"] += facts["warnings"]
    info |= {
        "flagged": int(flagged.sum()),
        "encoder": facts["encoder"],
        "target": params["target"],
        "against": len(pool),
    }
    better = _fits_best(towards, answers, np.flatnonzero(flagged), able, ids)
    fit = np.where(able, head.fit, np.nan)
    inputs.progress(1, 1, f"{info['flagged']:,} responses do not fit")
    return Output(_table(ids, misfit, fit, flagged, better), info=info)


def _better(towards: np.ndarray, answers: np.ndarray, fit: np.ndarray, pool: np.ndarray, progress) -> np.ndarray:
    """(N,) share of the responses in `pool` that fit a record's prompt better than its own does; equal ones do not count."""
    found, others = np.zeros(len(fit)), answers[pool].T.copy()
    for start in range(0, len(fit), ROWS):
        rows = slice(start, start + ROWS)
        progress(start, len(fit), "comparing responses")
        found[rows] = (towards[rows] @ others > fit[rows, None] + 1e-5).mean(1)
    return found


def _fits_best(
    towards: np.ndarray, answers: np.ndarray, rows: np.ndarray, able: np.ndarray, ids: list[str]
) -> list[str | None]:
    """Per record the id of the one whose prompt its response fits best, for some rows; None elsewhere and where it is its own."""
    best: list[str | None] = [None] * len(ids)
    for start in range(0, len(rows), ROWS):
        some = rows[start : start + ROWS]
        fits = np.where(able[None], answers[some] @ towards.T, -np.inf)
        for row, other in zip(some.tolist(), fits.argmax(1).tolist(), strict=True):
            best[row] = ids[other] if other != row else None
    return best


def _table(ids: list[str], misfit: np.ndarray, fit: np.ndarray, flagged: np.ndarray, better: list) -> pa.Table:
    columns: Mapping[str, Any] = {
        "record_id": pa.array(ids, pa.string()),
        "misfit": pa.array(misfit, pa.float32(), from_pandas=True),
        "fit": pa.array(fit, pa.float32(), from_pandas=True),
        "flagged": pa.array(flagged, pa.bool_()),
        "better_id": pa.array(better, pa.string()),
    }
    return pa.table(columns)
