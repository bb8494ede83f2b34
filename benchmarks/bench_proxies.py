"""Which proxy finds planted faults and same-task records: heads on frozen embeddings, and (slow, asked for) language models.

    python -m benchmarks.bench_proxies [--data ../shared/data] [--cache DIR] [--language-models]

AUROC of low influence for swapped and wrong responses, of high influence for records of the target's own data set. Chosen on
wikidoc_patient_info and t0_influence, confirmed on the sample data: docs/adr/0004-proxy-by-experiment.md.
"""

import argparse
import gzip
import hashlib
import json
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.influence.match import matching

SAMPLE = Path(__file__).parents[1] / "sample_data"


@dataclass(frozen=True)
class Task:
    """Records as (prompt, reasoning, response), a validation set, and which records should come last (or first)."""

    name: str
    records: list[tuple[str, str, str]]
    validation: list[tuple[str, str, str]]
    truth: dict[str, np.ndarray]
    high: bool = False  # the true ones should have high influence


def sample() -> Task:
    def read(name: str) -> list[dict]:
        return [json.loads(line) for line in (SAMPLE / name).read_text("utf-8").splitlines()]

    def texts(row: dict) -> tuple[str, str, str]:
        user = [m["content"] for m in row["messages"] if m["role"] == "user"][-1]
        return user, row.get("reasoning") or "", row["messages"][-1]["content"]

    rows, faults = read("training.jsonl"), {}
    for entry in read("key.jsonl"):
        faults.setdefault(entry["fault"], set()).add(entry.get("id"))
    truth = {
        short: np.array([r["id"] in faults[name] for r in rows])
        for short, name in (
            ("swapped", "swapped_response"),
            ("wrong", "wrong_response"),
            ("format", "format_violation"),
        )
    }
    truth["swapped or wrong"] = truth["swapped"] | truth["wrong"]
    return Task("sample", [texts(r) for r in rows], [texts(r) for r in read("validation.jsonl")], truth)


def wikidoc(data: Path, seed: int, count: int = 900, planted: int = 30, checks: int = 50) -> Task:
    with gzip.open(data / "wikidoc_patient_info" / "medical_meadow_small.json.gz", "rt") as stream:
        rows = json.load(stream)
    rows = [(r["input"], "", r["output"]) for r in rows if r["output"].strip()]
    random = np.random.default_rng(seed)
    picked = [rows[i] for i in random.permutation(len(rows))[: count + checks]]
    records, bad = picked[:count], random.permutation(count)[:planted]
    given = [records[i][2] for i in np.roll(bad, 1)]
    for i, response in zip(bad, given, strict=True):
        records[i] = (records[i][0], "", response)
    return Task(f"wikidoc {seed}", records, picked[count:], {"swapped": np.isin(np.arange(count), bad)})


def same_task(data: Path) -> list[Task]:
    def read(path: Path) -> list[tuple[str, str, str]]:
        with gzip.open(path, "rt") as stream:
            rows = [json.loads(line) for line in stream]
        return [(r["prompt"], "", r["completion"].replace("<|endoftext|>", "")) for r in rows]

    files = sorted((data / "t0_influence" / "pool").glob("*.gz"))
    pool = [(p.name.split("_")[0], r) for p in files for r in read(p)]
    found = []
    for path in sorted((data / "t0_influence" / "target").glob("*.gz")):
        name = path.name.split("_")[0]
        own = np.array([source == name for source, _ in pool])
        found.append(Task(name, [r for _, r in pool], read(path)[:20], {"same task": own}, True))
    return found


def auroc(scores: np.ndarray, truth: np.ndarray) -> float:
    from scipy.stats import rankdata

    n, ranks = int(truth.sum()), rankdata(scores)
    return float((ranks[truth].sum() - n * (n + 1) / 2) / (n * (len(truth) - n)))


def embed(texts: list[str], cache: Path | None) -> np.ndarray:
    """(n, 384) unit rows of the embedded model."""
    from core.embedding.encode import batches
    from core.embedding.encoders import open_encoder

    name = hashlib.md5(json.dumps(texts).encode(), usedforsecurity=False).hexdigest() + ".npy"
    if cache is not None and (cache / name).is_file():
        return np.load(cache / name, allow_pickle=False)
    encoder = open_encoder()
    tokens, found = encoder.tokenise(texts), np.zeros((len(texts), encoder.dimension), np.float32)
    for rows in batches(tokens.kept, encoder.budget):
        found[rows] = encoder.vectors(tokens, rows)
    found = matching.unit(found)
    if cache is not None:
        np.save(cache / name, found, allow_pickle=False)
    return found


def vectors(rows: list[tuple[str, str, str]], cache: Path | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(e, x, r) as the matching head reads them."""
    contexts = [f"{p}\n{t}" if t else p for p, t, _ in rows]
    return embed([p for p, _, _ in rows], cache), embed(contexts, cache), embed([r for _, _, r in rows], cache)


def match(own: tuple, other: tuple, records: list, damping: float = 0.1) -> dict[str, np.ndarray]:
    count = len(records)
    folds = matching.folds_of([p + r for p, _, r in records])
    mine, theirs = matching.parts(own, other, np.ones(count, bool), folds)
    matrix, scale = matching.curvature(mine, np.arange(count))
    every = [np.arange(len(other[0]))]
    return {
        "matching head, dot": matching.scores(mine, matching.directions(theirs, every))[0][:, 0],
        "**matching head, GGN**": matching.scores(mine, matching.directions(theirs, every, matrix, damping * scale))[0][
            :, 0
        ],
        "(its fit alone, no influence)": mine.fit,
    }


def ridge_map(own: tuple, other: tuple, damping: float = 10.0) -> dict[str, np.ndarray]:
    """A linear map e -> r by ridge regression; gradients from leave-one-out residuals; H = X'X + damping I exactly."""
    (e, _, r), (ev, _, rv) = own, other
    middle, centre = e.mean(0), r.mean(0)
    x, y, xv, yv = e - middle, r - centre, ev - middle, rv - centre
    inverse = np.linalg.inv(x.T @ x + damping * np.eye(x.shape[1]))
    weights = inverse @ x.T @ y
    left = (y - x @ weights) / (1 - np.einsum("nd,nd->n", x @ inverse, x))[:, None]
    alike = left @ (yv - xv @ weights).T
    return {
        "ridge map, dot": (x @ xv.T * alike).mean(1),
        "ridge map, GGN": (x @ inverse @ xv.T * alike).mean(1),
        "ridge map from nothing, dot": (x @ xv.T * (y @ yv.T)).mean(1),
    }


def contrastive(own: tuple, other: tuple, sharp: float = 20.0) -> dict[str, np.ndarray]:
    """InfoNCE, score = sharp * e' W r among all training responses, W at the identity; all of W, its diagonal, or its scale."""
    (e, _, r), (ev, _, rv) = own, other

    def residual(p: np.ndarray, own_response: np.ndarray, place: bool) -> np.ndarray:
        logits = sharp * p @ r.T
        if not place:
            logits = np.hstack([logits, sharp * np.einsum("nd,nd->n", p, own_response)[:, None]])
        share = np.exp(logits - logits.max(1, keepdims=True))
        share /= share.sum(1, keepdims=True)
        return own_response - share[:, : len(r)] @ r - (0 if place else share[:, -1:] * own_response)

    d, dv = residual(e, r, True), residual(ev, rv, False)
    g, gv = e * d, ev * dv
    return {
        "InfoNCE, all of W, dot": (e @ ev.T * (d @ dv.T)).mean(1),
        "InfoNCE, diagonal of W, dot": g @ gv.mean(0),
        "InfoNCE, diagonal of W, mean of cosines": matching.unit(g) @ matching.unit(gv).mean(0),
        "InfoNCE, scale of W, dot": g.sum(1) * gv.sum(1).mean(),
    }


def words(
    own: tuple, other: tuple, records: list, checks: list, most: int = 2000, damping: float = 0.1
) -> dict[str, np.ndarray]:
    """Multinomial logistic regression of the response's words on [1, e], at the unigram model: G = (p - y) h', H Kronecker, exact."""
    split = re.compile(r"[a-z0-9]+").findall
    counts = [Counter(split(r.lower())) for _, _, r in records]
    known = {w: i for i, (w, _) in enumerate(sum(counts, Counter()).most_common(most))}

    def bag(rows: list[Counter]) -> np.ndarray:
        found = np.zeros((len(rows), len(known)), np.float32)
        for i, row in enumerate(rows):
            for w, n in row.items():
                if w in known:
                    found[i, known[w]] = n
        return found / np.maximum(found.sum(1, keepdims=True), 1)

    y, yv = bag(counts), bag([Counter(split(r.lower())) for _, _, r in checks])
    p = y.mean(0)
    h, hv = (np.hstack([np.ones((len(x), 1)), x]) for x in (own[0], other[0]))
    inverse = np.linalg.inv(h.T @ h / len(h) + damping * np.eye(h.shape[1]))
    return {
        "softmax over words, dot": (h @ hv.T * ((y - p) @ (yv - p).T)).mean(1),
        "softmax over words, GGN": (h @ inverse @ hv.T * ((y - p) / (p + 1e-4) @ (yv - p).T)).mean(1),
    }


def heads(task: Task, cache: Path | None) -> dict[str, np.ndarray]:
    own, other = vectors(task.records, cache), vectors(task.validation, cache)
    return (
        {"(similarity of prompts, no influence)": own[0] @ other[0].mean(0)}
        | ridge_map(own, other)
        | contrastive(own, other)
        | words(own, other, task.records, task.validation)
        | match(own, other, task.records)
    )


def language_model(task: Task, seconds: int = 60) -> dict[str, np.ndarray]:
    """The step `proxy`: a causal model with its own BPE, from nothing; LoRA space, mean gradient and GGN."""
    from core.influence import proxy
    from core.influence.encode import THINK, Conversation, Encoder
    from core.influence.models import LanguageModel
    from core.influence.scoring import scores
    from core.progress import silent

    def said(rows: list[tuple[str, str, str]]) -> list[Conversation]:
        return [Conversation((("user", p),), THINK.format(t, r) if t else r) for p, t, r in rows]

    records, checks = said(task.records), said(task.validation)
    params = proxy.DEFAULTS | {"seconds": seconds}
    tokenizer = proxy.train_tokenizer((t for r in records for t in (r.context[0][1], r.target)), params["vocabulary"])
    encoder = Encoder(tokenizer, params["max_length"])
    tokens, check = encoder.encode(records), encoder.encode(checks)
    module = proxy.build(len(tokenizer), params)
    proxy.train(module, tokenizer, tokens, check, params, silent)
    model = LanguageModel(module, tokenizer, "proxy", "", "cpu", "float32", params["max_length"])
    return {f"language model, {d}": scores(model, tokens, check, direction=d)[:, 0] for d in ("mean", "ggn")}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    options.add_argument("--cache", type=Path, help="keep the embeddings in this folder")
    options.add_argument("--seeds", type=int, default=3, help="of wikidoc")
    options.add_argument("--tasks", default="", help="only those whose names begin so, for example sample,cosmos")
    options.add_argument(
        "--language-models", action="store_true", help="also the causal language model and the decoder: minutes each"
    )
    given = options.parse_args()
    tasks = [sample()]
    if given.data.is_dir():
        tasks = [*(wikidoc(given.data, s + 1) for s in range(given.seeds)), *same_task(given.data), *tasks]
    wanted = tuple(given.tasks.split(","))
    tasks = [t for t in tasks if t.name.startswith(wanted)]
    if given.cache is not None:
        given.cache.mkdir(parents=True, exist_ok=True)
    columns, found = [], {}
    for task in tasks:
        started = time.process_time()
        scores = heads(task, given.cache)
        if given.language_models:
            from benchmarks.proxy_decoder import decoder

            scores |= language_model(task)
            for memory in (True, False):
                scores |= decoder(task.records, task.validation, memory)
        for name, truth in task.truth.items():
            columns.append(f"{task.name}: {name}")
            for method, values in scores.items():
                found.setdefault(method, []).append(auroc(values if task.high else -values, truth))
        print(f"<!-- {task.name}: {time.process_time() - started:.0f} CPU s -->", flush=True)
    print("\n| proxy | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 1))
    for method, values in found.items():
        print(f"| {method} | " + " | ".join(f"{v:.3f}".removeprefix("0") for v in values) + " |")


if __name__ == "__main__":
    main()
