"""Where difficulty comes from: every source there is, ratings by people, what is learned from them, a language model, a classifier."""

import streamlit as st

from core.actions.difficulty_sources import compare
from core.actions.frame import FROM_RESULTS, axis_title, difficulty_sources
from core.actions.rating import ratings_here
from core.steps import current
from core.workspace import Dataset, Workspace
from pages.ui import difficulty_classifier, difficulty_learned, difficulty_llm, difficulty_rate, state
from pages.ui.quadrant_plot import number
from pages.ui.safe import literal, short

PARTS = {
    "Rate records": difficulty_rate.panel,
    "Learned from ratings": difficulty_learned.panel,
    "Language model": difficulty_llm.panel,
    "Classifier": difficulty_classifier.panel,
}


def panel(workspace: Workspace, data: Dataset) -> None:
    """Everything about the difficulty axis that is not the plot."""
    given = ratings_here(workspace, data)
    _sources(workspace, data, given)
    kept = state.remembered("quadrant.difficulty_part", next(iter(PARTS)))
    part = st.segmented_control(
        "Ratings", list(PARTS), default=kept, key="quadrant.difficulty_part", label_visibility="collapsed", required=True
    )  # fmt: skip
    state.remember("quadrant.difficulty_part", part)
    PARTS[part](workspace, data)


def _sources(workspace: Workspace, data: Dataset, given: dict[str, tuple[int, str]]) -> None:
    names = [name for name, _ in difficulty_sources(workspace, data)]
    st.subheader("Sources of difficulty")
    if not names:
        st.markdown("No difficulty is known yet: rate records below, or run the step *Compute loss-based difficulty*.")
        return
    chosen = state.remembered("quadrant.source", None)
    axis = chosen if chosen in names else names[0]
    keys = [r.key if (r := current(workspace, FROM_RESULTS[n][2])) else "" for n in names if n in FROM_RESULTS]
    rows = _compared(data.digest, str(workspace.path), "/".join(keys), str(sorted(given.items())), workspace, data)
    title = axis_title(axis)
    st.markdown(
        f"On the axis: **{literal(title)}**. Each source stays a column of its own; another is chosen above the plot."
    )
    st.dataframe(
        {
            "on the axis": ["●" if r["name"] == axis else "" for r in rows],
            "source": [short(r["title"], 90) for r in rows],
            "records": [r["records"] for r in rows],
            "with length": [r["length"] for r in rows],
            "with ratings": [_interval(r) for r in rows],
            "length held equal": ["–" if r["matched"] is None else f"{r['matched']:.2f}" for r in rows],
            "rated": [r["rated"] for r in rows],
        },
        hide_index=True, width="stretch",
        column_config={
            "on the axis": st.column_config.TextColumn("Axis", width=40),
            "source": st.column_config.TextColumn("Source", width=310),
            "records": st.column_config.NumberColumn("Records", format="localized", help="That have a value."),
            "with length": st.column_config.NumberColumn(
                "Goes with length", format="%.2f",
                help="Rank correlation (−1 to 1) with the words of the response: what length alone may explain.",
            ),
            "with ratings": st.column_config.TextColumn(
                "Goes with ratings",
                help="Rank correlation (−1 to 1), 95 % bootstrap interval; at least ten rated records are needed.",
            ),
            "length held equal": st.column_config.TextColumn(
                "… at equal length", help="The same among responses of like length: ranks inside tenths of it.",
            ),
            "rated": st.column_config.NumberColumn("Rated", format="localized", help="Rated records that it is compared on."),
        },
    )  # fmt: skip
    if any(r["unseen"] for r in rows):
        st.caption("The learned difficulty is compared by cross-validation, on ratings that it had not seen.")
    if not given and all(r["heuristic"] for r in rows):
        st.caption("Nobody has rated these records, so every source is a heuristic, and the axis says so.")


def _interval(row: dict) -> str:
    if row["ratings"] is None:
        return "–"
    return f"{row['ratings']:.2f} ({number(round(row['low'], 2))} to {number(round(row['high'], 2))})"


@st.cache_data(max_entries=8, show_spinner=False)
def _compared(digest: str, path: str, keys: str, given: str, _workspace: Workspace, _data: Dataset) -> list[dict]:
    return compare(_workspace, _data)
