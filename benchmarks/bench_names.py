"""Names of clusters, judged: on MedQuAD, CLINC150 and WikiDoc questions, beside plain class-based TF-IDF on the same clusters.

`python -m benchmarks.bench_names [--records 5500] [--sets medquad clinc150 wikidoc] [--show 0]`. Unique first term: share of clusters
whose first term leads no other name. Own words: share of the names' words that stand in one name alone. Label: share of clusters
in whose name a word of their majority label stands; the label is the intent (CLINC150), or the most frequent word of the diseases
asked about (MedQuAD's `focus`, without words like "syndrome" that name nothing alone). F1: of finding a cluster again by "the text
holds one of the terms", mean. All: higher = better. Rare terms alone could win the first two; the last two then lose.
QUADRANT_DATA_SETS names the folder of the sets.
"""

import argparse
import gzip
import json
import os
import re
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

DATA = Path(os.environ.get("QUADRANT_DATA_SETS") or Path(__file__).resolve().parents[2] / "shared" / "data")
Set = tuple[
    list[str], list[set[str]] | None, bool
]  # texts, words of each one's label, whether the label is taken whole


def words(text: str) -> set[str]:
    """Lower-case words, plural and singular alike."""
    found = re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", text.lower())
    return {w[:-1] if len(w) > 3 and w.endswith("s") and not w.endswith("ss") else w for w in found if len(w) > 2}


def medquad(count: int) -> Set:
    from core.embedding.phrases import lists, stop_words

    with gzip.open(DATA / "medquad/medquad_flat.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [r for r in map(json.loads, stream) if r["answer"]]
    rows = rows[:: max(1, len(rows) // count)]
    nothing = words(" ".join(lists()["weak"] | stop_words()))
    return [r["question"] for r in rows], [words(r["focus"]) - nothing for r in rows], False


def clinc150(count: int) -> Set:
    rows = json.loads(gzip.decompress((DATA / "clinc150/data_full.json.gz").read_bytes()))["train"]
    rows = rows[:: max(1, len(rows) // count)]
    return [text for text, _ in rows], [words(intent.replace("_", " ")) for _, intent in rows], True


def wikidoc(count: int) -> Set:
    path = DATA / "wikidoc_patient_info/medical_meadow_small.json.gz"
    rows = json.loads(gzip.decompress(path.read_bytes()))
    return [r["input"] for r in rows[:: max(1, len(rows) // count)]], None, False


SETS = {"medquad": medquad, "clinc150": clinc150, "wikidoc": wikidoc}


def clusters(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(N, 384) vectors of the default model, and (N,) clusters as the step of that name finds them (seeded; -1 noise)."""
    from core.embedding.clusters import DEFAULTS, by_size, find
    from core.embedding.encode import Known, embed_texts
    from core.embedding.encoders import open_encoder
    from core.embedding.neighbours import knn
    from core.embedding.texts import text_key
    from core.progress import silent

    encoder = open_encoder(device="cpu")
    vectors = np.zeros((len(texts), encoder.dimension), np.float32)
    with tempfile.TemporaryDirectory() as scratch:
        embed_texts(encoder, texts, [text_key(t) for t in texts], vectors, Known.of([]), Path(scratch), silent)
    smallest = max(5, round(len(texts) ** 0.5 / 3))
    return vectors, by_size(find(vectors, *knn(vectors, 30), smallest, DEFAULTS, silent)[0])


def plain(groups: dict[int, np.ndarray], texts: list[str], count: int = 3) -> dict[int, list[str]]:
    """Class-based TF-IDF as published (Grootendorst 2022, eq. 1) over single words of scikit-learn's English vectoriser."""
    from sklearn.feature_extraction.text import CountVectorizer

    reader = CountVectorizer(stop_words="english")
    counts = np.asarray(
        reader.fit_transform(" ".join(texts[i] for i in rows) for rows in groups.values()).todense(), float
    )
    weight = counts / counts.sum(1, keepdims=True) * np.log1p(counts.sum() / len(counts) / counts.sum(0))
    names = reader.get_feature_names_out()
    return {
        g: [str(names[n]) for n in np.argsort(-row, kind="stable")[:count]]
        for g, row in zip(groups, weight, strict=True)
    }


def label_of(labels: list[set[str]], rows: np.ndarray, whole: bool) -> set[str]:
    """The words of the majority label; or the most frequent word of the labels."""
    if whole:
        return set(Counter(frozenset(labels[i]) for i in rows).most_common(1)[0][0])
    found = Counter(w for i in rows for w in labels[i])
    return {max(found, key=lambda w: (found[w], w))} if found else set()


def agreement(labels: list[set[str]], clusters: np.ndarray) -> float:
    """Adjusted Rand index (Hubert & Arabie 1985); noise counts as one cluster."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score([" ".join(sorted(one)) for one in labels], clusters))


def judged(names: dict[int, list[str]], groups: dict[int, np.ndarray], data: Set) -> list[float | None]:
    """Unique first term, own words, label, F1; 0..1, higher = better."""
    texts, labels, whole = data
    first = Counter(terms[0].lower() for terms in names.values() if terms)
    unique = np.mean([bool(terms) and first[terms[0].lower()] == 1 for terms in names.values()])
    held = [words(" ".join(terms)) for terms in names.values()]
    every = Counter(w for one in held for w in one)
    own = np.mean([every[w] == 1 for one in held for w in one])
    lower, scores, hits = [t.lower() for t in texts], [], []
    for group, rows in groups.items():
        hit = np.array([any(term.lower() in text for term in names[group]) for text in lower])
        scores.append(2 * hit[rows].sum() / (hit.sum() + len(rows)))
        if labels is not None:
            hits.append(bool(label_of(labels, rows, whole) & words(" ".join(names[group]))))
    return [float(unique), float(own), float(np.mean(hits)) if hits else None, float(np.mean(scores))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=5500)
    parser.add_argument("--sets", nargs="*", choices=list(SETS), default=list(SETS))
    parser.add_argument("--show", type=int, default=0, help="names to print of each set, the largest clusters first")
    args = parser.parse_args()
    from core.embedding.terms import name_rows

    print("| set | clusters | names | unique first term | own words | label | F1 |\n|---|---|---|---|---|---|---|")
    for name in args.sets:
        data = SETS[name](args.records)
        vectors, labels = clusters(data[0])
        groups = {c: np.flatnonzero(labels == c) for c in range(labels.max() + 1)}
        ours = name_rows(groups, np.flatnonzero(labels < 0), data[0], vectors)
        size = f"{name}, {len(data[0]):,} questions | {len(groups)}"
        if data[2]:
            print(f"{name}: adjusted Rand index of the clusters and the labels {agreement(data[1], labels):.3f}")
        for title, names in (("plain class-based TF-IDF", plain(groups, data[0])), ("here", ours)):
            told = " | ".join("" if v is None else f"{v:.3f}" for v in judged(names, groups, data))
            print(f"| {size} | {title} | {told} |", flush=True)
        for group in list(groups)[: args.show]:
            print(f"    {len(groups[group]):5}  {', '.join(ours[group])}")


if __name__ == "__main__":
    main()
