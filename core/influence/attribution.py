"""What each response token adds to a record's influence: <gradient of this token's own loss, v>, exact, by one forward-mode pass.

The record's loss is a mean (or a sum) over its response tokens, so its score is the mean (or the sum) of theirs,
    <grad (1/n) sum_t l_t, v> = sum_t (1/n) d l_t(theta + e v) / d e,
and the Jacobian-vector product of the vector of token losses gives every term at once, for a whole batch. Nothing is left over for
the prompt: a share says how training on *this token* moves the validation loss.

The fixed-vector ghost splits the same score by the position at which activations contribute. That split is free, but another one:
in LoRA space it agrees with this one at a correlation of .22 only and books a third of its size under the prompt (docs/adr/0010).

Forward mode passes through the MATH attention alone, so this pass costs more than a ghost's; it is a step of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from core.influence.direction import Direction, on_weight, transposed
from core.influence.encode import Tokens
from core.influence.forward_mode import forward_mode
from core.influence.losses import ResponseLoss, make_batch

if TYPE_CHECKING:
    import torch


class Attribution:
    """Token shares of batches under one model and one direction."""

    def __init__(self, losses: ResponseLoss, direction: Direction) -> None:
        self.losses, self.module = losses, losses.module
        parameters = dict(self.module.named_parameters())
        self.norm = direction.norm or 1.0
        self.fixed: dict[str, torch.Tensor] = {}
        self.unit: dict[str, torch.Tensor] = {}  # v / |v| on each parameter, so that low precision does not underflow
        for name in direction.space.names:
            conv = bool(direction.space.rank) and transposed(self.module, name)
            dense = on_weight(direction.space, name, direction.vectors[name], conv)
            p = parameters[name].detach()
            self.fixed[name], self.unit[name] = p, (dense / self.norm).reshape(p.shape).to(p)

    def shares(self, tokens: Tokens, rows: np.ndarray) -> list[np.ndarray]:
        """For each of B records the shares (R_b,) float64 of its scored response tokens, in order; they sum to its influence.

        Errors: InputError when an operation of the model knows no forward mode.
        """
        import torch
        from torch.nn.attention import SDPBackend, sdpa_kernel

        batch = make_batch(tokens, rows, self.losses.model.device)
        instead = (
            "Influence itself is not concerned; for token shares use a Llama, Qwen, Gemma, Mistral, Phi or GPT-2 shape."
        )
        limits = forward_mode(self.module, "the step influence:tokens", instead)
        with limits, torch.no_grad(), sdpa_kernel(SDPBackend.MATH), _padding_stands_still(self.module):
            _, moved = torch.func.jvp(lambda theta: self._token_losses(theta, batch), (self.fixed,), (self.unit,))
        weights = 1.0 / batch.counts.double() if self.losses.loss == "mean" else torch.ones_like(batch.counts).double()
        each = (moved.double() * weights[batch.owner] * self.norm).cpu().numpy()
        return np.split(each, np.cumsum(batch.counts.cpu().numpy())[:-1])

    def _token_losses(self, theta: dict[str, "torch.Tensor"], batch: Any) -> "torch.Tensor":
        """(R,) losses of the response tokens as a function of the moved parameters; lm_head on response positions only."""
        from torch.func import functional_call
        from torch.nn.functional import cross_entropy

        call = _Losses(self.losses)
        prefixed = {f"module.{name}": value for name, value in theta.items()}
        logits = functional_call(call, prefixed, (batch,))
        return cross_entropy(logits.to(self.losses._wide()), batch.labels, reduction="none")


def _Losses(losses: ResponseLoss) -> "torch.nn.Module":
    """The model as one module from a batch to the logits of its response positions, so that functional_call can move its weights."""
    import torch

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = losses.module

        def forward(self, batch: Any) -> torch.Tensor:
            if losses.split:
                hidden = losses._hidden(batch.ids).flatten(0, 1)[batch.places]
                return losses._finish(losses.head(hidden))
            return losses.module(input_ids=batch.ids, use_cache=False).logits.flatten(0, 1)[batch.places]

    return Logits()


@contextmanager
def _padding_stands_still(module: "torch.nn.Module") -> Iterator[None]:
    """Training gives the padding token's embedding no gradient; forward mode would, so its output carries no tangent here."""
    import torch

    def still(layer: Any, args: tuple, output: "torch.Tensor") -> "torch.Tensor":
        pad = (args[0] == layer.padding_idx).unsqueeze(-1)
        return torch.where(pad, output.detach(), output)

    layers = [m for m in module.modules() if isinstance(m, torch.nn.Embedding) and m.padding_idx is not None]
    handles = [layer.register_forward_hook(still) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
