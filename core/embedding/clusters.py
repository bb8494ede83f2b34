"""Step `clusters`: groups of records that belong together, and a name for each."""

from typing import Any

import numpy as np
import pyarrow as pa

from core.embedding.assigning import assigned, smallest_of
from core.embedding.layout import compact, sample_of
from core.embedding.levels import FINE, broader, by_size, leaves, listed
from core.embedding.manifold import graph, lay_out, principal, spread_out
from core.embedding.neighbours import has_vector
from core.embedding.terms import name_rows, titles
from core.embedding.texts import texts_of
from core.progress import part
from core.workspace import Dataset, Inputs, Output, Result

DEFAULTS: dict[str, Any] = {
    "min_cluster_size": 0,  # 0: a third of the square root of the number of records, at least 5
    "min_samples": 5,
    "dimensions": 5,
    "neighbours": 30,
    "seed": 42,
}
FEWEST = 15
EPOCHS = 200


def run(inputs: Inputs) -> Output:
    """table record_id, cluster (int32, 0 = largest, -1 = noise, which is no cluster), probability (0..1, of belonging to it).

    HDBSCAN (Campello et al. 2013) on a 5-dimensional UMAP, not on the drawn map: on CLINC150 it finds the 150 intents with an adjusted
    Rand index of .62, against .03 on the leading principal components. Further columns where there are enough clusters: broad, middle
    (unions of clusters) and fine (parts of them), see core.embedding.levels. info: clusters [{cluster, size, share, name, terms}],
    levels [{level, title, groups (as clusters)}], noise, min_cluster_size, sample (records looked in, 0 for all), warnings.

    Above the sample size of `neighbours` the clusters are looked for in its sample, and the other records assigned to them
    (core/embedding/assigning.py).
    """
    params = inputs.params
    embed, near = inputs.results["embed"], inputs.results["neighbours"]
    vectors = embed.array()
    rows = np.flatnonzero(has_vector(vectors))
    labels, fine = np.full(len(vectors), -1, np.int32), np.full(len(vectors), -1, np.int32)
    probability = np.zeros(len(vectors), np.float32)
    smallest = int(params["min_cluster_size"]) or max(5, round(len(rows) ** 0.5 / 3))
    sample = sample_of(near, rows)
    warnings = []
    if len(rows) < max(FEWEST, 2 * smallest):
        warnings.append(f"{len(rows)} records are too few to look for clusters of at least {smallest}.")
    elif sample is not None:
        pool = np.asarray(sample.rows)
        some = smallest_of(int(params["min_cluster_size"]), len(rows), len(pool))
        found = find(vectors[pool], sample.indices[pool], sample.similarity[pool], some, params, inputs.progress)
        smallest = round(some * len(rows) / len(pool))
        inputs.progress(850, 1000, "Assigning the other records")
        labels[rows], probability[rows], fine[rows] = assigned(found, pool, sample.indices, sample.similarity, rows)
    else:
        indices, similarity = compact(near.array(), np.load(near.file("similarity.npy"), mmap_mode="r"), rows)
        labels[rows], probability[rows], fine[rows] = find(
            vectors[rows] if len(rows) < len(vectors) else vectors,
            indices,
            similarity,
            smallest,
            params,
            inputs.progress,
        )
        if not (labels >= 0).any():
            warnings.append("No group of records stands out; try a smaller min_cluster_size.")
    inputs.progress(900, 1000, "Naming the clusters")
    data = inputs.datasets["training"]
    clusters = describe(data, embed, labels)
    levels = broader(labels, vectors)
    if fine.max(initial=-1) > labels.max(initial=-1):
        levels[FINE] = fine
    table = pa.table(
        {
            "record_id": embed.table(["record_id"]).column(0),
            "cluster": pa.array(labels),
            "probability": pa.array(probability),
            **{name: pa.array(found) for name, found in levels.items()},
        }
    )
    info = {
        "clusters": clusters,
        "levels": listed(levels, lambda found: describe(data, embed, found)),
        "noise": int((labels < 0).sum()),
        "min_cluster_size": smallest,
        "sample": 0 if sample is None else len(sample.rows),
        "warnings": warnings,
    }
    return Output(table, None, info)


def find(vectors, indices, similarity, smallest: int, params, progress) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N,) labels by descending size, probabilities, and finer labels, of unit vectors with their neighbours."""
    import warnings

    progress(0, 1000, "Looking for clusters")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from hdbscan import HDBSCAN

        dimensions = min(int(params["dimensions"]), vectors.shape[1])
        strengths = graph(indices, similarity, int(params["neighbours"]) + 1)
        # Points drawn close together (min_dist near 0): density is what is looked for.
        start, deep = spread_out(principal(vectors, dimensions)), part(progress, 0.0, 0.7)
        layout = lay_out(strengths, start, EPOCHS, int(params["seed"]), min_dist=0.001, progress=deep)
        progress(800, 1000, "Looking for clusters")
        found = HDBSCAN(
            min_cluster_size=smallest, min_samples=min(int(params["min_samples"]), len(vectors) - 1), core_dist_n_jobs=1
        ).fit(layout.astype(np.float64))
    fine = leaves(found.condensed_tree_._raw_tree, found.labels_)
    return by_size(found.labels_), found.probabilities_.astype(np.float32), fine


def describe(dataset: Dataset, embed: Result, labels: np.ndarray) -> list[dict[str, Any]]:
    """[{cluster, size, share, name, terms}] of each cluster, named from the text that was embedded."""
    choice = embed.info.get("text", "prompt")
    texts, _ = texts_of(dataset, choice, True)
    sizes = {int(c): int(n) for c, n in zip(*np.unique(labels[labels >= 0], return_counts=True), strict=True)}
    terms = name_rows({c: np.flatnonzero(labels == c) for c in sizes}, np.flatnonzero(labels < 0), texts, embed.array())
    named = titles(terms, "cluster")
    return [
        {
            "cluster": c,
            "size": size,
            "share": size / max(1, len(texts)),
            "name": named[c],
            "terms": terms[c],
        }
        for c, size in sizes.items()
    ]
