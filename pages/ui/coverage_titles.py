"""Titles of clusters by a language model behind an OpenAI-compatible endpoint: what would be sent, its cost, consent."""

import streamlit as st

from core.actions import titling as step
from core.errors import QuadrantError
from core.steps import current, params_of, set_params
from core.workspace import Dataset, Result, Workspace
from pages.ui import endpoint, jobs, state
from pages.ui.safe import literal


def panel(workspace: Workspace, data: Dataset, found: Result) -> None:
    """Nothing leaves before the box that names host, clusters and tokens is ticked and the button is pressed."""
    told = current(workspace, "titles")
    with st.expander(
        "Titles by a language model", icon=":material/title:", expanded=told is not None, key="coverage.titles",
        on_change="ignore",
    ):  # fmt: skip
        _result(workspace, told, len(found.info["clusters"]))
        params = params_of(workspace, "titles")
        _form(workspace, found, params)
        given = state.remembered("coverage.titles_asked", None)
        if given is not None and given["clusters"] == found.key:
            _consent(workspace, data, found, given["given"])


def _form(workspace: Workspace, found: Result, params: dict) -> None:
    with st.form("coverage.titles_form", border=False):
        given = endpoint.place(params, "coverage.titles")
        a, b, c = st.columns(3)
        texts = a.number_input(
            "Texts of each cluster", 0, 50, int(params["texts"]), key="coverage.titles_texts",
            help=f"The most typical ones, the first {params['characters']:,} characters of each; 0 sends the terms alone.",
        )  # fmt: skip
        costs = endpoint.prices(b, c, "coverage.titles")
        if st.form_submit_button("Count what would be sent"):
            endpoint.remember(costs)
            given |= {"texts": int(texts)}
            state.remember("coverage.titles_asked", {"given": given, "clusters": found.key})


@st.cache_resource(max_entries=4, show_spinner=False)
def _questions(key: str, count: int, characters: int, _data: Dataset, _found: Result, _embed: Result) -> dict[int, str]:
    """Reading the vectors of every cluster takes seconds on a large set, so it is done once."""
    return step.questions(_data, _found, _embed, count, characters)


def _consent(workspace: Workspace, data: Dataset, found: Result, given: dict) -> None:
    try:
        params = params_of(workspace, "titles", given)
        embed = current(workspace, "embed")
        if embed is None:
            return
        asked = _questions(found.key, params["texts"], params["characters"], data, found, embed)
        plan = step.estimate(asked, params, workspace.path / "kept" / "titles")
    except QuadrantError as error:
        st.error(literal(error, 400))
        return
    with st.container(border=True):
        if plan.left:
            _said(plan)
        else:
            st.markdown(f"All {len(plan.asked):,} titles are answered already; nothing has to be sent.")
        with st.popover("What is sent", icon=":material/visibility:"):
            st.text(step.SYSTEM)
            st.caption("Then, for each cluster, as plain text between marks. The first one:")
            st.text(next(iter(plan.asked.values())))
        ticked = (
            st.checkbox(literal(plan.consent, 300), key=f"coverage.titles_yes.{plan.consent}") if plan.left else True
        )
        if st.button("Ask for titles", type="primary", disabled=not ticked, key="coverage.titles_start"):
            try:
                set_params(workspace, "titles", {**given, "consent": plan.consent})
            except QuadrantError as error:
                st.error(literal(error, 400))
                return
            state.remember("coverage.titles_asked", None)
            jobs.launch(["run", "titles"], "Ask a language model for cluster titles")


def _said(plan: step.Sending) -> None:
    known = len(plan.asked) - len(plan.left)
    more = f" {known:,} more are answered already and not sent again." if known else ""
    st.markdown(
        f"Terms and typical texts of **{len(plan.left):,} clusters** would go to **{literal(plan.to.host)}**: about "
        f"{plan.tokens_in:,} tokens read, {plan.tokens_out:,} written.{more}"
    )
    st.caption(endpoint.estimate(plan.cost))


def _result(workspace: Workspace, told: Result | None, clusters: int) -> None:
    if told is None:
        st.caption(
            "A language model can turn terms and a few typical texts of each cluster into a title. A name that somebody gave goes "
            "before it, and without a title the terms stay. Titles are of the level Clusters alone."
        )
        return
    info = told.info
    st.markdown(
        f"**{len(info['titles']):,} of {clusters:,} clusters** have a title by {literal(info['model'])} at {literal(info['host'])}."
    )
    for warning in info["warnings"]:
        why = next(iter(info["failed"].values()), "")
        st.warning(literal(f"{warning} The first: {why}", 400), icon=":material/warning:")
    if st.button("Show the terms again", icon=":material/undo:", key="coverage.titles_off"):
        set_params(workspace, "titles", {"model": "", "consent": ""})
        st.rerun()
