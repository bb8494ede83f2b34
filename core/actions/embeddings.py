"""Several embeddings of one dataset side by side: which are stored, which one is worked with, and the results that belong to each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.steps import complete, live_keys, plan, set_params
from core.workspace import Dataset, Workspace


@dataclass(frozen=True)
class Embedding:
    """One stored embedding of the training data of now."""

    key: str
    params: dict[str, Any]
    title: str  # model, text, dimension: what tells it from the others
    dimension: int
    created: str
    active: bool  # the one that pages and steps work with
    fidelity: dict[str, Any] | None  # of a quantised model against the whole one


def stored(workspace: Workspace, data: Dataset | None = None) -> list[Embedding]:
    """The embeddings of the training data that are stored, newest first; those whose model has changed since are left out."""
    data = data or workspace.need()
    now = plan(workspace, "embed").key
    found = []
    for result in workspace.results("embed"):
        if result.manifest["inputs"].get("training") != data.digest:
            continue
        params = complete("embed", result.params)
        try:
            usable = plan(workspace, "embed", params).key == result.key
        except InputError:  # a parameter of an older version
            continue
        if usable:
            info = result.info
            found.append(
                Embedding(
                    result.key,
                    params,
                    _title(params, info),
                    int(info.get("dimension") or 0),
                    result.manifest["created"],
                    result.key == now,
                    info.get("fidelity"),
                )  # fmt: skip
            )
    return found


def _title(params: dict[str, Any], info: dict[str, Any]) -> str:
    model = str(params["model"])
    name = Path(model).name if "/" in model and not model.startswith("column:") else model
    engine = params.get("engine", "torch")
    parts = [name, f"on the {params['text']}", f"{info.get('dimension')} dimensions"]
    half = ["float16"] if params.get("dtype") == "float16" else []
    return " · ".join(parts + half + ([engine] if engine != "torch" else []))


def named(workspace: Workspace, which: str) -> Embedding:
    """A stored embedding by its number (1 = newest), the beginning of its key, or its model. Errors: none, or several, fit."""
    known = stored(workspace)
    if which.isdigit() and 1 <= int(which) <= len(known):
        return known[int(which) - 1]
    fitting = [e for e in known if e.key.startswith(which)] or [
        e for e in known if which in (e.params["model"], e.title)
    ]
    if len(fitting) != 1:
        said = f"{len(fitting)} stored embeddings fit {which!r}" if known else "No embedding is stored"
        listed = "; ".join(f"{n}: {e.title}" for n, e in enumerate(known, 1))
        raise InputError(f"{said}. " + (f"Name one by its number: {listed}." if listed else "Run `embed` first."))
    return fitting[0]


def choose(workspace: Workspace, which: str) -> Embedding:
    """Work with a stored embedding from now on. Nothing is computed: steps that ran on it before are there at once, others offered."""
    found = named(workspace, which)
    set_params(workspace, "embed", found.params)
    return found


@dataclass(frozen=True)
class _AsIf(Workspace):
    """The same folder, read with other settings; writes nothing."""

    seen: Any = None

    def settings(self) -> dict:
        return self.seen


def all_live_keys(workspace: Workspace) -> list[str]:
    """Keys of the results of the data of now under the parameters of now, with each of the stored embeddings: `gc` keeps these."""
    keys = list(live_keys(workspace))
    if workspace.dataset() is None:
        return keys
    for other in stored(workspace):
        settings = workspace.settings()
        seen = {**settings, "params": {**settings.get("params", {}), "embed": other.params}}
        keys += live_keys(_AsIf(workspace.path, seen))
    return list(dict.fromkeys(keys))


def remove(workspace: Workspace, which: Embedding) -> None:
    """Remove a stored embedding that is not in use; what was computed from it goes with the next `gc`."""
    import shutil

    if which.active:
        raise InputError(f"{which.title} is the embedding in use. Choose another one first.")
    result = workspace.result("embed", which.key)
    if result is not None:
        shutil.rmtree(result.path, ignore_errors=True)
