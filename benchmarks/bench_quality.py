"""All near-duplicate pairs against the machine's matrix rate, the live threshold, and format rules in records a second a rule.

`python -m benchmarks.bench_quality [--records 20000]`. The matrix rate is measured before and after the pairs, by CPU seconds beside
wall seconds, so that other load on the machine falls on both; each pair is counted once (N^2 d operations).
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa


def timed(work: Callable[[], object]) -> tuple[object, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def vectors(count: int, width: int = 384, copies: float = 0.1) -> np.ndarray:
    """Random unit rows, `copies` of them near-duplicates of the row before."""
    random = np.random.default_rng(0)
    rows = random.standard_normal((count, width)).astype(np.float32)
    step = round(1 / copies)
    rows[1::step] = rows[::step][: len(rows[1::step])]
    rows[1::step] += 0.3 * random.standard_normal(rows[1::step].shape).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def gemm_rate(rows: np.ndarray) -> tuple[float, float]:
    """Operations a (wall, CPU) second of torch's float32 product of blocks as the search uses them."""
    import torch

    data = torch.from_numpy(rows)
    out = torch.empty(1024, 8192)
    left, right = data[:1024], data[:8192].T
    torch.mm(left, right, out=out)
    _, wall, cpu = timed(lambda: [torch.mm(left, right, out=out) for _ in range(20)])
    done = 20 * 2 * out.numel() * rows.shape[1]
    return done / wall, done / cpu


def pairs(count: int) -> list[str]:
    from core.quality.duplicates import groups
    from core.quality.pairs import pairs_over

    rows = vectors(count)
    before = gemm_rate(rows)
    found, wall, cpu = timed(lambda: pairs_over(rows, 0.80))
    after = gemm_rate(rows)
    operations = float(count) * count * rows.shape[1]
    rate = [(a + b) / 2 for a, b in zip(before, after, strict=True)]
    groups(found, 0.92, count)
    _, slide, _ = timed(lambda: groups(found, 0.85, count))
    return [
        f"pairs of {count:,} x {rows.shape[1]}: {len(found):,} at 0.80 and over, {wall:.2f} s ({cpu:.2f} CPU s), "
        f"{operations / cpu / 1e9:.0f} GFLOP/s a CPU second = {operations / cpu / rate[1]:.0%} of the matrix rate "
        f"({operations / wall / rate[0]:.0%} by wall time)",
        f"groups at another threshold: {1000 * slide:.1f} ms",
    ]


def formats(count: int) -> list[str]:
    from core.quality.rule_library import READY, suggest
    from core.quality.rules import Records, check

    random = np.random.default_rng(0)
    text = "take one tablet with food twice a day and call your doctor if the pain or fever gets worse again"
    words = np.array(text.split())
    body = [" ".join(random.choice(words, 90)) + "." for _ in range(count)]
    response = [f"Urgency: {'Routine' if i % 2 else 'Urgent'}\nAdvice: {text}" for i, text in enumerate(body)]
    turns = ['[{"role":"user","content":"q"},{"role":"assistant","content":"' + text + '"}]' for text in body]
    table = pa.table(
        {"prompt": ["How?"] * count, "response": response, "messages": turns, "category": ["a", "b"] * (count // 2)}
    )
    records = Records(table)
    found, wall, _ = timed(lambda: suggest(records))
    lines = [
        f"suggesting {len(found)} rules from {count:,} records of {np.mean([len(r) for r in response]):.0f} characters: {wall:.2f} s"
    ]
    rates = {}
    for rule in [*READY, *found]:
        _, wall, _ = timed(lambda rule=rule: check(records, rule))
        rates[rule.id] = count / wall
    slow = sorted(rates.items(), key=lambda item: item[1])[:4]
    everything = len(rates) * count / sum(count / rate for rate in rates.values())
    lines.append(
        f"{len(rates)} rules: {everything:,.0f} records/s/rule; slowest " + ", ".join(f"{n} {r:,.0f}" for n, r in slow)
    )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    count = parser.parse_args().records
    for line in pairs(count) + formats(count):
        print(line)


if __name__ == "__main__":
    main()
