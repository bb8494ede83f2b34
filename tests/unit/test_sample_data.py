"""The sample data: made by its script, as large as promised, and with every fault of its key really there."""

from __future__ import annotations

import importlib.util
import json
import re
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "sample_data"
PROMISED = {
    "near_duplicate": 45,
    "exact_duplicate": 10,
    "contradiction": 15,
    "wrong_label": 40,
    "swapped_response": 30,
    "wrong_response": 20,
    "format_violation": 36,
    "missing_safety": 20,
    "production_hole": 2,
}
PRODUCTION = {
    "triage": 0.30,
    "medication-safety": 0.20,
    "patient-education": 0.15,
    "mental-health": 0.12,
    "paediatrics": 0.10,
    "lab-interpretation": 0.08,
    "discharge-summary": 0.03,
    "differential-diagnosis": 0.015,
    "clinical-coding": 0.005,
}
HOLES = re.compile(r"pregnan|breast-?feed|\bburns?\b|scald|\bwounds?\b|wound dressing", re.IGNORECASE)
URGENCY = re.compile(r"Urgency: (Emergency|Urgent|Routine|Self-care)\n")


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sample_data_make", FOLDER / "make.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def training() -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in rows("training.jsonl")}


@pytest.fixture(scope="module")
def key() -> list[dict[str, Any]]:
    return rows("key.jsonl")


@pytest.fixture(scope="module")
def material(make: ModuleType) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["category"], row["prompt"]): row for row in make.load_clean()}


def prompt(row: dict[str, Any]) -> str:
    return row["messages"][1]["content"]


def response(row: dict[str, Any]) -> str:
    return row["messages"][2]["content"]


def faults(key: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    found = [entry for entry in key if entry["fault"] == name]
    assert found
    return found


def test_outputs_are_up_to_date(make: ModuleType) -> None:
    assert make.stale() == []


def test_counts_are_at_least_those_promised(make: ModuleType, training: dict, key: list) -> None:
    assert len(training) >= 850
    assert len(make.load_clean()) >= 720
    assert len(rows("production.jsonl")) == 260
    assert len(rows("validation.jsonl")) == 80
    assert Counter(row["verdict"] for row in rows("gold.jsonl")) == {"pass": 15, "fail": 15}
    assert Counter(entry["fault"] for entry in key) == PROMISED


def test_no_id_twice_and_no_record_with_two_faults(training: dict, key: list) -> None:
    for name in ("training.jsonl", "production.jsonl", "validation.jsonl", "gold.jsonl"):
        ids = [row["id"] for row in rows(name)]
        assert len(ids) == len(set(ids))
    faulty = [entry["id"] for entry in key if entry["id"]]
    assert len(faulty) == len(set(faulty))


def test_every_key_entry_refers_to_existing_rows(training: dict, key: list) -> None:
    production = {row["id"] for row in rows("production.jsonl")}
    for entry in key:
        if entry["fault"] == "production_hole":
            assert len(entry["production_ids"]) >= 20
            assert set(entry["production_ids"]) <= production
        else:
            assert entry["id"] in training
            assert entry["other"] is None or entry["other"] in training


def test_rows_have_the_same_shape(training: dict) -> None:
    fields = ["id", "category", "messages", "reasoning", "difficulty", "annotator", "created", "language", "source"]
    for row in training.values():
        assert list(row) == fields
        assert [turn["role"] for turn in row["messages"]] == ["system", "user", "assistant"]
        assert row["difficulty"] in (1, 2, 3, 4, 5)
        assert prompt(row).strip() and response(row).strip()


def test_production_shares_are_those_stated() -> None:
    found = rows("production.jsonl")
    counts = Counter(row["category"] for row in found)
    assert set(counts) == set(PRODUCTION)
    for category, share in PRODUCTION.items():
        assert abs(counts[category] / len(found) - share) < 0.01


def test_training_lacks_the_topics_of_the_holes(training: dict, key: list) -> None:
    assert [row["id"] for row in training.values() if HOLES.search(prompt(row))] == []
    assert {entry["topic"] for entry in faults(key, "production_hole")} == {
        "pregnancy and breastfeeding",
        "wound and burn care",
    }


def test_duplicates_are_there(training: dict, key: list) -> None:
    for entry in faults(key, "exact_duplicate"):
        assert training[entry["id"]]["messages"] == training[entry["other"]]["messages"]
    for entry in faults(key, "near_duplicate"):
        copy, other = training[entry["id"]], training[entry["other"]]
        words, base = (set(re.findall(r"\w+", prompt(row).lower())) for row in (copy, other))
        assert prompt(copy) != prompt(other)
        assert len(words & base) / len(words | base) > 0.4


def test_contradictions_answer_a_known_prompt_differently(training: dict, key: list) -> None:
    for entry in faults(key, "contradiction"):
        one, other = training[entry["id"]], training[entry["other"]]
        assert one["category"] == other["category"]
        assert response(one) != response(other)


def test_wrong_labels_differ_from_the_material(training: dict, key: list, material: dict) -> None:
    known = {(row["prompt"], row["response"]): category for (category, _), row in material.items()}
    for entry in faults(key, "wrong_label"):
        row = training[entry["id"]]
        assert known[prompt(row), response(row)] != row["category"]


def test_changed_responses_differ_from_the_material(training: dict, key: list, material: dict) -> None:
    for name in ("swapped_response", "wrong_response"):
        for entry in faults(key, name):
            row = training[entry["id"]]
            clean = material[row["category"], prompt(row)]
            assert response(row) != clean["response"]
            assert entry["detail"]
    for entry in faults(key, "swapped_response"):
        assert response(training[entry["id"]]) == response(training[entry["other"]])


def test_format_rules_hold_but_for_the_faults(training: dict, key: list) -> None:
    faulty = {entry["id"] for entry in key}
    for row in training.values():
        if row["id"] in faulty:
            continue
        if row["category"] == "triage":
            assert URGENCY.match(response(row)), row["id"]
        if row["category"] == "clinical-coding":
            json.loads(response(row))
        if row["category"] in ("triage", "differential-diagnosis"):
            assert row["reasoning"], row["id"]
        assert response(row) == response(row).rstrip(), row["id"]


def test_format_violations_are_there(training: dict, key: list, material: dict) -> None:
    for entry in faults(key, "format_violation"):
        row, rule = training[entry["id"]], entry["detail"].split(":")[0]
        clean = material[row["category"], prompt(row)]["response"]
        if rule in ("urgency_missing", "urgency_casing"):
            assert not URGENCY.match(response(row))
        elif rule == "trailing_whitespace":
            assert response(row) != response(row).rstrip()
        elif rule == "reasoning_missing":
            assert row["reasoning"] == ""
        elif rule == "not_json":
            with pytest.raises(json.JSONDecodeError):
                json.loads(response(row))
        else:
            assert rule == "truncated"
            assert clean.startswith(response(row)) and len(response(row)) < 0.85 * len(clean)


def test_safety_advice_is_missing_only_where_the_key_says(make: ModuleType, training: dict, key: list) -> None:
    missing = {entry["id"] for entry in faults(key, "missing_safety")}
    for row in training.values():
        if row["id"] in missing:
            assert not make.SAFETY.search(response(row)), row["id"]
        elif row["category"] == "mental-health" and row["id"] not in {entry["id"] for entry in key}:
            assert make.SAFETY.search(response(row)), row["id"]


def test_annotators_make_faults_at_different_rates(training: dict, key: list) -> None:
    faulty = {entry["id"] for entry in key if entry["id"]}
    total = Counter(row["annotator"] for row in training.values())
    bad = Counter(training[name]["annotator"] for name in faulty)
    rates = sorted(bad[name] / total[name] for name in total)
    assert len(total) == 5
    assert rates[-1] > 2 * rates[0]


def test_reasoning_is_empty_in_about_an_eighth(make: ModuleType) -> None:
    clean = make.load_clean()
    assert 0.08 < sum(not row["reasoning"] for row in clean) / len(clean) < 0.17
