"""Golden values of the distribution statistics: published worked examples, and values recomputed by hand or with SciPy."""

import numpy as np
import pytest

from core.quality import mismatch
from core.quality.distribution import compare, rebalance

FIVE = {"a": 0.45, "b": 0.25, "c": 0.15, "d": 0.10, "e": 0.05}
EVEN = dict.fromkeys("abcde", 200)
ZERO_P, ZERO_N = {"a": 0.5, "b": 0.3, "c": 0.2}, {"a": 60, "b": 40, "c": 0}


def test_kullback_example():
    """Kullback's (.36, .48, .16) against a third each, as Wikipedia's article on the divergence works it out."""
    p, q = np.array([0.36, 0.48, 0.16]), np.full(3, 1 / 3)
    assert mismatch.kl(p, q) == pytest.approx(0.0852996, abs=1e-7)
    assert mismatch.kl(q, p) == pytest.approx(0.0974550, abs=1e-7)
    assert mismatch.js_bits(p, q) == pytest.approx(0.0324027, abs=1e-7)
    assert mismatch.total_variation(p, q) == pytest.approx(0.173333, abs=1e-6)
    assert mismatch.psi(p, q) == pytest.approx(0.182755, abs=1e-6)


def test_quarters_example_in_bits():
    p, q = np.full(4, 0.25), np.array([0.2, 0.2, 0.2, 0.4])
    assert mismatch.kl(p, q) / np.log(2) == pytest.approx(0.0719281, abs=1e-7)
    assert mismatch.kl(q, p) / np.log(2) == pytest.approx(0.0780719, abs=1e-7)


def test_five_categories_against_even_training():
    """Recomputed with SciPy; the ratio of exactly 2 is not flagged."""
    found = compare(EVEN, FIVE)
    assert found.kl == pytest.approx(0.238923, abs=1e-6)
    assert found.kl_reverse == pytest.approx(0.266610, abs=1e-6)
    assert found.test["g"] == pytest.approx(533.2199, abs=1e-3)
    assert found.js == pytest.approx(0.087198, abs=1e-6)
    assert found.tv == pytest.approx(0.3)
    assert found.psi == pytest.approx(0.505533, abs=1e-6)
    assert found.ratio == pytest.approx([0.4444, 0.8, 1.3333, 2.0, 4.0], abs=1e-4)
    assert found.flag == ("under", "", "", "", "over")
    assert found.contribution.sum() == pytest.approx(found.kl)
    assert found.production is None


def test_zero_counts_are_infinite_and_smoothed_beside():
    half, one = compare(ZERO_N, ZERO_P, alpha=0.5), compare(ZERO_N, ZERO_P, alpha=1.0)
    assert half.kl == np.inf and half.info()["kl"] is None and "kl" in half.info()["infinite"]
    assert half.kl_smoothed == pytest.approx(0.567323, abs=1e-6)
    assert one.kl_smoothed == pytest.approx(0.435567, abs=1e-6)
    assert half.js == pytest.approx(0.108454, abs=1e-6)
    assert half.flag == ("", "", "missing")
    assert half.contribution[2] == np.inf


def test_chi_squared_and_g_of_scipy_example():
    """scipy.stats.chisquare's documentation: [16, 18, 16, 14, 12, 12]."""
    found = mismatch.independence(np.array([16, 18, 16, 14, 12, 12]), np.full(6, 1 / 6), sampled=False)
    assert found["chi2"] == pytest.approx(2.0)
    assert found["p_chi2"] == pytest.approx(0.849145, abs=1e-6)
    assert found["g"] == pytest.approx(2.006573, abs=1e-6)
    assert found["method"] == "chi-squared distribution"


def test_two_samples_agree_with_scipy_contingency():
    from scipy.stats import chi2_contingency

    training, production = np.array([30, 10, 40]), np.array([10, 20, 90])
    found = mismatch.independence(training, production, sampled=True)
    expected = chi2_contingency([training, production])
    assert (found["chi2"], found["p_chi2"], found["dof"]) == pytest.approx((expected.statistic, expected.pvalue, 2))
    g = chi2_contingency([training, production], lambda_="log-likelihood")
    assert (found["g"], found["p_g"]) == pytest.approx((g.statistic, g.pvalue))


def test_small_expected_counts_take_permutations():
    """The exact p of Fisher's tea-tasting table [[3, 1], [1, 3]] is 34/70 two-sided."""
    found = mismatch.independence(np.array([3, 1]), np.array([1, 3]), sampled=True, draws=20_000, seed=1)
    assert "permutations" in found["method"]
    assert found["p_chi2"] == pytest.approx(34 / 70, abs=0.02)
    shares = mismatch.independence(np.array([3, 0]), np.array([0.5, 0.5]), sampled=False, draws=20_000)
    assert shares["p_chi2"] == pytest.approx(0.25, abs=0.02)  # both extremes of three coin flips: 2/8


def test_bootstrap_of_both_samples():
    """About .1705–.3241 around .235797 with alpha .5 on both sides (resampled, so approximate): the plain percentile interval."""
    production = {"a": 180, "b": 100, "c": 60, "d": 40, "e": 20}
    found = compare(EVEN, production, alpha=0.5, draws=4000)
    assert found.kl_smoothed == pytest.approx(0.235797, abs=1e-6)
    counts = [np.array(list(side.values())) for side in (EVEN, production)]
    low, high = mismatch.bootstrap_kl(*counts, True, draws=4000, method="percentile")
    assert (low, high) == (pytest.approx(0.1705, abs=0.006), pytest.approx(0.3241, abs=0.008))
    assert 0 < low - found.low < 0.02 and 0 < high - found.high < 0.02, (
        "the interval shown is moved by the bias of the redraws"
    )
    assert found.production.tolist() == [180, 100, 60, 40, 20]


@pytest.mark.parametrize(("classes", "size"), [(5, 400), (60, 600)])
def test_coverage_of_the_interval_by_simulation(classes, size):
    """The shifted interval holds the smoothed value of the population in about 95 of 100 sets; with many small categories the
    percentile interval hardly ever does, as it lies above its own value."""
    random = np.random.default_rng(2)
    p = 1 / np.arange(1, classes + 1) ** 0.5
    p, q = p / p.sum(), np.full(classes, 1 / classes)
    truth = mismatch.kl((size * p + 0.5) / (size + classes / 2), (size * q + 0.5) / (size + classes / 2))
    held = {"shifted": 0, "percentile": 0}
    for n in range(100):
        t, c = random.multinomial(size, q), random.multinomial(size, p)
        for method in held:
            low, high = mismatch.bootstrap_kl(t, c, True, draws=200, seed=n, method=method)
            held[method] += low <= truth <= high
            assert method == "percentile" or low <= mismatch.kl(mismatch.smoothed(c, 0.5), mismatch.smoothed(t, 0.5))
    assert held["shifted"] >= 88
    assert classes < 20 or held["percentile"] < 30


def test_shares_have_no_sampling_error_of_their_own():
    shares = compare(EVEN, FIVE)
    counts = compare(EVEN, {"a": 180, "b": 100, "c": 60, "d": 40, "e": 20})
    assert shares.high - shares.low < counts.high - counts.low
    assert shares.null_line < counts.null_line


def test_null_band():
    """(K-1)/2N and chi2(.95; K-1)/2N, chi2(.95; 4) = 9.487729."""
    assert mismatch.null_band(5, 1000) == (pytest.approx(0.002), pytest.approx(9.487729 / 2000))
    assert mismatch.null_band(5, 1000, 400)[1] == pytest.approx(9.487729 / 2 * (1 / 1000 + 1 / 400))
    assert mismatch.null_band(1, 1000) == (0.0, 0.0)


def test_null_band_holds_when_there_is_no_mismatch():
    random = np.random.default_rng(4)
    p = np.array(list(FIVE.values()))
    values = [mismatch.kl(p, mismatch.smoothed(random.multinomial(2000, p))) for _ in range(800)]
    mean, line = mismatch.null_band(5, 2000)
    assert np.mean(values) == pytest.approx(mean, rel=0.15)
    assert np.mean(np.array(values) > line) == pytest.approx(0.05, abs=0.025)


def test_rebalancing():
    plan = rebalance(compare(EVEN, FIVE, draws=0))
    assert plan.downsample.tolist() == [200, 111, 66, 44, 22]
    assert plan.add.tolist() == [1600, 800, 400, 200, 0]
    assert plan.missing == plan.unasked == ()


def test_rebalancing_names_what_it_cannot_mend():
    plan = rebalance(compare({"a": 60, "b": 40, "x": 9}, {"a": 0.5, "b": 0.3, "c": 0.2}, draws=0))
    assert plan.categories == ("a", "b", "c", "x")
    assert (plan.missing, plan.unasked) == (("c",), ("x",))
    assert plan.downsample.tolist() == [60, 36, 0, 0]
    assert plan.add.tolist() == [7, 0, 27, 0]  # b is the fullest: 40 / 0.3 = 133.3 in all


def test_one_category_is_no_mismatch_and_has_no_p():
    found = compare({"a": 5}, {"a": 1.0})
    assert (found.kl, found.js, found.test["p_chi2"]) == (0, 0, None)


def test_a_predicted_share_of_almost_nothing_asks_for_no_records():
    """A classifier's share is never exactly zero; 1e-13 of production would ask for more records than an integer holds."""
    plan = rebalance(compare({"a": 20, "b": 10, "c": 5}, {"a": 0.5, "b": 0.5 - 1e-13, "c": 1e-13}, draws=0))
    assert plan.add.tolist() == [0, 10, 0] and plan.downsample.tolist() == [10, 10, 0] and plan.unasked == ("c",)
