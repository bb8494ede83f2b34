"""proxy -> influence and difficulty on a small workspace: contents, reuse, resumption after a kill, models by path."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.dataset.columns import SCHEMA
from core.errors import Cancelled, InputError, MissingInput
from core.influence import influence, proxy
from core.influence import setup as subject
from core.influence.batches import Halving
from core.influence.difficulty import loss_based as difficulty
from core.influence.encode import Encoder, conversations
from core.influence.models import load
from core.progress import silent
from core.workspace import open_workspace

pytest.importorskip("torch")

ASKED = influence.DEFAULTS | {"model": "proxy"}  # the language model; the default proxy has tests of its own

SMALL = proxy.DEFAULTS | {"vocabulary": 400, "width": 64, "blocks": 2, "epochs": 2, "batch_tokens": 512}
THINGS = ("fever", "cough", "rash", "headache", "asthma", "anaemia", "gout", "sepsis", "vertigo", "eczema")


def rows(count: int = 60) -> list[dict]:
    found = []
    for i in range(count):
        thing = THINGS[i % 10]
        prompt = f"What helps a patient of {20 + i} years with {thing}?"
        response = f"For {thing} start with a careful history. " * (1 + i % 3) + f"Case {i}."
        found.append(
            {"prompt": prompt, "response": response, "reasoning": "Think of age." if i % 2 else None, "category": thing}
        )
    return found


def add(workspace, role, records):
    def importer(folder):
        full = [
            dict.fromkeys(SCHEMA.names)
            | {"record_id": f"{hash_of(r)}-1", "line": i + 1, "raw": json.dumps(r), "turns": 2}
            | {
                "messages": json.dumps(
                    [{"role": "user", "content": r["prompt"]}, {"role": "assistant", "content": r["response"]}]
                )
            }
            | r
            for i, r in enumerate(records)
        ]
        pq.write_table(pa.Table.from_pylist(full, SCHEMA), folder / "records.parquet")
        digest = hash_of([r["record_id"] for r in full]) * 2
        return {"digest": digest, "count": len(full), "mapping": {}, "report": {}}

    return workspace.add(role, f"{role}.jsonl", importer)


def hash_of(value) -> str:
    import hashlib

    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=8).hexdigest()


def compute(workspace, module, params, results=None, key=None, progress=silent):
    step = "difficulty" if module is difficulty else module.__name__.rpartition(".")[2]
    datasets = {r: d for r in ("training", "validation") if (d := workspace.dataset(r)) is not None}
    key = key or hash_of([step, params, [d.digest for d in datasets.values()]]) * 2
    recipe = {"version": 1, "params": params, "inputs": {}}
    return workspace.compute(step, key, recipe, module.run, datasets, results or {}, progress)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workspace of 60 records with its proxy."""
    workspace = open_workspace(tmp_path_factory.mktemp("ws"))
    add(workspace, "training", rows())
    return workspace, compute(workspace, proxy, SMALL)


@pytest.fixture
def copy(trained, tmp_path):
    """The same on its own, free to be changed."""
    shutil.copytree(trained[0].path, tmp_path / "ws")
    workspace = open_workspace(tmp_path / "ws")
    return workspace, {"proxy": workspace.results("proxy")[0]}


def test_the_proxy_learns_says_what_it_is_and_keeps_held_out_records_out(trained):
    workspace, result = trained
    info = result.info
    assert info["curve"][-1]["validation"] < info["curve"][0]["validation"] - 0.5
    assert "proxy" in info["sentence"].lower() and "48 of your records" in info["sentence"]
    held = json.loads(result.file("heldout.json").read_text())
    assert len(held) == 12 == info["heldout"] and "fewer than 50" in info["validation"]
    assert {p.name for p in result.path.iterdir()} >= {"model.safetensors", "config.json", "tokenizer.json"}
    assert info["tokens"] >= 0.9 * 2 * info["tokens_of_data"] and info["stopped_early"] == ""


def test_the_proxy_is_the_same_for_the_same_seed_and_another_for_another(copy):
    workspace, results = copy
    again = compute(workspace, proxy, SMALL, key="a" * 16)
    other = compute(workspace, proxy, SMALL | {"seed": 1}, key="b" * 16)
    assert again.info["revision"] == results["proxy"].info["revision"] != other.info["revision"]


def test_a_token_budget_and_a_time_limit_are_kept_and_told(copy):
    workspace, _ = copy
    short = compute(workspace, proxy, SMALL | {"token_budget": 1000}, key="c" * 16).info
    assert 1000 <= short["tokens"] < 1600 and "passes over" in short["trained"]
    hasty = compute(workspace, proxy, SMALL | {"epochs": 400, "token_budget": 10**9, "seconds": 1}, key="d" * 16).info
    assert "limit of 1 s" in hasty["stopped_early"] and hasty["training_seconds"] < 10


@pytest.mark.parametrize("space", ["all", "lora", "last-1"])
def test_influence_is_complete_and_names_everything(copy, space):
    workspace, results = copy
    found = compute(workspace, influence, ASKED | {"space": space}, results)
    table, info = found.table(), found.info
    assert table.column_names == ["record_id", "influence", "nll", "response_tokens", "truncated", "heldout"]
    assert table["record_id"].to_pylist() == workspace.dataset().ids()
    assert table["influence"].null_count == 0 and sum(table["heldout"].to_pylist()) == 12 == info["validation_records"]
    assert info["exactness"] < 1e-5 and info["alone_and_together"] < 1e-3 and not info["direct"]
    assert (
        info["space"] == space
        and info["proxy"]
        and "held out" in info["holdout"]
        and info["device"]
        and info["seconds"] >= 0
    )
    json.dumps(info)


@pytest.mark.parametrize("space", ["all", "lora"])
def test_cosine_is_the_dot_over_both_norms(copy, space):
    """Same sign as the dot, within -1..1, and 1 for a validation set that is the record itself."""
    workspace, results = copy
    add(workspace, "validation", rows(3)[2:])
    params = ASKED | {"space": space}
    dot, cosine = (
        compute(workspace, influence, params | {"score": s}, results).table()["influence"].to_numpy()
        for s in ("dot", "cosine")
    )
    assert (np.sign(dot) == np.sign(cosine)).all() and np.abs(cosine).max() <= 1 + 1e-6
    assert np.argmax(cosine) == 2 and cosine[2] == pytest.approx(1, abs=1e-5)


def test_a_validation_set_replaces_the_held_out_records(copy):
    workspace, results = copy
    add(workspace, "validation", [r | {"prompt": r["prompt"] + " Briefly."} for r in rows(9)])
    info = compute(workspace, influence, ASKED, results).info
    assert info["validation"] == "9 records of the validation set validation.jsonl" and info["heldout"] == 0


def test_killed_and_resumed_is_bit_for_bit_the_unbroken_run(copy, monkeypatch):
    workspace, results = copy
    monkeypatch.setattr("core.influence.chunks.run_batches.__defaults__", (0.0, None))
    params = ASKED | {"batch_tokens": 256}
    whole = compute(workspace, influence, params, results, key="1" * 16).table()
    scored = []
    real = Halving.__call__

    def counting(self, batch):
        scored.append(len(batch))
        if len(scored) == 6:
            raise KeyboardInterrupt
        return real(self, batch)

    shutil.rmtree(workspace.results("influence")[0].path)
    monkeypatch.setattr(Halving, "__call__", counting)
    with pytest.raises(KeyboardInterrupt):
        compute(workspace, influence, params, results, key="2" * 16)
    before = sum(scored[:5])
    scored[:] = [0] * 10
    second = compute(workspace, influence, params, results, key="2" * 16)
    assert second.table().equals(whole)
    assert sum(scored) == 60 - before


def test_cancelling_leaves_the_work_that_was_done(copy, monkeypatch):
    workspace, results = copy

    def stop(done, total, message):
        if total and done > 500:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        compute(
            workspace, difficulty, difficulty.DEFAULTS | {"batch_tokens": 256}, results, key="3" * 16, progress=stop
        )
    assert list((workspace.path / "scratch" / "difficulty-333333333333").glob("rows-*.npz"))


@pytest.mark.parametrize("step", [influence, difficulty])
def test_only_changed_records_are_computed_again(copy, step):
    """Same model and validation set, one edited record: 59 rows are taken over, one is scored."""
    workspace, results = copy
    add(workspace, "validation", rows(9))
    first = compute(workspace, step, step.DEFAULTS | {"model": "proxy"}, results)
    changed = rows()
    changed[7]["response"] = "Another answer altogether."
    add(workspace, "training", changed)
    second = compute(workspace, step, step.DEFAULTS | {"model": "proxy"}, results)
    assert (second.info["scored"], second.info["reused"]) == (1, 59)
    column = "influence" if step is influence else "nll"
    a, b = (r.table()[column].to_numpy() for r in (first, second))
    assert np.array_equal(np.delete(a, 7), np.delete(b, 7)) and a[7] != b[7]


def test_difficulty_columns_follow_their_definitions(copy):
    workspace, results = copy
    table = compute(workspace, difficulty, difficulty.DEFAULTS, results).table().to_pydict()
    nll, ppl, loss, ratio = (np.array(table[c]) for c in ("nll", "perplexity", "ifd_loss", "ifd_ppl"))
    assert np.allclose(np.exp(nll), ppl)
    assert np.allclose(np.exp(nll - nll / loss), ratio)  # nll / ifd_loss is the unconditioned loss


def test_a_record_without_response_has_no_value_and_is_counted(tmp_path, trained):
    workspace = open_workspace(tmp_path / "ws")
    add(workspace, "training", [*rows(20), {"prompt": "And?", "response": "", "reasoning": None, "category": None}])
    results = {"proxy": trained[1]}
    held = json.loads(trained[1].file("heldout.json").read_text())
    assert set(held) & set(workspace.dataset().ids())
    result = compute(workspace, influence, ASKED, results)
    assert result.table()["influence"].to_pylist()[-1] is None and result.info["without_response"] == 1


def test_a_model_by_path_is_used_without_the_proxy(copy):
    workspace, results = copy
    folder = workspace.path / "mine"
    shutil.copytree(results["proxy"].path, folder)
    info = compute(workspace, influence, ASKED | {"model": str(folder), "space": "lora"}).info
    assert not info["proxy"] and info["model"] == str(folder) and info["revision"] == results["proxy"].info["revision"]
    assert "held out" in info["validation"]
    assert influence.fingerprint({"model": str(folder)}) and not influence.fingerprint({"model": "proxy"})


def test_models_that_cannot_be_used_are_refused_in_one_sentence(tmp_path, trained, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="neither a folder nor a hub id"):
        load("./not/there/at/all")
    with pytest.raises(InputError, match="cannot be loaded"):
        load("nobody/nothing")
    with pytest.raises(InputError, match="no config.json"):
        load(str(tmp_path))
    (tmp_path / "config.json").write_text((trained[1].path / "config.json").read_text())
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(InputError, match="no .safetensors"):
        load(str(tmp_path))
    with pytest.raises(MissingInput, match="proxy was not trained"):
        subject.prepare(type("I", (), {"params": ASKED, "results": {}, "progress": staticmethod(silent)}))


def test_a_model_with_missing_weights_is_refused(tmp_path, trained):
    from safetensors.torch import load_file, save_file

    shutil.copytree(trained[1].path, tmp_path / "m")
    weights = load_file(tmp_path / "m" / "model.safetensors")
    weights.pop("model.norm.weight")
    save_file(weights, tmp_path / "m" / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="lacks 1 weights"):
        load(str(tmp_path / "m"))


def test_encoding_scores_the_response_alone_with_reasoning_in_it(trained):
    workspace, result = trained
    model = load("proxy", folder=result.path)
    encoder, text = Encoder(model.tokenizer, 512), model.tokenizer.decode
    for target, expected in (
        (
            "response",
            "For cough start with a careful history. For cough start with a careful history. Case 1.<|q:end|>",
        ),
        ("reasoning", "Think of age.<|q:end|>"),
    ):
        tokens = encoder.encode(conversations(workspace.dataset(), target)[1:2])
        assert text(tokens.ids[0][tokens.start[0] :]) == expected
        assert (
            text(tokens.ids[0][: tokens.start[0]])
            == "<|q:user|>What helps a patient of 21 years with cough?<|q:assistant|>"
        )
    both = encoder.encode(conversations(workspace.dataset())[1:2])
    assert text(both.ids[0][both.start[0] :]).startswith("<think>\nThink of age.\n</think>\n\nFor cough")
    bare = both.without_context(encoder.header)
    assert text(bare.ids[0]).startswith("<|q:assistant|><think>") and bare.response_tokens[0] == both.response_tokens[0]


def test_truncation_keeps_the_end_of_the_context_then_the_beginning_of_the_response(trained):
    workspace, result = trained
    model = load("proxy", folder=result.path)
    full = Encoder(model.tokenizer, 512).encode(conversations(workspace.dataset())[:1])
    for limit in (len(full.ids[0]) - 3, 8):
        cut = Encoder(model.tokenizer, limit).encode(conversations(workspace.dataset())[:1])
        assert len(cut.ids[0]) == limit and cut.truncated[0] and cut.response_tokens[0] > 0
        head, tail = cut.ids[0][: cut.start[0]], cut.ids[0][cut.start[0] :]
        assert np.array_equal(head, full.ids[0][: full.start[0]][-len(head) :])
        assert np.array_equal(tail, full.ids[0][full.start[0] :][: len(tail)])
