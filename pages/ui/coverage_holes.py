"""Holes: what production asks for and training does not reach, and how much of it to collect."""

from functools import partial

import numpy as np
import streamlit as st

from core.actions import holes as tasks
from core.actions import naming
from core.embedding.brief import Gap, by_chance
from core.steps import current
from core.workspace import Dataset, Result, Workspace
from pages.ui import coverage_search, jobs, records, state
from pages.ui.coverage_data import Points
from pages.ui.safe import literal, short
from pages.ui.tables import clickable


def panel(workspace: Workspace, data: Dataset, points: Points) -> None:
    production = workspace.dataset("production")
    if production is None:
        st.write("Holes are found against a production sample: records of what users really ask. There is none yet.")
        st.page_link("pages/data.py", label="Import a production sample", icon=":material/folder_open:")
        return
    found = current(workspace, "coverage")
    if found is None:
        jobs.waiting_for("coverage", "The holes")
        return
    _figures(found.info)
    holes = tasks.ranked(workspace, found, production)
    if holes:
        _ranked(holes, found)
        _brief(workspace)
        known = {h.number: h for h in holes}
        if st.session_state.get("coverage.hole") not in known:
            st.session_state["coverage.hole"] = holes[0].number
        number = st.selectbox(
            "Hole", [h.number for h in holes], key="coverage.hole",
            format_func=lambda n: short(f"{known[n].rank}. {known[n].name}", 80),
            persist_state="session", width=420,
        )  # fmt: skip
        _one(data, production, found, known[number])
    else:
        st.success("No hole: no group of production records lies beyond the reach of the training set.")
    _unvisited(workspace, found)


def _figures(info: dict) -> None:
    """Coverage and density, each with what it means, its interval and what it would be at best."""
    with st.container(horizontal=True, gap="medium"):
        if info["covered_share"] is not None:
            st.metric("Production covered", f"{info['covered_share']:.1%}", width="content")
        if info["coverage"] is not None:
            st.metric("Coverage (Naeem)", f"{info['coverage']:.3f}", width="content")
            st.metric("Density (Naeem)", f"{info['density']:.2f}", width="content")
        st.metric("Uncovered, in no hole", f"{info['scattered']:,}", width="content")
    if info["covered_share"] is not None:
        st.caption(
            f"Of {info['production']:,} production records, 95 % interval of the covered share {info['covered_low']:.1%} to "
            f"{info['covered_high']:.1%}; {info['far_records']:,} are far from training, {info['thin_records']:,} where it is thin."
        )
    chance = info.get("expected_coverage")
    said = []
    if info["covered_share"] is not None:
        said.append(f"**Covered**: training holds a record that is near enough, and enough of them. {_why(info)}")
    if info["coverage"] is not None:
        expected = chance
        said.append(
            "**Coverage**: share of production records with a training record closer than their "
            f"{info['k']}th production neighbour"
            + (f"; {expected:.3f} if both came from one distribution" if expected else "")
            + f". 95 % interval {info['coverage_low']:.3f} to {info['coverage_high']:.3f}."
        )
        said.append(
            "**Density**: how many such neighbourhoods an average training record lies in; about 1 for one distribution. "
            f"95 % interval {info['density_low']:.2f} to {info['density_high']:.2f}. Intervals: {info['resamples']:,} bootstrap "
            "samples of the distinct production texts; training is taken as it is."
        )
    if said:
        with st.expander("How these are counted"):
            st.caption("  \n".join(said))
    for text in info.get("warnings", []):
        st.caption(f":material/info: {literal(text, 400)}")


def _why(info: dict) -> str:
    """The rule by which a production record is uncovered, with how many each half of it finds."""
    least = f"its nearest training record is less similar than {info['threshold']:.2f}, the 5 % quantile within training itself"
    looked = info.get("threshold_sampled")
    least += f" (of {looked:,} texts drawn by chance)" if looked else ""
    if "thin" not in info:
        return f"A record is uncovered when {least}."
    return (
        f"Uncovered: far from training ({info['far_records']:,}: {least}), or where training is thin ({info['thin_records']:,}: "
        f"less than {info['thin']:.0%} as dense around it as production is). {_chance(info)}"
    )


def _chance(info: dict) -> str:
    """How often the rules would be wrong if training and production were alike."""
    if info.get("thin_by_chance") is None:
        return ""
    dealt = f", {info['thin_sampled']:,} texts of it" if info["thin_sampled"] else ""
    return (
        f"Were both alike, about 5 % would be far by that quantile, {info['thin_by_chance']:.1%} thin: both sets thrown "
        f"together and dealt out again {info['thin_draws']:,} times{dealt}; the cut is {info['thin_asked']:.0%}, or lower until "
        f"at most {info['thin_level']:.0%} are thin by chance."
    )


def _ranked(holes: list[Gap], found: Result) -> None:
    def open_hole(rows: list[int]) -> None:
        st.session_state["coverage.hole"] = holes[rows[0]].number

    column = st.column_config
    clickable(
        {
            "number": [h.rank for h in holes], "name": [short(h.name, 80) for h in holes], "size": [h.size for h in holes],
            "share": [h.share for h in holes], "interval": [f"{h.low:.1%} – {h.high:.1%}" for h in holes],
            **({"chance": [_odds(h) for h in holes]} if any(h.chance is not None for h in holes) else {}),
            **({"stakes": [h.stakes for h in holes]} if holes[0].stakes is not None else {}),
            "collect": [h.collect for h in holes], "range": [f"{h.collect_low:,} – {h.collect_high:,}" for h in holes],
            "similarity": [h.similarity for h in holes],
        },
        f"coverage.holes.{found.key[:8]}", open_hole, height=min(38 + 35 * len(holes), 300),
        column_config={
            "number": column.NumberColumn("#", width="small"), "name": column.TextColumn("Hole", width="medium"),
            "size": column.NumberColumn("Records", format="localized", help="Production records in the hole."),
            "share": column.NumberColumn("Share", format="percent", help="Of production."),
            "interval": column.TextColumn("95 % interval"),
            "chance": column.TextColumn(
                "Chance", help="p: the share of draws of alike sets with a hole as unlikely. Above .05 it could be chance.",
            ),
            "stakes": column.NumberColumn("High stakes", help="Production records of the hole that are high stakes by your rule."),
            "similarity": column.NumberColumn("Mean similarity", format="%.2f", help="To the nearest training record; cosine."),
            "collect": column.NumberColumn("Collect", format="localized"), "range": column.TextColumn("from – to"),
        },
    )  # fmt: skip
    st.caption(
        f"How many to collect = the hole's share of production × {found.info['training']:,} training records, so that it weighs in "
        "training what it weighs in production; the range follows from the share's bootstrap interval. Holes are groups of uncovered "
        "production records that are alike in the embedding. " + _order(holes)
    )
    if found.info.get("hole_draws"):
        st.caption(_null(found.info, holes))


def _odds(hole: Gap) -> str:
    if hole.chance is None:
        return "not known"
    return f"could be (p = {hole.chance:.2f})" if hole.doubtful else f"hardly (p = {hole.chance:.2f})"


def _null(info: dict, holes: list[Gap]) -> str:
    """What chance alone does, and how that was found."""
    dealt = f", {info['hole_sampled']:,} production texts of it" if info["hole_sampled"] else ""
    doubtful = sum(h.doubtful for h in holes)
    return (
        f"Chance: both sets thrown together and dealt out again {info['hole_draws']:,} times{dealt}, holes looked for in each. "
        "p: the share of draws with a hole at least as unlikely, that is with as many production and as few training texts around its "
        f"centre. **{doubtful:,} of {len(holes):,} holes** could be chance (p above .05); that says nothing of their stakes."
    )


def _order(holes: list[Gap]) -> str:
    if holes[0].stakes is None:
        return "Largest first: no rule says which records are high stakes (the Audit page keeps one)."
    return f"Largest first, a high-stakes record counting as {tasks.STAKES:g}."


def _brief(workspace: Workspace) -> None:
    with st.container(horizontal=True):
        st.download_button(
            "Collection brief (Markdown)", partial(tasks.brief, workspace, "md"), "collection-brief.md", "text/markdown",
            icon=":material/download:", key="coverage.brief_md", on_click="ignore",
        )  # fmt: skip
        st.download_button(
            "Brief as CSV", partial(tasks.brief, workspace, "csv"), "collection-brief.csv", "text/csv", icon=":material/download:",
            key="coverage.brief_csv", on_click="ignore",
        )  # fmt: skip


def _one(data: Dataset, production: Dataset, found: Result, hole: Gap) -> None:
    with st.container(border=True):
        st.markdown(
            f"**{literal(hole.name, 120)}** · {hole.size:,} production records ({hole.share:.1%}) · collect about "
            f"**{hole.collect:,}** ({hole.collect_low:,} to {hole.collect_high:,})"
        )
        if told := by_chance(hole):
            st.caption(told)
        st.caption("Distinguishing terms: " + ", ".join(literal(t, 60) for t in hole.terms))
        st.markdown("What production asks")
        coverage_search.table(
            production, hole.examples, {}, f"coverage.asked.{found.key[:8]}.{hole.number}", "production"
        )
        st.markdown("The nearest that training has")
        coverage_search.table(data, hole.nearest, {}, f"coverage.near.{found.key[:8]}.{hole.number}")
        if hole.nearest:
            st.button(
                "Select these training records", icon=":material/select_all:", key="coverage.select_near", on_click=state.select,
                args=(hole.nearest, f"Nearest to the hole {short(hole.name, 60)}"),
            )  # fmt: skip


def _unvisited(workspace: Workspace, found: Result) -> None:
    """The other way round: clusters that no covered production record is nearest to."""
    clusters = current(workspace, "clusters")
    regions = {r["cluster"]: r for r in found.info["regions"] if r["cluster"] >= 0 and not r["production"]}
    if clusters is None or not regions:
        return
    called = naming.names(workspace, clusters)
    names = [called[c] for c in sorted(regions)]
    most = max(r["high"] or 0 for r in regions.values())
    count = sum(r["training"] for r in regions.values())
    st.markdown("**What production never asks for**")
    st.caption(
        f"{len(regions):,} {'cluster' if len(regions) == 1 else 'clusters'} of {count:,} training records "
        f"({count / found.info['training']:.1%}) that no covered record of this production sample is nearest to: "
        f"{literal('; '.join(names), 400)}. With {found.info['production']:,} production records, each may still have up to "
        f"{most:.1%} of production (upper end of the 95 % Wilson interval of none)."
    )
    st.button(
        "Select them",
        icon=":material/select_all:",
        key="coverage.unvisited",
        on_click=_select_clusters,
        args=(list(regions),),
    )


def _select_clusters(wanted: list[int]) -> None:
    workspace = state.workspace()
    labels = current(workspace, "clusters").table(["cluster"]).column(0).to_numpy()
    ids = records.ids_of(workspace.need())
    state.select([ids[n] for n in np.flatnonzero(np.isin(labels, wanted))], "Never asked for in production")
