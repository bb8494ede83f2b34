"""Influence under the matching head (matching.py): the part of the step `influence` for `model=match`, the default.

Costly is only the embedding of prompts, contexts and responses: vectors are taken over from `embed` and from earlier results by
their text, and survive a kill. The head itself is linear algebra of seconds, and is computed anew each time, for one edited
record moves the map that all the others are held against.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from core.embedding.texts import common_lead
from core.errors import InputError
from core.influence import holdout, queries
from core.influence.match import matching
from core.influence.match.matching import Part
from core.influence.match.texts import Side, side, vectors
from core.influence.scoring import SCORES
from core.progress import part
from core.workspace import Inputs, Output, digest_of

MATCH_LIMIT = (
    "The proxy judges whether a response belongs to its prompt, not whether it is true: of planted faults it found swapped responses "
    "(AUROC .99), but wrong ones hardly better than chance (.6; docs/adr/0004-proxy-by-experiment.md). For decisions on content "
    "name a pretrained model, with all parameters and the inverse curvature."
)
DIRECTIONS = {
    "ggn": "mean validation gradient times the inverse of the damped Gauss-Newton matrix of all training records "
    "(exact: the loss is quadratic)",
    "mean": "mean gradient of the matching loss over the validation records",
}
ONLY_LM = {"checkpoints": "", "warmup": 0.0, "adapter": ""}  # parameters that ask for states of a language model


@dataclass(frozen=True)
class Fitted:
    """The head over the records of a workspace, and the directions of the queries."""

    own: Side
    mine: Part
    theirs: Part
    asked: list[tuple[str, np.ndarray]]  # (name, rows among the validation records) of each query
    grouped: bool
    v: np.ndarray  # (1+d, Q)
    dots: np.ndarray  # (N, Q)
    weight: np.ndarray  # (N, Q)
    learn: np.ndarray  # (N,) bool
    folds: np.ndarray  # (N,)
    held: list[str]
    validation: str
    facts: dict[str, Any]


def direction_of(params: Mapping[str, Any]) -> str:
    if params["direction"] == "auto":
        return "mean" if params["score"] == "mean-cosine" else "ggn"
    return params["direction"]


def fitted(inputs: Inputs, keep: bool = False) -> Fitted:
    """Texts, vectors, head and directions. Errors: InputError for parameters that only a language model has, or without responses."""
    params, training = inputs.params, inputs.datasets["training"]
    kind, ids = direction_of(params), training.ids()
    _check(params, kind)
    lead = common_lead([p or "" for p in training.column("prompt").to_pylist()])
    own = side(training, params["target"], lead)
    if not own.able.any():
        raise InputError(
            "No training record has a response to match. Map the response column, or choose another model."
        )
    given = inputs.datasets.get("validation")
    by, held = params["queries"], []
    if given is not None:
        other, names = side(given, params["target"], lead), queries.labels(given, by) if by else None
        sentence = f"{int(other.able.sum()):,} records of the validation set {given.name}"
    else:
        chosen = holdout.choose(
            ids, training.column("category").to_pylist(), own.able, params["seed"], params["holdout_share"], params["holdout_min"]
        )  # fmt: skip
        held, sentence = [ids[r] for r in chosen.rows], chosen.sentence
        other = Side(*([texts[r] for r in chosen.rows] for texts in (own.prompts, own.contexts, own.responses)))
        names = queries.labels(training, by) if by else None
        names = [names[r] for r in chosen.rows] if names else None
    if not other.able.any():
        raise InputError(
            "No validation record has a response to compute a loss on. Import validation records with responses."
        )
    read, facts = vectors(inputs, own, other, part(inputs.progress, 0.0, 0.95), keep)
    inputs.progress(0, 0, "fitting the matching head")
    learn = own.able & holdout.without(ids, held)
    folds = matching.folds_of([i.rpartition("-")[0] for i in ids], params["seed"])
    mine, theirs = matching.parts(*read, learn, folds)
    asked = _split(names, other.able)
    matrix, scale = matching.curvature(mine, np.flatnonzero(learn)) if kind == "ggn" else (None, 1.0)
    at = [rows for _, rows in asked]
    v = matching.directions(theirs, at, matrix, params["damping"] * scale, lengths=params["score"] != "mean-cosine")
    dots, weight = matching.scores(mine, v)
    return Fitted(own, mine, theirs, asked, names is not None, v, dots, weight, learn, folds, held, sentence, facts)


def run(inputs: Inputs) -> Output:
    params, ids, started = inputs.params, inputs.datasets["training"].ids(), time.monotonic()
    kind, made = direction_of(params), fitted(inputs, keep=True)
    own, mine, asked, v, facts, held, learn = made.own, made.mine, made.asked, made.v, made.facts, made.held, made.learn
    gap = probe(mine, v[:, 0], np.flatnonzero(own.able)[:16])
    each, weight = _scored(params["score"], mine, v, made.dots).copy(), made.weight.copy()
    each[~own.able], weight[~own.able] = np.nan, np.nan

    heldout = np.isin(np.array(ids, object), held) if held else np.zeros(len(ids), bool)
    table = {"record_id": ids, "influence": each.mean(1)}
    if made.grouped:
        table |= {"influence_max": each.max(1)} | {queries.PREFIX + n: each[:, k] for k, (n, _) in enumerate(asked)}
    fit = np.where(own.able, mine.fit, np.nan)
    table |= {"fit": fit, "weight": weight.mean(1)}
    if kind != "mean":
        plain = matching.directions(made.theirs, [rows for _, rows in asked], None, 0.0)
        table |= {"influence_mean_gradient": np.where(own.able, matching.scores(mine, plain)[0].mean(1), np.nan)}
    table |= {"response_tokens": facts.pop("response_tokens"), "truncated": facts.pop("cut"), "heldout": heldout}
    columns = {
        n: pa.array(x, from_pandas=True) if isinstance(x, np.ndarray) and x.dtype == float else x
        for n, x in table.items()
    }
    warnings = facts.pop("warnings")
    if held:
        warnings.append(f"{len(held)} held-out records are the validation set; their own influence is flattered.")
    few = [n for n, rows in asked if made.grouped and len(rows) < 5]
    if few:
        warnings.append(
            f"{len(few)} of {len(asked)} queries rest on fewer than 5 validation records (first: {few[0]}); noisy."
        )
    empty = int((~own.able).sum())
    if empty:
        warnings.append(f"{empty:,} records have no response to score; their values are empty.")
    together = facts.pop("together")
    alone = "" if together is None else f"; a text embedded alone and in its batch differs by {together:.1e}"
    info = facts | {
        "model": params["model"],
        "proxy": True,
        "sentence": f"A proxy: a matching head of {v.shape[0]:,} parameters on frozen embeddings ({facts['encoder']}); what a fitting "
        f"response looks like was learnt from {int(learn.sum()):,} of your records, each judged by the others. It is no language "
        "model and knows nothing of what the model that you fine-tune knows; its ranking is a first look.",
        "architecture": "matching head on frozen embeddings",
        "parameters": int(v.shape[0]),
        "device": "cpu",
        "dtype": "float64",
        "space": "all",
        "parameter_space": f"all {v.shape[0]:,} parameters of the head: a constant, and one a dimension of the prompt's embedding",
        "dimensions": int(v.shape[0]),
        "direction": DIRECTIONS[kind] + (f", damping {params['damping']:g}" if kind == "ggn" else ""),
        "direction_kind": kind,
        "direction_norm": [float(x) for x in np.linalg.norm(v, axis=0)],
        "queries": [n for n, _ in asked] if made.grouped else [],
        "queries_by": params["queries"],
        "query_records": [len(rows) for _, rows in asked],
        "score": SCORES[params["score"]],
        "loss": "half the squared distance between the response's embedding and what the prompt lets expect, of one whole response",
        "template": "none: texts are embedded as they are",
        "target": params["target"],
        "validation": made.validation,
        "validation_records": sum(len(rows) for _, rows in asked),
        "holdout": made.validation if held else "",
        "heldout": int(heldout.sum()),
        "without_response": empty,
        "kappa": matching.KAPPA,
        "folds": int(made.folds.max()) + 1,
        "identity": digest_of(facts["revision"], kind, params["score"], str(params["damping"]), str(params["seed"]), params["target"]),
        "scored": int(own.able.sum()),
        "exactness": gap,
        "alone_and_together": together,
        "check": f"relative difference to finite differences of the loss {gap:.1e}{alone}",
        "direct": [],
        "seconds": round(time.monotonic() - started, 1),
        "warnings": [*warnings, MATCH_LIMIT],
    }  # fmt: skip
    return Output(table=pa.table(columns), info=info)


def _check(params: dict[str, Any], kind: str) -> None:
    if params["score"] not in SCORES:
        raise InputError(f"score {params['score']!r} is not known; choose {', '.join(SCORES)}.")
    if kind not in DIRECTIONS:
        raise InputError(
            f"direction={kind} is not made for the matching proxy; choose {' or '.join(DIRECTIONS)}, or set model=proxy."
        )
    for name, off in ONLY_LM.items():
        if params.get(name, off) not in (off, [], 0):
            raise InputError(
                f"{name} asks for states of a language model, which the matching proxy has not. Set model=proxy."
            )
    if params["score"] == "mean-cosine" and kind != "mean":
        raise InputError("score=mean-cosine is defined for direction=mean alone. Choose one of the two.")
    if not params["damping"] > 0:
        raise InputError(f"damping={params['damping']}: it must be above 0.")


def _split(names: list[str] | None, able: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """(name, rows) of each query: all usable validation records, or those of each group."""
    if names is None:
        return [("", np.flatnonzero(able))]
    groups = np.array(names, object)
    found = [(n, np.flatnonzero(able & (groups == n))) for n in sorted(set(groups[able]))]
    if len(found) > queries.MOST:
        raise InputError(
            f"The validation records fall into {len(found)} groups; at most {queries.MOST} queries can be scored at once. "
            "Choose a coarser column."
        )
    return found


def _scored(score: str, mine: Part, v: np.ndarray, dots: np.ndarray) -> np.ndarray:
    """(N, Q) the scores that were asked for, from the dot products."""
    if score == "dot":
        return dots
    sizes = mine.sizes
    if score == "mean-cosine":
        return dots / np.maximum(sizes[:, None], 1e-30)
    if score == "cosine":
        return dots / np.maximum(sizes[:, None] * np.linalg.norm(v, axis=0), 1e-30)
    return np.repeat(sizes[:, None] ** 2, dots.shape[1], axis=1)


def probe(mine: Part, v: np.ndarray, rows: np.ndarray) -> float:
    """Largest relative gap between the scores of some records and central differences of their losses along v."""
    few, step = mine.take(rows), 0.5 / max(float(np.linalg.norm(v)), 1e-30)
    slope = (few.losses(step * v) - few.losses(-step * v)) / (2 * step)
    # <g, v> is the slope; the score turns the signs of both g and the mean validation gradient.
    found = matching.scores(few, v[:, None])[0][:, 0]
    size = max(float(np.abs(found).max(initial=0)), 1e-30)
    return float(np.abs(found + slope).max(initial=0) / size)
