"""How an export is written: in splits, without what its trainer would drop, with a card; and what the trainer would drop."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from core.actions.exporting import NEAR, PROMPT, Splitting, check, group_columns, grouping_title
from core.dataset.preflight import EFFECTS, LIMITS, Preflight, checkable
from core.dataset.splitting import parse_shares
from core.errors import QuadrantError
from core.steps import current
from core.workspace import Dataset, Workspace
from pages.ui import state
from pages.ui.export_file import AT_ONCE, Choice
from pages.ui.safe import literal, short

DEFAULT_SHARES = "train=90, validation=5, test=5"


def ask(workspace: Workspace, data: Dataset, choice: Choice, to: str) -> Choice | None:
    """The choice with how it is written; None when something that was typed cannot be used."""
    how: dict[str, Any] = {}
    try:
        with st.expander("Splits"):
            how |= _splits(workspace, data)
        if checkable(to):
            with st.expander("What the trainer would drop", expanded=bool(state.remembered("export.checked", None))):
                how |= _preflight(workspace, choice, to)
    except QuadrantError as error:
        st.error(literal(error, 400))
        return None
    kept = state.remembered("export.card", False)
    how["card"] = st.checkbox(
        "With a dataset card", kept, key="export.card",
        help="A Markdown page beside the file: files, sources, composition, scorecard, removals, limits.",
    )  # fmt: skip
    state.remember("export.card", how["card"])
    return replace(choice, how=how)


def _splits(workspace: Workspace, data: Dataset) -> Mapping[str, Any]:
    kept = state.remembered(
        "export.split", {"on": False, "shares": DEFAULT_SHARES, "group": None, "stratify": "category", "seed": 0}
    )
    on = st.checkbox("A file for each split", kept["on"], key="export.split_on")
    if not on:
        state.remember("export.split", kept | {"on": False})
        return {}
    near = current(workspace, "duplicates") is not None
    columns = group_columns(data)
    groups = [*([NEAR] if near else []), PROMPT, *columns]
    first = [one for one in (kept["group"] or ([NEAR] if near else [PROMPT])) if one in groups]
    shares = st.text_input("Shares, in percent", kept["shares"], key="export.split_shares")
    group = st.multiselect(
        "What stays in one split", groups, first, format_func=lambda one: short(grouping_title(one), 60), key="export.split_group",
        help="Records that share any of these never stand on two sides, so that nothing leaks. Near-duplicates need that step.",
    )  # fmt: skip
    strata = ["", *columns]
    stratify = st.selectbox(
        "Each split has the mix of", strata, index=strata.index(kept["stratify"]) if kept["stratify"] in strata else 0,
        format_func=lambda one: short(grouping_title(one), 60) if one else "nothing in particular", key="export.split_by",
    )  # fmt: skip
    seed = int(st.number_input("Seed", 0, 2**31, kept["seed"], key="export.split_seed"))
    state.remember("export.split", {"on": True, "shares": shares, "group": group, "stratify": stratify, "seed": seed})
    return {"split": Splitting(parse_shares(shares), tuple(group), stratify, seed)}


def _preflight(workspace: Workspace, choice: Choice, to: str) -> Mapping[str, Any]:
    left, right = st.columns(2)
    limit = left.number_input(
        "Most tokens of a record", 1, 10_000_000, LIMITS[to], key=f"export.limit.{to}",
        help="The default is the trainer's own. What it does with longer records stands below.",
    )  # fmt: skip
    limit = int(limit)
    tokenizer = right.text_input(
        "Count with this tokenizer", state.remembered("export.tokenizer", ""), key="export.tokenizer",
        placeholder="an estimate without", help="The path of a tokenizer.json on this machine, or of the folder that holds it.",
    ).strip()  # fmt: skip
    state.remember("export.tokenizer", tokenizer)
    asked = (to, limit, tokenizer, choice.mark, choice.corrections)
    found = state.remembered("export.checked", None)
    if len(choice.ids) > AT_ONCE:
        st.caption(
            f"Checked while it is written: {len(choice.ids):,} records are too many to wait for here. "
            "`python -m core preflight` tells beforehand."
        )
    elif st.button(f"Check {len(choice.ids):,} records", key="export.check"):
        with st.spinner("Checking…"):
            ids = None if choice.subset else choice.ids
            found = (asked, check(workspace, to, choice.subset, ids, choice.corrections, limit, tokenizer or None))
        state.remember("export.checked", found)
    if found and found[0] == asked:
        _findings(found[1])
    kept = state.remembered("export.leave_out", False)
    leave_out = st.checkbox(
        "Leave out what would be refused or dropped", kept, key="export.leave_out",
        help="The manifest names every record that was left out. Otherwise one such record stops the export.",
    )  # fmt: skip
    state.remember("export.leave_out", leave_out)
    lost = len(found[1].lost) if found and found[0] == asked else None
    return {"leave_out": leave_out, "limit": limit, "tokenizer": tokenizer or None, "lost": lost}


def _findings(found: Preflight) -> None:
    if not found.findings:
        st.markdown(f":green[:material/check_circle:] Nothing to say against any of {found.records:,} records.")
    else:
        st.markdown(f"**{len(found.lost):,} of {found.records:,} records** would be refused or dropped.")
        st.dataframe(
            {
                "finding": [one.title for one in found.findings],
                "records": [len(one.ids) for one in found.findings],
                "what happens": [EFFECTS[one.effect] for one in found.findings],
                "for example": [short(one.details[0], 120) for one in found.findings],
            },
            hide_index=True, width="stretch",
        )  # fmt: skip
    st.caption(literal(f"Tokens: {found.counted}; the longest record has {found.longest:,}.", 200))
    ids = list(dict.fromkeys(i for one in found.findings for i in one.ids))
    if ids and st.button(
        f"Select these {len(ids):,}" if len(ids) != 1 else "Select this one", key="export.select_found"
    ):
        state.select(ids, f"Found by the preflight for {found.to}")
        st.rerun()
