"""A proxy that was tried and not taken: a decoder that starts from the embedded MiniLM, trained on the user's records.

Either all six layers turned causal over prompt and response, or two of them with cross-attention to the frozen, bidirectional states
of the prompt. MiniLM's WordPiece, narrowed to the entries that occur; output tied to its word embeddings.
What it found: docs/adr/0004-proxy-by-experiment.md.
"""

import math
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from core.embedding.encoders import default_model_path

WIDTH, HEADS, STEP, RATE, CLS, SEP = 384, 12, 768, 5e-4, 101, 102


def weights() -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return {
        k.removeprefix("bert."): v.float() for k, v in load_file(default_model_path() / "model.safetensors").items()
    }


def copied(module: nn.Module, given: dict[str, torch.Tensor], name: str) -> nn.Module:
    module.load_state_dict({"weight": given[f"{name}.weight"], "bias": given[f"{name}.bias"]})
    return module


class Attention(nn.Module):
    """MiniLM's self-attention, or a new one whose output starts at zero."""

    def __init__(self, given: dict | None = None, layer: str = "") -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        if given is None:
            nn.init.zeros_(self.o.weight)
            nn.init.zeros_(self.o.bias)
            return
        for part, name in (
            (self.q, "self.query"),
            (self.k, "self.key"),
            (self.v, "self.value"),
            (self.o, "output.dense"),
        ):
            copied(part, given, f"{layer}.attention.{name}")
        copied(self.norm, given, f"{layer}.attention.output.LayerNorm")

    def forward(self, x: torch.Tensor, seen: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        q, k, v = (
            p(y).unflatten(-1, (HEADS, -1)).transpose(1, 2) for p, y in ((self.q, x), (self.k, seen), (self.v, seen))
        )
        given = None if mask is None else mask[:, None, None]
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=given, is_causal=mask is None)
        return self.norm(x + self.o(found.transpose(1, 2).flatten(2)))


class Block(nn.Module):
    def __init__(self, given: dict, layer: str, memory: bool) -> None:
        super().__init__()
        self.own, self.other = Attention(given, layer), Attention() if memory else None
        self.wide = copied(nn.Linear(WIDTH, 4 * WIDTH), given, f"{layer}.intermediate.dense")
        self.back = copied(nn.Linear(4 * WIDTH, WIDTH), given, f"{layer}.output.dense")
        self.norm = copied(nn.LayerNorm(WIDTH, eps=1e-12), given, f"{layer}.output.LayerNorm")

    def forward(self, x: torch.Tensor, memory: torch.Tensor | None, mask: torch.Tensor | None) -> torch.Tensor:
        x = self.own(x, x, None)
        x = x if self.other is None else self.other(x, memory, mask)
        return self.norm(x + self.back(F.gelu(self.wide(x))))


class Decoder(nn.Module):
    def __init__(self, entries: torch.Tensor, layers: int, memory: bool) -> None:
        super().__init__()
        given = weights()
        self.words = nn.Embedding.from_pretrained(given["embeddings.word_embeddings.weight"][entries], freeze=False)
        self.places = nn.Embedding.from_pretrained(given["embeddings.position_embeddings.weight"].clone(), freeze=False)
        self.kind = given["embeddings.token_type_embeddings.weight"][0]
        self.norm = copied(nn.LayerNorm(WIDTH, eps=1e-12), given, "embeddings.LayerNorm")
        self.blocks = nn.ModuleList(Block(given, f"encoder.layer.{i}", memory) for i in range(layers))
        self.turn, self.last, self.bias = (
            nn.Linear(WIDTH, WIDTH),
            nn.LayerNorm(WIDTH),
            nn.Parameter(torch.zeros(len(entries))),
        )

    def forward(self, ids: torch.Tensor, memory: torch.Tensor | None, mask: torch.Tensor | None) -> torch.Tensor:
        x = self.norm(self.words(ids) + self.places(torch.arange(ids.shape[1])) + self.kind)
        for block in self.blocks:
            x = block(x, memory, mask)
        return 0.7 * F.linear(self.last(x + self.turn(x)), self.words.weight) + self.bias


def states(ids: list[list[int]]) -> list[torch.Tensor]:
    """MiniLM's last states of each text, frozen."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(default_model_path()).eval()
    with torch.no_grad():
        return [model(input_ids=torch.tensor([x])).last_hidden_state[0].clone() for x in ids]


def padded(rows: list[torch.Tensor], fill: float) -> torch.Tensor:
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=fill)


def decoder(
    records: list, checks: list, memory: bool, epochs: int = 3, seconds: float = 150, seed: int = 0
) -> dict[str, np.ndarray]:
    """Influence of the records on the checks over the weights of the blocks, by plain gradients: dot, and the mean of cosines."""
    from transformers import AutoTokenizer

    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(default_model_path())
    every, count = [*records, *checks], len(records)
    prompts = tokenizer([p for p, _, _ in every], truncation=True, max_length=128)["input_ids"]
    said = tokenizer([f"{t} | {r}" if t else r for _, t, r in every], add_special_tokens=False, verbose=False)[
        "input_ids"
    ]
    said = [x[:255] + [SEP] for x in said]
    used = sorted({t for x in (*prompts, *said) for t in x} | {CLS})
    place = {t: i for i, t in enumerate(used)}
    heads = [[CLS] if memory else p for p in prompts]
    ids = [torch.tensor([place[t] for t in h + s]) for h, s in zip(heads, said, strict=True)]
    seen = states(prompts) if memory else None
    model = Decoder(torch.tensor(used), 2 if memory else 6, memory)

    def losses(rows: list[int], whole: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """(each record's mean NLL of its response, the batch's mean NLL a token, of prompt and response if `whole`)."""
        x, goal = padded([ids[i] for i in rows], 0), padded([ids[i] for i in rows], -100)
        if not whole:
            for b, i in enumerate(rows):
                goal[b, : len(heads[i])] = -100
        around = mask = None
        if seen is not None:
            around = padded([seen[i] for i in rows], 0.0)
            mask = padded([torch.ones(len(seen[i]), dtype=torch.bool) for i in rows], False)
        logits = model(x, around, mask)[:, :-1]
        each = F.cross_entropy(logits.flatten(0, 1), goal[:, 1:].flatten(), ignore_index=-100, reduction="none").view(
            len(rows), -1
        )
        real = goal[:, 1:] >= 0
        return each.sum(1) / real.sum(1).clamp_min(1), each.sum() / real.sum()

    sizes = np.array([len(x) for x in ids[:count]])
    order, batches = np.argsort(-sizes, kind="stable").tolist(), []
    while order:
        width = max(1, STEP // int(sizes[order[0]]))
        batches.append(order[:width])
        order = order[width:]
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.05)
    random, started = np.random.default_rng(seed), time.process_time()
    for step, b in enumerate(b for _ in range(epochs) for b in random.permutation(len(batches))):
        share = max(step / (len(batches) * epochs), (time.process_time() - started) / seconds)
        if share >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = RATE * min((step + 1) / 30, 0.05 + 0.475 * (1 + math.cos(math.pi * share)))
        optimizer.zero_grad()
        losses(batches[b], not memory)[1].backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    chosen = [p for p in model.blocks.parameters() if p.ndim == 2]

    def gradient(i: int) -> torch.Tensor:
        return torch.cat([g.flatten() for g in torch.autograd.grad(losses([i], False)[0][0], chosen)])

    mean = turned = 0
    for i in range(count, len(every)):
        g = gradient(i)
        mean, turned = mean + g, turned + g / g.norm()
    found = np.zeros((count, 2))
    for i in range(count):
        g = gradient(i)
        found[i] = float(g @ mean), float(g @ turned / g.norm())
    name = "MiniLM memory, two layers" if memory else "MiniLM turned causal"
    return {f"{name}, dot": found[:, 0], f"{name}, mean of cosines": found[:, 1]}
