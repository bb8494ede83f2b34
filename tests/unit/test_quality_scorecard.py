import json
import math
from xml.etree import ElementTree

import pytest

from core.errors import InputError
from core.quality.distribution import compare
from core.quality.gates import Gate, all_hold, check_gates, default_gates, gates_from, junit
from core.quality.scorecard import scorecard
from core.quality.scorecard_advice import advice
from core.quality.scorecard_readings import ScorecardInputs
from core.quality.scorecard_targets import TARGETS, TITLES


def by_id(**known):
    return {metric.id: metric for metric in scorecard(ScorecardInputs(**known))}


FORMATS = {"compliance": 0.99, "violating": 10, "records": 1000}
DUPLICATES = {"ratio": 0.04, "removable": 40, "groups": 30, "threshold": 0.92}
LABELS = {"accuracy": 0.931, "flagged": 69, "judged": 1000}


def test_nothing_known_is_unknown_never_a_pass():
    metrics = scorecard(ScorecardInputs())
    assert {metric.verdict for metric in metrics} == {"unknown"}
    assert [metric.id for metric in metrics] == list(TARGETS) == list(TITLES)
    assert all(metric.note for metric in metrics) and all(metric.shown() == "–" for metric in metrics)


@pytest.mark.parametrize(
    ("known", "metric", "verdict"),
    [
        ({"formats": FORMATS}, "format_compliance", "pass"),
        ({"formats": FORMATS | {"compliance": 0.98}}, "format_compliance", "fail"),  # over 98 %, not at it
        ({"duplicates": DUPLICATES}, "duplicate_ratio", "pass"),
        ({"duplicates": DUPLICATES | {"ratio": 0.05}}, "duplicate_ratio", "fail"),
        ({"labels": LABELS}, "label_accuracy", "fail"),
        ({"labels": {"undefined": "one category"}}, "label_accuracy", "unknown"),
        ({"labels": LABELS | {"reliable": False, "agreement": 0.6}}, "label_accuracy", "unknown"),
        ({"audit": {"n": 50, "k": 3}}, "audit", "pass"),
        ({"audit": {"n": 50, "k": 4}}, "audit", "fail"),
        ({"audit": {"n": 49, "k": 0}}, "audit", "unknown"),
        ({"audit": {"n": 12, "k": 4}}, "audit", "fail"),  # four of fifty already
        ({"audit": {"n": 100, "k": 6, "size": 100}}, "audit", "pass"),
        ({"audit": {"n": 0, "k": 0}}, "audit", "unknown"),
        ({"label_review": {"n": 100, "k": 3}}, "label_accuracy", "pass"),
        ({"label_review": {"n": 20, "k": 0}}, "label_accuracy", "unknown"),
        ({"agreement": {"raw": 0.95, "kappa": None}}, "agreement", "pass"),
        ({"agreement": {"raw": 0.95, "kappa": 0.9, "n": 50}}, "kappa", "pass"),
        ({"agreement": {"raw": 0.95, "kappa": 0.9, "n": 49}}, "kappa", "unknown"),
        ({"agreement": {"raw": 0.5, "kappa": 0.1, "n": 5}}, "kappa", "fail"),
        ({"agreement": {"raw": 0.95, "kappa": None}}, "kappa", "unknown"),
        ({"agreement": {"raw": 0.95, "kappa": 0.8}}, "kappa", "fail"),
        ({"reasoning": {"with": 10, "of": 10}}, "reasoning", "pass"),
        ({"reasoning": {"with": 9, "of": 10}}, "reasoning", "fail"),
        ({"reasoning": {"with": 0, "of": 10}}, "reasoning", "unknown"),
        ({"categories": {"a": 30, "b": 99}}, "examples_per_class", "pass"),
        ({"categories": {"a": 29, "b": 99}}, "examples_per_class", "fail"),
        ({"languages": {"en": 29}}, "examples_per_language", "unknown"),
        ({"languages": {"en": 900, "de": 499}}, "examples_per_language", "fail"),
        ({"coverage": {"covered_share": 0.8, "production": 10}}, "coverage", "unknown"),
        (
            {"coverage": {"covered_share": 0.8, "production": 10}, "targets": {"coverage": (">=", 0.75)}},
            "coverage",
            "pass",
        ),
        ({"contradictions": {"contradictions": 0, "kinds": {}}}, "contradictions", "pass"),
        ({"high_stakes": {"reviewed": 3, "of": 4}}, "high_stakes", "fail"),
    ],
)
def test_verdicts(known, metric, verdict):
    assert by_id(**known)[metric].verdict == verdict


def distribution(training, production, **options):
    return compare(training, production, **options).info()


def test_kl_is_judged_by_the_null_line_unless_a_target_is_set():
    production = {"a": 0.5, "b": 0.3, "c": 0.2}
    chance = distribution({"a": 101, "b": 59, "c": 40}, production)
    far = distribution({"a": 400, "b": 100, "c": 100}, production)
    lacking = distribution({"a": 60, "b": 40}, production)
    assert by_id(distribution=chance)["kl"].verdict == "pass"
    assert by_id(distribution=far)["kl"].verdict == "unknown"
    assert by_id(distribution=far, targets={"kl": ("<", 0.2)})["kl"].verdict == "pass"
    kl = by_id(distribution=lacking)["kl"]
    assert (kl.verdict, kl.shown(), kl.value) == ("fail", "∞", math.inf) and "smoothed" in kl.note
    assert kl.to_json()["value"] == "inf"
    balance = by_id(distribution=lacking)["category_balance"]
    assert (balance.value, balance.verdict, balance.note) == (1, "fail", "1 missing in training")


def test_value_is_never_rounded_over_its_target():
    assert by_id(formats=FORMATS | {"compliance": 0.97996})["format_compliance"].shown() == "97.996 %"
    assert by_id(formats=FORMATS)["format_compliance"].shown() == "99.0 %"
    assert by_id(duplicates=DUPLICATES | {"ratio": 0.0499})["duplicate_ratio"].shown() == "4.99 %"


def test_targets_are_the_users_to_set():
    metric = by_id(formats=FORMATS, targets={"format_compliance": (">=", 0.999)})["format_compliance"]
    assert metric.verdict == "fail" and metric.target.source == "set in this workspace"
    for wrong in ({"speed": (">", 1)}, {"kl": ("=", 1)}, {"kl": (">", float("nan"))}, {"kl": (">", True)}):
        with pytest.raises(InputError):
            scorecard(ScorecardInputs(targets=wrong))


def test_advice_cites_its_numbers_and_cleans_before_it_collects():
    metrics = scorecard(
        ScorecardInputs(
            labels=LABELS,
            duplicates=DUPLICATES | {"ratio": 0.123},
            contradictions={"contradictions": 7, "kinds": {"number": 7}},
            distribution=distribution({"a": 90, "b": 10}, {"a": 0.5, "b": 0.5}),
            audit={"n": 50, "k": 5, "low": 0.0333, "high": 0.2181},
        )
    )
    texts = [item.text for item in advice(metrics)]
    assert "5 of 50 have an issue (10.0%)" in texts[0] and "3.3% to 21.8%" in texts[0]
    assert texts[1].startswith("7 near-equal prompts contradict")
    assert "93.1 %, under 95 %: clean before you collect" in texts[2]
    assert "12.3 % near-duplicates, over 10 %" in texts[3]
    assert "1 under-represented" in texts[4]
    assert [item.page for item in advice(metrics)][:4] == ["audit", "duplicates", "labels", "duplicates"]


def test_all_is_well_gives_only_what_is_left_to_do():
    assert [item.page for item in advice(scorecard(ScorecardInputs(formats=FORMATS)))] == ["audit"]
    assert advice(scorecard(ScorecardInputs(audit={"n": 50, "k": 0}))) == []


def test_gates_on_point_and_bound():
    metrics = scorecard(
        ScorecardInputs(label_review={"n": 100, "k": 2, "low": 0.0024, "high": 0.0704}, formats=FORMATS)
    )
    gates = [
        Gate("label_accuracy", ">", 0.96),
        Gate("label_accuracy", ">", 0.96, "bound"),
        Gate("format_compliance", ">", 0.98, "bound"),
        Gate("kl", "<", 0.1),
    ]
    results = check_gates(metrics, gates)
    assert [result.verdict for result in results] == ["pass", "fail", "pass", "unknown"]
    assert results[2].seen == FORMATS["compliance"], "every record was counted, so the value is its own bound"
    assert results[1].seen == pytest.approx(1 - 0.0704)
    assert not all_hold(results) and all_hold(results[:1]) and all_hold([])


def test_infinite_kl_fails_every_upper_gate():
    metrics = scorecard(ScorecardInputs(distribution=distribution({"a": 5}, {"a": 0.5, "b": 0.5})))
    (result,) = check_gates(metrics, [Gate("kl", "<", 1e9, "bound")])
    assert result.verdict == "fail" and result.to_json()["seen"] == "inf"


def test_an_audit_that_is_not_finished_does_not_hold():
    metrics = scorecard(ScorecardInputs(audit={"n": 10, "k": 0}))
    assert check_gates(metrics, [Gate("audit", "<=", 0.06)])[0].verdict == "unknown"


def test_gates_from_a_file():
    found = gates_from(
        {"kl": "<= 0.1", "label_accuracy": {">": 0.96, "on": "bound"}, "format_compliance": "> 98 % on the bound"}
    )
    assert found == [
        Gate("kl", "<=", 0.1),
        Gate("label_accuracy", ">", 0.96, "bound"),
        Gate("format_compliance", ">", 0.98, "bound"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"speed": "> 1"},
        {"kl": "about 1"},
        {"kl": 1},
        {"kl": {"<": "x"}},
        {"kl": {"<": 1, ">": 0}},
        {"kl": {"<": 1, "on": "x"}},
        {"kl": "< e"},
    ],
)
def test_bad_gates_are_refused(value):
    with pytest.raises(InputError):
        gates_from(value)


def test_default_gates_are_the_known_targets():
    assert default_gates(scorecard(ScorecardInputs(formats=FORMATS))) == [Gate("format_compliance", ">", 0.98)]


def test_junit_is_xml_whatever_the_text_holds():
    metrics = scorecard(ScorecardInputs(categories={"<b>&\x00\ud800": 2}, formats=FORMATS))
    results = check_gates(metrics, [Gate("examples_per_class", ">=", 30), Gate("format_compliance", ">", 0.98)])
    root = ElementTree.fromstring(junit(results).encode())
    suite = root.find("testsuite")
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    cases = suite.findall("testcase")
    assert cases[0].find("failure").get("type") == "fail" and "<b>&" in cases[0].find("failure").text
    assert cases[1].find("failure") is None


def test_everything_is_json():
    metrics = scorecard(
        ScorecardInputs(formats=FORMATS, labels=LABELS, distribution=distribution({"a": 5}, {"a": 0.5, "b": 0.5}))
    )
    json.dumps([metric.to_json() for metric in metrics], allow_nan=False)
    json.dumps([result.to_json() for result in check_gates(metrics, default_gates(metrics))], allow_nan=False)
