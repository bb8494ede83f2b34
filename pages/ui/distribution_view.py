"""What the Distribution page compares: a column of training with production, from the stored result or computed at once."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from core.dataset.columns import FIELD_PREFIX
from core.errors import QuadrantError
from core.quality import distribution
from core.steps import current, params_of
from core.workspace import Dataset, Result, Workspace, canonical
from pages.ui import state

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


def view(workspace: Workspace, data: Dataset, column: str) -> View:
    """The comparison over one column: the stored result for the column of the step, else computed here once and kept."""
    production, shares = workspace.dataset("production"), workspace.shares()
    params = params_of(workspace, "distribution")
    stored = current(workspace, "distribution") if column == params["column"] else None
    if stored is not None:
        return _stored(stored.key, stored)
    options = {name: params[name] for name in OPTIONS}
    results = [current(workspace, step) for step in ("clusters", "coverage")] if column == "cluster" else [None, None]
    key = canonical([
        data.digest, production.digest if production else None, shares if column == "category" else None, options,
        [r.key if r else None for r in results],
    ])  # fmt: skip
    return _computed(key, column, data, production, shares if column == "category" else None, options, *results)


@st.cache_resource(max_entries=8, show_spinner=False)
def _stored(key: str, _result: Result) -> View:
    return View(_result.info["column"], _result.table().to_pydict(), _result.info)


@st.cache_resource(max_entries=48, show_spinner="Comparing…")
def _computed(
    key: str, column: str, _data: Dataset, _production: Dataset | None, _shares: Mapping[str, float] | None,
    _options: Mapping, _clusters: Result | None, _coverage: Result | None,
) -> View:  # fmt: skip
    if column == "cluster":
        left, right, order = _cluster_counts(_clusters, _coverage)
    else:
        try:
            left, right, order = distribution.column_counts(_data, _production, column)
        except QuadrantError as error:
            return View(column, {"category": [], "training": []}, {}, str(error))
    against = right if right is not None else _shares
    alone = {"category": order or sorted(left, key=lambda n: (-left[n], n))}
    alone["training"] = [left[name] for name in alone["category"]]
    if not against:
        return View(column, alone, {}, _nothing(column, _production, workspace_shares=bool(_shares)))
    if len(left) > MOST or len(against) > MOST:
        most = max(len(left), len(against))
        return View(column, alone, {}, f"{most:,} different values are no categories; up to {MOST:,} are compared.")
    try:
        found = distribution.compare(left, against, sampled=right is not None, order=order, **_options)
    except QuadrantError as error:
        return View(column, alone, {}, str(error))
    plan = distribution.rebalance(found)
    table = found.table().to_pydict() | {"keep": plan.downsample.tolist(), "add": plan.add.tolist()}
    warnings = []
    for dataset in (_data, _production):
        without = distribution.unlabelled(dataset, column) if dataset is not None and column != "cluster" else 0
        if without:
            warnings.append(
                f"{without:,} of {dataset.count:,} {dataset.role} records have no value here; the shares leave them out."
            )
    return View(column, table, found.info() | {"sampled": right is not None, "warnings": warnings})


def _nothing(column: str, production: Dataset | None, workspace_shares: bool) -> str:
    if column == "cluster" and production is not None:
        return "Clusters of production come from the coverage step, which has no result for this data yet."
    if production is not None:
        return "No production record has a value here."
    return ""


def _cluster_counts(clusters: Result, coverage: Result | None):
    """Training by cluster; a production record counts under the cluster of its nearest training record when that covers it."""
    names = {c["cluster"]: c["name"] for c in clusters.info["clusters"]}
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
        names = {c["cluster"]: c["name"] for c in _clusters.info["clusters"]}
        return [names.get(c, NOISE) for c in _clusters.table(["cluster"]).column(0).to_pylist()]
    return distribution.column_labels(_data, _production, column)[0].to_pylist()


def labels(workspace: Workspace, data: Dataset, column: str) -> list[str | None]:
    """What each training record counts under, in file order."""
    production = workspace.dataset("production")
    clusters = current(workspace, "clusters") if column == "cluster" else None
    key = canonical([data.digest, production.digest if production else None, clusters.key if clusters else None])
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
