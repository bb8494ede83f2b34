"""The decisions as a recipe: download it, or replay one here after a look at what it would do."""

import streamlit as st

from core.actions.recipes import Outcome, recipe_from, recipe_of, replay, yaml_of
from core.actions.version_history import keep_card
from core.errors import QuadrantError
from core.workspace import Workspace
from pages.ui import state
from pages.ui.safe import literal, short

STATES = {"ready": "would be done", "done": "done", "nothing": "nothing to do", "refused": "cannot be done"}


def draw(workspace: Workspace) -> None:
    if workspace.dataset("training") is None:
        st.caption("No training data is open, so there is nothing to decide on.")
        return
    st.markdown(
        "A recipe holds what was decided here, in YAML: settings, removals with their reasons, changed labels, accepted responses and "
        "named subsets. Replayed on a new version of the file, each decision meets exactly the rows it was made on."
    )
    st.download_button(
        "Download the recipe", lambda: yaml_of(recipe_of(workspace)).encode("utf-8"), f"{state.current_name()}.recipe.yml",
        "application/yaml", key="versions.recipe_download", icon=":material/download:", on_click="ignore",
    )  # fmt: skip
    given = st.file_uploader(
        "Replay a recipe on the version that is open", ["yml", "yaml"], key="versions.recipe_upload"
    )
    if given is None:
        _told(state.remembered("versions.replayed", ()))
        return
    try:
        recipe = recipe_from(given.getvalue().decode("utf-8", "strict"), given.name)
        told = replay(workspace, recipe, state.reviewer(), dry_run=True)
    except (QuadrantError, UnicodeDecodeError) as error:
        st.error(literal(error, 500))
        return
    ready = [one for one in told if one.state == "ready"]
    _told(tuple(told))
    if st.button(
        f"Replay {len(ready):,} of {len(told):,} decisions", key="versions.replay", type="primary", disabled=not ready
    ):
        done = replay(workspace, recipe, state.reviewer())
        keep_card(workspace)
        state.remember("versions.replayed", tuple(done))
        st.toast(f"{sum(one.state == 'done' for one in done):,} decisions replayed", icon=":material/check:")
        _told(tuple(done))
    st.caption(
        "Removals and labels become entries of the ledger under your name, and can be undone there. Replaying again adds nothing."
    )


def _told(told: tuple[Outcome, ...]) -> None:
    if not told:
        return
    st.dataframe(
        {
            "decision": [short(one.what, 120) for one in told],
            "": [STATES[one.state] for one in told],
            "matched": [len(one.matched) for one in told],
            "edited since": [len(one.changed) for one in told],
            "not here": [len(one.gone) for one in told],
            "why": [short(one.why, 160) for one in told],
        },
        hide_index=True, width="stretch",
    )  # fmt: skip
    changed = list(dict.fromkeys(new for one in told for _, new in one.changed))
    if changed and st.button(
        f"Select the {len(changed):,} records that were edited since", key="versions.select_changed"
    ):
        state.select(changed, "Edited since they were decided on")
        st.rerun()
