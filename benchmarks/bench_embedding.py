"""Embedding against the machine's matrix rate, neighbours, the map cold and warm. `python -m benchmarks.bench_embedding`.

Rates are measured in turn with the matrix product they are compared to, so that other load on the machine falls on both; CPU
seconds stand beside wall seconds for the same reason. Texts are made from words of the default model's vocabulary, with
the lengths of instruction data (mean about 75 tokens).
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

LENGTHS = (8, 15, 25, 40, 60, 80, 110, 150, 200, 240)


def texts(count: int, folder: Path) -> list[str]:
    vocabulary = [w for w in (folder / "vocab.txt").read_text("utf-8").split("\n") if w.isalpha() and len(w) > 3]
    random = np.random.default_rng(0)
    weights = np.random.default_rng(1).choice(LENGTHS, count, p=np.array([4, 4, 4, 3, 2, 2, 1, 1, 1, 1]) / 23)
    return [" ".join(random.choice(vocabulary, size)) for size in weights]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def gemm_rate(seconds: float = 1.0) -> tuple[float, float]:
    """Floating-point operations a (wall, CPU) second of torch's float32 matrix product."""
    import torch

    left, right = torch.randn(2048, 1536), torch.randn(1536, 1536)
    left @ right
    count, wall, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        left @ right
        count += 1
    done = 2 * 2048 * 1536 * 1536 * count
    return done / (time.perf_counter() - wall), done / (time.process_time() - cpu)


def embedding(count: int) -> list[str]:
    from core.embedding.encode import Known, embed_texts
    from core.embedding.encoders import default_model_path, open_encoder
    from core.embedding.texts import text_key
    from core.progress import silent

    encoder = open_encoder(device="cpu")
    made = texts(count, default_model_path())
    keys = [text_key(t) for t in made]
    operations = 0.0
    shares, wall_sum, cpu_sum = [], 0.0, 0.0
    part = max(1, count // 5)
    for start in range(0, count, part):
        some, some_keys = made[start : start + part], keys[start : start + part]
        out = np.zeros((len(some), encoder.dimension), np.float32)
        kept: list[np.ndarray] = []
        before = gemm_rate(0.5)
        with tempfile.TemporaryDirectory() as scratch:
            wall, cpu = timed(
                lambda s=some, k=some_keys, o=out, f=scratch, n=kept: n.append(
                    embed_texts(encoder, s, k, o, Known.of([]), Path(f), silent)[1]
                )
            )
        after = gemm_rate(0.5)
        length = kept[0].astype(float)
        # A layer: 4 projections and 2 of the feed-forward, each 2 operations a weight, and both attention products.
        work = float(sum(6 * (2 * (4 * 384**2 + 2 * 384 * 1536) * length + 4 * 384 * length**2)))
        shares.append((2 * work / wall / (before[0] + after[0]), 2 * work / cpu / (before[1] + after[1])))
        operations, wall_sum, cpu_sum = operations + work, wall_sum + wall, cpu_sum + cpu
    mid = np.median(np.array(shares), axis=0)
    theirs = timed(lambda: encoder.model.encode(made[:part], show_progress_bar=False))
    return [
        f"| embed {count:,} texts, default model | {wall_sum:.1f} | {cpu_sum:.1f} | {operations / wall_sum / 1e9:.0f} GFLOP/s, "
        f"{mid[0]:.0%} of the matrix rate by wall time, {mid[1]:.0%} by CPU time |",
        f"| the same through sentence-transformers' encode() | {theirs[0] * count / part:.1f} | {theirs[1] * count / part:.1f} | |",
    ]


def vectors(count: int, width: int = 384) -> np.ndarray:
    random = np.random.default_rng(0)
    centres = random.standard_normal((count // 50 + 1, width))
    made = centres[random.integers(0, len(centres), count)] + 0.9 * random.standard_normal((count, width))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def neighbours(count: int) -> str:
    from core.embedding.neighbours import knn

    made = vectors(count)
    knn(made[:1000], 30)  # compiled before it is timed
    before = gemm_rate(0.5)
    wall, cpu = timed(lambda: knn(made, 30))
    after = gemm_rate(0.5)
    work = 2.0 * count * count * made.shape[1]
    return (
        f"| neighbours, exact, {count:,} x 384, k = 30 | {wall:.1f} | {cpu:.1f} | "
        f"{2 * work / wall / (before[0] + after[0]):.0%} of the matrix rate by wall time, "
        f"{2 * work / cpu / (before[1] + after[1]):.0%} by CPU time |"
    )


def halves(count: int) -> str:
    """float16 beside float32: what is kept of the nearest neighbours, and how far a similarity moves."""
    from core.embedding.neighbours import knn

    made = vectors(count)
    stored = made.astype(np.float16)
    whole, _ = knn(made, 30)
    found: list[np.ndarray] = []
    wall, cpu = timed(lambda: found.extend(knn(stored, 30)))
    indices, similarity = found
    kept = np.mean([len(set(a) & set(b)) for a, b in zip(whole, indices, strict=True)]) / 30
    moved = max(
        float(np.abs(np.einsum("d,kd->k", made[row], made[indices[row]]) - similarity[row]).max())
        for row in range(0, count, max(1, count // 2000))
    )
    return (
        f"| the same, stored in float16 ({stored.nbytes / made.nbytes:.0%} of the size) | {wall:.1f} | {cpu:.1f} | "
        f"{kept:.2%} of the 30 nearest kept, a similarity moves by {moved:.5f} at most |"
    )


MAP = """
import time
start, cpu = time.perf_counter(), time.process_time()
import numpy as np
from benchmarks.bench_embedding import vectors
from benchmarks.bench_layout import ours
from core.embedding.layout import fidelity
made = vectors({count})
placed = ours(made)
cold = time.perf_counter() - start, time.process_time() - cpu
start, cpu = time.perf_counter(), time.process_time()
ours(made)
warm = time.perf_counter() - start, time.process_time() - cpu
print("|", "map of {count:,} records, fresh process, imports included |", f"{{cold[0]:.1f}} | {{cold[1]:.1f}} |",
      "trustworthiness", fidelity(made, placed, np.arange(len(made)))["trustworthiness"], "|")
print("|", "map of {count:,} records, warm |", f"{{warm[0]:.1f}} | {{warm[1]:.1f}} | |")
"""


def layout(count: int) -> list[str]:
    done = subprocess.run([sys.executable, "-c", MAP.format(count=count)], capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()


def query() -> str:
    code = (
        "import time; t = time.perf_counter()\n"
        "from core.embedding.encoders import default_model_path\nfrom core.embedding.light import light_encoder\n"
        "light_encoder(default_model_path()).encode('chest pain after exercise'); c = time.perf_counter() - t\n"
        "t = time.perf_counter(); light_encoder(default_model_path()).encode('shortness of breath')\n"
        "print(f'| query to vector, fresh process | {c:.2f} | | {(time.perf_counter() - t) * 1000:.0f} ms after |')"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--pool", type=int, default=20_000, help="records for the neighbours")
    parser.add_argument("--map", type=int, default=2000, help="records for the map")
    args = parser.parse_args()
    print("| what | wall s | CPU s | |\n|---|---|---|---|")
    for line in [*embedding(args.texts), neighbours(args.pool), halves(args.pool), *layout(args.map), query()]:
        print(line, flush=True)


if __name__ == "__main__":
    main()
