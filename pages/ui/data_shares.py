"""Production typed by hand: one row a category, in percent or as counts."""

import math

import streamlit as st

from core.errors import QuadrantError
from core.quality.distribution import column_counts
from core.workspace import Dataset
from pages.ui import state
from pages.ui.data_import import use_shares
from pages.ui.safe import literal

PERCENT, COUNTS = "Percent", "Counts"
MOST = 500  # categories that the table is filled with
SLACK = 0.1  # percentage points that a sum may miss 100 by, as rounded figures do


@st.cache_data(max_entries=8, show_spinner=False)
def _categories(digest: str, _data: Dataset | None) -> list[str]:
    """Categories of the training data, the most frequent first."""
    if _data is None:
        return []
    counts = column_counts(_data, None, "category")[0]
    return sorted(counts, key=lambda name: (-counts[name], name))[:MOST]


def edit() -> None:
    """A table to type shares into, started from the shares in use or from the categories of training."""
    import pandas as pd  # a column of None alone would take no numbers

    workspace = state.workspace()
    data = workspace.dataset()
    now = workspace.shares() or {}
    unit = st.segmented_control("Unit", [PERCENT, COUNTS], default=PERCENT, key="data.shares.unit", required=True)
    names = list(dict.fromkeys([*now, *_categories(data.digest if data else "", data)])) or [""]
    values = [round(100 * now[n], 4) if n in now and unit == PERCENT else math.nan for n in names]
    table = st.data_editor(
        pd.DataFrame({"category": names, "share": values}),
        num_rows="dynamic", hide_index=True, placeholder="", width="stretch", height=min(35 * (len(names) + 2) + 3, 420),
        key=f"data.shares.{unit}.{state.current_name()}",
        column_config={
            "category": st.column_config.TextColumn("Category", required=True, width="large"),
            "share": st.column_config.NumberColumn(
                "Share of requests (%)" if unit == PERCENT else "Requests", min_value=0.0, format="%g"
            ),
        },
    )  # fmt: skip
    shares, total, fault = _read(table, unit)
    st.caption("A category left empty is one that production never asks for.")
    if fault:
        st.caption(literal(fault))
    if st.button("Use these shares", type="primary", disabled=bool(fault), key="data.shares.use"):
        try:
            use_shares(shares, total)
        except QuadrantError as error:
            st.error(literal(error, 400))
            return
        st.toast(f"{len(shares)} production shares in use", icon=":material/check:")
        st.rerun()


def _read(table: dict, unit: str) -> tuple[dict[str, float], int | None, str]:
    """({category: share}, requests counted or None for shares, what is wrong with the table yet)."""
    shares: dict[str, float] = {}
    for name, value in zip(table["category"], table["share"], strict=True):
        if value is None or math.isnan(value) or value == 0:
            continue
        name = str(name or "")
        if not name:
            return {}, None, "One share has no category. Name it."
        if name in shares:
            return {}, None, f"The category {name} stands twice. Add the two up."
        shares[name] = float(value)
    total = math.fsum(shares.values())
    if not shares:
        return {}, None, "Type at least one share."
    if unit == PERCENT and abs(total - 100) > SLACK:
        return {}, None, f"The shares sum to {total:g} %; they must sum to 100 %."
    whole = unit == COUNTS and all(value == int(value) for value in shares.values())
    return {name: value / total for name, value in shares.items()}, int(total) if whole else None, ""
