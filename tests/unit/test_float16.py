"""Vectors stored in float16: found exactly from what is stored, never copied up whole, and no key of a stored result changes."""

import numpy as np
import pytest

from core.actions.embeddings import choose, stored
from core.embedding import nearest, products
from core.embedding.encode import DEFAULTS
from core.embedding.neighbours import cross_knn, knn
from core.errors import InputError
from core.quality.pairs import pairs_over
from core.steps import LATER, current, plan, run_step, set_params
from tests.embedding_data import dataset, workspace

K = 10


def rows(count: int, width: int = 48) -> np.ndarray:
    random = np.random.default_rng(0)
    made = random.standard_normal((count // 8 + 1, width))[np.arange(count) // 8] + 0.4 * random.standard_normal(
        (count, width)
    )
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def test_neighbours_of_half_floats_are_those_of_what_is_stored():
    """Against all products of the stored numbers in float64."""
    half = rows(2100).astype(np.float16)
    indices, similarity = knn(half, K)
    exact = half.astype(np.float64) @ half.astype(np.float64).T
    np.fill_diagonal(exact, -2)
    assert np.allclose(similarity, np.minimum(-np.sort(-exact, 1)[:, :K], 1), atol=2e-6)
    assert np.allclose(np.take_along_axis(exact, indices.astype(int), 1).clip(-1, 1), similarity, atol=2e-6)
    found, score = cross_knn(half[:50], half[50:], K)
    assert np.allclose(np.take_along_axis(exact[:50, 50:], found.astype(int), 1).clip(-1, 1), score, atol=2e-6)


def test_pairs_over_a_floor_of_half_floats():
    half = rows(1500).astype(np.float16)
    exact = np.triu(half.astype(np.float64) @ half.astype(np.float64).T, 1)
    found = pairs_over(half, 0.8)
    wanted = set(zip(*np.nonzero(exact >= 0.8 + 1e-6), strict=True))
    assert (
        wanted <= set(zip(found.left.tolist(), found.right.tolist(), strict=True))
        and len(found.left) <= (exact >= 0.8 - 1e-6).sum()
    )


def test_a_map_in_memory_is_not_copied(tmp_path, monkeypatch):
    """Rows are rounded in parts and made float32 in blocks: never more of them at once than a block."""
    for kind in (np.float16, np.float32):
        path = tmp_path / f"{kind.__name__}.npy"
        np.save(path, rows(3000).astype(kind))
        held = np.load(path, mmap_mode="r")
        sizes: list[int] = []
        single = products.single
        for module in (products, nearest):
            monkeypatch.setattr(module, "single", lambda part, s=sizes, w=single: s.append(len(part)) or w(part))
        monkeypatch.setattr(products, "PART", 700)
        both = products.bounds(held, held)
        assert all(np.shares_memory(side, held) for side in both.rows)
        list(nearest.nearest(both, K, True))
        assert (
            0 < max(sizes, default=1) <= max(700, products.COLUMNS) and sizes.count(3000) <= 3
        )  # the columns of 3 blocks of rows
        monkeypatch.undo()


def test_the_setting_keeps_keys_and_both_stand_side_by_side(tmp_path):
    space = workspace(tmp_path / "w")
    dataset(space, [f"cough {n} at night" for n in range(9)] + [f"rash on arm {n}" for n in range(9)])
    set_params(space, "embed", {"model": "lexical"})
    assert DEFAULTS["dtype"] == LATER["dtype"] and "dtype" not in plan(space, "embed").recipe()["params"]
    whole = run_step(space, "embed")
    set_params(space, "embed", {"dtype": "float16"})
    assert current(space, "embed") is None
    half = run_step(space, "embed")
    assert half.array().dtype == np.float16 and half.info["dtype"] == "float16" and whole.array().dtype == np.float32
    assert np.abs(half.array().astype(float) - whole.array()).max() < 5e-4
    assert [e.active for e in stored(space)].count(True) == 1 and len(stored(space)) == 2
    choose(space, whole.key)
    assert current(space, "embed").key == whole.key
    set_params(space, "embed", {"dtype": "float8"})
    with pytest.raises(InputError, match="float32 or float16"):
        run_step(space, "embed")
