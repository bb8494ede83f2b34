"""Pairs by shared words: Jaccard by hand, and every pair that brute force finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.quality.shingles import cross_shingle_pairs, jaccard, shingle_pairs, shingles


def brute(left: list[str], right: list[str] | None, floor: float) -> dict[tuple[int, int], float]:
    other = left if right is None else right
    found = {
        (i, j): jaccard(a, b) for i, a in enumerate(left) for j, b in enumerate(other) if right is not None or j > i
    }
    return {pair: value for pair, value in found.items() if np.float32(value) >= np.float32(floor)}


def as_dict(pairs) -> dict[tuple[int, int], float]:
    return {
        (i, j): s for i, j, s in zip(pairs.left.tolist(), pairs.right.tolist(), pairs.similarity.tolist(), strict=True)
    }


def test_shingles_are_pairs_of_neighbouring_words():
    assert shingles("Dose of  DRUG") == ["\0dose", "dose\0of", "of\0drug", "drug\0"]
    assert shingles("頭痛") == ["\0頭", "頭\0痛", "痛\0"]
    assert shingles(" !? ") == []
    assert jaccard("a b c", "a b d") == pytest.approx(2 / 6)  # ^a ab of ^a ab bc c$ bd d$
    assert jaccard("a b c", "A  b, c!") == 1 and jaccard("", "") == 0


texts = st.lists(st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f"]), max_size=8).map(" ".join), max_size=14)


@settings(max_examples=120, deadline=None)
@given(texts, texts, st.sampled_from([0.5, 0.6, 0.75, 0.9, 1.0]))
def test_no_pair_is_missed_and_none_invented(left, right, floor):
    for found, expected in (
        (shingle_pairs(left, floor), brute(left, None, floor)),
        (cross_shingle_pairs(left, right, floor), brute(left, right, floor)),
    ):
        assert as_dict(found).keys() == expected.keys()
        assert all(abs(value - expected[pair]) < 1e-6 for pair, value in as_dict(found).items())
        assert (np.diff(found.similarity) <= 0).all()


def test_blocks_do_not_matter(monkeypatch):
    random = np.random.default_rng(0)
    some = [" ".join(random.choice(list("abcdefgh"), 6)) for _ in range(200)]
    whole = as_dict(shingle_pairs(some, 0.5))
    monkeypatch.setattr("core.quality.shingles.ROWS", 7)
    monkeypatch.setattr("core.quality.shingles.CANDIDATES", 200)
    assert as_dict(shingle_pairs(some, 0.5)) == whole and len(whole) > 5


def test_over_the_limit_the_floor_rises_and_says_so():
    some = [f"one two three four five six seven {i}" for i in range(40)]  # all pairs: 8 of 10 shared... J = 7/11
    found = shingle_pairs([*some, "x y z", "x y z"], 0.5, limit=100)
    assert found.floor == 0.7 and as_dict(found) == {(40, 41): 1.0}


def test_two_sides_are_compared_by_parts_of_one_without_missing_a_pair(monkeypatch):
    """The left side is read a part at a time, and what the right side never says has no column: as comparing each with each."""
    random = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(9)])
    left, right = ([" ".join(random.choice(words, random.integers(0, 9))) for _ in range(n)] for n in (70, 30))
    left[3:9], left[20] = right[:6], right[7] + " only here"
    monkeypatch.setattr("core.quality.shingles.ROWS", 16)
    found = cross_shingle_pairs(left, right, 0.3)
    expected = {(i, j): jaccard(a, b) for i, a in enumerate(left) for j, b in enumerate(right) if jaccard(a, b) >= 0.3}
    assert set(zip(found.left.tolist(), found.right.tolist(), strict=True)) == set(expected) and len(expected) > 20
    assert all(
        abs(expected[i, j] - s) < 1e-6 for i, j, s in zip(found.left, found.right, found.similarity, strict=True)
    )
