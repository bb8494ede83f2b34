"""Agreement of annotators whose labels came with public data, through the app's own import: exact values of the data's README.

PubMedQA (Jin et al. 2019): annotator 1 = reasoning_free_pred, 2 = reasoning_required_pred. Cohen's kappa .4567, raw .701, nominal
alpha .4555; against the final decision .6016 and .8525. PandaLM (Wang et al. 2023): kappas .8520, .8789, .8617 and Fleiss .8642
hold for its 999 rows.
"""

from pathlib import Path

import pytest

from core.actions.raters import rating_columns, ratings_of, suggested
from core.dataset.importing import import_file
from core.review.comparison import compare
from core.workspace import open_workspace

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def imported(tmp_path, file, **options):
    if not (SHARED / file).exists():
        pytest.skip(f"{file} is not beside the checkout")
    space = open_workspace(tmp_path / "ws")
    return space.add("training", file, lambda folder: import_file(SHARED / file, folder, "training", **options))


def test_pubmedqa(tmp_path):
    data = imported(tmp_path, "pubmedqa/ori_pqal.json.gz")
    names = suggested(rating_columns(data))
    assert names == ["field.reasoning_required_pred", "field.reasoning_free_pred"], "the final decision is no annotator"
    found = compare(ratings_of(data, names), names, data.ids())
    assert found.records == 1000 and round(found.kappa, 4) == 0.4567 and found.raw == pytest.approx(0.701)
    assert round(found.alpha, 4) == 0.4555 and len(found.contested) == 200 and found.unanimous == 701
    three = [*names, "category"]
    pairs = compare(ratings_of(data, three), three, data.ids()).pairs
    assert [round(pairs[p].kappa.value, 4) for p in ((0, 2), (1, 2))] == [0.6016, 0.8525]


def test_pandalm_of_all_its_rows(tmp_path):
    """Some rows have an empty instruction or response1; with other columns mapped all 999 are records."""
    data = imported(tmp_path, "pandalm/testset-v1.json.gz", mapping={"prompt": "cmp_key", "response": "motivation_app"})
    names = suggested(rating_columns(data))
    assert names == ["field.annotator1", "field.annotator2", "field.annotator3"]
    found = compare(ratings_of(data, names), names, data.ids())
    assert found.records == 999 and found.numeric
    assert [round(pair.kappa.value, 4) for pair in found.pairs.values()] == [0.8520, 0.8789, 0.8617]
    assert round(found.fleiss, 4) == round(found.alpha, 4) == 0.8642 and round(found.unanimous / 999, 4) == 0.8799


def test_the_command_gives_the_same_numbers(tmp_path):
    import json
    import subprocess
    import sys

    imported(tmp_path, "pubmedqa/ori_pqal.json.gz")
    root = Path(__file__).resolve().parents[2]
    call = [sys.executable, "-m", "core", "agreement", "-w", str(tmp_path / "ws"), "--json"]
    done = subprocess.run(call, capture_output=True, text=True, cwd=root, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["statistics"]
    assert (
        round(told["cohen_kappa"]["value"], 4) == 0.4567
        and told["cohen_kappa"]["low"] < 0.4567 < told["cohen_kappa"]["high"]
    )
    assert round(told["alpha_nominal"]["value"], 4) == 0.4555 and told["raw"]["value"] == pytest.approx(0.701)
    done = subprocess.run([*call, "--column", "nothing"], capture_output=True, text=True, cwd=root, timeout=60)
    assert done.returncode == 2 and "no column of ratings" in done.stderr
