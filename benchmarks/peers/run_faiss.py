"""faiss's exact range search over a file of vectors: `python -m benchmarks.peers.run_faiss IN.npy THRESHOLD THREADS`.

IndexFlatIP compares every row with every row, itself and both orders included, a block of queries at a time as its documentation
advises; the pairs i < j are kept. Prints {"pairs", "wall", "cpu"}.
"""

import json
import sys
import time

import faiss
import numpy as np

BLOCK = 4096


def main() -> None:
    vectors, threshold = np.load(sys.argv[1]), float(sys.argv[2])
    faiss.omp_set_num_threads(int(sys.argv[3]))
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    pairs, wall, cpu = 0, time.perf_counter(), time.process_time()
    for start in range(0, len(vectors), BLOCK):
        limits, _, found = index.range_search(vectors[start : start + BLOCK], threshold)
        rows = np.repeat(np.arange(start, start + len(limits) - 1), np.diff(limits).astype(np.int64))
        pairs += int((found > rows).sum())
    print(json.dumps({"pairs": pairs, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}))


main()
