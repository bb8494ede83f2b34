"""Influence on the default proxy beside a forward pass and a loop over single records, then beside other tools (see peers/).

    make bench-influence          also builds the environments of the other tools
    python -m benchmarks.bench_influence [--records 2000] [--tokens 200] [--no-peers]

CPU seconds are given beside wall seconds: other work on the machine moves the second, hardly the first.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from benchmarks.peers import compare
from core.influence import proxy
from core.influence.direction import mean_gradient
from core.influence.encode import Conversation, Encoder, Tokens, plan_batches
from core.influence.ghost import Ghost, exact_scores
from core.influence.losses import ResponseLoss, make_batch
from core.influence.models import LanguageModel
from core.influence.spaces import resolve

BATCH, LOOP = 4096, 100


def synthetic(count: int, length: int, seed: int = 0) -> list[Conversation]:
    """Records of made-up words, a quarter prompt and three quarters response, lengths varying by about a third."""
    rng = np.random.default_rng(seed)
    letters = [c + v for c in "bcdfghjklmnprstvwz" for v in ("a", "e", "i", "o", "u", "ar", "en", "is")]
    syllables = np.array(letters)
    words = np.array(["".join(rng.choice(syllables, rng.integers(1, 4))) for _ in range(9000)])
    weights = 1 / np.arange(1, 9001)
    weights /= weights.sum()

    def text(n: int) -> str:
        return " ".join(rng.choice(words, max(n, 1), p=weights))

    sizes = np.clip(rng.normal(length, length / 3, count), 20, 3 * length)
    return [Conversation((("user", text(int(s / 4))),), text(int(s * 3 / 4))) for s in sizes]


def measured(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def table(count: int = 2000, length: int = 200) -> str:
    """A Markdown table of all timings."""
    import torch

    records = synthetic(count, length)
    params = dict(proxy.DEFAULTS)
    tokenizer = proxy.train_tokenizer((r.target for r in records), params["vocabulary"])
    tokens = Encoder(tokenizer, 1024).encode(records)
    module = proxy.build(len(tokenizer), params).requires_grad_(False).eval()
    model = LanguageModel(module, tokenizer, "proxy", "", "cpu", "float32", 1024)
    losses, batches = ResponseLoss(model), plan_batches(tokens.lengths, BATCH)
    size, few = int(tokens.lengths.sum()), np.random.default_rng(1).choice(count, min(LOOP, count), replace=False)
    check = tokens.take(np.arange(min(100, count)))

    def forward() -> None:
        for rows in batches:
            losses(make_batch(tokens, rows, "cpu"))

    forward_some(losses, tokens, batches)
    lines = [
        f"{count:,} records, {size / count:.0f} tokens each ({tokens.response_tokens.mean():.0f} of them response), proxy of "
        f"{model.parameters / 1e6:.2f} M parameters, batches of {BATCH:,} tokens, {torch.get_num_threads()} threads, float32, CPU.",
        "",
        "| what | wall s | CPU s | tokens/s (wall) | CPU ratio to forward | agreement |",
        "|---|---|---|---|---|---|",
    ]
    wall, base = measured(forward)
    lines.append(f"| forward pass, losses only | {wall:.1f} | {base:.1f} | {size / wall:,.0f} | 1.00 | |")
    for name in ("lora", "last-1", "all"):
        space = resolve(module, name)
        holder: dict[str, object] = {}
        wall, cpu = measured(
            lambda space=space, holder=holder: holder.update(v=mean_gradient(losses, check, space, BATCH))
        )
        lines.append(f"| {name}: validation gradient, {len(check.ids)} records | {wall:.1f} | {cpu:.1f} | | | |")
        ghost, scores = Ghost(losses, holder["v"]), np.zeros(count)

        def run(ghost: Ghost = ghost, scores: np.ndarray = scores) -> None:
            for rows in batches:
                scores[rows] = ghost.score(tokens, rows).influence

        wall, cpu = measured(run)
        found: list[np.ndarray] = []
        loop_wall, loop_cpu = measured(
            lambda found=found, holder=holder: found.append(exact_scores(losses, tokens, few, holder["v"])[0])
        )
        gap = np.linalg.norm(scores[few] - found[0]) / np.linalg.norm(found[0])
        lines.append(
            f"| **{name}: ghost** | {wall:.1f} | {cpu:.1f} | {size / wall:,.0f} | {cpu / base:.2f} | rel. L2 {gap:.1e} to the loop |"
        )
        share = size / int(tokens.lengths[few].sum())
        lines.append(
            f"| {name}: loop over single records ({len(few)} measured, scaled up) | {loop_wall * share:.1f} | {loop_cpu * share:.1f} "
            f"| {size / (loop_wall * share):,.0f} | {loop_cpu * share / base:.2f} | |"
        )
    return "\n".join(lines)


def forward_some(losses: ResponseLoss, tokens: Tokens, batches: list[np.ndarray]) -> None:
    """Warm up on three batches."""
    for rows in batches[:3]:
        losses(make_batch(tokens, rows, "cpu"))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--records", type=int, default=2000)
    options.add_argument("--tokens", type=int, default=200)
    options.add_argument("--no-peers", action="store_true", help="leave out the other tools")
    given = options.parse_args()
    print(table(given.records, given.tokens), flush=True)
    if not given.no_peers:
        print("\n### Beside other tools\n", flush=True)
        compare.main([])


if __name__ == "__main__":
    main()
