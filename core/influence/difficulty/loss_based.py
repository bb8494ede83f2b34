"""The step `difficulty`: how hard each response is for the model, from its losses alone. Higher = harder, in every column.

nll         mean loss of the response given its context, nats per token.
perplexity  exp(nll).
ifd_loss    nll over the mean loss of the same response tokens without the context.
ifd_ppl     perplexity over the perplexity without the context (the IFD of Li et al., arXiv 2308.12032).

The unconditioned pass shows the model the response after nothing but the opening of an assistant turn (or BOS), where the paper shows
the bare response: so each response token is scored in both passes, the first included. IFD >= 1: the context did not help.
"""

import time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import QuadrantError
from core.influence import actors, adapters, models
from core.influence.chunks import run_batches
from core.influence.encode import plan_batches
from core.influence.losses import ResponseLoss, make_batch
from core.influence.setup import alone_and_together, prepare
from core.progress import part
from core.workspace import Inputs, Output, digest_of

DEFAULTS: dict[str, Any] = {
    "model": models.PROXY,
    "revision": "",
    "adapter": "",  # a folder with a LoRA adapter of PEFT's format, merged into the model
    "target": "reasoning+response",
    "max_length": 1024,
    "batch_tokens": 0,
    "device": "auto",
    "dtype": "auto",
}


def fingerprint(params: dict[str, Any]) -> str:
    return models.fingerprint(params["model"]) + adapters.fingerprint(params["adapter"])


def run(inputs: Inputs) -> Output:
    params, training, progress = inputs.params, inputs.datasets["training"], inputs.progress
    started = time.monotonic()
    setup = prepare(inputs)
    losses = ResponseLoss(setup.model)
    progress(0, 0, "tokenising")
    tokens, ids = setup.encode(training, params["target"]), training.ids()
    bare = tokens.without_context(setup.encoder.header)
    identity = digest_of(setup.model.revision, setup.model.device, setup.model.dtype)
    keys, able = tokens.keys(), tokens.response_tokens > 0
    known = _known(inputs, identity)
    given, alone = np.full(len(ids), np.nan), np.full(len(ids), np.nan)
    reused = np.array([k in known for k in keys], bool) & able
    for i in np.flatnonzero(reused):
        given[i], alone[i] = known[keys[i]]
    rows = np.flatnonzero(able & ~reused)
    gap = None
    for k, (each, values, what) in enumerate(
        ((tokens, given, "given their prompts"), (bare, alone, "responses alone"))
    ):
        batches = [rows[b] for b in plan_batches(each.lengths[rows], setup.batch_tokens)]

        def nll(batch: np.ndarray, each: Any = each) -> np.ndarray:
            return losses(make_batch(each, batch, setup.model.device))

        if k == 0 and len(rows):
            gap = alone_and_together(nll, batches)
        label = f"{k}{identity[:11]}{digest_of(*each.keys(), str(setup.batch_tokens), str(rows.tolist()))[:12]}"
        found, rate = run_batches(
            inputs.scratch,
            label,
            batches,
            each.lengths,
            lambda batch, nll=nll: {"nll": nll(batch)},
            ("nll",),
            part(progress, k * 0.55, 0.55 + k * 0.45, what),
            spread=actors.losses(inputs, each, batches),
        )
        values[rows] = found["nll"][rows]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        perplexity, ifd_loss, ifd_ppl = np.exp(given), given / alone, np.exp(given - alone)
    columns = {"nll": given, "perplexity": perplexity, "ifd_loss": ifd_loss, "ifd_ppl": ifd_ppl}
    table = pa.table(
        {"record_id": ids}
        | {name: pa.array(np.where(np.isfinite(v), v, np.nan), from_pandas=True) for name, v in columns.items()}
        | {"response_tokens": tokens.response_tokens, "truncated": tokens.truncated}
    )
    pq.write_table(pa.table({"key": keys, "given": given, "alone": alone}), inputs.files / "rows.parquet")
    unhelped = int(np.sum(ifd_loss >= 1))
    info = setup.facts(tokens, inputs) | {
        "unconditioned": "the same response tokens after the opening of an assistant turn alone",
        "unhelped": unhelped,
        "identity": identity,
        "scored": int(len(rows)),
        "reused": int(reused.sum()),
        "alone_and_together": gap,
        "check": "" if gap is None else f"a record alone and in its batch differs by {gap:.1e}",
        "compute": inputs.compute.facts(),
        "tokens_per_second": round(rate),
        "seconds": round(time.monotonic() - started, 1),
    }
    if unhelped:
        info["warnings"].append(
            f"{unhelped:,} records have an IFD of 1 or more: the prompt did not help to predict the response."
        )
    if info["proxy"]:
        info["warnings"].append(
            "The proxy was trained on these records: losses are in-sample, of use for ranking only."
        )
    return Output(table=table, info=info)


def _known(inputs: Inputs, identity: str) -> dict[str, tuple[float, float]]:
    """Losses by token key from earlier results of the same model."""
    known: dict[str, tuple[float, float]] = {}
    for result in inputs.earlier:
        try:
            if result.info.get("identity") == identity:
                rows = pq.read_table(result.file("rows.parquet"))
                pairs = zip(rows["given"].to_pylist(), rows["alone"].to_pylist(), strict=True)
                known = {k: p for k, p in zip(rows["key"].to_pylist(), pairs, strict=True) if np.isfinite(p[0])} | known
        except (QuadrantError, OSError, pa.ArrowInvalid):
            continue
    return known
