"""Distribution: is training made of what users ask for? Categories against production, and the plan that would mend them."""

import streamlit as st

from core.errors import QuadrantError
from pages.ui import distribution_chart, distribution_numbers, distribution_plan, jobs, state
from pages.ui.distribution_view import chosen_column, columns, labels, touched, unlabelled_production, view
from pages.ui.safe import literal


def page() -> None:
    workspace = state.workspace()
    data = workspace.dataset("training")
    st.title("Distribution")
    st.markdown("Is training made of what users ask for?")
    if data is None:
        st.markdown("No training data is open yet.")
        st.page_link("pages/data.py", label="Open a file", icon=":material/folder_open:")
        return
    found = columns(workspace, data)
    column = chosen_column(found)
    if "category" not in found:
        st.caption(
            "No training record has a category. Map the field that holds it on the Data page to compare categories."
        )
    title = found[column]
    try:
        standing = touched(workspace, data) and st.toggle(
            "As it stands: without removed records, with the labels that were changed",
            True,
            key="distribution.standing",
        )
        seen = view(workspace, data, column, standing)
        imported = view(workspace, data, column) if seen.standing else seen
    except QuadrantError as error:
        st.error(literal(error, 500))
        return
    if not seen.info:
        _alone(workspace, data, seen, title)
        return
    distribution_numbers.sides(workspace, data, seen.info, column)
    if seen.standing:
        distribution_numbers.moved(seen.info, imported.info)
    distribution_numbers.headline(seen.info)
    clicked = distribution_chart.charts(seen)
    ticked = distribution_chart.table(seen)
    chosen = list(dict.fromkeys([*clicked, *ticked]))
    distribution_chart.offer(seen, title, chosen, lambda: labels(workspace, data, column, seen.standing))
    distribution_plan.show(workspace, data, seen, title)


def _alone(workspace, data, seen, title: str) -> None:
    """Training without anything to compare it with."""
    shares, production = workspace.shares(), workspace.dataset("production")
    if production is None and not shares:
        st.info("Nothing to compare with: no production sample and no production shares are given.")
        st.page_link("pages/data.py", label="Add production", icon=":material/folder_open:")
    elif production is None:
        st.info("Production is given as shares of categories, so only the category can be compared.")
    elif seen.column == "cluster":
        jobs.waiting_for("coverage", "Production by cluster")
    elif unlabelled_production(workspace, seen.column):
        st.info(
            "No production record has a value here. A classifier trained on this data can predict production's shares."
        )
        if st.button("Predict production's categories", key="distribution.predict", icon=":material/query_stats:"):
            jobs.launch(["run", "prevalence"], "Predict production's categories")
    elif seen.why:
        st.info(literal(seen.why, 400))
    counted = sum(seen.table["training"])
    if not counted:
        st.markdown("No training record has a value here. Choose another column, or map one on the Data page.")
        return
    st.caption(f"{counted:,} of {data.count:,} training records have a value here.")
    chosen = distribution_chart.alone(seen)
    distribution_chart.offer(seen, title, chosen, lambda: labels(workspace, data, seen.column, seen.standing))


page()
