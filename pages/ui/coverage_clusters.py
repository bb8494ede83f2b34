"""Clusters: how large each is, how much of production falls into it, how hard and how useful its records are."""

from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from core.frame import available, difficulty_sources
from core.steps import current
from core.workspace import Dataset, Result, Workspace
from pages.ui import coverage_data, jobs, records, state
from pages.ui.coverage_data import Points
from pages.ui.safe import literal, short
from pages.ui.tables import clickable


def panel(workspace: Workspace, data: Dataset, points: Points) -> None:
    found = current(workspace, "clusters")
    if found is None:
        jobs.waiting_for("clusters", "The clusters")
        return
    if not found.info["clusters"]:
        st.caption(
            f"No clusters: {literal(' '.join(found.info.get('warnings', [])), 300) or 'no group of records stands out.'}"
        )
        return
    coverage, duplicates = current(workspace, "coverage"), current(workspace, "duplicates")
    hard = next(iter(difficulty_sources(workspace, data)), None)
    columns = {
        "difficulty": hard[0] if hard else "",
        "influence": "influence" if "influence" in available(workspace, data) else "",
    }
    keys = tuple(r.key if r else "" for r in (found, coverage, duplicates))
    table = _table(
        data.digest, keys, tuple(coverage_data.source_key(workspace, n) for n in columns.values() if n),
        workspace, data, found, coverage, duplicates, columns,
    )  # fmt: skip
    noise = found.info["noise"]
    st.caption(
        f"{len(found.info['clusters']):,} clusters hold {data.count - noise:,} of {data.count:,} records; {noise:,} "
        f"({noise / data.count:.0%}) are noise: too unlike the others to be counted as a cluster. Found by HDBSCAN in the embedding, "
        "not on the drawn map; named by the terms that set them apart. Click a row to select its records; tick several to select "
        "them together."
    )
    labels = table.pop("cluster number")
    clickable(
        table, f"coverage.clusters.{found.key[:8]}", partial(_select, workspace, labels), several=True,
        height=min(38 + 35 * len(labels), 460),
        column_config=_format(hard, coverage, max(table["share"] + table.get("production", []))),
    )  # fmt: skip


def _format(hard: tuple[str, str] | None, coverage: Result | None, most: float) -> dict[str, Any]:
    column = st.column_config
    config = {
        "name": column.TextColumn("Cluster", width="medium"),
        "size": column.NumberColumn("Records", format="localized"),
        "share": column.ProgressColumn("Share of training", format="%.1f %%", min_value=0, max_value=most),
        "difficulty": column.NumberColumn(
            "Mean difficulty",
            format="%.3g",
            help=short(hard[1] if hard else "", 120) + ", mean over the records that have it",
        ),
        "influence": column.NumberColumn(
            "Mean influence", format="%.3g", help="Positive: training on it lowers the validation loss."
        ),
        "duplicates": column.NumberColumn(
            "Near-duplicates", help="Records that have a near-duplicate anywhere in the set."
        ),
    }
    if coverage is not None:
        told = (
            f"Of {coverage.info['production']:,} production records: covered ones whose nearest training record lies in the cluster. "
            f"{1 - (coverage.info['covered_share'] or 0):.0%} are covered by none and missing from this column."
        )
        config["production"] = column.ProgressColumn(
            "Share of production", format="%.1f %%", min_value=0, max_value=most, help=told
        )
    return config


@st.cache_resource(max_entries=8, show_spinner=False)
def _table_kept(digest: str, keys: tuple, more: tuple, _make) -> dict[str, list]:
    return _make()


def _table(digest, keys, more, workspace, data, found, coverage, duplicates, columns) -> dict[str, list]:
    return dict(
        _table_kept(digest, keys, more, lambda: _rows(workspace, data, found, coverage, duplicates, columns))
    )  # a copy: what the cache keeps must not change


def _rows(workspace, data, found, coverage, duplicates, columns: dict[str, str]) -> dict[str, list]:
    labels = found.table(["cluster"]).column(0).to_numpy()
    numbers = [c["cluster"] for c in found.info["clusters"]] + ([-1] if found.info["noise"] else [])
    where = np.where(labels < 0, len(found.info["clusters"]), labels)
    size = np.bincount(where, minlength=len(found.info["clusters"]) + 1)
    at = [n if n >= 0 else len(found.info["clusters"]) for n in numbers]
    names = {c["cluster"]: short(c["name"], 80) for c in found.info["clusters"]} | {-1: "noise"}
    table: dict[str, list] = {
        "cluster number": numbers, "name": [names[n] for n in numbers],
        "size": size[at].tolist(), "share": (100 * size[at] / max(1, len(labels))).tolist(),
    }  # fmt: skip
    if coverage is not None and coverage.info["production"]:
        visits = {r["cluster"]: r["production"] for r in coverage.info["regions"]}
        table["production"] = [100 * visits.get(n, 0) / coverage.info["production"] for n in numbers]
    for title, name in columns.items():
        if name:
            values = coverage_data.column(workspace, data, name).values
            there = np.isfinite(values)
            total = np.bincount(where[there], values[there], len(size))
            count = np.bincount(where[there], minlength=len(size))
            table[title] = [float(total[k] / count[k]) if count[k] else None for k in at]
    if duplicates is not None:
        paired = duplicates.table(["group"]).column(0).to_numpy() >= 0
        table["duplicates"] = np.bincount(where[paired], minlength=len(size))[at].tolist()
    return table


def _select(workspace: Workspace, numbers: list[int], rows: list[int]) -> None:
    found = current(workspace, "clusters")
    wanted = [numbers[r] for r in rows]
    labels = found.table(["cluster"]).column(0).to_numpy()
    ids = records.ids_of(workspace.need())
    names = {c["cluster"]: c["name"] for c in found.info["clusters"]} | {-1: "noise"}
    title = names[wanted[0]] if len(wanted) == 1 else f"{len(wanted)} clusters"
    state.select(
        [ids[n] for n in np.flatnonzero(np.isin(labels, wanted))],
        f"Cluster {title}" if len(wanted) == 1 and wanted != [-1] else title,
    )
