"""Budgets and strategies."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.embedding.neighbours import knn
from core.errors import InputError, MissingInput
from core.influence.selection import by_embedding, spread
from core.influence.selection.spending import capped, largest_remainder, quotas
from core.influence.selection.strategies import STRATEGIES, Frame, able, heavy, lacks, overlap, parse_budget, select

N = 200
RNG = np.random.default_rng(5)
VECTORS = RNG.normal(size=(N, 8))
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
TOPICS = RNG.choice(["a", "b", "c", ""], N)
GROUPS = RNG.integers(-1, 4, N)
SHARES = {"a": 0.5, "b": 0.3, "d": 0.2}


def frame(turn: np.ndarray | None = None) -> Frame:
    """The same records in another order of rows."""
    turn = np.arange(N) if turn is None else turn
    columns = {n: c[turn] for n, c in COLUMNS.items()}
    return Frame(
        [IDS[i] for i in turn], **columns, validation_embeddings=VECTORS[:3], category=[TOPICS[i] or None for i in turn],
        uncovered_embeddings=VECTORS[5:9], production_shares=SHARES,
    )  # fmt: skip


IDS = [f"{i:016x}-1" for i in RNG.permutation(N)]
COLUMNS = {
    "influence": RNG.normal(size=N), "difficulty": RNG.normal(size=N), "length": RNG.integers(5, 400, N), "embeddings": VECTORS,
    "cluster": GROUPS,
}  # fmt: skip
FRAME = frame()


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
    assert select(strategy, frame(turn), 40, seed=3).record_ids == found.record_ids


@pytest.mark.parametrize("strategy", [name for name, s in STRATEGIES.items() if s.nested])
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


# -- by hand ---------------------------------------------------------------------------------------------------------------


def line(*degrees: float) -> np.ndarray:
    """Unit vectors in the plane at these angles."""
    turns = np.radians(degrees)
    return np.stack([np.cos(turns), np.sin(turns)], 1).astype(np.float32)


def named(count: int) -> list[str]:
    return [f"{i:03d}-1" for i in range(count)]


def test_k_centre_by_hand():
    """Angles 0, 10, 90, 100, 180 from 0: farthest is 180; then 90 (90 from both) beats 100 (80 from 180); then 10 and 100 tie."""
    rows, radius = spread.k_centre(line(0, 10, 90, 100, 180), 5, 0, np.arange(5))
    assert rows.tolist() == [0, 4, 2, 1, 3] and radius == 0
    _, radius = spread.k_centre(line(0, 10, 90, 100, 180), 3, 0, np.arange(5))
    assert radius == pytest.approx(2 * np.sin(np.radians(10) / 2), rel=1e-4)


def test_facility_location_by_hand():
    """Cosines at angles 0, 60, 120, 180: sums of the non-negative ones are 1.5, 2, 2, 1.5; 60 comes first, by its id. It leaves
    (.5, 0, .5, 1) to gain from 0: .5, from 120: .5 + .5, from 180: 1 + 0 (cos 120 = .5 is there already): 120 wins, by its id."""
    rows, value = spread.facility_location(line(0, 60, 120, 180), 2, np.arange(4))
    assert rows.tolist() == [1, 2] and value == pytest.approx(0.5 + 1 + 1 + 0.5)
    assert spread.location_value(line(0, 60, 120, 180), rows) == pytest.approx(value)


def test_each_target_takes_its_own_in_turn():
    """Targets at 0 and 90 degrees; records at 1, 2, 3, 80: 1 for the first, 80 for the second, 2 for the first, 3 for the second."""
    assert spread.in_turn(line(1, 2, 3, 80), line(0, 90), 4, np.arange(4)).tolist() == [0, 3, 1, 2]


def test_in_turn_ranks_anew_when_a_list_is_used_up():
    """One target, 300 records of which the lists hold fewer: every record comes, most similar first, copies by id."""
    angles = np.repeat(np.linspace(0, 170, 100), 3)
    rows = spread.in_turn(line(*angles), line(0), 300, np.arange(300))
    assert rows.tolist() == list(range(300))
    many = spread.in_turn(line(*angles), np.repeat(line(0), 20, 0), 300, np.arange(300))
    assert many.tolist() == list(range(300))


def test_holes_are_fed_and_without_one_it_is_said():
    near = Frame(named(4), embeddings=line(0, 40, 90, 91), uncovered_embeddings=line(92))
    assert select("holes", near, 2).record_ids == ("003-1", "002-1")
    with pytest.raises(InputError, match="All of production is covered"):
        select("holes", Frame(named(2), embeddings=line(0, 1), uncovered_embeddings=line(0)[:0]), 1)


def test_a_record_without_a_vector_is_never_picked_by_embedding():
    vectors = line(0, 40, 90, 180)
    vectors[1] = 0
    some = Frame(named(4), embeddings=vectors, validation_embeddings=line(40), uncovered_embeddings=line(40))
    for strategy in ("similarity", "rds", "holes", "k-centre", "facility location"):
        found = select(strategy, some, 4)
        assert sorted(found.rows) == [0, 2, 3], strategy
        assert "1 records lack a value" in found.notes[-1]


@pytest.mark.parametrize(
    ("shares", "total", "expected"),
    [
        ([0.5, 0.3, 0.2], 10, [5, 3, 2]),
        (
            [47, 16, 15.8, 12, 6.1, 3.1],
            10,
            [5, 2, 1, 1, 1, 0],
        ),  # remainders .7 .6 .58 .2 .61 .31: 4 1 1 1 0 0 and three more
        ([1, 1, 1], 2, [1, 1, 0]),
        ([0, 0], 3, [0, 0]),
        ([1, 2], 0, [0, 0]),
    ],
)
def test_largest_remainder(shares, total, expected):
    assert largest_remainder(shares, total).tolist() == expected


def test_quotas_that_cannot_be_met_go_to_the_others():
    """Ten records: 5, 3, 2 wanted; "b" has one only: its two go 5 : 2 to a and d (1.43, .57: one and, by remainder, one)."""
    take, short = quotas({"a": 0.5, "b": 0.3, "d": 0.2}, {"a": 9, "b": 1, "d": 9, "x": 4}, 10)
    assert take == {"a": 6, "b": 1, "d": 3, "x": 0} and short == {"b": 2}
    take, short = quotas({"a": 1.0}, {"a": 2, "x": 5}, 4)
    assert take == {"a": 2, "x": 2} and short == {"a": 2}


def test_caps_skip_and_then_lift():
    order, groups = np.array([0, 1, 2, 3, 4, 5]), np.array([0, 0, 0, -1, -1, 1])
    rows, lifted = capped(order, groups, 1, 4)
    assert rows.tolist() == [0, 3, 4, 5] and lifted == 0
    rows, lifted = capped(order, groups, 1, 6)
    assert rows.tolist() == [0, 3, 4, 5, 1, 2] and lifted == 2


def test_diq_with_caps_and_quotas():
    """All hard and influential by cuts at 0: DIQ's order is 0..5; categories a a a b b c, clusters 0 0 0 0 1 1."""
    some = Frame(
        named(6), influence=np.array([6.0, 5, 4, 3, 2, 1]), difficulty=np.ones(6), category=["a", "a", "a", "b", "b", "c"],
        cluster=np.array([0, 0, 0, 0, 1, 1]), production_shares={"b": 0.5, "c": 0.5},
    )  # fmt: skip
    cuts = {"difficulty_cut": 0, "influence_cut": 0}
    assert select("diq", some, 3, **cuts).rows.tolist() == [0, 1, 2]
    found = select("diq caps", some, 4, cap="50%", **cuts)
    assert found.rows.tolist() == [0, 1, 4, 5] and "one cluster would give 4 of 4" in found.notes[1]
    assert select("diq quotas", some, 2, **cuts).rows.tolist() == [3, 5]
    found = select("diq quotas", some, 4, **cuts)
    assert found.rows.tolist() == [0, 3, 4, 5] and "1 records of the quotas cannot be met" in found.notes[1]
    assert select("diq quotas", some, 3, quotas="equal", **cuts).rows.tolist() == [0, 3, 5]
    assert select("diq quotas", some, 2, quotas={"a": 1}, **cuts).rows.tolist() == [0, 1]
    for wrong in ("often", {}, {"a": -1.0}):
        with pytest.raises(InputError, match="Quotas"):
            select("diq quotas", some, 2, quotas=wrong)
    with pytest.raises(InputError, match="Cap"):
        select("diq caps", some, 2, cap="0")


def test_above_its_size_facility_location_thins_and_says_so(monkeypatch):
    monkeypatch.setattr(by_embedding, "EXACT_UNTIL", 50)
    with pytest.raises(MissingInput, match="neighbours"):
        select("facility location", FRAME, 10)
    near, alike = knn(VECTORS, 30)
    found = select("facility location", replace(FRAME, neighbours=(near, alike)), 10)
    assert "approximate" in found.notes[0] and len(found.rows) == 10
    monkeypatch.setattr(by_embedding, "EXACT_UNTIL", 5000)
    exact = select("facility location", FRAME, 10)
    values = [spread.location_value(VECTORS, s.rows) for s in (found, exact, select("random", FRAME, 10))]
    assert values[0] > 0.95 * values[1] and min(values[:2]) > values[2]  # greedy both, so either may be ahead


# -- against the best there is ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_k_centre_is_within_twice_and_facility_location_within_63_percent_of_the_best(seed):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(11, 3))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    picks = [list(c) for c in combinations(range(11), 3)]
    best_radius = min(apart[:, c].min(1).max() for c in picks)
    best_value = max(spread.location_value(vectors, c) for c in picks)
    for first in range(11):
        rows, radius = spread.k_centre(vectors, 3, first, np.arange(11))
        assert radius == pytest.approx(apart[:, rows].min(1).max(), abs=1e-3)
        assert best_radius - 1e-3 <= radius <= 2 * best_radius + 1e-3
    rows, value = spread.facility_location(vectors, 3, np.arange(11))
    assert value == pytest.approx(spread.location_value(vectors, rows), rel=1e-5)
    assert (1 - 1 / np.e) * best_value <= value <= best_value + 1e-5
    plain = []  # greedy without laziness picks the same
    for _ in range(3):
        rest = [r for r in range(11) if r not in plain]
        plain.append(max(rest, key=lambda r: (round(spread.location_value(vectors, [*plain, r]), 5), -r)))
    assert rows.tolist() == plain
    full = spread.facility_location_sparse(*knn(vectors, 10), 3, np.arange(11))
    assert full[0].tolist() == plain and full[1] == pytest.approx(value, rel=1e-5)


@given(st.integers(0, 10_000), st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_quotas_always_spend_the_budget_and_never_more_than_there_is(seed, size):
    rng = np.random.default_rng(seed)
    able = {f"c{i}": int(n) for i, n in enumerate(rng.integers(0, 12, 6))}
    shares = {f"c{i}": float(x) for i, x in enumerate(rng.random(7) * (rng.random(7) > 0.3))}
    take, short = quotas(shares, able, size)
    assert sum(take.values()) == min(size, sum(able.values()))
    assert all(0 <= n <= able.get(name, 0) for name, n in take.items())
    assert all(take[name] == able.get(name, 0) for name in short)


@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_caps_hold_unless_they_are_lifted(seed, cap, size):
    rng = np.random.default_rng(seed)
    groups = rng.integers(-1, 5, 40)
    rows, lifted = capped(rng.permutation(40), groups, cap, size)
    assert len(set(rows.tolist())) == len(rows) == size
    most = max([int((groups[rows] == g).sum()) for g in range(5)], default=0)
    assert lifted or most <= cap


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_pick_that_lacks_its_columns_is_refused_and_never_called_heavy(strategy):
    bare = Frame(ids=["a", "b", "c"])
    assert not heavy(strategy, bare, 2)
    if STRATEGIES[strategy].needs:
        with pytest.raises(MissingInput):
            select(strategy, bare, 2)


def test_what_a_strategy_lacks_is_named():
    bare = Frame(("a-1", "b-1"), difficulty=np.array([1.0, 2.0]))
    assert lacks("diq quotas", bare) == ("influence", "category", "production_shares")
    with pytest.raises(MissingInput, match="diq needs influence, which was not computed, mapped or imported yet"):
        select("diq", bare, 1)
    assert lacks("difficulty", bare) == () and able("difficulty", bare) and not able("diq", bare)
