"""The step `influence:tokens`: which words of a record help and which harm, for every training record (or the chosen ones).

Its parameters are those of `influence`, whose result it explains; `records` narrows it to some ids. Stored are, for each run of
characters of the record's own texts (see spans.py), its length and its share, the shares as 16-bit numbers of the record's largest:
4 bytes a response token.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import InputError, MissingInput
from core.influence import checkpoints, influence, models, spaces, spans
from core.influence.attribution import Attribution
from core.influence.batches import Halving
from core.influence.chunks import run_ragged
from core.influence.direction import Direction, read
from core.influence.encode import Tokens, conversations, plan_batches
from core.influence.losses import ResponseLoss
from core.influence.setup import Setup, prepare
from core.progress import part
from core.workspace import Inputs, Output, Result, digest_of

DEFAULTS: dict[str, Any] = influence.DEFAULTS | {"records": []}  # [] = all of them
LEVELS = 32767
QUANTISED = "Each share is rounded to 1/32,767 of the record's largest; the sum is kept exactly."
MOST_ATTENTION = 2**27  # entries of the attention of one layer that are held at once


def fingerprint(params: dict[str, Any]) -> str:
    return influence.fingerprint(params)


@dataclass(frozen=True)
class Heat:
    """The shares of one record. lengths (S,) in characters and shares (S,) float64 of each part, from the start of its text."""

    record_id: str
    total: float  # the record's influence: the sum of every share, `elsewhere` included
    elsewhere: float  # what falls on the template's own tokens and the end of the turn
    parts: dict[str, tuple[np.ndarray, np.ndarray]]  # "reasoning", "response"
    cut: bool  # the end of the text was beyond max_length and has no share

    @property
    def largest(self) -> float:
        return max((float(np.abs(s).max()) for _, s in self.parts.values() if len(s)), default=0.0)


def read_heat(result: Result, record_ids: Sequence[str]) -> dict[str, Heat]:
    """{record_id: its shares} of the asked records that the result holds. Reads a few rows of memory-mapped arrays."""
    table = result.table()
    at = pc.index_in(
        pa.array(record_ids, pa.string()), table["record_id"].combine_chunks().cast(pa.string())
    ).drop_null()
    lengths, shares = (
        np.load(result.file(f), mmap_mode="r", allow_pickle=False) for f in ("lengths.npy", "shares.npy")
    )
    found = {}
    for row in table.take(at).to_pylist():
        first, middle = row["first"], row["first"] + row["reasoning_segments"]
        last, parts = row["first"] + row["segments"], {}
        for name, (a, b) in zip(spans.PARTS, ((first, middle), (middle, last)), strict=True):
            if b > a:
                parts[name] = (lengths[a:b].astype(np.int64), shares[a:b] * (row["largest"] / LEVELS))
        found[row["record_id"]] = Heat(row["record_id"], row["total"], row["elsewhere"], parts, row["truncated"])
    return found


def run(inputs: Inputs) -> Output:
    if inputs.params["model"] == models.MATCH:
        from core.influence.match import shares as match_shares

        return match_shares.run(inputs)
    params, data, progress = inputs.params, inputs.datasets["training"], inputs.progress
    target, base = params["target"], inputs.results["influence"]
    started, ids = time.monotonic(), data.ids()
    if params["score"] == "self-influence":
        raise InputError(
            "Self-influence has no direction that tokens could help or harm. Set influence.score to dot for token shares."
        )
    scores = base.table(["influence"]).column(0).to_numpy()
    setup = prepare(inputs)
    tokens = setup.encode(data, target)
    wanted = _wanted(ids, params["records"]) & (tokens.response_tokens > 0)
    rows = np.flatnonzero(wanted)
    progress(0, 0, "finding the characters of each token")
    said = conversations(data, target)
    ends = dict(zip(rows.tolist(), spans.offsets(setup.model.tokenizer, [said[r].target for r in rows]), strict=True))

    stages, _ = checkpoints.stages(inputs, setup, tokens, part(progress, 0.0, 0.1))
    if len(stages) > 1 and params["score"] != "dot":
        raise InputError(
            f"Token shares over {len(stages)} checkpoints are of the dot product alone. Set influence.score to dot."
        )
    raw: list[np.ndarray] = [np.zeros(n) for n in tokens.response_tokens[rows]]
    rates = []
    for c, stage in enumerate(stages):
        share = part(progress, 0.1 + 0.9 * c / len(stages), 0.1 + 0.9 * (c + 1) / len(stages))
        found, rate = _stage(inputs, base, setup, stage, c, tokens, rows, share)
        raw = [a + stage.rate * b for a, b in zip(raw, found, strict=True)]
        rates.append(rate)
    sums = np.array([x.sum() for x in raw])
    gap, factor = _against(scores[rows], sums, params["score"])
    texts = data.table(["record_id", "reasoning", "response"])
    table = _store(inputs, [ids[r] for r in rows], rows, raw, factor, tokens, ends, texts, said, target)
    count = int(tokens.response_tokens[rows].sum())
    size = sum((inputs.files / f).stat().st_size for f in ("lengths.npy", "shares.npy"))
    info = setup.facts(tokens.take(rows), inputs) | {
        "records": len(rows),
        "tokens": count,
        "score": params["score"],
        "method": "each token's own loss: what training on it alone adds to the record's influence; exact (forward mode)",
        "quantised": QUANTISED,
        "bytes_per_token": round(size / max(count, 1), 2),
        "agreement": gap,
        "check": _check(gap, params["score"]),
        "tokens_per_second": round(float(np.mean(rates))) if rates else 0,
        "seconds": round(time.monotonic() - started, 1),
        "warnings": [],
    }
    return Output(table=table, info=info)


def _wanted(ids: list[str], asked: Sequence[str]) -> np.ndarray:
    if not asked:
        return np.ones(len(ids), bool)
    missing = sorted(set(asked) - set(ids))
    if missing:
        raise InputError(f"{len(missing)} of the asked records are not in the training data (first: {missing[0]}).")
    chosen = set(asked)
    return np.array([i in chosen for i in ids], bool)


def _stage(
    inputs: Inputs, base: Result, setup: Setup, stage: checkpoints.Stage, number: int, tokens: Tokens, rows: np.ndarray, progress: Any
) -> tuple[list[np.ndarray], float]:  # fmt: skip
    """The raw shares of the rows under one state of the model, and the tokens per second."""
    params, model = inputs.params, stage.load()
    losses = ResponseLoss(model, params["loss"])
    space = spaces.resolve(model.module, params["space"], params["rank"], params["seed"])
    name = f"direction-{number}.safetensors" if number else "direction.safetensors"
    try:
        known = read(base.file(name), space, model.device)
    except MissingInput as error:
        raise MissingInput(
            f"The direction of this influence has {space.dimensions:,} numbers and was too large to be stored. "
            "Use space=lora for token shares."
        ) from error
    attribution = Attribution(losses, combined(known, params["score"]))
    widest = max((int(tokens.lengths[r]) for r in rows), default=1)
    config = model.module.config.get_text_config()
    heads = int(getattr(config, "num_attention_heads", 0) or getattr(config, "n_head", 0) or 32)
    budget = min(setup.batch_tokens, max(widest, MOST_ATTENTION // (heads * widest)))
    batches = [rows[b] for b in plan_batches(tokens.lengths[rows], budget)]
    work = Halving(lambda some: {"shares": _ragged(attribution.shares(tokens, some))}, tokens.lengths)
    label = digest_of(base.key, str(number), str(budget), str(rows.tolist()))[:24]
    found, rate = run_ragged(
        inputs.scratch, label, batches, tokens.response_tokens, lambda b: work(b)["shares"], progress
    )
    return [found[r] for r in rows.tolist()], rate


def _ragged(parts: list[np.ndarray]) -> np.ndarray:
    out = np.empty(len(parts), object)
    out[:] = parts
    return out


def combined(known: Sequence[Direction], score: str) -> Direction:
    """The one direction whose score is the mean over the queries (for a cosine up to the length of the record's gradient)."""
    weights = [1 / (d.norm or 1.0) if score == "cosine" else 1.0 for d in known]
    first, count = known[0], len(known)

    def mean(name: str) -> Any:
        values = [d.vectors[name] for d in known]
        if isinstance(values[0], tuple):
            return tuple(sum(w * v[i] for w, v in zip(weights, values, strict=True)) / count for i in (0, 1))
        return sum(w * v for w, v in zip(weights, values, strict=True)) / count

    return Direction(first.space, {name: mean(name) for name in first.vectors}, sum(d.records for d in known))


def _against(scores: np.ndarray, sums: np.ndarray, score: str) -> tuple[float | None, np.ndarray]:
    """(relative difference to the stored scores, what to multiply each record's shares by).

    Dot: the sums must equal the scores, which another engine computed (the ghost, backwards). Cosine: the scores are the sums over
    the length of the gradient, a positive number for each record; no check is left, but a sign that differs would show.
    """
    if score == "dot":
        size = max(float(np.linalg.norm(scores)), 1e-30)
        return (float(np.linalg.norm(scores - sums)) / size if len(scores) else None), np.ones(len(sums))
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(np.abs(sums) > 0, scores / sums, 0.0)
    return None, np.maximum(factor, 0.0)


def _check(gap: float | None, score: str) -> str:
    if gap is None:
        return f"shares of the dot product, scaled to the {score} of each record"
    return f"the shares of each record sum to its influence as computed backwards, relative difference {gap:.1e}"


def _store(
    inputs: Inputs, ids: list[str], rows: np.ndarray, raw: list[np.ndarray], factor: np.ndarray, tokens: Tokens,
    ends: dict[int, np.ndarray], texts: pa.Table, said: list, target: str,
) -> pa.Table:  # fmt: skip
    reasoning, response = (texts.column(c).to_pylist() for c in ("reasoning", "response"))
    lengths, shares, facts = [], [], []
    first = 0
    for k, row in enumerate(rows.tolist()):
        values = raw[k] * factor[k]
        where = spans.parts_of(said[row].target, reasoning[row] or "", response[row] or "", target)
        skipped = max(int(tokens.start[row]), 1) - int(tokens.start[row])
        laid = spans.segments(ends[row], values, where, skipped)
        run_, split = _within_16_bits(laid.length)
        share = np.zeros(len(run_))
        share[split] = laid.share
        part_of = np.repeat(laid.part, np.diff(split, append=len(run_))) if len(run_) else laid.part
        largest = float(np.abs(share).max()) if len(share) else 0.0
        lengths.append(run_.astype(np.uint16))
        shares.append(np.rint(share / (largest or 1.0) * LEVELS).astype(np.int16))
        facts.append((float(values.sum()), laid.elsewhere, largest, first, len(run_), int((part_of == 0).sum())))
        first += len(run_)
    for name, parts, kind in (("lengths.npy", lengths, np.uint16), ("shares.npy", shares, np.int16)):
        np.save(inputs.files / name, np.concatenate(parts) if parts else np.zeros(0, kind), allow_pickle=False)
    columns = ("total", "elsewhere", "largest", "first", "segments", "reasoning_segments")
    kinds = (pa.float64(), pa.float64(), pa.float64(), pa.int64(), pa.int32(), pa.int32())
    values = list(zip(*facts, strict=True)) if facts else [()] * len(columns)
    arrays = {n: pa.array(v, k) for n, v, k in zip(columns, values, kinds, strict=True)}
    return pa.table({"record_id": pa.array(ids, pa.string())} | arrays | {"truncated": tokens.truncated[rows]})


def _within_16_bits(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(lengths with each over 65,535 in several pieces, where the first piece of each is): a token of that many spaces exists."""
    most = 65535
    pieces = np.maximum(1, -(-lengths // most))
    start = np.cumsum(pieces) - pieces
    out = np.full(int(pieces.sum()), most, np.int64)
    out[start + pieces - 1] = lengths - most * (pieces - 1)
    return out, start
