"""Products with the generalised Gauss-Newton matrix (GGN) of the response loss, without ever forming it.

With logits z(theta), p = softmax(z) and w_t the weight of position t in its record's loss, the GGN of the mean loss of N records is
    G = 1/N sum_i sum_t w_t J_t' (diag(p_t) - p_t p_t') J_t,      J_t = d z_t / d theta
(Schraudolph 2002; Martens 2010): the Hessian without the curvature of the network itself, never negative. J v comes from forward-mode
AD (under the MATH attention, the only one that has it), J' u from a backward pass; lm_head in chunks, as in losses.py. In LoRA space
G is P' G_W P with P from adapters to weights (direction.on_weight) and P' back (direction.project).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from core.influence.direction import nested, on_weight, project, transposed
from core.influence.encode import Tokens, plan_batches
from core.influence.forward_mode import forward_mode
from core.influence.losses import Batch, ResponseLoss, chunk, make_batch
from core.influence.spaces import Space

if TYPE_CHECKING:
    import torch

Vector = dict[str, "torch.Tensor"]
"""Flat, as `Direction.tensors()`: by parameter name, in LoRA space by "<name>|A" and "<name>|B"."""


class GaussNewton:
    """G of some records under one model and space: `product(v)` is G v."""

    def __init__(self, losses: ResponseLoss, tokens: Tokens, space: Space, batch_tokens: int) -> None:
        import torch

        able = np.flatnonzero(tokens.response_tokens > 0)
        self.losses, self.space, self.module = losses, space, losses.module
        self.count = len(able)
        # forward mode holds every tangent beside its value, and the MATH attention T x T weights: batches of half the size
        halved = max(batch_tokens // 2, 64)
        self.batches = [able[b] for b in plan_batches(tokens.lengths[able], halved)]
        self.tokens = tokens
        self.parameters = {n: p for n, p in self.module.named_parameters() if n in set(space.names)}
        self.conv = {n: bool(space.rank) and transposed(self.module, n) for n in space.names}
        self.dtype = getattr(torch, losses.model.dtype)
        self.wide = torch.float64 if self.dtype == torch.float64 else torch.float32

    def product(self, vector: Vector) -> Vector:
        """G v, in float32 (float64 for a float64 model). Errors: InputError where the model knows no forward mode."""
        import torch

        size = sum(float(t.double().square().sum()) for t in vector.values()) ** 0.5
        if not size:
            return {n: torch.zeros_like(t) for n, t in vector.items()}
        values = nested(self.space, vector)
        tangents = {n: (on_weight(self.space, n, v, self.conv[n]) / size).to(self.dtype) for n, v in values.items()}
        sums = {n: torch.zeros_like(p, dtype=self.wide) for n, p in self.parameters.items()}
        for p in self.parameters.values():
            p.requires_grad_(True)
        try:
            with forward_mode(self.module, "direction=ggn", "Use direction=adam or mean."):
                for rows in self.batches:
                    batch = make_batch(self.tokens, rows, self.losses.model.device)
                    self._add(batch, tangents)
                    for n, p in self.parameters.items():
                        if p.grad is not None:
                            sums[n] += p.grad
                            p.grad = None
        finally:
            for p in self.parameters.values():
                p.requires_grad_(False)
                p.grad = None
        scale = size / self.count / self.losses.scale
        found: Vector = {}
        for n, g in sums.items():
            g *= scale
            if self.space.rank:
                found[f"{n}|A"], found[f"{n}|B"] = project(self.space, n, g, self.conv[n])
            else:
                found[n] = g
        return found

    def _add(self, batch: Batch, tangents: Mapping[str, Any]) -> None:
        """Leave the batch's J' H J v in the .grad of the parameters."""
        import torch

        losses = self.losses
        weights = losses._weights(batch)
        if not losses.split:
            moved = self._forward(self.module, tangents, lambda m: m(input_ids=batch.ids, use_cache=False).logits)
            change = moved.flatten(0, 1)[batch.places]
            with torch.enable_grad():
                logits = self.module(input_ids=batch.ids, use_cache=False).logits.flatten(0, 1)[batch.places]
                (logits.to(self.wide) * curved(logits.detach(), change, weights, self.wide)).sum().backward()
            return
        moved = self._forward(losses.body, tangents, lambda m: m(input_ids=batch.ids, use_cache=False)[0])
        change = moved.flatten(0, 1)[batch.places]
        head = {k: self._named(p, tangents) for k, p in losses.head.named_parameters()}
        with torch.enable_grad():
            hidden = losses._hidden(batch.ids).flatten(0, 1)[batch.places]
            size, grads = max(16, chunk(losses.model.device) // losses.head_size), []
            for at in range(0, len(batch.places), size):
                part = slice(at, at + size)
                leaf = hidden[part].detach().requires_grad_()
                logits = losses._finish(losses.head(leaf))
                with torch.no_grad():
                    told = self._head(leaf.detach(), change[part], head)
                (logits.to(self.wide) * curved(logits.detach(), told, weights[part], self.wide)).sum().backward()
                grads.append(leaf.grad)
            if hidden.requires_grad:
                hidden.backward(torch.cat(grads))

    def _named(self, parameter: Any, tangents: Mapping[str, Any]) -> Any:
        """The tangent of a parameter by identity (tied weights have one name), or None."""
        return next((tangents[n] for n, p in self.parameters.items() if p is parameter), None)

    def _forward(self, module: Any, tangents: Mapping[str, Any], call: Any) -> "torch.Tensor":
        """The tangent of what `call(module)` returns, for these tangents of its parameters."""
        import torch
        from torch.autograd import forward_ad
        from torch.nn.attention import SDPBackend, sdpa_kernel

        swapped = []
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), forward_ad.dual_level():
            try:
                duals: dict[int, Any] = {}
                for owner in module.modules():
                    for key, p in list(owner._parameters.items()):
                        t = None if p is None else self._named(p, tangents)
                        if t is not None:
                            if id(p) not in duals:
                                duals[id(p)] = forward_ad.make_dual(p.detach(), t)
                            swapped.append((owner, key, p))
                            del owner._parameters[key]
                            owner.__dict__[key] = duals[id(p)]
                out = call(module)
                tangent = forward_ad.unpack_dual(out).tangent
                return torch.zeros_like(out) if tangent is None else tangent.detach().clone()
            finally:
                for owner, key, p in swapped:
                    owner.__dict__.pop(key, None)
                    owner._parameters[key] = p

    def _head(self, hidden: "torch.Tensor", change: "torch.Tensor", head: Mapping[str, Any]) -> "torch.Tensor":
        """The tangent of the logits of some positions."""
        import torch

        losses = self.losses
        fixed = {k: p.detach() for k, p in losses.head.named_parameters()}
        moving = {k: fixed[k] for k, t in head.items() if t is not None}

        def logits(h: torch.Tensor, own: dict[str, torch.Tensor]) -> torch.Tensor:
            return losses._finish(torch.func.functional_call(losses.head, {**fixed, **own}, (h,)))

        return torch.func.jvp(logits, (hidden, moving), (change, {k: head[k] for k in moving}))[1]

    def mean_diagonal(self, like: Vector, seed: int, probes: int = 4) -> float:
        """trace(G) / d by Hutchinson's estimate with random signs: the unit in which damping is given."""
        import torch

        generator = torch.Generator().manual_seed(seed)
        total, size = 0.0, sum(t.numel() for t in like.values())
        for _ in range(probes):
            z = {n: (torch.randint(0, 2, t.shape, generator=generator) * 2 - 1).to(t) for n, t in like.items()}
            got = self.product(z)
            total += sum(float((got[n].double() * z[n].double()).sum()) for n in z)
        return total / probes / size


def curved(
    logits: "torch.Tensor", change: "torch.Tensor", weights: "torch.Tensor", wide: "torch.dtype"
) -> "torch.Tensor":
    """w (diag(p) - p p') J v by position."""
    p = logits.to(wide).softmax(-1)
    u = p * change.to(wide)
    return weights[:, None].to(wide) * (u - p * u.sum(-1, keepdim=True))
