"""LoRA adapters in PEFT's format on top of a model: read from safetensors, merged into the weights, their own factors kept as a space.

A merged weight is W + s B A (s = alpha / r, or alpha / sqrt(r) with rslora), so the model's losses are those of model and adapter
together, at the model's own speed. The gradient of the loss in the adapter's own parameters follows from the gradient G of the merged
weight, dA = s B' G and dB = s G A': the space "adapter" (see spaces.py). `peft` itself is not needed and runs no code here; what this
reader does not know (DoRA, trained biases or whole modules, embeddings, other kinds of adapters) it refuses by name.
"""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InputError
from core.influence.models import LanguageModel, weights_digest

if TYPE_CHECKING:
    import torch

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
KEY = re.compile(r"^(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<side>[AB])(?:\.[^.]+)?\.weight$")
REFUSED = {
    "use_dora": "DoRA", "use_qalora": "QALoRA", "alora_invocation_tokens": "activated LoRA",
    "trainable_token_indices": "trained tokens",
    "target_parameters": "adapters on bare parameters", "megatron_config": "Megatron layers", "layer_replication": "repeated layers",
}  # fmt: skip


def fingerprint(folder: str) -> str:
    """Text that changes when the files of an adapter do; "" for none."""
    if not folder:
        return ""
    files = [Path(folder).expanduser() / name for name in (CONFIG, WEIGHTS)]
    return "".join(f"|{p.name}:{p.stat().st_size}:{p.stat().st_mtime_ns}" for p in files if p.is_file())


def merged(model: LanguageModel, folder: str) -> LanguageModel:
    """The model with a LoRA adapter merged into its weights (the module itself is changed).

    Errors: InputError for a folder without an adapter, another kind of adapter, or one that was trained on another shape of model.
    """
    import torch

    place = Path(folder).expanduser()
    config = _config(place)
    pairs = _pairs(place)
    parameters = dict(model.module.named_parameters())
    factors: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for module, (a, b) in pairs.items():
        weight, conv = _weight(model, module, parameters, place)
        d_in, d_out = weight.shape if conv else weight.shape[::-1]
        if a.shape[1] != d_in or b.shape[0] != d_out or a.shape[0] != b.shape[1]:
            raise InputError(
                f"The adapter in {place} holds {b.shape[0]} x {a.shape[1]} for {module}, where {model.name!r} has {d_out} x {d_in}. "
                f"It was trained on another model{_named(config)}: name that one."
            )
        if _tied(model.module, weight):
            raise InputError(
                f"The adapter in {place} changes {module}, whose weight this model shares with its embedding; a merged weight "
                "would change both. Adapters on tied weights are not supported."
            )
        scale = _scale(config, module, a.shape[0])
        change = scale * (b.double() @ a.double())
        with torch.no_grad():
            weight.copy_((weight.double() + (change.T if conv else change).to(weight.device)).to(weight.dtype))
        wide = torch.float64 if model.dtype == "float64" else torch.float32
        factors[f"{module}.weight"] = (scale * a.to(wide), scale * b.to(wide))
    model.module.adapter_factors = {n: factors[n] for n in parameters if n in factors}  # read by spaces.resolve
    about = hashlib.blake2b((place / CONFIG).read_bytes(), digest_size=4).hexdigest()  # alpha stands there
    return replace(
        model, name=f"{model.name} + {place.name}", revision=f"{model.revision}+{weights_digest(place)}:{about}"
    )


def _config(place: Path) -> dict[str, Any]:
    if not place.is_dir() or not (place / CONFIG).is_file():
        raise InputError(
            f"{place} holds no {CONFIG}, so it is no adapter. Give the folder that PEFT's save_pretrained wrote."
        )
    try:
        config = json.loads((place / CONFIG).read_text("utf-8"))
    except ValueError as error:
        raise InputError(f"{place / CONFIG} is no JSON ({error}). Save the adapter again.") from error
    if config.get("peft_type") != "LORA":
        raise InputError(
            f"The adapter in {place} is of the kind {config.get('peft_type')!r}; LORA is the one that can be merged."
        )
    for key, what in REFUSED.items():
        if config.get(key):
            raise InputError(
                f"The adapter in {place} uses {what} ({key}), which is not supported. Merge it with peft first."
            )
    if config.get("modules_to_save") or config.get("bias", "none") != "none":
        raise InputError(
            f"The adapter in {place} also holds whole trained modules or biases. Merge it with peft, and name the merged model."
        )
    return config


def _pairs(place: Path) -> dict[str, tuple["torch.Tensor", "torch.Tensor"]]:
    """{module: (A (r, in), B (out, r))} of the adapter's file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = place / WEIGHTS
    if not file.is_file():
        other = (
            " It has adapter_model.bin, a format that can run code: save it with safetensors."
            if list(place.glob("*.bin"))
            else ""
        )
        raise InputError(f"{place} holds no {WEIGHTS}.{other or ' Save the adapter with safetensors.'}")
    try:
        tensors = load_file(file)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file} cannot be read ({str(error)[:120]}). Save the adapter again.") from error
    found: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        matched = KEY.match(key)
        if matched is None or tensor.ndim != 2:
            raise InputError(
                f"The adapter in {place} holds {key}, which is no LoRA factor of a linear layer. Merge it with peft first."
            )
        found.setdefault(matched["module"], {})[matched["side"]] = tensor
    half = [module for module, sides in found.items() if set(sides) != {"A", "B"}]
    if half or not found:
        raise InputError(f"The adapter in {place} is incomplete ({half[0] if half else 'no factor'}). Save it again.")
    return {module: (sides["A"], sides["B"]) for module, sides in found.items()}


def _weight(model: LanguageModel, module: str, parameters: dict[str, Any], place: Path) -> tuple[Any, bool]:
    """(the weight that a module of the adapter changes, whether it is stored (in, out))."""
    import torch
    from transformers.pytorch_utils import Conv1D

    try:
        layer = model.module.get_submodule(module)
    except AttributeError:
        layer = None
    if not isinstance(layer, torch.nn.Linear | Conv1D):
        has = next((n for n in parameters if n.endswith(".weight")), "nothing")
        raise InputError(
            f"The adapter in {place} changes {module}, which {model.name!r} does not have as a linear layer (it has {has} …). "
            "It was trained on another model: name that one."
        )
    return layer.weight, isinstance(layer, Conv1D)


def _tied(module: "torch.nn.Module", weight: Any) -> bool:
    return sum(p is weight for _, p in module.named_parameters(remove_duplicate=False)) > 1


def _scale(config: dict[str, Any], module: str, rank: int) -> float:
    """alpha / r as PEFT has it, patterns by module and rslora included."""
    patterns = config.get("alpha_pattern") or {}
    alpha = next(
        (v for k, v in patterns.items() if re.match(rf"(.*\.)?({k})$", module)), config.get("lora_alpha", rank)
    )  # fmt: skip
    return float(alpha) / (rank**0.5 if config.get("use_rslora") else rank)


def _named(config: dict[str, Any]) -> str:
    base = config.get("base_model_name_or_path")
    return f" ({base})" if base else ""
