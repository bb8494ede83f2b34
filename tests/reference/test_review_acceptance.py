"""Golden values of acceptance sampling: ../shared/reference/statistics.md, recomputed there from the exact distributions;
Newcombe 1998 for the published intervals."""

import pytest

from core.errors import InputError
from core.review import acceptance as a
from core.review.stratified import Stratum, stratified_rate

PASS = {
    1: 0.998404, 2: 0.982242, 3: 0.937240, 4: 0.860869, 5: 0.760408, 6: 0.647303, 7: 0.532735, 8: 0.425296,
    9: 0.330337, 10: 0.250294, 11: 0.185412, 12: 0.134534, 13: 0.095766, 14: 0.066964, 15: 0.046047, 20: 0.005656,
}  # fmt: skip
INTERVALS = {  # k of 50: Clopper–Pearson, Jeffreys, Wilson, P(p > 6 %)
    0: ((0, 0.071122), (0, 0.048758), (0, 0.071348), 0.012641),
    1: ((0.000506, 0.106470), (0.002166, 0.089680), (0.003539, 0.104954), 0.104248),
    2: ((0.004881, 0.137138), (0.008404, 0.122179), (0.011039, 0.134601), 0.297208),
    3: ((0.012549, 0.165482), (0.017187, 0.151533), (0.020615, 0.162171), 0.536150),
    4: ((0.022228, 0.192343), (0.027607, 0.179066), (0.031550, 0.188382), 0.743136),
    5: ((0.033275, 0.218135), (0.039194, 0.205355), (0.043476, 0.213602), 0.879659),
}


@pytest.mark.parametrize(("percent", "expected"), PASS.items())
def test_operating_characteristic_of_50_and_3(percent, expected):
    assert a.pass_probability(percent / 100) == pytest.approx(expected, abs=5e-7)


@pytest.mark.parametrize(("probability", "rate"), [(0.95, 0.027788), (0.50, 0.07295), (0.10, 0.128756)])
def test_rates_at_which_the_plan_passes_so_often(probability, rate):
    assert a.rate_at(probability) == pytest.approx(rate, abs=5e-7 if probability != 0.5 else 5e-6)
    assert a.pass_probability(a.rate_at(probability)) == pytest.approx(probability)


def test_finite_population():
    assert a.pass_probability(0.06, population=250) == pytest.approx(0.649779, abs=5e-7)
    assert a.pass_probability(0.10, population=250) == pytest.approx(0.219873, abs=5e-7)
    assert a.bad_in_population(3, 50, 250) == (4, 38)
    assert a.bad_in_population(3, 50, 1000) == (14, 162)
    assert a.bad_in_population(3, 50, 50) == (3, 3)
    assert a.bad_in_population(0, 0, 50) is None


@pytest.mark.parametrize("k", INTERVALS)
def test_intervals_for_k_of_50(k):
    exact, bayes, score, above = INTERVALS[k]
    for interval, (low, high) in zip(
        (a.clopper_pearson(k, 50), a.jeffreys(k, 50), a.wilson(k, 50)), (exact, bayes, score), strict=True
    ):
        assert (interval.low, interval.high) == (pytest.approx(low, abs=5e-7), pytest.approx(high, abs=5e-7))
    assert a.probability_above(k, 50, 0.06) == pytest.approx(above, abs=5e-7)


def test_one_sided_bounds():
    bounds = [a.upper_bound(k, 50) for k in range(5)]
    assert bounds == pytest.approx([0.058155, 0.091398, 0.120614, 0.147837, 0.173791], abs=5e-7)


@pytest.mark.parametrize(
    ("rate", "sizes"), [(0.06, (49, 78, 103, 127)), (0.05, (59, 93, 124, 153)), (0.04, (74, 117, 156, 192))]
)
def test_sizes_that_certify_a_rate(rate, sizes):
    """For 4 % the reference says "< 4 %", 74 records: the exact bound at 73 is above, at 74 below."""
    assert tuple(a.certifying_size(k, rate) for k in range(4)) == sizes


@pytest.mark.parametrize(
    ("good", "bad", "plan"), [(0.02, 0.10, (65, 3)), (0.02, 0.08, (98, 4)), (0.02, 0.06, (194, 7))]
)
def test_exact_plans(good, bad, plan):
    assert a.exact_plan(good, bad) == plan


def test_newcombe():
    """Newcombe 1998, Statistics in Medicine 17:857, table I."""
    assert [round(v, 4) for v in (a.wilson(81, 263).low, a.wilson(81, 263).high)] == [0.2553, 0.3662]
    assert [round(v, 4) for v in (a.clopper_pearson(81, 263).low, a.clopper_pearson(81, 263).high)] == [0.2527, 0.3676]
    assert [round(v, 4) for v in (a.wilson(15, 148).low, a.wilson(15, 148).high)] == [0.0624, 0.1605]
    assert [round(v, 4) for v in (a.wilson(0, 20).low, a.wilson(0, 20).high)] == [0.0, 0.1611]


def test_stratified_estimate():
    """W = .5/.3/.2, N = 1000, n = 20/15/15, k = 1/1/3."""
    found = stratified_rate([Stratum(500, 20, 1), Stratum(300, 15, 1), Stratum(200, 15, 3)])
    assert found.rate == pytest.approx(0.085) and found.standard_error == pytest.approx(0.0374547, abs=5e-8)
    assert not found.smoothed
    clean = stratified_rate([Stratum(500, 20, 0), Stratum(500, 20, 0)])
    assert clean.rate == 0 and clean.standard_error > 0 and clean.smoothed
    assert stratified_rate([Stratum(500, 20, 1), Stratum(300, 0, 0)]) is None
    assert stratified_rate([Stratum(500, 1, 1)]).standard_error is None


def said(passed, failed, unsure=0, disputed=0):
    return ["pass"] * passed + ["fail"] * failed + ["unsure"] * unsure + ["disputed"] * disputed


def test_three_of_fifty_passes_the_rule_and_is_never_called_at_most_six_percent():
    for k in range(4):
        found = a.summarise(said(50 - k, k), 50)
        text = f"{found.headline} {found.detail}".lower()
        assert found.decision == "not shown"
        assert "at most 6" not in text and "below 6" not in text and "less than 6" not in text
    assert "65% of the time" in found.detail and "127 records must be read" in found.detail
    assert "1.3% and 16.5%" in found.detail and "54%" in found.detail


def test_zero_of_fifty_is_just_short_of_the_line_one_sided():
    assert "Even the one-sided 95 % bound, 5.8%" in a.summarise(said(50, 0), 50).detail


def test_four_of_fifty_is_systemic_also_before_all_are_read():
    assert a.summarise(said(46, 4), 50).decision == "systemic"
    assert a.summarise(said(10, 4), 50).decision == "stop"


def test_unsure_and_unread_are_counted_apart():
    found = a.summarise(said(44, 2, unsure=3, disputed=1), 50)
    assert (found.decision, found.judged, found.unsure, found.disputed) == ("open", 46, 3, 1)
    assert found.interval == a.clopper_pearson(2, 46)
    reading = a.summarise({"a": "pass", "b": "fail"}, 50)
    assert (reading.decision, reading.unread) == ("reading", 48) and "would bias" in reading.detail
    empty = a.summarise({}, 50)
    assert (empty.decision, empty.rate, empty.interval, empty.above_limit) == ("unread", None, None, None)
    only_unsure = a.summarise(said(0, 0, unsure=50), 50)
    assert only_unsure.decision == "open" and only_unsure.rate is None


def test_a_census_is_a_count_and_unequal_chances_have_no_plan():
    found = a.summarise(said(18, 2), 20, population=20)
    assert "a count and not an estimate" in found.detail and "Clopper" not in found.detail
    assert a.summarise(said(46, 4), 50, equal_chances=False).decision == "no plan"


def test_impossible_counts_are_refused():
    with pytest.raises(InputError):
        a.clopper_pearson(5, 4)
    with pytest.raises(InputError):
        a.summarise(["pass", "maybe"], 50)
