"""Clusters at several zoom levels: what each holds, how it fares, what is typical of it, and a name of one's own."""

from functools import partial

import numpy as np
import streamlit as st

from core.actions import naming
from core.actions.decisions import open_reviews, verdict_by_record
from core.actions.frame import difficulty_sources
from core.actions.regions import Region, regions, typical
from core.errors import QuadrantError
from core.steps import current
from core.workspace import Dataset, Result, Workspace
from pages.ui import coverage_data, coverage_search, coverage_titles, jobs, records, state
from pages.ui.coverage_data import Points
from pages.ui.safe import literal, short
from pages.ui.tables import clickable


def panel(workspace: Workspace, data: Dataset, points: Points) -> None:
    found = current(workspace, "clusters")
    if found is None:
        jobs.waiting_for("clusters", "The clusters")
        return
    if not found.info["clusters"]:
        told = literal(" ".join(found.info.get("warnings", [])), 300) or "no group of records stands out."
        st.caption(f"No clusters: {told}")
        return
    level = _level(found)
    listed = _kept(
        data.digest, level, _sources(workspace, data, found), partial(regions, workspace, data, found, level)
    )
    _told(data, found, level, listed)
    coverage = current(workspace, "coverage")
    react = partial(_select, level, [r.number for r in listed], [r.name for r in listed])
    clickable(
        _columns(listed), f"coverage.clusters.{level}.{found.key[:8]}", react,
        several=True, height=min(38 + 35 * len(listed), 460), column_config=_format(workspace, data, coverage, listed),
    )  # fmt: skip
    if any(r.judged for r in listed):
        st.caption(
            "Error rate: failed among the records passed or failed in audits, with its 95 % Wilson interval; every audit counts, "
            "also those that drew some records more often."
        )
    _one(workspace, data, found, level, [r for r in listed if r.number >= 0])
    if level == naming.CLUSTER:
        coverage_titles.panel(workspace, data, found)


def _level(found: Result) -> str:
    known = naming.levels(found)
    if len(known) == 1:
        return naming.CLUSTER
    counts = {name: len(groups) for name, (_, groups) in known.items()}
    if st.session_state.get("coverage.level") not in known:
        st.session_state["coverage.level"] = naming.CLUSTER
    return st.segmented_control(
        "Zoom level", list(known), key="coverage.level", format_func=lambda n: f"{known[n][0]} ({counts[n]:,})", required=True,
        persist_state="session", help="Broad and middle groups join clusters that are near; fine ones are parts of clusters.",
    )  # fmt: skip


def _told(data: Dataset, found: Result, level: str, listed: list[Region]) -> None:
    noise = sum(r.size for r in listed if r.number < 0)
    kind = "clusters" if level == naming.CLUSTER else naming.levels(found)[level][0].lower()
    st.caption(
        f"{sum(r.number >= 0 for r in listed):,} {kind} hold {data.count - noise:,} of {data.count:,} records; {noise:,} "
        f"({noise / data.count:.0%}) are noise: too unlike the others to be counted as a cluster. Found by HDBSCAN in the embedding, "
        "not on the drawn map; named by the terms that set them apart. Click a row to select its records; tick several to select "
        "them together."
    )


def _sources(workspace: Workspace, data: Dataset, found: Result) -> str:
    """Everything that the table is made of, as it is now."""
    steps = [current(workspace, s) for s in ("coverage", "duplicates")]
    hard = next(iter(difficulty_sources(workspace, data)), None)
    sources = [coverage_data.source_key(workspace, n) for n in ((hard[0] if hard else ""), "influence")]
    verdicts = hash(frozenset(verdict_by_record(open_reviews(workspace)).items()))
    return " ".join(
        [found.key, naming.version(workspace), str(verdicts), *(r.key if r else "" for r in steps), *sources]
    )


@st.cache_resource(max_entries=12, show_spinner=False)
def _kept(digest: str, level: str, sources: str, _make) -> list[Region]:
    return _make()


def _columns(listed: list[Region]) -> dict[str, list]:
    table: dict[str, list] = {
        "name": [short(r.name, 80) for r in listed], "size": [r.size for r in listed], "share": [100 * r.share for r in listed],
    }  # fmt: skip
    if any(r.production_share is not None for r in listed):
        table["production"] = [100 * (r.production_share or 0) for r in listed]
    for name in ("difficulty", "influence", "duplicates"):
        if any(getattr(r, name) is not None for r in listed):
            table[name] = [getattr(r, name) for r in listed]
    if any(r.judged for r in listed):
        table["errors"] = [_errors(r) for r in listed]
    return table


def _errors(r: Region) -> str:
    if not r.judged:
        return "not read"
    return f"{r.failed:,} of {r.judged:,}: {r.failed / r.judged:.0%} ({r.error_low:.0%} – {r.error_high:.0%})"


def _format(workspace: Workspace, data: Dataset, coverage: Result | None, listed: list[Region]) -> dict:
    column = st.column_config
    hard = next(iter(difficulty_sources(workspace, data)), None)
    most = max(100 * max(r.share, r.production_share or 0) for r in listed)
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
        "errors": column.TextColumn(
            "Error rate in audits", help="With its 95 % interval; not read: no record of it was audited."
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


def _select(level: str, numbers: list[int], called: list[str], rows: list[int]) -> None:
    workspace = state.workspace()
    wanted = [numbers[r] for r in rows]
    labels = current(workspace, "clusters").table([level]).column(0).to_numpy()
    title = (
        f"{len(wanted)} clusters" if len(wanted) > 1 else "noise" if wanted == [-1] else f"Cluster {called[rows[0]]}"
    )
    if len(wanted) == 1 and wanted[0] >= 0:
        st.session_state["coverage.cluster"] = wanted[0]
    state.select(records.ids_of(workspace.need()).at(np.flatnonzero(np.isin(labels, wanted))), title)


def _one(workspace: Workspace, data: Dataset, found: Result, level: str, listed: list[Region]) -> None:
    """One cluster: its terms, its name, what is typical of it and what is not."""
    called = {r.number: r for r in listed}
    if st.session_state.get("coverage.cluster") not in called:
        st.session_state["coverage.cluster"] = listed[0].number
    number = st.selectbox(
        "Look into", list(called), key="coverage.cluster", format_func=lambda n: short(called[n].name, 80), persist_state="session",
        width=420,
    )  # fmt: skip
    one = called[number]
    with st.container(border=True):
        st.caption("Distinguishing terms: " + (", ".join(literal(t, 60) for t in one.terms) or "none"))
        with (
            st.form(f"coverage.rename.{level}.{number}.{found.key[:8]}", border=False),
            st.container(horizontal=True, vertical_alignment="bottom"),
        ):
            name = st.text_input(
                "Name", one.name, max_chars=120, width=420, key=f"coverage.name.{level}.{number}.{naming.version(workspace)[:8]}",
                help="Kept with your other decisions by who belongs to the cluster: it stays when the clusters are found again and "
                "at least half of this one is the same. Empty: the terms again.",
            )  # fmt: skip
            if st.form_submit_button("Rename", icon=":material/edit:") and name.strip() != one.name:
                _rename(workspace, level, number, name)
        usual, odd = typical(workspace, data, found, number, level)
        st.markdown("Most typical: nearest to the cluster's mean")
        coverage_search.table(data, usual, {}, f"coverage.typical.{found.key[:8]}.{level}.{number}")
        if odd:
            st.markdown("Least typical: farthest from it")
            coverage_search.table(data, odd, {}, f"coverage.atypical.{found.key[:8]}.{level}.{number}")


def _rename(workspace: Workspace, level: str, number: int, name: str) -> None:
    try:
        naming.rename(workspace, level, number, name, state.reviewer() or "app")
    except QuadrantError as error:
        st.error(literal(error, 300))
        return
    st.rerun()
