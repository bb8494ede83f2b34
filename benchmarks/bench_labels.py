"""Label noise against cleanlab, side by side in one run: planted flips (clinc150) and real errors (PubMedQA, MMLU-Redux).

`python -m benchmarks.bench_labels [--records 10000]`. Both sides get the same vectors of the embedded model; average precision is of
the ranking by doubt. Times are of the label check alone, without embedding: wall and CPU seconds, in processes of their own for
cleanlab (`python -m benchmarks.peers.install cleanlab`; absent, it is said to be). QUADRANT_DATA_SETS names the folder of the sets.
"""

import argparse
import ast
import csv
import gzip
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.peers import install

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("QUADRANT_DATA_SETS") or ROOT.parent / "shared" / "data")
Task = tuple[list[str], list[str], list[str], np.ndarray]  # prompts, answers, labels, whether the label is wrong


def read_csv(name: str) -> list[dict]:
    with gzip.open(DATA / name, "rt", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def clinc150(count: int) -> Task:
    truth = {row["id"]: row["true_intent"] for row in read_csv("clinc150/clinc150_train_noisy.truth.csv.gz")}
    rows = read_csv("clinc150/clinc150_train_noisy.csv.gz")
    rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[:count]]
    return (
        [r["text"] for r in rows], [""] * len(rows), [r["intent"] for r in rows],
        np.array([truth[r["id"]] != r["intent"] for r in rows]),
    )  # fmt: skip


def pubmedqa(count: int) -> Task:
    """One annotator's yes, no or maybe against the adjudicated one; the text is question and abstract, the answer its conclusion."""
    rows = json.loads(gzip.decompress((DATA / "pubmedqa/ori_pqal.json.gz").read_bytes())).values()
    rows = list(rows)[:count]
    return (
        [f"{r['QUESTION']} {' '.join(r['CONTEXTS'])}" for r in rows], [r["LONG_ANSWER"] for r in rows],
        [r["reasoning_required_pred"] for r in rows],
        np.array([r["reasoning_required_pred"] != r["final_decision"] for r in rows]),
    )  # fmt: skip


def mmlu_redux(count: int) -> Task:
    """Four rows a question would need a reader; here the label is the key's letter, which no text classifier can learn: a floor."""
    rows = read_csv("mmlu_redux/all.csv.gz")[:count]
    texts = [f"{r['question']} {' '.join(map(str, ast.literal_eval(r['choices'])))}" for r in rows]
    keys = [ast.literal_eval(r["choices"])[int(r["groundtruth_answer"])] for r in rows]
    return (
        texts, [str(key) for key in keys], ["ABCD"[int(r["groundtruth_answer"])] for r in rows],
        np.array([r["error_type"] == "wrong_groundtruth" for r in rows]),
    )  # fmt: skip


TASKS = {"clinc150_noisy, planted": clinc150, "PubMedQA, one annotator": pubmedqa, "MMLU-Redux, wrong keys": mmlu_redux}


def timed(work):
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def embedded(texts: list[str]) -> np.ndarray:
    """(N, 384) float32 unit rows of the embedded model."""
    from core.embedding.encode import batches
    from core.embedding.encoders import open_encoder

    encoder = open_encoder()
    tokens = encoder.tokenise(texts)
    found = None
    for rows in batches(tokens.kept, encoder.budget):
        part = encoder.vectors(tokens, rows)
        found = np.zeros((len(texts), part.shape[1]), np.float32) if found is None else found
        found[rows] = part
    return found


def ours(prompts: list[str], answers: list[str], labels: list[str], vectors: np.ndarray):
    """(doubt, kNN disagreement, flags, probabilities, label numbers, what was read), as the step `labels` has them."""
    from core.quality import label_features as features
    from core.quality import labels as step
    from core.quality.label_neighbours import neighbour_votes

    names = sorted(set(labels))
    index = {name: i for i, name in enumerate(names)}
    y = np.array([index[name] for name in labels])
    fold = features.folds_of(prompts, y)
    seen = vectors
    if not features.names_label(labels, answers):
        both = [f"{p}\n{a}" for p, a in zip(prompts, answers, strict=True)]
        seen = np.concatenate([vectors, features.word_vectors(both)], axis=1)
    probabilities = step.out_of_fold(seen, y, fold).probabilities
    confident = step.confident_labels(probabilities, y)
    near = neighbour_votes(vectors, y)[0]
    doubt = 1 - probabilities[np.arange(len(y)), y]
    return doubt, 1 - near, (confident >= 0) & (confident != y), probabilities, y, seen


def cleanlab(how: str, **arrays) -> tuple[np.ndarray, float, float] | str:
    """(doubt, wall, CPU seconds), or why there is none."""
    if reason := install.absent("cleanlab"):
        return reason
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(given, **arrays)
        command = [str(install.python("cleanlab")), "-m", "benchmarks.peers.run_cleanlab", str(given), str(out), how]
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=1800,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        except subprocess.TimeoutExpired:
            return "not done within 1,800 s"
        if done.returncode:
            return done.stderr.strip().splitlines()[-1][:200]
        took = json.loads(done.stdout.strip().splitlines()[-1])
        return 1 - np.load(out)["quality"], took["wall"], took["cpu"]


def row(task: str, who: str, wrong: np.ndarray, doubt: np.ndarray, wall: float, cpu: float, note: str = "") -> str:
    from sklearn.metrics import average_precision_score, roc_auc_score

    found = f"{average_precision_score(wrong, doubt):.3f} | {roc_auc_score(wrong, doubt):.3f}"
    return f"| {task} | {who} | {found} | {wall:.1f} | {cpu:.1f} | {note} |"


def compare(title: str, task: Task, peers: bool = True) -> None:
    prompts, answers, labels, wrong = task
    vectors = embedded(prompts)
    (doubt, apart, flagged, probabilities, y, seen), wall, cpu = timed(lambda: ours(prompts, answers, labels, vectors))
    size = f"{title}: {len(labels):,} x {len(set(labels))}, {wrong.mean():.1%} wrong"
    note = (
        f"flags {flagged.sum():,}: precision {wrong[flagged].mean():.2f}, recall {flagged[wrong].mean():.2f}"
        if flagged.any()
        else ""
    )
    print(row(size, "Quadrant: doubt", wrong, doubt, wall, cpu, note), flush=True)
    print(row(size, "Quadrant: kNN disagreement", wrong, apart, wall, cpu, "in the same run"), flush=True)
    asked = (
        ("datalab", "cleanlab Datalab on the vectors", vectors),
        ("learning", "cleanlab CleanLearning on the vectors", vectors),
        ("tutorial", "Datalab, scikit-learn probabilities, the vectors", vectors),
        ("tutorial", "Datalab, scikit-learn probabilities, what Quadrant's classifier reads", seen),
    )
    for how, who, read in asked if peers else ():
        found = cleanlab(how, vectors=read, labels=y)
        if isinstance(found, str):
            print(f"| {size} | {who} | absent: {found} | | | | |", flush=True)
        else:
            print(row(size, who, wrong, *found), flush=True)
    found = cleanlab("probabilities", vectors=vectors, labels=y, probabilities=probabilities) if peers else "left out"
    if not isinstance(found, str):
        print(row(size, "cleanlab's score on Quadrant's probabilities", wrong, *found, "the same ranking"), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    count = parser.parse_args().records
    if not DATA.is_dir():
        print(f"The data sets are not at {DATA}.")
        return
    print("| data | method | average precision | AUROC | wall s | CPU s | |\n|---|---|---|---|---|---|---|")
    for title, read in TASKS.items():
        compare(title, read(count))


if __name__ == "__main__":
    main()
