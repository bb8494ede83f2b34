"""The proxy: a small causal language model with its own BPE, trained from nothing on the user's records.

It needs no download and no GPU. It is no language model that anybody would talk to: it knows the vocabulary and the habits of this
data set alone, and every page that shows its numbers says so. How its size was chosen: docs/adr/0002-proxy-model.md.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import InputError
from core.influence import holdout
from core.influence.encode import Encoder, Tokens, conversations, iterate, plan_batches
from core.influence.losses import ResponseLoss, make_batch
from core.influence.models import PROXY, LanguageModel, choose_device, hush, weights_digest
from core.progress import Progress, part
from core.workspace import Inputs, Output

if TYPE_CHECKING:
    import torch

DEFAULTS: dict[str, Any] = {
    "vocabulary": 4096,
    "width": 128,
    "blocks": 3,
    "epochs": 3,
    "token_budget": 600_000,  # tokens seen in training, epochs included
    "seconds": 150,  # time limit of the training itself
    "max_length": 512,
    "batch_tokens": 512,
    "learning_rate": 3e-3,
    "target": "reasoning+response",
    "holdout_share": holdout.SHARE,
    "holdout_min": holdout.MINIMUM,
    "seed": 0,
    "checkpoints": 0,  # states kept on the way, equally far apart, with their learning rates: for TracIn
}
END, PAD, ROLES = "<|q:end|>", "<|q:pad|>", ("system", "user", "assistant", "tool")
TEMPLATE = (
    "{% for m in messages %}{{ '<|q:' + (m.role if m.role in ['system', 'user', 'assistant', 'tool'] else 'user') + '|>' }}"
    "{{ m.content }}{% if m.role == 'assistant' %}{{ '<|q:end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|q:assistant|>' }}{% endif %}"
)


def run(inputs: Inputs) -> Output:
    """The step `proxy`: trains the model into `inputs.files` (model.safetensors, config.json, tokenizer.json, heldout.json)."""
    import torch

    params, training, progress = inputs.params, inputs.datasets["training"], inputs.progress
    started = time.monotonic()
    records = conversations(training, params["target"])
    ids = training.ids()
    able = np.array([bool(r.target.strip()) for r in records], bool)
    validation = inputs.datasets.get("validation")
    if validation is not None:
        checks, held, sentence = (
            conversations(validation, params["target"]),
            [],
            f"the validation set {validation.name}",
        )
    else:
        categories = training.column("category").to_pylist()
        chosen = holdout.choose(ids, categories, able, params["seed"], params["holdout_share"], params["holdout_min"])
        held, sentence = [ids[r] for r in chosen.rows], chosen.sentence
        checks = [records[r] for r in chosen.rows]
    used = able & holdout.without(ids, held)
    if not used.any():
        raise InputError(
            "No training record has a response to learn from. Map the response column, or choose another model."
        )
    learn = [r for r, u in zip(records, used, strict=True) if u]
    progress(0, 1000, "learning the vocabulary")
    tokenizer = train_tokenizer(
        (t for r in learn for t in (*(c for _, c in r.context), r.target)), params["vocabulary"]
    )
    encoder = Encoder(tokenizer, params["max_length"])
    tokens, check = encoder.encode(learn), encoder.encode(checks)
    model = build(len(tokenizer), params)
    keep = keeper(model, tokenizer, inputs.files) if params["checkpoints"] else None
    facts = train(model, tokenizer, tokens, check, params, part(progress, 0.05, 0.98), keep)
    save(model, tokenizer, inputs.files)
    (inputs.files / "heldout.json").write_text(json.dumps(held), "utf-8")
    info = {
        "model": PROXY,
        "sentence": proxy_sentence(len(learn), facts["parameters"]),
        "revision": weights_digest(inputs.files),
        "heldout": len(held),
        "validation": sentence,
        "truncated": int(tokens.truncated.sum()),
        "truncation": f"{int(tokens.truncated.sum())} of {len(learn)} records were cut at {params['max_length']} tokens",
        "vocabulary": len(tokenizer),
        **facts,
        "threads": torch.get_num_threads(),
        "seconds": round(time.monotonic() - started, 1),
    }
    return Output(info=info)


def proxy_sentence(records: int, parameters: int) -> str:
    return (
        f"A proxy: a causal language model of {parameters / 1e6:.1f} M parameters trained in this workspace on {records:,} "
        "of your records, not a pretrained model. It stands in for the model you will fine-tune; its ranking is a first look."
    )


def train_tokenizer(texts: Any, vocabulary: int) -> Any:
    """Byte-level BPE of at most `vocabulary` entries learnt from the texts; it can encode any text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = [PAD, END, *(f"<|q:{role}|>" for role in ROLES)]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token=PAD, eos_token=END)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def build(vocabulary: int, params: dict[str, Any]) -> "torch.nn.Module":
    """A Llama-shaped model with tied embeddings, random by the seed."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    width = params["width"]
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=-(-8 * width // 3 // 64) * 64,
        num_hidden_layers=params["blocks"],
        num_attention_heads=max(1, width // 64),
        num_key_value_heads=max(1, width // 64),
        max_position_embeddings=max(2048, params["max_length"]),
        tie_word_embeddings=True,
        initializer_range=0.02,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=None,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(params["seed"])
        return LlamaForCausalLM(config)


def keeper(model: "torch.nn.Module", tokenizer: Any, folder: Path) -> Callable[[float, int], None]:
    """A function that keeps the model as it is now under `checkpoint-<n>/`, with its rate in `checkpoints.json`."""
    entries: list[dict[str, Any]] = []

    def keep(rate: float, seen: int) -> None:
        name = f"checkpoint-{len(entries) + 1}"
        (folder / name).mkdir()
        save(model, tokenizer, folder / name)
        entries.append({"folder": name, "rate": rate, "tokens": seen})
        (folder / "checkpoints.json").write_text(json.dumps(entries), "utf-8")

    return keep


def train(
    model: "torch.nn.Module", tokenizer: Any, tokens: Tokens, check: Tokens, params: dict[str, Any], progress: Progress,
    keep: Callable[[float, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train in place with AdamW and a cosine on every token of the records, context included; returns what was done.

    The plan is `epochs` passes, at most `token_budget` tokens. Where the first steps show that `seconds` will not do, it is cut to
    what will, and the facts say so; otherwise the same seed and threads give the same weights.
    """
    import torch
    from torch.nn.functional import cross_entropy

    device, _ = choose_device("auto", "float32")
    model.to(device).train()
    rng = np.random.default_rng(params["seed"])
    per_epoch = int(tokens.lengths.sum())
    planned = min(per_epoch * params["epochs"], params["token_budget"])
    decay, plain = [], []
    for p in model.parameters():
        (decay if p.ndim > 1 else plain).append(p)
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}],
        lr=params["learning_rate"],
        betas=(0.9, 0.95),
        fused=device == "cpu" or device.startswith("cuda"),
    )
    batches = plan_batches(tokens.lengths, params["batch_tokens"])
    score = LanguageModel(model, tokenizer, PROXY, "", device, "float32", params["max_length"])
    curve: list[dict[str, float]] = []
    started, seen, step, target, recent, stopped = time.monotonic(), 0, 0, planned, [], ""
    rates, kept = [], 0

    def look(loss: float | None) -> None:
        model.eval()
        curve.append({"tokens": seen, "training": loss, "validation": _response_loss(score, check)})
        model.train()

    look(None)
    while seen < target:
        for b in rng.permutation(len(batches)):
            if seen >= target:
                break
            rows = batches[b]
            ids = _right_padded(tokens, rows)
            labels = torch.from_numpy(np.where(ids < 0, -100, ids)).to(device)
            share = seen / target
            rate = params["learning_rate"] * min((step + 1) / 20, 0.5 * (1 + np.cos(np.pi * share)) * 0.95 + 0.05)
            for group in optimizer.param_groups:
                group["lr"] = rate
            logits = model(input_ids=labels.clamp_min(0), use_cache=False).logits[:, :-1]
            loss = cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
            rates.append(rate)
            seen += int((ids >= 0).sum())
            if keep is not None and seen * params["checkpoints"] // target > kept:
                kept = seen * params["checkpoints"] // target
                keep(float(np.mean(rates)), seen)  # the mean rate since the checkpoint before
                rates = []
            recent.append(float(loss.detach()))
            spent = time.monotonic() - started
            if spent > params["seconds"] * 0.2:
                reach = max(int(seen * params["seconds"] / spent), seen)
                if reach < 0.95 * target or spent > params["seconds"]:
                    target = reach
                    stopped = f"cut from {planned:,} tokens to {target:,} to keep the limit of {params['seconds']} s"
            if seen * 8 // target > (len(curve) - 1) and seen < target:
                look(float(np.mean(recent)))
                recent = []
            left = (target - seen) * spent / max(seen, 1)
            progress(
                min(seen, target),
                target,
                f"{seen:,} of {target:,} tokens, loss {recent[-1] if recent else loss:.2f}, {left:.0f} s left",
            )
    look(float(np.mean(recent)) if recent else None)
    model.eval().requires_grad_(False).to("cpu")
    trained = f"trained on {seen:,} tokens: {seen / per_epoch:.1f} passes over the {per_epoch:,} tokens of {len(tokens.ids):,} records"
    return {
        "trained": f"{trained}; {stopped}" if stopped else trained,
        "tokens": seen,
        "tokens_of_data": per_epoch,
        "stopped_early": stopped,
        "steps": step,
        "parameters": sum(p.numel() for p in model.parameters()),
        "curve": curve,
        "loss": curve[-1]["validation"],
        "device": device,
        "training_seconds": round(time.monotonic() - started, 1),
    }


def _right_padded(tokens: Tokens, rows: np.ndarray) -> np.ndarray:
    ids = np.full((len(rows), max(len(tokens.ids[i]) for i in rows)), -1, np.int64)
    for b, i in enumerate(rows):
        ids[b, : len(tokens.ids[i])] = tokens.ids[i]
    return ids


def _response_loss(model: LanguageModel, tokens: Tokens, most: int = 64) -> float | None:
    """Mean NLL of the responses of at most 64 records, nats per token."""
    few = tokens.take(np.arange(min(most, len(tokens.ids))))
    losses = ResponseLoss(model)
    found = [losses(make_batch(few, rows, model.device)) for rows in iterate(few, 4096)]
    return round(float(np.concatenate(found).mean()), 4) if found else None


def save(model: "torch.nn.Module", tokenizer: Any, folder: Path) -> None:
    """Write the model as an ordinary transformers folder, weights in safetensors."""
    hush()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
