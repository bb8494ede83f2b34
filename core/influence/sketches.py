"""The steps `influence:sketch` and `influence:sketch:validation`: a small sketch of every record's gradient, so that any other
validation set re-ranks the training records at once, approximately.

The record's gradient in LoRA space (norms.py) goes through a CountSketch (Charikar, Chen and Farach-Colton 2002): coordinate i is
added with a seeded sign to one of `width` cells. Inner products of sketches are unbiased estimates of those of the gradients, with a
variance of about |g|^2 |v|^2 / width; the lengths are kept exactly beside them. Whatever space the influence itself is taken in, the
sketches are of LoRA space.
"""

import hashlib
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import InputError, QuadrantError
from core.influence import influence, models, spaces
from core.influence.batches import Halving
from core.influence.chunks import run_ragged
from core.influence.difficulty.rank_measures import spearman
from core.influence.direction import mean_gradient
from core.influence.encode import Tokens, plan_batches
from core.influence.ghost import Ghost
from core.influence.losses import ResponseLoss, make_batch
from core.influence.norms import Norms, Unfit
from core.influence.setup import prepare
from core.progress import Progress, part
from core.workspace import Inputs, Output, digest_of

if TYPE_CHECKING:
    import torch

DEFAULTS: dict[str, Any] = influence.DEFAULTS | {"width": 2048}
GROUPS, GROUP, PROBED = (
    4,
    50,
    1000,
)  # random groups of training records that stand in for other validation sets; records ranked


def fingerprint(params: dict[str, Any]) -> str:
    return influence.fingerprint(params)


class Sketcher:
    """Collects the sketches of a batch while `Norms` walks through its layers."""

    def __init__(self, width: int, seed: int, device: str) -> None:
        self.width, self.seed, self.device = width, seed, device
        self.hashes: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        self.out: torch.Tensor | None = None

    def begin(self, count: int, wide: "torch.dtype") -> None:
        import torch

        self.out = torch.zeros(count, self.width, dtype=wide, device=self.device)

    def __call__(self, name: str, side: str, part: "torch.Tensor") -> None:
        flat = part.flatten(1)
        cell, sign = self._hash(f"{name}|{side}", flat.shape[1])
        self.out.index_add_(1, cell, flat * sign.to(flat.dtype))

    def _hash(self, key: str, size: int) -> tuple["torch.Tensor", "torch.Tensor"]:
        """The cell and the sign of each coordinate, the same for every run and on every device."""
        import torch

        if key not in self.hashes:
            digest = hashlib.blake2b(f"sketch:{self.seed}:{key}".encode(), digest_size=7).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest, "little"))
            cell = torch.randint(self.width, (size,), generator=generator)
            sign = torch.randint(2, (size,), generator=generator, dtype=torch.int8) * 2 - 1
            self.hashes[key] = (cell.to(self.device), sign.to(self.device))
        return self.hashes[key]


class Sketches:
    """Sketches batches of records under one model: (B, 1 + width) float32, the length, then the unit sketch."""

    def __init__(self, losses: ResponseLoss, space: spaces.Space, width: int, seed: int) -> None:
        self.losses = losses
        self.sketcher = Sketcher(width, seed, losses.model.device)
        try:
            self.norms = Norms(losses, space, self.sketcher)
        except Unfit as layer:
            raise InputError(
                f"The layer {layer} of this model cannot be sketched: its records cannot be told apart."
            ) from layer

    def __call__(self, tokens: Tokens, rows: np.ndarray) -> np.ndarray:
        import torch

        self.sketcher.begin(len(rows), self.norms.wide)
        with self.norms.watching(tokens, rows), torch.enable_grad():
            self.losses(make_batch(tokens, rows, self.losses.model.device), backward=True)
        lengths = self.norms.lengths()
        flat = self.sketcher.out.double().cpu().numpy() / self.losses.scale
        return np.concatenate([lengths[:, None], flat / np.maximum(lengths, 1e-30)[:, None]], axis=1).astype(np.float32)


def run(inputs: Inputs) -> Output:
    params, progress = inputs.params, inputs.progress
    data = inputs.datasets.get("training") or inputs.datasets["validation"]
    width = params["width"]
    if not isinstance(width, int) or not 64 <= width <= 65536:
        raise InputError(f"width {width!r} is not possible; give a number of cells between 64 and 65536, such as 2048.")
    if params["model"] == models.MATCH:
        raise InputError(
            "Sketches are of a causal language model's gradients. Name a model, or use influence.model=proxy."
        )
    if params["warmup"] or params["checkpoints"]:
        raise InputError(
            "Sketches are of one state of the model. Set influence.warmup and influence.checkpoints back to none."
        )
    started, ids = time.monotonic(), data.ids()
    setup = prepare(inputs)
    progress(0, 0, "tokenising")
    tokens = setup.encode(data, params["target"])
    keys = tokens.keys()
    losses = ResponseLoss(setup.model, params["loss"])
    space = spaces.resolve(setup.model.module, "lora", params["rank"], params["seed"])
    sketches = Sketches(losses, space, width, params["seed"])
    identity = digest_of(
        setup.model.revision, setup.model.device, setup.model.dtype, str(space.seed), str(space.rank), params["loss"], str(width)
    )  # fmt: skip
    lengths, unit = np.zeros(len(ids)), np.zeros((len(ids), width), np.float16)
    able = tokens.response_tokens > 0
    reused = _reuse(inputs, identity, keys, lengths, unit) & able
    rows = np.flatnonzero(able & ~reused)
    batches = [rows[b] for b in plan_batches(tokens.lengths[rows], setup.batch_tokens)]
    work = Halving(lambda some: {"values": sketches(tokens, some)}, tokens.lengths)
    label = digest_of(identity, *keys, str(setup.batch_tokens), str(rows.tolist()))[:24]
    share = part(progress, 0.0, 0.8 if data.role == "training" else 1.0)
    sizes = np.full(len(ids), width + 1)
    found, rate = run_ragged(inputs.scratch, label, batches, sizes, lambda b: list(work(b)["values"]), share)
    for row, values in found.items():
        lengths[row], unit[row] = values[0], values[1:]
    pq.write_table(pa.table({"key": keys}), inputs.files / "rows.parquet")
    info = setup.facts(tokens, inputs) | {
        "space": space.sentence, "width": width, "identity": identity, "scored": len(rows), "reused": int(reused.sum()),
        "bytes_per_record": 2 * width, "vectors_per_second": round(rate / (width + 1)),
    }  # fmt: skip
    if data.role == "training":
        info |= _measure(
            losses, tokens, space, lengths, unit, setup.batch_tokens, params["seed"], part(progress, 0.8, 1.0)
        )
    info["seconds"] = round(time.monotonic() - started, 1)
    return Output(pa.table({"record_id": ids, "length": lengths}), unit, info)


def _reuse(inputs: Inputs, identity: str, keys: list[str], lengths: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Fill in rows whose tokens and model are those of an earlier result; (N,) bool of the filled ones."""
    filled = np.zeros(len(keys), bool)
    for result in inputs.earlier:
        try:
            if result.info.get("identity") != identity:
                continue
            at = {k: n for n, k in enumerate(pq.read_table(result.file("rows.parquet"))["key"].to_pylist())}
            old, array = result.table(["length"]).column(0).to_numpy(), result.array()
        except (QuadrantError, OSError, KeyError, pa.ArrowInvalid):
            continue
        for row, key in enumerate(keys):
            if not filled[row] and key in at and old[at[key]] > 0:
                lengths[row], unit[row], filled[row] = old[at[key]], array[at[key]], True
    return filled


def _measure(
    losses: ResponseLoss, tokens: Tokens, space: spaces.Space, lengths: np.ndarray, unit: np.ndarray, budget: int, seed: int,
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """How well sketches rank: against exact dot products with the mean gradients of random groups of these records."""
    able = np.flatnonzero(lengths > 0)
    rng = np.random.default_rng(seed)
    size = min(GROUP, len(able) // (GROUPS + 2))
    if size < 2:
        return {"rank_correlation": None, "measured": "too few records to measure how well the sketches rank"}
    mixed = rng.permutation(able)
    groups = [np.sort(mixed[g * size : (g + 1) * size]) for g in range(GROUPS)]
    probed = np.sort(mixed[GROUPS * size : GROUPS * size + PROBED])
    directions = [mean_gradient(losses, tokens.take(group), space, budget) for group in groups]
    ghost, exact = Ghost(losses, directions), np.zeros((len(tokens.ids), GROUPS))
    done = 0
    for batch in plan_batches(tokens.lengths[probed], budget):
        exact[probed[batch]] = ghost.score(tokens, probed[batch]).each
        done += len(batch)
        progress(done, len(probed), "measuring how well the sketches rank")
    each = [
        spearman(exact[probed, g], products(unit, lengths, probed, mean_sketch(unit, lengths, group)))
        for g, group in enumerate(groups)
    ]
    said = (
        f"rank correlation with exact scores {min(each):.3f} to {max(each):.3f}, measured on {len(probed):,} records against "
        f"{GROUPS} random groups of {size}"
    )
    return {"rank_correlation": float(np.median(each)), "rank_correlations": each, "measured": said}


def mean_sketch(unit: np.ndarray, lengths: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(width,) float32: the sketch of the mean gradient of some records."""
    chosen = rows[lengths[rows] > 0]
    return (unit[chosen].astype(np.float32) * lengths[chosen, None].astype(np.float32)).mean(0)


def products(unit: np.ndarray, lengths: np.ndarray, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    """(R,) float64 estimates of <gradient, direction>; NaN where there is no gradient. In blocks, so that a mapped file will do."""
    out = np.full(len(rows), np.nan)
    for at in range(0, len(rows), 8192):
        some = rows[at : at + 8192]
        whole = len(some) and some[-1] - some[0] == len(some) - 1
        block = unit[some[0] : some[-1] + 1] if whole else unit[some]
        out[at : at + len(some)] = block.astype(np.float32) @ query * lengths[some]
    out[lengths[rows] <= 0] = np.nan
    return out
