"""What a workspace holds now, by role, and its earlier versions."""

import streamlit as st

from core.workspace import Dataset, Workspace
from pages.ui import state
from pages.ui.data_source import MEANS, ROLES
from pages.ui.safe import literal


def cards(workspace: Workspace) -> None:
    """One card a role: what is open, since when, and how to stop using it."""
    for column, role in zip(st.columns(len(ROLES)), ROLES, strict=True):
        with column, st.container(border=True, height="stretch", key=f"data.card.{role}"):
            _card(workspace, role)


def _card(workspace: Workspace, role: str) -> None:
    data = workspace.dataset(role)
    shares = workspace.shares() if role == "production" else None
    st.markdown(f"**{ROLES[role]}**")
    if data is not None:
        bad = data.report.get("quarantined", 0)
        st.markdown(f"### {data.count:,} records")
        st.caption(literal(data.name, 80))
        st.caption(
            f"{when(data)} · digest {literal(data.digest[:12])}"
            + (f" · {bad:,} row{'s' * (bad != 1)} quarantined" if bad else "")
        )
    elif shares:
        st.markdown(f"### {len(shares):,} shares")
        st.caption("Categories only: no records, so nothing is overlaid on the map.")
    else:
        st.markdown("### –")
        st.caption(MEANS[role][0].upper() + MEANS[role][1:] + ".")
    earlier = [v for v in reversed(workspace.versions(role)) if data is None or v.path != data.path]
    if data is None and not shares and not earlier:
        return
    title = f"{len(earlier)} earlier" if earlier else "Manage"
    with st.popover(title, icon=":material/history:" if earlier else ":material/more_horiz:", width="stretch"):
        _manage(workspace, role, data is not None or bool(shares), earlier)


def _manage(workspace: Workspace, role: str, in_use: bool, earlier: list[Dataset]) -> None:
    if in_use:
        st.caption("The files, verdicts and results stay; the pages only stop using them.")
        if st.button(f"Stop using this {role} data", key=f"data.drop.{role}", icon=":material/link_off:"):
            workspace.drop(role)
            st.rerun()
    for version in earlier:
        st.markdown(f"**{literal(version.name, 60)}** · {version.count:,} records")
        st.caption(f"{when(version)} · digest {literal(version.digest[:12])}")
        if st.button("Use this version again", key=f"data.use.{version.path.name}"):
            workspace.use(version)
            state.remember("data.report", role)
            st.rerun()


def when(data: Dataset) -> str:
    return f"imported {literal(data.imported[:16].replace('T', ' '))} UTC"
