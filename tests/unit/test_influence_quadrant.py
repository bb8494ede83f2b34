"""Cuts, quadrants and DIQ's order on cases worked out by hand."""

import numpy as np
import pytest

from core.errors import InputError
from core.influence.selection.quadrant import cut, diq_order, quadrants, reduces_to

IDS = ["a-1", "b-1", "c-1", "d-1", "e-1", "f-1"]
HARD = np.array([5.0, 4, 3, 2, 1, 4])
HELPS = np.array([0.1, 0.9, 0.8, -0.5, 0.7, 0.2])


def test_golden_case():
    """Median difficulty 3.5, median influence 0.45: b hard+helpful; c, e easy+helpful; a, f hard; d easy."""
    placed = quadrants(HARD, HELPS)
    assert (placed.difficulty_cut.value, placed.influence_cut.value) == (3.5, pytest.approx(0.45))
    assert placed.codes.tolist() == [3, 1, 2, 4, 2, 3]
    assert placed.counts() == {1: 1, 2: 2, 3: 2, 4: 1} and not placed.notes
    assert [IDS[r] for r in diq_order(IDS, HARD, HELPS, placed)] == ["b-1", "c-1", "e-1", "f-1", "a-1", "d-1"]


def test_percentile_and_typed_cuts():
    assert cut(np.arange(101.0), "p75").value == 75 and cut(HARD, 2.5).value == 2.5 and cut(HARD, "2.5").how == "typed"
    for wrong in ("p101", "px", "half", "nan", ""):
        with pytest.raises(InputError):
            cut(HARD, wrong)
    with pytest.raises(InputError, match="No record has a value"):
        cut(np.array([np.nan]))


def test_values_on_the_cut_count_as_above_and_are_told():
    placed = quadrants(np.array([1.0, 2, 2, 2, 3]), np.arange(5.0))
    assert placed.codes.tolist() == [4, 3, 1, 1, 1]
    assert placed.notes == ("3 records lie exactly on the difficulty cut (2) and count as above it.",)


def test_all_tied_difficulty_makes_every_record_hard_and_says_so():
    placed = quadrants(np.full(4, 3.0), np.arange(4.0))
    assert placed.codes.tolist() == [3, 3, 1, 1] and "tells nothing" in placed.notes[0]


def test_missing_values_are_in_no_quadrant_and_do_not_move_the_cuts():
    hard, helps = np.append(HARD, [np.nan, 99]), np.append(HELPS, [9, np.nan])
    placed = quadrants(hard, helps)
    assert placed.codes.tolist() == [3, 1, 2, 4, 2, 3, 0, 0] and placed.missing == 2
    assert len(diq_order([*IDS, "g-1", "h-1"], hard, helps, placed)) == 6


def test_ties_inside_a_quadrant_go_by_difficulty_then_record_id():
    ids, hard, helps = ["z-1", "y-1", "x-1", "w-1"], np.array([4.0, 5, 4, 0]), np.array([1.0, 1, 1, 0])
    placed = quadrants(hard, helps, 1, 0.5)
    assert [ids[r] for r in diq_order(ids, hard, helps, placed)] == ["y-1", "x-1", "z-1", "w-1"]


def test_small_budgets_are_said_to_be_a_plain_ranking():
    placed = quadrants(np.arange(10.0), np.arange(10.0))
    assert "DIQ here is the top 3 by influence among records with a difficulty of at least 4.5" in reduces_to(placed, 3)
    assert "fills exactly" in reduces_to(placed, 5)
    assert (
        reduces_to(placed, 7)
        == "This budget of 7 takes 5 of the 5 hard, influential, 2 of the 5 easy, not influential."
    )
