"""Influence on a GPU at the shapes of 0.5 B and 7 B models with random weights: tokens/s, memory, model FLOP utilisation.

    python -m benchmarks gpu            (python -m benchmarks.bench_gpu [--shapes 0.5B,7B] [--records N] [--length N] [--peak 989e12])
    python -m benchmarks.bench_gpu --tiny      a very small shape, also without a GPU: shows that the benchmark works, measures nothing

Utilisation counts only the operations that the method needs: a forward pass for the losses, a forward and the activations' half of a
backward in LoRA space, and as much again for the weights' half when all parameters count. Work done beyond that lowers it.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.influence.batches import Halving, token_budget
from core.influence.direction import mean_gradient
from core.influence.encode import Tokens, plan_batches
from core.influence.ghost import Ghost
from core.influence.losses import ResponseLoss, make_batch
from core.influence.models import LanguageModel
from core.influence.scoring import worker
from core.influence.spaces import resolve
from core.influence.transfer import one_behind

if TYPE_CHECKING:
    import torch

NO_GPU = "No CUDA GPU was found, so nothing was measured; run this on a machine with one, or with --tiny to see that it works."
PEAK = {
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "4090": 165e12,
}  # dense bf16, as the makers state
PASSES = {"forward": 1, "lora": 2, "all": 3}


@dataclass(frozen=True)
class Shape:
    """Of Qwen 2.5."""

    width: int
    inner: int
    blocks: int
    heads: int
    kv_heads: int
    vocabulary: int
    tied: bool

    @property
    def block_weights(self) -> int:
        """Weights of the linear layers of all blocks."""
        head = self.width // self.heads
        attention = 2 * self.width * self.width + 2 * self.width * self.kv_heads * head
        return self.blocks * (attention + 3 * self.width * self.inner)

    @property
    def weights(self) -> int:
        return self.block_weights + self.vocabulary * self.width * (1 if self.tied else 2)


SHAPES = {
    "0.5B": Shape(896, 4864, 24, 14, 2, 151_936, True),
    "7B": Shape(3584, 18_944, 28, 28, 4, 152_064, False),
    "tiny": Shape(64, 128, 2, 2, 1, 512, True),
}


def operations(shape: Shape, lengths: np.ndarray, responses: np.ndarray) -> float:
    """Floating-point operations of one forward pass: linear layers on every token, causal attention, lm_head on responses alone."""
    lengths = np.asarray(lengths, float)
    linear = 2.0 * shape.block_weights * lengths.sum()
    attention = 2.0 * 2.0 * shape.blocks * shape.width * (lengths * (lengths + 1) / 2).sum()  # scores, then values
    return linear + attention + 2.0 * shape.vocabulary * shape.width * float(np.sum(responses))


def build(shape: Shape, device: str, dtype: str) -> "torch.nn.Module":
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        hidden_size=shape.width, intermediate_size=shape.inner, num_hidden_layers=shape.blocks, num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads, vocab_size=shape.vocabulary, tie_word_embeddings=shape.tied, max_position_embeddings=4096,
    )  # fmt: skip
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with torch.device(device):
            return Qwen2ForCausalLM(config).eval().requires_grad_(False)
    finally:
        torch.set_default_dtype(before)


def records(shape: Shape, count: int, length: int) -> Tokens:
    """Random tokens, lengths varying by about a third, a quarter prompt."""
    rng = np.random.default_rng(0)
    sizes = np.clip(rng.normal(length, length / 3, count), 16, 2 * length).astype(int)
    ids = [rng.integers(0, shape.vocabulary, n, dtype=np.int32) for n in sizes]
    return Tokens(ids, (sizes // 4).astype(np.int32), np.zeros(count, bool), "", 0)


def matrix_rate(device: str, dtype: str, side: int) -> float:
    """Operations a second of torch's own matrix product."""
    import torch

    a = torch.randn(side, side, device=device, dtype=getattr(torch, dtype))
    for _ in range(3):
        a @ a
    wait(device)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < 1:
        a @ a
        wait(device)
        count += 1
    return 2.0 * side**3 * count / (time.perf_counter() - began)


def wait(device: str) -> None:
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize()


def measure(name: str, count: int, length: int, device: str, dtype: str, peak: float) -> list[str]:
    """Rows of the table for one shape. Work that does not fit into memory says so."""
    import torch

    shape = SHAPES[name]
    model = LanguageModel(build(shape, device, dtype), None, name, "random", device, dtype, 4096)
    tokens, losses = records(shape, count, length), ResponseLoss(model)
    few = tokens.take(np.arange(min(16, count)))
    total, needed = int(tokens.lengths.sum()), operations(shape, tokens.lengths, tokens.response_tokens)
    budget, _ = token_budget(model, int(tokens.lengths.max()))
    batches = plan_batches(tokens.lengths, budget)
    rows = []
    for what, passes in PASSES.items():
        if device.startswith("cuda"):
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        if what == "forward":
            work = Halving(lambda rows: {"nll": losses(make_batch(tokens, rows, device))}, tokens.lengths)
        else:
            direction = mean_gradient(losses, few, resolve(model.module, what), min(budget, 4096))
            work = Halving(worker("dot", Ghost(losses, direction), tokens), tokens.lengths)
        work(batches[len(batches) // 2])  # warm
        wait(device)
        began = time.perf_counter()
        for _ in one_behind(work, batches, range(len(batches))):
            pass
        wait(device)
        spent = time.perf_counter() - began
        memory = torch.cuda.max_memory_allocated() / 2**30 if device.startswith("cuda") else float("nan")
        share = passes * needed / spent / peak
        rows.append(
            f"| {name} ({shape.weights / 1e9:.2f} B) | {what} | {total / spent:,.0f} | {memory:.1f} | {budget:,}{work.note} "
            f"| {passes * needed / spent / 1e12:.1f} | {share:.0%} | {1e7 / (total / spent):,.0f} |"
        )
    return rows


def main(arguments: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--shapes", default="0.5B,7B")
    options.add_argument("--records", type=int, default=2000)
    options.add_argument("--length", type=int, default=512)
    options.add_argument("--peak", type=float, default=0.0, help="operations a second that the GPU's maker states")
    options.add_argument("--tiny", action="store_true")
    given = options.parse_args(arguments if arguments is not None else sys.argv[1:])
    import torch

    if not torch.cuda.is_available() and not given.tiny:
        print(NO_GPU)
        return
    gpu = torch.cuda.is_available()
    device, dtype = ("cuda", "bfloat16") if gpu else ("cpu", "float32")
    title = torch.cuda.get_device_name() if gpu else "CPU"
    rate = matrix_rate(device, dtype, 8192 if gpu else 256)
    peak = given.peak or next((v for k, v in PEAK.items() if k in title), rate)
    settings: dict[str, Any] = {"count": given.records, "length": given.length}
    if given.tiny:
        settings = {"count": 24, "length": 32}
    print(
        f"{title}, {dtype}, random weights; {settings['count']:,} records of about {settings['length']} tokens. Peak taken as "
        f"{peak / 1e12:,.2f} TFLOP/s; torch's own matrix product reaches {rate / 1e12:,.2f} here.\n"
    )
    print(
        "| shape | what | tokens/s | GPU memory, GiB | batch tokens | TFLOP/s needed | utilisation | seconds for 10 M tokens |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for name in ["tiny"] if given.tiny else given.shapes.split(","):
        for row in measure(name, device=device, dtype=dtype, peak=peak, **settings):
            print(row, flush=True)


if __name__ == "__main__":
    main()
