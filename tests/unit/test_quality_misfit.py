"""Swapped responses are found among records whose responses follow from their prompts; what cannot be judged is said."""

import numpy as np
import pytest

from core.quality import misfit
from tests.quality_data import embedded, make_dataset, make_inputs

COUNT, WIDTH = 300, 24


@pytest.fixture(scope="module")
def world():
    """Unit vectors of prompts and of their responses, a rotation of the prompts with noise; the last record has no response."""
    random = np.random.default_rng(0)
    x = random.standard_normal((COUNT, WIDTH))
    turn = np.linalg.qr(random.standard_normal((WIDTH, WIDTH)))[0]
    r = x @ turn + 0.2 * random.standard_normal(x.shape)
    unit = [(a / np.linalg.norm(a, axis=1, keepdims=True)).astype(np.float32) for a in (x, r)]
    unit[1][-1] = 0
    return unit


def ran(tmp_path, monkeypatch, world, swaps=(), count=COUNT, **params):
    x, r = (a[:count].copy() for a in world)
    for i, j in swaps:
        r[[i, j]] = r[[j, i]]
    rows = [{"prompt": f"p{i}", "response": "" if i == COUNT - 1 else f"r{i}"} for i in range(count)]
    dataset = make_dataset(tmp_path / "d", rows)
    facts = {"warnings": [], "encoder": "stand-in"}
    monkeypatch.setattr(misfit, "vectors", lambda *a: (((x, x, r), None), facts))
    inputs = make_inputs(tmp_path, {"training": dataset}, {"embed": embedded(tmp_path / "e", dataset, x)}, **params)
    return misfit.run(inputs), dataset.ids()


def test_swapped_responses_are_flagged_and_lead_to_each_other(tmp_path, monkeypatch, world):
    output, ids = ran(tmp_path, monkeypatch, world, [(3, 40), (70, 111)])
    table = output.table.to_pylist()
    flagged = {row["record_id"] for row in table if row["flagged"]}
    assert flagged >= {ids[i] for i in (3, 40, 70, 111)} and len(flagged) <= 6  # an honest one may look odd by chance
    assert output.info["flagged"] == len(flagged)
    assert [table[i]["better_id"] for i in (3, 40, 70, 111)] == [ids[i] for i in (40, 3, 111, 70)]
    assert all(table[i]["misfit"] > 0.1 for i in (3, 40, 70, 111))
    assert table[-1]["misfit"] is None and not table[-1]["flagged"] and output.info["judged"] == COUNT - 1
    assert table[0]["better_id"] is None


def test_misfit_is_the_share_of_responses_that_fit_better(tmp_path, monkeypatch, world):
    whole, _ = ran(tmp_path, monkeypatch, world, [(3, 40)])
    monkeypatch.setattr(misfit, "ROWS", 7)
    again, _ = ran(tmp_path / "b", monkeypatch, world, [(3, 40)])
    assert whole.table.equals(again.table)
    values = whole.table["misfit"].drop_null().to_numpy()
    assert ((values >= 0) & (values < 1)).all()
    assert np.allclose(values * (COUNT - 1), np.round(values * (COUNT - 1)), atol=1e-4)  # counts of other responses


def test_a_sample_of_responses_is_said(tmp_path, monkeypatch, world):
    output, ids = ran(tmp_path, monkeypatch, world, [(3, 40)], against=80)
    assert output.info["against"] == 80 and "80 others drawn at random" in output.info["warnings"][0]
    assert {r["record_id"] for r in output.table.to_pylist() if r["flagged"]} >= {ids[3], ids[40]}


def test_too_few_records_are_not_judged(tmp_path, monkeypatch, world):
    output, _ = ran(tmp_path, monkeypatch, world, count=60)
    assert output.info["flagged"] == 0 and "60 records have a response" in output.info["undefined"]
    assert output.table["misfit"].null_count == 60
