"""Golden values of agreement: ../shared/reference/statistics.md (irrCAC vignette, Artstein & Poesio, Fleiss, Gwet, Krippendorff) and
the exact kappas of two published data sets (their README files)."""

import gzip
import json
from pathlib import Path

import pytest

from core.errors import InputError
from core.review import agreement as g
from core.review import bootstrap as b
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


def test_the_standard_error_of_ac1():
    """irrCAC: .04321747 of the table, which divides by n (raw ratings: n - 1); its example of four raters: .14295."""
    assert g.ac1_error_of_table(IRRCAC) * (99 / 100) ** 0.5 == near(0.04321747)
    cells = [(i, j) for i in range(3) for j in range(3) for _ in range(IRRCAC[i][j])]
    raw = [[i for i, _ in cells], [j for _, j in cells]]
    assert g.ac1_error(raw) == pytest.approx(g.ac1_error_of_table(IRRCAC))
    ratings = [[None if c == "." else int(c) for c in row] for row in KRIPPENDORFF]
    assert g.ac1_error(ratings) == near(0.14295)
    assert g.ac1_error([["a", "a"], ["a", "a"]]) is None and g.ac1_error_of_table([[3]]) is None


def test_prevalence_bias_and_the_agreement_of_each_class():
    """Gwet's paradox: raw .944, so PABAK 2 * .944 - 1; the rare class is never agreed on."""
    first = ["+"] * 118 + ["+"] * 5 + ["-"] * 2
    second = ["+"] * 118 + ["-"] * 5 + ["+"] * 2
    found = g.agreement(first, second)
    assert found.pabak == near(0.888) and found.prevalence == near(0.944) and found.bias == near(0.024)
    assert dict(found.specific) == {"+": pytest.approx(236 / 243), "-": 0.0}
    assert g.pabak(IRRCAC) == near(0.835), "with three classes it is Brennan and Prediger's, .835 in irrCAC's vignette"
    assert g.pabak([[5]]) is None


def test_the_bootstrap_agrees_with_the_published_errors_and_with_itself():
    """Half the width of the percentile interval is about 1.96 standard errors where those are known."""
    table = [[20, 5], [10, 15]]
    found = b.of_pair(table)
    assert found["plain"].low == pytest.approx(0.151092, abs=0.03)
    assert found["plain"].high == pytest.approx(0.648908, abs=0.03)
    irr = b.of_pair(IRRCAC)
    assert (irr["plain"].high - irr["plain"].low) / 3.92 == pytest.approx(0.05891072, rel=0.1)
    assert (irr["ac1"].high - irr["ac1"].low) / 3.92 == pytest.approx(0.04321747, rel=0.1)
    assert (irr["raw"].high - irr["raw"].low) / 3.92 == pytest.approx(0.03128898, rel=0.1)
    cells = [(i, j) for i in range(3) for j in range(3) for _ in range(IRRCAC[i][j])]
    both, resamples = b.of_all([[i for i, _ in cells], [j for _, j in cells]], [0, 1, 2], True)
    assert resamples == 2000
    for one, two in (("raw", "raw"), ("ac1", "ac1"), ("nominal", "alpha")):
        assert both[one].low == pytest.approx(irr[two].low, abs=0.01)
        assert both[one].high == pytest.approx(irr[two].high, abs=0.01)
    assert b.of_pair(table) == found, "the same at every call"


def test_the_bootstrap_of_four_raters_holds_the_published_values():
    """Krippendorff's example: the point lies inside, and the interval of so few records is wide."""
    ratings = [[None if c == "." else int(c) for c in row] for row in KRIPPENDORFF]
    found, _ = b.of_all(ratings, [1, 2, 3, 4, 5], True)
    for name, value in (
        ("nominal", 0.743421),
        ("ordinal", 0.815388),
        ("interval", 0.849107),
        ("ac1", 0.77544),
        ("fleiss", 0.76117),
    ):
        assert found[name].low < value <= found[name].high and found[name].high - found[name].low > 0.3, name


def test_a_bootstrap_of_what_is_undefined_is_undefined():
    assert set(b.of_pair([[5]]).values()) == set(b.of_pair([[0, 0], [0, 0]]).values()) == {None}
    rare = b.of_pair([[9, 1], [0, 0]])  # a third of the resamples have one class alone
    assert rare["plain"] is None and rare["raw"] is not None
    assert b.of_all([["a", "a"], ["a", "a"]], ["a"], False)[0]["ac1"] is None
    assert b.of_all([["a", None], [None, "b"]], ["a", "b"], False)[0]["raw"] is None
