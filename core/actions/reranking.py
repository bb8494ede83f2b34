"""Another validation set, at once: training records ranked by their sketches against a category of the validation set, or against
any records picked by hand, without a pass of the model. Approximate, and measured each time where an exact score is there.

A re-ranking is remembered in the workspace as {"title", "role", "category" | "ids"} and is a column like any other from then on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from core.errors import InputError, MissingInput
from core.steps import current
from core.workspace import Result, Workspace, canonical, digest_of

PREFIX = "reranked:"
SETTING = "reranked"
MOST = 12  # kept; the oldest is forgotten
SKETCH = {"training": "influence:sketch", "validation": "influence:sketch:validation"}


@dataclass(frozen=True)
class Reranked:
    """values (N,) float64 in the order of the training data: estimated influence, positive = helps; NaN = no response."""

    name: str
    title: str
    values: np.ndarray
    records: int  # that the direction is the mean of
    sentence: str  # how approximate, for the screen


def sketches(workspace: Workspace, role: str = "training") -> Result | None:
    """The stored sketches of a role's records, or None."""
    return current(workspace, SKETCH[role])


def remembered(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """{column name: what it ranks against}, the newest last."""
    return {name_of(spec): spec for spec in workspace.settings().get(SETTING, [])}


def name_of(spec: dict[str, Any]) -> str:
    return PREFIX + digest_of(canonical(spec))[:10]


def remember(workspace: Workspace, spec: dict[str, Any]) -> str:
    """Keep a re-ranking and give its column name. Errors: InputError, MissingInput as `rerank`."""
    rerank(workspace, spec)
    name = name_of(spec)
    kept = [s for s in workspace.settings().get(SETTING, []) if name_of(s) != name]
    workspace.set_setting(SETTING, [*kept, spec][-MOST:])
    return name


def forget(workspace: Workspace, name: str) -> None:
    workspace.set_setting(SETTING, [s for s in workspace.settings().get(SETTING, []) if name_of(s) != name])


def by_category(category: str) -> dict[str, Any]:
    """Against the validation records of one category ("" = all of them)."""
    return {"title": category or "the whole validation set", "role": "validation", "category": category}


def by_ids(ids: Sequence[str], title: str, role: str = "training") -> dict[str, Any]:
    """Against records picked by hand."""
    return {"title": title, "role": role, "ids": sorted(ids)}


def rerank(workspace: Workspace, spec: dict[str, Any]) -> Reranked:
    """The training records by <gradient, mean gradient of the chosen records>, from sketches.

    Errors: MissingInput when a sketch is not there yet; InputError when no chosen record has one.
    """
    ours = sketches(workspace)
    theirs = sketches(workspace, spec["role"])
    for role, found in (("training", ours), (spec["role"], theirs)):
        if found is None:
            raise MissingInput(f"The gradients of the {role} records are not sketched yet. Run `{SKETCH[role]}` first.")
    values, count = _values(workspace, ours, theirs, canonical(spec), spec)
    title = f"Re-ranked for {spec['title']} (approximate)"
    return Reranked(name_of(spec), title, values, count, _sentence(workspace, ours, spec, values, count))


_kept: dict[tuple[str, str, str], tuple[np.ndarray, int]] = {}


def _values(
    workspace: Workspace, ours: Result, theirs: Result, key: str, spec: dict[str, Any]
) -> tuple[np.ndarray, int]:
    from core.influence.sketches import mean_sketch, products

    known = (ours.key, theirs.key, key)
    if known not in _kept:
        at = _rows(workspace, theirs, spec)
        lengths, unit = theirs.table(["length"]).column(0).to_numpy(), theirs.array()
        at = at[lengths[at] > 0]
        if not len(at):
            raise InputError(
                "None of the chosen records has a response, so there is no gradient to rank against. Choose others."
            )
        query = mean_sketch(unit, lengths, at)
        mine = ours.table(["length"]).column(0).to_numpy()
        while len(_kept) >= MOST:
            _kept.pop(next(iter(_kept)))
        _kept[known] = (products(ours.array(), mine, np.arange(len(mine)), query), len(at))
    return _kept[known]


def _rows(workspace: Workspace, theirs: Result, spec: dict[str, Any]) -> np.ndarray:
    if "ids" in spec:
        chosen = set(spec["ids"])
        ids = theirs.table(["record_id"]).column(0).to_pylist()
        return np.array([n for n, i in enumerate(ids) if i in chosen], np.int64)
    data = workspace.need(spec["role"])
    if not spec["category"]:
        return np.arange(data.count)
    values = data.column("category").to_pylist()
    found = np.array([n for n, c in enumerate(values) if c == spec["category"]], np.int64)
    if not len(found):
        raise InputError(f"No {spec['role']} record has the category {spec['category']!r}. Choose another.")
    return found


def _sentence(workspace: Workspace, ours: Result, spec: dict[str, Any], values: np.ndarray, count: int) -> str:
    """How approximate: against the exact column for the same records where there is one, else as measured with the sketches."""
    exact = _exact(workspace, spec)
    if exact is not None:
        from core.influence.difficulty.rank_measures import spearman

        both = np.isfinite(exact) & np.isfinite(values)
        how = f"rank correlation with the exact scores for the same records {spearman(exact[both], values[both]):.3f}"
    else:
        how = str(ours.info.get("measured", ""))
    few = " Fewer than 5 records make a noisy direction." if count < 5 else ""
    own = " The chosen records' own values are flattered." if spec["role"] == "training" else ""
    return (
        f"Approximate: estimated from sketches of {ours.info['width']:,} numbers a record, against the mean gradient of "
        f"{count:,} records; {how}.{few}{own}"
    )


def _exact(workspace: Workspace, spec: dict[str, Any]) -> np.ndarray | None:
    """The exact influence for the same validation records in the same space, when that is what was computed."""
    result = current(workspace, "influence")
    if result is None or spec["role"] != "validation" or "ids" in spec:
        return None
    p = result.params
    if (
        (p["score"], p["space"]) != ("dot", "lora")
        or p["direction"] not in ("mean", "auto")
        or p["checkpoints"]
        or p["warmup"]
    ):
        return None
    column = "influence" if not spec["category"] else f"influence:{spec['category']}"
    if (not spec["category"] and p["queries"]) or (spec["category"] and p["queries"] != "category"):
        return None
    names = result.table().column_names
    return result.table([column]).column(0).to_numpy() if column in names else None


@lru_cache(maxsize=32)
def _categories(path: str, digest: str, workspace: Workspace) -> tuple[tuple[str, int], ...]:
    import pyarrow.compute as pc

    data = workspace.dataset("validation")
    if data is None:
        return ()
    counts = pc.value_counts(data.column("category").drop_null()).to_pylist()
    return tuple(sorted((c["values"], c["counts"]) for c in counts if c["values"]))


def categories(workspace: Workspace) -> tuple[tuple[str, int], ...]:
    """(category, records) of the validation set, by name."""
    data = workspace.dataset("validation")
    return _categories(str(workspace.path), data.digest, workspace) if data else ()
