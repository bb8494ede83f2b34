"""Token shares: exact against the gradient of each token's own loss, summing to the score, laid on the right characters."""

import json

import numpy as np
import pytest

from core.errors import InputError, MissingInput
from core.influence import influence, proxy, shares, sketches
from core.influence.attribution import Attribution
from core.influence.direction import mean_gradient
from core.influence.encode import THINK, Encoder, conversations
from core.influence.ghost import exact_scores
from core.influence.losses import ResponseLoss, make_batch
from core.influence.models import load
from core.influence.shares import combined, read_heat
from core.influence.spaces import resolve
from core.influence.spans import offsets, parts_of, segments
from core.workspace import open_workspace
from tests.unit.test_influence_ghost import SHAPES, relative, some_tokens, tiny
from tests.unit.test_influence_steps import SMALL, add, compute, rows

torch = pytest.importorskip("torch")
PROXY = influence.DEFAULTS | {"model": "proxy"}
TRICKY = [
    {
        "prompt": "Fever?",
        "response": "Fièvre 39,5 °C 👩‍⚕️ — “sepsis” 敗血症.\n\n\tGive  fluids 🚑.",
        "reasoning": "Ça va? 😷 no",
    },
    {"prompt": "Say <|q:end|>", "response": "<|q:end|> is text here: \u200b\u202eabc", "reasoning": " "},
    {"prompt": "Long?", "response": "word " * 3000, "reasoning": None},
    {"prompt": "None?", "response": "", "reasoning": None},
]


@pytest.mark.parametrize("space", ["lora", "all"])
@pytest.mark.parametrize("shape", [s for s in SHAPES if s in ("llama-tied", "qwen", "gpt2", "gemma2", "mixtral")])
def test_shares_are_the_gradients_of_each_tokens_own_loss_and_sum_to_the_score(shape, space):
    model = tiny(shape)
    losses, tokens = ResponseLoss(model), some_tokens(5)
    v = mean_gradient(losses, some_tokens(4, seed=9), resolve(model.module, space, rank=3), 100)
    attribution = Attribution(losses, v)
    found = attribution.shares(tokens, np.arange(5))
    truth, _ = exact_scores(losses, tokens, np.arange(5), v)
    assert relative(np.array([x.sum() for x in found]), truth) <= 1e-6
    assert np.allclose(attribution.shares(tokens, np.array([3]))[0], found[3], rtol=1e-5, atol=1e-9), "batch or alone"
    # One token at a time: the same record cut after it, its loss the difference of two sums.
    total = ResponseLoss(model, "sum")
    row = int(np.argmax(tokens.response_tokens))
    n, start, whole = len(tokens.ids[row]), max(int(tokens.start[row]), 1), tokens.take([row])
    ends = []
    for stop in range(start + 1, n + 1):
        cut = type(whole)([whole.ids[0][:stop]], whole.start, whole.truncated, "", 0)
        ends.append(exact_scores(total, cut, np.array([0]), v)[0][0])
    assert np.allclose(
        np.diff(ends, prepend=0) / (n - start), found[row], rtol=1e-4, atol=1e-7 * np.abs(found[row]).max()
    )


def test_a_sum_loss_and_several_queries():
    model = tiny("gpt2")
    tokens, validation = some_tokens(4), some_tokens(6, seed=9)
    losses = ResponseLoss(model, "sum")
    space = resolve(model.module, "lora", rank=2)
    two = [mean_gradient(losses, validation.take(part), space, 100) for part in ([0, 1], [2, 3, 4, 5])]
    truth, _ = exact_scores(losses, tokens, np.arange(4), two)
    sums = np.array([x.sum() for x in Attribution(losses, combined(two, "dot")).shares(tokens, np.arange(4))])
    assert relative(sums, truth.mean(1)) <= 1e-9
    norms = np.array([d.norm for d in two])
    sums = np.array([x.sum() for x in Attribution(losses, combined(two, "cosine")).shares(tokens, np.arange(4))])
    assert relative(sums, (truth / norms).mean(1)) <= 1e-9


def test_a_model_that_knows_no_forward_mode_is_named_in_one_sentence(monkeypatch):
    model = tiny("gpt2")
    losses = ResponseLoss(model)
    v = mean_gradient(losses, some_tokens(2), resolve(model.module, "lora", rank=2), 100)

    def stubborn(*args, **kwargs):
        raise NotImplementedError("Trying to use forward AD with _odd that does not support it")

    monkeypatch.setattr(torch.func, "jvp", stubborn)
    with pytest.raises(InputError, match="cannot be differentiated forwards"):
        Attribution(losses, v).shares(some_tokens(2), np.arange(2))

    def broken(*args, **kwargs):
        raise RuntimeError("The size of tensor a (3) must match the size of tensor b (4)")

    monkeypatch.setattr(torch.func, "jvp", broken)
    with pytest.raises(RuntimeError, match="size of tensor"):  # a fault is not dressed as the model's limit
        Attribution(losses, v).shares(some_tokens(2), np.arange(2))


# -- characters ------------------------------------------------------------------------------------------------------------
def test_segments_by_hand():
    """Ends 2 4 4 7 9: the third token ends where the second does, so both are one segment; a gap belongs to the token after it."""
    found = segments(np.array([2, 4, 4, 7, 9]), np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]), [(1, 0, 9)])
    assert found.length.tolist() == [2, 2, 3, 2] and found.share.tolist() == [1, 6, 8, 16] and found.elsewhere == 32
    template = segments(np.array([3, 5, 8, 10]), np.array([1.0, 2.0, 4.0, 8.0]), [(0, 3, 6), (1, 7, 10)], skipped=0)
    assert template.part.tolist() == [0, 1, 1] and template.length.tolist() == [2, 1, 2] and template.elsewhere == 1
    unscored = segments(np.array([2, 4]), np.array([5.0]), [(1, 0, 4)], skipped=1)
    assert unscored.length.tolist() == [2, 2] and unscored.share.tolist() == [0, 5]
    cut = segments(np.array([2, 4, 6, 8]), np.array([1.0, 2.0]), [(1, 0, 8)])
    assert cut.length.sum() == 4, "what was cut off has no segment"
    assert not len(segments(np.array([0]), np.zeros(0), []).length)


def test_parts_of_a_target():
    target = THINK.format("why", "so")
    assert [target[a:b] for _, a, b in parts_of(target, "why", "so", "reasoning+response")] == ["why", "so"]
    assert parts_of("so", " ", "so", "reasoning+response") == [(1, 0, 2)] and parts_of("", "", "", "reasoning") == []


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """60 plain records and some tricky ones, a validation set, the proxy, its influence and its shares."""
    space = open_workspace(tmp_path_factory.mktemp("ws"))
    tricky = [dict.fromkeys(("category",), "odd") | r for r in TRICKY]
    add(space, "training", rows() + tricky)
    add(space, "validation", rows(9))
    made = compute(space, proxy, SMALL)
    base = compute(space, influence, PROXY, {"proxy": made})
    found = compute(space, shares, shares.DEFAULTS | {"model": "proxy"}, {"proxy": made, "influence": base})
    return space, made, base, found


def test_every_segment_is_the_text_of_its_tokens(workspace):
    """Tokens decode to the characters that their segments span, over accents, emoji, full-width and hidden characters."""
    space, made, _, _ = workspace
    model = load("proxy", folder=made.path)
    said = conversations(space.need())[-4:-1]
    tokens = Encoder(model.tokenizer, 4096).encode(said)
    for i, ends in enumerate(offsets(model.tokenizer, [c.target for c in said])):
        tail = tokens.ids[i][tokens.start[i] :][: len(ends)]
        groups, at = np.unique(ends, return_index=True)
        starts = np.concatenate([[0], groups[:-1]])
        decoded = [model.tokenizer.decode(tail[a:b]) for a, b in zip(at, [*at[1:], len(ends)], strict=True)]
        spans = [said[i].target[a:b] for a, b in zip(starts, groups, strict=True)]
        assert "".join(decoded) == "".join(spans) == said[i].target
        assert decoded == spans


def test_stored_shares_sum_to_the_influence_and_tile_the_texts(workspace):
    space, _, base, result = workspace
    scores = dict(zip(*(base.table().column(c).to_pylist() for c in ("record_id", "influence")), strict=True))
    texts = {r["record_id"]: r for r in space.need().table(["record_id", "reasoning", "response"]).to_pylist()}
    found = read_heat(result, list(scores))
    assert set(scores) - set(found) == {i for i, s in scores.items() if s is None}
    assert result.info["agreement"] < 1e-5 and result.info["bytes_per_token"] <= 4
    for record_id, heat in found.items():
        assert heat.total == pytest.approx(scores[record_id], rel=1e-4, abs=1e-9)
        parts = sum(float(s.sum()) for _, s in heat.parts.values())
        rounding = heat.largest / 32767 * sum(len(s) for _, s in heat.parts.values())
        assert parts + heat.elsewhere == pytest.approx(heat.total, abs=rounding + 1e-12)
        for part, (lengths, _) in heat.parts.items():
            text = texts[record_id][part]
            assert (lengths.sum() < len(text)) if heat.cut else (lengths.sum() == len(text))
    assert sum(h.cut for h in found.values()) == 1
    json.dumps(result.info)


def test_a_few_records_alone_are_the_same_shares(workspace):
    space, made, base, whole = workspace
    ids = space.need().ids()
    asked = [ids[61], ids[3]]
    few = compute(
        space, shares, shares.DEFAULTS | {"model": "proxy", "records": asked}, {"proxy": made, "influence": base}
    )
    assert few.table()["record_id"].to_pylist() == [ids[3], ids[61]]
    for record_id, heat in read_heat(few, asked).items():
        other = read_heat(whole, [record_id])[record_id]
        for part in heat.parts:
            assert np.allclose(heat.parts[part][1], other.parts[part][1], atol=heat.largest * 1e-3)
    with pytest.raises(InputError, match="1 of the asked records are not"):
        compute(
            space, shares, shares.DEFAULTS | {"model": "proxy", "records": ["x-1"]}, {"proxy": made, "influence": base}
        )


def test_interrupted_and_resumed_is_the_unbroken_run(workspace, monkeypatch):
    space, made, base, whole = workspace
    monkeypatch.setattr("core.influence.chunks.run_ragged.__defaults__", (0.0,))
    seen = []
    plain = Attribution.shares

    def counting(self, tokens, rows):
        seen.append(len(rows))
        if len(seen) == 4:
            raise KeyboardInterrupt
        return plain(self, tokens, rows)

    monkeypatch.setattr(Attribution, "shares", counting)
    params = shares.DEFAULTS | {"model": "proxy", "batch_tokens": 512}
    results = {"proxy": made, "influence": base}
    with pytest.raises(KeyboardInterrupt):
        compute(space, shares, params, results, key="9" * 16)
    done = sum(seen[:3])
    seen[:] = [0] * 9
    again = compute(space, shares, params, results, key="9" * 16)
    assert sum(seen) == whole.info["records"] - done
    assert np.allclose(again.table()["total"].to_numpy(), whole.table()["total"].to_numpy(), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("score", ["cosine", "mean-cosine"])
def test_shares_of_a_cosine_sum_to_it(workspace, score):
    space, made, _, _ = workspace
    base = compute(space, influence, PROXY | {"score": score}, {"proxy": made})
    found = compute(
        space, shares, shares.DEFAULTS | {"model": "proxy", "score": score}, {"proxy": made, "influence": base}
    )
    scores = dict(zip(*(base.table().column(c).to_pylist() for c in ("record_id", "influence")), strict=True))
    table = found.table().to_pydict()
    assert np.allclose(table["total"], [scores[i] for i in table["record_id"]], rtol=1e-3, atol=1e-6)


def test_what_has_no_token_shares_says_so(workspace):
    space, made, base, _ = workspace
    params = shares.DEFAULTS | {"model": "proxy", "score": "self-influence"}
    with pytest.raises(InputError, match="no direction"):
        compute(space, shares, params, {"proxy": made, "influence": base})

    class Slow:
        is_fast = False

    with pytest.raises(InputError, match="tokenizer.json"):
        offsets(Slow(), ["x"])
    (base.path / "direction.safetensors").rename(base.path / "away")
    manifest = {
        **base.manifest,
        "files": {k: v for k, v in base.manifest["files"].items() if k != "direction.safetensors"},
    }
    try:
        with pytest.raises(MissingInput, match="too large to be stored"):
            compute(
                space, shares, shares.DEFAULTS | {"model": "proxy", "records": [space.need().ids()[0]]},
                {"proxy": made, "influence": type(base)(base.path, base.step, base.key, manifest)}, key="8" * 16,
            )  # fmt: skip
    finally:
        (base.path / "away").rename(base.path / "direction.safetensors")


# -- sketches --------------------------------------------------------------------------------------------------------------
def test_sketches_rank_like_the_exact_scores_and_keep_the_lengths(workspace):
    space, made, base, _ = workspace
    params = sketches.DEFAULTS | {"model": "proxy", "width": 4096}
    ours = compute(space, sketches, params, {"proxy": made})
    unit, table = ours.array(), ours.table()
    assert unit.dtype == np.float16 and unit.shape == (64, 4096)
    lengths = table["length"].to_numpy()
    own = (
        compute(space, influence, PROXY | {"score": "self-influence"}, {"proxy": made}).table()["influence"].to_pylist()
    )
    assert np.allclose(lengths[:63] ** 2, own[:63], rtol=1e-4) and lengths[63] == 0 and own[63] is None
    assert np.allclose(np.linalg.norm(unit[:63].astype(float), axis=1), 1, atol=0.15)
    theirs = open_only(space, "validation", params, made)
    query = sketches.mean_sketch(theirs.array(), theirs.table()["length"].to_numpy(), np.arange(9))
    estimate = sketches.products(unit, lengths, np.arange(64), query)
    exact = np.array([np.nan if x is None else x for x in base.table()["influence"].to_pylist()])
    assert np.isnan(estimate[63]) and sketches.spearman(exact[:63], estimate[:63]) > 0.9
    assert ours.info["rank_correlation"] > 0.9 and "rank correlation" in ours.info["measured"]


def open_only(space, role, params, made):
    data = {role: space.dataset(role)}
    recipe = {"version": 1, "params": params, "inputs": {}}
    return space.compute("sketches:validation", "7" * 16, recipe, sketches.run, data, {"proxy": made})


def test_sketches_refuse_what_they_cannot_be_of(workspace):
    space, made, _, _ = workspace
    for change, match in (
        ({"width": 3}, "between 64"),
        ({"checkpoints": "kept"}, "one state"),
        ({"model": "match"}, "language model"),
    ):
        with pytest.raises(InputError, match=match):
            compute(space, sketches, sketches.DEFAULTS | {"model": "proxy"} | change, {"proxy": made})


def test_losses_of_single_tokens_are_those_of_the_batch():
    """The forward of the attribution is that of the losses: the same NLL, to rounding."""
    model = tiny("qwen")
    losses, tokens = ResponseLoss(model), some_tokens(3)
    v = mean_gradient(losses, tokens, resolve(model.module, "lora", rank=2), 100)
    attribution, batch = Attribution(losses, v), make_batch(tokens, np.arange(3), "cpu")
    with torch.no_grad():
        each = attribution._token_losses(attribution.fixed, batch).double().numpy()
    means = np.bincount(batch.owner.numpy(), each) / batch.counts.numpy()
    assert np.allclose(means, losses(batch))
