"""What the Distribution page compares: a column of training with production, from the stored result or computed at once."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import streamlit as st

from core.actions import naming
from core.actions.decisions import open_reviews
from core.actions.frame import has_values
from core.actions.relabelling import changes_in_force
from core.dataset.columns import FIELD_PREFIX
from core.errors import QuadrantError
from core.quality import distribution
from core.review.ledger import ledger, removed_ids
from core.steps import current, params_of
from core.workspace import Dataset, Result, Workspace, canonical
from pages.ui import state
from pages.ui.records import ids_of

TITLES = {
    "category": "Category",
    "language": "Language",
    "annotator": "Annotator",
    "difficulty": "Difficulty rating",
    "turns": "Turns",
    "prompt_length": "Prompt length (characters)",
    "response_length": "Response length (characters)",
    "reasoning_length": "Reasoning length (characters)",
    "cluster": "Cluster of the map",
}
MOST = 2_000  # different values beyond which shares say nothing and a comparison would take long
OPTIONS = ("alpha", "flag_ratio", "confidence", "draws", "seed")
NOISE, OUTSIDE = "noise (no cluster)", "not covered by training"


@dataclass(frozen=True)
class View:
    """One column of both sides. `info` is empty, and `why` says why, when there is nothing to compare with."""

    column: str
    table: Mapping[
        str, list
    ]  # the columns of Comparison.table with keep and add; category and training alone without info
    info: Mapping
    why: str = ""


def columns(workspace: Workspace, data: Dataset) -> dict[str, str]:
    """{name: title} of what can be compared."""
    found = {name: TITLES.get(name, name.removeprefix(FIELD_PREFIX)) for name in _columns_of(data.digest, data)}
    if current(workspace, "clusters") is not None:
        found["cluster"] = TITLES["cluster"]
    return found


@st.cache_data(max_entries=16, show_spinner=False)
def _columns_of(digest: str, _data: Dataset) -> list[str]:
    return distribution.columns_of(_data)


def touched(workspace: Workspace) -> int:
    """The newest entry of the ledger, 0 when nothing was removed or relabelled."""
    entries = ledger(open_reviews(workspace))
    return entries[-1].entry if any(e.action in ("remove", "relabel") and e.undone_by is None for e in entries) else 0


def view(workspace: Workspace, data: Dataset, column: str, standing: bool = False) -> View:
    """The comparison over one column: the stored result for the column of the step, else computed here once and kept.

    standing: training as it stands, without the records that the ledger removes and with the labels that a rule changed.
    """
    production, shares = workspace.dataset("production"), workspace.shares()
    params = params_of(workspace, "distribution")
    guess = predicted(workspace, column)
    entry = touched(workspace) if standing else 0
    stored = current(workspace, "distribution") if column == params["column"] and not entry and guess is None else None
    if stored is not None:
        return _stored(stored.key, stored)
    options = {name: params[name] for name in OPTIONS}
    results = [current(workspace, step) for step in ("clusters", "coverage")] if column == "cluster" else [None, None]
    key = canonical([
        data.digest, production.digest if production else None, shares if column == "category" else None, options,
        [r.key if r else None for r in results], entry, guess.key if guess else None, workspace.shares_total(), str(workspace.path),
    ])  # fmt: skip
    own = shares if column == "category" else None
    return _computed(
        key,
        column,
        data,
        production,
        own,
        options,
        *results,
        guess,
        workspace if entry else None,
        workspace.shares_total(),
    )


def predicted(workspace: Workspace, column: str) -> Result | None:
    """The predicted categories of a production sample that has none of its own in this column."""
    production = workspace.dataset("production")
    if (
        production is None
        or column != params_of(workspace, "prevalence")["column"]
        or _has_labels(production.digest, column, production)
    ):
        return None
    return current(workspace, "prevalence")


def unlabelled_production(workspace: Workspace, column: str) -> bool:
    """Whether production's categories could be predicted: a sample is there and has no value in the column that is predicted."""
    production = workspace.dataset("production")
    able = production is not None and column == params_of(workspace, "prevalence")["column"]
    return able and not _has_labels(production.digest, column, production)


@st.cache_data(max_entries=16, show_spinner=False)
def _has_labels(digest: str, column: str, _production: Dataset) -> bool:
    return has_values(_production, column)


@st.cache_resource(max_entries=8, show_spinner=False)
def _stored(key: str, _result: Result) -> View:
    return View(_result.info["column"], _result.table().to_pydict(), _result.info)


@st.cache_resource(max_entries=48, show_spinner="Comparing…")
def _computed(
    key: str, column: str, _data: Dataset, _production: Dataset | None, _shares: Mapping[str, float] | None,
    _options: Mapping, _clusters: Result | None, _coverage: Result | None, _guess: Result | None = None,
    _standing: Workspace | None = None, total: int | None = None,
) -> View:  # fmt: skip
    if column == "cluster":
        left, right, order = _cluster_counts(_clusters, _coverage)
    else:
        try:
            left, right, order = distribution.column_counts(_data, _production, column)
        except QuadrantError as error:
            return View(column, {"category": [], "training": []}, {}, str(error))
    if _standing is not None:
        left = _as_it_stands(_standing, _data, column, _production, _clusters)
    drawn = None
    if _guess is not None:
        right, guessed = None, _guess.table(["category", "share"]).to_pydict()
        _shares = dict(zip(guessed["category"], guessed["share"], strict=True))
        drawn = dict(zip(guessed["category"], np.asarray(_guess.array()).T, strict=True))
    elif total and right is None and _shares:
        right = distribution.counted_from(_shares, total)
    against = right if right else _shares
    alone = {"category": order or sorted(left, key=lambda n: (-left[n], n))}
    alone["training"] = [left[name] for name in alone["category"]]
    if not against:
        return View(column, alone, {}, _nothing(column, _production, workspace_shares=bool(_shares)))
    if len(left) > MOST or len(against) > MOST:
        most = max(len(left), len(against))
        return View(column, alone, {}, f"{most:,} different values are no categories; up to {MOST:,} are compared.")
    try:
        found = distribution.compare(left, against, sampled=bool(right), order=order, drawn=drawn, **_options)
    except QuadrantError as error:
        return View(column, alone, {}, str(error))
    plan = distribution.rebalance(found)
    table = found.table().to_pydict() | {"keep": plan.downsample.tolist(), "add": plan.add.tolist()}
    warnings = list(_guess.info["warnings"]) if _guess is not None else []
    for dataset in (_data, None if _guess is not None else _production):
        without = distribution.unlabelled(dataset, column) if dataset is not None and column != "cluster" else 0
        if without:
            warnings.append(
                f"{without:,} of {dataset.count:,} {dataset.role} records have no value here; the shares leave them out."
            )
    return View(
        column, table, found.info() | {"sampled": bool(right), "predicted": _guess is not None, "warnings": warnings}
    )


def _as_it_stands(
    workspace: Workspace, data: Dataset, column: str, production: Dataset | None, clusters: Result | None
) -> dict:
    """Training's counts without removed records and with the labels in force."""
    values = _labels(canonical([data.digest, production.digest if production else None, clusters.key if clusters else None]),
                     column, data, production, clusters)  # fmt: skip
    store, changes = open_reviews(workspace), changes_in_force(workspace, column)
    removed = removed_ids(store)
    count: Counter = Counter()
    for record_id, value in zip(ids_of(data), values, strict=True):
        if value is not None and record_id not in removed:
            change = changes.get(record_id)
            count[change.after if change and change.before == value else value] += 1
    return dict(count)


def _nothing(column: str, production: Dataset | None, workspace_shares: bool) -> str:
    if column == "cluster" and production is not None:
        return "Clusters of production come from the coverage step, which has no result for this data yet."
    if production is not None:
        return "No production record has a value here."
    return ""


def _cluster_counts(clusters: Result, coverage: Result | None):
    """Training by cluster; a production record counts under the cluster of its nearest training record when that covers it."""
    names = naming.names(state.workspace(), clusters)
    table = clusters.table(["record_id", "cluster"])
    label = {
        record_id: names.get(cluster, NOISE)
        for record_id, cluster in zip(
            table.column("record_id").to_pylist(), table.column("cluster").to_pylist(), strict=True
        )
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


@st.cache_resource(max_entries=8, show_spinner=False)
def _labels(key: str, column: str, _data: Dataset, _production: Dataset | None, _clusters: Result | None) -> list:
    if column == "cluster":
        names = naming.names(state.workspace(), _clusters)
        return [names.get(c, NOISE) for c in _clusters.table(["cluster"]).column(0).to_pylist()]
    return distribution.column_labels(_data, _production, column)[0].to_pylist()


def labels(workspace: Workspace, data: Dataset, column: str) -> list[str | None]:
    """What each training record counts under, in file order."""
    production = workspace.dataset("production")
    clusters = current(workspace, "clusters") if column == "cluster" else None
    named = f"{clusters.key}{naming.version(workspace)}" if clusters else None
    key = canonical([data.digest, production.digest if production else None, named])
    return _labels(key, column, data, production, clusters)


def chosen_column(found: dict[str, str]) -> str:
    """The column to compare by, asked for and remembered."""
    before = state.remembered("distribution.column", "category")
    names = list(found)
    start = before if before in found else names[0]
    column = st.selectbox(
        "Compare by", names, index=names.index(start), format_func=lambda name: found[name], key="distribution.column"
    )
    state.remember("distribution.column", column)
    return column
