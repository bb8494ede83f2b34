"""The map and the clusters: UMAP's own numbers from our graph, planted blobs found, and every degenerate size defined."""

import numpy as np
import pytest

from core.embedding import clusters, layout, neighbours
from core.embedding.manifold import graph, principal
from tests.embedding_data import computed, dataset, given, workspace

WORDS = ("asthma inhaler", "knee fracture", "migraine aura")


def blobs(count: int, groups: int = 3, width: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = np.arange(count) % groups
    return random.standard_normal((groups, width))[truth] * 3 + random.standard_normal((count, width)) * 0.4, truth


def steps(tmp_path, vectors, production=None, prompts=None, **params):
    space = workspace(tmp_path / "w")
    data = dataset(space, prompts or [f"record {n}" for n in range(len(vectors))])
    results = [given(space, data, vectors, tmp_path)]
    results.append(computed(space, "neighbours", neighbours.run, neighbours.DEFAULTS, [], results[:1]))
    if production is not None:
        other = dataset(space, [f"asked {n}" for n in range(len(production))], role="production")
        results.append(given(space, other, production, tmp_path))
    return space, data, results, computed(space, "map", layout.run, layout.DEFAULTS | params, [data], results)


def xy(table) -> np.ndarray:
    return np.stack([table["x"].to_numpy(), table["y"].to_numpy()], 1)


def test_graph_is_that_of_umap_learn():
    """umap-learn 0.5.12, fuzzy_simplicial_set with the same exact neighbours, agrees to float32 rounding."""
    from umap.umap_ import fuzzy_simplicial_set

    vectors = blobs(120)[0].astype(np.float32)
    vectors[7] = vectors[3]  # a copy: distance 0 is not the nearest distance
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    indices, similarity = neighbours.knn(vectors, 14)
    own = np.arange(120, dtype=np.int32)[:, None]
    theirs = fuzzy_simplicial_set(
        vectors, 15, np.random.RandomState(0), "cosine",
        knn_indices=np.hstack([own, indices]),
        knn_dists=np.hstack([np.zeros((120, 1)), np.maximum(1 - similarity, 0)]).astype(np.float32),
    )[0]  # fmt: skip
    assert abs(graph(indices, similarity, 15) - theirs).max() < 1e-4


def test_map_keeps_blobs_apart_places_production_and_repeats_itself(tmp_path):
    vectors, truth = blobs(150)
    space, data, results, result = steps(tmp_path, vectors, production=vectors[:30] + 0.01)
    table, info = result.table(), result.info
    points = xy(table)
    assert table.column_names == ["role", "record_id", "x", "y"]
    assert table["role"].to_pylist() == ["training"] * 150 + ["production"] * 30
    assert table["record_id"].to_pylist()[:150] == data.ids()
    centres = np.stack([points[:150][truth == g].mean(0) for g in range(3)])
    nearest = np.linalg.norm(points[:, None] - centres, axis=2).argmin(1)
    assert (nearest[:150] == truth).all() and (nearest[150:] == truth[:30]).all()
    assert info["method"] == "UMAP" and info["seed"] == 42 and info["trustworthiness"] > 0.85 and info["placed"] == 30
    again = layout.run(make_inputs(results, tmp_path))
    assert np.array_equal(xy(again.table), points)  # reproducible
    alone = layout.run(make_inputs(results[:2], tmp_path))
    assert np.array_equal(xy(alone.table), points[:150])  # production does not move the training layout


def make_inputs(results, tmp_path, **params):
    from core.progress import silent
    from core.workspace import Inputs

    return Inputs({}, {r.step: r for r in results}, layout.DEFAULTS | params, (), tmp_path, tmp_path, silent)


def test_parallel_mode_says_so(tmp_path):
    vectors, _ = blobs(60)
    assert steps(tmp_path, vectors, mode="parallel")[3].info["seed"] is None


@pytest.mark.parametrize("count", [0, 1, 2, 3, 14, 15, 16])
def test_tiny_sets_have_a_layout(tmp_path, count):
    vectors = blobs(count)[0] if count else np.zeros((0, 16))
    space, data, results, result = steps(tmp_path, vectors, production=vectors[:2] if count else None)
    points = xy(result.table())
    assert len(points) == count + min(2, count) and np.isfinite(points).all()
    assert (result.info["method"] == "PCA") == (count < 15) and bool(result.info["warnings"]) == (count < 15)
    found = computed(space, "clusters", clusters.run, clusters.DEFAULTS, [data], results[:2])
    assert found.table().num_rows == count
    first = computed(space, "preview", layout.preview, {}, [], results[:1])
    assert first.table().column_names == ["record_id", "x", "y"] and np.isfinite(xy(first.table())).all()


def test_equal_vectors_stand_in_a_spiral_and_missing_ones_in_a_row(tmp_path):
    _, _, _, result = steps(tmp_path, np.ones((5, 4)))
    assert len(np.unique(xy(result.table()).round(4), axis=0)) == 5 and "mean nothing" in result.info["warnings"][1]
    space, data, results, result = steps(tmp_path / "b", np.ones((40, 4)))
    assert np.isfinite(xy(result.table())).all()
    vectors = blobs(60)[0]
    vectors[[4, 9]] = 0
    _, _, _, result = steps(tmp_path / "c", vectors)
    points = xy(result.table())
    assert points[4, 1] == points[9, 1] < np.delete(points, [4, 9], 0)[:, 1].min()
    assert "2 records have no vector" in result.info["warnings"][0]


def test_clusters_find_planted_blobs_and_name_them(tmp_path):
    vectors, truth = blobs(240)
    prompts = [f"patient with {WORDS[t]} case {n}" for n, t in enumerate(truth)]
    space, data, results, _ = steps(tmp_path, vectors, prompts=prompts)
    result = computed(space, "clusters", clusters.run, clusters.DEFAULTS | {"min_cluster_size": 20}, [data], results)
    labels, info = result.table()["cluster"].to_numpy(), result.info
    assert len(info["clusters"]) == 3 and all(len(set(truth[labels == c])) == 1 for c in range(3))
    sizes = [c["size"] for c in info["clusters"]]
    assert sizes == sorted(sizes, reverse=True) and sum(sizes) + info["noise"] == 240
    for entry in info["clusters"]:
        assert WORDS[truth[labels == entry["cluster"]][0]] in entry["name"] and "patient" not in entry["name"]


def test_principal_components_in_blocks_are_those_of_one_block():
    vectors = blobs(90)[0].astype(np.float32)
    assert np.allclose(principal(vectors, 2), principal(vectors, 2, block=17), atol=1e-4)
    centred = vectors - vectors.mean(0)
    assert np.isclose(principal(vectors, 1).var(), np.linalg.svd(centred, compute_uv=False)[0] ** 2 / 90, rtol=1e-4)


def test_trustworthiness_is_that_of_scikit_learn():
    from sklearn.manifold import trustworthiness

    vectors = blobs(200)[0].astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    points = np.random.default_rng(1).standard_normal((200, 2)) + vectors[:, :2] * 3
    ours = layout.fidelity(vectors, points, np.arange(200))["trustworthiness"]
    assert abs(ours - trustworthiness(vectors, points, n_neighbors=15, metric="cosine")) < 1e-4
