"""What each direction finds: planted noise, off-task records, losses after real retraining (LDS), on a tiny model and made-up tasks.

    python -m benchmarks.bench_directions [--seeds 2] [--subsets 60]

Records are strings to be reversed (the task of the validation set), shifted or sorted (off task), or to be reversed but with random
letters for an answer (noise). A small model learns all three a little, then 300 records are scored. Nothing is downloaded.
"""

import argparse
import copy
import time
from collections.abc import Callable

import numpy as np

from core.influence.direction import Direction
from core.influence.encode import Tokens, plan_batches
from core.influence.ghost import Ghost
from core.influence.losses import ResponseLoss, make_batch
from core.influence.models import LanguageModel
from core.influence.preconditioned import drawn
from core.influence.scoring import scores
from core.influence.spaces import resolve

LETTERS, LENGTH, END = 20, 6, 27  # tokens 0-19 are letters; 20-22 name the tasks; 26 the arrow
TASKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "reverse": lambda x: x[::-1],
    "shift": lambda x: (x + 1) % LETTERS,
    "sort": np.sort,
}
ON, OFF, NOISE = 0, 1, 2
GROUP = 4  # validation records a query: LDS is the mean over the queries


def record(rng: np.random.Generator, task: str, noise: bool = False) -> np.ndarray:
    x = rng.integers(0, LETTERS, LENGTH)
    answer = rng.integers(0, LETTERS, LENGTH) if noise else TASKS[task](x)
    return np.array([LETTERS + list(TASKS).index(task), *x, 26, *answer, END], np.int32)


def tokens_of(rows: list[np.ndarray]) -> Tokens:
    return Tokens(rows, np.full(len(rows), LENGTH + 2, np.int32), np.zeros(len(rows), bool), "", 0)


def pool(rng: np.random.Generator, count: int) -> tuple[Tokens, np.ndarray]:
    """40 % on task, 40 % off task, 20 % noise, shuffled."""
    kinds = rng.permutation(np.repeat([ON, OFF, NOISE], [count * 2 // 5, count * 2 // 5, count // 5]))
    off = [t for t in TASKS if t != "reverse"]
    return tokens_of([record(rng, off[rng.integers(2)] if k == OFF else "reverse", k == NOISE) for k in kinds]), kinds


def base_model(seed: int, steps: int) -> LanguageModel:
    """Two blocks, 64 wide, taught all three tasks for a while: it has some idea of each and masters none but the shift."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=28, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
        max_position_embeddings=32, tie_word_embeddings=False, bos_token_id=None, eos_token_id=END, pad_token_id=None,
    )  # fmt: skip
    model = LanguageModel(LlamaForCausalLM(config), None, "tiny", "", "cpu", "float32", 32)
    rng = np.random.default_rng(seed)
    names = list(TASKS)
    fresh = lambda: tokens_of([record(rng, names[rng.integers(3)]) for _ in range(64)])  # noqa: E731
    fit(model, (fresh() for _ in range(steps)), 3e-3)
    return model


def fit(model: LanguageModel, batches, rate: float) -> None:
    import torch

    losses, module = ResponseLoss(model), model.module
    module.requires_grad_(True).train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=0.0)
    for tokens in batches:
        count = len(tokens.ids)
        losses(make_batch(tokens, np.arange(count), "cpu"), backward=True)
        for p in module.parameters():
            p.grad /= count
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    module.requires_grad_(False).eval()


def retrained(
    model: LanguageModel, tokens: Tokens, rows: np.ndarray, check: Tokens, rate: float, epochs: int, seed: int
) -> np.ndarray:
    """(V,) loss of each validation record after training on some rows."""
    own = copy.deepcopy(model)
    rng = np.random.default_rng(seed)
    fit(
        own,
        (tokens.take(b) for _ in range(epochs) for b in np.array_split(rng.permutation(rows), max(1, len(rows) // 16))),
        rate,
    )
    return ResponseLoss(own)(make_batch(check, np.arange(len(check.ids)), "cpu"))


def auroc(values: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> float:
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(values[positive], values[negative]).statistic / positive.sum() / negative.sum())


def hidden_similarity(model: LanguageModel, tokens: Tokens, check: Tokens) -> np.ndarray:
    """(N, V) cosine of the mean last hidden states: embedding similarity."""
    import torch

    def embed(data: Tokens) -> np.ndarray:
        ids = torch.from_numpy(np.stack(data.ids).astype(np.int64))
        with torch.no_grad():
            x = model.module.model(input_ids=ids)[0].mean(1).numpy()
        x = x - x.mean(0)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    return embed(tokens) @ embed(check).T


def ekfac(model: LanguageModel, tokens: Tokens, check: Tokens, damping: float, seed: int) -> np.ndarray:
    """(N, V) scores with EKFAC (George 2018; Grosse 2023) on the linear layers: what the app would gain by having it.

    Kronecker factors from labels that the model draws itself, eigenvalues refitted from per-record gradients, damping a share of
    their mean in each layer.
    """
    import torch

    losses, module = ResponseLoss(model), model.module
    space = resolve(module, "all")
    sample = tokens.take(drawn(tokens, 256, seed))
    linear = {f"{n}.weight": m for n, m in module.named_modules() if isinstance(m, torch.nn.Linear)}
    rng = torch.Generator().manual_seed(seed)
    ids = torch.from_numpy(np.stack(sample.ids).astype(np.int64))
    places = slice(LENGTH + 1, ids.shape[1] - 1)
    seen: dict[str, list] = {n: [] for n in linear}

    def hook(name: str):
        def keep(m, args, out):
            x = args[0].detach()
            out.register_hook(lambda b: seen[name].append((x, b.detach())))

        return keep

    handles = [m.register_forward_hook(hook(n)) for n, m in linear.items()]
    module.requires_grad_(True)
    logits = module(input_ids=ids).logits[:, places].flatten(0, 1)
    drawn_labels = torch.multinomial(logits.detach().softmax(-1), 1, generator=rng)[:, 0]
    (torch.nn.functional.cross_entropy(logits, drawn_labels, reduction="sum") / (LENGTH + 1)).backward()
    module.requires_grad_(False)
    module.zero_grad(set_to_none=True)
    for h in handles:
        h.remove()
    basis = {}
    for name, ((x, b),) in seen.items():
        qa, qs = (torch.linalg.eigh((t.flatten(0, 1).T @ t.flatten(0, 1)).double())[1].float() for t in (x, b))
        rotated = (b @ qs).transpose(1, 2) @ (x @ qa)
        basis[name] = (qa, qs, rotated.square().mean(0))
    from core.influence.direction import mean_gradient

    found = []
    for i in range(len(check.ids)):
        g = mean_gradient(losses, check.take([i]), space, 4096).vectors
        moved = {n: torch.zeros_like(t) for n, t in g.items()}
        for n, (qa, qs, values) in basis.items():
            moved[n] = qs @ ((qs.T @ g[n] @ qa) / (values + damping * values.mean())) @ qa.T
        found.append(Direction(space, moved, 1))
    return whole(Ghost(losses, found), tokens)


def whole(ghost: Ghost, tokens: Tokens) -> np.ndarray:
    out = np.zeros((len(tokens.ids), len(ghost.directions)))
    for rows in plan_batches(tokens.lengths, 4096):
        out[rows] = ghost.score(tokens, rows).each
    return out


def contenders(model: LanguageModel, tokens: Tokens, check: Tokens, seed: int) -> dict[str, np.ndarray]:
    """{name: (N, Q) score of each record on each query}, or (N, V) on each validation record; higher = more helpful."""
    each, some = [f"{i:04d}" for i in range(len(check.ids))], [f"{i // GROUP:04d}" for i in range(len(check.ids))]
    rng = np.random.default_rng(seed + 99)
    found = {
        "random": rng.normal(size=(len(tokens.ids), len(each))),
        "embedding similarity (mean hidden state)": hidden_similarity(model, tokens, check),
        "minus the record's own loss": np.repeat(
            -ResponseLoss(model)(make_batch(tokens, np.arange(len(tokens.ids)), "cpu"))[:, None], len(each), 1
        ),
    }
    for space in ("lora", "all"):
        options = {"space": space, "groups": some, "seed": seed}
        single = options | {"groups": each, "score": "cosine"}
        found[f"{space}: mean gradient (DIQ's Dot)"] = scores(model, tokens, check, **options)
        found[f"{space}: cosine with the mean gradient"] = scores(model, tokens, check, score="cosine", **options)
        found[f"{space}: mean of cosines over validation records"] = scores(model, tokens, check, **single)
        found[f"{space}: Adam-diagonal"] = scores(model, tokens, check, direction="adam", curvature=tokens, **options)
        for damping in (0.01, 0.1, 1.0) if space == "lora" else (0.1,):
            for iterations in (10, 30) if (damping, space) == (0.1, "lora") else (10,):
                name = f"{space}: GGN, {iterations} steps, damping {damping:g}"
                found[name] = scores(
                    model, tokens, check, direction="ggn", curvature=tokens, damping=damping, iterations=iterations, **options
                )  # fmt: skip
    for damping in (0.1, 1.0):
        found[f"all: EKFAC on linear layers, damping {damping:g}"] = ekfac(model, tokens, check, damping, seed)
    return found


def one_seed(
    seed: int, subsets: int, steps: int, count: int = 300, queries: int = 20
) -> tuple[dict[str, list[float]], float]:
    """({name: [AUROC noise, AUROC off task, LDS, validation loss after the top 10 %]}, base loss)."""
    from scipy.stats import spearmanr

    rng = np.random.default_rng(seed)
    model = base_model(seed, steps)
    tokens, kinds = pool(rng, count)
    check = tokens_of([record(rng, "reverse") for _ in range(queries)])
    base = float(ResponseLoss(model)(make_batch(check, np.arange(queries), "cpu")).mean())
    rate, epochs = 5e-4, 4
    masks = np.stack([rng.permutation(count) < count // 2 for _ in range(subsets)])
    after = np.stack(
        [retrained(model, tokens, np.flatnonzero(m), check, rate, epochs, seed * 1000 + k) for k, m in enumerate(masks)]
    )
    after, found = after.reshape(subsets, -1, GROUP).mean(2), {}
    for name, each in contenders(model, tokens, check, seed).items():
        each = each.reshape(count, after.shape[1], -1).mean(2)
        one = each.mean(1)
        lds = np.mean([spearmanr(masks @ each[:, q], -after[:, q]).statistic for q in range(after.shape[1])])
        top = np.argsort(-one, kind="stable")[: count // 10]
        loss = retrained(model, tokens, top, check, rate, epochs * 10, seed).mean()
        found[name] = [
            auroc(one, kinds == ON, kinds == NOISE),
            auroc(one, kinds == ON, kinds == OFF),
            float(lds),
            float(loss),
        ]
    return found, base


def table(seeds: int, subsets: int, steps: int, first: int = 0) -> str:
    """A Markdown table of the means over the seeds, with the range."""
    started = time.perf_counter()
    runs = [one_seed(seed, subsets, steps) for seed in range(first, first + seeds)]
    lines = [
        f"300 records (40 % on task, 40 % off task, 20 % noise), 20 validation records in {20 // GROUP} queries, {seeds} seeds, "
        f"LDS over {subsets} retrained halves; validation loss before {', '.join(f'{base:.2f}' for _, base in runs)}. "
        f"Mean (lowest to highest) over the seeds; {time.perf_counter() - started:.0f} s.",
        "",
        "| score | AUROC against noise | AUROC against off-task | LDS | loss after the top 10 % |",
        "|---|---|---|---|---|",
    ]
    for name in runs[0][0]:
        values = np.array([found[name] for found, _ in runs])
        cells = [f"{v.mean():.3f} ({v.min():.2f} to {v.max():.2f})" for v in values.T]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=2)
    options.add_argument("--subsets", type=int, default=60)
    options.add_argument("--steps", type=int, default=70)
    options.add_argument("--first", type=int, default=0, help="The first seed.")
    given = options.parse_args()
    print(table(given.seeds, given.subsets, given.steps, given.first))


if __name__ == "__main__":
    main()
