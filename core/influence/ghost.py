"""Fixed-vector ghost: <gradient of a record's loss, v> for every record of a batch, with no weight gradient formed.

A linear layer with input a_t and output gradient b_t has the weight gradient sum_t b_t a_t', so its part of the score is
    <sum_t b_t a_t', V> = sum_t b_t . (V a_t)
with V the layer's part of v. One forward of the batch, one backward of the *sum* of the record losses (b_t depends on the loss of its
own record alone), one product per layer. Any other module is used through the Jacobian-vector product of its own parameters,
    sum_t b_t . (d module(x_t; theta) / d theta . v),
exact for every norm and embedding, as long as it handles each position by itself. What cannot be had this way is computed
from plain per-record gradients and named, and a probe compares the whole with plain autograd before any record is scored.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.influence.direction import Direction, on_weight, project, transposed
from core.influence.encode import Tokens
from core.influence.losses import Batch, ResponseLoss, make_batch
from core.influence.spaces import SCALE, factors

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Scores:
    """Of the B records of a batch, in its order."""

    influence: np.ndarray  # (B,) float64, <grad loss, v>; positive = training on it lowers the validation loss
    nll: np.ndarray  # (B,) float64, mean NLL of the response, nats per token
    shares: (
        np.ndarray | None
    )  # (B, T) float64, each position's part of the score (parts of `direct` parameters left out)


class _Unattributable(Exception):
    """A module's output rows cannot be told apart by record (routed experts and the like)."""


class Ghost:
    """Scores batches against one direction. `direct` names parameters that take the slow exact way, one record at a time."""

    def __init__(self, losses: ResponseLoss, direction: Direction) -> None:
        import torch

        self.losses, self.direction, self.module = losses, direction, losses.module
        self.norm = direction.norm or 1.0
        self.dtype = getattr(torch, losses.model.dtype)
        self.wide = torch.float64 if self.dtype == torch.float64 else torch.float32
        self.parameters = dict(self.module.named_parameters())
        self._name = {id(p): name for name, p in self.parameters.items()}
        self._unit: dict[str, Any] = {}
        self.direct: set[str] = set()
        self.batch: Batch | None = None
        self._quiet = False
        self._plan()

    # -- which module answers for which parameter ---------------------------------------------------------------------
    def _plan(self) -> None:
        wanted = set(self.direction.space.names) - self.direct
        self.hooked: dict[str, dict[str, str]] = {}  # module -> its own parameter name -> parameter of the space
        found = set()
        for name, module in self.module.named_modules():
            own = {k: self._name[id(p)] for k, p in module.named_parameters(recurse=False)}
            own = {k: n for k, n in own.items() if n in wanted}
            odd = getattr(module, "max_norm", None) is not None or getattr(module, "scale_grad_by_freq", False)
            if own and not odd and not any(True for _ in module.children()):
                self.hooked[name] = own
                found |= set(own.values())
        self.direct |= wanted - found

    def _give_up(self, name: str) -> None:
        """Take the slow way for the parameters of a module (and so for every module that shares them)."""
        self.direct |= set(self.hooked[name].values())
        self._plan()

    def unit(self, name: str) -> Any:
        """The part of v / |v| on a parameter, in the dtype of the model; LoRA: (C1 (2r, in), C2 (out, 2r)) with V = C2 C1."""
        import torch

        if name not in self._unit:
            value = self.direction.vectors[name]
            if isinstance(value, tuple):
                va, vb = (t / self.norm for t in value)
                a, b = (t.to(va) for t in factors(self.direction.space, name, va.shape[1], vb.shape[0]))
                self._unit[name] = (
                    torch.cat([va, a]).to(self.dtype),
                    torch.cat([SCALE * b, SCALE * vb], dim=1).to(self.dtype),
                )
            else:
                self._unit[name] = (value / self.norm).to(self.dtype)
        return self._unit[name]

    # -- hooks --------------------------------------------------------------------------------------------------------
    @contextmanager
    def attached(self) -> Iterator[None]:
        handles = [
            self.module.get_submodule(name).register_forward_hook(self._hook(name, own), with_kwargs=True)
            for name, own in self.hooked.items()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, name: str, own: dict[str, str]) -> Any:
        import torch

        def hook(module: torch.nn.Module, args: tuple, kwargs: dict, output: Any) -> Any:
            if self._quiet or self.batch is None:
                return None
            if not isinstance(output, torch.Tensor):
                raise _Unattributable(name)
            rows, (count, width) = self.losses.rows, self.batch.ids.shape
            if rows is None and output.shape[:2] == (1, width) and count > 1:
                output = output.expand(count, *output.shape[1:])  # positions shared by the records: one copy for each
            lead = tuple(output.shape[:-1])
            if rows is not None:
                known = lead == (len(rows),) or lead == (1, len(rows))
            else:  # (B, T, heads …), (B T, …), or heads before positions: (B, heads, T)
                known = lead[:2] == (count, width) or lead[:1] == (count * width,) or lead[::2] == (count, width)
            if not known:
                raise _Unattributable(name)
            across = rows is None and lead[:2] != (count, width) and lead[::2] == (count, width)
            if not output.requires_grad:
                output = output.detach().requires_grad_()  # the graph begins at the first module that is asked
            inputs = tuple(a.detach() if isinstance(a, torch.Tensor) else a for a in args)
            named = {k: a.detach() if isinstance(a, torch.Tensor) else a for k, a in kwargs.items()}

            def collect(gradient: torch.Tensor) -> None:
                part = self._part(module, own, inputs, named, gradient.detach())
                if rows is None:
                    self.positions += (part.transpose(1, 2) if across else part).reshape(count * width, -1).sum(1)
                else:
                    self.positions.index_add_(0, rows, part.reshape(-1))

            output.register_hook(collect)
            return output

        return hook

    def _part(self, module: Any, own: dict[str, str], args: tuple, kwargs: dict, b: "torch.Tensor") -> "torch.Tensor":
        """Each position's b . (J v) for one call of one module; fp32 (fp64) products and sums."""
        import torch
        from torch.nn import functional as F
        from transformers.pytorch_utils import Conv1D

        def dot(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return (x.to(self.wide) * y.to(self.wide)).sum(-1)

        with torch.no_grad():
            kind = type(module)
            x = args[0] if args else next(iter(kwargs.values()))
            unit = {k: self.unit(name) for k, name in own.items()}
            weight, bias = unit.get("weight"), unit.get("bias")
            if isinstance(weight, tuple):
                c1, c2 = weight
                return dot(x @ c1.T, b @ c2)
            if kind is torch.nn.Linear or kind is Conv1D:
                part = torch.zeros(b.shape[:-1], dtype=self.wide, device=b.device)
                if weight is not None:
                    v = (
                        weight.T if kind is Conv1D else weight
                    )  # (out, in); the smaller side carries the elementwise work
                    part = dot(b @ v, x) if v.shape[0] > v.shape[1] else dot(x @ v.T, b)
                return part if bias is None else part + (b.to(self.wide) * bias.to(self.wide)).sum(-1)
            if kind is torch.nn.Embedding:
                part = dot(F.embedding(x, weight), b)
                return part if module.padding_idx is None else part.masked_fill(x == module.padding_idx, 0)
            fixed = {k: p.detach() for k, p in module.named_parameters(recurse=False)}

            def forward(moved: dict[str, torch.Tensor]) -> torch.Tensor:
                return torch.func.functional_call(module, {**fixed, **moved}, args, kwargs)

            self._quiet = True
            try:
                _, tangent = torch.func.jvp(forward, ({k: fixed[k] for k in unit},), (unit,))
            finally:
                self._quiet = False
            part = dot(tangent.expand_as(b), b)
            if (
                isinstance(module, torch.nn.Embedding) and module.padding_idx is not None
            ):  # backward skips the padding token
                part = part.masked_fill(x == module.padding_idx, 0)
            return part

    # -- scores -------------------------------------------------------------------------------------------------------
    def score(self, tokens: Tokens, rows: np.ndarray, shares: bool = False) -> Scores:
        """Scores of some records, computed as one batch (one by one where a parameter needs the slow way)."""
        if self.direct and len(rows) > 1:
            each = [self.score(tokens, rows[i : i + 1], shares) for i in range(len(rows))]
            joined = np.zeros((len(rows), max(len(tokens.ids[i]) for i in rows))) if shares else None
            for i, found in enumerate(each):
                if joined is not None:
                    joined[i, : found.shares.shape[1]] = found.shares[0]
            return Scores(np.concatenate([s.influence for s in each]), np.concatenate([s.nll for s in each]), joined)
        try:
            return self._score(make_batch(tokens, rows, self.losses.model.device), shares)
        except _Unattributable as problem:
            self._give_up(str(problem))
            return self.score(tokens, rows, shares)

    def _score(self, batch: Batch, shares: bool) -> Scores:
        import torch

        count, width = batch.ids.shape
        self.batch = batch
        self.positions = torch.zeros(count * width, dtype=self.wide, device=batch.ids.device)
        slow = {name: self.parameters[name] for name in self.direct}
        for p in slow.values():
            p.requires_grad_(True)
        try:
            with self.attached(), torch.enable_grad():
                nll = self.losses(batch, backward=True)
            table = self.positions.double().view(count, width)
            total = table.sum(1)
            for name, p in slow.items():
                if p.grad is not None:
                    v = on_weight(self.direction.space, name, self.direction.vectors[name], self._conv(name))
                    total[0] += (p.grad.to(self.wide) * v).sum().double() / self.norm
        finally:
            self.batch, self.positions = None, None
            for p in slow.values():
                p.requires_grad_(False)
                p.grad = None
        return Scores((total * self.norm).cpu().numpy(), nll, (table * self.norm).cpu().numpy() if shares else None)

    def _conv(self, name: str) -> bool:
        return bool(self.direction.space.rank) and transposed(self.module, name)

    def probe(self, tokens: Tokens, rows: np.ndarray) -> float:
        """Relative difference to plain autograd on some records; where it is too big, everything goes the slow exact way.

        |ghost - exact| / max(|exact|, floor |gradient| |v|) over these records; the floor (bf16 only) keeps a score that is zero
        but for rounding from looking wrong.
        """
        exact, sizes = exact_scores(self.losses, tokens, rows, self.direction)
        rough = self.losses.model.dtype == "bfloat16"
        floor = (0.02 if rough else 1e-5) * np.linalg.norm(sizes) * self.norm

        def gap() -> float:
            found = self.score(tokens, rows).influence
            return float(np.linalg.norm(found - exact) / max(np.linalg.norm(exact), floor, 1e-30))

        first = gap()
        if first > (0.1 if rough else 1e-3):
            self.direct = set(self.direction.space.names)
            self._plan()
            return gap()
        return first


def exact_scores(
    losses: ResponseLoss, tokens: Tokens, rows: np.ndarray, direction: Direction
) -> tuple[np.ndarray, np.ndarray]:
    """(scores, norms of the gradients in the space) by one plain backward a record: the slow truth, and the way to norms.

    A small model on a CPU pays no more for this than for the ghost; a big one on a GPU pays several times as much.
    """
    import torch

    parameters = dict(losses.module.named_parameters())
    space = direction.space
    chosen = {name: parameters[name] for name in space.names}
    conv = {name: bool(space.rank) and transposed(losses.module, name) for name in chosen}
    wide = {name: on_weight(space, name, direction.vectors[name], conv[name]) for name in chosen}
    scores, sizes = np.zeros(len(rows)), np.zeros(len(rows))
    for p in chosen.values():
        p.requires_grad_(True)
    try:
        for i, row in enumerate(rows):
            with torch.enable_grad():
                losses(make_batch(tokens, np.array([row]), losses.model.device), backward=True)
            for name, p in chosen.items():
                if p.grad is not None:
                    g = p.grad.to(wide[name].dtype)
                    scores[i] += float((g * wide[name]).sum(dtype=torch.float64))
                    parts = project(space, name, g, conv[name]) if space.rank else (g,)
                    sizes[i] += sum(float(t.double().square().sum()) for t in parts)
                    p.grad = None
    finally:
        for p in chosen.values():
            p.requires_grad_(False)
            p.grad = None
    return scores, np.sqrt(sizes)
