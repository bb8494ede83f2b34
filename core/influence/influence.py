"""The step `influence`: <gradient of each record's response loss, mean validation gradient>, exact, for every training record.

DIQ's "Dot" (arXiv 2508.01450), first order: a small step of gradient descent on the record lowers the mean validation loss by
step * influence. Positive = helpful. Unlike DIQ, nothing is projected to 4,096 dimensions. `score=cosine` divides by both norms.
"""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import InputError, QuadrantError
from core.influence import holdout, models, spaces
from core.influence.chunks import run_batches
from core.influence.direction import Direction, mean_gradient
from core.influence.encode import Tokens, plan_batches
from core.influence.ghost import Ghost, exact_scores
from core.influence.losses import ResponseLoss, make_batch
from core.influence.setup import Setup, alone_and_together, prepare
from core.progress import part
from core.workspace import Inputs, Output, Result, digest_of

DEFAULTS: dict[str, Any] = {
    "model": models.PROXY,  # or a folder, or a hub id
    "revision": "",
    "space": "lora",  # or "all", "last-2"
    "rank": 8,
    "score": "dot",  # or "cosine", which takes plain gradients, one record at a time
    "loss": "mean",  # a record's loss: mean or sum over its response tokens; sum favours long responses
    "target": "reasoning+response",
    "max_length": 1024,
    "batch_tokens": 0,  # 0: 4,096 on a CPU, 32,768 on a GPU
    "device": "auto",
    "dtype": "auto",
    "holdout_share": holdout.SHARE,
    "holdout_min": holdout.MINIMUM,
    "seed": 0,
}
SCORES = {
    "dot": "dot product of the record's gradient and the direction; positive = training on it lowers the validation loss",
    "cosine": "cosine of the record's gradient and the direction, in -1..1; positive = training on it lowers the validation loss",
}
PROXY_LIMIT = (
    "The proxy is too small to judge what a response says: it found planted wrong responses no better than chance "
    "(docs/adr/0002-proxy-model.md). For decisions name a pretrained model."
)
KEEP_DIRECTION = 2**30  # bytes; a larger direction is computed again instead of stored


def fingerprint(params: dict[str, Any]) -> str:
    return models.fingerprint(params["model"])


def run(inputs: Inputs) -> Output:
    params, training, progress = inputs.params, inputs.datasets["training"], inputs.progress
    if params["score"] not in SCORES:
        raise InputError(f"score {params['score']!r} is not known; choose {' or '.join(SCORES)}.")
    cosine = params["score"] == "cosine"
    started = time.monotonic()
    setup = prepare(inputs)
    losses = ResponseLoss(setup.model, params["loss"])
    space = spaces.resolve(setup.model.module, params["space"], params["rank"], params["seed"])
    progress(0, 0, "tokenising")
    tokens, ids = setup.encode(training, params["target"]), training.ids()
    held, check, source = _validation(inputs, setup, tokens, ids)
    keys, validation_key = tokens.keys(), digest_of(*sorted(check.keys()))
    identity = digest_of(
        setup.model.revision, setup.model.device, setup.model.dtype, str(space.seed), space.name, str(space.rank),
        params["loss"], params["score"], validation_key,
    )  # fmt: skip
    direction = _direction(inputs, setup, losses, space, check, identity)
    ghost = Ghost(losses, direction)

    count, device = len(ids), setup.model.device
    able = tokens.response_tokens > 0
    influence, nll = np.full(count, np.nan), np.full(count, np.nan)
    reused = _reuse(inputs.earlier, identity, keys, influence, nll) & able
    rows = np.flatnonzero(able & ~reused)
    batches = [rows[b] for b in plan_batches(tokens.lengths[rows], setup.batch_tokens)]
    gap = together = None
    if len(rows):
        progress(0, 0, "checking the scores against plain gradients")
        short = rows[np.argsort(tokens.lengths[rows], kind="stable")[:2]]
        gap = ghost.probe(tokens, short)
        together = alone_and_together(lambda b: ghost.score(tokens, b).influence, batches)

    def work(batch: np.ndarray) -> dict[str, np.ndarray]:
        if cosine:
            dots, sizes = exact_scores(losses, tokens, batch, direction)
            return {
                "influence": dots / np.maximum(sizes * ghost.norm, 1e-30),
                "nll": losses(make_batch(tokens, batch, device)),
            }
        found = scored(ghost, tokens, batch)
        return {"influence": found[0], "nll": found[1]}

    # fmt: off
    values, rate = run_batches(inputs.scratch, identity[:12] + digest_of(*keys, str(setup.batch_tokens), str(rows.tolist()))[:12],
                               batches, tokens.lengths, work, ("influence", "nll"), part(progress, 0.1, 1.0))
    # fmt: on
    influence[rows], nll[rows] = values["influence"][rows], values["nll"][rows]
    heldout = np.isin(np.array(ids, object), held) if held else np.zeros(count, bool)
    table = pa.table(
        {
            "record_id": ids,
            "influence": pa.array(influence, from_pandas=True),
            "nll": pa.array(nll, from_pandas=True),
            "response_tokens": tokens.response_tokens,
            "truncated": tokens.truncated,
            "heldout": heldout,
        }
    )
    pq.write_table(pa.table({"key": keys, "influence": influence, "nll": nll}), inputs.files / "rows.parquet")
    info = setup.facts(tokens, inputs) | {
        "space": space.name,
        "parameter_space": space.sentence,
        "dimensions": space.dimensions,
        "direction": "mean gradient of the response loss over the validation records",
        "direction_norm": direction.norm,
        "score": SCORES[params["score"]],
        "loss": params["loss"],
        "validation": source,
        "validation_records": direction.records,
        "validation_truncated": int(check.truncated.sum()),
        "holdout": source if held else "",
        "heldout": int(heldout.sum()),
        "identity": identity,
        "scored": int(len(rows)),
        "reused": int(reused.sum()),
        "exactness": gap,
        "alone_and_together": together,
        "check": _check_sentence(gap, together),
        "direct": sorted(ghost.direct),
        "tokens_per_second": round(rate),
        "seconds": round(time.monotonic() - started, 1),
    }
    if held:
        info["warnings"].append(
            f"{int(heldout.sum())} held-out records are the validation set; their own influence is flattered."
        )
    if info["proxy"]:
        info["warnings"].append(PROXY_LIMIT)
    if ghost.direct:
        info["warnings"].append(
            f"{len(ghost.direct)} parameters (first: {sorted(ghost.direct)[0]}) were scored by plain gradients, one record at a time: "
            "exact, but slower."
        )
    if check.truncated.any():
        info["warnings"].append(
            f"{int(check.truncated.sum())} validation records were cut at {setup.encoder.max_length} tokens."
        )
    return Output(table=table, info=info)


def scored(ghost: Ghost, tokens: Tokens, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(influence, nll) of one batch; a batch that does not fit into the GPU's memory is halved."""
    import torch

    try:
        found = ghost.score(tokens, rows)
        return found.influence, found.nll
    except torch.cuda.OutOfMemoryError:
        if len(rows) == 1:
            raise InputError(
                f"One record of {int(tokens.lengths[rows[0]]):,} tokens does not fit into the GPU's memory. "
                "Lower max_length, or use space=lora."
            ) from None
    torch.cuda.empty_cache()
    halves = [scored(ghost, tokens, half) for half in np.array_split(rows, 2)]
    return np.concatenate([h[0] for h in halves]), np.concatenate([h[1] for h in halves])


def token_shares(result: Result, inputs_model: models.LanguageModel, tokens: Tokens, rows: np.ndarray) -> np.ndarray:
    """(B, T) each position's part of the influence of some records, from a stored result's direction. Sums to the influence.

    The part of a position is what its activations contribute to the gradient, not the gradient of that token's own loss.
    Errors: MissingInput when the direction was too large to be stored.
    """
    params = result.params
    losses = ResponseLoss(inputs_model, params["loss"])
    space = spaces.resolve(inputs_model.module, params["space"], params["rank"], params["seed"])
    direction = Direction.read(result.file("direction.safetensors"), space, inputs_model.device)
    return Ghost(losses, direction).score(tokens, rows, shares=True).shares


def _check_sentence(gap: float | None, together: float | None) -> str:
    if gap is None:
        return "every score was taken over from an earlier run"
    alone = "" if together is None else f"; a record alone and in its batch differs by {together:.1e}"
    return f"relative difference to plain per-record gradients {gap:.1e}{alone}"


def _validation(inputs: Inputs, setup: Setup, tokens: Tokens, ids: list[str]) -> tuple[list[str], Tokens, str]:
    """(ids of held-out training records or [], the validation tokens, a sentence that says where they come from)."""
    params, given = inputs.params, inputs.datasets.get("validation")
    if given is not None:
        check = setup.encode(given, params["target"])
        usable = int((check.response_tokens > 0).sum())
        return [], check, f"{usable:,} records of the validation set {given.name}"
    if params["model"] == models.PROXY:  # the very records that the proxy has not seen
        proxy = inputs.results["proxy"]
        held = json.loads(proxy.file("heldout.json").read_text("utf-8"))
        sentence = proxy.info["validation"]
    else:
        categories = inputs.datasets["training"].column("category").to_pylist()
        able = tokens.response_tokens > 0
        chosen = holdout.choose(ids, categories, able, params["seed"], params["holdout_share"], params["holdout_min"])
        held, sentence = [ids[r] for r in chosen.rows], chosen.sentence
    place = {record: row for row, record in enumerate(ids)}
    return held, tokens.take([place[h] for h in held if h in place]), sentence


def _direction(
    inputs: Inputs, setup: Setup, losses: ResponseLoss, space: spaces.Space, check: Tokens, identity: str
) -> Direction:
    """The mean validation gradient: from this run's scratch, from an earlier result, or computed (and kept when small)."""
    size = 4 * space.dimensions
    stored = inputs.scratch / f"direction-{identity[:12]}.safetensors"
    final = inputs.files / "direction.safetensors"
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
        direction = Direction.read(source, space, setup.model.device)
    else:
        direction = mean_gradient(losses, check, space, setup.batch_tokens, part(inputs.progress, 0.0, 0.1))
    if size <= KEEP_DIRECTION:
        if source != stored:
            direction.save(stored)
        direction.save(final)
    return direction


def _reuse(earlier: Any, identity: str, keys: list[str], influence: np.ndarray, nll: np.ndarray) -> np.ndarray:
    """Fill in rows whose model, validation set and tokens are those of an earlier result; (N,) bool of the filled ones."""
    known: dict[str, tuple[float, float]] = {}
    for result in earlier:
        try:
            if result.info.get("identity") == identity:
                rows = pq.read_table(result.file("rows.parquet"))
                pairs = zip(rows["influence"].to_pylist(), rows["nll"].to_pylist(), strict=True)
                known = dict(zip(rows["key"].to_pylist(), pairs, strict=True)) | known
        except (QuadrantError, OSError, pa.ArrowInvalid):
            continue
    found = np.zeros(len(keys), bool)
    for i, key in enumerate(keys):
        if key in known and np.isfinite(known[key][0]):
            influence[i], nll[i] = known[key]
            found[i] = True
    return found
