"""Records for the screen: reading a few of them quickly, and showing one in full, every text literal."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import streamlit as st

from core.actions.decisions import open_reviews
from core.dataset.columns import FIELD_PREFIX
from core.dataset.ids import Index, Names, index_of
from core.dataset.selected import Selected
from core.review.ledger import removed_ids
from core.workspace import Dataset, Workspace
from pages.ui import heat
from pages.ui.reviewer.record import COLUMNS, shown
from pages.ui.safe import literal, short, visible

LONG = 6_000  # characters of one text shown before "show all"


def ids_of(data: Dataset) -> Names:
    """Record ids in file order; a sequence that makes text of those that are looked at."""
    return data.index.names


def positions(data: Dataset) -> Index:
    """{record_id: row} of a dataset, made once. Rows are for arrays of the same dataset only; ids are the identity."""
    return data.index


def kept_mask(workspace: Workspace, data: Dataset) -> np.ndarray:
    """(N,) True for the records that no ledger entry in force removes."""
    return _kept(data.path, data.digest, removed_ids(open_reviews(workspace)))


@lru_cache(maxsize=8)
def _kept(folder: Path, digest: str, removed: frozenset[str]) -> np.ndarray:
    kept = ~index_of(folder, digest).mask(removed)
    kept.flags.writeable = False
    return kept


def rows_of(data: Dataset, ids: list[str] | tuple[str, ...], columns: tuple[str, ...] = COLUMNS) -> list[dict]:
    """Rows of the records with these ids, in this order; ids that the dataset lacks are left out."""
    known = data.index.known(ids)
    wanted = [c for c in dict.fromkeys(("record_id", *columns)) if c in data.columns]
    return list(Selected(data, known).rows(wanted)) if len(known) else []


def show(data: Dataset, record_id: str, facts: dict[str, object] | None = None, key: str = "record") -> None:
    """One record in full: what is known of it, its turns, the reasoning apart, and every further field of the source."""
    found = rows_of(data, [record_id], (*COLUMNS, *[c for c in data.columns if c.startswith(FIELD_PREFIX)]))
    if not found:
        st.info("This record is not in the data that is open now.")
        return
    row, record = found[0], shown(found[0])
    told = [*record["facts"], *[(k, v) for k, v in (facts or {}).items() if v not in (None, "")]]
    st.caption(" · ".join(f"{literal(k)} **{literal(v, 80)}**" for k, v in told) + f" · {literal(record_id)}")
    turns(record, key, heat.switch(record_id, record, key) if data.role == "training" else None)
    further = {n.removeprefix(FIELD_PREFIX): v for n, v in row.items() if n.startswith(FIELD_PREFIX) and v}
    if further:
        with st.expander(f"{len(further)} further fields"):
            st.dataframe(
                {"field": [short(k) for k in further], "value": [short(v, 500) for v in further.values()]},
                hide_index=True,
            )


def turns(record: dict, key: str, tints: dict | None = None) -> None:
    """The turns of a record as `shown` gives them, the reasoning folded apart; the answer with its tints where there are any."""
    for number, turn in enumerate(record["turns"]):
        title = turn.get("label") or turn["role"]
        if turn.get("folded"):
            with st.expander(f"{literal(turn['role'])} · {literal(title)}"):
                text(turn["text"], f"{key}.{number}")
            continue
        st.markdown(f"**{literal(turn['role'])}**")
        tinted = tints if turn.get("answer") else None
        if turn.get("reasoning"):
            with st.expander("reasoning", expanded=False):
                if tinted and "reasoning" in tinted["parts"]:
                    heat.draw(turn["reasoning"], tinted, "reasoning", f"{key}.{number}.reasoning.tinted", legend=False)
                else:
                    text(turn["reasoning"], f"{key}.{number}.reasoning")
        if tinted:
            heat.draw(turn["text"], tinted, "text", f"{key}.{number}.tinted", legend=True)
        else:
            text(turn["text"], f"{key}.{number}")


def text(value: str, key: str) -> None:
    """A text as it stands, its hidden characters marked; a long one is cut until the reader asks for all of it."""
    whole = "\n".join(visible(line) for line in value.split("\n"))
    if len(whole) > LONG and not st.session_state.get(f"{key}.all"):
        st.text(whole[:LONG] + " …")
        st.button(f"Show all {len(whole):,} characters", key=f"{key}.all")
    else:
        st.text(whole or "(empty)")
