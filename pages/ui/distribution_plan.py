"""What would bring training to production's shares: by removing, by collecting, or by the fewest changes into the band."""

import streamlit as st

from core.actions.rebalancing import balance_settings, band_plan, downsample
from core.errors import QuadrantError
from core.steps import current
from core.workspace import Dataset, Workspace
from pages.ui import distribution_settings, state
from pages.ui.distribution_view import View, labels
from pages.ui.safe import literal, short

REMOVE, ADD, BAND = "Remove only", "Collect only", "Fewest changes"
SEED = 0


def show(workspace: Workspace, data: Dataset, view: View, title: str) -> None:
    st.subheader("Rebalancing plan")
    st.markdown(
        "The counts that give training the shares of production. A plan, not a duty: rare and hard cases may be "
        "oversampled on purpose."
    )
    way = st.segmented_control(
        "Plan",
        [REMOVE, ADD, BAND],
        default=REMOVE,
        key="distribution.plan",
        required=True,
        label_visibility="collapsed",
    )
    if st.toggle("Settings: band, minimums, deliberate oversampling, pins", key="distribution.settings"):
        with st.container(border=True):
            distribution_settings.draw(workspace, data, view)
    if way == REMOVE:
        _removing(workspace, data, view, title)
    elif way == ADD:
        _adding(view)
    else:
        _band(workspace, data, view, title)
    distribution_settings.minimums(workspace, view)
    if way != REMOVE:
        distribution_settings.holes(workspace)


def _band(workspace: Workspace, data: Dataset, view: View, title: str) -> None:
    """The fewest removals and additions after which no category is over or under by more than the band."""
    told = balance_settings(workspace)
    ways = st.segmented_control("May", ["remove", "collect"], default=["remove", "collect"], selection_mode="multi",
                                key="distribution.band.ways", format_func=str.capitalize)  # fmt: skip
    if not ways:
        st.caption("Allow removing, collecting, or both.")
        return
    table = view.table
    try:
        found = band_plan(
            workspace, data, labels(workspace, data, view.column, view.standing), table["category"], table["training"],
            table["production_share"], view.column, "remove" in ways, "collect" in ways,
        )  # fmt: skip
    except QuadrantError as error:
        st.info(literal(error, 300))
        return
    x, n = found.counts.tolist(), table["training"]
    total, then = sum(n), sum(x)
    st.markdown(
        f"**{_records(found.changes)}** change: remove {found.removed:,}, collect {found.added:,}; {total:,} become {then:,}."
        if found.changes
        else f"**Nothing has to change**: every category lies within {told['ratio']:g}× of its share."
    )
    more = [c for c in told["more"].get(view.column, ()) if c in table["category"]]
    aim = (
        f" {_listed(more)} {'is' if len(more) == 1 else 'are'} aimed at {told['weight']:g}× as often as production asks, on purpose."
        if more
        else ""
    )
    st.caption(
        f"The least number of changes after which each share lies within {told['ratio']:g}× of production's; minimums and pinned or "
        f"high-stakes records come before the band. Exact, not a heuristic.{aim}"
    )
    rows = [i for i in range(len(n)) if n[i] or x[i]]
    share = table["production_share"]
    _table(
        {
            "category": [short(table["category"][i], 80) for i in rows],
            "now": [n[i] for i in rows],
            "remove": [max(n[i] - x[i], 0) for i in rows],
            "collect": [max(x[i] - n[i], 0) for i in rows],
            "then": [x[i] for i in rows],
            "ratio then": [round(x[i] / then / share[i], 2) if share[i] and then else None for i in rows],
        }
    )
    if found.removed:
        _keep(workspace, data, view, {c: min(a, b) for c, a, b in zip(table["category"], x, n, strict=True)},
              f"In band of production by {title.lower()}")  # fmt: skip
    _done()


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
        f"Near-duplicates and records that failed an audit go first, then {by}. Records removed in the ledger never stay, "
        "pinned and high-stakes ones never go, and others without a value here are left out. Nothing is removed yet."
    )
    if keep:
        counts = {r["category"]: r["keep"] for r in rows}
        _keep(workspace, data, view, counts, f"Downsampled to production by {title.lower()}")
    _done()


def _keep(workspace: Workspace, data: Dataset, view: View, counts: dict[str, int], title: str) -> None:
    keep = sum(counts.values())
    if st.button(
        f"Select what stays: {_records(keep)}", type="primary", key="distribution.keep", icon=":material/filter_alt:"
    ):
        found = downsample(workspace, data, labels(workspace, data, view.column, view.standing), counts, SEED)
        state.select(found.ids, title)
        first = f"{found.faulty:,} near-duplicates or failed records went first"
        lacking = (
            f"; {sum(found.short.values()):,} fewer than planned, as the ledger removed too many" if found.short else ""
        )
        safe = f"; {found.protected:,} more than planned, as they are pinned or high stakes" if found.protected else ""
        state.remember("distribution.done", f"{len(found.ids):,} records selected; {first}{lacking}{safe}.")
        st.rerun()


def _done() -> None:
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
            column_config={name: whole for name in ("now", "keep", "remove", "add", "collect", "then")},
        )  # fmt: skip


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count:,} records"


def _listed(names: list[str], most: int = 4) -> str:
    shown = ", ".join(literal(n, 40) for n in names[:most])
    return shown + (f" and {len(names) - most:,} more" if len(names) > most else "")
