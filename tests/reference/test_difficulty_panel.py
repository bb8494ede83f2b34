"""Difficulty against the answers of 16 language models to 3,910 medical questions, with text features alone so that it is quick.

The full measurement, with embeddings and losses, is `python -m benchmarks difficulty`.
"""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.bench_difficulty import afrimed, auroc, ceiling, learned
from core.influence.difficulty import rated
from core.influence.difficulty.rank_measures import spearman
from tests.unit.test_influence_steps import add

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not (DATA / "afrimed_difficulty").is_dir(), reason="the data set afrimed_difficulty is not here"
)


@pytest.fixture(scope="module")
def panel(tmp_path_factory):
    from core.workspace import open_workspace

    rows, truth, right = afrimed(DATA)
    space = open_workspace(tmp_path_factory.mktemp("panel"))
    data = add(
        space, "training", [{"prompt": r["prompt"], "response": r["response"], "id": n} for n, r in enumerate(rows)]
    )
    features, _ = rated.design(np.zeros((len(rows), 1), np.float32), data)
    return features, truth, right


def test_the_panel_is_reliable_and_read_aright(panel):
    _, truth, right = panel
    half, whole = ceiling(right, splits=20)
    assert right.shape == (3910, 16) and truth.mean() == pytest.approx(0.355, abs=0.001)
    assert half > 0.8 and whole > 0.89


def test_300_ratings_teach_more_than_any_length(panel):
    features, truth, _ = panel
    found = []
    for seed in range(4):
        held, expected, _ = learned(features, truth, 300, seed)
        found.append(spearman(expected, truth[held]))
    assert np.mean(found) > 0.14 and min(found) > 0.1


def test_auroc_by_hand():
    assert auroc(np.array([1.0, 2, 3, 4]), np.array([False, True, False, True])) == pytest.approx(0.75)
    assert auroc(np.array([1.0, 1, 1, 1]), np.array([False, True, False, True])) == pytest.approx(0.5)
