"""Near-equal prompts that teach different things, side by side."""

import os
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from core.actions.decisions import open_reviews
from core.actions.inforce import in_force
from core.actions.standing import InForce, contradictions_now
from core.quality.contradictions import KINDS
from core.review.ledger import keep_records, ledger, undo
from core.steps import current
from core.workspace import Dataset, Result, Workspace
from pages.ui import jobs, removal, state
from pages.ui.diff import side_by_side
from pages.ui.records import ids_of, rows_of
from pages.ui.safe import literal, short
from pages.ui.tables import pager

NAMES = {"category": "category", "number": "number", "negation": "negation", "answer": "other words"}


@dataclass(frozen=True)
class Standing:
    """The contradictions between records that are still in the data, the gravest first; their texts stay on disk."""

    found: Result | pa.Table  # on disk, or in memory where a decision since touches them
    places: np.ndarray  # rows of it
    left: np.ndarray  # rows of the dataset, aligned
    right: np.ndarray
    kinds: np.ndarray  # (n, kinds) bool, in the order of KINDS

    def __len__(self) -> int:
        return len(self.places)

    def only(self, keep: np.ndarray) -> "Standing":
        return Standing(self.found, self.places[keep], self.left[keep], self.right[keep], self.kinds[keep])

    def read(self, some: slice) -> list[dict]:
        places = self.places[some]
        table = self.found.take(pa.array(places)) if isinstance(self.found, pa.Table) else self.found.rows(places)
        return table.to_pylist()

    @property
    def records(self) -> np.ndarray:
        """Rows of the dataset that contradict another, each once, the gravest first."""
        both = np.stack([self.left, self.right], 1).ravel()
        _, first = np.unique(both, return_index=True)
        return both[np.sort(first)]


def standing(workspace: Workspace, found: Result, data: Dataset) -> Standing:
    """The pairs that stand, the gravest first: compared again where a record was removed, relabelled or corrected since, without those
    that a reader settled."""
    force = in_force(workspace, data)
    return _pairs(str(found.path), data.digest, force.version, found, data, force, current(workspace, "duplicates"))


@st.cache_resource(max_entries=4, show_spinner=False)
def _pairs(
    path: str, digest: str, version: str, _found: Result, _data: Dataset, _force: InForce, _near: Result | None
) -> Standing:
    whole = contradictions_now(_found, _data, _force, _near) if _force else None
    table = _found.table(["left_id", "right_id", "kinds"]) if whole is None else whole
    lists = table["kinds"].combine_chunks()
    kinds = np.zeros((len(lists), len(KINDS)), dtype=bool)
    number = pc.index_in(lists.flatten(), value_set=pa.array(list(KINDS), lists.type.value_type))
    kinds[pc.list_parent_indices(lists).to_numpy(), number.to_numpy()] = True
    left, right = (_data.index.rows(table[name]) for name in ("left_id", "right_id"))
    return Standing(_found if whole is None else whole, np.arange(len(lists)), left, right, kinds)


def draw(workspace: Workspace, data: Dataset, found: Result | None, pairs: Standing | None) -> None:
    if found is None or pairs is None:
        jobs.waiting_for("contradictions", "Contradictions")
        return
    compared, same = found.info["pairs_compared"], found.info["same_text_groups"]
    st.caption(
        f"{compared:,} pairs of prompts at {found.info['threshold']:.2f} or more (copies included) were compared by category, "
        "numbers with units, negation and shared words. These are signs, found by rule: a reader decides."
        + (f" {same:,} groups of equal prompts contradict themselves in the file." if same else "")
    )
    for warning in found.info["warnings"]:
        st.caption(literal(warning, 300))
    force = in_force(workspace, data)
    _settled(workspace, data)
    if not pairs:
        st.success("No contradiction stands among the records that are kept.", icon=":material/check_circle:")
        return
    if force:
        st.caption(
            f":material/history: The set as it stands: {len(pairs):,} pairs, {found.info['contradictions']:,} as imported. Pairs with "
            "a removed, relabelled or corrected record were compared again."
        )
    count = dict(zip(KINDS, pairs.kinds.sum(0).tolist(), strict=True))
    picked = st.pills(
        "Kinds", [kind for kind in KINDS if count[kind]], selection_mode="multi", key="duplicates.kinds",
        label_visibility="collapsed", format_func=lambda kind: f"{NAMES[kind]} ({count[kind]:,})",
    )  # fmt: skip
    wanted = pairs.only(pairs.kinds[:, [kind in picked for kind in KINDS]].any(1)) if picked else pairs
    here = pager(
        len(wanted), f"duplicates.contradictions.page.{'-'.join(picked)}", what="Pairs", order="the gravest first"
    )
    shown = wanted.read(here)
    first = rows_of(data, [pair["left_id"] for pair in shown], ("prompt",))
    event = st.dataframe(
        {
            "differs in": [", ".join(NAMES[kind] for kind in pair["kinds"]) for pair in shown],
            "similarity": [round(pair["similarity"], 3) for pair in shown],
            "why": [short(pair["reason"], 160) for pair in shown],
            "prompt": [short(row["prompt"] or "", 140) for row in first],
        },
        hide_index=True, height=min(260, 38 + 35 * len(shown)), on_select="rerun", selection_mode="single-row",
        key=f"duplicates.pairs.{len(pairs)}.{'-'.join(picked)}.{here.start}",
    )  # fmt: skip
    rows = wanted.records
    if st.button(f"Select these {len(rows):,} records", key="duplicates.select-contradictions"):
        state.select(ids_of(data).at(rows), "Contradicting records")
        st.rerun()
    ticked = event.selection.rows
    _pair(data, shown[ticked[0] if ticked and ticked[0] < len(shown) else 0], force)


def _pair(data: Dataset, pair: dict, force: InForce) -> None:
    ids = pair["left_id"], pair["right_id"]
    rows = rows_of(data, ids, ("prompt", "response", "reasoning", "category", "annotator", "line"))
    for row in rows:  # as they stand
        row["response"] = force.responses.get(row["record_id"], row["response"])
        row["category"] = force.labels.get("category", {}).get(row["record_id"], row["category"])
    st.markdown(f"**{literal(pair['reason'], 300)}** · similarity {pair['similarity']:.3f}")
    heads = tuple((name, facts(row)) for name, row in zip(("One", "The other"), rows, strict=True))
    side_by_side(rows[0], rows[1], heads, key="duplicates.pair")
    left, right, both = st.columns(3)
    for column, row, other in zip((left, right), rows, ("the other", "the one"), strict=True):
        if column.button("Remove this one", key=f"duplicates.remove.{row['record_id']}", icon=":material/delete:"):
            removal.ask([row["record_id"]], f"Contradicts another record: {pair['reason']}"[:200],
                        f"Of the pair, {other} stays.")  # fmt: skip
    both.button(
        "Both may stand", key=f"duplicates.settle.{'.'.join(ids)}", icon=":material/done_all:", on_click=_settle,
        args=(ids, pair["reason"], os.urandom(8).hex()),
        help="Read, and no contradiction: the pair leaves this list and the scorecard's count. It is an entry of the ledger.",
    )  # fmt: skip


def _settle(ids: tuple[str, str], reason: str, token: str) -> None:
    keep_records(
        open_reviews(state.workspace()),
        ids,
        reason=f"Read, both stand: {reason}"[:200],
        by=state.reviewer(),
        token=token,
    )


def _settled(workspace: Workspace, data: Dataset) -> None:
    """How many pairs were read and stay, with the way back for the newest."""
    count = len(in_force(workspace, data).settled)
    store = open_reviews(workspace)
    entries = [e for e in ledger(store) if e.action == "keep" and e.count == 2 and e.undone_by is None] if count else []
    if not entries:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"{'1 pair was' if count == 1 else f'{count:,} pairs were'} read and both records stay. The newest: entry "
            f"{entries[-1].entry}, {literal(entries[-1].reason, 120)}"
        )
        st.button("Undo", key=f"duplicates.unsettle.{entries[-1].entry}", icon=":material/undo:", on_click=undo,
                  args=(store, entries[-1].entry), kwargs={"by": state.reviewer()})  # fmt: skip


def facts(row: dict) -> str:
    """What is known of a record, in one line of plain text."""
    said = [f"line {row['line']}"] if row.get("line") is not None else []
    said += [f"{name} {short(row[name], 40)}" for name in ("category", "annotator") if row.get(name)]
    return " · ".join([*said, row["record_id"]])
