"""A person rates records 1 to 5, by keyboard or by click; each press is on disk before the next record shows."""

import uuid

import streamlit as st

from core.actions.rating import BATCH, mine, next_to_rate, rate, ratings_here
from core.errors import QuadrantError
from core.influence.difficulty.rated import LEAST
from core.workspace import Dataset, Workspace
from pages.ui import records, state
from pages.ui.reviewer.record import shown
from pages.ui.safe import literal

LEVELS = {1: "very easy", 2: "easy", 3: "medium", 4: "hard", 5: "very hard"}
ASKED = "How hard is it for a capable general model to give a response as good as this one?"


def panel(workspace: Workspace, data: Dataset) -> None:
    _reading()


@st.fragment
def _reading() -> None:
    """The batch under way; a rating reruns this part alone."""
    workspace = state.workspace()
    data = workspace.need()
    given = ratings_here(workspace, data)
    chance = sum(picked == "random" for _, picked in given.values())
    st.caption(
        f"{len(given):,} of {data.count:,} records are rated by people, {chance:,} of them drawn by chance. "
        f"Learning needs {LEAST}; a few hundred serve well. Several people's ratings of a record count as their median."
    )
    batch = state.remembered("quadrant.batch", None)
    if batch is None or batch["digest"] != data.digest:
        _offer(chance)
        return
    left = [i for i in batch["ids"] if i not in batch["done"]]
    st.progress(
        1 - len(left) / max(1, len(batch["ids"])),
        text=f"{len(batch['ids']) - len(left)} of {len(batch['ids'])} in this batch",
    )
    st.caption(literal(batch["note"], 600))
    if not left:
        st.markdown("**This batch is done.** Learn from the ratings on the next tab, or go on.")
        _offer(chance)
        _undo(workspace, batch)
        return
    _one(workspace, data, batch, left[0])


def _offer(chance: int) -> None:
    with st.container(horizontal=True):
        if chance >= BATCH:
            st.button(
                f"Rate the {BATCH} most useful next",
                type="primary",
                key="quadrant.rate_useful",
                on_click=_begin,
                args=("useful",),
            )
        first = chance < BATCH
        label = f"Rate a first {BATCH}, drawn by chance" if first else f"Rate {BATCH} drawn by chance"
        st.button(
            label,
            type="primary" if first else "secondary",
            key="quadrant.rate_random",
            on_click=_begin,
            args=("random",),
        )
    problem = state.remembered("quadrant.rate_problem", "")
    if problem:
        st.error(literal(problem, 400))


def _begin(how: str) -> None:
    workspace = state.workspace()
    data = workspace.need()
    state.remember("quadrant.rate_problem", "")
    try:
        batch = next_to_rate(workspace, data, BATCH, how)
    except QuadrantError as error:
        state.remember("quadrant.rate_problem", str(error))
        return
    if not batch.ids:
        state.remember("quadrant.rate_problem", "Every record is rated.")
        return
    state.remember(
        "quadrant.batch",
        {"ids": list(batch.ids), "picked": batch.picked, "note": batch.note, "done": [], "digest": data.digest, "token": _token()},
    )  # fmt: skip


def _token() -> str:
    return uuid.uuid4().hex


def _one(workspace: Workspace, data: Dataset, batch: dict, record_id: str) -> None:
    found = records.rows_of(data, [record_id])
    mine_now = mine(workspace, state.reviewer()).get(record_id)
    st.markdown(f"**{ASKED}**")
    with st.container(horizontal=True, key="quadrant.levels"):
        for level, word in LEVELS.items():
            st.button(
                f"{level} {word}", key=f"quadrant.level.{level}", shortcut=str(level),
                type="primary" if mine_now and mine_now.level == level else "secondary",
                on_click=_give, args=(record_id, level, batch["token"]),
            )  # fmt: skip
        st.button("Skip", key="quadrant.skip", shortcut="s", type="tertiary", on_click=_skip, args=(record_id,))
        _undo(workspace, batch)
    with st.container(border=True, key="quadrant.rating_record"):
        if found:
            records.turns(shown(found[0]), f"quadrant.rate.{record_id}")
        else:
            st.caption("This record is not in the data that is open now.")


def _undo(workspace: Workspace, batch: dict) -> None:
    if batch["done"]:
        st.button(
            "Undo", key="quadrant.rate_undo", shortcut="u", type="tertiary", icon=":material/undo:", on_click=_back
        )


def _give(record_id: str, level: int, token: str) -> None:
    batch = state.remembered("quadrant.batch", None)
    if batch is None or record_id in batch["done"] or token != batch["token"]:
        return  # a second press that came before the next record was drawn
    try:
        rate(state.workspace(), record_id, level, state.reviewer(), batch["picked"], token)
    except QuadrantError as error:
        st.toast(literal(error, 300))
        return
    state.remember("quadrant.batch", batch | {"done": [*batch["done"], record_id], "token": _token()})


def _skip(record_id: str) -> None:
    batch = state.remembered("quadrant.batch", None)
    if batch is not None:
        ids = [i for i in batch["ids"] if i != record_id]
        state.remember("quadrant.batch", batch | {"ids": ids, "token": _token()})


def _back() -> None:
    """Take the last rating back: a new row withdraws it, and its record shows again."""
    batch = state.remembered("quadrant.batch", None)
    if not batch or not batch["done"]:
        return
    last = batch["done"][-1]
    try:
        rate(state.workspace(), last, 0, state.reviewer(), batch["picked"])
    except QuadrantError as error:
        st.toast(literal(error, 300))
        return
    ids = [last, *[i for i in batch["ids"] if i != last]]
    state.remember("quadrant.batch", batch | {"ids": ids, "done": batch["done"][:-1], "token": _token()})
