"""The record that is open: in full, with what is known of it, and the ways on from it."""

import streamlit as st

from core.actions.frame import available
from core.steps import current
from core.workspace import Dataset, Workspace
from pages.ui import coverage_data, coverage_search, records, state
from pages.ui.coverage_data import Points

KNOWN = ("cluster", "duplicate", "nearest_similarity", "influence", "nll", "ifd_ppl", "format", "label", "verdict")


def panel(workspace: Workspace, data: Dataset, points: Points) -> None:
    found = coverage_search.opened()
    if found is None:
        st.caption(
            "Click a point on the map, or press Enter over it, to read the record here. Hits, clusters and examples open it too."
        )
        return
    role, record_id = found
    home = workspace.dataset(role)
    if home is None or record_id not in records.positions(home):
        st.caption("The record that was open is not in this data. Click another point.")
        return
    if role == "production":
        _production(workspace, home, record_id)
    else:
        _training(workspace, data, record_id)


def _training(workspace: Workspace, data: Dataset, record_id: str) -> None:
    row = records.positions(data)[record_id]
    known = available(workspace, data)
    told = {}
    for name in KNOWN:
        if name in known:
            value = coverage_data.column(workspace, data, name).values[row]
            told[_short(known[name][0])] = value if isinstance(value, str) else f"{value:.4g}" if value == value else ""
    chosen = state.selection()
    inside = record_id in chosen.ids
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "More like this", icon=":material/join_inner:", key="coverage.like", on_click=coverage_search.like,
            args=("training", record_id), disabled=current(workspace, "embed") is None,
        )  # fmt: skip
        st.button(
            "Take out of the selection" if inside else "Add to the selection", key="coverage.toggle",
            icon=":material/remove:" if inside else ":material/add:", on_click=_toggle, args=(record_id,),
        )  # fmt: skip
        if inside and len(chosen) > 1:
            at = chosen.ids.index(record_id)
            for word, icon, step in (("Previous", "chevron_left", -1), ("Next", "chevron_right", 1)):
                other = chosen.ids[(at + step) % len(chosen)]
                st.button(
                    "", icon=f":material/{icon}:", key=f"coverage.{word.lower()}", help=f"{word} of the selection",
                    on_click=coverage_search.open_record, args=(other,),
                )  # fmt: skip
            st.caption(f"{at + 1:,} of {len(chosen):,} selected", width="content")
    with st.container(border=True):
        records.show(data, record_id, told, key=f"coverage.record.{record_id}")


def _production(workspace: Workspace, home: Dataset, record_id: str) -> None:
    coverage, told = current(workspace, "coverage"), {}
    if coverage is not None:
        import pyarrow.compute as pc

        table = coverage.table()
        at = pc.index(table.column("record_id"), record_id).as_py()
        if at >= 0:
            row = table.slice(at, 1).to_pylist()[0]
            hole = [h["name"] for h in coverage.info["holes"] if h["hole"] == row["hole"]]
            far = row["similarity"] is not None and row["similarity"] < coverage.info["threshold"]
            told = {
                "covered": "yes" if row["covered"] else "no, far from training" if far else "no, training is thin here",
                "hole": hole[0] if hole else "",
                "similarity to the nearest training record": f"{row['similarity']:.2f}" if row["similarity"] is not None else "",
            }  # fmt: skip
            if row["nearest_id"]:
                st.button(
                    "Open the nearest training record", icon=":material/near_me:", key="coverage.nearest",
                    on_click=coverage_search.open_record, args=(row["nearest_id"],),
                )  # fmt: skip
    if current(workspace, "embed") is not None and current(workspace, "embed:production") is not None:
        st.button(
            "Training records like this", icon=":material/join_inner:", key="coverage.like_production",
            on_click=coverage_search.like, args=("production", record_id),
        )  # fmt: skip
    with st.container(border=True):
        st.markdown("**Production record**")
        records.show(home, record_id, told, key=f"coverage.production.{record_id}")


def _short(title: str) -> str:
    return title.partition(" (")[0]


def _toggle(record_id: str) -> None:
    chosen = state.selection()
    if record_id in chosen.ids:
        state.select([i for i in chosen.ids if i != record_id], chosen.title)
    else:
        state.select([*chosen.ids, record_id], chosen.title or "Picked by hand")
