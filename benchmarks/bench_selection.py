"""DIQ against its rivals at 1 % and 10 %: loss on records that neither the strategies nor the training ever saw.

    python -m benchmarks.bench_selection [--sets sample,medquad,t0] [--seeds 5] [--home DIR] [--data DIR]

Each set is imported into a workspace of its own with one half of its validation records; the strategies rank by those. The other half
measures. A head on frozen embeddings is trained on every pick (core/influence/proof/head.py), because it takes half a second: a first
answer, no fine-tuning of a language model. What is done stays in the home, so a stopped run goes on.
"""

import argparse
import gzip
import json
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from core.actions.choosing import pick, production_shares, restricted, selection_frame
from core.actions.frame import difficulty_sources, has_values
from core.dataset.importing import import_file
from core.errors import QuadrantError
from core.influence.proof.head import Head
from core.influence.proof.proof import t_interval
from core.influence.selection.strategies import STRATEGIES
from core.steps import analysis, current, run_step, set_params
from core.workspace import Workspace, digest_of, open_workspace, write_atomically

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
STEPS = (
    "embed",
    "embed:validation",
    "embed:production",
    "neighbours",
    "clusters",
    "coverage",
    "influence",
    "difficulty",
)
TASKS = (
    "adversarial_qa", "common_gen", "commonsense_qa", "cosmos_qa", "dbpedia", "paws", "qasc", "quarel", "quartz", "ropes",
)  # fmt: skip
BUDGETS, POOL, TRAINING_STEPS = ("1%", "10%"), 2000, 60


def read_lines(path: Path) -> list[dict]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream if line.strip()]


def sample(data: Path) -> dict[str, list[dict]]:
    """The sample data; its validation records halved by turns."""
    folder = ROOT / "sample_data"
    given = {role: read_lines(folder / f"{role}.jsonl") for role in ("training", "production", "validation")}
    held = given["validation"]
    return {**given, "validation": held[0::2], "measure": held[1::2]}


def medquad(data: Path) -> dict[str, list[dict]]:
    """2,000 medical questions with answers, category = kind of question; 100 held out to rank by, 300 to measure."""
    rows = [r for r in read_lines(data / "medquad" / "medquad_flat.jsonl.gz") if (r.get("answer") or "").strip()]
    order = np.random.default_rng(0).permutation(len(rows))
    made = [
        {"prompt": rows[i]["question"], "response": rows[i]["answer"], "category": rows[i].get("qtype") or ""}
        for i in order
    ]
    seen, unique = set(), []
    for row in made:
        if row["prompt"] not in seen:
            seen.add(row["prompt"])
            unique.append(row)
    return {
        "training": unique[:POOL],
        "validation": unique[POOL : POOL + 100],
        "measure": unique[POOL + 100 : POOL + 400],
    }


def t0(data: Path) -> dict[str, list[dict]]:
    """2,000 records of ten tasks; of seven of these tasks, in other words, 20 records each to rank by and 60 to measure."""
    found: dict[str, list[dict]] = {"training": [], "validation": [], "measure": []}
    for role, span in (("pool", slice(0, 200)), ("target", slice(0, 80))):
        for path in sorted((data / "t0_influence" / role).iterdir()):
            task = next(t for t in TASKS if path.name.startswith(t))
            rows = [
                {"prompt": r["prompt"], "response": r["completion"].replace("<|endoftext|>", ""), "category": task}
                for r in read_lines(path)[span]
            ]
            if role == "pool":
                found["training"] += rows
            else:
                found["validation"] += rows[:20]
                found["measure"] += rows[20:]
    return found


SETS = {"sample": sample, "medquad": medquad, "t0": t0}


def ready(home: Path, name: str, data: Path) -> tuple[Workspace, Workspace]:
    """(the workspace, another that holds the measuring records as its training records), every step done."""
    main, other = open_workspace(home / name), open_workspace(home / f"{name}-measure")
    if main.dataset("validation") is None:
        found = SETS[name](data)
        for role, rows in found.items():
            path = home / f"{name}-{role}.jsonl"
            path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
            space, as_role = (other, "training") if role == "measure" else (main, role)
            space.add(as_role, path.name, lambda folder, path=path, as_role=as_role: import_file(path, folder, as_role))
    run_step(other, "embed")
    set_params(main, "proxy", {"seconds": 60})  # of training, where losses have to stand in for ratings
    able = analysis(main)[0]
    rated = has_values(main.need(), "difficulty")
    for step in STEPS:
        if step in able and not (step == "difficulty" and rated):
            run_step(main, step)
    return main, other


def losses(home: Path, name: str, data: Path, seeds: int) -> tuple[dict, dict]:
    """({(strategy, budget): losses by seed}, facts) of one set; each training is kept in the home."""
    began = time.perf_counter(), time.process_time()
    main, other = ready(home, name, data)
    training, measure = main.need(), other.need()

    def texts(dataset) -> list[tuple[str, str]]:
        return list(zip(dataset.column("prompt").to_pylist(), dataset.column("response").to_pylist(), strict=True))

    held = set(texts(main.need("validation"))) | set(texts(measure))
    forbidden = np.array([t in held for t in texts(training)], bool)
    learner = Head(
        current(main, "embed").array(), [r for _, r in texts(training)], current(other, "embed").array(),
        [r for _, r in texts(measure)], forbidden,
    )  # fmt: skip
    frame = selection_frame(main, training)
    ids = training.ids()
    at = {i: n for n, i in enumerate(ids)}
    rows = np.array([at[i] for i in frame.ids])
    usable = np.flatnonzero(~forbidden[rows] & learner.able[rows])
    frame, rows = restricted(frame, usable), rows[usable]
    kept_path = home / f"{name}.json"
    kept = json.loads(kept_path.read_text("utf-8")) if kept_path.exists() else {}
    own_shares = production_shares(main)
    counts = Counter(c or "" for c in main.need("validation").column("category").to_pylist())
    quotas = "production" if own_shares else {c: n / sum(counts.values()) for c, n in counts.items()}
    found: dict[tuple[str, str], list[float]] = {}
    unable: dict[str, str] = {}

    def fitted(own: np.ndarray, seed: int) -> float:
        key = digest_of(learner.identity, str(seed), str(TRAINING_STEPS), *sorted(ids[r] for r in own))[:24]
        if key not in kept:
            kept[key] = learner.fit(own, seed, TRAINING_STEPS).loss
            write_atomically(kept_path, json.dumps(kept))
        return kept[key]

    for strategy in STRATEGIES:
        for budget in BUDGETS:
            for seed in range(seeds):
                params = {"quotas": quotas} if strategy == "diq quotas" else {}
                try:
                    chosen = pick(main, strategy, budget, seed, None, frame, **params)
                except QuadrantError as error:
                    unable[strategy] = str(error)
                    break
                found.setdefault((strategy, budget), []).append(fitted(rows[chosen.rows], seed))
    everything = [fitted(rows, seed) for seed in range(seeds)]
    start = learner.fit(rows[:1], 0, 1).start
    influence = current(main, "influence")
    facts = {
        "pool": len(rows), "measure": len(learner.check_x), "start": start, "all": float(np.mean(everything)), "unable": unable,
        "influence": influence.info.get("sentence") or influence.info["model"],
        "difficulty": title_of_difficulty(main), "quotas": "production" if own_shares else "validation",
        "wall": time.perf_counter() - began[0], "cpu": time.process_time() - began[1],
    }  # fmt: skip
    return found, facts


def title_of_difficulty(space: Workspace) -> str:
    return next((title for _, title in difficulty_sources(space, space.need())), "none")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--sets", default=",".join(SETS))
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "quadrant-bench-selection")
    options.add_argument("--data", type=Path, default=DATA)
    given = options.parse_args()
    given.home.mkdir(parents=True, exist_ok=True)
    names, told = [n for n in given.sets.split(",") if n], {}
    for name in names:
        if name != "sample" and not given.data.is_dir():
            print(f"{name}: left out, {given.data} is not here.\n")
            continue
        told[name] = losses(given.home, name, given.data, given.seeds)
    print(
        "Loss (nats a word) less that of random picks of the same size and seed: below 0 is better than random. 95 % t-intervals"
    )
    print(
        f"over {given.seeds} seeds, paired, not corrected for the number of strategies; **bold** where zero is outside.\n"
    )
    print("| strategy | " + " | ".join(f"{n} {b}" for n in told for b in BUDGETS) + " |")
    print("|---|" + "---|" * (len(told) * len(BUDGETS)))
    for strategy in STRATEGIES:
        if strategy != "random":
            cells = [cell(found, strategy, budget) for found, _ in told.values() for budget in BUDGETS]
            print(f"| {STRATEGIES[strategy].title} | " + " | ".join(cells) + " |")
    print(
        "| Random: its loss | "
        + " | ".join(f"{np.mean(f['random', b]):.4f}" for f, _ in told.values() for b in BUDGETS)
        + " |\n"
    )
    for name, (_, facts) in told.items():
        print(
            f"{name}: {facts['pool']:,} records to pick from, measured on {facts['measure']:,} others; loss before training "
            f"{facts['start']:.4f}, with all records {facts['all']:.4f}; quotas by the categories of {facts['quotas']}; difficulty: "
            f"{facts['difficulty']}; influence: "
            f"{facts['influence']} {facts['wall']:.0f} s wall, {facts['cpu']:.0f} s CPU.\n"
        )
        for strategy, why in facts["unable"].items():
            print(f"- {strategy}: {why}")


def cell(found: dict, strategy: str, budget: str) -> str:
    own, random = found.get((strategy, budget)), found["random", budget]
    if not own:
        return "–"
    gap = t_interval([a - b for a, b in zip(own, random, strict=True)])
    text = f"{gap.mean:+.4f} ({gap.low:+.4f} to {gap.high:+.4f})"
    return f"**{text}**" if gap.low > 0 or gap.high < 0 else text


if __name__ == "__main__":
    main()
