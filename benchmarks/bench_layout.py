"""The map and the neighbours against their peers, side by side in one run: `python -m benchmarks.bench_layout`.

The map, from vectors to coordinates: umap-learn with its defaults (all cores, neighbours by pynndescent, spectral start), warm, and
this app's steps `neighbours` and `map` together, warm; trustworthiness of both on the same 2,000 records. Neighbours: against the
float32 matrix product of the same size and, when it is installed, faiss-cpu's exact flat index. Each pair runs in turn, so that other
load falls on both; CPU seconds stand beside. Vectors: benchmarks/large.py, or a .npy of your own.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

from benchmarks.bench_embedding import gemm_rate, timed

COLD = """
import time; start, cpu = time.perf_counter(), time.process_time()
import sys, numpy as np
from benchmarks.bench_layout import ours
vectors = np.load(sys.argv[1])
ours(vectors)
wall, cpu = time.perf_counter() - start, time.process_time() - cpu
print(f"| map of {len(vectors):,}, fresh process, compilation included | {wall:.1f} | {cpu:.1f} | |")
"""


def ours(vectors: np.ndarray) -> np.ndarray:
    from core.embedding.coarse import draw
    from core.embedding.neighbours import knn

    return draw(vectors, *knn(vectors, 30), 15, 0, 42)[0]


def theirs(vectors: np.ndarray) -> np.ndarray:
    from umap import UMAP

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return UMAP(metric="cosine").fit_transform(vectors)


def maps(vectors: np.ndarray) -> list[str]:
    from core.embedding.layout import fidelity

    rows, lines, spent = np.arange(len(vectors)), [], []
    for title, work in (("umap-learn, defaults", theirs), ("here, neighbours included", ours)):
        work(vectors[:5000])  # compiled before it is timed; umap-learn takes pynndescent from 4,096 records
        placed: list[np.ndarray] = []
        wall, cpu = timed(lambda w=work, p=placed: p.append(w(vectors)))
        trust = fidelity(vectors, placed[0], rows)
        spent.append((wall, cpu))
        said = f"trustworthiness {trust['trustworthiness']}, neighbours kept {trust['neighbour_overlap']}"
        lines.append(f"| map of {len(vectors):,}, warm: {title} | {wall:.1f} | {cpu:.1f} | {said} |")
    (a, b), (c, d) = spent
    return [*lines, f"| | | | {a / c:.1f} times as fast by wall time, {b / d:.1f} by CPU time |"]


def placing(vectors: np.ndarray, near: int = 15) -> str:
    """Every tenth record held out and placed: how many of its nearest others are nearest on the map too, and how far out it lies."""
    from core.embedding.manifold import place

    held = np.arange(len(vectors)) % 10 == 0
    new, pool = vectors[held], vectors[~held]
    layout, whole = ours(pool), ours(vectors)
    placed = place(new, pool, layout, near, 42)
    true = np.argsort(-(new @ pool.T), axis=1)[:, :near]

    def kept(points: np.ndarray, others: np.ndarray) -> float:
        far = ((points[:, None] - others[None]) ** 2).sum(2)
        found = np.argsort(far, axis=1)[:, :near]
        return float(np.mean([len(set(a) & set(b)) / near for a, b in zip(found, true, strict=True)]))

    middle = layout.mean(0)
    out = np.median(np.linalg.norm(placed - middle, axis=1)) / np.median(np.linalg.norm(layout - middle, axis=1))
    said = f"{kept(placed, layout):.3f} of the {near} nearest kept, {kept(whole[held], whole[~held]):.3f} in a layout of all"
    return f"| {held.sum():,} held-out records placed into a map of {len(pool):,} | | | {said}; {out:.2f} times as far out |"


def neighbours(vectors: np.ndarray, k: int = 30) -> list[str]:
    from core.embedding.neighbours import knn

    knn(vectors[:1000], k)
    before = gemm_rate(1.0)
    wall, cpu = timed(lambda: knn(vectors, k))
    after = gemm_rate(1.0)
    work = 2.0 * len(vectors) ** 2 * vectors.shape[1]
    share = 2 * work / wall / (before[0] + after[0]), 2 * work / cpu / (before[1] + after[1])
    size = f"{len(vectors):,} x {vectors.shape[1]}, k = {k}"
    said = f"{share[0]:.0%} of the float32 matrix rate by wall time, {share[1]:.0%} by CPU"
    lines = [f"| exact neighbours, {size}: here | {wall:.1f} | {cpu:.1f} | {said} |"]
    if importlib.util.find_spec("faiss"):
        import faiss

        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        wall, cpu = timed(lambda: index.search(vectors, k + 1))
        lines.append(f"| the same: faiss-cpu {faiss.__version__}, IndexFlatIP | {wall:.1f} | {cpu:.1f} | |")
    return lines


def made(count: int) -> np.ndarray:
    from benchmarks.large import make

    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), count, 20)
        vectors = np.load(Path(folder) / "training.npy").astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 50_000])
    parser.add_argument("--vectors", type=Path, help="a .npy of unit rows instead of made ones")
    args = parser.parse_args()
    pool = np.load(args.vectors).astype(np.float32) if args.vectors else made(max(args.sizes))
    print("| what | wall s | CPU s | |\n|---|---|---|---|")
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file.name, pool[:2000])
        done = subprocess.run([sys.executable, "-c", COLD, file.name], capture_output=True, text=True, check=True)
        print(done.stdout.strip(), flush=True)
    print(placing(pool[:5500]), flush=True)
    for size in args.sizes:
        for line in [*maps(pool[:size]), *neighbours(pool[:size])]:
            print(line, flush=True)


if __name__ == "__main__":
    main()
