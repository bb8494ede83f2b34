"""Another validation set: re-rank the records on the axis for a category of it, or for the selection, at once and approximately."""

import streamlit as st

from core.actions import reranking
from core.actions.frame import RERANKED, reranked
from core.errors import QuadrantError
from core.influence.models import MATCH
from core.steps import current
from core.workspace import Workspace
from pages.ui import jobs, state
from pages.ui.safe import literal, short

WHOLE, SELECTION = "the whole validation set", "the selected records"


def popover(workspace: Workspace) -> None:
    base = current(workspace, "influence")
    if base is None:
        return
    with st.popover("Another validation set", icon=":material/swap_vert:"):
        if base.params["model"] == MATCH:
            st.markdown(
                "Re-ranking works on the gradients of a language model. The matching proxy has none: name a model in the settings."
            )
            return
        st.markdown(
            "Ranks the records for other validation records at once, from a small sketch of each gradient. Approximate; "
            "how good it is on your data is measured and said."
        )
        missing = [step for role, step in reranking.SKETCH.items() if _wanted(workspace, role)]
        if missing:
            st.caption("The sketches are not there yet: one pass over the records, about as long as influence takes.")
            if st.button("Sketch the gradients", key="quadrant.sketch", type="primary"):
                jobs.launch(["run", *missing], "Sketch the gradients")
            return
        _choose(workspace)
        for name, title in reranked(workspace).items():
            with st.container(horizontal=True, vertical_alignment="center"):
                st.caption(literal(title, 90), width="stretch")
                st.button(
                    "", icon=":material/close:", key=f"quadrant.forget.{name}", type="tertiary", help="Forget this re-ranking",
                    on_click=_forget, args=(workspace, name),
                )  # fmt: skip


def _wanted(workspace: Workspace, role: str) -> bool:
    there = workspace.dataset(role) is not None
    return there and reranking.sketches(workspace, role) is None


def _choose(workspace: Workspace) -> None:
    chosen = state.selection()
    known = {}
    if workspace.dataset("validation") is not None:
        known[WHOLE] = reranking.by_category("")
        known |= {
            f"{short(c, 50)} ({n:,} records)": reranking.by_category(c) for c, n in reranking.categories(workspace)
        }
    if chosen:
        known[f"{SELECTION} ({len(chosen):,})"] = reranking.by_ids(
            chosen.ids, short(chosen.title or "the selection", 60)
        )
    if not known:
        st.caption("Import a validation set, or select records that the training should get better at, and come back.")
        return
    against = st.selectbox("Rank for", list(known), key="quadrant.rerank.against")
    if st.button("Re-rank", key="quadrant.rerank", type="primary"):
        try:
            name = reranking.remember(workspace, known[against])
        except QuadrantError as error:
            st.error(literal(error, 400))
            return
        state.remember("quadrant.query", name)
        state.remember("quadrant.cuts", (state.remembered("quadrant.cuts", ("median", "median"))[0], "median"))
        st.rerun()


def _forget(workspace: Workspace, name: str) -> None:
    reranking.forget(workspace, name)
    if state.remembered("quadrant.query", "influence") == name:
        state.remember("quadrant.query", "influence")


def said(workspace: Workspace, query: str) -> list[str]:
    """What a reader must know of the column on the axis when it is a re-ranking."""
    spec = reranking.remembered(workspace).get(query) if query.startswith(RERANKED) else None
    return [] if spec is None else [reranking.rerank(workspace, spec).sentence]
