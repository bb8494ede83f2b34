"""Numbers of a pick against hand-computed and brute-force values."""

from itertools import combinations

import numpy as np
import pytest

from core.actions import picks
from core.embedding.radii import distinct_coverage
from core.influence.selection.strategies import Frame, select


def units(count: int, width: int = 6, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(count, width))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def test_jaccard_by_hand():
    assert picks.jaccard([1, 2, 3], [2, 3, 4]) == 0.5
    assert picks.jaccard([], [1]) == 0 and np.isnan(picks.jaccard([], []))


@pytest.mark.parametrize(("count", "a", "b"), [(5, 2, 2), (6, 3, 2), (4, 4, 1), (5, 5, 5)])
def test_expected_jaccard_is_the_mean_over_all_pairs_of_picks(count, a, b):
    every = [picks.jaccard(x, y) for x in combinations(range(count), a) for y in combinations(range(count), b)]
    assert picks.expected_jaccard(count, a, b) == pytest.approx(np.mean(every), rel=1e-9)


def test_expected_jaccard_of_large_picks():
    assert picks.expected_jaccard(200_000, 20_000, 20_000) == pytest.approx(0.1 / 1.9, rel=1e-3)


def test_overlap_table():
    frame = Frame([f"{i}" for i in range(4)], influence=np.arange(4.0), difficulty=-np.arange(4.0))
    table = picks.overlaps({s: select(s, frame, 2) for s in ("influence", "difficulty")})
    assert table.tolist() == [[1, 0], [0, 1]]


def test_coverage_is_that_of_the_coverage_step():
    training, production = units(80), units(40, seed=1)
    production[3] = production[2]
    production[5] = 0
    keys = np.array([f"t{i}" for i in range(40)])
    keys[3] = keys[2]
    reached = picks.reach(training, production, keys)
    for rows in (np.arange(80), np.arange(0, 80, 3), np.array([7])):
        told = distinct_coverage(training[rows], production, keys, 5)["coverage"]
        assert picks.coverage(reached, rows) == pytest.approx(told, abs=1e-6)
    assert picks.coverage(reached, np.zeros(0, int)) == 0


def test_coverage_by_chance_is_the_mean_over_all_picks():
    reached = picks.reach(units(9), units(12, seed=1), [str(i) for i in range(12)], k=2)
    every = [picks.coverage(reached, np.array(c)) for c in combinations(range(9), 3)]
    expected, low, high = picks.coverage_by_chance(reached, 3)
    assert expected == pytest.approx(np.mean(every), rel=1e-9)
    assert min(every) <= low <= expected <= high <= max(every)


def test_coverage_of_much_production_is_sampled_and_says_so(monkeypatch):
    monkeypatch.setattr(picks, "PAIRS", 50)
    reached = picks.reach(units(20), units(200, seed=1), [str(i) for i in range(200)])
    assert reached.sampled and len(reached.weights) == 50 and reached.distinct == 200
    assert picks.reach(units(3), units(4, seed=2), list("abcd")) is None


def test_mix_by_hand():
    """Production half a, half b; the pick has 2 a, 0 b, smoothed 2.5/3 and .5/3: .5 ln(.5/.8333) + .5 ln(.5/.1667) = .2939."""
    assert picks.mix_kl(["a", "a"], {"a": 0.5, "b": 0.5}) == pytest.approx(0.5 * np.log(0.6) + 0.5 * np.log(3))
    assert picks.off_production(["a", "a", "x", "b"], {"a": 0.5, "b": 0.5}) == pytest.approx(0.25)


def test_a_pick_in_numbers():
    frame = Frame([str(i) for i in range(6)], influence=np.arange(6.0), embeddings=np.eye(6, dtype=np.float32))
    told = picks.describe(select("influence", frame, 3), list("aabbcc"), frame.embeddings, {"a": 1.0})
    assert told["categories"] == 2 and told["vendi"] == pytest.approx(3) and told["off_production"] == pytest.approx(1)
    assert told["coverage"] is None and told["vendi_sample"] is None
