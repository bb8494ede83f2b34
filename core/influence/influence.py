"""The step `influence`: <gradient of each record's response loss, direction of the validation set>, exact, for every training record.

DIQ's "Dot" (arXiv 2508.01450), first order: a small step of gradient descent on the record lowers the mean validation loss by
step * influence. Positive = helpful. Unlike DIQ, nothing is projected to 4,096 dimensions. `score=cosine` divides by both norms;
`direction` takes another v; `queries` gives each group of validation records a column; `checkpoints` sums over states of the model.
"""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import InputError, QuadrantError
from core.influence import actors, adapters, checkpoints, holdout, models, queries, scoring, spaces
from core.influence.batches import Halving
from core.influence.chunks import run_batches
from core.influence.direction import Direction, read, save
from core.influence.encode import Tokens, plan_batches
from core.influence.ghost import Ghost
from core.influence.losses import ResponseLoss
from core.influence.preconditioned import DIRECTIONS, Curvature, sentence
from core.influence.queries import Query
from core.influence.scoring import SCORES, column
from core.influence.setup import Setup, alone_and_together, prepare
from core.progress import Progress, part
from core.workspace import Inputs, Output, digest_of

DEFAULTS: dict[str, Any] = {
    "model": models.MATCH,  # the matching proxy; or "proxy" (a language model trained here), a folder, a hub id
    "revision": "",
    "adapter": "",  # a folder with a LoRA adapter of PEFT's format, merged into the model
    "space": "lora",  # or "adapter" (its own parameters), "all", "last-2"
    "rank": 8,
    "score": "dot",  # or "cosine", "mean-cosine", "self-influence": see scoring.py
    "loss": "mean",  # a record's loss: mean or sum over its response tokens; sum favours long responses
    "direction": "auto",  # ggn for the matching proxy, else mean; or "mean", "adam", "ggn": see preconditioned.py
    "curvature_records": 256,  # training records that adam and ggn look at
    "damping": 0.1,  # of ggn, over the mean diagonal
    "iterations": 10,  # of conjugate gradients
    "queries": "",  # a column of the validation records: one query, and one column of scores, for each of its values
    "checkpoints": "",  # TracIn: a list of model folders, or "kept" for those of the proxy
    "rates": [],  # their learning rates; [] reads each trainer_state.json
    "warmup": 0.0,  # share of the training records (LESS: 0.05) that the model is trained on first
    "warmup_rate": 1e-4,
    "warmup_sum": False,  # sum over the ends of the warm-up's epochs, as LESS, instead of its end alone
    "target": "reasoning+response",
    "max_length": 1024,
    "batch_tokens": 0,  # 0: as free memory allows
    "device": "auto",
    "dtype": "auto",
    "holdout_share": holdout.SHARE,
    "holdout_min": holdout.MINIMUM,
    "seed": 0,
}
PROXY_LIMIT = (
    "The proxy is too small to judge what a response says: it found planted wrong responses no better than chance "
    "(docs/adr/0002-proxy-model.md). For decisions name a pretrained model."
)
LENGTH_BIAS = {
    "mean": "mean over the response tokens, so that a long response counts as much as a short one",
    "sum": "sum over the response tokens, so that long responses get larger influence of either sign: a length bias, asked for",
}
KEEP_DIRECTION = 2**30  # bytes; larger directions are computed again instead of stored


def fingerprint(params: dict[str, Any]) -> str:
    asked = params.get("checkpoints")
    folders = asked if isinstance(asked, list) else []
    own = adapters.fingerprint(params.get("adapter") or "")
    return models.fingerprint(params["model"]) + own + "".join(f"|{models.fingerprint(str(f))}" for f in folders)


def run(inputs: Inputs) -> Output:
    if inputs.params["model"] == models.MATCH:
        from core.influence.match import step as match_step

        return match_step.run(inputs)
    if inputs.params["direction"] == "auto":
        inputs = replace(inputs, params={**inputs.params, "direction": "mean"})
    params, training, progress = inputs.params, inputs.datasets["training"], inputs.progress
    for name, known in (("score", SCORES), ("direction", DIRECTIONS)):
        if params[name] not in known:
            raise InputError(f"{name} {params[name]!r} is not known; choose {', '.join(known)}.")
    started = time.monotonic()
    setup = prepare(inputs)
    progress(0, 0, "tokenising")
    tokens, ids = setup.encode(training, params["target"]), training.ids()
    held, check, groups, source = _validation(inputs, setup, tokens, ids)
    asked, keys = queries.split(check, groups), tokens.keys()
    how = _curvature(params, tokens)
    stages, said = checkpoints.stages(inputs, setup, tokens, part(progress, 0.0, 0.1))
    space = spaces.resolve(setup.model.module, params["space"], params["rank"], params["seed"])
    identity = digest_of(
        *(f"{s.revision}:{s.rate:.12g}" for s in stages), setup.model.device, setup.model.dtype,
        str(space.seed), space.name, str(space.rank), params["loss"], params["score"], queries.digest(check, asked), *_how_key(how),
    )  # fmt: skip

    able = tokens.response_tokens > 0
    names = [column(q) for q in range(len(asked))] + ["nll"]
    values = {name: np.full(len(ids), np.nan) for name in names}
    reused = _reuse(inputs.earlier, identity, keys, values) & able
    rows = np.flatnonzero(able & ~reused)
    batches = [rows[b] for b in plan_batches(tokens.lengths[rows], setup.batch_tokens)]
    for name in names[:-1]:
        values[name][rows] = 0.0
    seen: list[_Seen] = []
    for c, stage in enumerate(stages):
        share = part(progress, 0.1 + 0.9 * c / len(stages), 0.1 + 0.9 * (c + 1) / len(stages))
        found, facts = _stage(inputs, setup, stage, c, space, asked, check, how, identity, tokens, batches, share)
        for name in names[:-1]:
            values[name][rows] += stage.rate * found[name][rows]
        values["nll"][rows] = found["nll"][rows]  # of the last state
        seen.append(facts)

    each = np.stack([values[name] for name in names[:-1]], axis=1)
    heldout = np.isin(np.array(ids, object), held) if held else np.zeros(len(ids), bool)
    table = {"record_id": ids, "influence": each.mean(1)}
    if groups is not None:
        table |= {"influence_max": each.max(1)} | {q.column: each[:, k] for k, q in enumerate(asked)}
    table |= {
        "nll": values["nll"],
        "response_tokens": tokens.response_tokens,
        "truncated": tokens.truncated,
        "heldout": heldout,
    }
    columns = {
        n: pa.array(v, from_pandas=True) if isinstance(v, np.ndarray) and v.dtype == float else v
        for n, v in table.items()
    }
    pq.write_table(pa.table({"key": keys} | values), inputs.files / "rows.parquet")
    first, direct = seen[0], sorted(set().union(*(s.direct for s in seen)))
    gap = max((s.gap for s in seen if s.gap is not None), default=None)
    together = max((s.together for s in seen if s.together is not None), default=None)
    info = setup.facts(tokens, inputs) | said | {
        "space": space.name,
        "parameter_space": space.sentence,
        "dimensions": space.dimensions,
        "direction": sentence(params["direction"], first.directions),
        "direction_kind": params["direction"],
        "direction_facts": [dict(d.facts) for d in first.directions],
        "direction_norm": [d.norm for d in first.directions],
        "queries": [q.name for q in asked] if groups is not None else [],
        "queries_by": params["queries"],
        "query_records": [len(q.rows) for q in asked],
        "score": SCORES[params["score"]],
        "loss": LENGTH_BIAS[params["loss"]],
        "validation": source,
        "validation_records": sum(len(q.rows) for q in asked),
        "validation_truncated": int(check.truncated.sum()),
        "holdout": source if held else "",
        "heldout": int(heldout.sum()),
        "identity": identity,
        "scored": int(len(rows)),
        "reused": int(reused.sum()),
        "exactness": gap,
        "alone_and_together": together,
        "check": _check_sentence(gap, together),
        "direct": direct,
        "batches": setup.batching + "".join(s.halved for s in seen),
        "compute": inputs.compute.facts(),
        "tokens_per_second": round(float(np.mean([s.rate for s in seen]))),
        "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip
    info["warnings"] += _warnings(info, setup, len(first.directions))
    return Output(table=pa.table(columns), info=info)


class _Seen:
    """What one state of the model told while it was used."""

    def __init__(self, ghost: Ghost, gap: float | None, together: float | None, rate: float, halved: str) -> None:
        self.directions, self.direct = ghost.directions, set(ghost.direct)
        self.gap, self.together, self.rate, self.halved = gap, together, rate, halved


def _stage(
    inputs: Inputs, setup: Setup, stage: checkpoints.Stage, number: int, space: spaces.Space, asked: list[Query], check: Tokens,
    how: Curvature | None, identity: str, tokens: Tokens, batches: list[np.ndarray], progress: Progress,
) -> tuple[dict[str, np.ndarray], _Seen]:  # fmt: skip
    """({column: (N,) scores of the queries and nll, NaN outside the batches}, facts) under one state of the model."""
    model = stage.load()
    losses = ResponseLoss(model, inputs.params["loss"])
    label = digest_of(identity, str(number))[:12]
    found = _directions(
        inputs,
        setup,
        losses,
        space,
        asked,
        check,
        how,
        identity,
        label,
        number,
        part(progress, 0.0, 0.3 if how else 0.1),
    )
    ghost = Ghost(losses, found)
    gap = together = None
    if batches:
        progress(0, 0, "checking the scores against plain gradients")
        every = np.concatenate(batches)
        short = every[np.argsort(tokens.lengths[every], kind="stable")[:2]]
        gap = ghost.probe(tokens, short)
        together = alone_and_together(lambda b: ghost.score(tokens, b).influence, batches)
    work = Halving(scoring.worker(inputs.params["score"], ghost, tokens), tokens.lengths)
    columns = [column(q) for q in range(len(asked))] + ["nll"]
    rows = np.concatenate(batches).tolist() if batches else []
    values, rate = run_batches(
        inputs.scratch, label + digest_of(*tokens.keys(), str(setup.batch_tokens), str(rows))[:12],
        batches, tokens.lengths, work, columns, part(progress, 0.3 if how else 0.1, 1.0),
        spread=actors.influence(inputs, ghost, label, tokens, batches),
    )  # fmt: skip
    seen = _Seen(ghost, gap, together, rate, work.note)
    measure = getattr(work.work, "measure", None)
    if measure is not None and measure.slow:
        seen.direct |= {measure.slow}
    return values, seen


def _curvature(params: dict[str, Any], tokens: Tokens) -> Curvature | None:
    if params["direction"] == "mean":
        return None
    return Curvature(
        params["direction"], tokens, params["curvature_records"], params["damping"], params["iterations"], params["seed"]
    )  # fmt: skip


def _how_key(how: Curvature | None) -> list[str]:
    return [] if how is None else [how.kind, str(how.damping), str(how.iterations), *how.sample().keys()]


def _warnings(info: dict[str, Any], setup: Setup, count: int) -> list[str]:
    found = []
    if info["heldout"]:
        found.append(f"{info['heldout']} held-out records are the validation set; their own influence is flattered.")
    if info["proxy"]:
        found.append(PROXY_LIMIT)
    if info["direct"]:
        found.append(
            f"{len(info['direct'])} parameters (first: {info['direct'][0]}) were scored by plain gradients, one record at a time: "
            "exact, but slower."
        )
    if info["validation_truncated"]:
        found.append(
            f"{info['validation_truncated']} validation records were cut at {setup.encoder.max_length} tokens."
        )
    few = [q for q, n in zip(info["queries"], info["query_records"], strict=False) if n < 5]
    if few:
        found.append(
            f"{len(few)} of {count} queries rest on fewer than 5 validation records (first: {few[0]}); their scores are noisy."
        )
    return found


def _check_sentence(gap: float | None, together: float | None) -> str:
    if gap is None:
        return "every score was taken over from an earlier run"
    alone = "" if together is None else f"; a record alone and in its batch differs by {together:.1e}"
    return f"relative difference to plain per-record gradients {gap:.1e}{alone}"


def _validation(
    inputs: Inputs, setup: Setup, tokens: Tokens, ids: list[str]
) -> tuple[list[str], Tokens, list[str] | None, str]:
    """(ids of held-out training records or [], the validation tokens, the query of each or None, where they come from)."""
    params, given, training = inputs.params, inputs.datasets.get("validation"), inputs.datasets["training"]
    by = params["queries"]
    if given is not None:
        check = setup.encode(given, params["target"])
        usable = int((check.response_tokens > 0).sum())
        sentence = f"{usable:,} records of the validation set {given.name}"
        return [], check, queries.labels(given, by) if by else None, sentence
    if params["model"] == models.PROXY:  # the very records that the proxy has not seen
        proxy = inputs.results["proxy"]
        held = json.loads(proxy.file("heldout.json").read_text("utf-8"))
        sentence = proxy.info["validation"]
    else:
        categories = training.column("category").to_pylist()
        able = tokens.response_tokens > 0
        chosen = holdout.choose(ids, categories, able, params["seed"], params["holdout_share"], params["holdout_min"])
        held, sentence = [ids[r] for r in chosen.rows], chosen.sentence
    place = {record: row for row, record in enumerate(ids)}
    rows = [place[h] for h in held if h in place]
    names = queries.labels(training, by) if by else None
    return held, tokens.take(rows), [names[r] for r in rows] if names else None, sentence


def _directions(
    inputs: Inputs, setup: Setup, losses: ResponseLoss, space: spaces.Space, asked: list[Query], check: Tokens,
    how: Curvature | None, identity: str, label: str, number: int, progress: Progress,
) -> list[Direction]:  # fmt: skip
    """One direction for each query: from this run's scratch, from an earlier result, or computed (and kept when small)."""
    size = 4 * space.dimensions * len(asked)
    stored = inputs.scratch / f"direction-{label}.safetensors"
    final = inputs.files / (f"direction-{number}.safetensors" if number else "direction.safetensors")
    source: Path | None = stored if stored.is_file() else None
    if source is None:
        for earlier in inputs.earlier:
            try:
                if earlier.info.get("identity") == identity:
                    source = earlier.file(final.name)
                    break
            except QuadrantError:
                continue
    if source is not None:
        found = read(source, space, losses.model.device)
    else:
        found = scoring.directions_of(
            losses, check, asked, space, setup.batch_tokens, how, progress, inputs.params["score"]
        )
    if size <= KEEP_DIRECTION:
        if source != stored:
            save(found, stored)
        save(found, final)
    return found


def _reuse(earlier: Any, identity: str, keys: list[str], values: dict[str, np.ndarray]) -> np.ndarray:
    """Fill in rows whose model, validation set and tokens are those of an earlier result; (N,) bool of the filled ones."""
    known: dict[str, tuple[float, ...]] = {}
    for result in earlier:
        try:
            if result.info.get("identity") == identity:
                rows = pq.read_table(result.file("rows.parquet"))
                numbers = zip(*(rows[name].to_pylist() for name in values), strict=True)
                known = dict(zip(rows["key"].to_pylist(), numbers, strict=True)) | known
        except (QuadrantError, OSError, KeyError, pa.ArrowInvalid):
            continue
    found = np.zeros(len(keys), bool)
    for i, key in enumerate(keys):
        if key in known and np.isfinite(known[key][0]):
            for name, number in zip(values, known[key], strict=True):
                values[name][i] = number
            found[i] = True
    return found
