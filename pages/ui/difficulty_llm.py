"""Rating by a language model behind an OpenAI-compatible endpoint: what is asked, what would be sent, what it would cost, consent."""

import streamlit as st

from core.errors import QuadrantError
from core.influence.difficulty import llm_difficulty as step
from core.influence.difficulty import rater
from core.steps import current, params_of, set_params
from core.workspace import Dataset, Workspace
from pages.ui import endpoint, jobs, state
from pages.ui.safe import literal


def panel(workspace: Workspace, data: Dataset) -> None:
    """Nothing leaves before the box that names host, records and tokens is ticked and the button is pressed."""
    _result(workspace)
    params = params_of(workspace, "llm_difficulty")
    with st.form("quadrant.llm", border=True):
        st.markdown(f"**Where to ask.** {endpoint.PLACES}")
        given = endpoint.place(params, "quadrant.llm")
        a, b, c, d = st.columns(4)
        count = a.number_input(
            "Records", 0, None, int(params["records"]), key="quadrant.llm_records", help="Drawn by chance; 0 = all."
        )
        at_once = b.number_input("Requests at once", 1, 64, int(params["at_once"]), key="quadrant.llm_at_once")
        costs = endpoint.prices(c, d, "quadrant.llm")
        if st.form_submit_button("Count what would be sent"):
            endpoint.remember(costs)
            _count(workspace, data, given | {"records": int(count), "at_once": int(at_once)})
    with st.expander(f"What is asked (prompt {rater.PROMPT_VERSION})"):
        st.text(rater.SYSTEM)
        st.caption(
            "Then, for each record, as plain text between marks, and with a strict schema for the answer. The first one:"
        )
        st.text(step.texts(data, step.chosen(1, 1, 0), params["most_characters"])[0][:3000])
    asked = state.remembered("quadrant.llm_estimate", None)
    if asked is not None and asked["digest"] == data.digest:
        _consent(workspace, data, asked["given"])


def _count(workspace: Workspace, data: Dataset, given: dict) -> None:
    try:
        full = params_of(workspace, "llm_difficulty", given)
        step.estimate(data, full, _kept(workspace))
    except QuadrantError as error:
        state.remember("quadrant.llm_estimate", None)
        st.error(literal(error, 400))
        return
    state.remember("quadrant.llm_estimate", {"given": given, "digest": data.digest})


@st.cache_resource(max_entries=8, show_spinner=False)
def _estimated(
    digest: str, path: str, params: str, held: int, _workspace: Workspace, _data: Dataset, _full: dict
) -> step.Estimate:
    """Reading every text takes seconds on a large set, so it is counted once for what is asked and what is answered already."""
    return step.estimate(_data, _full, _kept(_workspace))


def _kept(workspace: Workspace):
    return workspace.path / "kept" / "llm_difficulty"


def _consent(workspace: Workspace, data: Dataset, given: dict) -> None:
    try:
        full = params_of(workspace, "llm_difficulty", given)
        held = sum(p.stat().st_size for p in _kept(workspace).glob("*.jsonl"))
        found = _estimated(
            data.digest, str(workspace.path), str(sorted(full.items(), key=str)), held, workspace, data, full
        )
    except QuadrantError as error:
        st.error(literal(error, 400))
        return
    with st.container(border=True):
        if not found.records:
            st.markdown(f"All {found.known:,} records are answered already; nothing has to be sent.")
        else:
            known = f" {found.known:,} more are answered already and not sent again." if found.known else ""
            st.markdown(
                f"**{found.records:,} records** would go to **{literal(found.host)}**: about {found.tokens_in:,} tokens read, "
                f"{found.tokens_out:,} written.{known}"
            )
            st.caption(
                f"{endpoint.estimate(found.cost)} An answer that cannot be read is asked for again, at most {step.TRIES} times in all."
            )
            if found.cut:
                st.caption(
                    f"{found.cut:,} records are longer than {full['most_characters']:,} characters and are cut in the middle."
                )
        ticked = (
            st.checkbox(literal(found.consent, 300), key=f"quadrant.llm_consent.{found.consent}")
            if found.records
            else True
        )
        if st.button("Rate them", type="primary", disabled=not ticked, key="quadrant.llm_start"):
            try:
                set_params(workspace, "llm_difficulty", {**given, "consent": found.consent})
            except QuadrantError as error:
                st.error(literal(error, 400))
                return
            jobs.launch(["run", "llm_difficulty"], "Rate difficulty with a language model")


def _result(workspace: Workspace) -> None:
    found = current(workspace, "llm_difficulty")
    if found is None:
        st.caption(
            "A language model can rate each record for knowledge, reasoning and overall difficulty, 1 to 5, as DIQ does. Answers are "
            "kept as they come: a cancelled job goes on where it stopped, and nothing is paid for twice."
        )
        return
    info = found.info
    st.markdown(
        f"**{info['rated']:,} records rated** by {literal(info['model'])} at {literal(info['host'])} with prompt "
        f"{literal(info['prompt_version'])}: {info['requests']:,} requests, {info['tokens_in']:,} tokens read and "
        f"{info['tokens_out']:,} written as the server counts them."
    )
    for warning in info["warnings"]:
        st.warning(literal(warning, 400), icon=":material/warning:")
    if info["failed"] and st.button(f"Ask again for the {info['failed']:,} that failed", key="quadrant.llm_again"):
        set_params(workspace, "llm_difficulty", {"attempt": int(found.params["attempt"]) + 1})
        jobs.launch(["run", "llm_difficulty"], "Rate difficulty with a language model")
