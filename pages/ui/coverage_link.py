"""The link that restores the whole view: made when asked for, followed once.

Its parameters: `w` workspace, `c` colour, `p` panel, `o` the open record, `v` a token under which the workspace keeps the selection
and the search, `f` filters and `b` view box, which the browser adds. Values of data stand in it as digests, words not at all.
"""

import time
from urllib.parse import urlencode

import streamlit as st

from core.workspace import Workspace
from pages.ui import coverage_search, state

PARAMS = ("c", "p", "o", "v", "f", "b")


def follow(workspace: Workspace, panels: list[str]) -> None:
    """Take over what a link says, once; the parameters then leave the address. Call before any widget of the page is drawn."""
    asked = {name: st.query_params.get(name, "") for name in PARAMS}
    if not any(asked.values()):
        return
    for name in PARAMS:
        st.query_params.pop(name, None)
    if asked["f"] or asked["b"]:
        opening = {"n": int(time.time() * 1000), "filters": asked["f"], "box": asked["b"]}
        state.remember("coverage.opening", opening)
    if asked["c"]:
        st.session_state["coverage.colour"] = asked["c"]
    view = workspace.view(asked["v"]) if asked["v"] else {}
    if view is None:
        st.warning("The selection and the search of this link are not kept in this workspace any more.")
    elif view:
        chosen, search = view.get("selection"), view.get("search")
        if chosen:
            state.select(chosen["ids"], chosen["title"])
        if search:
            state.remember("coverage.asked", tuple(search))
            if search[0] in coverage_search.HOW:
                st.session_state["coverage.how"], st.session_state["coverage.query"] = search[:2]
    role, _, record_id = asked["o"].partition(".")
    if role in ("training", "production") and record_id:
        state.remember("coverage.open", (role, record_id))
    if asked["p"] in panels:
        st.session_state["coverage.panel"] = asked["p"]


def make(workspace: Workspace, number: int) -> None:
    """Write down the view for the browser's request `number`; the scatter shows and copies the link in the next run."""
    chosen, asked, opened = state.selection(), state.remembered("coverage.asked", None), coverage_search.opened()
    view = {}
    if chosen:
        view["selection"] = {"ids": list(chosen.ids), "title": chosen.title}
    if asked:
        view["search"] = list(asked)
    parts = {"w": state.current_name(), "c": st.session_state.get("coverage.colour", "")}
    parts["p"] = st.session_state.get("coverage.panel", "")
    if opened:
        parts["o"] = ".".join(opened)
    if view:
        parts["v"] = workspace.keep_view(view)
    query = urlencode({name: value for name, value in parts.items() if value})
    state.remember("coverage.link", {"n": number, "query": query})


def linked(slot: str) -> dict:
    """What the scatter must know of links, see its `linked`."""
    opening, link = state.remembered("coverage.opening", None), state.remembered("coverage.link", None)
    return {"slot": slot, **({"open": opening} if opening else {}), **({"link": link} if link else {})}
