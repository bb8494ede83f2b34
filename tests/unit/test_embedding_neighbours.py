"""Nearest neighbours: by hand, ties, permutation, records without a vector, and the approximate way above the exact size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.embedding import nearest, neighbours
from core.embedding.neighbours import check_same_space, cross_knn, knn
from core.errors import InputError
from tests.embedding_data import computed, dataset, workspace
from tests.embedding_data import given as given_vectors


def unit(array) -> np.ndarray:
    array = np.asarray(array, np.float32)
    norms = np.linalg.norm(array, axis=1, keepdims=True)
    return np.divide(array, norms, out=np.zeros_like(array), where=norms > 0)


def test_by_hand():
    vectors = unit([[1, 0], [1, 1], [0, 1], [-1, 0]])
    indices, similarity = knn(vectors, 2)
    assert indices.tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    half = np.sqrt(0.5)
    assert np.allclose(similarity, [[half, 0], [half, half], [half, 0], [0, -half]], atol=1e-6)


@pytest.mark.parametrize("copies", [3, 60])  # within the margin for ties, and beyond it
def test_ties_go_by_position(copies):
    vectors = np.repeat(unit([[1, 2, 2], [2, 1, -2]]), copies, axis=0)
    indices, similarity = knn(vectors, 2)
    assert (
        indices[0].tolist() == [1, 2] and indices[1].tolist() == [0, 2] and indices[-1].tolist() == [copies, copies + 1]
    )
    assert np.allclose(similarity, 1)


@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_agrees_with_sorting_and_follows_a_permutation(seed, count, k):
    random = np.random.default_rng(seed)
    vectors = unit(random.standard_normal((count, 5)))
    indices, similarity = knn(vectors, k)
    full = vectors @ vectors.T
    np.fill_diagonal(full, -2)
    width = min(k, count - 1)
    assert np.allclose(similarity, -np.sort(-full, axis=1)[:, :width], atol=3e-6) and (np.diff(similarity) <= 0).all()
    assert not (indices == np.arange(count)[:, None]).any()
    order = random.permutation(count)
    assert np.allclose(knn(vectors[order], k)[1], similarity[order], atol=3e-6)


@pytest.mark.parametrize(("rows", "columns"), [(32, 40), (40, 32), (64, 64), (7, 300), (299, 13)])
def test_many_blocks_and_threads_give_what_one_gives_and_ties_go_by_position(monkeypatch, rows, columns):
    import torch

    random = np.random.default_rng(0)
    vectors = unit(np.concatenate([random.standard_normal((260, 8)), random.choice([-1.0, 0.5, 1.0], (140, 8))]))
    vectors[300:330] = vectors[:30]  # copies and a coarse grid: many products are equal
    steps = np.rint((vectors.astype(np.float64) @ vectors.T.astype(np.float64)) * nearest.STEPS)
    np.fill_diagonal(steps, -np.inf)
    wanted = np.lexsort((np.broadcast_to(np.arange(400), (400, 400)), -steps))[:, :25]
    whole = knn(vectors, 25)
    monkeypatch.setattr(nearest, "ROWS", rows)
    monkeypatch.setattr(nearest, "COLUMNS", columns)
    threads = torch.get_num_threads()
    try:
        for number in (1, 3, threads):
            torch.set_num_threads(number)
            blocked = knn(vectors, 25)
            assert np.array_equal(whole[0], blocked[0]) and np.array_equal(whole[1], blocked[1])
    finally:
        torch.set_num_threads(threads)
    # float32 may round a product to the step beside; where it does not, the order is that of brute force
    sure = np.take_along_axis(steps, wanted, 1) / nearest.STEPS
    assert np.allclose(whole[1], sure, atol=2e-6) and (whole[0] == wanted).mean() > 0.98


def test_a_record_without_a_vector_has_no_neighbours_and_is_none():
    vectors = unit([[1, 0], [0, 0], [0, 1], [-1, -1]])
    indices, similarity = knn(vectors, 5)
    assert indices.shape == (4, 2) and indices[1].tolist() == [-1, -1] and np.isnan(similarity[1]).all()
    assert 1 not in indices[[0, 2, 3]]
    queries, score = cross_knn(unit([[1, 0], [0, 0]]), vectors, 2)
    assert queries.tolist() == [[0, 2], [-1, -1]] and np.isclose(score[0, 0], 1) and np.isnan(score[1]).all()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_tiny_sets(count):
    assert knn(unit(np.eye(3)[:count]), 30)[0].shape == (count, max(0, count - 1))


class FakeDescent:
    """pynndescent without its minute of compilation: exact neighbours, but copies of a record hide the record from itself."""

    def __init__(self, data, metric, n_neighbors, random_state, compressed):
        distance = 1 - data @ data.T
        distance[np.arange(len(data)), np.arange(len(data))] += 1e-6
        found = np.argsort(distance, axis=1, kind="stable")[:, :n_neighbors]
        self.neighbor_graph = found, np.take_along_axis(distance, found, 1)


def test_step_and_the_approximate_way(tmp_path, monkeypatch):
    import pynndescent

    monkeypatch.setattr(pynndescent, "NNDescent", FakeDescent)
    space = workspace(tmp_path)
    vectors = np.random.default_rng(0).standard_normal((700, 4))
    vectors[:9] = vectors[0]
    vectors[50] = 0
    data = dataset(space, [f"r{n}" for n in range(700)])
    embed = given_vectors(space, data, vectors, tmp_path)
    exact = computed(space, "neighbours", neighbours.run, neighbours.DEFAULTS | {"k": 5}, [], [embed])
    similarity = np.load(exact.file("similarity.npy"))
    assert exact.array().dtype == np.int32 and similarity.dtype == np.float32 and exact.info["method"] == "exact"
    near = computed(
        space, "neighbours", neighbours.run, neighbours.DEFAULTS | {"k": 5, "exact_until": 100}, [], [embed]
    )
    assert near.info["method"] == "pynndescent" and near.info["recall"] > 0.9 and near.info["recall_sample"] == 500
    assert near.info["without_vector"] == 1 and (near.array()[50] == -1).all()
    assert not (near.array() == np.arange(700)[:, None]).any()
    rest = np.delete(np.arange(700), 50)
    assert np.allclose(np.load(near.file("similarity.npy"))[rest], similarity[rest], atol=1e-4)


def test_vectors_of_two_models_are_not_compared():
    with pytest.raises(InputError, match="differ in dimensions"):
        check_same_space({"dimension": 3, "records": 1}, {"dimension": 4, "records": 1})
