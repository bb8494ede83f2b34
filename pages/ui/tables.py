"""A table whose rows answer to a click, and the pages of a long one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st


def clickable(
    columns: Mapping[str, Sequence[Any]],
    key: str,
    react: Callable[[list[int]], None],
    several: bool = False,
    **options: Any,
) -> None:
    """Draw a table; a click on a cell, or a tick at the left, calls `react` with the rows (of `columns`, however it is sorted).

    `react` runs before the page does, once a click, so it may change the selection and widget values. With `several` the ticks
    add up. `options` go to st.dataframe. Give `key` the key of the data, or an old click lands on new rows.
    """

    def clicked() -> None:
        state = st.session_state.get(key)
        chosen = state.selection if state else {}
        rows = sorted(set(chosen.get("rows") or [])) or [cell[0] for cell in chosen.get("cells") or []][:1]
        if rows:
            react([int(row) for row in rows])

    modes = ["multi-row" if several else "single-row", "single-cell"]
    st.dataframe(
        dict(columns), key=key, on_select=clicked, selection_mode=modes, hide_index=True, width="stretch", **options
    )


PAGE = 100  # rows of a table that are read and sent at a time


def pager(count: int, key: str, size: int = PAGE, what: str = "", order: str = "") -> slice:
    """The rows to show of `count`: all of a short table, of a longer one those of the page that the reader asks for.

    `what` names the rows and `order` says how they are sorted, for the line that tells which ones these are.
    """
    if count <= size:
        return slice(0, count)
    pages = -(-count // size)
    if st.session_state.get(key, 1) > pages:
        st.session_state[key] = pages  # the list became shorter
    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = st.number_input(f"Page, 1 to {pages:,}", 1, pages, key=key, width=160)
        start = size * (int(number) - 1)
        stop = min(count, start + size)
        st.caption(
            f"{f'{what} ' if what else ''}{start + 1:,} to {stop:,} of {count:,}{f', {order}' if order else ''}."
        )
    return slice(start, stop)
