"""Lengths of per-record gradients by hooks, and the scores that divide by them, against plain gradients of one record at a time."""

import numpy as np
import pytest

from core.influence.direction import mean_gradient
from core.influence.ghost import Ghost, exact_scores
from core.influence.losses import ResponseLoss
from core.influence.norms import Norms, Unfit
from core.influence.scoring import Measured, lengths_of, scores
from core.influence.spaces import resolve
from tests.unit.test_influence_ghost import SHAPES, relative, some_tokens, tiny

torch = pytest.importorskip("torch")
N = 9


def watched(losses, space, tokens, direction, rows=None):
    """The lengths as told by hooks on the ghost's own backward."""
    rows = np.arange(N) if rows is None else rows
    norms, ghost = Norms(losses, space), Ghost(losses, direction)
    with norms.watching(tokens, rows):
        found = ghost.score(tokens, rows)
    return norms.lengths(), found.influence


@pytest.mark.parametrize("space", ["lora", "all", "last-1"])
@pytest.mark.parametrize("shape", SHAPES)
def test_lengths_equal_those_of_plain_gradients(shape, space, monkeypatch):
    """Padding, the padding token, biases, tied and scaled embeddings, lm_head in chunks. Routed experts are refused outside LoRA."""
    monkeypatch.setattr("core.influence.losses.CHUNK", 61 * 16)  # several chunks of lm_head a batch
    for dtype, bound in (("float64", 1e-6 if shape in ("gemma", "gemma2", "mixtral") else 1e-9), ("float32", 1e-5)):
        model = tiny(shape, dtype)
        losses, tokens = ResponseLoss(model), some_tokens(N)
        v = mean_gradient(losses, some_tokens(4, seed=9), resolve(model.module, space, rank=3), 100)
        if shape == "mixtral" and space != "lora":
            with pytest.raises(Unfit):
                watched(losses, v.space, tokens, v)
            return
        dots, truth = exact_scores(losses, tokens, np.arange(N), v)
        lengths, each = watched(losses, v.space, tokens, v)
        assert relative(lengths, truth) <= bound
        assert relative(each, dots.mean(1) if dots.ndim > 1 else dots) <= bound, (
            "watching leaves the scores as they are"
        )
        alone = np.concatenate([watched(losses, v.space, tokens, v, np.array([i]))[0] for i in range(3)])
        assert relative(alone, lengths[:3]) <= bound, "the batch changes nothing"


@pytest.mark.parametrize("space", ["lora", "all", "last-1"])
@pytest.mark.parametrize("shape", ["llama-tied", "gpt2", "mixtral"])
def test_every_score_is_what_its_name_says(shape, space):
    """Each record's whole gradient as a vector, then the definitions; mixtral goes the slow way for its experts and is exact too."""
    model = tiny(shape)
    losses, tokens, validation = ResponseLoss(model), some_tokens(N), some_tokens(5, seed=9)
    where = resolve(model.module, space, rank=3)

    def vectors(data, count):
        each = (mean_gradient(losses, data.take([i]), where, 100).tensors().values() for i in range(count))
        return np.stack([np.concatenate([t.double().numpy().ravel() for t in tensors]) for tensors in each])

    g, v = vectors(tokens, N), vectors(validation, 5)
    unit_g, unit_v = (m / np.linalg.norm(m, axis=1, keepdims=True) for m in (g, v))
    truth = {
        "dot": g @ v.mean(0),
        "cosine": unit_g @ v.mean(0) / np.linalg.norm(v.mean(0)),
        "mean-cosine": (unit_g @ unit_v.T).mean(1),
        "self-influence": (g**2).sum(1),
    }
    for score, expected in truth.items():
        found = scores(model, tokens, validation, space=space, rank=3, score=score, batch_tokens=70)[:, 0]
        assert relative(found, expected) <= 1e-6, score


def test_a_batch_too_large_for_the_gradients_of_lm_head_is_split(monkeypatch):
    model = tiny("llama-tied")
    losses, tokens = ResponseLoss(model), some_tokens(N)
    v = mean_gradient(losses, some_tokens(4, seed=9), resolve(model.module, "all"), 100)
    whole = Measured(Ghost(losses, v), tokens)(np.arange(N))
    monkeypatch.setattr("core.influence.norms.HEAD", 61 * 20)
    split = Measured(Ghost(losses, v), tokens)(np.arange(N))
    assert all(np.allclose(a, b, rtol=1e-9) for a, b in zip(whole, split, strict=True))


def test_a_hidden_use_of_a_weight_is_seen_by_the_check_and_goes_the_slow_way():
    model = tiny("llama")
    layer = model.module.model.layers[0].self_attn
    plain = layer.forward
    layer.forward = lambda *a, **k: (plain(*a, **k)[0] + k["hidden_states"] @ layer.q_proj.weight, None)
    losses, tokens = ResponseLoss(model), some_tokens(4)
    space = resolve(model.module, "lora", rank=2)
    v = mean_gradient(losses, some_tokens(3, seed=3), space, 100)
    measure = Measured(Ghost(losses, v), tokens)
    lengths = measure(np.arange(4))[1]
    _, truth = exact_scores(losses, tokens, np.arange(4), v)
    assert measure.slow and relative(lengths, truth) <= 1e-9


def test_lengths_of_a_validation_set_skip_records_without_a_response():
    model = tiny("gpt2")
    tokens = some_tokens(4)
    tokens.start[2] = len(tokens.ids[2])
    found = lengths_of(ResponseLoss(model), tokens, resolve(model.module, "lora"), 60)
    assert found[2] == 0 and (np.delete(found, 2) > 0).all()
