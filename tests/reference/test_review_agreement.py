"""Golden values of agreement: ../shared/reference/statistics.md (irrCAC vignette, Artstein & Poesio, Fleiss, Gwet, Krippendorff) and
the exact kappas of two published data sets (their README files)."""

import gzip
import json
from pathlib import Path

import pytest

from core.errors import InputError
from core.review import agreement as g
from core.review.sequential import operating, sprt

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
IRRCAC = [[13, 0, 0], [0, 20, 7], [0, 4, 56]]
FLEISS = [[75, 1, 4], [5, 4, 1], [0, 0, 10]]
KRIPPENDORFF = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]


def near(value):
    digits = len(str(value).partition(".")[2])
    return pytest.approx(value, abs=0.51 * 10**-digits)


def test_irrcac_vignette():
    kappa = g.cohen_kappa(IRRCAC)
    assert kappa.value == near(0.7964094) and kappa.standard_error == near(0.05891072)
    assert g.scott_pi(IRRCAC) == near(0.7962397)
    assert g.ac1_of_table(IRRCAC) == near(0.84933)
    assert g.alpha_of_table(IRRCAC) == near(0.79726)


def test_two_by_two():
    kappa = g.cohen_kappa([[20, 5], [10, 15]])
    assert kappa.value == near(0.4) and (kappa.low, kappa.high) == (near(0.151092), near(0.648908))
    assert g.ac1_of_table([[20, 5], [10, 15]]) == near(0.405941)


def test_artstein_and_poesio():
    assert g.cohen_kappa([[20, 20], [10, 50]]).value == near(0.347826)


def test_weighted_kappas():
    plain = g.cohen_kappa(FLEISS)
    assert plain.value == near(0.676471) and plain.standard_error == near(0.087703)
    assert g.cohen_kappa(FLEISS, "linear").value == near(0.722222)
    assert g.cohen_kappa(FLEISS, "quadratic").value == near(0.755319)


def test_the_kappa_paradox():
    table = [[118, 5], [2, 0]]
    assert g.raw_agreement(table) == near(0.944)
    assert g.cohen_kappa(table).value == near(-0.023392)
    assert g.ac1_of_table(table) == near(0.940776)


def test_krippendorff_with_missing_ratings():
    ratings = [[None if c == "." else int(c) for c in row] for row in KRIPPENDORFF]
    expected = {"nominal": 0.743421, "ordinal": 0.815388, "interval": 0.849107, "ratio": 0.797403}
    for level, value in expected.items():
        assert g.krippendorff_alpha(ratings, level) == near(value), level
    assert g.ac1(ratings) == near(0.77544)
    assert g.fleiss_kappa(ratings) == near(0.76117)
    most = g.contested(ratings, list("abcdefghijkl"), top=1)
    assert most == [("f", 1.0)]  # four raters, four ratings


def test_what_is_undefined_stays_undefined():
    one_class = [["yes"] * 5, ["yes"] * 5]
    for value in (
        g.cohen_kappa([[5]]),
        g.cohen_kappa([[5, 0], [0, 0]]),
        g.cohen_kappa([[0, 0], [0, 0]]),
        g.raw_agreement([[0]]),
        g.ac1_of_table([[5, 0], [0, 0]]),
        g.krippendorff_alpha(one_class),
        g.fleiss_kappa(one_class),
        g.ac1(one_class),
        g.krippendorff_alpha([["a", "b"]]),  # one reviewer
        g.fleiss_kappa([["a", "b"]]),
        g.krippendorff_alpha([["a", None], [None, "b"]]),  # nobody rated the same record
        g.krippendorff_alpha([]),
    ):
        assert value is None
    found = g.agreement(["a", None], [None, "b"])
    assert (found.records, found.raw, found.kappa, found.ac1, found.alpha) == (0, None, None, None, None)


def test_two_raters_from_lists_match_the_table_and_swapping_them_changes_nothing():
    first = ["p"] * 25 + ["f"] * 25
    second = ["p"] * 20 + ["f"] * 5 + ["p"] * 10 + ["f"] * 15
    found = g.agreement(first, second)
    assert found.kappa.value == near(0.4) and found.records == 50 and found.raw == near(0.7)
    assert found.ac1 == pytest.approx(g.ac1([first, second]))
    back = g.agreement(second, first)
    assert back.kappa.value == pytest.approx(found.kappa.value) and back.alpha == pytest.approx(found.alpha)
    assert found.bias == near(0.1) and found.prevalence == near(0.1)


def test_bad_calls_are_refused():
    with pytest.raises(InputError, match="square"):
        g.cohen_kappa([[1, 2, 3], [4, 5, 6]])
    with pytest.raises(InputError, match="same records"):
        g.agreement(["a"], ["a", "b"])
    with pytest.raises(InputError, match="numbers"):
        g.krippendorff_alpha([["a", "b"], ["b", "a"]], "interval")
    with pytest.raises(InputError, match="none of the classes"):
        g.agreement(["a"], ["z"], classes=["a", "b"])


def test_sequential_test():
    """SPRT 2 % vs 10 %, alpha .05, beta .10: boundaries, first possible acceptance, exact sample numbers."""
    plan = sprt(0.02, 0.10)
    assert (plan.slope, plan.accept, plan.reject) == (near(0.050253), near(-1.328513), near(1.705641))
    assert [plan.say(0, n) for n in (26, 27)] == ["continue", "accept"] and plan.say(2, 5) == "reject"
    accept, average = operating(plan, 0.02)
    assert (accept, average) == (near(0.9714), near(41.8))
    accept, average = operating(plan, 0.10)
    assert (accept, average) == (near(0.0970), near(35.2))


needs_data = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the folder of published data sets is not beside the checkout"
)


@needs_data
def test_pandalm():
    """Three raters of 999 items; the values of its README."""
    rows = json.loads(gzip.decompress((SHARED / "pandalm" / "testset-v1.json.gz").read_bytes()))
    ratings = [[int(row[f"annotator{i}"]) for row in rows] for i in (1, 2, 3)]
    kappas = [g.agreement(ratings[a], ratings[b]).kappa.value for a, b in ((0, 1), (0, 2), (1, 2))]
    assert kappas == [near(0.8520), near(0.8789), near(0.8617)]
    assert g.fleiss_kappa(ratings) == near(0.8642) and g.krippendorff_alpha(ratings) == near(0.8642)
    assert sum(len(set(votes)) == 1 for votes in zip(*ratings, strict=True)) / len(rows) == near(0.8799)


@needs_data
def test_pubmedqa():
    """Two annotators and the adjudicated label of 1,000 questions; the values of its README."""
    rows = list(json.loads(gzip.decompress((SHARED / "pubmedqa" / "ori_pqal.json.gz").read_bytes())).values())
    free, required, final = (
        [row[name] for row in rows] for name in ("reasoning_free_pred", "reasoning_required_pred", "final_decision")
    )
    found = g.agreement(free, required)
    assert (found.kappa.value, found.raw, found.alpha) == (near(0.4567), near(0.701), near(0.4555))
    assert g.agreement(required, final).kappa.value == near(0.6016)
    assert g.agreement(free, final).kappa.value == near(0.8525)
