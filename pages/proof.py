"""Does it help here? Trainings on equal budgets by strategy and seed, and what they allow to be said."""

import streamlit as st

from core.workspace import Dataset, Workspace
from pages.ui import proof_ask, proof_view, state


def page() -> None:
    workspace = state.workspace()
    data = workspace.dataset("training")
    st.title("Does it help here?")
    if data is None:
        st.markdown("Whether a selection trains better than chance can be tried once there are training records.")
        st.page_link("pages/data.py", label="Open a file", icon=":material/folder_open:")
        return
    st.markdown(
        "A strategy is worth its name when training on what it picks beats training on as many records picked by chance. This "
        "trains both, on "
        "equal budgets, from the same start, several times, and measures the loss on records that nothing was trained on."
    )
    _both(workspace, data)


def _both(workspace: Workspace, data: Dataset) -> None:
    from core.actions.proving import standing

    stood = standing(workspace)
    proof_ask.panel(workspace, data, stood)
    if stood is not None:
        proof_view.panel(workspace, stood)


page()
