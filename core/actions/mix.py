"""Training against production over one column, as the set stands: without removed records, with the labels in force.

Production is what it is known by, in this order: records with a value, shares or counts that were given, shares predicted for records
without labels. The page, the plan, the scorecard and the command line all read the same comparison.
"""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from core.actions import naming
from core.actions.frame import has_values
from core.actions.inforce import in_force
from core.actions.standing import NOTHING, InForce
from core.errors import QuadrantError
from core.quality import distribution
from core.steps import current, params_of
from core.workspace import Dataset, Result, Workspace, canonical

MOST = 2_000  # different values beyond which shares say nothing and a comparison would take long
OPTIONS = ("alpha", "flag_ratio", "confidence", "draws", "seed")
NOISE, OUTSIDE = "noise (no cluster)", "not covered by training"


@dataclass(frozen=True)
class Mix:
    """One column of both sides. `info` is empty, and `why` says why, when there is nothing to compare with."""

    column: str
    table: Mapping[
        str, list
    ]  # the columns of Comparison.table with keep and add; category and training alone without info
    info: Mapping = field(default_factory=dict)
    why: str = ""
    standing: bool = False  # whether a decision since the import moves it


def mix(workspace: Workspace, data: Dataset, column: str, force: InForce | None = None) -> Mix:
    """The comparison over one column: of the set as it stands under `force`, the decisions in force by default; NOTHING: as imported.

    The stored result of the step where it says the same, else computed once and kept.
    """
    force = in_force(workspace, data) if force is None else force
    force = force if force.removed or force.labels.get(column) else NOTHING
    production, shares = workspace.dataset("production"), workspace.shares() if column == "category" else None
    params, guess = params_of(workspace, "distribution"), predicted(workspace, column)
    stored = current(workspace, "distribution") if column == params["column"] and not force and guess is None else None
    if stored is not None:
        return _stored(stored.key, _Held(stored))
    clusters, coverage = (
        (current(workspace, s) for s in ("clusters", "coverage")) if column == "cluster" else (None, None)
    )
    options, total = {name: params[name] for name in OPTIONS}, workspace.shares_total()
    key = canonical([
        str(workspace.path), str(data.path), data.digest, production.digest if production else None, shares, total, options, column,
        [r.key if r else None for r in (clusters, coverage, guess)], naming.version(workspace) if clusters else None, force.version,
        len(force.removed),
    ])  # fmt: skip
    return _computed(
        key, _Held(workspace, data, column, production, shares, total, options, clusters, coverage, guess, force)
    )


def predicted(workspace: Workspace, column: str) -> Result | None:
    """The predicted categories of a production sample that has none of its own in this column."""
    production = workspace.dataset("production")
    if production is None or column != params_of(workspace, "prevalence")["column"] or has_values(production, column):
        return None
    return current(workspace, "prevalence")


def labels_now(workspace: Workspace, data: Dataset, column: str, force: InForce | None = None) -> list[str | None]:
    """What each training record counts under, in file order; None for a record without a value and for one that is removed."""
    force = in_force(workspace, data) if force is None else force
    values = _labels(workspace, data, column)
    if not force:
        return list(values)
    now, gone = force.labels.get(column, {}), force.removed
    return [None if one in gone else now.get(one, value) for one, value in zip(data.ids(), values, strict=True)]


def counts_now(workspace: Workspace, data: Dataset, column: str, force: InForce | None = None) -> dict[str, int] | None:
    """How many records of the set as it stands have each value of a column of the file; None when it has none."""
    if not has_values(data, column):
        return None
    return dict(Counter(value for value in labels_now(workspace, data, column, force) if value is not None))


class _Held(tuple):
    """Carries what a cached call needs and its key already names: equal to any other."""

    def __new__(cls, *values):
        return super().__new__(cls, values)

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)


def _labels(workspace: Workspace, data: Dataset, column: str) -> tuple[str | None, ...]:
    production = workspace.dataset("production")
    clusters = current(workspace, "clusters") if column == "cluster" else None
    named = f"{clusters.key}{naming.version(workspace)}" if clusters else None
    where = [os.fspath(data.path), data.digest, production.digest if production else None, column, named]
    return _labels_of(canonical(where), _Held(workspace, data, column, production, clusters))


@lru_cache(maxsize=8)
def _labels_of(key: str, held: _Held) -> tuple[str | None, ...]:
    workspace, data, column, production, clusters = held
    if column == "cluster":
        names = naming.names(workspace, clusters)
        return tuple(names.get(c, NOISE) for c in clusters.table(["cluster"]).column(0).to_pylist())
    return tuple(distribution.column_labels(data, production, column)[0].to_pylist())


@lru_cache(maxsize=8)
def _stored(key: str, held: _Held) -> Mix:
    (result,) = held
    return Mix(result.info["column"], result.table().to_pydict(), result.info)


@lru_cache(maxsize=48)
def _computed(key: str, held: _Held) -> Mix:
    workspace, data, column, production, shares, total, options, clusters, coverage, guess, force = held
    if column == "cluster":
        left, right, order = _cluster_counts(workspace, clusters, coverage)
    else:
        try:
            left, right, order = distribution.column_counts(data, production, column)
        except QuadrantError as error:
            return Mix(column, {"category": [], "training": []}, {}, str(error))
    if force:
        left = dict(Counter(v for v in labels_now(workspace, data, column, force) if v is not None))
    drawn = None
    if guess is not None:
        right, guessed = None, guess.table(["category", "share"]).to_pydict()
        shares = dict(zip(guessed["category"], guessed["share"], strict=True))
        drawn = dict(zip(guessed["category"], np.asarray(guess.array()).T, strict=True))
    elif total and not right and shares:
        right = distribution.counted_from(shares, total)
    against = right if right else shares
    alone = {"category": order or sorted(left, key=lambda n: (-left[n], n))}
    alone["training"] = [left.get(name, 0) for name in alone["category"]]
    if not against:
        return Mix(column, alone, {}, _nothing(column, production), bool(force))
    if len(left) > MOST or len(against) > MOST:
        most = max(len(left), len(against))
        return Mix(column, alone, {}, f"{most:,} different values are no categories; up to {MOST:,} are compared.")
    try:
        found = distribution.compare(left, against, sampled=bool(right), order=order, drawn=drawn, **options)
    except QuadrantError as error:
        return Mix(column, alone, {}, str(error))
    plan = distribution.rebalance(found)
    table = found.table().to_pydict() | {"keep": plan.downsample.tolist(), "add": plan.add.tolist()}
    warnings = list(guess.info["warnings"]) if guess is not None else []
    if guess is not None and force.labels.get(column):
        warnings.append("The classifier learned from the labels as they were imported; changed ones did not teach it.")
    for dataset in (data, production if right else None):
        without = distribution.unlabelled(dataset, column) if dataset is not None and column != "cluster" else 0
        if without:
            warnings.append(
                f"{without:,} of {dataset.count:,} {dataset.role} records have no value here; the shares leave them out."
            )
    info = found.info() | {
        "column": column,
        "sampled": bool(right),
        "predicted": guess is not None,
        "warnings": warnings,
    }
    if guess is not None:
        info["agreement"] = guess.info["agreement"]
    return Mix(column, table, info, "", bool(force))


def _nothing(column: str, production: Dataset | None) -> str:
    if column == "cluster" and production is not None:
        return "Clusters of production come from the coverage step, which has no result for this data yet."
    return "No production record has a value here." if production is not None else ""


def _cluster_counts(workspace: Workspace, clusters: Result, coverage: Result | None):
    """Training by cluster; a production record counts under the cluster of its nearest training record when that covers it."""
    names = naming.names(workspace, clusters)
    table = clusters.table(["record_id", "cluster"])
    label = {
        record_id: names.get(cluster, NOISE)
        for record_id, cluster in zip(table["record_id"].to_pylist(), table["cluster"].to_pylist(), strict=True)
    }
    right = None
    if coverage is not None:
        near = coverage.table(["nearest_id", "covered"]).to_pydict()
        right = dict(
            Counter(
                label.get(nearest, NOISE) if covered else OUTSIDE
                for nearest, covered in zip(near["nearest_id"], near["covered"], strict=True)
            )
        )
    return dict(Counter(label.values())), right, None
