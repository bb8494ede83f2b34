"""The ghost against per-record autograd, forward-mode AD and the true one-step change of the validation loss."""

import numpy as np
import pytest

from core.influence.direction import mean_gradient, read, save
from core.influence.encode import Tokens, plan_batches
from core.influence.ghost import Ghost, exact_scores
from core.influence.losses import ResponseLoss, make_batch
from core.influence.models import LanguageModel
from core.influence.spaces import factors, resolve

torch = pytest.importorskip("torch")

SHAPES = (
    "llama",
    "llama-tied",
    "qwen",
    "qwen2",
    "mistral",
    "phi",
    "phi3",
    "gpt2",
    "gpt2-untied",
    "gemma",
    "gemma2",
    "mixtral",
)


def tiny(shape: str, dtype: str = "float64", seed: int = 0) -> LanguageModel:
    """A random model of 2 blocks, 24 wide, 61 tokens, whose every parameter (norms and biases too) is away from its start."""
    import transformers as t

    common = {"vocab_size": 61, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    gpt2 = {
        "vocab_size": 61,
        "n_embd": 24,
        "n_layer": 2,
        "n_head": 4,
        "n_positions": 64,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    config = {
        "llama": lambda: t.LlamaConfig(**common, **heads, **ids, tie_word_embeddings=False, attention_bias=True),
        "llama-tied": lambda: t.LlamaConfig(**common, **heads, **ids, tie_word_embeddings=True),
        "qwen": lambda: t.Qwen3Config(**common, **heads, **ids, head_dim=8, tie_word_embeddings=True),
        "qwen2": lambda: t.Qwen2Config(**common, **heads, **ids, tie_word_embeddings=True),
        "mistral": lambda: t.MistralConfig(**common, **heads, **ids, head_dim=6, sliding_window=8),
        "phi": lambda: t.PhiConfig(**common, **heads, **ids, partial_rotary_factor=0.7),
        "phi3": lambda: t.Phi3Config(**common, **heads, **ids),
        "gemma": lambda: t.GemmaConfig(**common, **heads, **ids, head_dim=8),
        "gpt2": lambda: t.GPT2Config(**gpt2),
        "gpt2-untied": lambda: t.GPT2Config(**gpt2, tie_word_embeddings=False),
        "gemma2": lambda: t.Gemma2Config(**common, **heads, **ids, head_dim=8, final_logit_softcapping=5.0),
        "mixtral": lambda: t.MixtralConfig(**common, **heads, **ids, num_local_experts=3, num_experts_per_tok=2),
    }[shape]()
    torch.manual_seed(seed)
    choice = {"experts_implementation": "eager"} if shape == "mixtral" else {}  # the fused one knows no float64
    module = t.AutoModelForCausalLM.from_config(config, dtype=torch.float64, **choice)
    with torch.no_grad():
        for p in module.parameters():
            p += 0.1 * torch.randn_like(p)
    module.requires_grad_(False).eval().to(getattr(torch, dtype))
    return LanguageModel(module, None, shape, "test", "cpu", dtype, 64)


def some_tokens(n: int, seed: int = 0, low: int = 0) -> Tokens:
    """Records of 5 to 30 tokens with the response somewhere in the middle; token 0 is the padding token of some models."""
    rng = np.random.default_rng(seed)
    ids = [rng.integers(low, 61, rng.integers(5, 30)).astype(np.int32) for _ in range(n)]
    start = np.array([rng.integers(1, len(x) - 2) for x in ids], np.int32)
    return Tokens(ids, start, np.zeros(n, bool), "", 0)


def all_scores(ghost: Ghost, tokens: Tokens, budget: int) -> np.ndarray:
    found = np.zeros(len(tokens.ids))
    for rows in plan_batches(tokens.lengths, budget):
        found[rows] = ghost.score(tokens, rows).influence
    return found


def each_scores(ghost: Ghost, tokens: Tokens, budget: int) -> np.ndarray:
    found = np.zeros((len(tokens.ids), len(ghost.directions)))
    for rows in plan_batches(tokens.lengths, budget):
        found[rows] = ghost.score(tokens, rows).each
    return found


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(np.argsort(np.argsort(a)), np.argsort(np.argsort(b)))[0, 1])


@pytest.fixture
def no_float32(monkeypatch):
    """Most shapes compute norms (and Gemma 2 soft caps and softmax) in float32 even in a float64 model; here that is float64 too."""
    to, softmax = torch.Tensor.to, torch.nn.functional.softmax

    def wider(kind):
        return torch.float64 if kind is torch.float32 else kind

    def wide_to(tensor, *args, **named):
        return to(tensor, *(wider(a) for a in args), **{k: wider(v) for k, v in named.items()})

    monkeypatch.setattr(torch.Tensor, "to", wide_to)
    monkeypatch.setattr(torch.Tensor, "float", lambda tensor: tensor.double())
    monkeypatch.setattr(torch.nn.functional, "softmax", lambda x, dim, dtype=None: softmax(x, dim, dtype=wider(dtype)))


@pytest.mark.parametrize("space", ["all", "lora", "last-1"])
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_per_record_autograd_in_float64(shape, space, no_float32):
    """No approximation anywhere: only the order of sums differs, so float64 agrees to 1e-9 at every batch size, query by query."""
    model = tiny(shape)
    losses = ResponseLoss(model)
    assert losses.split
    tokens, validation = some_tokens(12), some_tokens(6, seed=9)
    where = resolve(model.module, space, rank=3)
    three = [mean_gradient(losses, validation.take(rows), where, 60) for rows in ([0, 1], [2, 3, 4], [5])]
    truth, _ = exact_scores(losses, tokens, np.arange(12), three)
    for budget in (1, 70, 1000):
        ghost = Ghost(losses, three[0])
        assert relative(all_scores(ghost, tokens, budget), truth[:, 0]) <= 1e-9
        several = Ghost(losses, three)
        assert relative(each_scores(several, tokens, budget), truth) <= 1e-9
        assert ghost.direct == several.direct
        if shape != "mixtral" or space == "lora":
            assert not ghost.direct
    if shape == "mixtral" and space == "all":
        assert any("expert" in name for name in ghost.direct)  # routed rows cannot be told apart: the slow way, by name


def test_several_queries_take_one_forward_and_one_backward():
    """The mean over queries is the score of the mean direction; the embedding is asked once a batch, however many queries."""
    model = tiny("llama")
    losses, tokens, validation = ResponseLoss(model), some_tokens(6), some_tokens(8, seed=9)
    where = resolve(model.module, "all")
    parts = [mean_gradient(losses, validation.take([i, i + 4]), where, 100) for i in range(4)]
    calls = []
    handle = model.module.model.register_forward_hook(lambda *_: calls.append(1))
    found = Ghost(losses, parts).score(tokens, np.arange(6))
    handle.remove()
    assert len(calls) == 1 and found.each.shape == (6, 4)
    whole = mean_gradient(losses, validation, where, 100)
    assert relative(found.influence, Ghost(losses, whole).score(tokens, np.arange(6)).influence) <= 1e-9
    shares = Ghost(losses, parts).score(tokens, np.arange(6), shares=True).shares
    assert np.allclose(shares.sum(1), found.influence)


@pytest.mark.parametrize("shape", ["llama", "qwen", "qwen2", "mistral", "phi", "gemma", "gpt2"])
def test_float32_and_half_precision(shape):
    """Same weights (as rounded to bf16), float64 as truth: 1e-5 in float32, the same ranking in bfloat16 and float16."""
    reference = tiny(shape, "bfloat16")
    tokens, validation = some_tokens(60), some_tokens(16, seed=9)
    found = {}
    for dtype in ("float64", "float32", "bfloat16", "float16"):
        model = tiny(shape, "bfloat16")
        model.module.load_state_dict(reference.module.state_dict())
        model.module.to(getattr(torch, dtype))
        model = LanguageModel(model.module, None, shape, "", "cpu", dtype, 64)
        losses = ResponseLoss(model)
        where = resolve(model.module, "all")
        pair = [mean_gradient(losses, validation.take(rows), where, 200) for rows in (range(8), range(8, 16))]
        found[dtype] = each_scores(Ghost(losses, pair), tokens, 300)
    assert relative(found["float32"], found["float64"]) <= 1e-5
    for q in range(2):
        assert spearman(found["bfloat16"][:, q], found["float64"][:, q]) >= 0.999
        assert spearman(found["float16"][:, q], found["float64"][:, q]) >= 0.999


@pytest.mark.parametrize("shape", ["llama-tied", "gpt2"])
def test_lora_space_is_what_real_adapters_would_give(shape):
    """Real (A, B) in the forward pass, W + B A - B0 A0, differentiated by autograd for validation and records alike."""
    from torch.func import functional_call

    model = tiny(shape)
    losses, tokens, validation = ResponseLoss(model), some_tokens(8), some_tokens(4, seed=3)
    space = resolve(model.module, "lora", rank=2, seed=5)
    parameters = dict(model.module.named_parameters())
    conv = shape == "gpt2"
    start = {}
    for name in space.names:
        d_in, d_out = parameters[name].shape if conv else parameters[name].shape[::-1]
        start[name] = tuple(x.double() for x in factors(space, name, d_in, d_out))

    def gradient(data: Tokens, row: int) -> torch.Tensor:
        leaves = {n: (a.clone().requires_grad_(), b.clone().requires_grad_()) for n, (a, b) in start.items()}
        moved = {}
        for n, (a, b) in leaves.items():
            change = b @ a - (start[n][1] @ start[n][0])
            moved[n] = parameters[n] + (change.T if conv else change)
        batch = make_batch(data, np.array([row]), "cpu")
        logits = functional_call(model.module, moved, (batch.ids,)).logits[0]
        torch.nn.functional.cross_entropy(logits[batch.places], batch.labels).backward()
        return torch.cat([t.grad.flatten() for pair in leaves.values() for t in pair])

    v = torch.stack([gradient(validation, i) for i in range(4)]).mean(0)
    truth = np.array([float(gradient(tokens, i) @ v) for i in range(8)])
    mine = all_scores(Ghost(losses, mean_gradient(losses, validation, space, 100)), tokens, 100)
    assert relative(mine, truth) <= 1e-9


@pytest.mark.parametrize("shape", ["llama-tied", "qwen2", "mistral", "phi", "gemma2", "gpt2-untied"])
def test_equals_forward_mode(shape, no_float32):
    """d loss(theta + e v) / d e by torch.func.jvp, which needs the MATH attention: an oracle that shares no code.

    Token 0 is left out: backward gives a padding token no embedding gradient (as in training), forward mode does.
    """
    from torch.func import functional_call, jvp
    from torch.nn.attention import SDPBackend, sdpa_kernel

    model = tiny(shape)
    losses, tokens = ResponseLoss(model), some_tokens(6, low=1)
    v = mean_gradient(losses, some_tokens(4, seed=3, low=1), resolve(model.module, "all"), 100)
    parameters = {n: p.detach() for n, p in model.module.named_parameters()}
    truth = []
    for i in range(6):
        batch = make_batch(tokens, np.array([i]), "cpu")

        def loss(theta, batch=batch):
            logits = functional_call(model.module, theta, (batch.ids,)).logits[0]
            return torch.nn.functional.cross_entropy(logits[batch.places], batch.labels)

        with sdpa_kernel(SDPBackend.MATH):
            truth.append(float(jvp(loss, (parameters,), (dict(v.vectors),))[1]))
    assert relative(all_scores(Ghost(losses, v), tokens, 90), np.array(truth)) <= 1e-9


@pytest.mark.parametrize("space", ["all", "lora"])
def test_ranks_records_by_the_true_change_of_the_validation_loss(space):
    """One small step of gradient descent on a record lowers the mean validation loss by step * score (first order)."""
    model = tiny("llama")
    losses, tokens, validation = ResponseLoss(model), some_tokens(40), some_tokens(6, seed=3)
    step, everyone = 1e-4, np.arange(6)
    chosen = resolve(model.module, space, rank=4)
    v = mean_gradient(losses, validation, chosen, 500)
    scores = all_scores(Ghost(losses, v), tokens, 200)
    parameters = dict(model.module.named_parameters())

    def validation_loss() -> float:
        return float(losses(make_batch(validation, everyone, "cpu")).mean())

    before, change = validation_loss(), []
    for i in range(40):
        moved = mean_gradient(losses, tokens.take([i]), chosen, 500)
        kept = {n: parameters[n].clone() for n in chosen.names}
        with torch.no_grad():
            for name in chosen.names:
                if chosen.rank:
                    a, b = (t.double() for t in factors(chosen, name, *parameters[name].shape[::-1]))
                    va, vb = moved.vectors[name]
                    parameters[name] += (b - step * vb) @ (a - step * va) - b @ a
                else:
                    parameters[name] -= step * moved.vectors[name]
        change.append(before - validation_loss())
        with torch.no_grad():
            for name in chosen.names:
                parameters[name].copy_(kept[name])
    assert spearman(scores, np.array(change)) >= 0.998
    assert np.allclose(np.array(change) / step, scores, rtol=0.05, atol=0.05 * np.abs(scores).max())


def test_sum_loss_is_the_mean_times_the_response_length():
    model = tiny("llama")
    tokens, validation = some_tokens(6), some_tokens(3, seed=3)
    mean, total = ResponseLoss(model), ResponseLoss(model, "sum")
    v = mean_gradient(mean, validation, resolve(model.module, "all"), 100)
    a, b = (Ghost(x, v).score(tokens, np.arange(6)) for x in (mean, total))
    assert np.allclose(a.influence * tokens.response_tokens, b.influence)
    assert np.allclose(a.nll, b.nll)


def test_shares_sum_to_the_score_and_are_zero_on_padding():
    model = tiny("qwen")
    losses, tokens = ResponseLoss(model), some_tokens(6)
    v = mean_gradient(losses, some_tokens(3, seed=3), resolve(model.module, "all"), 100)
    found = Ghost(losses, v).score(tokens, np.arange(6), shares=True)
    assert np.allclose(found.shares.sum(1), found.influence)
    for row, length in zip(found.shares, tokens.lengths, strict=True):
        assert not row[length - 1 :].any()  # the last token predicts nothing that is scored


def test_losses_equal_the_models_own_and_leave_no_trace():
    """NLL against the transformers loss; parameters bit for bit and without gradients afterwards."""
    model = tiny("gemma2")
    losses, tokens = ResponseLoss(model), some_tokens(5)
    before = {n: p.clone() for n, p in model.module.named_parameters()}
    v = mean_gradient(losses, tokens, resolve(model.module, "all"), 100)
    found = Ghost(losses, v).score(tokens, np.arange(5)).nll
    for i in range(5):
        ids = torch.tensor(tokens.ids[i], dtype=torch.long)[None]
        labels = ids.clone()
        labels[0, : tokens.start[i]] = -100
        assert found[i] == pytest.approx(float(model.module(input_ids=ids, labels=labels).loss), rel=1e-6)
    for n, p in model.module.named_parameters():
        assert torch.equal(p, before[n]) and p.grad is None and not p.requires_grad


def test_the_probe_sends_a_model_with_a_hidden_use_of_a_weight_the_slow_exact_way():
    """A weight used behind the hooks' back (here: a second use inside forward) would be missed; the probe sees it."""
    model = tiny("llama")
    layer = model.module.model.layers[0].mlp
    plain = layer.forward
    layer.forward = lambda x: plain(x) + torch.nn.functional.linear(x, layer.down_proj.weight @ layer.up_proj.weight)
    losses, tokens = ResponseLoss(model), some_tokens(4)
    v = mean_gradient(losses, some_tokens(3, seed=3), resolve(model.module, "all"), 100)
    ghost = Ghost(losses, v)
    assert not ghost.direct
    assert ghost.probe(tokens, np.arange(2)) < 1e-9 and ghost.direct
    truth, _ = exact_scores(losses, tokens, np.arange(4), v)
    assert relative(all_scores(ghost, tokens, 100), truth) <= 1e-9


@pytest.mark.parametrize("space", ["all", "lora"])
def test_a_direction_is_stored_and_read_back_bit_for_bit(tmp_path, space):
    model = tiny("gpt2", "float32")
    v = mean_gradient(ResponseLoss(model), some_tokens(3), resolve(model.module, space), 100)
    other = mean_gradient(ResponseLoss(model), some_tokens(3, seed=1), v.space, 100)
    save([other, v], tmp_path / "v.safetensors")
    again = read(tmp_path / "v.safetensors", v.space, "cpu")[1]
    assert again.digest == v.digest and again.records == 3


@pytest.mark.parametrize("shape", ["llama-tied", "gpt2-untied"])
def test_chunks_of_the_head_change_nothing(shape, monkeypatch):
    """16 positions a chunk: records are cut across chunks, and every score and loss stays, for one query and for several."""
    model = tiny(shape)
    losses, tokens, validation = ResponseLoss(model), some_tokens(9), some_tokens(4, seed=9)
    where = resolve(model.module, "all")
    pair = [mean_gradient(losses, validation.take(rows), where, 100) for rows in ([0, 1], [2, 3])]
    whole, one = (Ghost(losses, v).score(tokens, np.arange(9)) for v in (pair, pair[0]))
    monkeypatch.setattr("core.influence.losses.CHUNK", 61 * 16)
    cut, cut_one = (Ghost(losses, v).score(tokens, np.arange(9)) for v in (pair, pair[0]))
    assert relative(cut.each, whole.each) <= 1e-12 and relative(cut_one.each, one.each) <= 1e-12
    assert np.allclose(cut.nll, whole.nll, rtol=1e-12)
    assert relative(mean_gradient(losses, validation, where, 100).norm, whole_norm(losses, validation, where)) < 1e-12


def whole_norm(losses: ResponseLoss, validation: Tokens, where) -> float:
    """The norm of the mean gradient, record by record: no batch, no chunk longer than a record."""
    each = [mean_gradient(losses, validation.take([i]), where, 1).tensors() for i in range(len(validation.ids))]
    return sum(float((sum(e[n] for e in each) / len(each)).square().sum()) for n in each[0]) ** 0.5
