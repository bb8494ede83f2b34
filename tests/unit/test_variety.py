"""Diversity beside chance: values by hand, equal sizes, and what a narrow selection looks like."""

import numpy as np
import pytest

from core.actions import variety
from core.actions.variety import Material, Row, compare, effective, nearest_distance, style
from tests.embedding_data import dataset, workspace


def test_effective_number_by_hand():
    assert effective([5, 5, 5, 5]) == pytest.approx(4)
    assert effective([1, 0, 0]) == pytest.approx(1)
    assert effective([0.5, 0.25, 0.25]) == pytest.approx(2 * 2**0.5)  # exp(1.5 ln 2)
    assert effective([]) is None and effective([0]) is None


def test_nearest_distance_by_hand():
    rows = np.array(
        [[1, 0], [1, 0], [0, 1], [0, 0]], np.float32
    )  # copies at distance 0, the third at 1; no vector: left out
    assert nearest_distance(rows) == pytest.approx(1 / 3)
    assert nearest_distance(rows[2:]) is None


def test_style_tells_lists_code_headings_and_questions_apart():
    found = {
        style(t)
        for t in ("plain", "- a\n- b", "1. a\n2. b", "# H\ntext", "```\nx\n```", "**b**", "really?", "one\n\ntwo")
    }
    assert len(found) == 8 and style("plain") == style("other words")


@pytest.fixture
def two_topics(tmp_path):
    """Topic 0: 30 records that say the same in other words order; topic 1: 30 different ones."""
    prompts = [f"fever since monday case {n}" for n in range(30)]
    prompts += [f"question {n} about w{n} x{n} y{n} z{n}" for n in range(30)]
    answers = ["Rest."] * 30 + [
        ("- a\n- b", "# H\n\nx", "fine?", "1. x\n2. y", "**x**")[n % 5] + f" u{n}" for n in range(30)
    ]
    data = dataset(workspace(tmp_path / "ws"), prompts, response=answers, language=["en"] * 60)
    random = np.random.default_rng(0)
    rows = np.r_[
        np.tile(random.normal(0, 1, (1, 16)), (30, 1)) + random.normal(0, 0.05, (30, 16)), random.normal(0, 1, (30, 16))
    ]
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    group = np.r_[np.zeros(10, int), np.full(50, -1)]
    return Material(data, rows, np.r_[np.zeros(30, int), 1 + np.arange(30) % 6], group)


def test_a_narrow_selection_is_less_varied_than_chance_and_a_wide_one_more(two_topics):
    narrow = {r.name: r for r in compare(two_topics, np.arange(30), two_topics)}
    wide = {r.name: r for r in compare(two_topics, np.arange(30, 60), two_topics)}
    for name in ("vendi", "nearest", "clusters", "prompt_words", "response_words", "styles"):
        assert narrow[name].verdict == "less" and wide[name].verdict == "more", name
    assert (
        narrow["unique"].value == 21
        and narrow["clusters"].value == pytest.approx(1)
        and wide["clusters"].value == pytest.approx(6)
    )
    assert narrow["languages"].value == wide["languages"].mean == pytest.approx(1)


def test_a_random_selection_is_as_varied_as_chance_and_the_whole_has_no_baseline(two_topics):
    rows = np.random.default_rng(5).choice(60, 24, replace=False)
    assert [r.verdict for r in compare(two_topics, rows, two_topics)].count("as") >= 8  # of 10, each outside in 1 of 20
    assert all(r.mean is None and r.verdict == "" for r in compare(two_topics))


def test_sizes_are_equal_and_the_cap_is_said(two_topics, monkeypatch):
    monkeypatch.setattr(variety, "CAP", 12)
    monkeypatch.setattr(variety, "TEXTS", 6)
    found = {r.name: r for r in compare(two_topics, np.arange(40), two_topics, draws=3)}
    assert (found["vendi"].measured, found["styles"].measured, found["vendi"].of) == (12, 6, 40)
    assert found["unique"].mean <= 12 and found["unique"].value <= 12
    assert variety.whole_vendi(two_topics) > found["vendi"].value  # of all, not of the drawn ones


def test_rows_may_come_in_any_order(two_topics):
    rows = np.arange(5, 25)
    forth, back = compare(two_topics, rows), compare(two_topics, rows[::-1])
    for a, b in zip(forth, back, strict=True):
        assert a.name == b.name and (a.value == b.value or a.value == pytest.approx(b.value))


def test_nothing_known_is_none_and_not_zero(tmp_path):
    data = dataset(workspace(tmp_path / "ws"), ["a b", "c d"])
    found = {r.name: r.value for r in compare(Material(data))}
    assert (
        found["vendi"] is found["clusters"] is found["styles"] is found["response_words"] is found["languages"] is None
    )
    assert found["prompt_words"] == pytest.approx(4)
    assert Row("vendi", 1.0, None, None, None, 1, 1).verdict == ""


def test_the_score_of_a_large_set_is_that_of_exact_products(monkeypatch):
    from core.embedding import diversity

    random = np.random.default_rng(5)
    vectors = random.normal(size=(900, 24)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[::100] = 0
    exact = diversity.vendi(vectors)
    monkeypatch.setattr(diversity, "LARGE", 100)
    assert diversity.vendi(vectors, block=128) == pytest.approx(exact, abs=1e-3)
    assert diversity.vendi(np.repeat(vectors[1:2], 900, 0)) == pytest.approx(1, abs=1e-3)
