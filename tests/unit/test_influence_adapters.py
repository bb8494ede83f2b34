"""LoRA adapters of PEFT's format: merged as peft applies them, their own gradients as autograd gives them, clear refusals."""

import json
import shutil

import numpy as np
import pytest

from core.errors import InputError
from core.influence import adapters
from core.influence.direction import mean_gradient
from core.influence.ghost import Ghost
from core.influence.losses import ResponseLoss, make_batch
from core.influence.spaces import resolve
from tests.unit.test_influence_ghost import relative, some_tokens, tiny

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")

KINDS = {
    "llama": {"target_modules": ["q_proj", "v_proj", "down_proj"]},
    "gpt2": {"target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True},
    "qwen": {
        "target_modules": ["q_proj", "k_proj"], "use_rslora": True, "rank_pattern": {"k_proj": 2}, "alpha_pattern": {"k_proj": 5},
    },
}  # fmt: skip


def trained(shape, tmp_path, **more):
    """(the model under peft with an adapter away from its start, the folder it was saved in)."""
    config = peft.LoraConfig(r=3, lora_alpha=7, task_type="CAUSAL_LM", **KINDS[shape], **more)
    wrapped = peft.get_peft_model(tiny(shape).module, config)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, p in wrapped.named_parameters():
            if "lora_" in name:
                p.data = 0.3 * torch.randn_like(p, dtype=torch.float64)
    wrapped.save_pretrained(tmp_path / "adapter")
    return wrapped.eval(), tmp_path / "adapter"


@pytest.mark.parametrize("shape", KINDS)
def test_the_merged_model_is_the_model_with_its_adapter(shape, tmp_path):
    wrapped, folder = trained(shape, tmp_path)
    model = adapters.merged(tiny(shape), str(folder))
    ids = torch.arange(12)[None] * 5 % 61
    with torch.no_grad():
        theirs, ours = wrapped(input_ids=ids).logits, model.module(input_ids=ids).logits
        plain = tiny(shape).module(input_ids=ids).logits
    assert torch.allclose(theirs, ours, atol=1e-6) and not torch.allclose(plain, ours, atol=1e-2)
    assert model.name == f"{shape} + adapter" and model.revision != "test"


@pytest.mark.parametrize("shape", KINDS)
def test_gradients_in_the_space_adapter_are_those_of_its_own_parameters(shape, tmp_path):
    wrapped, folder = trained(shape, tmp_path)
    model = adapters.merged(tiny(shape), str(folder))
    tokens, validation = some_tokens(6), some_tokens(4, seed=9)
    own = [p for n, p in wrapped.named_parameters() if "lora_" in n]
    for p in own:
        p.requires_grad_(True)

    def gradient(data, row):
        batch = make_batch(data, np.array([row]), "cpu")
        logits = wrapped(input_ids=batch.ids).logits[0]
        loss = torch.nn.functional.cross_entropy(logits[batch.places], batch.labels)
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, own)])

    v = torch.stack([gradient(validation, i) for i in range(4)]).mean(0)
    truth = np.array([float(gradient(tokens, i) @ v) for i in range(6)])
    losses = ResponseLoss(model)
    space = resolve(model.module, "adapter")
    assert space.dimensions == sum(p.numel() for p in own) and "adapter" in space.sentence
    found = Ghost(losses, mean_gradient(losses, validation, space, 100)).score(tokens, np.arange(6)).influence
    assert relative(found, truth) <= 1e-6


def test_the_lora_space_of_a_merged_model_and_a_model_without_adapter(tmp_path):
    _, folder = trained("llama", tmp_path)
    model = adapters.merged(tiny("llama"), str(folder))
    assert resolve(model.module, "lora").own is None
    with pytest.raises(InputError, match="none was named"):
        resolve(tiny("llama").module, "adapter")
    assert adapters.fingerprint(str(folder)) and not adapters.fingerprint("")


def test_what_cannot_be_merged_is_refused_in_one_sentence(tmp_path):
    _, folder = trained("llama", tmp_path)

    def refused(match, change=None, file=None, model=None):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        config = json.loads((copy / adapters.CONFIG).read_text())
        (copy / adapters.CONFIG).write_text(json.dumps(config | (change or {})))
        if file:
            file(copy)
        with pytest.raises(InputError, match=match):
            adapters.merged(model or tiny("llama"), str(copy))

    with pytest.raises(InputError, match="holds no adapter_config.json"):
        adapters.merged(tiny("llama"), str(tmp_path / "nowhere"))
    refused("of the kind 'IA3'", {"peft_type": "IA3"})
    refused("DoRA", {"use_dora": True})
    refused("trained modules or biases", {"bias": "all"})
    refused("holds no adapter_model.safetensors", file=lambda c: (c / adapters.WEIGHTS).unlink())
    refused("run code", file=lambda c: (c / adapters.WEIGHTS).rename(c / "adapter_model.bin"))
    refused("cannot be read", file=lambda c: (c / adapters.WEIGHTS).write_bytes(b"x" * 40))
    refused("does not have as a linear layer", model=tiny("gpt2"))
    refused("trained on another model", model=tiny("gemma"))

    def half(copy):
        from safetensors.torch import load_file, save_file

        tensors = load_file(copy / adapters.WEIGHTS)
        tensors.pop(next(k for k in tensors if "lora_A" in k))
        save_file(tensors, copy / adapters.WEIGHTS)

    refused("incomplete", file=half)


def test_an_adapter_on_a_tied_weight_is_refused(tmp_path):
    wrapped = peft.get_peft_model(tiny("llama").module, peft.LoraConfig(r=2, target_modules=["lm_head"]))
    wrapped.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
    with pytest.raises(InputError, match="shares with its embedding"):
        adapters.merged(tiny("llama-tied"), str(tmp_path / "adapter"))
