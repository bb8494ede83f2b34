"""Groups of near-duplicates: the threshold, the list, one group side by side, and what stays of it."""

import numpy as np
import streamlit as st

from core.steps import set_params
from core.workspace import Dataset, Result, Workspace
from pages.ui import jobs, removal, state
from pages.ui.diff import side_by_side
from pages.ui.duplicates_contradictions import facts
from pages.ui.duplicates_data import RULES, View, choose, ids_at, similarity_to, taken_of
from pages.ui.records import rows_of
from pages.ui.safe import literal, short
from pages.ui.tables import pager

MOST = 200  # members of one group that are offered for comparison
THRESHOLD = {"embedding": "duplicates.threshold", "words": "duplicates.words_threshold"}
TOLD = ("prompt", "response", "reasoning", "category", "annotator", "line")


def draw(workspace: Workspace, data: Dataset, result: Result, shown: View, contradicting: np.ndarray) -> None:
    """`contradicting`: rows of the records in pairs that contradict each other."""
    _settings(workspace, result, shown)
    if not shown.members:
        st.success(f"No two kept records are {shown.threshold:.2f} alike or more.", icon=":material/check_circle:")
        return
    _actions(data, shown, contradicting)
    number = _list(data, shown)
    _group(workspace, data, result, shown, number)


def _settings(workspace: Workspace, result: Result, shown: View) -> None:
    by = "words" if result.step == "word_duplicates" else "embedding"
    left, right = st.columns([3, 2])
    threshold = left.slider(
        "Similarity from which two records are near-duplicates", min(result.info["floor"], 0.99), 1.0, shown.threshold, 0.01,
        format="%.2f", key=THRESHOLD[by],
    )  # fmt: skip
    right.selectbox(
        "Of each group stays", list(RULES), index=list(RULES).index(str(state.remembered("duplicates.rule", "longest"))),
        format_func=RULES.get, key="duplicates.rule",
        help="Among equally long ones the highest rated stays, where there is a rating, then the first in the file.",
    )  # fmt: skip
    st.caption(f"{literal(taken_of(workspace, result), 300)} The slider regroups the pairs and computes nothing again.")
    for warning in result.info["warnings"]:
        st.caption(literal(warning, 300))
    stored = result.params["threshold"]
    if abs(threshold - stored) > 1e-6:
        with st.container(horizontal=True, vertical_alignment="center"):
            users = "The other pages and the scorecard use" if by == "embedding" else "The stored result uses"
            st.caption(f"{users} {stored:.2f}.")
            if st.button(f"Use {threshold:.2f} everywhere", key="duplicates.everywhere"):
                set_params(workspace, result.step, {"threshold": threshold})
                steps = ["duplicates", "contradictions"] if by == "embedding" else ["word_duplicates"]
                jobs.launch(["run", *steps], "Near-duplicates")
    if by == "words":
        st.caption("The scorecard's ratio is that by meaning; what is removed here counts there as well.")


def _actions(data: Dataset, shown: View, contradicting: np.ndarray) -> None:
    count = len(shown.removable)
    with st.container(horizontal=True):
        if st.button(f"Remove all but the keepers ({count:,})", key="duplicates.remove-all", type="primary",
                     icon=":material/delete:", disabled=not count):  # fmt: skip
            ids = ids_at(data, shown.removable)
            open_ones = int(np.isin(shown.removable, contradicting).sum())
            removal.ask(
                ids, f"Near-duplicates at {shown.threshold:.2f}",
                f"One record, or what was chosen by hand, stays of each of the {len(shown.members):,} groups: "
                f"{shown.kept - count:,} of {shown.kept:,} records."
                + (f" {open_ones:,} of those removed contradict another record: the one that stays may be wrong." if open_ones
                   else ""),
            )  # fmt: skip
        if st.button(
            f"Select these {count:,}" if count != 1 else "Select this one", key="duplicates.select", disabled=not count
        ):
            state.select(ids_at(data, shown.removable), f"Near-duplicates at {shown.threshold:.2f}, keepers left out")
            st.rerun()


def _list(data: Dataset, shown: View) -> int:
    """The groups, largest first, a page at a time; returns the number of the one that is open."""
    here = pager(len(shown.members), "duplicates.page", what="Groups", order="the largest first")
    part, start = shown.members[here], here.start
    first = [int(rows[shown.keeper[rows]][0]) if shown.keeper[rows].any() else int(rows[0]) for rows in part]
    texts = rows_of(data, _ids(data, first), ("prompt", "category"))
    event = st.dataframe(
        {
            "records": [len(rows) for rows in part],
            "stay": [int(shown.keeper[rows].sum()) for rows in part],
            "chosen": ["by hand" if decided else "by rule" for decided in shown.decided[here]],
            "similarity": [_range(a, b) for a, b in zip(shown.least[here], shown.most[here], strict=True)],
            "category": [short(row.get("category") or "", 40) for row in texts],
            "prompt of the keeper": [short(row.get("prompt") or "", 140) for row in texts],
        },
        hide_index=True, height=min(300, 38 + 35 * len(part)), on_select="rerun", selection_mode="single-row",
        key=f"duplicates.groups.{shown.threshold}.{start}.{shown.kept}",
    )  # fmt: skip
    rows = event.selection.rows
    return start + (rows[0] if rows and rows[0] < len(part) else 0)


def _range(low: float, high: float) -> str:
    return f"{low:.3f}" if high - low < 0.0005 else f"{low:.3f}–{high:.3f}"


def _ids(data: Dataset, rows: list[int]) -> list[str]:
    return ids_at(data, np.array(rows, dtype=int))


def _group(workspace: Workspace, data: Dataset, result: Result, shown: View, number: int) -> None:
    rows = shown.members[number]
    ids = ids_at(data, rows)
    stay = [i for i, keeper in zip(ids, shown.keeper[rows], strict=True) if keeper]
    keeper = stay[0] if stay else ids[0]
    others = [i for i in ids[:MOST] if i != keeper]
    alike = dict.fromkeys(ids) | dict(
        zip(ids[:MOST], similarity_to(workspace, data, result, int(rows[ids.index(keeper)]), rows[:MOST]), strict=True)
    )
    st.subheader(f"Group {number + 1:,}: {len(ids):,} records")
    other = others[0]
    if len(others) > 1:
        other = st.selectbox(
            "Compare the keeper with", others, key=f"duplicates.other.{keeper}",
            format_func=lambda i: f"{i}" + (f" · {alike[i]:.3f} to the keeper" if alike[i] is not None else ""),
        )  # fmt: skip
    pair = rows_of(data, [keeper, other], TOLD)
    said = {True: "Stays", False: "Goes"}
    how = "chosen by hand" if shown.decided[number] else "by the rule"
    near = "" if alike[other] is None else f" · {alike[other]:.3f} to the keeper"
    heads = (
        (f"Stays, {how}", facts(pair[0])),
        (f"{said[other in stay]}{near}", facts(pair[1])),
    )
    side_by_side(pair[0], pair[1], heads, key="duplicates.group")
    with st.container(horizontal=True):
        if st.button("Keep the right one instead", key=f"duplicates.instead.{other}", disabled=stay == [other]):
            choose(workspace, ids, [other])
            st.rerun()
        if st.button("Keep the right one too", key=f"duplicates.too.{other}", disabled=other in stay):
            choose(workspace, ids, [*stay, other])
            st.rerun()
        if st.button("Keep all of the group", key=f"duplicates.all.{keeper}", disabled=len(stay) == len(ids)):
            choose(workspace, ids, ids)
            st.rerun()
        if shown.decided[number] and st.button("Back to the rule", key=f"duplicates.rule.{keeper}"):
            choose(workspace, ids, [])
            st.rerun()
