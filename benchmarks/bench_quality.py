"""All near-duplicate pairs against the machine's matrix rate and faiss, by words too, and format rules in records a second a rule.

`python -m benchmarks.bench_quality [--records 20000] [--large 200000] [--vectors FILE.npy]`. The matrix rate is measured before and
after the pairs, by CPU seconds beside wall seconds, so that other load on the machine falls on both; each pair is counted once
(N^2 d operations). Vectors are of two kinds: isotropic random ones, on which no bound can prune, and ones whose spectrum falls
as that of embeddings does (rows of FILE, or random ones of that spectrum, repeated with noise). faiss runs on the same vectors in an
environment of its own (`python -m benchmarks.peers.install faiss`; absent, it is said to be). Memory is the process's peak.
"""

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa


def timed(work: Callable[[], object]) -> tuple[object, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def vectors(
    count: int, width: int = 384, copies: float = 0.1, falling: bool = False, seeds: np.ndarray | None = None
) -> np.ndarray:
    """Random unit rows, `copies` of them near-duplicates of the row before. `falling`: variances as k^-1, about those of sentence
    embeddings; `seeds` (M, d): real vectors, drawn with noise of 60 % of their own spread instead."""
    random = np.random.default_rng(0)
    rows = random.standard_normal((count, width)).astype(np.float32)
    if seeds is not None:
        spread = 0.6 * seeds.std(0)
        rows = rows[:, : seeds.shape[1]] * spread + seeds[random.integers(0, len(seeds), count)]
    elif falling:
        rows *= np.sqrt(1 / np.arange(1, width + 1, dtype=np.float32))
    step = round(1 / copies)
    noise = 0.3 * rows[1::step].std(0) * random.standard_normal(rows[1::step].shape)
    rows[1::step] = rows[::step][: len(rows[1::step])]
    rows[1::step] += noise.astype(np.float32)
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


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


def faiss(rows: np.ndarray, threshold: float) -> str:
    from benchmarks.peers import install

    missing = install.absent("faiss")
    if missing:
        return f"faiss: {missing}"
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, rows)
        file.flush()
        command = [
            str(install.python("faiss")),
            "-m",
            "benchmarks.peers.run_faiss",
            file.name,
            str(threshold),
            str(os.cpu_count() or 1),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    if done.returncode:
        return f"faiss: failed, {done.stderr.strip().splitlines()[-1][:200]}"
    found = json.loads(done.stdout)
    return f"faiss IndexFlatIP.range_search: {found['pairs']:,} pairs, {found['wall']:.2f} s ({found['cpu']:.2f} CPU s)"


def pairs(rows: np.ndarray, kind: str, peer: bool = True) -> list[str]:
    from core.quality.duplicates import groups
    from core.quality.pairs import pairs_over

    count = len(rows)
    pairs_over(rows[:3000], 0.80)  # compiles the loops
    before = gemm_rate(rows)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found, wall, cpu = timed(lambda: pairs_over(rows, 0.80))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    after = gemm_rate(rows)
    operations = float(count) * count * rows.shape[1]
    rate = [(a + b) / 2 for a, b in zip(before, after, strict=True)]
    groups(found, 0.92, count)
    _, slide, _ = timed(lambda: groups(found, 0.85, count))
    return [
        f"pairs of {count:,} x {rows.shape[1]}, {kind}: {len(found):,} at {found.floor:g} and over, {wall:.2f} s ({cpu:.2f} CPU s), "
        f"{operations / cpu / 1e9:.0f} GFLOP/s a CPU second = {operations / cpu / rate[1]:.0%} of the matrix rate "
        f"({operations / wall / rate[0]:.0%} by wall time); peak memory {peak / 2**20:.2f} GiB, "
        f"{max(0, peak - held) / 2**20:.2f} more than before",
        f"groups at another threshold: {1000 * slide:.1f} ms",
        *([faiss(rows, 0.80)] if peer else []),
    ]


def words(count: int) -> list[str]:
    from core.quality.shingles import shingle_pairs

    random = np.random.default_rng(0)
    vocabulary = np.array([f"w{i}" for i in range(20_000)])
    common = 1 / np.arange(1, len(vocabulary) + 1)
    drawn = vocabulary[random.choice(len(vocabulary), (count, 30), p=common / common.sum())]
    drawn[1::10, :27] = drawn[::10, :27][: len(drawn[1::10])]
    texts = [" ".join(row) for row in drawn]
    found, wall, cpu = timed(lambda: shingle_pairs(texts, 0.4))
    return [
        f"pairs by words, {count:,} texts of 30 words: {len(found):,} at {found.floor:g} and over, {wall:.2f} s ({cpu:.2f} CPU s)"
    ]


def formats(count: int) -> list[str]:
    from core.quality.rule_library import READY
    from core.quality.rules import Records, check
    from core.quality.suggestions import suggest

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
    found, wall, cpu = timed(lambda: suggest(records))
    size = np.mean([len(r) for r in response])
    lines = [
        f"suggesting {len(found)} rules from {count:,} records of {size:.0f} characters: {wall:.2f} s ({cpu:.2f} CPU s)"
    ]
    rates = {}
    for rule in [*READY, *found]:
        _, _, cpu = timed(lambda rule=rule: check(records, rule))
        rates[rule.id] = count / cpu
    slow = sorted(rates.items(), key=lambda item: item[1])[:4]
    everything = len(rates) * count / sum(count / rate for rate in rates.values())
    lines.append(
        f"{len(rates)} rules: {everything:,.0f} records/s/rule (CPU); slowest "
        + ", ".join(f"{n} {r:,.0f}" for n, r in slow)
    )
    return lines


SCHEMA = {
    "type": "object",
    "required": [f"field_{n}" for n in range(15)],
    "properties": {
        f"field_{n}": (
            {"type": "string", "minLength": 1, "maxLength": 200}, {"type": "integer", "minimum": 0},
            {"enum": ["low", "medium", "high"]}, {"type": "array", "items": {"type": "string"}, "maxItems": 10},
            {"type": "string", "pattern": "^[A-Z][0-9]{2}$"},
        )[n % 5]
        for n in range(20)
    } | {"codes": {"type": "array", "items": {"$ref": "#/$defs/code"}}},
    "additionalProperties": False,
    "$defs": {"code": {"type": "object", "required": ["system", "code"], "properties": {
        "system": {"enum": ["ICD-10", "SNOMED"]}, "code": {"type": "string", "pattern": "^[A-Z0-9.]+$"}}}},
}  # fmt: skip
"""A large JSON Schema: 21 properties, one of them a list of objects."""


def schemas(count: int) -> list[str]:
    from core.quality.rules import Records, Rule, check

    def response(n: int, breaks: bool) -> str:
        value = {f"field_{f}": ("some text of a field", n, "low", ["a", "b"], "A12")[f % 5] for f in range(20)}
        value["codes"] = [{"system": "ICD-10", "code": "A12.3"}] * 3
        return json.dumps(value | ({"field_1": -1} if breaks else {}))

    lines = []
    for share in (0.0, 0.02, 1.0):
        texts = [response(n, n < share * count) for n in range(count)]
        records = Records(pa.table({"prompt": ["p"] * count, "response": texts}))
        rule = Rule("schema", "schema", "json_schema", {"schema": SCHEMA})
        check(Records(records.table.slice(0, 10)), rule)
        found, _, cpu = timed(lambda records=records, rule=rule: check(records, rule))
        lines.append(
            f"JSON Schema of {len(SCHEMA['properties'])} properties, {count:,} responses of {len(texts[0])} characters, "
            f"{share:.0%} of them broken: {count / cpu:,.0f} records/s (CPU), {len(found):,} found"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument(
        "--large", type=int, default=0, help="also this many vectors with a falling spectrum, without faiss"
    )
    parser.add_argument("--vectors", help="real unit vectors (.npy) to draw the falling spectrum from")
    given = parser.parse_args()
    seeds = None if given.vectors is None else np.asarray(np.load(given.vectors, mmap_mode="r"), np.float32)
    kind = "falling spectrum" if seeds is None else "drawn from real embeddings"
    for line in pairs(vectors(given.records), "isotropic"):
        print(line, flush=True)
    for line in pairs(vectors(given.records, falling=True, seeds=seeds), kind):
        print(line, flush=True)
    if given.large:
        for line in pairs(vectors(given.large, falling=True, seeds=seeds), kind, peer=False):
            print(line, flush=True)
    for line in words(given.records) + formats(given.records) + schemas(given.records):
        print(line, flush=True)


if __name__ == "__main__":
    main()
