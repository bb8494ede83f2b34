"""Labels: which records may carry the wrong category, which categories are confused, and how accurate the labels may be."""

import os
from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.actions.auditing import draw_audit
from core.actions.decisions import LABELS
from core.actions.inforce import in_force
from core.actions.relabelling import changes_in_force
from core.actions.standing import standing
from core.errors import QuadrantError
from core.quality.scorecard_targets import TARGETS
from core.steps import current, params_of, set_params
from core.workspace import Dataset, Result, Workspace
from pages.ui import jobs, labels_doubts, labels_drift, labels_relabel, state
from pages.ui.labels_data import Doubts, doubts, label_columns
from pages.ui.records import kept_mask
from pages.ui.safe import literal, short

READ = 50
VIEWS = ("Doubtful labels", "Relabel by rule", "By annotator or time")


def choose_column(workspace: Workspace, data: Dataset) -> str | None:
    """The column whose labels are judged; None when the data has none that can be."""
    columns = label_columns(data.digest, data)
    chosen = str(params_of(workspace, "labels")["column"])
    if not columns:
        return None
    if list(columns) == [chosen]:
        return chosen
    names = list(columns)
    asked = st.selectbox(
        "Labels to look at", names, index=names.index(chosen) if chosen in names else None, placeholder="Choose a column",
        format_func=lambda name: f"{short(name.removeprefix('field.'), 60)} ({columns[name]:,} values)", key="labels.column",
    )  # fmt: skip
    if asked and asked != chosen:
        set_params(workspace, "labels", {"column": asked})
        jobs.launch(["run", "labels"], "Look for wrong labels")
    return asked


def headline(result: Result, found: Doubts, info: Mapping[str, Any]) -> None:
    """`info`: what the step says of the set as it stands."""
    target = TARGETS["label_accuracy"]
    columns = st.columns(3)
    if info["reliable"]:
        met = target.met(info["accuracy"])
        columns[0].metric(
            "Estimated label accuracy", f"{100 * info['accuracy']:.1f} %",
            f"{'on' if met else 'off'} target: over {100 * target.value:g} %", delta_color="green" if met else "red",
            delta_arrow="off", help=literal(f"Target from {target.source}.", 300),
        )  # fmt: skip
    else:
        columns[0].metric(
            "Estimated label accuracy", "cannot be told", help="The classifier is too weak for an estimate."
        )
    columns[1].metric("Labels in doubt", f"{len(found.rows):,} of {found.judged:,}")
    columns[2].metric("Classifier agrees with the label", f"{100 * found.agreeing:.1f} %")
    read = f"the embedding of its {info['text']}" + (" and the words of prompt and answer" if info.get("words") else "")
    st.caption(
        f"A model's view, not a review: a classifier that never saw the record predicts its label from {literal(read)}; confident "
        "learning counts the labels that it is sure are another. Audit a sample of the doubtful ones to know."
    )


def _second(workspace: Workspace) -> None:
    """A random sample for a second reader, which turns the estimate into a measured accuracy with an interval."""
    if st.button(
        f"Have {READ} random labels read", key="labels.second", icon=":material/fact_check:",
        help="Draws records from the whole set and asks of each whether its label is right. From 50 on the answer takes the place of "
        "the model's estimate on the scorecard, with its interval; it is not taken for the audit of the answers.",
    ):  # fmt: skip
        try:
            sample, _ = draw_audit(workspace, READ, seed=int.from_bytes(os.urandom(3)), by=state.reviewer(), rubric=LABELS,
                                   name=f"Labels: {READ} random records")  # fmt: skip
        except QuadrantError as error:
            st.error(literal(error, 300))
            return
        state.remember("audit.sample", sample.id)
        st.switch_page("pages/audit.py")


def main() -> None:
    workspace = state.workspace()
    data = workspace.dataset()
    st.title("Labels")
    if data is None:
        st.write("Nothing is imported yet, so there are no labels to look at.")
        st.page_link("pages/data.py", label="Open data", icon=":material/folder_open:")
        return
    st.write("Which records may carry the wrong label, and which labels are confused with one another?")
    column = choose_column(workspace, data)
    if column is None:
        st.info("No record has a category, and no other column looks like labels. Map the column that holds them.")
        st.page_link("pages/data.py", label="Open data", icon=":material/folder_open:")
        return
    values = label_columns(data.digest, data).get(column, 0)
    if values < 2:
        st.info(f"Label noise is undefined: every labelled record has the same {literal(short(column))}.")
        return
    result = current(workspace, "labels")
    if result is None:
        jobs.waiting_for("labels", "Doubtful labels")
        return
    info = result.info
    if "undefined" in info:
        st.info(literal(info["undefined"], 300))
    else:
        kept = kept_mask(workspace, data)
        changed = frozenset(changes_in_force(workspace))
        found = doubts(data, result, kept, changed)
        stands = standing(result, data, in_force(workspace, data))
        headline(result, found, stands)
        if changed:
            st.caption(f"{len(changed):,} labels were changed since; they are not in doubt any more.")
        if info.get("reliable") and stands["accuracy"] != info["accuracy"]:
            st.caption(
                f":material/history: The estimate is of the set as it stands, by the same classifier; as imported it was "
                f"{100 * info['accuracy']:.1f} %."
                + (
                    " It takes changed labels for right where it suggested them itself: have a sample of them read."
                    if changed
                    else ""
                )
            )
    _second(workspace)
    for warning in info["warnings"]:
        st.caption(literal(warning, 400))
    if len(info["small"]) > 5:
        with st.expander(f"{len(info['small']):,} categories are too small to judge"):
            st.dataframe({"category": [short(name) for name in info["small"]]}, hide_index=True)
    if "undefined" in info:
        return
    view = st.segmented_control(
        "View", VIEWS, default=VIEWS[0], key="labels.view", required=True, label_visibility="collapsed"
    )
    if view == VIEWS[1]:
        labels_relabel.draw(workspace, data, result, found)
    elif view == VIEWS[2]:
        labels_drift.draw(data, result, kept)
    else:
        labels_doubts.draw(data, result, found)


main()
