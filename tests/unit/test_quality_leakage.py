"""Leakage of training into the sets that judge a model: what is counted, by which measure, and what removal leaves."""

import json

import numpy as np
import pyarrow as pa
import pytest

from core.actions.standing import standing
from core.errors import InputError, MissingInput
from core.quality import leakage
from core.quality.scorecard import scorecard
from core.quality.scorecard_readings import ScorecardInputs
from tests.quality_data import embedded, make_dataset, make_inputs, make_result

TRAINING = [
    "the cat sat on the mat",
    "a dog ran in the park",
    "Dose of  aspirin?",
    "unlike any other",
    "dose of aspirin?",
]
VALIDATION = ["dose of aspirin?", "the cat sat on a mat", "something new", "the cat sat on one mat"]
# Angles in degrees, so that cosines are known: training 0 is 10 degrees (0.985) from validation 1, 25 (0.906) from validation 3.
ANGLES = [0, 90, 200, 300, 200], [200, 10, 130, 335]


def unit(angles) -> np.ndarray:
    return np.stack([np.cos(np.radians(angles)), np.sin(np.radians(angles))], axis=1).astype(np.float32)


@pytest.fixture
def setting(tmp_path):
    training = make_dataset(tmp_path / "t", [{"prompt": p, "response": f"r{i}"} for i, p in enumerate(TRAINING)])
    validation = make_dataset(tmp_path / "v", [{"prompt": p, "response": "r"} for p in VALIDATION], "validation")
    results = {
        "embed": embedded(tmp_path / "et", training, unit(ANGLES[0])),
        "embed:validation": embedded(tmp_path / "ev", validation, unit(ANGLES[1])),
    }
    return tmp_path, training, validation, results


def ran(setting, **params):
    folder, training, validation, results = setting
    inputs = make_inputs(folder / "run", {"training": training, "validation": validation}, results, **params)
    output = leakage.run(inputs)
    return output, make_result(folder / f"stored-{len(params)}", "leakage", output, inputs.files)


def test_exact_and_near_copies_are_found_with_their_nearest(setting):
    _, training, validation, _ = setting
    output, result = ran(setting)
    own, theirs = training.ids(), validation.ids()
    rows = {(r["side"], r["record_id"]): r for r in output.table.to_pylist()}
    cat = rows["training", own[0]]
    assert cat["nearest_id"] == theirs[1] and cat["similarity"] == pytest.approx(np.cos(np.radians(10)), abs=1e-6)
    assert rows["training", own[2]]["exact"] and rows["training", own[4]]["nearest_id"] == theirs[0]
    assert ("training", own[1]) not in rows
    assert rows["other", theirs[3]]["similarity"] == pytest.approx(np.cos(np.radians(25)), abs=1e-6)
    assert output.info["records"] == 3 and output.info["by_set"] == {"validation": {"training": 3, "others": 2}}
    assert leakage.leaked_ids(result) == [own[0], own[2], own[4]]


def test_thresholds_slide_over_the_stored_result(setting):
    _, _, validation, _ = setting
    output, _ = ran(setting)
    table = output.table
    counted = [int(leakage.leaking(table, t, 0.6, "embedding").sum()) for t in (0.80, 0.92, 0.99, 1.0)]
    assert counted == [7, 5, 3, 3]  # 0.985 and 0.906 by angle, three training and one validation text exact
    others = table.filter(pa.compute.equal(table["side"], "other"))
    assert int(leakage.leaking(others, 0.90, 0.6, "embedding").sum()) == 3  # 10 and 25 degrees, and the equal text


def test_by_words(setting):
    _, training, _, _ = setting
    output, _ = ran(setting, by="words", words=0.5)
    # "^the the-cat cat-sat sat-on on-the the-mat mat$" and "… on-a a-mat …": 5 of 9
    row = next(r for r in output.table.to_pylist() if r["side"] == "training" and r["record_id"] == training.ids()[0])
    assert row["words"] == pytest.approx(5 / 9)
    assert output.info["records"] == 3


def test_removed_records_leak_no_more(setting):
    _, training, _, _ = setting
    _, result = ran(setting)
    ids = training.ids()
    left = standing(result, training, {ids[2], ids[4]})
    assert left["records"] == 1 and left["by_set"]["validation"]["training"] == 1
    assert standing(result, training, set(ids))["by_set"]["validation"] == {"training": 0, "others": 0}


def test_production_is_told_and_not_counted(setting):
    folder, training, validation, results = setting
    inputs = make_inputs(
        folder / "p", {"training": training, "production": validation},
        {"embed": results["embed"], "embed:production": results["embed:validation"]},
    )  # fmt: skip
    output = leakage.run(inputs)
    assert output.info["records"] == 0 and output.info["by_set"]["production"]["training"] == 3
    metric = {m.id: m for m in scorecard(ScorecardInputs(leakage=output.info))}["leakage"]
    assert metric.verdict == "unknown" and "production" in metric.note
    inputs = make_inputs(folder / "q", inputs.datasets, inputs.results, counted=["production"])
    assert leakage.run(inputs).info["records"] == 3


def test_a_benchmark_file_is_read_and_held_against_training(setting, tmp_path):
    folder, training, _, results = setting
    file = tmp_path / "bench.jsonl"
    file.write_text("".join(json.dumps({"prompt": p}) + "\n" for p in ("Dose of aspirin?", "new")), "utf-8")
    embed = results["embed"]  # its vectors were given, so only words can be compared
    output = leakage.run(make_inputs(folder / "f", {"training": training}, {"embed": embed}, files=[str(file)]))
    assert output.info["sets"]["bench.jsonl"]["exact"] == 1 and output.info["records"] == 2
    assert "only words" in output.info["warnings"][0]
    before = leakage.fingerprint({"files": [str(file)]})
    file.write_text(file.read_text() + "\n", "utf-8")
    assert leakage.fingerprint({"files": [str(file)]}) != before
    with pytest.raises(InputError, match="not there"):
        leakage.run(make_inputs(folder / "g", {"training": training}, {"embed": embed}, files=["/none.jsonl"]))
    with pytest.raises(MissingInput):
        leakage.run(make_inputs(folder / "h", {"training": training}, {"embed": embed}))


def test_the_scorecard_fails_on_any_leak(setting):
    output, _ = ran(setting)
    metric = {m.id: m for m in scorecard(ScorecardInputs(leakage=output.info))}["leakage"]
    assert (metric.value, metric.verdict) == (3.0, "fail") and "2 of 4 touched" in metric.note
    assert {m.id: m for m in scorecard(ScorecardInputs())}["leakage"].verdict == "unknown"
