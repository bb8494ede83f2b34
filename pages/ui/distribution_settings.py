"""Settings of a rebalancing plan, what falls under the practice's minimums, pins, and the holes that collecting should fill."""

import streamlit as st

from core.actions.decisions import open_reviews
from core.actions.rebalancing import balance_settings, minimum_for, protected_ids, set_balance
from core.errors import QuadrantError
from core.review.ledger import ledger, pin_records, undo
from core.steps import current
from core.workspace import Dataset, Workspace
from pages.ui import state
from pages.ui.distribution_view import View
from pages.ui.safe import literal, short


def draw(workspace: Workspace, data: Dataset, view: View) -> None:
    told = balance_settings(workspace)
    columns = st.columns(3)
    ratio = columns[0].number_input(
        "Band: at most × over or under", 1.1, 10.0, float(told["ratio"]), 0.1, key="distribution.ratio"
    )
    per_class = columns[1].number_input("Least records of a category", 0, 100_000, int(told["per_class"]), 5,
                                        key="distribution.per_class", help="The practice asks for 30 to 50.")  # fmt: skip
    per_language = columns[2].number_input("Least records of a language", 0, 1_000_000, int(told["per_language"]), 50,
                                           key="distribution.per_language", help="The practice asks for 500 to 1,000.")  # fmt: skip
    names = view.table["category"]
    before = [c for c in told["more"].get(view.column, ()) if c in names]
    left, right = st.columns([3, 1])
    more = left.multiselect("Oversample on purpose", names, before, key=f"distribution.more.{view.column}",
                            format_func=lambda c: short(c, 60), placeholder="Rare or hard ones",
                            help="Rare or hard cases (compare by difficulty for a band of it) may weigh more than production asks; "
                            "the fewest changes then aim at that.")  # fmt: skip
    weight = right.number_input("× as often", 0.1, 100.0, float(told["weight"]), 0.5, key="distribution.weight")
    values = {"ratio": ratio, "per_class": per_class, "per_language": per_language, "weight": weight,
              "more": {**told["more"], view.column: more}}  # fmt: skip
    if any(told[name] != value for name, value in values.items() if name != "more") or set(more) != set(before):
        try:
            set_balance(workspace, **values)
        except QuadrantError as error:
            st.error(literal(error, 300))
    _pins(workspace, data)


def _pins(workspace: Workspace, data: Dataset) -> None:
    """Records that no plan may take out."""
    store, chosen = open_reviews(workspace), state.selection()
    held = len(protected_ids(workspace, data))
    st.caption(f"{held:,} records are pinned or high stakes: no plan takes them out.")
    reason = f"Pinned: {chosen.title}"[:200] if chosen else ""
    if st.button(
        f"Pin the selection ({len(chosen):,})", key="distribution.pin", disabled=not chosen, icon=":material/keep:"
    ):
        pin_records(store, chosen.ids, reason=reason, by=state.reviewer())
        st.rerun()
    for entry in [e for e in reversed(ledger(store)) if e.action == "pin" and e.undone_by is None][:5]:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"Entry {entry.entry}: {entry.count:,} records. {literal(entry.reason, 120)}")
            st.button("Unpin", key=f"distribution.unpin.{entry.entry}", on_click=undo, args=(store, entry.entry),
                      kwargs={"by": state.reviewer()})  # fmt: skip


def minimums(workspace: Workspace, view: View) -> None:
    """Which values have fewer records than the practice asks for."""
    least = minimum_for(balance_settings(workspace), view.column)
    few = [(c, n) for c, n in zip(view.table["category"], view.table["training"], strict=True) if n < least]
    if few:
        shown = ", ".join(f"{literal(c, 40)} ({n:,})" for c, n in sorted(few, key=lambda one: one[1])[:5])
        lacking = sum(least - n for _, n in few)
        st.caption(
            f":material/info: {len(few):,} of {len(view.table['category']):,} have fewer than {least:,} records: {shown}"
            f"{' …' if len(few) > 5 else ''}. Collecting {lacking:,} would bring all of them there."
        )


def holes(workspace: Workspace) -> None:
    """What the coverage step would collect: a share by category says how many, a hole says of which kind."""
    found = current(workspace, "coverage")
    if found is None or not found.info.get("holes"):
        return
    rows = found.info["holes"][:10]
    st.markdown("**Collect where production has holes**")
    st.dataframe(
        {
            "hole": [short(one["name"], 80) for one in rows],
            "production records": [one["size"] for one in rows],
            "share of production": [100 * one["share"] for one in rows],
            "collect": [one["collect"] for one in rows],
        },
        hide_index=True, width="stretch", column_config={"share of production": st.column_config.NumberColumn(format="%.1f %%")},
    )  # fmt: skip
    more = len(found.info["holes"]) - len(rows)
    st.caption(
        "Topics that production asks for and training hardly reaches."
        + (f" {more:,} more on the Coverage page." if more else "")
    )
    st.page_link("pages/coverage.py", label="See them on the map", icon=":material/scatter_plot:")
