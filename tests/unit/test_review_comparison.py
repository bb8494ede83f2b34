"""Several raters compared: what is undefined stays so, missing ratings, numeric order, the kappa paradox."""

import pytest

from core.errors import InputError
from core.review.comparison import compare

IDS = [str(n) for n in range(200)]


def rows(table):
    """Two rows of ratings with this table of counts, classes a, b, …"""
    cells = [("abcd"[i], "abcd"[j]) for i, row in enumerate(table) for j, n in enumerate(row) for _ in range(n)]
    return [[a for a, _ in cells], [b for _, b in cells]]


def test_one_class_only_is_undefined_and_one_rater_is_refused():
    found = compare([["a"] * 4, ["a"] * 4], ["x", "y"], IDS)
    assert (found.raw, found.kappa, found.ac1, found.alpha, found.paradox) == (1.0, None, None, None, False)
    nothing = compare([["a", None], [None, "a"]], ["x", "y"], IDS)
    assert (nothing.records, nothing.raw, nothing.kappa, nothing.prevalent) == (0, None, None, None)
    with pytest.raises(InputError):
        compare([["a"]], ["x"], IDS)


def test_the_kappa_paradox_of_gwet_is_seen_and_plain_disagreement_is_not():
    found = compare(rows([[118, 5], [2, 0]]), ["x", "y"], IDS)
    assert found.raw == pytest.approx(0.944) and round(found.kappa, 6) == -0.023392 and round(found.ac1, 6) == 0.940776
    assert found.paradox and found.prevalent == ("a", pytest.approx(243 / 250))
    assert not compare(rows([[20, 5], [10, 15]]), ["x", "y"], IDS).paradox


def test_raw_agreement_and_the_contested_of_three_raters_with_gaps():
    found = compare([["1", "2", "10", None], ["1", "2", "2", "1"], ["1", "10", None, None]], ["x", "y", "z"], IDS)
    assert found.records == 3 and found.unanimous == 1 and list(found.classes) == ["1", "2", "10"] and found.numeric
    assert found.raw == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert [(one, round(share, 3)) for one, share in found.contested] == [("2", 1.0), ("1", 0.667)]
    assert found.pairs[0, 2].records == 2 and found.kappa == found.fleiss


def test_a_record_rated_once_still_says_how_frequent_its_class_is():
    """Krippendorff's example on the screen's own path: AC1 .77544, Fleiss .76117 (irrCAC), alphas .743421, .815388, .849107."""
    rows = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
    ratings = [[None if c == "." else c for c in row] for row in rows]
    found = compare(ratings, list("abcd"), [str(n) for n in range(12)])
    assert [round(v, 5) for v in (found.ac1, found.fleiss)] == [0.77544, 0.76117] and round(
        found.ac1_error, 5
    ) == 0.14295
    assert [round(v, 6) for v in (found.alpha, found.ordinal, found.interval)] == [0.743421, 0.815388, 0.849107]
    assert found.records == 11 and set(found.intervals) == {"raw", "ac1", "fleiss", "nominal", "ordinal", "interval"}
    assert all(one.low < one.high for one in found.intervals.values()) and found.resamples == 2000
