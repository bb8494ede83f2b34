"""Sequential plans, intervals valid at any stopping, weighted estimates, groups, correction: exact, by hand or by brute force."""

import itertools
import random

import pytest
from scipy import stats

from core.errors import InputError
from core.review import acceptance as a
from core.review.correction import Calibration, calibrated, corrected_rate
from core.review.groups import error_by, fisher, holm, period_of, periods
from core.review.intervals import effective
from core.review.plan import plan_of, rates_of
from core.review.sequential import fate, operating, sprt, walk
from core.review.stratified import Stratum, stratified_rate, unequal_rate

PLAN = sprt(0.02, 0.10)


def test_every_end_of_a_sequential_test_is_counted_once():
    for rate in (0.0, 0.02, 0.05, 0.3):
        for longest in (10, 50, 2000):
            found = fate(PLAN, rate, longest)
            assert found.accepted + found.rejected + found.open == pytest.approx(1)
    assert fate(PLAN, 0.02).average == pytest.approx(operating(PLAN, 0.02)[1])
    assert fate(PLAN, 0.0, 26).open == 1 and fate(PLAN, 0.0, 27).accepted == 1, "27 clean records are the fewest"


def test_a_walk_goes_in_the_drawn_order_and_stops_where_it_first_may():
    order = [str(n) for n in range(40)]
    clean = dict.fromkeys(order, "pass")
    found = walk(PLAN, order, clean)
    assert (found.decision, found.stopped, found.judged) == ("accept", 27, 40)
    bad = {**clean, "0": "fail", "3": "fail", "30": "fail"}
    found = walk(PLAN, order, bad)
    assert (found.decision, found.stopped) == ("reject", 4), "2 of 4 is over the line: .050253 * 4 + 1.705641 = 1.9067"
    gap = {key: said for key, said in clean.items() if key not in ("5", "6")} | {"7": "unsure"}
    found = walk(PLAN, order, gap)
    assert (found.judged, found.unsettled, found.waiting, found.decision) == (5, "5", 32, "continue")


def test_the_order_of_giving_verdicts_changes_nothing():
    order = [str(n) for n in range(60)]
    said = {one: "fail" if int(one) % 17 == 3 else "pass" for one in order}
    mixed = list(said.items())
    random.Random(3).shuffle(mixed)
    assert walk(PLAN, order, dict(mixed)) == walk(PLAN, order, said)


def sequential(said, size=60, population=5000):
    order = [str(n) for n in range(size)]
    outcomes = {one: {"p": "pass", "f": "fail", "u": "unsure"}[c] for one, c in zip(order, said, strict=False)}
    return a.summarise(outcomes, size, population=population, plan=a.sequential_plan(size), order=order)


def test_a_sequential_audit_stops_validly_and_flags_its_estimate():
    found = sequential("p" * 27)
    assert found.decision == "not shown" and "stopped at record 27 with 0" in found.headline and found.biased
    assert "biased estimate" in found.detail and "anytime-valid" in found.detail and "fixed size" in found.detail
    assert found.interval == found.anytime and found.interval.high > a.clopper_pearson(0, 27).high
    assert "Clopper" not in found.detail and "at most 6" not in found.detail
    found = sequential("pffp")
    assert found.decision == "systemic" and "stopped at record 3 with 2" in found.headline
    found = sequential("pp" + "u" + "p" * 30)
    assert found.decision == "reading" and "30 verdicts came out of order and wait for record 3" in found.detail
    found = sequential("p" * 20 + "f" + "p" * 19 + "f" + "p" * 19)
    assert found.decision == "undecided" and "too few" in found.headline and "larger sample" in found.detail
    assert sequential("").decision == "unread"
    assert sequential("p" * 20 + "u" + "p" * 39).decision == "open"
    census = sequential("p" * 60, population=60)
    assert census.walk is None and "a count and not an estimate" in census.detail


@pytest.mark.parametrize("rate", [0.02, 0.06, 0.1, 0.3, 0.5])
def test_an_anytime_interval_covers_whenever_one_stops(rate):
    """The exact probability that it ever misses the true rate in 150 records, over every path; Clopper–Pearson's is larger."""
    assert 0 < _ever_missed(a.anytime, rate) <= 0.05 < _ever_missed(a.clopper_pearson, rate)


def _ever_missed(interval, rate):
    alive, missed = {0: 1.0}, 0.0
    for n in range(1, 151):
        step: dict[int, float] = {}
        for k, chance in alive.items():
            step[k] = step.get(k, 0.0) + chance * (1 - rate)
            step[k + 1] = step.get(k + 1, 0.0) + chance * rate
        alive = {}
        for k, chance in step.items():
            if _holds(interval(k, n), rate):
                alive[k] = chance
            else:
                missed += chance
    return missed


def _holds(interval, rate):
    return interval.low <= rate <= interval.high


def test_an_anytime_interval_of_a_known_set_covers_and_closes_when_all_is_read():
    population, bad = 80, 6
    alive, missed = {0: 1.0}, 0.0
    for n in range(1, population + 1):
        step: dict[int, float] = {}
        for k, chance in alive.items():
            left, worse = population - n + 1, bad - k
            for found, share in ((k, 1 - worse / left), (k + 1, worse / left)):
                if share > 0:
                    step[found] = step.get(found, 0.0) + chance * share
        alive = {}
        for k, chance in step.items():
            if _holds(a.anytime(k, n, population), bad / population):
                alive[k] = chance
            else:
                missed += chance
    assert missed <= 0.05 and sum(alive.values()) >= 0.95
    assert a.anytime(6, 80, 80).low == a.anytime(6, 80, 80).high == 6 / 80
    assert a.anytime(3, 50, 10**6).high == pytest.approx(a.anytime(3, 50).high, abs=1e-4)
    # without an issue the bound solves (1 - p)^n = .05 / (n + 1)
    assert a.anytime(0, 27).high == pytest.approx(1 - (0.05 / 28) ** (1 / 27))
    assert a.anytime(0, 0) is None and a.anytime(5, 5).high == 1


@pytest.mark.parametrize(("k", "rate", "population"), [(0, 0.05, 250), (3, 0.05, 1000), (3, 0.06, 60), (2, 0.04, 500)])
def test_the_size_that_certifies_in_a_set_of_known_size_is_the_smallest(k, rate, population):
    bad = int(population * rate) + 1
    brute = [n for n in range(k + 1, population + 1) if stats.hypergeom.cdf(k, population, bad, n) <= 0.05]
    assert a.certifying_size(k, rate, population=population) == brute[0] < a.certifying_size(k, rate)
    assert a.certifying_size(5, 0.05, population=60) is None, "5 of 60 are over 5 % whatever the rest is"


def test_a_plan_is_kept_with_its_sample_and_read_back():
    for plan in (a.fixed_plan(65, 3), a.sequential_plan(100, 0.01, 0.08)):
        assert plan_of({"plan": plan.recipe()}, plan.size) == plan
    usual = plan_of({}, 50)
    assert (usual.kind, usual.accept, usual.chosen) == ("fixed", 3, False)
    assert plan_of({"plan": a.fixed_plan(65, 3).recipe()}, 20).accept == 1, "a census of what there was"
    for wrong in ((50, 50), (0, 0), (50, -1)):
        with pytest.raises(InputError, match="decides nothing"):
            a.fixed_plan(*wrong)
    with pytest.raises(InputError, match="good rate below"):
        a.sequential_plan(50, 0.1, 0.02)
    assert a.summarise(["pass"] * 61 + ["fail"] * 4, 65, plan=a.fixed_plan(65, 3)).decision == "systemic"
    assert rates_of(250, 0.2, 10) == [0.0, *(n / 250 for n in range(5, 51, 5))]


def test_the_lines_of_the_practice_disagree_at_three_of_fifty():
    kept = {k: [line.kept for line in a.practice_lines(k, 50)] for k in (1, 2, 3, 4)}
    assert kept == {1: [True] * 3, 2: [True, True, False], 3: [True, False, False], 4: [False] * 3}
    assert a.practice_lines(0, 0) == []


def test_unequal_chances_by_hand():
    """Two records of weight 10 (one bad), two of weight 2 (one bad): (10 + 2) / 24."""
    found = unequal_rate([(0.1, True), (0.1, False), (0.5, True), (0.5, False)], 24, 4)
    assert found.rate == pytest.approx(0.5) and found.horvitz_thompson == pytest.approx(0.5)
    # e/pi = 5, -5, 1, -1; A = 0; n/(n-1) (.9 * 50 + .5 * 2) / 24^2
    assert found.standard_error == pytest.approx((4 / 3 * 46 / 576) ** 0.5)
    assert unequal_rate([(0.1, True)], 10).standard_error is None and unequal_rate([], 10) is None
    sure = unequal_rate([(1.0, True), (1.0, False)], 2, 2)
    assert (sure.rate, sure.standard_error, sure.interval.low) == (0.5, 0.0, 0.5)
    with pytest.raises(InputError, match="inclusion probability"):
        unequal_rate([(0.0, True)], 10)


def test_unequal_chances_that_are_equal_are_a_simple_random_sample():
    found = unequal_rate([(0.1, n < 3) for n in range(50)], 500, 50)
    assert found.rate == pytest.approx(0.06) and found.horvitz_thompson == pytest.approx(0.06)
    assert found.standard_error == pytest.approx((0.9 * 0.06 * 0.94 / 49) ** 0.5)
    clean = unequal_rate([(0.1, False)] * 50, 500, 50)
    assert clean.rate == 0 and clean.smoothed and clean.standard_error > 0
    assert 0.05 < clean.interval.high < 0.09, "without an issue about the bound of 50 records, not certainty"


def test_a_stratified_draw_gives_the_same_rate_either_way():
    strata = [(500, 20, 1), (300, 15, 1), (200, 15, 3)]
    judged = [(n / size, i < k) for size, n, k in strata for i in range(n)]
    one, two = unequal_rate(judged, 1000, 50), stratified_rate([Stratum(*one) for one in strata])
    assert one.rate == pytest.approx(two.rate) == pytest.approx(0.085)
    assert one.standard_error == pytest.approx(two.standard_error, rel=0.1)
    assert two.interval.low < 0.03 and 0.17 < two.interval.high < 0.25 and two.effective == pytest.approx(50)


def test_weighted_intervals_cover_in_repeated_risk_based_draws():
    """400 draws of 60 of 600 records by Poisson sampling, risky ones likelier, 8 % bad: about 95 % of the intervals hold it."""
    chance = random.Random(11)
    risk = [chance.random() for _ in range(600)]
    bad = [chance.random() < 0.03 + 0.1 * one for one in risk]
    share = [min(1.0, 60 * (0.2 + one) / sum(0.2 + r for r in risk)) for one in risk]
    truth, held, mean = sum(bad) / 600, 0, 0.0
    for _ in range(400):
        drawn = [(p, b) for p, b in zip(share, bad, strict=True) if chance.random() < p]
        found = unequal_rate(drawn, 600, len(drawn))
        held += found.interval.low <= truth <= found.interval.high
        mean += found.rate / 400
    assert held >= 0.92 * 400 and mean == pytest.approx(truth, abs=0.01)
    raw = sum(p * b for p, b in zip(share, bad, strict=True)) / sum(share)
    assert raw > truth + 0.005, "the raw share would have been too high"


def test_an_effective_size_of_a_plain_sample_is_the_sample():
    exact, near = a.clopper_pearson(6, 100), effective(0.06, 0.06 * 0.94 / 99, 100)
    assert (near.low, near.high) == (pytest.approx(exact.low, abs=0.002), pytest.approx(exact.high, abs=0.002))
    assert effective(0.06, 0.0, 100) is None and effective(0.5, 0.1, 2, 2) is None


def test_fisher_and_holm():
    for k, n, other_k, other_n in [(3, 10, 1, 40), (0, 5, 9, 45), (5, 5, 0, 5), (0, 5, 0, 5), (2, 8, 6, 31)]:
        expected = stats.fisher_exact([[k, n - k], [other_k, other_n - other_k]]).pvalue
        assert fisher(k, n, other_k, other_n) == pytest.approx(expected)
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_a_group_stands_out_only_beyond_what_many_groups_explain():
    said = {f"{g}{n}": "fail" if g == "a" and n < 7 else "pass" for g in "abcde" for n in range(10)}
    groups = error_by(said, {one: one[0] for one in said})
    assert [g.name for g in groups if g.stands_out] == ["a"] and groups[0].p_value < 0.001
    said = {
        f"{g}{n}": "fail" if (g == "a" and n < 2) or g + str(n) == "b0" else "pass"
        for g in "abcdefghij"
        for n in range(5)
    }
    groups = error_by(said, {one: one[0] for one in said})
    assert fisher(2, 5, 1, 45) < 0.05 and not any(g.stands_out for g in groups), "one of ten groups is bad by chance"
    said = {one: "fail" if one in ("a0", "a1", "a2") else "pass" for one in said}
    weighted = error_by(said, {one: one[0] for one in said}, {one: 0.1 if one[1] == "0" else 0.5 for one in said})
    assert weighted[0].rate == pytest.approx((10 + 2 + 2) / 18) and weighted[0].p_value is None
    assert error_by({"1": "fail"}, {"1": "x"})[0].p_value is None


def test_periods():
    assert [period_of(t) for t in ("2026-03-01", "2026-03", "2026-03-01T09:30:00Z", "2026-13-01", "March", None)] == [
        "2026-03", "2026-03", "2026-03", None, None, None,
    ]  # fmt: skip
    assert period_of("2026-05-31", "quarter") == "2026 Q2"
    days = {str(n): f"20{20 + n // 12}-{n % 12 + 1:02d}-05" for n in range(30)}
    assert len(set(periods(days).values())) == 10 and periods({"1": "a", "2": "2026-01-01"}) is None
    assert periods({}) is None


def test_rogan_and_gladen():
    """Apparent 10 %, se .9, sp .95: (.10 + .95 - 1) / .85."""
    known = Calibration(caught=90, bad=100, kept=190, good=200)
    found = corrected_rate(10, 100, known)
    assert found.rate == pytest.approx(0.05 / 0.85)
    assert found.interval.low < found.rate < found.interval.high < 0.2
    sure = corrected_rate(10, 100, Calibration(10**6, 10**6, 10**6, 10**6))
    assert sure.rate == pytest.approx(0.1) and sure.interval.high == pytest.approx(a.wilson(10, 100).high, abs=0.01)
    wider = corrected_rate(10, 100, Calibration(9, 10, 19, 20))
    assert wider.interval.high - wider.interval.low > found.interval.high - found.interval.low
    assert corrected_rate(1, 100, known).rate == 0, "fewer than the false alarms: nothing is left"


def test_a_reviewer_no_better_than_chance_corrects_nothing():
    for known in (Calibration(5, 10, 5, 10), Calibration(2, 10, 4, 10), Calibration(2, 3, 2, 3)):
        found = corrected_rate(5, 50, known)
        assert found.rate is None and found.interval is None and "better than chance" in found.undefined
    assert "No bad gold record" in corrected_rate(5, 50, Calibration(0, 0, 9, 10)).undefined
    assert "No good gold record" in corrected_rate(5, 50, Calibration(9, 10, 0, 0)).undefined
    assert corrected_rate(0, 0, Calibration(9, 10, 9, 10)).rate is None


def test_corrected_intervals_cover_exactly_enumerated():
    """Every outcome of a small calibration and audit, weighed by its probability: at least 95 % (few gold records: more)."""
    p, se, sp, n, bad, good = 0.1, 0.8, 0.95, 40, 15, 25
    covered = defined = 0.0
    apparent = p * se + (1 - p) * (1 - sp)
    for caught, kept in itertools.product(range(bad + 1), range(good + 1)):
        known = stats.binom.pmf(caught, bad, se) * stats.binom.pmf(kept, good, sp)
        if known < 1e-7:
            continue
        for k in range(20):
            found = corrected_rate(k, n, Calibration(caught, bad, kept, good))
            weight = known * stats.binom.pmf(k, n, apparent)
            if found.interval is not None:
                defined += weight
                covered += weight * _holds(found.interval, p)
    assert covered / defined > 0.95


def test_calibration_counts_what_gold_records_say():
    expected = {"1": "fail", "2": "fail", "3": "pass", "4": "pass", "5": None}
    found = calibrated(expected, {"1": "fail", "2": "pass", "3": "pass", "4": "unsure", "5": "fail", "9": "fail"})
    assert found == Calibration(caught=1, bad=2, kept=1, good=1, unsure=1)
    assert found.sensitivity == 0.5 and found.specificity == 1 and found.interval("sensitivity").high < 1
