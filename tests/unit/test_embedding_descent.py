"""The layout: UMAP's forces, the same bits on any number of cores, as trustworthy as umap-learn's own; the sample; the votes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.embedding import coarse, descent, layout
from core.embedding.assigning import assigned, smallest_of, winners
from core.embedding.manifold import graph, lay_out, place, principal, spread_out
from core.embedding.neighbours import among_sample, knn
from core.embedding.sampling import density_sample


def unit_blobs(count: int, groups: int = 6, width: int = 24) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    truth = np.arange(count) % groups
    rows = random.standard_normal((groups, width))[truth] * 2 + random.standard_normal((count, width))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), truth


def test_curve_is_that_of_umap_learn():
    from umap.umap_ import find_ab_params

    for distance in (0.001, 0.1, 0.5):
        assert np.allclose(descent.curve(distance), find_ab_params(1.0, distance), rtol=1e-6)


def test_one_pull_and_no_more_is_the_published_gradient():
    """Two points, one edge, one epoch, no others to be pushed from: both move by twice -2ab d^(2b-2) / (1 + a d^2b) times the way,
    a step of that."""
    from scipy.sparse import csr_matrix

    start = np.array([[0, 0], [2, 1]], np.float32)
    edge = csr_matrix(np.array([[0, 1], [1, 0]], np.float32))
    moved = [descent.descend(edge, start, 1, seed, 0.1)[0] for seed in range(40)]
    a, b = descent.curve(0.1)
    square = 5.0
    force = -2 * a * b * square ** (b - 1) / (1 + a * square**b)
    alone = start[0] + descent.STEP * 2 * force * (start[0] - start[1])
    # A repulsion goes to the other point with even odds and to the point itself, which does nothing, with even odds: five of them.
    assert any(np.allclose(m, alone, atol=1e-5) for m in moved)
    assert all(
        m @ np.array([2, 1]) <= alone @ np.array([2, 1]) + 1e-5 for m in moved
    )  # a push never brings them nearer


def test_layout_repeats_itself_on_any_number_of_cores_and_is_as_good_as_umap_learns():
    import numba

    vectors, _ = unit_blobs(600)
    indices, similarity = knn(vectors, 14)
    strengths, start = graph(indices, similarity, 15), spread_out(principal(vectors, 2))
    begun = start.copy()
    cores = numba.get_num_threads()
    ours = lay_out(strengths, start, 200, 42)
    try:
        numba.set_num_threads(1)
        assert np.array_equal(lay_out(strengths, start, 200, 42), ours)
    finally:
        numba.set_num_threads(cores)
    assert not np.array_equal(lay_out(strengths, start, 200, 43), ours)
    assert np.array_equal(start, begun)
    theirs = lay_out(strengths, start, 200, None)
    rows = np.arange(len(vectors))
    trust = [layout.fidelity(vectors, points, rows)["trustworthiness"] for points in (ours, theirs)]
    assert trust[0] > trust[1] - 0.01


def test_forces_read_from_the_tables_are_the_published_ones():
    a, b = descent.curve(0.1)
    pull, push = descent.forces(0.1)
    distance = np.geomspace(0.02, 60, 500)
    square = distance**2
    at = square / (1 + square) * descent.CELLS
    read = [np.interp(at, np.arange(descent.CELLS + 1), table) * distance for table in (pull, push)]
    wanted = [
        -2 * a * b * square ** (b - 1) / (1 + a * square**b) * distance,
        2 * b / ((0.001 + square) * (1 + a * square**b)) * distance,
    ]
    for got, true in zip(read, wanted, strict=True):
        seen = np.abs(true) < descent.FAR  # a force is cut at that
        assert np.abs(got - true)[seen].max() < 0.02 * np.abs(true[seen]).max()
        assert np.abs(got - true)[seen & (distance < 20)].max() < 0.01


@pytest.mark.parametrize(("fields", "topics", "each"), [(40, 5, 8), (30, 10, 10)])
def test_groups_first_is_truer_than_principal_components_with_as_many_epochs(fields, topics, each):
    """Topics within fields: from principal components the topics of a field stay where they happen to be."""
    random, width = np.random.default_rng(0), 64
    centres = np.repeat(random.standard_normal((fields, width)), topics, 0)
    centres = np.repeat(centres + 0.7 * random.standard_normal(centres.shape), each, 0)
    vectors = (centres + 0.3 * random.standard_normal(centres.shape)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    count, near = len(vectors), knn(vectors, 14)
    placed, epochs = coarse.draw(vectors, *near, 15, 0, 42)
    from_components = lay_out(graph(*near, 15), spread_out(principal(vectors, 2)), epochs, 42)
    rows = np.arange(count)
    trust = [layout.fidelity(vectors, points, rows)["trustworthiness"] for points in (placed, from_components)]
    assert epochs == (500 if count <= 2000 else 300) and trust[0] > trust[1] + 0.05
    assert np.array_equal(coarse.draw(vectors, *near, 15, 0, 42)[0], placed)
    labels, centres = coarse.groups(vectors, 100, 3)
    assert labels.max() + 1 == len(centres) <= 100 and np.allclose(np.linalg.norm(centres, axis=1), 1, atol=1e-5)
    # each centre is the direction of its group's sum
    assert all(np.allclose(_unit(vectors[labels == g].sum(0)), centres[g], atol=1e-4) for g in range(len(centres)))


def test_an_edge_is_drawn_as_often_as_it_is_strong_in_steps_that_fall_from_a_quarter():
    """Two pairs among thousands of far points, edges of strength 1 and 1/4, four epochs: pulled four times and once, at the last."""
    from scipy.sparse import csr_matrix

    count = 4000
    start = np.stack([np.arange(count) * 1e4, np.zeros(count)], 1).astype(np.float32)
    start[:4] = [[0, 0], [6, 0], [-1e5, 0], [-1e5 + 6, 0]]
    ends = ([0, 1, 2, 3], [1, 0, 3, 2])
    edges = csr_matrix((np.array([1, 1, 0.25, 0.25], np.float32), ends), (count, count))
    moved = descent.descend(edges, start, 4, 3, 0.1)
    a, b = descent.curve(0.1)
    for first, drawn in ((0, (0, 1, 2, 3)), (2, (3,))):
        apart = 6.0
        for epoch in drawn:
            force = 2 * a * b * apart ** (2 * b - 1) / (1 + a * apart ** (2 * b))
            apart -= 2 * 2 * force * 0.25 * (1 - epoch / 4)  # both ends, twice each
        assert moved[first + 1, 0] - moved[first, 0] == pytest.approx(apart, abs=0.02)


def test_five_repulsions_follow_an_attraction():
    """Of two points, each is pushed from the other with even odds: 2.5 times of five on average."""
    from scipy.sparse import csr_matrix

    start = np.array([[0, 0], [4, 0]], np.float32)
    edge = csr_matrix(np.array([[0, 1], [1, 0]], np.float32))
    a, b = descent.curve(0.1)
    alone = descent.STEP * 2 * 2 * a * b * 4 ** (2 * b - 1) / (1 + a * 4 ** (2 * b))
    left = 4 - alone  # the other stands where it was; pushes follow the pull
    push = descent.STEP * 2 * b / ((0.001 + left**2) * (1 + a * left ** (2 * b))) * left
    times = [(alone - descent.descend(edge, start, 1, seed, 0.1)[0, 0]) / push for seed in range(400)]
    assert np.mean(times) == pytest.approx(2.5, abs=0.25)


def test_groups_of_copies_and_of_opposites_have_centres():
    vectors = np.repeat(np.eye(4, dtype=np.float32), 50, 0)
    labels, centres = coarse.groups(vectors, 40, 0)
    assert len(centres) == 4 and np.array_equal(np.sort(np.bincount(labels)), [50] * 4)
    opposite = np.concatenate([np.tile([[1.0, 0.0]], (30, 1)), np.tile([[-1.0, 0.0]], (30, 1))]).astype(np.float32)
    labels, centres = coarse.groups(opposite, 1, 0)
    assert labels.max() == 0 and np.allclose(np.abs(centres), [[1, 0]])
    assert np.isfinite(coarse.first_places(np.concatenate([vectors, vectors]), 1)).all()


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def test_a_new_point_comes_to_lie_with_its_like_wherever_it_stands_in_the_list():
    vectors, truth = unit_blobs(330)
    old, new = vectors[:300], vectors[300:]
    indices, similarity = knn(old, 14)
    fixed = lay_out(graph(indices, similarity, 15), spread_out(principal(old, 2)), 200, 42)
    found = place(new, old, fixed, 15, 42)
    centres = np.stack([fixed[truth[:300] == g].mean(0) for g in range(6)])
    assert (np.linalg.norm(found[:, None] - centres, axis=2).argmin(1) == truth[300:]).mean() > 0.9
    assert np.allclose(place(new[::-1], old, fixed, 15, 42)[::-1], found, atol=1e-5)
    for row in range(len(new)):  # alone as among others, to the bit
        assert np.array_equal(place(new[row : row + 1], old, fixed, 15, 42)[0], found[row])


def test_new_points_lie_as_far_in_as_those_of_the_layout():
    """Records without structure: pulled once a draw, as in UMAP.transform, they would lie on the rim (1.6 times as far out)."""
    vectors = np.random.default_rng(1).standard_normal((700, 24)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    old, new = vectors[:600], vectors[600:]
    fixed, _ = coarse.draw(old, *knn(old, 30), 15, 0, 42)
    placed = place(new, old, fixed, 15, 42)
    out = [np.median(np.linalg.norm(points - fixed.mean(0), axis=1)) for points in (placed, fixed)]
    assert 0.8 < out[0] / out[1] < 1.1


def test_sample_gives_each_region_its_share_and_is_drawn_again_alike():
    vectors, truth = unit_blobs(6000, groups=3)
    rare = np.flatnonzero(truth == 0)[:60]
    rows = np.sort(np.concatenate([rare, np.flatnonzero(truth > 0)]))
    found = density_sample(vectors, rows, 600, seed=5)
    assert len(found) == len(np.unique(found)) == 600 and np.isin(found, rows).all() and (np.diff(found) > 0).all()
    share = 600 / len(rows)
    for members in (rare, np.flatnonzero(truth == 1), np.flatnonzero(truth == 2)):
        assert abs(np.isin(found, members).sum() - share * len(members)) < 0.5 * (share * len(members)) ** 0.5 + 3
    assert np.array_equal(density_sample(vectors, rows, 600, seed=5), found)
    assert np.array_equal(density_sample(vectors, rows, 10_000), rows)


@given(st.integers(0, 1000), st.integers(2, 30))
@settings(max_examples=15, deadline=None)
def test_neighbours_among_a_sample_are_those_of_the_sample_alone(seed, size):
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((60, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = np.sort(random.choice(60, size, replace=False))
    found, alike = among_sample(vectors, rows, 5)
    full = vectors @ vectors[rows].T
    full[rows, np.arange(size)] = -2
    best = -np.sort(-full, axis=1)[:, : found.shape[1]]
    assert np.allclose(alike, best, atol=1e-5) and found.shape[1] == min(5, size - 1)
    assert not (rows[found[rows]] == rows[:, None]).any()


def test_votes():
    votes = np.array([[0, 0, 1], [1, -1, -1], [2, 1, 1], [-1, 3, 3]])
    label, share = winners(votes, np.array([[1, 1, 1], [2, 1, 1], [0.5, 1, 1], [1, 1, 1]], np.float32))
    assert label.tolist() == [0, 1, 1, 3] and np.allclose(share, [2 / 3, 0.5, 0.8, 2 / 3])  # of equal sums noise loses
    pool, rows = np.array([0, 2, 4]), np.array([0, 1, 2, 3, 4])
    near = np.array([[1, 2], [0, 2], [0, 2], [1, -1], [0, 1]], np.int32)
    near[3] = [1, 1]
    found = (np.array([0, -1, 0]), np.array([0.9, 0.0, 0.8], np.float32), np.array([0, -1, 1]))
    label, sure, fine = assigned(found, pool, near, np.ones((5, 2), np.float32), rows)
    assert label.tolist() == [0, 0, -1, -1, 0] and fine.tolist() == [0, 0, -1, -1, 1]
    assert np.allclose(sure, [0.9, 1.0, 0, 0, 0.8])
    assert smallest_of(500, 1_000_000, 100_000) == 50 and smallest_of(0, 1_000_000, 90_000) == 100


def test_gpu_only_when_there_is_one(monkeypatch):
    """cuML is called with the graph and our curve; without a device it is not."""
    import sys
    from types import ModuleType, SimpleNamespace

    from core.embedding import manifold

    called = {}

    def simplicial_set_embedding(data, strengths, **given):
        called.update(given, rows=data.shape[0])
        return data * 2

    fake = ModuleType("cuml.manifold.umap")
    fake.simplicial_set_embedding = simplicial_set_embedding
    monkeypatch.setitem(sys.modules, "cuml.manifold.umap", fake)
    vectors, _ = unit_blobs(40)
    strengths = graph(*knn(vectors, 14), 15)
    placed = manifold.lay_out(strengths, principal(vectors, 2), 50, 7, device="cuda")
    assert placed.shape == (40, 2) and called["random_state"] == 7 and called["n_epochs"] == 50 and called["rows"] == 40
    assert np.allclose((called["a"], called["b"]), descent.curve(0.1))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    runtime = SimpleNamespace(getDeviceCount=lambda: 0)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))
    assert not manifold.gpu_ready()
    runtime.getDeviceCount = lambda: 1
    assert manifold.gpu_ready()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not manifold.gpu_ready()


@pytest.mark.parametrize("count", [1, 2])
def test_a_point_without_edges_stays_finite(count):
    from scipy.sparse import csr_matrix

    assert np.isfinite(
        descent.descend(csr_matrix((count, count), dtype=np.float32), np.zeros((count, 2)), 3, 1, 0.1)
    ).all()
