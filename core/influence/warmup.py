"""A warm-up before gradients are taken: some epochs on a small random share of the training records (LESS, arXiv 2402.04333: 5 %).

A pretrained model gets LoRA adapters on its attention projections, trained by AdamW and merged into its weights in its own dtype; the
proxy, which is small and was trained from nothing, goes on with all its parameters. The state after each epoch is kept in a file, so
that a resumed run does not train again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import InputError, QuadrantError
from core.influence import spaces
from core.influence.direction import transposed
from core.influence.encode import Tokens, plan_batches
from core.influence.losses import ResponseLoss, make_batch
from core.influence.models import PROXY, LanguageModel
from core.influence.preconditioned import drawn
from core.influence.spaces import Space
from core.progress import Progress
from core.workspace import Inputs, digest_of

if TYPE_CHECKING:
    import torch

EPOCHS, BATCH, RANK = 4, 8, 8  # epochs as LESS; records a step


@dataclass(frozen=True)
class Plan:
    """What will be trained on what."""

    rows: np.ndarray  # of the training tokens
    space: Space  # lora, or all for the proxy
    rate: float
    epochs: int
    seed: int
    identity: str
    sentence: str


@dataclass(frozen=True)
class State:
    """The model after one epoch."""

    file: Path
    rate: float  # mean learning rate of the epoch
    load: Callable[[LanguageModel], LanguageModel]


def plan(params: dict[str, Any], model: LanguageModel, tokens: Tokens) -> Plan:
    """Errors: InputError for a share outside 0..1 or one that draws nothing."""
    share, rate, seed = params["warmup"], params["warmup_rate"], params["seed"]
    if not 0 < share <= 1 or not rate > 0:
        raise InputError(
            f"warmup={share}, warmup_rate={rate}: give a share of the records between 0 and 1, and a rate above 0."
        )
    able = int((tokens.response_tokens > 0).sum())
    rows = drawn(tokens, max(1, round(share * able)), f"warm-up {seed}")
    if not len(rows):
        raise InputError("No training record has a response to warm up on. Set warmup to 0.")
    full = model.name == PROXY
    space = spaces.resolve(model.module, "all" if full else "lora", RANK, seed)
    where = (
        "all parameters"
        if full
        else f"LoRA adapters of rank {RANK} on {len(space.names)} attention projections, then merged"
    )
    text = (
        f"warmed up on {len(rows):,} random training records ({share:.0%}, seed {seed}) for {EPOCHS} epochs: {where}, AdamW, "
        f"learning rate {rate:g} falling to 0"
    )
    keys = digest_of(
        "warmup", str(rate), str(EPOCHS), str(BATCH), str(seed), space.name, model.dtype, *tokens.take(rows).keys()
    )
    return Plan(rows, space, rate, EPOCHS, seed, keys, text)


def states(plan: Plan, model: LanguageModel, tokens: Tokens, inputs: Inputs, progress: Progress) -> list[State]:
    """The state after each epoch: from this run's scratch, from an earlier result, or trained now. Leaves `model` as it was."""
    names = [f"warmup-{k}.safetensors" for k in range(plan.epochs)]
    label = digest_of(plan.identity, model.revision)[:12]
    scratch = [inputs.scratch / f"{label}-{n}" for n in names]
    if not all(f.is_file() for f in scratch):
        for earlier in inputs.earlier:
            try:
                if earlier.info.get("warmup_label") == label:
                    scratch = [earlier.file(n) for n in names]
                    break
            except (QuadrantError, OSError):
                continue
        else:
            _train(plan, model, tokens, scratch, progress)
    kept = plan.space.rank > 0  # adapters are small: they stay with the result
    for file, name in zip(scratch, names, strict=True):
        if kept and not (inputs.files / name).exists():
            (inputs.files / name).write_bytes(file.read_bytes())
    steps = plan.epochs * -(-len(plan.rows) // BATCH)
    per = steps // plan.epochs
    found = []
    originals: dict[str, Any] = {}
    for k, file in enumerate(scratch):
        rate = float(np.mean([_rate(plan.rate, s, steps) for s in range(k * per, (k + 1) * per)]))
        found.append(State(file, rate, lambda m, file=file: _merged(plan, m, file, originals)))
    return found


def _rate(top: float, step: int, steps: int) -> float:
    """A short rise, then straight to 0."""
    return top * min((step + 1) / max(1, 0.03 * steps), 1 - step / steps)


def _train(plan: Plan, model: LanguageModel, tokens: Tokens, files: list[Path], progress: Progress) -> None:
    import torch
    from safetensors.torch import save_file
    from torch.nn.utils import parametrize

    module, losses = model.module, ResponseLoss(model)
    chosen = {n: p for n, p in module.named_parameters() if n in set(plan.space.names)}
    before = {n: p.detach().clone() for n, p in chosen.items()}
    generator = torch.Generator().manual_seed(plan.seed)
    added: dict[str, Any] = {}
    if plan.space.rank:
        for n, p in chosen.items():
            owner = module.get_submodule(n.rpartition(".")[0])
            added[n] = adapter(p, transposed(module, n), plan.space.rank, generator)
            parametrize.register_parametrization(owner, "weight", added[n], unsafe=True)
        trained = [t for a in added.values() for t in (a.a, a.b)]
    else:
        trained = list(chosen.values())
    for p in trained:
        p.requires_grad_(True)
    optimizer = torch.optim.AdamW(trained, lr=plan.rate, betas=(0.9, 0.999), weight_decay=0.0)
    rng = np.random.default_rng(plan.seed)
    count = -(-len(plan.rows) // BATCH)
    steps, step = count * plan.epochs, 0
    try:
        for k in range(plan.epochs):
            order = rng.permutation(plan.rows)
            for at in range(0, len(order), BATCH):
                rows = order[at : at + BATCH]
                for group in optimizer.param_groups:
                    group["lr"] = _rate(plan.rate, step, steps)
                for piece in plan_batches(
                    tokens.lengths[rows], 2048
                ):  # gradients add up over pieces that fit into memory
                    losses(make_batch(tokens, rows[piece], model.device), backward=True)
                for p in trained:
                    if p.grad is not None:
                        p.grad /= len(rows) * losses.scale
                torch.nn.utils.clip_grad_norm_(trained, 1.0)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                step += 1
                progress(step, steps, f"warm-up: step {step} of {steps}")
            if added:
                tensors = {
                    f"{n}|{s}": t.detach().cpu().contiguous()
                    for n, a in added.items()
                    for s, t in (("A", a.a), ("B", a.b))
                }
            else:
                tensors = {n: p.detach().cpu().contiguous() for n, p in chosen.items()}
            part = files[k].with_suffix(".part")
            save_file(tensors, part)
            part.replace(files[k])
    finally:
        for n in added:
            parametrize.remove_parametrizations(
                module.get_submodule(n.rpartition(".")[0]), "weight", leave_parametrized=False
            )
        parameters = dict(module.named_parameters())
        with torch.no_grad():
            for n, value in before.items():
                parameters[n].copy_(value)
                parameters[n].grad = None
        module.requires_grad_(False).eval()


def adapter(weight: "torch.Tensor", conv: bool, rank: int, generator: "torch.Generator") -> Any:
    """A module that adds B A to a weight: A uniform, B zero, so that training starts at the weight itself."""
    import torch

    d_in, d_out = weight.shape if conv else weight.shape[::-1]

    class Added(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            start = (torch.rand(rank, d_in, generator=generator) * 2 - 1) / d_in**0.5
            self.a = torch.nn.Parameter(start.to(weight.device))
            self.b = torch.nn.Parameter(torch.zeros(d_out, rank, device=weight.device))

        def forward(self, kept: torch.Tensor) -> torch.Tensor:
            change = (self.b @ self.a).to(kept.dtype)
            return kept + (change.T if conv else change)

    return Added()


def _merged(plan: Plan, model: LanguageModel, file: Path, originals: dict[str, Any]) -> LanguageModel:
    """The same model, its weights now those after the epoch of this file."""
    import torch
    from safetensors.torch import load_file

    stored = load_file(file)
    parameters = dict(model.module.named_parameters())
    with torch.no_grad():
        for n in plan.space.names:
            p = parameters[n]
            if not plan.space.rank:
                p.copy_(stored[n])
                continue
            original = originals.setdefault(n, p.detach().clone())
            change = (stored[f"{n}|B"] @ stored[f"{n}|A"]).to(p.device)
            p.copy_(original + (change.T if transposed(model.module, n) else change).to(p.dtype))
    return model
