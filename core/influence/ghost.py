"""Fixed-vector ghost: <gradient of a record's loss, v> for every record of a batch, with no weight gradient formed.

A linear layer with input a_t and output gradient b_t has the weight gradient sum_t b_t a_t', so its part of the score is
    <sum_t b_t a_t', V> = sum_t b_t . (V a_t)
with V the layer's part of v. One forward of the batch, one backward of the *sum* of the record losses (b_t depends on the loss of its
own record alone), one product per layer. Any other module is used through the Jacobian-vector product of its own parameters,
    sum_t b_t . (d module(x_t; theta) / d theta . v),
exact for every norm and embedding, as long as it handles each position by itself. What cannot be had this way is computed
from plain per-record gradients and named, and a probe compares the whole with plain autograd before any record is scored.

Several directions share the forward and the backward; see products.py for what each further one costs.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.influence.direction import Direction, on_weight, project, transposed
from core.influence.encode import Tokens
from core.influence.losses import Batch, ResponseLoss, make_batch
from core.influence.products import Adapted, against, dot, linear_positions, linear_records, segments
from core.influence.spaces import factors
from core.influence.transfer import fetched

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Scores:
    """Of the B records of a batch, in its order."""

    each: np.ndarray  # (B, Q) float64, <grad loss, v_q>; positive = training on it lowers the loss of query q
    nll: np.ndarray  # (B,) float64, mean NLL of the response, nats per token
    shares: (
        np.ndarray | None
    )  # (B, T) float64, each position's part of `influence` (parts of `direct` parameters left out)

    @property
    def influence(self) -> np.ndarray:
        """(B,) the mean over the queries."""
        return self.each.mean(1)


class _Unattributable(Exception):
    """A module's output rows cannot be told apart by record (routed experts and the like)."""


class Ghost:
    """Scores batches against Q directions over one space; `direct` names parameters that go the slow exact way, record by record."""

    def __init__(self, losses: ResponseLoss, directions: Direction | Sequence[Direction]) -> None:
        import torch

        self.losses, self.module = losses, losses.module
        self.directions = listed(directions)
        self.space = self.directions[0].space
        self.norms = np.array([d.norm or 1.0 for d in self.directions])
        self.dtype = getattr(torch, losses.model.dtype)
        self.wide = torch.float64 if self.dtype == torch.float64 else torch.float32
        self.parameters = dict(self.module.named_parameters())
        self._name = {id(p): name for name, p in self.parameters.items()}
        self._unit: dict[str, Any] = {}
        self._scales: dict[int, bool] = {}
        self.direct: set[str] = set()
        self.batch: Batch | None = None
        self._quiet = False
        self._plan()

    # -- which module answers for which parameter ---------------------------------------------------------------------
    def _plan(self) -> None:
        wanted = set(self.space.names) - self.direct
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

    def take_slowly(self, names: Sequence[str]) -> None:
        """Score these parameters by plain gradients, as another worker's probe found necessary."""
        self.direct |= set(names)
        self._plan()

    def _give_up(self, name: str) -> None:
        """Take the slow way for the parameters of a module (and so for every module that shares them)."""
        self.direct |= set(self.hooked[name].values())
        self._plan()

    def unit(self, name: str) -> Any:
        """The parts of v_q / |v_q| on a parameter, (Q, …) in the dtype of the model; in LoRA space an `Adapted`."""
        import torch

        if name not in self._unit:
            values = [d.vectors[name] for d in self.directions]

            def stacked(parts: list[torch.Tensor]) -> torch.Tensor:
                return torch.stack([p / n for p, n in zip(parts, self.norms, strict=True)]).to(self.dtype)

            if self.space.rank:
                va, vb = stacked([v[0] for v in values]), stacked([v[1] for v in values])
                self._unit[name] = Adapted(
                    *(t.to(va) for t in factors(self.space, name, va.shape[2], vb.shape[1])), va, vb
                )
            else:
                self._unit[name] = stacked(values)
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
                b = gradient.detach()
                with torch.no_grad():
                    if self.each is not None and self._by_record(module, own, inputs, named, b, rows, across):
                        return
                    for q in range(len(self.directions)):
                        part = self._part(module, own, inputs, named, b, q)
                        if rows is None:
                            part = (part.transpose(1, 2) if across else part).reshape(count * width, -1).sum(1)
                            self.positions[:, q] += part
                        else:
                            self.positions[:, q].index_add_(0, rows, part.reshape(-1))

            output.register_hook(collect)
            return output

        return hook

    def _part(
        self, module: Any, own: dict[str, str], args: tuple, kwargs: dict, b: "torch.Tensor", q: int
    ) -> "torch.Tensor":
        """Each position's b . (J v_q) for one call of one module; fp32 (fp64) products and sums."""
        import torch
        from torch.nn import functional as F
        from transformers.pytorch_utils import Conv1D

        kind = type(module)
        x = args[0] if args else next(iter(kwargs.values()))
        unit = {k: self.unit(name) for k, name in own.items()}
        if kind is torch.nn.Linear or kind is Conv1D:
            return linear_positions(x, b, unit.get("weight"), unit.get("bias"), kind is Conv1D, q, self.wide)
        moved = {k: v[q] for k, v in unit.items()}
        if kind is torch.nn.Embedding:
            part = dot(F.embedding(x, moved["weight"]), b, self.wide)
            return part if module.padding_idx is None else part.masked_fill(x == module.padding_idx, 0)
        part = dot(self._tangent(module, moved, args, kwargs).expand_as(b), b, self.wide)
        if (
            isinstance(module, torch.nn.Embedding) and module.padding_idx is not None
        ):  # backward skips the padding token
            part = part.masked_fill(x == module.padding_idx, 0)
        return part

    def _tangent(self, module: Any, moved: dict[str, "torch.Tensor"], args: tuple, kwargs: dict) -> "torch.Tensor":
        """J v of a module's own parameters at one call."""
        import torch

        fixed = {k: p.detach() for k, p in module.named_parameters(recurse=False)}

        def forward(own: dict[str, torch.Tensor]) -> torch.Tensor:
            return torch.func.functional_call(module, {**fixed, **own}, args, kwargs)

        self._quiet = True
        try:
            return torch.func.jvp(forward, ({k: fixed[k] for k in moved},), (moved,))[1]
        finally:
            self._quiet = False

    def _by_record(
        self, module: Any, own: dict[str, str], args: tuple, kwargs: dict, b: "torch.Tensor", rows: Any, across: bool
    ) -> bool:
        """Add a call's (B, Q) scores through each record's gradient, where that is cheaper; else leave it and return False."""
        import torch
        from transformers.pytorch_utils import Conv1D

        count, width = self.batch.ids.shape
        kind = type(module)
        unit = {k: self.unit(name) for k, name in own.items()}
        if kind is torch.nn.Linear or kind is Conv1D:
            x = args[0] if args else next(iter(kwargs.values()))
            weights = (unit.get("weight"), unit.get("bias"), kind is Conv1D, self.wide)
            if across or x.shape[:-1] != b.shape[:-1]:
                return False
            if rows is None:
                x, b = (t.reshape(count, -1, t.shape[-1]) for t in (x, b))
                self.each += linear_records(x, b, *weights)
                return True
            x, b = x.reshape(len(rows), -1), b.reshape(len(rows), -1)
            for record, part in segments(rows, width):
                self.each[record] += linear_records(x[None, part], b[None, part], *weights)[0]
            return True
        shapes = [u.shape[1:] for u in unit.values()]
        if (
            rows is not None
            or len(unit) != 1
            or shapes[0] != b.shape[-1:]
            or across
            or isinstance(module, torch.nn.Embedding)
        ):
            return False
        key, stack = next(iter(unit.items()))
        tangent = self._tangent(module, {key: torch.ones_like(stack[0])}, args, kwargs).expand_as(b)
        if id(module) not in self._scales:  # does it scale each channel by its own parameter? then J v = (J 1) v
            told = self._tangent(module, {key: stack[0]}, args, kwargs).expand_as(b)
            near = (told - tangent * stack[0]).norm() <= (0.05 if self.dtype.itemsize == 2 else 1e-4) * told.norm()
            self._scales[id(module)] = bool(near)
        if not self._scales[id(module)]:
            return False
        gradient = (tangent.to(self.wide) * b.to(self.wide)).reshape(count, -1, b.shape[-1]).sum(1)
        self.each += against(gradient, stack, self.wide)
        return True

    # -- scores -------------------------------------------------------------------------------------------------------
    def score(self, tokens: Tokens, rows: np.ndarray, shares: bool = False) -> Scores:
        """Scores of some records, computed as one batch (one by one where a parameter needs the slow way)."""
        if self.direct and len(rows) > 1:
            each = [self.score(tokens, rows[i : i + 1], shares) for i in range(len(rows))]
            joined = np.zeros((len(rows), max(len(tokens.ids[i]) for i in rows))) if shares else None
            for i, found in enumerate(each):
                if joined is not None:
                    joined[i, : found.shares.shape[1]] = found.shares[0]
            return Scores(np.concatenate([s.each for s in each]), np.concatenate([s.nll for s in each]), joined)
        return self.later(tokens, rows, shares)()

    def later(self, tokens: Tokens, rows: np.ndarray, shares: bool = False) -> Callable[[], Scores]:
        """As `score`: started now, waited for by the call of what comes back."""
        if self.direct and len(rows) > 1:
            found = self.score(tokens, rows, shares)
            return lambda: found
        try:
            return self._start(make_batch(tokens, rows, self.losses.model.device), shares)
        except _Unattributable as problem:
            self._give_up(str(problem))
            return self.later(tokens, rows, shares)

    def _start(self, batch: Batch, shares: bool) -> Callable[[], Scores]:
        import torch

        (count, width), many = batch.ids.shape, len(self.directions)
        self.batch = batch
        zeros = {"dtype": self.wide, "device": batch.ids.device}
        self.positions = torch.zeros(count * width, many, **zeros)
        self.each = torch.zeros(count, many, **zeros) if many > 1 and not shares else None
        slow = {name: self.parameters[name] for name in self.direct}
        for p in slow.values():
            p.requires_grad_(True)
        try:
            with self.attached(), torch.enable_grad():
                nll = self.losses.on_device(batch, backward=True)
            table = self.positions.double().view(count, width, many)
            total = table.sum(1) if self.each is None else table.sum(1) + self.each.double()
            for name, p in slow.items():
                if p.grad is not None:
                    for q, d in enumerate(self.directions):
                        v = on_weight(self.space, name, d.vectors[name], self._conv(name))
                        total[0, q] += (p.grad.to(self.wide) * v).sum().double() / self.norms[q]
        finally:
            self.batch, self.positions, self.each = None, None, None
            for p in slow.values():
                p.requires_grad_(False)
                p.grad = None
        norms = self.norms / self.losses.scale
        wait = fetched([total, nll, table] if shares else [total, nll])

        def scores() -> Scores:
            each, losses, *parts = wait()
            return Scores(each * norms, losses, (parts[0] * norms).mean(2) if parts else None)

        return scores

    def _conv(self, name: str) -> bool:
        return bool(self.space.rank) and transposed(self.module, name)

    def probe(self, tokens: Tokens, rows: np.ndarray) -> float:
        """Relative difference to plain autograd on some records; where it is too big, everything goes the slow exact way.

        The largest over the queries of |ghost - exact| / max(|exact|, floor |gradient| |v|) over these records; the floor keeps a
        score that is zero but for rounding from looking wrong.
        """
        exact, sizes = exact_scores(self.losses, tokens, rows, self.directions)
        rough = self.dtype.itemsize == 2
        floor = (0.02 if rough else 1e-5) * np.linalg.norm(sizes) * self.norms

        def gap() -> float:
            off = np.linalg.norm(self.score(tokens, rows).each - exact, axis=0)
            return float((off / np.maximum(np.maximum(np.linalg.norm(exact, axis=0), floor), 1e-30)).max())

        first = gap()
        if not first <= (0.1 if rough else 1e-3):
            self.direct = set(self.space.names)
            self._plan()
            return gap()
        return first


def listed(directions: Direction | Sequence[Direction]) -> tuple[Direction, ...]:
    return (directions,) if isinstance(directions, Direction) else tuple(directions)


def exact_scores(
    losses: ResponseLoss, tokens: Tokens, rows: np.ndarray, directions: Direction | Sequence[Direction]
) -> tuple[np.ndarray, np.ndarray]:
    """(scores, norms of the gradients in the space) by one plain backward a record: the slow truth, and the way to norms.

    Scores are (B, Q), or (B,) for one `Direction` that is not in a list. A small model on a CPU pays no more for this than for the
    ghost; a big one on a GPU pays several times as much.
    """
    import torch

    several = listed(directions)
    parameters = dict(losses.module.named_parameters())
    space = several[0].space
    chosen = {name: parameters[name] for name in space.names}
    conv = {name: bool(space.rank) and transposed(losses.module, name) for name in chosen}
    scores, sizes = np.zeros((len(rows), len(several))), np.zeros(len(rows))
    for p in chosen.values():
        p.requires_grad_(True)
    try:
        for i, row in enumerate(rows):
            with torch.enable_grad():
                losses(make_batch(tokens, np.array([row]), losses.model.device), backward=True)
            for name, p in chosen.items():
                if p.grad is not None:
                    for q, direction in enumerate(several):
                        v = on_weight(space, name, direction.vectors[name], conv[name])
                        scores[i, q] += float((p.grad.to(v.dtype) * v).sum(dtype=torch.float64))
                    g = p.grad.to(v.dtype)
                    parts = project(space, name, g, conv[name]) if space.rank else (g,)
                    sizes[i] += sum(float(t.double().square().sum()) for t in parts)
                    p.grad = None
    finally:
        for p in chosen.values():
            p.requires_grad_(False)
            p.grad = None
    scores, sizes = scores / losses.scale, np.sqrt(sizes) / losses.scale
    return (scores[:, 0] if isinstance(directions, Direction) else scores), sizes
