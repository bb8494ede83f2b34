"""How faithful each score is: retraining, planted noise, another task, in one table for our directions and other tools.

    python -m benchmarks faithfulness            (python -m benchmarks.bench_faithfulness [--seeds 2] [--subsets 60] [--no-peers])

A small Llama is trained on six Markov languages, then fine-tuned on 300 records: 120 of the three languages of the validation set, 120
of the three others, 60 with a prompt of the first three and a response of random tokens. Scores are taken at the fine-tuned model.
LDS: the model is fine-tuned anew on random halves of the records; Spearman correlation, over the halves, of the sum of the scores with
the fall of the validation loss. AUROC: on-task records against the noisy ones, and against those of the other languages. All
responses have the same length, so that mean and sum losses rank alike.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.peers import compare
from core.influence.encode import Tokens
from core.influence.losses import ResponseLoss, make_batch
from core.influence.models import LanguageModel
from core.influence.scoring import scores

if TYPE_CHECKING:
    import torch

VOCABULARY, TOPICS, PROMPT, RESPONSE = 64, 6, 4, 16
ON, OFF, NOISE, VALID = 120, 120, 60, 40


def languages(rng: np.random.Generator) -> np.ndarray:
    """(TOPICS, 48, 48) transition matrices; each token has three likely successors."""
    found = np.full((TOPICS, 48, 48), 0.05 / 48)
    for topic in range(TOPICS):
        for token in range(48):
            found[topic, token, rng.choice(48, 3, replace=False)] += 0.95 * rng.dirichlet(np.ones(3))
    return found


def record(rng: np.random.Generator, chains: np.ndarray, topic: int, noisy: bool = False) -> np.ndarray:
    """Marker of the topic, PROMPT - 1 tokens and RESPONSE tokens of its language (or random ones)."""
    found = [48 + topic, 54 + rng.integers(48) % 8]
    token = int(rng.integers(48))
    while len(found) < PROMPT + RESPONSE:
        found.append(token)
        random = noisy and len(found) >= PROMPT
        token = (
            int(rng.integers(48))
            if random
            else int(rng.choice(48, p=chains[topic, token] / chains[topic, token].sum()))
        )
    return np.array(found, np.int32)


def tokens_of(records: list[np.ndarray]) -> Tokens:
    return Tokens(records, np.full(len(records), PROMPT, np.int32), np.zeros(len(records), bool), "", 0)


def train(model: "torch.nn.Module", records: list[np.ndarray], rate: float, epochs: int, seed: int) -> None:
    """AdamW on the mean response loss, batches of 16, the rate falling to zero."""
    import torch
    from torch.nn.functional import cross_entropy

    ids, rng = torch.from_numpy(np.stack(records).astype(np.int64)), np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    steps = epochs * -(-len(ids) // 16)
    done = 0
    model.train().requires_grad_(True)
    for _ in range(epochs):
        order = rng.permutation(len(ids))
        for at in range(0, len(ids), 16):
            optimizer.param_groups[0]["lr"] = rate * (1 - done / steps)
            some = ids[order[at : at + 16]]
            logits = model(input_ids=some, use_cache=False).logits[:, PROMPT - 1 : -1]
            optimizer.zero_grad(set_to_none=True)
            cross_entropy(logits.flatten(0, 1), some[:, PROMPT:].flatten()).backward()
            optimizer.step()
            done += 1
    model.eval().requires_grad_(False)


def validation_loss(model: "torch.nn.Module", tokens: Tokens) -> float:
    return float(ResponseLoss(wrapped(model))(make_batch(tokens, np.arange(len(tokens.ids)), "cpu")).mean())


def wrapped(model: "torch.nn.Module") -> LanguageModel:
    return LanguageModel(model, None, "faithfulness", "", "cpu", "float32", 512)


def build(seed: int) -> "torch.nn.Module":
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=64,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=1,
        )  # fmt: skip
    )


def ours(model: "torch.nn.Module", pool: Tokens, valid: Tokens) -> dict[str, Callable[[], np.ndarray]]:
    """What is compared, by the name in the table; every score: higher = more helpful."""
    lm = wrapped(model)

    def ask(**settings: Any) -> np.ndarray:
        return scores(lm, pool, valid, **{"space": "all", **settings}).mean(1)

    def hidden(tokens: Tokens) -> np.ndarray:
        import torch

        with torch.no_grad():
            out = model.model(input_ids=torch.from_numpy(np.stack(tokens.ids).astype(np.int64)), use_cache=False)[0]
        found = out.mean(1).double().numpy()
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def losses() -> np.ndarray:
        return ResponseLoss(lm)(make_batch(pool, np.arange(len(pool.ids)), "cpu"))

    return {
        "mean gradient, all parameters (DIQ's Dot)": ask,
        "mean gradient, LoRA on QKV": lambda: ask(space="lora"),
        "cosine": lambda: ask(score="cosine"),
        "cosine, LoRA on QKV": lambda: ask(score="cosine", space="lora"),
        "mean of cosines over validation records": lambda: ask(score="mean-cosine"),
        "Adam-diagonal": lambda: ask(direction="adam"),
        "(GGN + lambda I)^-1, 10 CG steps": lambda: ask(direction="ggn"),
        "(GGN + lambda I)^-1, 10 CG steps, damping 1": lambda: ask(direction="ggn", damping=1.0),
        "(GGN + lambda I)^-1, 30 CG steps": lambda: ask(direction="ggn", iterations=30),
        "(GGN + lambda I)^-1, LoRA on QKV": lambda: ask(direction="ggn", space="lora"),
        "(GGN + lambda I)^-1, LoRA on QKV, damping 1": lambda: ask(direction="ggn", space="lora", damping=1.0),
        "embedding similarity (mean hidden state)": lambda: (hidden(pool) @ hidden(valid).T).mean(1),
        "minus loss": lambda: -losses(),
        "random": lambda: np.random.default_rng(7).standard_normal(len(pool.ids)),
    }


PEERS = {
    "bergson (dot, linear layers)": ("bergson", "bergson", "linear"),
    "kronfluence (EKFAC, linear layers)": ("kronfluence", "ekfac", "linear"),
    "TRAK (traker, 128 dimensions)": ("traker", "traker", "all"),
}


def auroc(high: np.ndarray, low: np.ndarray) -> float:
    """Chance that a draw of `high` is above one of `low`, ties half."""
    return float((high[:, None] > low).mean() + 0.5 * (high[:, None] == low).mean())


def one_seed(seed: int, subsets: int, peers: bool) -> tuple[dict[str, Any], str]:
    """{method: (LDS, AUROC noise, AUROC off-task, seconds) or why it is absent}, and what the retraining showed."""
    import torch
    from scipy.stats import spearmanr

    rng = np.random.default_rng(seed)
    chains = languages(rng)

    def draw(topics: list[int], count: int, noisy: bool = False) -> list[np.ndarray]:
        return [record(rng, chains, topics[i % len(topics)], noisy) for i in range(count)]

    base = build(seed)
    train(base, draw(list(range(TOPICS)), 600), 3e-3, 4, seed)
    pool = draw([0, 1, 2], ON) + draw([3, 4, 5], OFF) + draw([0, 1, 2], NOISE, noisy=True)
    valid, tokens = tokens_of(draw([0, 1, 2], VALID)), tokens_of(pool)
    start = {k: v.clone() for k, v in base.state_dict().items()}
    train(base, pool, 1e-3, 4, seed)
    tuned = {k: v.clone() for k, v in base.state_dict().items()}
    found: dict[str, Any] = {}
    for name, work in ours(base, tokens, valid).items():
        began = time.process_time()
        found[name] = (work(), time.process_time() - began)
    if peers:
        found |= outside(base, tokens, valid)

    masks, losses = np.zeros((subsets, len(pool)), bool), np.zeros(subsets)
    for k in range(subsets):
        masks[k, np.random.default_rng([seed, k]).permutation(len(pool))[: len(pool) // 2]] = True
        base.load_state_dict(start)
        train(base, [pool[i] for i in np.flatnonzero(masks[k])], 1e-3, 4, seed)
        losses[k] = validation_loss(base, valid)
    base.load_state_dict(tuned)
    torch.manual_seed(0)
    rows = {}
    for name, value in found.items():
        if isinstance(value, str):
            rows[name] = value
            continue
        each, spent = value
        lds = float(spearmanr(masks @ each, -losses).statistic)
        rows[name] = (lds, auroc(each[:ON], each[-NOISE:]), auroc(each[:ON], each[ON : ON + OFF]), spent)
    return rows, f"{losses.mean():.3f} +- {losses.std():.3f}"


def outside(model: "torch.nn.Module", pool: Tokens, valid: Tokens) -> dict[str, Any]:
    """{peer: (scores, CPU seconds) or why it is absent}."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "task"
        model.save_pretrained(folder / "model")
        arrays = {}
        for name, some in (("train", pool), ("valid", valid)):
            arrays |= {
                f"{name}_ids": np.concatenate(some.ids),
                f"{name}_sizes": some.lengths,
                f"{name}_start": some.start,
            }
        np.savez(folder / "records.npz", **arrays)
        (folder / "task.json").write_text(json.dumps({"rank": 8, "batch_tokens": 1024}), "utf-8")
        for name, (environment, runner, space) in PEERS.items():
            report = compare.ask(environment, folder, space, Path(place) / runner, 1, runner=runner)
            found[name] = report["absent"] if "absent" in report else (report["scores"], compare.seconds(report, 1))
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=2)
    options.add_argument("--subsets", type=int, default=100)
    options.add_argument("--no-peers", action="store_true")
    given = options.parse_args()
    import torch

    torch.set_num_threads(1)
    runs = [one_seed(seed, given.subsets, not given.no_peers) for seed in range(given.seeds)]
    print(
        f"{ON} on-task, {OFF} off-task and {NOISE} noisy records, {VALID} validation records, {given.subsets} retrainings on halves, "
        f"{given.seeds} seeds (a column each). Validation loss over the halves: {', '.join(r[1] for r in runs)}.\n"
    )
    print("| score | LDS | AUROC against noise | AUROC against off-task | CPU s |\n|---|---|---|---|---|")
    for name in runs[0][0]:
        values = [r[0][name] for r in runs]
        absent = next((v for v in values if isinstance(v, str)), "")
        cells = [" / ".join(f"{v[c]:.3f}" for v in values) for c in range(3)] if not absent else [absent, "", ""]
        spent = "" if absent else " / ".join(f"{v[3]:.1f}" for v in values)
        print(f"| {name} | {' | '.join(cells)} | {spent} |")


if __name__ == "__main__":
    main()
