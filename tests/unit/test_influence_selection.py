"""Budgets and strategies."""

import numpy as np
import pytest

from core.errors import InputError, MissingInput
from core.influence.selection import STRATEGIES, Frame, overlap, parse_budget, select

N = 200
RNG = np.random.default_rng(5)
VECTORS = RNG.normal(size=(N, 8))
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
FRAME = Frame(
    [f"{i:016x}-1" for i in RNG.permutation(N)],
    RNG.normal(size=N),
    RNG.normal(size=N),
    RNG.integers(5, 400, N),
    VECTORS,
    VECTORS[:3],
)


@pytest.mark.parametrize(
    ("text", "count", "expected"),
    [
        ("10%", 900, 90),
        ("0.5 %", 900, 4),
        ("200", 900, 200),
        (200, 900, 200),
        ("1,000", 5000, 1000),
        ("0.01%", 900, 1),
        ("100%", 7, 7),
    ],
)
def test_budgets(text, count, expected):
    assert parse_budget(text, count) == expected


@pytest.mark.parametrize("text", ["0", 0, "901", "0%", "101%", "-5", "ten", "", "2.5", 0.1, "5%%"])
def test_budgets_that_cannot_be_are_refused(text):
    with pytest.raises(InputError):
        parse_budget(text, 900)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_fills_its_budget_without_repeats_whatever_the_order_of_the_rows(strategy):
    found = select(strategy, FRAME, 40, seed=3)
    assert len(set(found.record_ids)) == 40 and found.params["budget"] == 40
    turn = RNG.permutation(N)
    columns = (FRAME.influence, FRAME.difficulty, FRAME.length, FRAME.embeddings)
    other = Frame([FRAME.ids[i] for i in turn], *(c[turn] for c in columns), FRAME.validation_embeddings)
    assert select(strategy, other, 40, seed=3).record_ids == found.record_ids


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_larger_budget_only_adds(strategy):
    assert select(strategy, FRAME, 80, seed=1).record_ids[:30] == select(strategy, FRAME, 30, seed=1).record_ids


def test_rankings_are_highest_first_and_leave_out_missing_values():
    values = FRAME.influence.copy()
    values[:5] = np.nan
    found = select("influence", Frame(FRAME.ids, influence=values), "100%")
    assert len(found.record_ids) == N - 5 and "5 records lack a value" in found.notes[-1]
    assert found.rows[0] == np.nanargmax(values)


def test_random_depends_on_the_seed():
    a, b = (select("random", FRAME, 50, seed=s) for s in (1, 2))
    assert a.record_ids != b.record_ids and overlap(a, a) == 1 and 0 < overlap(a, b) < 0.6


def test_length_matched_random_has_the_lengths_of_its_model():
    by_length = Frame(FRAME.ids, influence=FRAME.length.astype(float), length=FRAME.length)
    model = select("influence", by_length, 40)
    control = select("length-matched random", by_length, 40, like="influence", seed=2)
    lengths = [np.median(FRAME.length[s.rows]) for s in (model, control)]
    assert lengths[0] == pytest.approx(lengths[1], rel=0.05)
    assert np.median(FRAME.length) < 0.8 * lengths[1]


def test_similarity_finds_the_validation_records_own_neighbourhood():
    close = np.argsort(-(VECTORS @ VECTORS[:3].mean(0)))[:10]
    assert set(select("similarity", FRAME, 10).rows) == set(close)


def test_diq_tells_when_the_budget_reduces_it_to_a_ranking():
    assert "DIQ here is the top 5 by influence" in select("diq", FRAME, 5, difficulty_cut="p75").notes[0]


def test_what_is_missing_or_unknown_is_said():
    with pytest.raises(MissingInput, match="needs influence"):
        select("influence", Frame(FRAME.ids), 3)
    with pytest.raises(InputError, match="not known"):
        select("best", FRAME, 3)
    with pytest.raises(InputError, match="no parameter 'cut'"):
        select("random", FRAME, 3, cut=2)
