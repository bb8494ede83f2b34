"""TracIn over checkpoints and the warm-up: sums written out, seeds, resumption, and what is refused."""

import json
import shutil

import numpy as np
import pytest

from core.errors import InputError, MissingInput
from core.influence import influence, proxy
from core.influence.checkpoints import rate_of
from core.influence.encode import Encoder, conversations
from core.influence.losses import ResponseLoss, make_batch
from core.influence.models import load
from core.influence.scoring import scores
from tests.unit.test_influence_steps import SMALL, add, compute, copy, rows, trained

pytest.importorskip("torch")

ASKED = influence.DEFAULTS | {"model": "proxy"}  # the language model; the default proxy has tests of its own
__all__ = ["copy", "trained"]


def influence_of(result) -> np.ndarray:
    return result.table()["influence"].to_numpy()


def by_hand(workspace, folder, results, **options) -> np.ndarray:
    """Scores under the model of one folder through the plain entry, with the records that the proxy held out as the query."""
    model = load("proxy", folder=folder)
    tokens = Encoder(model.tokenizer, 1024).encode(conversations(workspace.dataset()))
    held = json.loads(results["proxy"].file("heldout.json").read_text())
    ids = workspace.dataset().ids()
    return scores(model, tokens, tokens.take([ids.index(h) for h in held]), **options)[:, 0]


def test_tracin_over_the_checkpoints_of_the_proxy_is_the_sum_by_hand(copy):
    """sum_c rate_c <grad(z; theta_c), mean validation gradient at theta_c>, each term computed apart."""
    workspace, _ = copy
    result = compute(workspace, proxy, SMALL | {"checkpoints": 3}, key="9" * 16)
    entries = json.loads(result.file("checkpoints.json").read_text())
    assert [e["folder"] for e in entries] == ["checkpoint-1", "checkpoint-2", "checkpoint-3"]
    assert all(e["rate"] > 0 for e in entries) and entries[0]["tokens"] < entries[1]["tokens"] < entries[2]["tokens"]
    results = {"proxy": result}
    found = compute(workspace, influence, ASKED | {"checkpoints": "kept"}, results)
    wanted = sum(e["rate"] * by_hand(workspace, result.path / e["folder"], results) for e in entries)
    assert np.allclose(influence_of(found), wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())
    assert "the sum over 3 checkpoints, each times its learning rate" in found.info["checkpoints"]
    plain = compute(workspace, influence, ASKED, results)
    assert plain.info["identity"] != found.info["identity"] and "checkpoints" not in plain.info
    last = by_hand(workspace, result.path / "checkpoint-3", results)
    assert np.allclose(
        influence_of(plain), last, rtol=1e-4, atol=1e-5 * np.abs(last).max()
    )  # the last one is the proxy itself


def test_checkpoints_of_a_named_model_with_rates_given_or_read(copy):
    workspace, results = copy
    folders = []
    for k, rate in enumerate((0.5, 2.0)):
        folder = workspace.path / f"checkpoint-{k}"
        shutil.copytree(results["proxy"].path, folder)
        history = [{"loss": 1.0, "learning_rate": 9.0}, {"loss": 1.0, "learning_rate": rate}, {"eval_loss": 1.0}]
        (folder / "trainer_state.json").write_text(json.dumps({"log_history": history}))
        folders.append(str(folder))
    assert rate_of(workspace.path / "checkpoint-1") == 2.0
    add(workspace, "validation", rows(9))
    one = compute(workspace, influence, ASKED | {"model": folders[0]})
    read = compute(workspace, influence, ASKED | {"model": folders[0], "checkpoints": folders})
    given = compute(workspace, influence, ASKED | {"model": folders[0], "checkpoints": folders, "rates": [1, 3]})
    assert np.allclose(influence_of(read), 2.5 * influence_of(one), rtol=1e-4)
    assert np.allclose(influence_of(given), 4 * influence_of(one), rtol=1e-4)
    for wrong, said in (
        ({"checkpoints": folders, "rates": [1]}, "one learning rate above 0 for each of the 2"),
        ({"checkpoints": ["/nowhere"]}, "is no folder"),
        ({"checkpoints": 3}, "is not understood"),
        ({"checkpoints": folders, "warmup": 0.1}, "Choose one"),
    ):
        with pytest.raises(InputError, match=said):
            compute(workspace, influence, ASKED | {"model": folders[0]} | wrong)
    (workspace.path / "checkpoint-1" / "trainer_state.json").unlink()
    with pytest.raises(InputError, match="Set rates"):
        compute(workspace, influence, ASKED | {"model": folders[0], "checkpoints": folders}, key="8" * 16)
    with pytest.raises(MissingInput, match="kept no checkpoints"):
        compute(workspace, influence, ASKED | {"checkpoints": "kept"}, results, key="7" * 16)


@pytest.fixture
def named(copy):
    """A workspace with a validation set, and a model folder that is not the proxy of it."""
    workspace, results = copy
    folder = workspace.path / "mine"
    shutil.copytree(results["proxy"].path, folder)
    add(workspace, "validation", rows(9))
    return workspace, ASKED | {"model": str(folder), "warmup": 0.25, "warmup_rate": 0.01}


def test_a_warm_up_trains_a_seeded_quarter_and_lowers_its_loss(named):
    """The adapters are merged into the attention weights: losses under the state that was scored are lower on what it saw."""
    workspace, params = named
    warmed = compute(workspace, influence, params, key="1" * 16)
    cold = compute(workspace, influence, params | {"warmup": 0.0}, key="2" * 16)
    assert (
        "15 random training records (25%" in warmed.info["warmup"]
        and "LoRA adapters of rank 8" in warmed.info["warmup"]
    )
    nll = [r.table()["nll"].to_numpy() for r in (warmed, cold)]
    assert nll[0].mean() < nll[1].mean()
    assert warmed.info["exactness"] < 1e-5
    again = compute(workspace, influence, params, key="3" * 16)
    assert np.array_equal(influence_of(again), influence_of(warmed)) and again.info["reused"] == 60
    other = compute(workspace, influence, params | {"seed": 1}, key="4" * 16)
    assert other.info["identity"] != warmed.info["identity"]


def test_the_states_of_a_warm_up_are_kept_and_merged_as_b_times_a(named):
    from safetensors.numpy import load_file

    workspace, params = named
    warmed = compute(workspace, influence, params | {"warmup_sum": True}, key="1" * 16)
    assert "4 epochs" in warmed.info["checkpoints"]
    base = load(params["model"])
    tokens = Encoder(base.tokenizer, 1024).encode(conversations(workspace.dataset()))
    check = Encoder(base.tokenizer, 1024).encode(conversations(workspace.dataset("validation")))
    steps, total = 4 * 2, 0.0  # 15 records, 8 a step
    for k in range(4):
        state = load_file(warmed.file(f"warmup-{k}.safetensors"))
        model = load(params["model"])
        for name, p in model.module.named_parameters():
            if f"{name}|A" in state:
                p.data += p.new_tensor(state[f"{name}|B"] @ state[f"{name}|A"])
        rate = 0.01 * np.mean([min((s + 1) / 1.0, 1 - s / steps) for s in (2 * k, 2 * k + 1)])
        total = total + rate * scores(model, tokens, check)[:, 0]
    assert np.allclose(influence_of(warmed), total, rtol=1e-3, atol=1e-4 * np.abs(total).max())


def test_the_proxy_warms_up_all_its_parameters_and_the_model_is_left_as_it_was(copy):
    from core.influence import warmup

    workspace, results = copy
    found = compute(workspace, influence, ASKED | {"warmup": 0.2, "warmup_rate": 0.003}, results)
    assert "all parameters" in found.info["warmup"] and found.info["exactness"] < 1e-5
    model = load("proxy", folder=results["proxy"].path)
    tokens = Encoder(model.tokenizer, 1024).encode(conversations(workspace.dataset()))
    before = ResponseLoss(model)(make_batch(tokens, np.arange(4), "cpu"))
    plan = warmup.plan({"warmup": 0.2, "warmup_rate": 0.003, "seed": 0}, model, tokens)
    files = [workspace.path / f"w{k}.safetensors" for k in range(4)]
    warmup._train(plan, model, tokens, files, lambda *_: None)
    assert np.array_equal(ResponseLoss(model)(make_batch(tokens, np.arange(4), "cpu")), before)
    with pytest.raises(InputError, match="between 0 and 1"):
        warmup.plan({"warmup": 5, "warmup_rate": 0.1, "seed": 0}, model, tokens)


def test_queries_by_category_are_columns_of_their_own_and_reused_by_record(copy):
    workspace, results = copy
    add(workspace, "validation", rows(20))
    params = ASKED | {"queries": "category"}
    found = compute(workspace, influence, params, results)
    table, info = found.table(), found.info
    names = sorted({r["category"] for r in rows(20)})
    assert info["queries"] == names and info["query_records"] == [2] * 10
    each = np.stack([table[f"influence:{n}"].to_numpy() for n in names], axis=1)
    assert np.allclose(table["influence"].to_numpy(), each.mean(1)) and np.allclose(
        table["influence_max"].to_numpy(), each.max(1)
    )
    whole = compute(workspace, influence, ASKED, results)
    assert np.allclose(
        influence_of(whole), influence_of(found), rtol=1e-4, atol=1e-6
    )  # groups of equal size: the same mean
    assert any("fewer than 5 validation records" in w for w in info["warnings"])
    changed = rows()
    changed[7]["response"] = "Another answer altogether."
    add(workspace, "training", changed)
    second = compute(workspace, influence, params, results)
    assert (second.info["scored"], second.info["reused"]) == (1, 59)
    with pytest.raises(InputError, match="names no column"):
        compute(workspace, influence, params | {"queries": "benchmark"}, results)


def test_queries_of_held_out_records_follow_the_training_set(copy):
    workspace, results = copy
    found = compute(workspace, influence, ASKED | {"queries": "category", "direction": "adam"}, results)
    assert sum(found.info["query_records"]) == 12 and found.info["heldout"] == 12
    assert "as Adam scales a step" in found.info["direction"]


def test_the_direction_is_named_and_resumed_from_its_file(copy):
    workspace, results = copy
    params = ASKED | {"direction": "ggn", "curvature_records": 12, "iterations": 3}
    found = compute(workspace, influence, params, results)
    facts = found.info["direction_facts"][0]
    assert facts["iterations"] == 3 and 0 < facts["residual"] < 5 and facts["records"] == 12
    assert "3 steps of conjugate gradients, residual" in found.info["direction"]
    again = compute(workspace, influence, params, results, key="6" * 16)
    assert again.info["reused"] == 60 and again.info["direction_facts"] == found.info["direction_facts"]
    for wrong in ({"direction": "newton"}, {"score": "angle"}):
        with pytest.raises(InputError, match="is not known"):
            compute(workspace, influence, ASKED | wrong, results)
