"""What each further query costs in the pass that scores the records: FLOPs (exact) and CPU seconds, relative to a forward pass.

python -m benchmarks.bench_queries [--records 200] [--tokens 200]
"""

import argparse
import time

import numpy as np

from benchmarks.bench_influence import synthetic
from core.influence import proxy
from core.influence.direction import mean_gradient
from core.influence.encode import Encoder, plan_batches
from core.influence.ghost import Ghost
from core.influence.losses import ResponseLoss, make_batch
from core.influence.models import LanguageModel
from core.influence.spaces import resolve

QUERIES = (1, 2, 5, 20)


def table(count: int, length: int, width: int = 256) -> str:
    """A Markdown table."""
    from torch.utils.flop_counter import FlopCounterMode

    records = synthetic(count, length)
    params = proxy.DEFAULTS | {"width": width}
    tokenizer = proxy.train_tokenizer((r.target for r in records), params["vocabulary"])
    tokens = Encoder(tokenizer, 1024).encode(records)
    module = proxy.build(len(tokenizer), params).requires_grad_(False).eval()
    model = LanguageModel(module, tokenizer, "proxy", "", "cpu", "float32", 1024)
    losses, batches = ResponseLoss(model), plan_batches(tokens.lengths, 4096)

    def measured(work) -> tuple[float, float]:
        with FlopCounterMode(display=False) as counter:
            work()
        started = time.process_time()
        work()
        return float(counter.get_total_flops()), time.process_time() - started

    def forward() -> None:
        for rows in batches:
            losses(make_batch(tokens, rows, "cpu"))

    forward()
    flops, seconds = measured(forward)
    lines = [
        f"{count} records of {tokens.lengths.mean():.0f} tokens ({tokens.response_tokens.mean():.0f} of them response), "
        f"{model.parameters / 1e6:.1f} M parameters, width {width}; relative to a forward pass ({seconds:.1f} CPU s).",
        "",
        "| space | queries | FLOPs | CPU s | FLOPs of one more query |",
        "|---|---|---|---|---|",
    ]
    for name in ("lora", "all"):
        space = resolve(module, name)
        drawn = [mean_gradient(losses, tokens.take(np.arange(k, k + 2)), space, 4096) for k in range(max(QUERIES))]
        before = 0.0
        for k, many in enumerate(QUERIES):
            ghost = Ghost(losses, drawn[:many])

            def score(ghost: Ghost = ghost) -> None:
                for rows in batches:
                    ghost.score(tokens, rows)

            work, spent = measured(score)
            more = "" if not k else f"{(work - before) / flops / (many - QUERIES[k - 1]):.4f}"
            lines.append(f"| {name} | {many} | {work / flops:.2f} | {spent / seconds:.2f} | {more} |")
            before = work
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--records", type=int, default=200)
    options.add_argument("--tokens", type=int, default=200)
    given = options.parse_args()
    print(table(given.records, given.tokens))


if __name__ == "__main__":
    main()
