"""Products over a threshold and the k largest: the same as brute force whatever the bound, and the bound never under the product."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.embedding import products
from core.embedding.nearest import nearest
from core.errors import InputError


def rows(seed: int, count: int, width: int, spread: float = 1.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    array = random.standard_normal((count, width)) * np.geomspace(
        1, 0.01, width
    )  # a falling spectrum, as embeddings have
    array[1::4] = array[: len(array[1::4])] + 0.2 * spread * random.standard_normal((len(array[1::4]), width))
    return (array / np.linalg.norm(array, axis=1, keepdims=True)).astype(np.float32)


def pairs(found) -> set[tuple[int, int]]:
    return set(zip(found[0].tolist(), found[1].tolist(), strict=True))


@pytest.mark.parametrize("bfloat16", [True, False])
@pytest.mark.parametrize("width", [3, 70, 384])
def test_pairs_over_a_threshold_are_those_of_brute_force(monkeypatch, width, bfloat16):
    monkeypatch.setattr(products, "_bfloat16_pays", lambda: bfloat16)
    left, right = rows(1, 700, width), rows(2, 500, width)
    truth = left.astype(np.float64) @ right.T.astype(np.float64)
    for threshold in (0.3, 0.6, 0.9):
        both = products.bounds(left, right, threshold)
        found = products.over(both, threshold, 0, 0)
        assert np.allclose(found[2], truth[found[0], found[1]], atol=1e-6)
        sure = pairs(np.nonzero(truth >= threshold + 1e-6))
        assert sure <= pairs(found) <= pairs(np.nonzero(truth >= threshold - 1e-6))


def test_the_bound_is_never_under_the_product():
    left = rows(3, 900, 384)
    both = products.bounds(left, left, 0.8)
    assert both.short[0].shape[1] < 384  # principal components were worth it
    bound = (both.short[0].double() @ both.short[1].double().T).numpy() + both.slack
    assert (bound >= left.astype(np.float64) @ left.T.astype(np.float64)).all()


def test_without_a_threshold_the_bound_holds_to_both_sides():
    left = rows(4, 300, 64)
    both = products.bounds(left, left)
    gap = (both.short[0].double() @ both.short[1].double().T).numpy() - left.astype(np.float64) @ left.T.astype(
        np.float64
    )
    assert np.abs(gap).max() <= both.slack < 0.01


@given(st.integers(0, 9999), st.integers(1, 60), st.integers(1, 50), st.integers(1, 7), st.floats(-0.9, 0.95))
@settings(max_examples=40, deadline=None)
def test_any_shape_and_any_threshold(seed, count, others, width, threshold):
    left, right = rows(seed, count, width), rows(seed + 1, others, width)
    truth = left.astype(np.float64) @ right.T.astype(np.float64)
    found = products.over(products.bounds(left, right, threshold), threshold, 0, 0)
    assert pairs(np.nonzero(truth >= threshold + 1e-6)) <= pairs(found)
    k = min(3, others)
    (_, columns, values), *rest = nearest(products.bounds(left, right), k, False)
    assert not rest and np.allclose(values, -np.sort(-truth, axis=1)[:, :k], atol=3e-6)
    assert all(len(set(row)) == k for row in columns.tolist())


def test_keys_keep_the_order_of_numbers_and_round_down():
    values = np.random.default_rng(0).standard_normal(20_000).astype(np.float32) * np.repeat(
        [1e-30, 1e-3, 1, 50], 5000
    ).astype(np.float32)
    keys = products._key(values).astype(int)
    table = products.values()
    assert (table[keys + 32768] <= values).all() and (table[keys + 32769] > values).all()
    assert products._key(np.array([-np.inf], np.float32))[0] <= -32641  # under every finite number


def test_rows_that_are_not_of_length_one():
    left = rows(5, 200, 20) * np.linspace(0.1, 30, 200, dtype=np.float32)[:, None]
    truth = left.astype(np.float64) @ left.T.astype(np.float64)
    found = products.over(products.bounds(left, left, 100.0), 100.0, 0, 0)
    assert pairs(np.nonzero(truth >= 100.001)) <= pairs(found) <= pairs(np.nonzero(truth >= 99.999))


@pytest.mark.parametrize("bfloat16", [True, False])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_vector_that_is_no_number_is_refused(monkeypatch, bfloat16, value):
    monkeypatch.setattr(products, "_bfloat16_pays", lambda: bfloat16)
    left = rows(6, 50, 20)
    left[7, 3] = value
    for both in ((left, left), (rows(7, 9, 20), left)):
        with pytest.raises(InputError, match="NaN or infinity"):
            products.bounds(*both)
