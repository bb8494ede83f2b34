"""Response losses of a batch: one causal forward, then lm_head and cross-entropy on response positions only, in chunks.

Batches are padded on the right and attention is causal, so no real token ever sees padding: no mask is passed, and fused
attention stays on. The loss of a record is the mean (or the sum) over its response tokens, in nats.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from core.errors import InputError
from core.influence.encode import Tokens, padded
from core.influence.models import LanguageModel
from core.influence.transfer import fetched, on_gpu, to_device

if TYPE_CHECKING:
    import torch

LOSSES = ("mean", "sum")
CHUNK, CUDA_CHUNK = 2**23, 2**27  # logits held at once, on a CPU and on a GPU


@dataclass(frozen=True)
class Batch:
    """B records of at most T tokens, R scored positions among them."""

    ids: "torch.Tensor"  # (B, T)
    places: "torch.Tensor"  # (R,) positions in the flattened (B*T) whose next token is scored
    labels: "torch.Tensor"  # (R,)
    owner: "torch.Tensor"  # (R,) the record of each position
    counts: "torch.Tensor"  # (B,) scored tokens of each record


def chunk(device: str) -> int:
    """Logits held at once. A GPU wants tall matrix products: with 150,000 entries, 900 positions at a time instead of 55."""
    return max(CHUNK, CUDA_CHUNK) if on_gpu(device) else CHUNK


def make_batch(tokens: Tokens, rows: np.ndarray, device: str) -> Batch:
    ids, places, labels = padded(tokens, rows)
    owner = places // ids.shape[1]
    counts = np.bincount(owner, minlength=len(rows))
    return Batch(*to_device((ids, places, labels, owner, counts), device))


class ResponseLoss:
    """Computes the losses of batches under one model, and can push their sum back through it.

    `rows` holds, while lm_head runs, the flat positions that its input rows stand for; None elsewhere. The hooks of the
    ghost read it to know whose row is whose.
    """

    def __init__(self, model: LanguageModel, loss: str = "mean") -> None:
        if loss not in LOSSES:
            raise InputError(f"loss {loss!r} is not known; choose {' or '.join(LOSSES)}.")
        self.model, self.loss, self.rows = model, loss, None
        self.scale = (
            2.0**10 if model.dtype == "float16" else 1.0
        )  # of what is pushed back: float16 underflows below 6e-8
        self.emphasis: np.ndarray | None = (
            None  # (B,) a factor on each record's loss of the next batches, on the way back alone
        )
        self.module = model.module
        self.body = getattr(self.module, self.module.base_model_prefix or "-", None)
        self.head = self.module.get_output_embeddings()
        self.split = self.body is not None and self.head is not None and self._same_logits()

    @property
    def head_size(self) -> int:
        """Entries of the vocabulary."""
        return int(self.module.config.get_text_config().vocab_size)

    def _finish(self, logits: "torch.Tensor") -> "torch.Tensor":
        """What some architectures do to the logits after lm_head."""
        config = self.module.config
        if getattr(config, "logit_scale", None):
            logits = logits * config.logit_scale
        if getattr(config, "logits_scaling", None):
            logits = logits / config.logits_scaling
        if getattr(config, "final_logit_softcapping", None):
            cap = config.final_logit_softcapping
            logits = (logits / cap).tanh() * cap
        return logits

    def _same_logits(self) -> bool:
        """Whether body + lm_head + `_finish` is all there is; else the model's own forward is used, unchunked."""
        import torch

        limit = min(97, self.module.config.get_text_config().vocab_size)
        ids = torch.arange(6, device=self.model.device)[None] * 7 % limit
        with torch.no_grad():
            try:
                own = self._finish(self.head(self._hidden(ids)))
            except (TypeError, AttributeError, RuntimeError):
                return False
            theirs = self.module(input_ids=ids, use_cache=False).logits
        gap = (own.double() - theirs.double()).abs().max() / theirs.double().abs().max().clamp_min(1e-9)
        return bool(gap < (2e-2 if self.model.dtype in ("bfloat16", "float16") else 1e-4))

    def _hidden(self, ids: "torch.Tensor") -> "torch.Tensor":
        return self.body(input_ids=ids, use_cache=False)[0]

    def _weights(self, batch: Batch) -> "torch.Tensor":
        ones = batch.counts.new_ones((), dtype=self._wide())
        ones = ones * self.scale
        if self.emphasis is not None:
            ones = ones * batch.counts.new_tensor(self.emphasis, dtype=self._wide())
            return (ones / batch.counts if self.loss == "mean" else ones)[batch.owner]
        return (ones / batch.counts)[batch.owner] if self.loss == "mean" else ones.expand(len(batch.owner))

    def _wide(self) -> "torch.dtype":
        import torch

        return torch.float64 if self.model.dtype == "float64" else torch.float32

    def __call__(self, batch: Batch, backward: bool = False) -> np.ndarray:
        """(B,) float64 mean NLL of each record's response, nats per token, whatever `loss` is.

        With `backward`, `scale` times the *sum of the record losses* (each mean or sum, see `loss`) is pushed back; a record's
        gradients with respect to activations depend on its own loss alone.
        """
        return fetched([self.on_device(batch, backward)])()[0]

    def on_device(self, batch: Batch, backward: bool = False) -> "torch.Tensor":
        """As the call, left where it was computed: nothing waits for it."""
        import torch

        with nullcontext() if backward else torch.no_grad():
            losses = self._chunked(batch, backward) if self.split else self._whole(batch, backward)
        total = torch.zeros(len(batch.counts), dtype=torch.float64, device=losses.device)
        total.index_add_(0, batch.owner, losses.double())
        return total / batch.counts

    def _chunked(self, batch: Batch, backward: bool) -> "torch.Tensor":
        import torch
        from torch.nn.functional import cross_entropy

        hidden = self._hidden(batch.ids).flatten(0, 1)[batch.places]
        weights, found, grads = self._weights(batch), [], []
        size = max(16, chunk(self.model.device) // self.head_size)
        for at in range(0, len(batch.places), size):
            part = slice(at, at + size)
            leaf = hidden[part].detach().requires_grad_(backward)
            self.rows = batch.places[part]
            try:
                logits = self._finish(self.head(leaf)).to(self._wide())
            finally:
                self.rows = None
            losses = cross_entropy(logits, batch.labels[part], reduction="none")
            if backward:
                (losses * weights[part]).sum().backward()
                grads.append(leaf.grad)
            found.append(losses.detach())
        if backward and hidden.requires_grad:
            hidden.backward(torch.cat(grads))
        return torch.cat(found)

    def _whole(self, batch: Batch, backward: bool) -> "torch.Tensor":
        """Through the model's own forward, for architectures whose head cannot be taken apart."""
        from torch.nn.functional import cross_entropy

        logits = self.module(input_ids=batch.ids, use_cache=False).logits.flatten(0, 1)[batch.places].to(self._wide())
        losses = cross_entropy(logits, batch.labels, reduction="none")
        if backward:
            (losses * self._weights(batch)).sum().backward()
        return losses.detach()


@contextmanager
def in_float32(losses: ResponseLoss) -> Iterator[ResponseLoss]:
    """The losses of the same model with its half-precision weights widened to float32, and back afterwards, bit for bit."""
    import torch

    halves = [
        t for t in (*losses.module.parameters(), *losses.module.buffers()) if t.dtype in (torch.bfloat16, torch.float16)
    ]
    kinds = [t.dtype for t in halves]
    try:
        for t in halves:
            t.data = t.data.float()
        yield ResponseLoss(replace(losses.model, dtype="float32"), losses.loss)
    finally:
        for t, kind in zip(halves, kinds, strict=True):
            t.data = t.data.to(kind)
