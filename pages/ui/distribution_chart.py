"""Bars, contributions and the table of a comparison; a category chosen there becomes a selection of records."""

import math

import numpy as np
import streamlit as st

from core.figures.charts import Colours
from pages.ui import palette, state
from pages.ui.distribution_view import MOST, View
from pages.ui.safe import literal, short
from pages.ui.tables import pager

DRAWN = 20  # categories that are drawn; those that contribute the most when there are more
WORDS = {
    "over": "over-represented",
    "under": "under-represented",
    "missing": "missing in training",
    "unasked": "not in production",
    "": "",
}


def colours() -> Colours:
    dark = st.context.theme.type == "dark"
    training, production, *rest = palette.categorical(8, dark)
    return Colours(training=training, production=production, categories=tuple([training, production, *rest]))


def charts(view: View) -> list[str]:
    """Bars of shares and of contributions; returns the categories clicked in the bars."""
    from core.figures.charts import category_bars, contributions

    rows = list(range(len(view.table["category"])))
    value = view.table["contribution_smoothed"]
    endless = "kl" in view.info["infinite"]
    if len(rows) > DRAWN:
        rows = sorted(sorted(rows, key=lambda r: -abs(value[r]))[:DRAWN])
        st.caption(
            f"Drawn are the {DRAWN} of {len(value):,} categories that contribute the most to KL; the table below holds all of them."
        )
    part = {name: [values[r] for r in rows] for name, values in view.table.items()}
    left, right = st.columns([3, 2], gap="medium")
    config = {"displayModeBar": False}
    with left:
        st.markdown("**Shares**")
        figure = category_bars(
            part["category"], part["training_share"], part["production_share"], part["flag"], colours(), as_given=True
        )
        event = st.plotly_chart(
            figure, theme="streamlit", config=config, key=f"distribution.bars.{view.column}", on_select="rerun",
            selection_mode="points",
        )  # fmt: skip
        ratio = view.info["flag_ratio"]
        st.caption(
            f"▲ ▼ more than {ratio:g}× over or under its share of production (exactly {ratio:g}× is not flagged). "
            "Click a bar to pick its records."
        )
    with right:
        st.markdown("**What each adds to KL**")
        figure = contributions(
            view.table["category"], value if endless else view.table["contribution"], colours(), DRAWN
        )
        st.plotly_chart(figure, theme="streamlit", config=config, key=f"distribution.contributions.{view.column}")
        st.caption(
            "Positive: production asks for more of it than training has. "
            + (
                "Smoothed, as the plain values are infinite; the sum is the smoothed KL."
                if endless
                else "The sum is KL."
            )
        )
    clicked = {int(round(point["y"])) for point in event.selection.points}
    return [part["category"][row] for row in sorted(clicked) if row < len(rows)]


def alone(view: View) -> list[str]:
    """Training without production: counts, and how uneven they are; returns the categories ticked in the table."""
    from core.figures.charts import category_bars

    names, counts = view.table["category"], view.table["training"]
    total = sum(counts)
    if not total:
        return []
    shares = [n / total for n in counts]
    entropy = -math.fsum(p * math.log(p) for p in shares if p)
    places = st.columns(4)
    places[0].metric("Categories", f"{len(names):,}")
    places[1].metric("Largest", f"{max(shares):.1%}", help="Share of the most frequent one.")
    places[2].metric(
        "Largest to smallest", f"{max(counts) / min(n for n in counts if n):,.1f}×", help="Imbalance: ratio of counts."
    )
    places[3].metric(
        "Effective number", f"{math.exp(entropy):,.1f}",
        help="exp of the entropy: so many equally large categories would be as varied.",
    )  # fmt: skip
    few = [name for name, n in zip(names, counts, strict=True) if n < 30]
    if few:
        st.caption(
            f"{len(few):,} of {len(names):,} categories have fewer than 30 records, too few to learn or to audit alone."
        )
    if len(names) > 1:
        cut = min(len(names), DRAWN)
        figure = category_bars(names[:cut], shares[:cut], [], (), colours(), as_given=True)
        st.plotly_chart(
            figure, theme="streamlit", config={"displayModeBar": False}, key=f"distribution.alone.{view.column}"
        )
        if cut < len(names):
            st.caption(f"The {cut} largest of {len(names):,}.")
    return _picked(view, {"training": counts, "training share": [100 * share for share in shares]})


def table(view: View) -> list[str]:
    """Every category with its numbers; returns those that are ticked."""
    t = view.table
    columns = {
        "training": t["training"],
        "training share": [100 * share for share in t["training_share"]],
        "production": t["production"],
        "production share": [100 * share for share in t["production_share"]],
        "ratio": [r if math.isfinite(r) else None for r in t["ratio"]],
        "verdict": [WORDS[f] for f in t["flag"]],
        "adds to KL": [c if math.isfinite(c) else None for c in t["contribution"]],
        "keep": t["keep"],
        "add": t["add"],
    }
    if view.info["production"] is None:
        del columns["production"]
    if "kl" in view.info["infinite"]:
        columns["adds, smoothed"] = t["contribution_smoothed"]
    return _picked(view, columns)


def _picked(view: View, columns: dict[str, list]) -> list[str]:
    every = view.table["category"]
    here = pager(len(every), f"distribution.page.{view.column}", MOST, "Values")
    names = every[here]
    columns = {name: values[here] for name, values in columns.items()}
    number = st.column_config.NumberColumn
    chosen = st.dataframe(
        {"category": [short(n, 80) for n in names], **columns},
        hide_index=True, width="stretch", on_select="rerun", selection_mode="multi-row",
        placeholder="∞", key=f"distribution.table.{view.column}.{len(every)}.{here.start}",
        column_config={
            **{name: number(format="localized") for name in ("training", "production", "keep", "add")},
            **{name: number(format="%.2f%%") for name in ("training share", "production share")},
            "ratio": number(format="%.2f×", help="Training share over production share; infinite where production has none."),
            "adds to KL": number(format="%+.4f", help="Nats; infinite where training lacks what production asks for."),
            "adds, smoothed": number(format="%+.4f"),
            "keep": number(format="localized", help="Left when only removing, to reach production's shares."),
            "add": number(format="localized", help="To collect when only adding, to reach production's shares."),
        },
    ).selection.rows  # fmt: skip
    return [names[row] for row in chosen if row < len(names)]


def offer(view: View, title: str, chosen: list[str], labels) -> None:
    """Turn the chosen categories into a selection of their training records. `labels()` gives what each record counts under."""
    if not chosen:
        st.caption("Tick categories in the table to pick their records.")
        return
    wanted = set(chosen)
    counts = dict(zip(view.table["category"], view.table["training"], strict=True))
    count = sum(counts[name] for name in wanted)
    shown = ", ".join(short(name, 40) for name in chosen[:3]) + (
        f" and {len(chosen) - 3} more" if len(chosen) > 3 else ""
    )
    left, right = st.columns([1, 3], vertical_alignment="center")
    right.caption(f"{literal(title)}: {literal(shown)}")
    if left.button(
        f"Select their records ({count:,})",
        disabled=not count,
        key="distribution.select",
        width="stretch",
    ):
        data = state.workspace().need()
        counted = np.fromiter((label in wanted for label in labels()), bool, data.count)
        state.select(data.index.names.at(np.flatnonzero(counted)), f"{title}: {shown}")
        st.rerun()
