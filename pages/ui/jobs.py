"""The strip that shows a running job, and the one way to start one."""

import streamlit as st

from core import jobs
from core.jobs import Job
from core.steps import STEPS
from pages.ui import state
from pages.ui.safe import literal

POLL = 1.0  # seconds
RESUMED = ("proof", "select", "tokens", "run", "fix")  # commands that go on where they stopped when they are said again


def launch(command: list[str], title: str) -> None:
    """Start `python -m core <command>` on the workspace in use and show it."""
    try:
        jobs.start(state.workspace(), command, title)
    except OSError as error:
        st.error(literal(state.refused(error), 400))
        return
    st.rerun()


def strip() -> None:
    """Progress of the job under way, or how the last one ended. Polls only while a job runs."""
    workspace = state.workspace()
    job = jobs.latest(workspace)
    under_way = jobs.active(workspace) if job is None or not job.active else job
    if under_way:
        _running()
    elif job and job.state in ("failed", "crashed", "cancelled") and state.remembered("job.dismissed", "") != job.id:
        _ended(job)


@st.fragment(run_every=POLL)
def _running() -> None:
    workspace = state.workspace()
    job = jobs.active(workspace)
    if job is None:
        st.rerun()  # the whole page, once: its results are there now
    step = job.now
    finished = [s["step"] for s in job.steps if s["state"] in ("done", "stored")]
    seen = state.remembered("job.finished", [])
    state.remember("job.finished", finished)
    if len(finished) > len(seen) and any(s["state"] == "done" for s in job.steps):
        st.rerun()  # a step more: let the page draw what came
    with st.container(border=True):
        st.markdown(f"**{literal(job.title)}**")
        words = {"starting": "starting…", "waiting": "waiting for another job…"}.get(job.state, "")
        st.progress(job.fraction, text=literal(step["title"]) if step else words)
        if step:
            share = f"{100 * step['done'] / step['total']:.0f} % · " if step["total"] else ""
            st.caption(literal(f"{share}{step['message']}") or "…")
        left, right = st.columns(2)
        if job.steps:
            left.caption(f"{len(finished)} of {len(job.steps)} steps")
        if queued := jobs.behind(workspace) - (job.state == "waiting"):
            st.caption(f"{queued} more {'waits' if queued == 1 else 'wait'} for this to end.")
        if right.button("Cancel", key="job.cancel", width="stretch"):
            jobs.cancel(workspace, job.id)
            st.toast("It stops at its next report; what is finished is kept.")


def _ended(job: Job) -> None:
    with st.container(border=True):
        word = {"failed": "stopped with an error", "crashed": "ended unexpectedly", "cancelled": "was cancelled"}[
            job.state
        ]
        failed = sum(step["state"] == "failed" for step in job.steps)
        whole = "--all" in job.command or "analyze" in job.command  # went on after the step that failed
        if job.state == "failed" and whole and 0 < failed < len(job.steps):
            word = f"is done, except for {'one step' if failed == 1 else f'{failed} steps'}"
        st.markdown(f"**{literal(job.title)}** {word}")
        if job.error:
            st.caption(literal(job.error, 400))
        left, right = st.columns(2)
        if left.button("Resume", key="job.resume", width="stretch"):
            launch(*resumed(job))
        if right.button("Dismiss", key="job.dismiss", width="stretch"):
            state.remember("job.dismissed", job.id)
            st.rerun()


def resumed(job: Job) -> tuple[list[str], str]:
    """(command, title) that goes on with a job: the same again where that is known, else the whole analysis."""
    if job.command and job.command[0] in RESUMED:
        return list(job.command), job.title
    return ["run", "--all"], "Analysis"


def waiting_for(step: str, what: str) -> None:
    """Say in a page's place that a result is still coming, or offer to compute it."""
    workspace = state.workspace()
    job = jobs.active(workspace)
    with st.container(border=True):
        if job:
            title = STEPS[step].title
            verb = "are" if what.endswith("s") else "is"
            st.markdown(f"**{what}** {verb} on the way: *{title[0].lower()}{title[1:]}*.")
            st.caption("The job strip in the side bar shows how far it is. This page fills in by itself.")
        else:
            st.markdown(f"**{what}**: not computed yet for this data and these settings.")
            if st.button(STEPS[step].title, key=f"run.{step}", type="primary"):
                launch(["run", step], STEPS[step].title)


def offer_analysis() -> None:
    """Where steps were never run on the data of now and no job is under way, offer to run them all.

    Not where the last job came to all of these and passed them over, because the data lacks what they need.
    """
    workspace = state.workspace()
    every = [name for name, step in STEPS.items() if not step.asked]
    missing = [] if jobs.active(workspace) else jobs.waiting(workspace, every)
    last = jobs.latest(workspace)
    passed = {step["step"] for step in last.steps if step["state"] == "skipped"} if last else set()
    if set(missing) <= passed:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        first = f"{STEPS[missing[0]].title[0].lower()}{STEPS[missing[0]].title[1:]}"
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        were = "was" if len(missing) == 1 else "were"
        st.markdown(
            f"{len(missing)} of {len(every)} steps {were} not run on this data and these settings: {first}{more}."
        )
        if st.button("Run the analysis", key="run.all", type="primary"):
            launch(["run", "--all"], "Analysis")
