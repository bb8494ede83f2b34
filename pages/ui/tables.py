"""A table whose rows answer to a click."""

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
