"""Overview: the scorecard against its targets, what to do next, and what is open in this workspace."""

import streamlit as st

from core import jobs
from core.actions.inforce import in_force
from core.actions.summary import metrics
from core.actions.version_history import keep_card
from core.quality.scorecard import Metric
from core.quality.scorecard_advice import advice
from core.workspace import Workspace
from pages.ui import jobs as job_card
from pages.ui import state
from pages.ui.safe import literal

WORD = {"pass": (":material/check_circle:", "green", "on target"), "fail": (":material/error:", "red", "off target")}
UNKNOWN = (":material/radio_button_unchecked:", "gray", "no verdict")
SHARES = (3.1, 1.6, 1.7, 4.0, 0.7)  # of a row: metric, value, target, note, link


def line(metric: Metric) -> None:
    """One metric: value with its interval, target, verdict, and the way to the page where it can be moved."""
    icon, colour, _ = WORD.get(metric.verdict, UNKNOWN)
    name, value, target, note, link = st.columns(SHARES, vertical_alignment="center", gap="small")
    name.markdown(f":{colour}[{icon}] {literal(metric.title)}")
    value.markdown(
        f":{colour}[**{literal(metric.shown())}**]" if metric.verdict != "unknown" else f"**{literal(metric.shown())}**"
    )
    if metric.low is not None and metric.high is not None:
        value.caption(literal(metric.shown_interval()))
    source = (
        literal(metric.target.source, 300)
        if metric.target
        else "Lower is better for KL, higher for coverage; set one per task."
    )
    target.caption(literal(metric.shown_target()) if metric.target else "no fixed target", help=source)
    was = f"**{literal(metric.shown_imported())} as imported.** " if metric.imported is not None else ""
    note.caption(was + literal(metric.note, 260))
    link.page_link(f"pages/{metric.page}.py", label=" ", icon=":material/arrow_forward:", help=f"Open {metric.page}")


def scorecard(found: list[Metric]) -> None:
    known = [m for m in found if m.value is not None]
    unknown = [m for m in found if m.value is None]
    tally = {word: sum(m.verdict == word for m in known) for word in ("pass", "fail", "unknown")}
    st.subheader("Scorecard")
    st.caption(
        f"{tally['pass']} on target · {tally['fail']} off target · {tally['unknown']} without a fixed target",
        help="Under a value stands its interval, at 95 % unless its page says otherwise. Values are of the set as it stands: "
        "removals, changed labels and corrected responses since the import count, as an export that applies corrections writes "
        "them. Where they moved a value, the note says what it was as imported.",
    )
    if known:
        with st.container(border=True, gap="xsmall"):
            for metric in known:
                line(metric)
    else:
        st.markdown("Nothing is measured yet. The job strip in the side bar shows what is being computed.")
    if unknown:
        with st.expander(f"{len(unknown)} metrics have no value yet"):
            for metric in unknown:
                st.markdown(f"**{literal(metric.title)}** — {literal(metric.note or 'not computed yet', 200)}")


def next_steps(found: list[Metric]) -> None:
    st.subheader("What to do next")
    said = advice(found)
    if not said:
        st.markdown("Nothing presses: every metric with a target is on it, or waits for its step.")
    for number, item in enumerate(said, 1):
        with st.container(border=True, gap="xsmall"):
            st.markdown(f"**{number}.** {literal(item.text, 400)}")
            st.page_link(f"pages/{item.page}.py", label=item.page.capitalize(), icon=":material/arrow_forward:")


def versions_line(workspace: Workspace) -> None:
    """How many versions there are, what the newest scorecard before this one said, and the way to the comparison."""
    history = workspace.versions("training")
    row = st.container(horizontal=True, vertical_alignment="center")
    last = history[-1].imported[:10] if history else ""
    row.caption(
        f"{len(history):,} {'version' if len(history) == 1 else 'versions'} of the training data, the newest of {last}"
    )
    row.page_link("pages/versions.py", label="Compare versions", icon=":material/history:")


def page() -> None:
    workspace = state.workspace()
    data = workspace.dataset("training")
    st.title("Overview")
    if data is None:
        if jobs.active(workspace):
            st.markdown(
                "The file is being read. The scorecard fills in by itself; the strip in the side bar shows how far it is."
            )
            return
        st.markdown("Is this set good enough to train on? Open a file to find out.")
        st.page_link("pages/data.py", label="Open data", icon=":material/folder_open:")
        return
    st.markdown(f"Is **{literal(data.name)}** good enough to train on, and what would make it better?")
    force = in_force(workspace, data)
    others = {role: workspace.dataset(role) for role in ("production", "validation", "gold")}
    facts = [f"{data.count:,} training records"]
    facts += [f"as it stands: {force.sentence()}, {data.count - len(force.removed):,} kept"] if force else []
    facts += [f"{d.count:,} {role}" for role, d in others.items() if d]
    facts += ["production given as shares"] if workspace.shares() else []
    if data.report["quarantined"]:
        facts.append(f"{data.report['quarantined']:,} rows quarantined at import")
    st.caption(literal(" · ".join(facts), 400))
    job_card.offer_analysis()
    found = metrics(workspace, data)
    if not jobs.active(workspace):
        keep_card(workspace, data, found)
    left, right = st.columns([7, 3], gap="large")
    with left:
        scorecard(found)
        versions_line(workspace)
    with right:
        next_steps(found)


page()
