"""Invariants of batching, quadrants and selection."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.influence import holdout
from core.influence.encode import plan_batches
from core.influence.selection.quadrant import diq_order, quadrants, reduces_to

values = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=40)


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 1000))
def test_batches_hold_every_record_once_within_the_budget(lengths, budget):
    lengths = np.array(lengths, int)
    batches = plan_batches(lengths, budget)
    assert sorted(np.concatenate(batches).tolist() if batches else []) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= budget


@given(values)
def test_every_known_record_has_one_quadrant_and_the_order_never_goes_back(pairs):
    hard, helps = np.array(pairs, float).T
    ids = [f"{i:03d}-1" for i in range(len(pairs))]
    placed = quadrants(hard, helps)
    order = diq_order(ids, hard, helps, placed)
    assert sum(placed.counts().values()) == len(pairs) == len(set(order.tolist()))
    assert (np.diff(placed.codes[order]) >= 0).all()
    for q in (1, 2, 3, 4):
        assert (np.diff(helps[order][placed.codes[order] == q]) <= 0).all()
    assert all(reduces_to(placed, b) for b in range(1, len(pairs) + 1))


@given(values, st.integers(-4, 4), st.integers(-4, 4))
def test_raising_a_cut_never_adds_to_what_is_above_it(pairs, low, step):
    hard, helps = np.array(pairs, float).T
    few, many = (quadrants(hard, helps, low + s, 0).codes for s in (abs(step), 0))
    assert set(np.flatnonzero((few == 1) | (few == 3))) <= set(np.flatnonzero((many == 1) | (many == 3)))


@settings(max_examples=50)
@given(st.integers(2, 400), st.integers(1, 6), st.integers(0, 5))
def test_the_held_out_records_are_of_the_said_size_and_in_proportion(count, kinds, seed):
    ids = [f"{i * 7919:016x}-1" for i in range(count)]
    categories = [f"c{i % kinds}" for i in range(count)]
    found = holdout.choose(ids, categories, np.ones(count, bool), seed)
    assert len(found.rows) == min(max(round(0.05 * count), 50), max(1, count // 5))
    shares = np.bincount([int(categories[r][1:]) for r in found.rows], minlength=kinds)
    whole = np.bincount([int(c[1:]) for c in categories], minlength=kinds)
    assert (np.abs(shares - len(found.rows) * whole / count) < 1).all()


def test_an_edit_elsewhere_does_not_move_the_held_out_records():
    """One category, one record replaced: the draw hangs on each record's own id."""
    ids = [f"{i * 7919:016x}-1" for i in range(400)]
    before = holdout.choose(ids, [None] * 400, np.ones(400, bool))
    free = next(i for i in range(400) if i not in before.rows)
    ids[free] = "f" * 16 + "-1"
    after = holdout.choose(ids, [None] * 400, np.ones(400, bool))
    assert len(set(before.rows) ^ set(after.rows)) <= 2


def test_copies_of_a_held_out_record_are_kept_from_training():
    assert holdout.without(["a-1", "a-2", "b-1"], ["a-1"]).tolist() == [False, False, True]
