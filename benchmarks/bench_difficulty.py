"""Difficulty against a panel of 16 language models on AfriMed-QA: every unsupervised metric, and the model learned from ratings.

    python -m benchmarks.bench_difficulty [--data ../shared/data] [--records 0] [--ratings 300] [--seeds 10] [--model PATH]
                                          [--workspace DIR] [--alpaca]

Truth is the share of the 16 models that answer a question wrongly, computed here from the models' columns: the file's own column
`difficulty` holds the same values in another order (311 of 3,910 rows agree), so it is not used. The learned rater sees `--ratings`
of them as levels 1..5 (fifths) and is judged on all the others.
"""

import argparse
import csv
import gzip
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from core.dataset.importing import import_file
from core.influence.difficulty import ordinal, rated
from core.influence.difficulty.rank_measures import interval, length_matched_spearman, quadratic_kappa, spearman
from core.influence.difficulty.text_features import NAMES, text_features
from core.steps import current, run_step, set_params
from core.workspace import Workspace, open_workspace

OPTIONS = "ABCDE"


def afrimed(folder: Path, records: int = 0) -> tuple[list[dict], np.ndarray, np.ndarray]:
    """(rows to import, (N,) difficulty 0..1 = share of wrong models, (N, 16) whether each model was right)."""

    def read(name: str) -> list[dict]:
        with gzip.open(folder / "afrimed_difficulty" / name, "rt", encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    questions = read("afrimedqa_v2_expert_mcq.csv.gz")
    truth = {row["sample_id"]: row for row in read("afrimedqa_v2_expert_mcq_difficulty.truth.csv.gz")}
    if records:
        questions = [questions[i] for i in np.sort(np.random.default_rng(0).permutation(len(questions))[:records])]
    rows, right = [], []
    for question in questions:
        options = [f"{k}. {question[k].strip()}" for k in OPTIONS if question[k].strip()]
        why = "" if question["rationale"].strip() == "no rationale" else question["rationale"].strip()
        answer = f"{question['answer']}. {question.get(question['answer'], '').strip()}"
        rows.append(
            {"id": question["sample_id"], "prompt": "\n".join([question["question"].strip(), *options]),
             "response": f"{answer}\n{why}".strip()}
        )  # fmt: skip
        own = truth[question["sample_id"]]
        right.append([int(own[k]) for k in sorted(own) if k.startswith("correct__")])
    right = np.array(right, float)
    return rows, 1 - right.mean(1), right


def fill(space: Workspace, rows: list[dict]) -> np.ndarray:
    """Import the rows; returns for each imported record the row it came from."""
    path = space.path / "rows.jsonl"
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    data = space.add("training", path.name, lambda folder: import_file(path, folder, "training"))
    return np.array(data.column("line").to_pylist()) - 1


def ceiling(right: np.ndarray, seed: int = 0, splits: int = 100) -> tuple[float, float]:
    """(mean rank correlation of two halves of the panel, Spearman–Brown reliability of the whole): no metric can do much better."""
    random, found = np.random.default_rng(seed), []
    for _ in range(splits):
        order = random.permutation(right.shape[1])
        half = len(order) // 2
        found.append(spearman(right[:, order[:half]].mean(1), right[:, order[half:]].mean(1)))
    r = float(np.mean(found))
    return r, 2 * r / (1 + r)


def auroc(score: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a positive record scores above a negative one, ties half."""
    from core.influence.difficulty.rank_measures import ranks

    n = int(positive.sum())
    return float((ranks(score)[positive].sum() - n * (n + 1) / 2) / (n * (len(score) - n)))


def unsupervised(space: Workspace) -> dict[str, np.ndarray]:
    """{title: (N,) values} of everything that is known without a rating."""
    data = space.need()
    prompts, responses = (data.column(c).to_pylist() for c in ("prompt", "response"))
    found = {
        "words of the prompt": np.array([len(p.split()) for p in prompts], float),
        "words of the response": np.array([len(r.split()) for r in responses], float),
    }
    result = current(space, "difficulty")
    if result is not None:
        for name, title in (
            ("nll", "NLL"),
            ("perplexity", "perplexity"),
            ("ifd_loss", "IFD, losses"),
            ("ifd_ppl", "IFD, perplexities"),
        ):
            found[title] = np.array(result.table([name]).column(0).to_numpy(zero_copy_only=False), float)
    vectors = np.asarray(current(space, "embed").array(), np.float32)
    found["distance from the middle of the embeddings"] = -(vectors @ vectors.mean(0)).astype(float)
    features = text_features(prompts, responses, [""] * len(prompts))
    return found | {
        f"feature: {n}": features[:, k].astype(float) for k, n in enumerate(NAMES) if features[:, k].std() > 0
    }


def learned(features: np.ndarray, truth: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """(held-out rows, their expected level after `count` ratings drawn by chance, kappa there)."""
    levels = np.searchsorted(np.quantile(truth, (0.2, 0.4, 0.6, 0.8)), truth, side="right") + 1.0
    order = np.random.default_rng(seed).permutation(len(truth))
    seen, held = order[:count], np.sort(order[count:])
    there = np.unique(levels[seen])
    model = ordinal.fit(features[seen], levels[seen], there)
    expected = model.predict(features[held])[0]
    return held, expected, quadratic_kappa(ordinal.nearest_level(expected, there), levels[held], np.unique(levels))


def report(
    space: Workspace, truth: np.ndarray, right: np.ndarray, ratings: int, seeds: int, shown: int = 8
) -> tuple[str, dict[str, float]]:
    """(Markdown, facts): the table of metrics, the learned rater, and by how much it leads."""
    data = space.need()
    words = np.array([len(r.split()) for r in data.column("response").to_pylist()], float)
    hard = truth >= np.quantile(truth, 0.75)
    metrics = unsupervised(space)
    lines = [
        "| metric, without any rating | rank correlation (95 %) | among responses of like length | AUROC, hardest quarter |",
        "|---|---|---|---|",
    ]
    strength: dict[str, float] = {}
    rows = []
    for title, values in metrics.items():
        known = np.isfinite(values)
        rho = spearman(values[known], truth[known])
        low, high = interval(spearman, (values[known], truth[known]), draws=500)
        matched = length_matched_spearman(values[known], truth[known], words[known])
        strength[title] = abs(rho)
        rows.append(
            (
                title,
                abs(rho),
                f"| {title} | {rho:+.3f} ({low:+.3f} to {high:+.3f}) | {matched:+.3f} | {auroc(values[known], hard[known]):.3f} |",
            )
        )
    plain = [r for r in rows if not r[0].startswith("feature: ")]
    best = sorted((r for r in rows if r[0].startswith("feature: ")), key=lambda r: -r[1])[:shown]
    lines += [r[2] for r in (*plain, *best)]
    features, _ = rated.design(current(space, "embed").array(), data)
    half, whole = ceiling(right)
    rhos, kappas, matched, leads = [], [], [], []
    for seed in range(seeds):
        held, expected, kappa = learned(features, truth, ratings, seed)
        rhos.append(spearman(expected, truth[held]))
        kappas.append(kappa)
        matched.append(length_matched_spearman(expected, truth[held], words[held]))
        # The rival is the metric that does best on the very records that the model is judged on: chosen with the truth in hand.
        leads.append(
            rhos[-1] - max(abs(spearman(v[held], truth[held])) for v in metrics.values() if np.isfinite(v[held]).all())
        )
    held, expected, _ = learned(features, truth, ratings, 0)
    rival = max((t for t in metrics if np.isfinite(metrics[t]).all()), key=strength.get)
    sign = np.sign(spearman(metrics[rival], truth))

    def lead(score: np.ndarray, other: np.ndarray, real: np.ndarray) -> float:
        return spearman(score, real) - spearman(other, real)

    low, high = interval(spearman, (expected, truth[held]))
    ahead = interval(lead, (expected, sign * metrics[rival][held], truth[held]))
    over = rhos[0] - sign * spearman(metrics[rival][held], truth[held])
    lines += [
        "",
        f"Learned from {ratings} ratings drawn by chance, judged on the other {len(held):,}: rank correlation {np.mean(rhos):.3f} "
        f"(mean of {seeds} draws, {min(rhos):.3f} to {max(rhos):.3f}; draw 0: {rhos[0]:.3f}, 95 % {low:.3f} to {high:.3f}); among "
        f"responses of like length {np.mean(matched):.3f}; quadratic-weighted kappa {np.mean(kappas):.3f}; AUROC of the hardest "
        f"quarter {auroc(expected, hard[held]):.3f} (draw 0).",
        f"Best metric without ratings, chosen with the truth in hand: {rival}, {strength[rival]:.3f}. The learned one is ahead of it "
        f"by {over:.3f} (draw 0, 95 % {ahead[0]:.3f} to {ahead[1]:.3f}), and of whichever is best on the judged records by "
        f"{np.mean(leads):.3f} (least of {seeds} draws: {min(leads):.3f}).",
        f"Ceiling: two halves of the panel agree at {half:.3f}; reliability of the whole {whole:.3f} (Spearman–Brown, 100 splits).",
    ]
    facts = {"learned": float(np.mean(rhos)), "least": min(rhos), "low": low, "rival": strength[rival], "ahead_low": ahead[0],
             "least_lead": min(leads), "ceiling": whole}  # fmt: skip
    return "\n".join(lines), facts


def alpaca(folder: Path, space: Workspace) -> str:
    """IFD >= 1 and what the published IFD selection owes to length, on the pool of 4,617 Alpaca rows."""

    def read(name: str) -> list[dict]:
        with gzip.open(folder / "alpaca_quality" / f"{name}.json.gz", "rt", encoding="utf-8") as stream:
            return json.load(stream)

    pool, chosen = (
        read("random_9k"),
        {(r["instruction"], r["input"], r["output"]) for r in read("cherry_alpaca_5_percent")},
    )
    at = fill(space, pool)
    run_step(space, "difficulty")
    table = current(space, "difficulty").table()
    member = np.array([(pool[i]["instruction"], pool[i]["input"], pool[i]["output"]) in chosen for i in at])
    words = np.array([len(pool[i]["output"].split()) for i in at], float)
    lines = [
        "| metric | AUROC for the published IFD selection | rank correlation with output length |",
        "|---|---|---|",
    ]
    for name in ("nll", "ifd_loss", "ifd_ppl"):
        values = np.array(table[name].to_numpy(zero_copy_only=False), float)
        known = np.isfinite(values)
        lines.append(
            f"| {name} | {auroc(values[known], member[known]):.3f} | {spearman(values[known], words[known]):+.3f} |"
        )
    lines.append(f"| output words | {auroc(words, member):.3f} | |")
    ifd = np.array(table["ifd_loss"].to_numpy(zero_copy_only=False), float)
    return "\n".join(lines) + f"\n\n{int((ifd >= 1).sum()):,} of {len(ifd):,} records have an IFD of 1 or more."


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    options.add_argument("--records", type=int, default=0, help="so many questions, drawn by chance; 0 = all")
    options.add_argument("--ratings", type=int, default=300)
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--model", default="proxy")
    options.add_argument("--workspace", type=Path, default=None, help="keep the work there, to go on from it")
    options.add_argument("--alpaca", action="store_true")
    given = options.parse_args()
    if not (given.data / "afrimed_difficulty").is_dir():
        print(f"{given.data} holds no afrimed_difficulty; nothing was measured.")
        return
    with tempfile.TemporaryDirectory() as temporary:
        base = given.workspace or Path(temporary)
        base.mkdir(parents=True, exist_ok=True)
        rows, truth, right = afrimed(given.data, given.records)
        space = open_workspace(base / "afrimed")
        at = fill(space, rows)
        set_params(space, "difficulty", {"model": given.model})
        for step in ("embed", "difficulty"):
            began = time.monotonic()
            run_step(space, step)
            print(f"{step}: {time.monotonic() - began:.0f} s", flush=True)
        print(f"\n{len(at):,} questions; losses of {current(space, 'difficulty').info['sentence']}\n")
        print(report(space, truth[at], right[at], given.ratings, given.seeds)[0], flush=True)
        if given.alpaca:
            print("\n### alpaca_quality\n")
            print(alpaca(given.data, open_workspace(base / "alpaca")))


if __name__ == "__main__":
    main()
