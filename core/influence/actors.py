"""The batches of influence and difficulty on other workers (core/cluster.py): what travels, and what a worker makes of it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core import cluster
from core.influence import adapters, models, proxy, scoring, spaces
from core.influence.batches import Halving
from core.influence.direction import read, save
from core.influence.encode import Tokens
from core.influence.ghost import Ghost
from core.influence.losses import ResponseLoss, make_batch
from core.influence.transfer import settled
from core.workspace import Inputs

Spread = Callable[[Sequence[int]], Iterator[tuple[int, dict[str, np.ndarray]]]]


def influence(inputs: Inputs, ghost: Ghost, label: str, tokens: Tokens, batches: Sequence[np.ndarray]) -> Spread | None:
    """Scores `batches` on the workers that the workspace names; None for this process alone. `ghost` is probed already."""
    if inputs.compute.here:
        return None
    params, model = inputs.params, ghost.losses.model
    directions = inputs.scratch / f"spread-{label}.safetensors"
    save(ghost.directions, directions)
    same = not params["warmup"] and not params["checkpoints"]
    settings = {
        "model": _named(inputs) if same else _saved(model, inputs.scratch / f"spread-{label}"),
        "loss": params["loss"], "score": params["score"], "space": params["space"], "rank": params["rank"],
        "seed": params["seed"], "directions": str(directions), "direct": sorted(ghost.direct),
    }  # fmt: skip
    return _spread(inputs, "core.influence.actors:scorer", settings, tokens, batches)


def losses(inputs: Inputs, tokens: Tokens, batches: Sequence[np.ndarray]) -> Spread | None:
    """The NLL of `batches` on the workers that the workspace names; None for this process alone."""
    if inputs.compute.here:
        return None
    return _spread(inputs, "core.influence.actors:reader", {"model": _named(inputs)}, tokens, batches)


def _spread(
    inputs: Inputs, make: str, settings: dict[str, Any], tokens: Tokens, batches: Sequence[np.ndarray]
) -> Spread:
    def unit(number: int) -> cluster.Unit:
        rows = batches[number]
        some = [tokens.ids[i] for i in rows]
        return {"ids": np.concatenate(some), "sizes": [len(x) for x in some], "start": tokens.start[rows]}

    return lambda numbers: cluster.spread(inputs.compute, make, settings, unit, numbers, inputs.scratch)


def _named(inputs: Inputs) -> dict[str, Any]:
    params, folder = inputs.params, None
    if params["model"] == models.PROXY:
        folder = str(inputs.results["proxy"].file("model.safetensors").parent)
    return {
        "name": params["model"], "folder": folder, "revision": params["revision"], "device": params["device"],
        "dtype": params["dtype"], "adapter": params.get("adapter", ""),
    }  # fmt: skip


def _saved(model: models.LanguageModel, folder: Path) -> dict[str, Any]:
    """A state of the model that no folder holds (warmed up, or one of several checkpoints)."""
    folder.mkdir(parents=True, exist_ok=True)
    proxy.save(model.module, model.tokenizer, folder)
    return {"name": model.name, "folder": str(folder), "revision": "", "device": "auto", "dtype": model.dtype}


# -- in the worker -------------------------------------------------------------------------------------------------------
def scorer(settings: dict[str, Any]) -> Callable[[cluster.Unit], cluster.Values]:
    """Scores a batch as `scoring.worker` does in one process."""
    model = _load(settings["model"])
    space = spaces.resolve(model.module, settings["space"], settings["rank"], settings["seed"])
    ghost = Ghost(ResponseLoss(model, settings["loss"]), read(Path(settings["directions"]), space, model.device))
    ghost.take_slowly(settings["direct"])

    first: list[Any] = []  # what measures lengths checks itself once, not at every batch

    def work(unit: cluster.Unit) -> cluster.Values:
        tokens = _tokens(unit)
        score = first[0] if first else scoring.worker(settings["score"], ghost, tokens)
        if hasattr(score, "measure"):
            first[:], score.measure.tokens = [score], tokens
        return settled(Halving(score, tokens.lengths)(np.arange(len(tokens.ids))))

    return work


def reader(settings: dict[str, Any]) -> Callable[[cluster.Unit], cluster.Values]:
    """The mean NLL of a batch's responses."""
    model = _load(settings["model"])
    response = ResponseLoss(model)

    def work(unit: cluster.Unit) -> cluster.Values:
        tokens = _tokens(unit)
        return {"nll": response(make_batch(tokens, np.arange(len(tokens.ids)), model.device))}

    return work


def _load(told: dict[str, Any]) -> models.LanguageModel:
    folder = Path(told["folder"]) if told["folder"] else None
    model = models.load(
        told["name"], folder=folder, device=told["device"], dtype=told["dtype"], revision=told["revision"]
    )
    return adapters.merged(model, told["adapter"]) if told.get("adapter") else model


def _tokens(unit: cluster.Unit) -> Tokens:
    sizes = np.asarray(unit["sizes"])
    ids = np.split(np.asarray(unit["ids"], np.int32), np.cumsum(sizes)[:-1])
    return Tokens(ids, np.asarray(unit["start"], np.int32), np.zeros(len(ids), bool), "", 0)
