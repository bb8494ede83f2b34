"""Draws: reproducible, blind to file order, never a removed record, shared out by largest remainder."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from core.review.sampling import draw_random, draw_stratified, largest_remainder

IDS = [f"{i:016x}-1" for i in range(1000)]


def test_a_draw_is_the_documented_one_and_does_not_depend_on_file_order():
    draw = draw_random(IDS, 50, 7)
    assert draw.record_ids == draw_random(IDS[::-1], 50, 7).record_ids
    positions = np.random.Generator(np.random.PCG64(7)).choice(1000, size=50, replace=False, shuffle=True)
    assert list(draw.record_ids) == [sorted(IDS)[i] for i in positions]
    assert draw.record_ids != draw_random(IDS, 50, 8).record_ids
    assert set(draw.probabilities) == {0.05} and draw.population == 1000
    assert draw.sentence == "Simple random sample of 50 from 1,000 records, seed 7."
    json.dumps([draw.recipe, list(draw.strata)])


def test_removed_records_are_never_drawn():
    gone = set(IDS[:980])
    draw = draw_random(IDS, 50, 1, removed=gone)
    assert draw.method == "census" and len(draw.record_ids) == 20
    assert not gone & set(draw.record_ids)
    assert draw.sentence.startswith("Census: all 20 records")
    assert set(draw.probabilities) == {1.0}


def test_nothing_to_draw_from_and_bad_calls():
    assert draw_random([], 50, 1).record_ids == []
    with pytest.raises(InputError, match="at least 1"):
        draw_random(IDS, 0, 1)
    with pytest.raises(InputError, match="seed"):
        draw_random(IDS, 5, -1)
    with pytest.raises(InputError, match="strata"):
        draw_stratified(IDS, ["a"], 5, 1)


def test_strata_are_shared_out_by_largest_remainder():
    """../shared/reference/statistics.md: 50 over shares 45/25/15/10/5 % gives 23/13/7/5/2."""
    names = ["a"] * 450 + ["b"] * 250 + ["c"] * 150 + ["d"] * 100 + [None] * 50
    draw = draw_stratified(IDS, names, 50, 3)
    assert {s["name"]: s["drawn"] for s in draw.strata} == {"a": 23, "b": 13, "c": 7, "d": 5, "(none)": 2}
    of = dict(zip(IDS, names, strict=True))
    assert [of[i] or "(none)" for i in draw.record_ids] == list(draw.stratum_of)
    chance = dict(zip(draw.stratum_of, draw.probabilities, strict=True))
    assert chance["a"] == pytest.approx(23 / 450) and chance["(none)"] == pytest.approx(2 / 50)
    assert draw.record_ids == draw_stratified(IDS[::-1], names[::-1], 50, 3).record_ids
    assert list(draw.stratum_of) != sorted(draw.stratum_of)  # the reading order tells nothing


def test_a_stratified_census():
    draw = draw_stratified(IDS[:5], ["x", "y", "x", "y", "x"], 50, 3)
    assert draw.method == "census" and sorted(draw.record_ids) == IDS[:5]


def test_largest_remainder_by_shares():
    """../shared/reference/statistics.md."""
    assert largest_remainder([0.45, 0.25, 0.15, 0.10, 0.05], 50) == [23, 13, 7, 5, 2]
    assert largest_remainder([], 5) == [] and largest_remainder([0, 0], 5) == [0, 0]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=30), st.floats(0, 1))
def test_shares_add_up_and_stay_within_their_stratum(counts, share):
    total = int(sum(counts) * share)
    drawn = largest_remainder(counts, total)
    if sum(counts):
        assert sum(drawn) == total
        assert all(0 <= d <= c and abs(d - c * total / sum(counts)) < 1 for d, c in zip(drawn, counts, strict=True))
