"""Label drift by annotator or time: intervals and tests by hand and against SciPy, and Holm's correction."""

import numpy as np
import pytest

from core.errors import InputError
from core.quality import drift


def test_wilson_of_newcombe():
    """Newcombe 1998: 81/263 .2553–.3662, 15/148 .0624–.1605, 0/20 0–.1611."""
    for k, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)):
        assert drift.wilson(k, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize("table", [(8, 2, 1, 5), (0, 10, 3, 7), (12, 188, 31, 769), (1, 0, 0, 1)])
def test_fisher_agrees_with_scipy(table):
    from scipy.stats import fisher_exact

    a, b, c, d = table
    assert drift.fisher(a, b, c, d) == pytest.approx(fisher_exact([[a, b], [c, d]])[1], rel=1e-9)


def test_holm_by_hand():
    """Sorted .01 .02 .03 .04: times 4, 3, 2, 1, never falling."""
    assert drift.holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert drift.holm([0.9, 0.8]) == [1.0, 1.0] and drift.holm([]) == []


def test_trend_by_hand():
    """Shares .1 .2 .3 of 100 each, scores -1 0 1: slope 20/200 = .1, z = .1 / sqrt(.16 / 200) = 3.5355, p .000407."""
    p, slope = drift.trend(np.array([10, 20, 30]), np.array([100, 100, 100]))
    assert slope == pytest.approx(0.1) and p == pytest.approx(0.000407, abs=1e-6)
    assert drift.trend(np.array([0, 0]), np.array([5, 5])) == (None, None)


def test_groups_are_set_against_all_others():
    groups = ["x"] * 100 + ["y"] * 200 + ["z"] * 3 + [None] * 4
    doubted = np.array([i < 20 or 100 <= i < 110 for i in range(307)])
    labels = ["a"] * 50 + ["b"] * 50 + ["a"] * 100 + ["b"] * 100 + ["a"] * 7
    found = drift.drift(groups, doubted, labels, np.ones(307, bool))
    one, two = {g.name: g for g in found.groups}["x"], {g.name: g for g in found.groups}["y"]
    assert (one.judged, one.doubted, one.share) == (100, 20, 0.2) and (two.judged, two.doubted) == (200, 10)
    assert found.left_out == 1, "three records are too few"
    assert one.p == pytest.approx(drift.fisher(20, 80, 10, 193)) and one.p_holm == pytest.approx(2 * min(one.p, two.p))
    rate_a = 30 / 153
    assert one.expected == pytest.approx(50 * rate_a), "the same labels at the rate of all"
    assert one.p_holm < 0.01 and found.p_all < 0.01 and found.p_trend is None


def test_no_difference_is_rarely_called_one():
    """Under no difference at most about 5 of 100 sets have any group under .05 after Holm."""
    random, alarms = np.random.default_rng(0), 0
    for _ in range(120):
        groups = [f"g{i % 6}" for i in range(300)]
        found = drift.drift(groups, random.random(300) < 0.1, ["a"] * 300, np.ones(300, bool), draws=50)
        alarms += min(g.p_holm for g in found.groups) < 0.05
    assert alarms <= 12


def test_time_in_periods():
    values = [f"2024-{1 + i // 10:02d}-{1 + i % 10:02d}" for i in range(80)] + [None, ""]
    of, order = drift.periods(values, 4)
    assert len(order) == 4 and order[0].startswith("2024-01-01 to 2024-02-10") and of[-1] is None
    assert [of.count(name) for name in order] == [20] * 4
    assert drift.periods(["2019", "2020", "2020", "2021"] * 5)[1] == ["2019", "2020", "2021"]
    assert drift.periods(["ann", "bob"]) is None and drift.periods([None]) is None
    parts, names = drift.positions(10, 4)
    assert len(names) == 4 and parts[0] == names[0] == "records 1 to 2" and parts[-1] == names[-1] == "records 8 to 10"


def test_one_group_is_no_drift():
    with pytest.raises(InputError, match="two groups"):
        drift.drift(["x"] * 9, np.zeros(9, bool), ["a"] * 9, np.ones(9, bool))
