"""Exact length of every record's gradient in a space, from the same batched backward as the scores: no backward a record.

LoRA space: G_i = sum_t b_t a_t' is never formed, only dA_i = s B0' G_i = s sum_t (B0' b_t) a_t' and dB_i = s G_i A0' = s sum_t b_t
(A0 a_t)', two thin products a layer; |g_i|^2 is the sum of their squares. They are the record's whole gradient, so a sketch of it
costs one more pass over them (see sketches.py).

Other spaces: for a linear layer with T positions a record
    |sum_t b_t a_t'|^2 = sum over t, u of (a_t . a_u)(b_t . b_u),
the Gram trick, where T^2 (in + out) is less than the T in out of forming G_i. An embedding has a_t . a_u = [token t is token u]; a
weight that is used more than once (tied to lm_head, or in several chunks of it) also has the cross terms between its uses. Norms and
other small layers give their per-record gradients through a vectorised backward. Layers that fit none of this are refused, and
the caller takes plain gradients.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from core.influence.encode import Tokens
from core.influence.losses import ResponseLoss
from core.influence.spaces import SCALE, Space, factors

if TYPE_CHECKING:
    import torch

HEAD = 2**26  # logits whose gradients are held for the length of lm_head's part

Consumer = Callable[[str, str, "torch.Tensor"], None]
"""Called with (parameter, "A" or "B", (B, …) gradients of the records) for each part of a LoRA-space gradient."""


class Unfit(Exception):
    """A layer of the space whose per-record length cannot be had by hooks; its name."""


class Norms:
    """Watches a batch's forward and backward, whoever runs it, and tells the length of each record's gradient afterwards."""

    def __init__(self, losses: ResponseLoss, space: Space, consumer: Consumer | None = None) -> None:
        import torch

        self.losses, self.space, self.consumer = losses, space, consumer
        self.wide = torch.float64 if losses.model.dtype == "float64" else torch.float32
        names = {id(p): name for name, p in losses.module.named_parameters()}
        wanted, self.plan, found = set(space.names), [], []
        for name, module in losses.module.named_modules():
            own = {k: names[id(p)] for k, p in module.named_parameters(recurse=False) if names[id(p)] in wanted}
            if own:
                if any(True for _ in module.children()) or getattr(module, "max_norm", None) is not None:
                    raise Unfit(name)
                self.plan.append((name, module, own))
                found += own.values()
        if set(found) != wanted:
            raise Unfit(sorted(wanted - set(found))[0])
        self.shared = {n for n in found if found.count(n) > 1}
        head = losses.head
        self.vocabulary = losses.head_size if any(m is head for _, m, _ in self.plan) else 0
        if self.vocabulary and not losses.split:
            raise Unfit("lm_head")
        if self.vocabulary:
            self.shared |= {n for _, m, own in self.plan for n in own.values() if m is head}
        self._factors: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def fits(self, tokens: Tokens, rows: np.ndarray) -> bool:
        """Whether a batch is small enough for what lm_head needs."""
        return len(rows) == 1 or int(tokens.response_tokens[rows].sum()) * self.vocabulary <= HEAD

    @contextmanager
    def watching(self, tokens: Tokens, rows: np.ndarray) -> Iterator[None]:
        """Attach the hooks for one batch of these records. Errors: Unfit."""
        import torch

        self.count, self.width = len(rows), int(tokens.lengths[rows].max())
        self.squared = torch.zeros(self.count, dtype=torch.float64, device=self.losses.model.device)
        self.uses: dict[str, list[tuple]] = {}
        self.calls: dict[str, int] = {}
        handles = [m.register_forward_hook(self._hook(n, m, own), with_kwargs=True) for n, m, own in self.plan]
        try:
            yield
            for name, uses in self.uses.items():
                self.squared += self._together(name, uses)
        finally:
            for handle in handles:
                handle.remove()
            self.uses = {}

    def lengths(self) -> np.ndarray:
        """(B,) float64 |g_i| of the batch that was watched last, for the loss as `ResponseLoss` defines it."""
        return np.sqrt(np.maximum(self.squared.cpu().numpy(), 0)) / self.losses.scale

    # -- hooks --------------------------------------------------------------------------------------------------------
    def _hook(self, name: str, module: Any, own: dict[str, str]) -> Any:
        import torch

        def hook(_: Any, args: tuple, kwargs: dict, output: Any) -> Any:
            if not torch.is_grad_enabled():
                return None
            x = args[0] if args else next(iter(kwargs.values()), None)
            if not isinstance(output, torch.Tensor) or not isinstance(x, torch.Tensor):
                raise Unfit(name)
            rows, (count, width) = self.losses.rows, (self.count, self.width)
            if rows is None and output.shape[:2] == (1, width) and count > 1:
                output, x = output.expand(count, *output.shape[1:]), x.expand(count, *x.shape[1:])
            lead = tuple(output.shape[:-1])
            flat = rows is None and lead[:1] == (count * width,) and count * width != count
            if not (lead in ((len(rows),), (1, len(rows))) if rows is not None else flat or lead[:1] == (count,)):
                raise Unfit(name)
            if not output.requires_grad:
                output = output.detach().requires_grad_()  # the graph begins at the first module that is asked
            x = x.detach()
            for parameter in own.values():
                self.calls[parameter] = self.calls.get(parameter, 0) + 1

            def collect(gradient: torch.Tensor) -> None:
                with torch.no_grad():
                    a, b = x, gradient.detach()
                    if flat:
                        a, b = (t.reshape(count, width, *t.shape[1:]) for t in (a, b))
                    self._collect(name, module, own, a, b, rows)

            output.register_hook(collect)
            return output

        return hook

    def _collect(self, name: str, module: Any, own: dict[str, str], x: Any, b: Any, rows: Any) -> None:
        import torch
        from transformers.pytorch_utils import Conv1D

        kind = type(module)
        if kind is torch.nn.Linear or kind is Conv1D:
            a, b = (t.reshape(*((len(rows),) if rows is not None else (self.count, -1)), t.shape[-1]) for t in (x, b))
            for key, parameter in own.items():
                if self.space.rank:
                    self._adapted(parameter, a, b)
                elif key == "bias":
                    self._add(parameter, "dense", self._by_record(b, rows), rows)
                else:
                    self._add(parameter, "outer", (a, b), rows)
        elif kind is torch.nn.Embedding or (isinstance(module, torch.nn.Embedding) and hasattr(module, "embed_scale")):
            b = b * getattr(module, "embed_scale", 1.0)  # Gemma scales what it looks up
            kept = b if module.padding_idx is None else b.masked_fill((x == module.padding_idx).unsqueeze(-1), 0)
            self._add(
                own["weight"], "rows", (x.reshape(self.count, -1), kept.reshape(self.count, -1, b.shape[-1])), rows
            )
        else:
            if rows is not None or isinstance(module, torch.nn.Embedding):
                raise Unfit(name)
            for key, value in self._vectorised(name, module, own, x, b).items():
                self._add(own[key], "dense", value.flatten(1), rows)

    def _by_record(self, b: Any, rows: Any) -> Any:
        """Sums over the positions of each record, (B, d)."""
        import torch

        if rows is None:
            return b.to(self.wide).sum(1)
        out = torch.zeros(self.count, b.shape[-1], dtype=self.wide, device=b.device)
        return out.index_add_(0, rows // self.width, b.to(self.wide))

    def _vectorised(self, name: str, module: Any, own: dict[str, str], x: Any, b: Any) -> dict[str, Any]:
        """{own parameter: (B, …)} gradients of a small layer's own parameters, record by record in one call."""
        import torch

        class Bare(torch.nn.Module):  # past every hook, this one's and the ghost's
            def __init__(self) -> None:
                super().__init__()
                self.inner = module

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.inner.forward(x)

        bare = Bare()
        fixed = {f"inner.{k}": p.detach() for k, p in module.named_parameters(recurse=False)}

        def one(xi: torch.Tensor, bi: torch.Tensor) -> dict[str, torch.Tensor]:
            def forward(moved: dict[str, torch.Tensor]) -> torch.Tensor:
                return torch.func.functional_call(bare, {**fixed, **moved}, (xi.unsqueeze(0),))

            found = torch.func.vjp(forward, {f"inner.{k}": fixed[f"inner.{k}"] for k in own})[1](bi.unsqueeze(0))[0]
            return {k.removeprefix("inner."): g for k, g in found.items()}

        try:
            with torch.enable_grad():
                return torch.func.vmap(one)(x, b)
        except (RuntimeError, TypeError, ValueError) as error:
            raise Unfit(name) from error

    # -- sums of squares ----------------------------------------------------------------------------------------------
    def _adapted(self, parameter: str, a: Any, b: Any) -> None:
        """One call of an adapted weight: the two parts of the records' gradients in LoRA space."""
        if parameter not in self._factors:
            self._factors[parameter] = tuple(
                t.to(a) for t in factors(self.space, parameter, a.shape[-1], b.shape[-1])
            )  # fmt: skip
        down, up = self._factors[parameter]
        wide = self.wide
        da = SCALE * (b @ up).transpose(1, 2).to(wide) @ a.to(wide)
        db = SCALE * b.transpose(1, 2).to(wide) @ (a @ down.T).to(wide)
        if self.calls[parameter] > 1 or parameter in self.shared:
            self.uses.setdefault(parameter, []).append(("pair", (da, db), None))
        else:
            self._square(parameter, da, db)

    def _square(self, parameter: str, da: Any, db: Any) -> Any:
        for side, part in (("A", da), ("B", db)):
            self.squared += part.flatten(1).square().sum(1, dtype=self.squared.dtype)
            if self.consumer is not None:
                self.consumer(parameter, side, part)

    def _add(self, parameter: str, kind: str, value: Any, rows: Any) -> None:
        """One use of a parameter: squared at once when it is the only one, else kept for the cross terms."""
        if self.calls[parameter] > 1 or parameter in self.shared or rows is not None:
            self.uses.setdefault(parameter, []).append((kind, value, rows))
        else:
            self.squared += self._alone(kind, value)

    def _alone(self, kind: str, value: Any) -> Any:
        """(B,) squared length of one use."""
        import torch

        if kind == "dense":
            return value.square().sum(1, dtype=torch.float64)
        left, b = value
        if kind == "rows":
            same = left.unsqueeze(2) == left.unsqueeze(1)
            return ((b.to(self.wide) @ b.to(self.wide).transpose(1, 2)) * same).sum((1, 2), dtype=torch.float64)
        positions, (d_in, d_out) = left.shape[1], (left.shape[2], b.shape[2])
        a, b = left.to(self.wide), b.to(self.wide)
        if positions * (d_in + d_out) < d_in * d_out:
            return ((a @ a.transpose(1, 2)) * (b @ b.transpose(1, 2))).sum((1, 2), dtype=torch.float64)
        return torch.stack([(bi.T @ ai).square().sum(dtype=torch.float64) for ai, bi in zip(a, b, strict=True)])

    def _together(self, parameter: str, uses: list[tuple]) -> Any:
        """(B,) squared length of a parameter's gradient that is the sum of several uses."""
        import torch

        if uses[0][0] == "pair":
            da, db = (sum(value[i] for _, value, _ in uses) for i in (0, 1))
            self._square(parameter, da, db)
            return torch.zeros_like(self.squared)
        if all(kind == "dense" for kind, _, _ in uses):
            return self._alone("dense", sum(value for _, value, _ in uses))
        if any(kind == "dense" for kind, _, _ in uses):
            raise Unfit(parameter)
        total = torch.zeros_like(self.squared)
        for i in range(self.count):
            mine = [self._of_record(use, i) for use in uses]
            for k, first in enumerate(mine):
                for j, second in enumerate(mine[k:], k):
                    total[i] += (1 if j == k else 2) * self._product(first, second)
        return total

    def _of_record(self, use: tuple, i: int) -> tuple:
        kind, (left, b), rows = use
        if rows is None:
            return kind, left[i], b[i].to(self.wide)
        keep = rows // self.width == i
        return kind, left[keep].to(self.wide), b[keep].to(self.wide)

    def _product(self, first: tuple, second: tuple) -> Any:
        """<G, H> of two uses of one weight by one record. A linear use is sum_t b_t a_t', an embedding use has a_t = e(token t)."""
        import torch

        (kind, a, b), (other, c, d) = first, second
        if kind == "rows" and other == "rows":
            return ((b @ d.T) * (a.unsqueeze(1) == c.unsqueeze(0))).sum(dtype=torch.float64)
        if kind == "outer" and other == "outer":
            return ((a.to(self.wide) @ c.to(self.wide).T) * (b @ d.T)).sum(dtype=torch.float64)
        if kind == "outer":
            (kind, a, b), (other, c, d) = second, first
        # the weight is (vocabulary, d): the embedding adds b_t to its row a_t, the head adds d_u c_u'
        return ((b @ c.to(self.wide).T) * d[:, a].T).sum(dtype=torch.float64)
