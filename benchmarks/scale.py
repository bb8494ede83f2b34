"""The tables of docs/scale.md, from measured rates and counted operations: `python -m benchmarks.scale`.

A CPU figure is measured throughput times the amount of work. A GPU figure is the operations of the method over a stated share of what
the GPU's maker promises: nothing was measured on one.
"""

from benchmarks.bench_gpu import SHAPES, Shape, operations

RECORD, RESPONSE, PROMPT = 300, 200, 75  # tokens: of a record, of its response, of the text that is embedded
SIZES = (1_000_000, 100_000_000)
PROXY = Shape(width=128, inner=384, blocks=3, heads=2, kv_heads=2, vocabulary=4096, tied=True)
MODELS = {"proxy, 1.2 M": PROXY, "0.5 B": SHAPES["0.5B"], "7 B": SHAPES["7B"]}
PASSES = {"LoRA": 2, "all parameters": 3}

# Measured on 2 cores (docs/benchmarks.md, compute section of each)
IMPORT = 16_407 / 1.2  # records a second
EMBED = 163e9  # operations a second that embedding reaches, batches of texts by length
INFLUENCE = {"LoRA": 2000 * 222 / 19.3, "all parameters": 2000 * 222 / 24.8}  # tokens a second, proxy
NEIGHBOURS = 15.9, 200_000, 1.1  # CPU seconds of the approximate graph, at this many records, growing with this power

# Not measured: a GPU
PEAK, SHARE = 989e12, 0.45  # H200, dense bf16; the target for influence
EMBED_SHARE = 0.2  # a small encoder keeps a GPU less busy


def needed(shape: Shape, what: str) -> float:
    """Operations a record."""
    import numpy as np

    return PASSES[what] * operations(shape, np.array([RECORD]), np.array([RESPONSE]))


def encoder() -> float:
    """Operations of all-MiniLM-L6-v2 on one text: six layers of width 384, inner 1536."""
    return 6 * (2 * (4 * 384**2 + 2 * 384 * 1536) * PROMPT + 4 * 384 * PROMPT**2)


def span(seconds: float) -> str:
    """Two digits in a fitting unit."""
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h"), (6.3e7, 86_400, "days")):
        if seconds < limit:
            return f"{rounded(seconds / size)} {unit}"
    return f"{rounded(seconds / 31_557_600)} years"


def rounded(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{float(f'{value:.2g}'):,.0f}"


def tables() -> str:
    many, few = (f"{n:,} records" for n in reversed(SIZES))
    lines = [f"| step, 2 CPU cores | {few} | {many} |", "|---|---|---|"]
    seconds, at, power = NEIGHBOURS
    for title, each in (
        ("import", lambda n: n / IMPORT),
        ("embedding, all-MiniLM-L6-v2", lambda n: n * encoder() / EMBED),
        ("neighbours, approximate, CPU time", lambda n: seconds * (n / at) ** power),
    ):
        lines.append(f"| {title} | {' | '.join(span(each(n)) for n in SIZES)} |")
    for what, rate in INFLUENCE.items():
        lines.append(f"| influence, proxy, {what} | {' | '.join(span(n * RECORD / rate) for n in SIZES)} |")
    for name in list(MODELS)[1:]:
        for what in PASSES:
            lines.append(
                f"| influence, {name}, {what} | {' | '.join(span(n * needed(MODELS[name], what) / EMBED) for n in SIZES)} |"
            )
    lines += ["", f"| step, one H200 (not measured) | {few} | {many} | {many}, 64 GPUs |", "|---|---|---|---|"]
    lines.append(
        f"| embedding, all-MiniLM-L6-v2 | {' | '.join(span(n * encoder() / (PEAK * EMBED_SHARE)) for n in SIZES)} "
        f"| {span(SIZES[1] * encoder() / (PEAK * EMBED_SHARE) / 64)} |"
    )
    for name in list(MODELS)[1:]:
        for what in PASSES:
            total = [n * needed(MODELS[name], what) / (PEAK * SHARE) for n in SIZES]
            lines.append(f"| influence, {name}, {what} | {span(total[0])} | {span(total[1])} | {span(total[1] / 64)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(tables())
