"""A learner that is a causal language model: the proxy's shape trained from nothing, or a local model with LoRA adapters.

Response tokens only count, in training as in the loss: the mean NLL of a record's response, nats a token, averaged over the validation
records. Every training starts at the same weights: for the proxy random by the seed (one start a seed, shared by all strategies),
for a pretrained model its own, with adapters whose B is zero.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.errors import InputError
from core.influence import spaces
from core.influence.direction import transposed
from core.influence.encode import Conversation, Encoder, iterate, plan_batches
from core.influence.losses import ResponseLoss, make_batch
from core.influence.models import PROXY, LanguageModel, choose_device, load
from core.influence.proof.learners import Fit, batches, check_rows, rate
from core.influence.warmup import adapter
from core.progress import Progress, silent
from core.workspace import digest_of

if TYPE_CHECKING:
    import torch

VERSION = 1
MAX_LENGTH, BATCH, PIECE, RANK = 512, 8, 2048, 8  # tokens a record, records a step, tokens held at once, LoRA rank
RATES = {"scratch": 3e-3, "lora": 2e-4}


class Causal:
    """The learner. `records` (N) are the training records, `checks` the validation set's; `model` "proxy", a folder or a hub id."""

    batch = BATCH

    def __init__(
        self, model: str, records: Sequence[Conversation], checks: Sequence[Conversation], forbidden: np.ndarray,
        shape: dict | None = None, device: str = "auto", dtype: str = "auto", max_length: int = MAX_LENGTH,
    ) -> None:  # fmt: skip
        from core.influence import proxy

        self.name, self.forbidden = model, np.asarray(forbidden, bool)
        self.scratch = model == PROXY
        if self.scratch:
            self.shape = {**proxy.DEFAULTS, **(shape or {}), "max_length": max_length}
            learn = [r for r, leaked in zip(records, self.forbidden, strict=True) if not leaked]
            self.tokenizer = proxy.train_tokenizer(
                (t for r in learn for t in (*(c for _, c in r.context), r.target)), self.shape["vocabulary"]
            )
            self.device, self.dtype, revision, limit = choose_device(device, "float32")[0], "float32", "", max_length
        else:
            self.kept = load(model, device=device, dtype=dtype)
            self.tokenizer, self.device, self.dtype = self.kept.tokenizer, self.kept.device, self.kept.dtype
            revision, limit = self.kept.revision, min(max_length, self.kept.max_positions)
        encoder = Encoder(self.tokenizer, limit)
        self.tokens, self.check = encoder.encode(records), encoder.encode(checks)
        self.able = self.tokens.response_tokens > 0
        if not (self.check.response_tokens > 0).any():
            raise InputError(
                "No validation record has a response, so no loss can be measured. Import another validation set."
            )
        cut = int(self.tokens.truncated.sum())
        what = (
            f"A causal language model of the proxy's shape ({self.shape['blocks']} blocks of width {self.shape['width']}), all "
            "parameters trained from nothing, one random start a seed; its vocabulary is learnt "
            "once from all records that may be picked."
            if self.scratch
            else f"{model}, LoRA adapters of rank {RANK} on its attention projections, from its own weights."
        )
        self.sentence = (
            f"{what} Loss: nats a response token, averaged over {int((self.check.response_tokens > 0).sum()):,} validation records."
            + (f" {cut:,} records are cut at {limit:,} tokens." if cut else "")
        )
        shape_key = (
            str(sorted((k, self.shape[k]) for k in ("vocabulary", "width", "blocks"))) if self.scratch else revision
        )
        self.identity = digest_of(
            "causal", str(VERSION), model if self.scratch else "", shape_key,
            str((BATCH, RATES, RANK, limit, self.device, self.dtype)),
            digest_of(*self.tokens.keys()), digest_of(*sorted(self.check.keys())),
        )  # fmt: skip

    def fit(self, rows: np.ndarray, seed: int, steps: int, progress: Progress = silent) -> Fit:
        """AdamW with a short rise and a cosine; gradients are means over the records of a step."""
        rows = check_rows(self, rows)
        began = time.perf_counter()
        if self.scratch:
            from core.influence import proxy

            module = proxy.build(len(self.tokenizer), {**self.shape, "seed": seed}).to(self.device)
            model = LanguageModel(module.eval(), self.tokenizer, PROXY, "", self.device, self.dtype, MAX_LENGTH)
            loss, start = self._train(model, list(module.parameters()), RATES["scratch"], rows, seed, steps, progress)
        else:
            loss, start = self._adapted(rows, seed, steps, progress)
        return Fit(loss, start, steps, time.perf_counter() - began)

    def _adapted(self, rows: np.ndarray, seed: int, steps: int, progress: Progress) -> tuple[float, float]:
        import torch
        from torch.nn.utils import parametrize

        module = self.kept.module
        space = spaces.resolve(module, "lora", RANK, seed)
        generator, parameters, owners, trained = (
            torch.Generator().manual_seed(seed),
            dict(module.named_parameters()),
            [],
            [],
        )
        try:
            for name in space.names:
                owner = module.get_submodule(name.rpartition(".")[0])
                added = adapter(parameters[name], transposed(module, name), RANK, generator)
                parametrize.register_parametrization(owner, "weight", added, unsafe=True)
                owners.append(owner)
                trained += [added.a, added.b]
            return self._train(self.kept, trained, RATES["lora"], rows, seed, steps, progress)
        finally:  # takes the adapters off again: the weights themselves were never touched
            for owner in owners:
                original = owner.parametrizations.weight.original.detach()
                parametrize.remove_parametrizations(owner, "weight", leave_parametrized=True)
                with torch.no_grad():
                    owner.weight.copy_(original)
            module.requires_grad_(False)

    def _train(
        self, model: LanguageModel, trained: "list[torch.nn.Parameter]", top: float, rows: np.ndarray, seed: int, steps: int,
        progress: Progress,
    ) -> tuple[float, float]:  # fmt: skip
        import torch

        losses = ResponseLoss(model)
        start = self._loss(losses)
        for p in trained:
            p.requires_grad_(True)
        optimizer = torch.optim.AdamW(trained, lr=top, betas=(0.9, 0.95), weight_decay=0.1 if self.scratch else 0.0)
        usable = rows[self.able[rows]]
        for step, batch in enumerate(batches(usable, BATCH, steps, seed)):
            for group in optimizer.param_groups:
                group["lr"] = rate(top, step, steps)
            for piece in plan_batches(self.tokens.lengths[batch], PIECE):
                losses(make_batch(self.tokens, batch[piece], model.device), backward=True)
            for p in trained:
                if p.grad is not None:
                    p.grad /= len(batch) * getattr(losses, "scale", 1.0)
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            progress(step + 1, steps, "")
        for p in trained:
            p.requires_grad_(False)
        return self._loss(losses), start

    def _loss(self, losses: ResponseLoss) -> float:
        found = [losses(make_batch(self.check, rows, self.device)) for rows in iterate(self.check, 2 * PIECE)]
        return float(np.concatenate(found).mean())
