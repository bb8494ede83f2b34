"""What would bring training to production's shares: by removing only, or by adding only."""

import streamlit as st

from core.rebalancing import downsample
from core.steps import current
from core.workspace import Dataset, Workspace
from pages.ui import state
from pages.ui.distribution_view import View, labels
from pages.ui.safe import literal, short

REMOVE, ADD = "Remove only", "Add only"
SEED = 0


def show(workspace: Workspace, data: Dataset, view: View, title: str) -> None:
    st.subheader("Rebalancing plan")
    st.markdown(
        "The counts that give training the shares of production. A plan, not a duty: rare and hard cases may be "
        "oversampled on purpose."
    )
    way = st.segmented_control(
        "Plan", [REMOVE, ADD], default=REMOVE, key="distribution.plan", required=True, label_visibility="collapsed"
    )
    if way == REMOVE:
        _removing(workspace, data, view, title)
    else:
        _adding(view)


def _rows(view: View) -> list[dict]:
    names = ("category", "training", "production_share", "ratio", "keep", "add")
    return [dict(zip(names, values, strict=True)) for values in zip(*(view.table[n] for n in names), strict=True)]


def _removing(workspace: Workspace, data: Dataset, view: View, title: str) -> None:
    rows = _rows(view)
    keep, total = sum(r["keep"] for r in rows), view.info["training"]
    able = [r for r in rows if r["keep"] or (r["training"] and r["production_share"])]
    st.markdown(f"Keeps **{keep:,} of {total:,}** records and removes {total - keep:,}.")
    if able:
        least = min(able, key=lambda r: r["ratio"])
        st.caption(
            f"Limited by {literal(least['category'], 60)}: {_records(least['training'])} for {least['production_share']:.1%} of "
            "production."
            + (" Removing alone costs most of the set, so adding is the better way here." if keep < total / 2 else "")
        )
    if view.info["missing"]:
        st.caption(f"Training has no record of {_listed(view.info['missing'])}; removing cannot mend that.")
    if view.info["unasked"]:
        st.caption(f"Production never asks for {_listed(view.info['unasked'])}; all of it goes in this plan.")
    _table(
        {
            "category": [short(r["category"], 80) for r in rows if r["training"]],
            "now": [r["training"] for r in rows if r["training"]],
            "keep": [r["keep"] for r in rows if r["training"]],
            "remove": [r["training"] - r["keep"] for r in rows if r["training"]],
        }
    )
    by = (
        "the records of lowest influence"
        if current(workspace, "influence")
        else "a random draw (influence is not computed)"
    )
    st.caption(
        f"Near-duplicates and records that failed an audit go first, then {by}. Records removed in the ledger never stay, and "
        "records without a value here are left out. Nothing is removed yet: this makes a selection."
    )
    if keep and st.button(
        f"Select what stays: {_records(keep)}", type="primary", key="distribution.keep", icon=":material/filter_alt:"
    ):
        counts = {r["category"]: r["keep"] for r in rows}
        found = downsample(workspace, data, labels(workspace, data, view.column), counts, SEED)
        state.select(found.ids, f"Downsampled to production by {title.lower()}")
        first = f"{found.faulty:,} near-duplicates or failed records went first"
        lacking = (
            f"; {sum(found.short.values()):,} fewer than planned, as the ledger removed too many" if found.short else ""
        )
        state.remember("distribution.done", f"{len(found.ids):,} records selected; {first}{lacking}.")
        st.rerun()
    if said := state.remembered("distribution.done", ""):
        st.success(literal(said, 300), icon=":material/check:")
        state.remember("distribution.done", "")


def _adding(view: View) -> None:
    rows = _rows(view)
    add, total = sum(r["add"] for r in rows), view.info["training"]
    st.markdown(f"Collect **{_records(add)}**: {total:,} become {total + add:,}.")
    asked = [r for r in rows if r["production_share"]]
    most = max(asked, key=lambda r: r["ratio"])
    st.caption(
        f"Set by {literal(most['category'], 60)}, the most over-represented: {_records(most['training'])} for "
        f"{most['production_share']:.1%} of production."
    )
    if view.info["missing"]:
        st.caption(f"New in training: {_listed(view.info['missing'])}.")
    if view.info["unasked"]:
        st.caption(f"Production never asks for {_listed(view.info['unasked'])}; adding cannot mend that, so it stays.")
    wanted = [r for r in rows if r["add"]]
    if not wanted:
        st.caption("Nothing is missing: every category has its share.")
        return
    _table(
        {
            "category": [short(r["category"], 80) for r in wanted],
            "now": [r["training"] for r in wanted],
            "add": [r["add"] for r in wanted],
            "then": [r["training"] + r["add"] for r in wanted],
        }
    )


def _table(columns: dict[str, list]) -> None:
    whole = st.column_config.NumberColumn(format="localized")
    with st.expander("Numbers by category"):
        st.dataframe(
            columns, hide_index=True, width="stretch",
            column_config={name: whole for name in ("now", "keep", "remove", "add", "then")},
        )  # fmt: skip


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count:,} records"


def _listed(names: list[str], most: int = 4) -> str:
    shown = ", ".join(literal(n, 40) for n in names[:most])
    return shown + (f" and {len(names) - most:,} more" if len(names) > most else "")
