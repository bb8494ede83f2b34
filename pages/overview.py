"""Overview: the scorecard against its targets, what to do next, and what is open in this workspace."""

import streamlit as st

from core.decisions import kept_ids, open_reviews
from core.quality.scorecard import Metric, advice
from core.review.ledger import removed_ids
from core.summary import metrics
from pages.ui import state
from pages.ui.safe import literal, short

WORD = {"pass": (":material/check_circle:", "green"), "fail": (":material/error:", "red")}
UNKNOWN = (":material/radio_button_unchecked:", "gray")
WIDE = 4  # cards a row


def card(metric: Metric) -> None:
    """One metric: value, target, verdict, and the way to the page where it can be moved."""
    icon, colour = WORD.get(metric.verdict, UNKNOWN)
    word = {"pass": "on target", "fail": "off target"}.get(metric.verdict, "no verdict")
    with st.container(border=True, height="stretch", key=f"overview.card.{metric.id}"):
        st.markdown(f":{colour}[{icon}] **{literal(metric.title)}**")
        value = metric.shown() if metric.value is not None else "–"
        st.markdown(f"### {literal(value)}")
        aim = f"target {metric.shown_target()}" if metric.target else "no fixed target"
        st.caption(
            f":{colour}[{word}] · {literal(aim)}", help=literal(metric.target.source, 300) if metric.target else None
        )
        if metric.note:
            st.caption(literal(metric.note, 220))
        st.page_link(f"pages/{metric.page}.py", label="Open", icon=":material/arrow_forward:")


def scorecard(found: list[Metric]) -> None:
    known = [m for m in found if m.value is not None]
    unknown = [m for m in found if m.value is None]
    for start in range(0, len(known), WIDE):
        for column, metric in zip(st.columns(WIDE), known[start : start + WIDE], strict=False):
            with column:
                card(metric)
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
        left, right = st.columns([6, 1], vertical_alignment="center")
        left.markdown(f"{number}. {literal(item.text, 400)}")
        right.page_link(f"pages/{item.page}.py", label=item.page.capitalize(), icon=":material/arrow_forward:")


def what_is_open() -> None:
    workspace = state.workspace()
    st.subheader("Versions")
    history = workspace.versions("training")
    current = workspace.dataset("training")
    st.dataframe(
        {
            "imported": [d.imported[:19].replace("T", " ") for d in reversed(history)],
            "file": [short(d.name) for d in reversed(history)],
            "records": [d.count for d in reversed(history)],
            "digest": [d.digest[:12] for d in reversed(history)],
            "open now": [d.digest == current.digest for d in reversed(history)],
        },
        hide_index=True, width="stretch",
    )  # fmt: skip


def page() -> None:
    workspace = state.workspace()
    data = workspace.dataset("training")
    st.title("Overview")
    if data is None:
        st.markdown("Is this set good enough to train on? Open a file to find out.")
        st.page_link("pages/data.py", label="Open data", icon=":material/folder_open:")
        return
    st.markdown(f"Is **{literal(data.name)}** good enough to train on, and what would make it better?")
    removed = len(removed_ids(open_reviews(workspace)) & set(data.ids()))
    others = {role: workspace.dataset(role) for role in ("production", "validation", "gold")}
    facts = [f"{data.count:,} training records"]
    facts += [f"{removed:,} removed by the ledger, {len(kept_ids(workspace, data)):,} kept"] if removed else []
    facts += [f"{d.count:,} {role}" for role, d in others.items() if d]
    facts += ["production given as shares"] if workspace.shares() else []
    if data.report["quarantined"]:
        facts.append(f"{data.report['quarantined']:,} rows quarantined at import")
    st.caption(literal(" · ".join(facts), 400))
    found = metrics(workspace, data)
    scorecard(found)
    next_steps(found)
    what_is_open()


page()
