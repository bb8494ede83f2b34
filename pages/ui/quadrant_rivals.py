"""Every strategy at the same budget: what each picks, and what any two have in common."""

import numpy as np
import streamlit as st

from core.actions.picks import expected_jaccard
from core.influence.selection.strategies import STRATEGIES, Selection
from core.workspace import Workspace
from pages.ui import jobs, quadrant_picks
from pages.ui.quadrant_data import View
from pages.ui.safe import literal


def table(workspace: Workspace, seen: View, found: Selection, others: dict[str, Selection]) -> None:
    """One row a strategy; `others` holds this pick as well."""
    count = len([c for c in seen.categories if c])
    mine = set(found.rows.tolist())
    rows: dict[str, list] = {}
    for name, one in others.items():
        if not len(one.rows):
            continue
        told = quadrant_picks.described(workspace, seen, one)
        both = len(mine & set(one.rows.tolist()))
        facts = {
            "strategy": STRATEGIES[name].title + (" (this pick)" if name == found.strategy else ""),
            "overlap": 100 * both / max(1, len(mine) + len(one.rows) - both),
            "influence": mean(seen.frame.influence, one.rows),
            "difficulty": mean(seen.frame.difficulty, one.rows),
            "words": float(np.median(seen.frame.length[one.rows])),
            "categories": f"{told['categories']} of {count}" if count > 1 else None,
            "kl": told["kl"],
            "coverage": 100 * told["coverage"] if told["coverage"] is not None else None,
            "vendi": told["vendi"],
        }
        for key, value in facts.items():
            rows.setdefault(key, []).append(value)
    st.markdown("**The same budget by every strategy**")
    config = st.column_config
    st.dataframe(
        {k: v for k, v in rows.items() if any(x is not None for x in v)}, hide_index=True, width="stretch",
        height="content", key="quadrant.rivals",
        column_config={
            "strategy": config.TextColumn("Strategy", width=300),
            "overlap": config.ProgressColumn(
                "Overlap", help="Jaccard: records in both picks, of those in either.", format="%.0f %%", min_value=0, max_value=100
            ),
            "influence": config.NumberColumn("Mean influence", format="%.4f"),
            "difficulty": config.NumberColumn("Mean difficulty", format="%.3f"),
            "words": config.NumberColumn("Words", format="%.0f", help="Median length of the responses."),
            "categories": config.TextColumn("Categories", help="How many categories it reaches."),
            "kl": config.NumberColumn("KL", format="%.3f", help="KL(production || pick) over the categories, nats; half a record "
            "is added "
                                      "to each category of the pick. 0: production's mix."),
            "coverage": config.NumberColumn("Covers", format="%.0f %%", help="Share of production with a picked record closer "
            "than its "
                                            "5th nearest other production text (Naeem et al. 2020)."),
            "vendi": config.NumberColumn("Diversity", format="%.1f", help="Vendi score: as many wholly different records as this."),
        },
    )  # fmt: skip
    st.caption(literal(_said(workspace, seen, found), 900))
    st.page_link("pages/proof.py", label="Does it help here? Train on these and see", icon=":material/science:")


def _said(workspace: Workspace, seen: View, found: Selection) -> str:
    size = len(found.rows)
    chance = expected_jaccard(len(seen.frame.ids), size, size)
    lines = [f"Two independent random picks of this size overlap by {100 * chance:.1f} % on average."]
    if seen.frame.influence is not None:
        lines.append("A high mean influence is what a strategy ranked by, no proof that it trains better.")
    reach = quadrant_picks.reached(workspace, seen)
    if reach is not None and reach.sampled:
        lines.append(
            f"Coverage is measured on a sample of {len(reach.weights):,} of {reach.distinct:,} production texts."
        )
    sample = quadrant_picks.described(workspace, seen, found)["vendi_sample"] if size else None
    if sample:
        lines.append(f"Diversity is measured on {sample:,} records of each pick by chance.")
    return " ".join(lines)


def pairs(seen: View, others: dict[str, Selection]) -> None:
    """The overlap of every two picks."""
    picks = {n: p for n, p in others.items() if len(p.rows)}
    if len(picks) < 2:
        return
    if st.toggle("Overlap of every pair", key="quadrant.show_pairs"):
        found = quadrant_picks.overlap_table(seen, picks)
        shown: dict[str, list] = {"strategy": [STRATEGIES[n].title for n in picks]}
        shown |= {n: [100 * float(v) for v in found[:, i]] for i, n in enumerate(picks)}
        cell = st.column_config.NumberColumn
        st.dataframe(
            shown, hide_index=True, width="stretch", height="content", key="quadrant.pairs",
            column_config={"strategy": st.column_config.TextColumn("Strategy", width=300)}
            | {n: cell(n, format="%.0f %%", help=STRATEGIES[n].title) for n in picks},
        )  # fmt: skip
        st.caption("Records in both picks, of those in either (Jaccard).")


def waiting(names: list[str], budget: int, seed: int) -> None:
    """Strategies that take too long for a page: offered as jobs."""
    if not names:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            "At this size these take a job of their own; the order they find is kept and serves every smaller budget."
        )
        for name in names:
            if st.button(STRATEGIES[name].title, key=f"quadrant.order.{name}"):
                jobs.launch(
                    ["select", "--strategy", name, "--budget", str(budget), "--seed", str(seed)], f"Pick by {name}"
                )


def mean(values: np.ndarray | None, rows: np.ndarray) -> float | None:
    if values is None:
        return None
    some = np.asarray(values, float)[rows]
    some = some[np.isfinite(some)]
    return float(some.mean()) if len(some) else None
