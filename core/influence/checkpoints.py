"""The states of the model at which gradients are taken: one as a rule; several with learning rates for TracIn; warmed up on request.

TracIn (Pruthi et al. 2020, "TracInCP"): the score is the sum over checkpoints of rate_c <grad loss(z; theta_c), v_c>, with v_c
taken at the same checkpoint. One state without a rate is the case of one checkpoint with rate 1.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InputError, MissingInput
from core.influence import models, warmup
from core.influence.encode import Tokens
from core.influence.setup import Setup
from core.workspace import Inputs, digest_of

KEPT = "kept"  # the checkpoints that the training of the proxy kept


@dataclass(frozen=True)
class Stage:
    """One state of the model. `load()` gives it; asking for the next may spoil the one before."""

    name: str  # "" when there is only one
    rate: float
    revision: str
    load: Callable[[], models.LanguageModel]


def stages(inputs: Inputs, setup: Setup, tokens: Tokens, progress: Any) -> tuple[list[Stage], dict[str, Any]]:
    """(the states, what the page must say of them). Errors: InputError for folders or rates that do not fit."""
    params = inputs.params
    asked = params["checkpoints"]
    if params["warmup"]:
        if asked:
            raise InputError(
                "warmup and checkpoints were both set. Choose one: a warm-up keeps its own end of each epoch."
            )
        return _warmed(inputs, setup, tokens, progress)
    if not asked:
        return [Stage("", 1.0, setup.model.revision, lambda: setup.model)], {}
    if asked == KEPT:
        found = _kept(inputs, setup)
    elif isinstance(asked, list) and all(isinstance(a, str) for a in asked):
        found = _folders(inputs, setup, asked)
    else:
        raise InputError(
            f"checkpoints={asked!r} is not understood. Give a list of model folders, or {KEPT!r} for those of the proxy."
        )
    said = ", ".join(f"{s.name} ({s.rate:.3g})" for s in found)
    return found, {
        "checkpoints": f"TracIn: the sum over {len(found)} checkpoints, each times its learning rate: {said}"
    }


def _kept(inputs: Inputs, setup: Setup) -> list[Stage]:
    proxy = inputs.results.get("proxy")
    listing = proxy.path / "checkpoints.json" if proxy is not None else None
    if listing is None or not listing.is_file():
        raise MissingInput("The proxy kept no checkpoints. Set proxy.checkpoints to 3, say, and run again.")
    found = []
    for entry in json.loads(listing.read_text("utf-8")):
        folder = proxy.file(f"{entry['folder']}/model.safetensors").parent
        found.append(_stage(entry["folder"], entry["rate"], folder, setup))
    return found


def _folders(inputs: Inputs, setup: Setup, folders: list[str]) -> list[Stage]:
    rates = inputs.params["rates"]
    if rates and (len(rates) != len(folders) or not all(isinstance(r, int | float) and r > 0 for r in rates)):
        raise InputError(f"rates={rates!r}: give one learning rate above 0 for each of the {len(folders)} checkpoints.")
    found = []
    for k, text in enumerate(folders):
        folder = Path(text).expanduser()
        if not folder.is_dir():
            raise InputError(
                f"Checkpoint {text!r} is no folder. Give folders that a training run saved, each with config.json."
            )
        found.append(_stage(folder.name, rates[k] if rates else rate_of(folder), folder, setup))
    return found


def rate_of(folder: Path) -> float:
    """The learning rate at a checkpoint of the Hugging Face Trainer, from its trainer_state.json."""
    try:
        history = json.loads((folder / "trainer_state.json").read_text("utf-8"))["log_history"]
        return float([entry["learning_rate"] for entry in history if entry.get("learning_rate")][-1])
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"{folder} has no trainer_state.json that tells its learning rate. Set rates, one for each checkpoint."
        ) from error


def _stage(name: str, rate: float, folder: Path, setup: Setup) -> Stage:
    def load() -> models.LanguageModel:
        found = models.load(setup.model.name, folder=folder, device=setup.model.device, dtype=setup.model.dtype)
        if found.module.config.get_text_config().vocab_size != setup.model.module.config.get_text_config().vocab_size:
            raise InputError(
                f"Checkpoint {name!r} has another vocabulary than {setup.model.name!r}. Name checkpoints of one run."
            )
        return found

    return Stage(name, float(rate), models.weights_digest(folder), load)


def _warmed(inputs: Inputs, setup: Setup, tokens: Tokens, progress: Any) -> tuple[list[Stage], dict[str, Any]]:
    plan = warmup.plan(inputs.params, setup.model, tokens)
    states = warmup.states(plan, setup.model, tokens, inputs, progress)
    label = digest_of(plan.identity, setup.model.revision)[:16]
    last = len(states) - 1
    found = [
        Stage(f"epoch {k + 1}", s.rate, f"{label}:{k}", lambda s=s: s.load(setup.model))
        for k, s in enumerate(states)
        if inputs.params["warmup_sum"] or k == last
    ]
    if not inputs.params["warmup_sum"]:
        return [Stage("", 1.0, found[0].revision, found[0].load)], {"warmup": plan.sentence}
    return found, {
        "warmup": plan.sentence,
        "checkpoints": f"the sum over the ends of its {len(found)} epochs, each times its mean learning rate (as LESS)",
    }
