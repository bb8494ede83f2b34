"""What the Distribution page compares: a column of training with production, from the stored result or computed at once."""

import streamlit as st

from core.actions.frame import has_values
from core.actions.inforce import in_force
from core.actions.mix import MOST, Mix, labels_now, mix
from core.actions.standing import NOTHING
from core.dataset.columns import FIELD_PREFIX
from core.quality import distribution
from core.steps import current, params_of
from core.workspace import Dataset, Workspace
from pages.ui import state

__all__ = ["MOST", "View", "chosen_column", "columns", "labels", "touched", "unlabelled_production", "view"]

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
View = Mix
"""One column of both sides as `core.actions.mix` compares them."""


def columns(workspace: Workspace, data: Dataset) -> dict[str, str]:
    """{name: title} of what can be compared."""
    found = {name: TITLES.get(name, name.removeprefix(FIELD_PREFIX)) for name in _columns_of(data.digest, data)}
    if current(workspace, "clusters") is not None:
        found["cluster"] = TITLES["cluster"]
    return found


@st.cache_data(max_entries=16, show_spinner=False)
def _columns_of(digest: str, _data: Dataset) -> list[str]:
    return distribution.columns_of(_data)


def touched(workspace: Workspace, data: Dataset) -> bool:
    """Whether a record was removed or relabelled since the import."""
    force = in_force(workspace, data)
    return bool(force.removed or force.labels)


def view(workspace: Workspace, data: Dataset, column: str, standing: bool = False) -> View:
    """The comparison over one column; standing: of training as it stands, without the records that the ledger removes and with the
    labels that rules changed."""
    with st.spinner("Comparing…", show_time=False):
        return mix(workspace, data, column, None if standing else NOTHING)


def unlabelled_production(workspace: Workspace, column: str) -> bool:
    """Whether production's categories could be predicted: a sample is there and has no value in the column that is predicted."""
    production = workspace.dataset("production")
    able = production is not None and column == params_of(workspace, "prevalence")["column"]
    return able and not _has_labels(production.digest, column, production)


@st.cache_data(max_entries=16, show_spinner=False)
def _has_labels(digest: str, column: str, _production: Dataset) -> bool:
    return has_values(_production, column)


def labels(workspace: Workspace, data: Dataset, column: str, standing: bool = True) -> list[str | None]:
    """What each training record counts under, in file order; None where it counts under nothing (as it stands: removed)."""
    return labels_now(workspace, data, column, None if standing else NOTHING)


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
