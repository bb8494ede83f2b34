"""Finding records by text, by meaning or by likeness: the box above the map, the list of hits, and the record that is open."""

from functools import partial

import streamlit as st

from core.embedding.search import meaning_note
from core.errors import QuadrantError
from core.steps import current
from core.workspace import Dataset, Workspace
from pages.ui import coverage_data, records, state
from pages.ui.coverage_data import Points
from pages.ui.safe import literal, short
from pages.ui.tables import clickable, pager

HOW = {"meaning": "Meaning", "text": "Text", "regex": "Regex"}


def open_record(record_id: str, role: str = "training") -> None:
    """Show a record in full under the map. Call before the panels' control is drawn, or in a callback."""
    state.remember("coverage.open", (role, record_id))
    st.session_state["coverage.panel"] = "Record"


def opened() -> tuple[str, str] | None:
    """(role, record_id) of the record that is open."""
    return state.remembered("coverage.open", None)


def box(workspace: Workspace) -> None:
    """The search field; a search makes its hits the selection and lists them."""
    embed = current(workspace, "embed")
    ways = (
        list(HOW) if embed is not None and embed.info.get("kind") != "given" else ["text", "regex"]
    )  # given vectors place no query
    if st.session_state.get("coverage.how") not in ways:
        st.session_state["coverage.how"] = ways[0]
    st.text_input(
        "Search", key="coverage.query", type="search", placeholder="Search the records, then Enter", on_change=_asked,
        icon=":material/search:", width=300,
    )  # fmt: skip
    st.segmented_control(
        "Search by", ways, key="coverage.how", format_func=HOW.get, required=True, on_change=_asked,
        help="Meaning: the nearest records in the embedding. Text: records that hold these very characters, in "
        "any case. Regex: records that match an RE2 expression, in any case: `\\bmg\\b`, `(?-i)ECG` for capitals as written.",
        persist_state="session",
    )  # fmt: skip


def _asked() -> None:
    query = st.session_state.get("coverage.query", "").strip()
    if query:
        ask(st.session_state.get("coverage.how", "text"), query, f"“{query}”")


def ask(how: str, query: str, title: str) -> None:
    """Search, select the hits and list them. Runs as a callback, before the page."""
    state.remember("coverage.asked", (how, query, title))
    st.session_state["coverage.panel"] = "Search"
    try:
        found = _run(state.workspace(), how, query)
    except QuadrantError:
        return  # the panel says it
    if found.ids:
        state.select(found.ids, f"{'Like' if how.startswith('like') else 'Search'} {title}")


def _run(workspace: Workspace, how: str, query: str) -> coverage_data.Hits:
    other = current(workspace, "embed:production") if how == "like production" else None
    return coverage_data.hits(workspace.need(), current(workspace, "embed"), how, query, other)


def like(role: str, record_id: str) -> None:
    """Select the records most like one of the training or production set. Runs as a callback, before the page."""
    ask("like" if role == "training" else "like production", record_id, f"a {role} record")


def panel(workspace: Workspace, data: Dataset, points: Points) -> None:
    """The hits of the last search, best first; a click opens one."""
    asked = state.remembered("coverage.asked", None)
    if asked is None:
        st.caption("Search above, by meaning or by text; the hits become the selection and are listed here.")
        return
    how, query, title = asked
    embed = current(workspace, "embed")
    literally = how in ("text", "regex")
    if not literally and embed is None:
        st.info(
            "A search by meaning needs the embedding, which is not computed for these settings yet. Search by text instead."
        )
        return
    try:
        found = _run(workspace, how, query)
    except QuadrantError as error:
        st.warning(literal(error, 500))
        return
    many = len(found.ids)
    words = {
        "text": "hold the text", "regex": "match", "meaning": "are nearest in meaning to", "like": "are most like",
        "like production": "are most like",
    }[how]  # fmt: skip
    st.markdown(f"**{many:,}** {'record' if many == 1 else 'records'} {words} {literal(title, 120)}")
    if not many:
        st.caption("Nothing found. Try a shorter text, or search by meaning." if literally else "Nothing is near it.")
        return
    note = "" if literally else meaning_note(embed)
    kind = "Cosine similarity of the embeddings, −1 to 1; the nearest 50, however far they are." if not literally else (
        "Number of occurrences in prompt, response, reasoning and system text."
    )  # fmt: skip
    st.caption(f"{kind} {literal(note)}".strip())
    here = pager(
        many, f"coverage.hits.page.{hash(asked)}", what="Records", order="the best first; all of them are selected"
    )
    scores = [round(s, 3) for s in found.scores[here]]
    table(data, found.ids[here], {found.what: scores}, f"coverage.hits.{hash(asked)}.{here.start}")


def table(
    data: Dataset, ids: tuple[str, ...] | list[str], extra: dict[str, list], key: str, role: str = "training"
) -> None:
    """Records to skim; a click on one opens it."""
    rows = records.rows_of(data, ids, ("category", "prompt", "response"))
    shown = dict(extra)
    for name, limit in (("category", 40), ("prompt", 160), ("response", 160)):
        if any(r.get(name) for r in rows):
            shown[name] = [short(r.get(name) or "", limit) for r in rows]
    kept = [r["record_id"] for r in rows]
    clickable(
        {n: v[: len(kept)] for n, v in shown.items()}, f"{key}.{data.digest[:8]}", partial(_open_row, kept, role),
        height=min(38 + 35 * max(1, len(kept)), 388),
        column_config={
            "similarity": st.column_config.NumberColumn(format="%.3f"),
            "prompt": st.column_config.TextColumn(width="large"), "response": st.column_config.TextColumn(width="large"),
        },
    )  # fmt: skip


def _open_row(ids: list[str], role: str, rows: list[int]) -> None:
    open_record(ids[rows[0]], role)
