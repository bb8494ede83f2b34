"""A causal language model ready to be asked for losses: the proxy of this workspace, a local folder, or a hub id."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InputError

if TYPE_CHECKING:
    import torch

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
PROXY = "proxy"  # the language model that the step `proxy` trains
MATCH = "match"  # the matching head on frozen embeddings: match_step.py; no language model, never loaded here


@dataclass(frozen=True)
class LanguageModel:
    """A causal LM in evaluation mode with its tokenizer; no parameter asks for a gradient."""

    module: "torch.nn.Module"
    tokenizer: Any
    name: str  # what the user called it: "proxy", a folder, a hub id
    revision: str  # hub commit, or "sha256:…" of the weights
    device: str
    dtype: str  # "float32", "bfloat16", "float16", "float64"
    max_positions: int  # tokens it can read at once

    @property
    def parameters(self) -> int:
        """Number of distinct parameters; tied weights count once."""
        return sum(p.numel() for p in self.module.parameters())

    def facts(self) -> dict[str, Any]:
        """What a manifest must say of the model."""
        return {
            "model": self.name,
            "revision": self.revision,
            "architecture": type(self.module).__name__,
            "parameters": self.parameters,
            "device": self.device,
            "dtype": self.dtype,
        }


def fingerprint(name: str) -> str:
    """Text that changes when the files of a model folder do (sizes and times); "" for the proxy and for hub ids."""
    folder = Path(name).expanduser()
    if name == PROXY or not folder.is_dir():
        return ""
    files = sorted(p for p in folder.iterdir() if p.suffix in (".safetensors", ".json", ".jinja", ".txt", ".model"))
    return ";".join(f"{p.name}:{p.stat().st_size}:{p.stat().st_mtime_ns}" for p in files)


def weights_digest(folder: Path) -> str:
    """ "sha256:<16 hex>" of all safetensors files of a folder, by name and content."""
    total = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as stream:
            total.update(path.name.encode() + hashlib.file_digest(stream, "sha256").digest())
    return f"sha256:{total.hexdigest()[:16]}"


def choose_device(device: str = "auto", dtype: str = "auto") -> tuple[str, str]:
    """Device and dtype as used: "auto" is CUDA in bfloat16 (float16 on old GPUs) where there is one, else the CPU."""
    import torch

    found = torch.cuda.is_available()
    if device == "auto":
        device = "cuda" if found else "cpu"
    if device.startswith("cuda") and not found:
        raise InputError(
            f"Device {device!r} was asked for, but torch sees no CUDA device. Use device=auto or device=cpu."
        )
    if dtype == "auto":
        # A GPU older than Ampere only emulates bfloat16, slowly.
        half = "bfloat16" if device.startswith("cuda") and torch.cuda.is_bf16_supported(False) else "float16"
        dtype = half if device.startswith("cuda") else "float32"
    if dtype not in ("float32", "bfloat16", "float16", "float64"):
        raise InputError(f"dtype {dtype!r} is not known; choose auto, float32, bfloat16, float16 or float64.")
    return device, dtype


def load(
    name: str, *, folder: Path | None = None, device: str = "auto", dtype: str = "auto", revision: str = ""
) -> LanguageModel:
    """Load a causal LM from safetensors only, never running code from its folder.

    `folder` holds the files when `name` is only a title (the proxy). A hub id is looked for in the local cache first, and fetched
    only because the user named it and HF_HUB_OFFLINE is not set. Errors: InputError when it is not there, is no causal LM, has no
    safetensors, or lacks weights.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    hush()
    place = folder or Path(name).expanduser()
    source = str(place) if place.is_dir() else name
    if not place.is_dir() and (not HUB_ID.fullmatch(name) or place.exists()):
        raise InputError(
            f"Model {name!r} is neither a folder nor a hub id (owner/name). Give the folder that holds config.json."
        )
    if place.is_dir():
        if not (place / "config.json").is_file():
            raise InputError(
                f"{place} holds no config.json, so it is no transformers model. Give the folder that holds it."
            )
        if not list(place.glob("*.safetensors")):
            raise InputError(
                f"{place} holds no .safetensors weights (other formats can run code). Convert the model first."
            )
    device, dtype = choose_device(device, dtype)
    options: dict[str, Any] = {"trust_remote_code": False, "revision": revision or "main"}
    offline = place.is_dir() or os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
    problem: Exception | None = None
    for local in (True,) if offline else (True, False):
        try:
            module, report = AutoModelForCausalLM.from_pretrained(
                source,
                dtype=getattr(torch, dtype),
                use_safetensors=True,
                local_files_only=local,
                output_loading_info=True,
                **options,
            )
            tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=local, **options)
            break
        except (OSError, ValueError, ImportError, RuntimeError, KeyError, TypeError) as error:
            problem = error
    else:
        reason = str(problem).strip().splitlines()[0][:200] if str(problem).strip() else type(problem).__name__
        hint = (
            "Check the files of this folder."
            if place.is_dir()
            else "Give the path of a local folder, or fetch the model first; HF_HUB_OFFLINE forbids looking for it on the hub."
            if offline
            else "Check the name, the network and your access to it, or give the path of a local folder."
        )
        raise InputError(f"Model {name!r} cannot be loaded as a causal language model ({reason}). {hint}") from problem
    missing = sorted(report.get("missing_keys") or ())
    if missing:
        raise InputError(
            f"Model {name!r} lacks {len(missing)} weights (first: {missing[0]}); they would be random. Give a complete model."
        )
    module.requires_grad_(False)
    module.eval().to(device)
    commit = getattr(module.config, "_commit_hash", None)
    label = weights_digest(place) if place.is_dir() else str(commit or revision or "unknown")
    return LanguageModel(module, tokenizer, name, label, device, dtype, positions(module.config))


def hush() -> None:
    """Keep the bars of transformers off the terminal: progress has its own channel."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def positions(config: Any) -> int:
    """Longest sequence that the configuration allows; a million when it sets no limit."""
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    for key in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
        value = getattr(text, key, None)
        if isinstance(value, int) and value > 0:
            return value
    return 1_000_000
