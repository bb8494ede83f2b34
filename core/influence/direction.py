"""The direction v of an influence score: to begin with the mean gradient of the response loss over the validation records.

Kept apart from the scores so that another direction (see preconditioned.py) can take its place: the ghost asks only for one
float32 tensor a parameter. Several queries are several directions over one space.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import InputError
from core.influence.batches import out_of_memory
from core.influence.encode import Tokens, iterate
from core.influence.losses import ResponseLoss, make_batch
from core.influence.spaces import SCALE, Space, factors
from core.progress import Progress, silent

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Direction:
    """v over a space: by parameter name a tensor of the parameter's shape, or in LoRA space (vA (r, in), vB (out, r))."""

    space: Space
    vectors: Mapping[str, "torch.Tensor | tuple[torch.Tensor, torch.Tensor]"]
    records: int
    query: str = ""  # which group of validation records; "" = all
    facts: Mapping[str, Any] = field(default_factory=dict)  # of a preconditioned one: damping, residual …

    @property
    def norm(self) -> float:
        return sum(float(t.double().square().sum()) for t in self.tensors().values()) ** 0.5

    @property
    def digest(self) -> str:
        """16 hex over the values: equal digests, equal directions."""
        total = hashlib.blake2b(digest_size=8)
        for name, tensor in self.tensors().items():
            total.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
        return total.hexdigest()

    def tensors(self) -> dict[str, "torch.Tensor"]:
        """Flat: the tensors by name; in LoRA space "<name>|A" and "<name>|B"."""
        flat = {}
        for name, value in self.vectors.items():
            pairs = ((f"{name}|A", value[0]), (f"{name}|B", value[1])) if isinstance(value, tuple) else ((name, value),)
            flat.update(pairs)
        return flat


def nested(space: Space, flat: Mapping[str, "torch.Tensor"]) -> dict[str, Any]:
    """The vectors of a direction from its flat tensors."""
    return {n: (flat[f"{n}|A"], flat[f"{n}|B"]) if space.rank else flat[n] for n in space.names}


def save(directions: Sequence[Direction], path: Path) -> None:
    """Write directions over one space to one safetensors file."""
    from safetensors.torch import save_file

    about = [{"records": d.records, "query": d.query, "facts": dict(d.facts)} for d in directions]
    tensors = {f"{q}:{k}": t.cpu().contiguous() for q, d in enumerate(directions) for k, t in d.tensors().items()}
    part = path.with_suffix(".part")
    save_file(tensors, part, {"directions": json.dumps(about)})
    part.replace(path)


def read(path: Path, space: Space, device: str) -> list[Direction]:
    """The directions of one file."""
    from safetensors import safe_open

    with safe_open(path, "pt", device=device) as stream:
        about = json.loads(stream.metadata()["directions"])
        names = [f"{n}|{side}" for n in space.names for side in "AB"] if space.rank else space.names
        return [
            Direction(space, nested(space, {n: stream.get_tensor(f"{q}:{n}") for n in names}), **a)
            for q, a in enumerate(about)
        ]


def mean_gradient(
    losses: ResponseLoss,
    tokens: Tokens,
    space: Space,
    batch_tokens: int,
    progress: Progress = silent,
    weights: np.ndarray | None = None,
) -> Direction:
    """The mean over records of the gradient of the record's loss, summed up in float32 (float64 for a float64 model).

    `weights` (N,) are factors on the records, such as one over the length of each gradient; the mean still divides by their number.

    Plain backward passes over padded batches; one set of weight gradients is held beside the sums. In LoRA space only the gradients
    of the adapted weights are formed, then projected on the adapters.
    Errors: InputError when no validation record has a response token.
    """
    import torch

    batches = list(iterate(tokens, batch_tokens))[::-1]
    count = sum(len(b) for b in batches)
    if not count:
        raise InputError(
            "No validation record has a response to compute a loss on. Import validation records with responses."
        )
    parameters = dict(losses.module.named_parameters())
    chosen = {name: parameters[name] for name in space.names}
    wide = torch.float64 if losses.model.dtype == "float64" else torch.float32
    sums = {name: torch.zeros_like(p, dtype=wide) for name, p in chosen.items()}
    for p in chosen.values():
        p.requires_grad_(True)
    done = 0
    try:
        while batches:
            rows = batches.pop()
            try:
                losses.emphasis = None if weights is None else weights[rows]
                losses(make_batch(tokens, rows, losses.model.device), backward=True)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error) or len(rows) == 1:
                    raise
                batches += np.array_split(rows, 2)  # does not fit: in halves, and nothing of it was added yet
                for p in chosen.values():
                    p.grad = None
                continue
            for name, p in chosen.items():
                if p.grad is not None:
                    sums[name] += p.grad
                    p.grad = None
            done += len(rows)
            progress(done, count, f"validation gradient: {done} of {count} records")
    finally:
        losses.emphasis = None
        for p in chosen.values():
            p.requires_grad_(False)
            p.grad = None
    for tensor in sums.values():
        tensor /= count * losses.scale
    if not space.rank:
        return Direction(space, sums, count)
    return Direction(
        space, {name: project(space, name, g, transposed(losses.module, name)) for name, g in sums.items()}, count
    )


def transposed(module: "torch.nn.Module", name: str) -> bool:
    """Whether the weight of this name is stored (in, out), as Conv1D does."""
    from transformers.pytorch_utils import Conv1D

    return isinstance(module.get_submodule(name.rpartition(".")[0]), Conv1D)


def project(space: Space, name: str, gradient: "torch.Tensor", conv: bool) -> tuple["torch.Tensor", "torch.Tensor"]:
    """(vA, vB) = (s B0' G, s G A0') for the gradient G of one adapted weight."""
    g = gradient.T if conv else gradient
    a, b = (t.to(g) for t in factors(space, name, g.shape[1], g.shape[0]))
    return (SCALE * b.T @ g).contiguous(), (SCALE * g @ a.T).contiguous()


def on_weight(space: Space, name: str, value: "torch.Tensor | tuple", conv: bool) -> "torch.Tensor":
    """The part of v on one parameter, in its own shape; in LoRA space s (B0 vA + vB A0)."""
    if not space.rank:
        return value
    va, vb = value
    a, b = (t.to(va) for t in factors(space, name, va.shape[1], vb.shape[0]))
    dense = SCALE * (b @ va + vb @ a)
    return dense.T if conv else dense


def zeros(module: "torch.nn.Module", space: Space) -> dict[str, Any]:
    """The vectors of the direction that is nowhere: for those who ask for lengths alone."""
    import torch

    parameters, found = dict(module.named_parameters()), {}
    for name in space.names:
        p = parameters[name]
        d_in, d_out = p.shape if space.rank and transposed(module, name) else p.shape[::-1] if space.rank else (0, 0)
        wide = torch.float64 if p.dtype == torch.float64 else torch.float32
        shapes = [t.shape for t in factors(space, name, d_in, d_out)] if space.rank else (p.shape,)
        parts = tuple(torch.zeros(s, dtype=wide, device=p.device) for s in shapes)
        found[name] = parts if space.rank else parts[0]
    return found
