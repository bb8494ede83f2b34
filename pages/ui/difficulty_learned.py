"""Learning difficulty from ratings, and what the learned model is worth on ratings it has not seen."""

import numpy as np
import streamlit as st

from core.actions.frame import has_values
from core.actions.rating import learned, prepare_training, ratings_here, since
from core.errors import QuadrantError
from core.influence.difficulty.rated import LEAST
from core.steps import current
from core.workspace import Dataset, Result, Workspace
from pages.ui import jobs, state
from pages.ui.safe import literal, short

OF = {"people": "by people", "llm": "by a language model", "column": "in the file"}


def panel(workspace: Workspace, data: Dataset) -> None:
    """Train on what is rated now; then the measures, the calibration and what the model looks at."""
    given = ratings_here(workspace, data)
    sources = {"people": f"People's ratings ({len(given):,})"}
    if current(workspace, "llm_difficulty") is not None:
        sources["llm"] = "The language model's ratings"
    if has_values(data, "difficulty"):
        sources["column"] = "The difficulty column of the file"
    kept = state.remembered("quadrant.learn_from", "people")
    left, right = st.columns([3, 1.4], vertical_alignment="bottom")
    source = left.selectbox(
        "Learn from", list(sources), index=list(sources).index(kept) if kept in sources else 0, format_func=sources.get,
        key="quadrant.learn_from",
    )  # fmt: skip
    state.remember("quadrant.learn_from", source)
    if right.button("Learn", type="primary", key="quadrant.learn", width="stretch"):
        try:
            prepare_training(workspace, data, source)
        except QuadrantError as error:
            st.error(literal(error, 400))
            return
        jobs.launch(["run", "rated_difficulty"], "Learn difficulty from ratings")
    found = learned(workspace)
    if found is None:
        st.caption(
            f"Nothing is learned for this data yet. From {LEAST} rated records on, an ordinal model over the embeddings and features "
            "that can be checked by eye carries the ratings over to every record."
        )
        return
    new = since(workspace, given) if found.info["source"] == "people" else 0
    if new:
        st.info(
            f"{new:,} ratings are new or changed since this was learned. Learn again to use them.",
            icon=":material/update:",
        )
    _worth(found)
    for warning in found.info["warnings"]:
        st.warning(literal(warning, 500), icon=":material/warning:")
    _inside(found)


def _told(values: list[float | None]) -> str:
    if values[0] is None:
        return "–"
    return f"{values[0]:.2f}" if values[1] is None else f"{values[0]:.2f} ({values[1]:.2f} to {values[2]:.2f})"


def _worth(found: Result) -> None:
    info = found.info
    st.markdown(
        f"**Learned from {info['ratings']:,} ratings** {OF[info['source']]}, judged on {info['judged']:,} of them "
        "by models that had not seen them:"
    )
    st.dataframe(
        {
            "measure": [
                "Quadratic-weighted kappa (1 agreement, 0 chance)", "Rank correlation", "Rank correlation, length held equal",
                "Length alone: rank correlation", "Mean error, levels", "Mean error of always saying the mean",
            ],
            "value (95 % interval)": [
                _told(info["kappa"]), _told(info["spearman"]), _told(info["length_matched"]), _told(info["length_alone"]),
                f"{info['error']:.2f}", f"{info['error_of_the_mean']:.2f}",
            ],
        },
        hide_index=True, width="stretch",
        column_config={
            "measure": st.column_config.TextColumn("Measure", width="large"),
            "value (95 % interval)": st.column_config.TextColumn("Value (95 % interval)"),
        },
    )  # fmt: skip
    st.caption(literal(info["how"], 300) + ".")
    low = info["spearman"][1]
    if low is None or low <= 0:
        st.caption(
            "The interval reaches 0: these ratings do not show yet that the model ranks new records better than chance."
        )


def _inside(found: Result) -> None:
    info = found.info
    blocks = [w for w in info["weights"] if "spread" in w]
    listed = [w for w in info["weights"] if "weight" in w]
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Calibration**")
        st.dataframe(
            {
                "records": [c["records"] for c in info["calibration"]],
                "predicted": [c["predicted"] for c in info["calibration"]],
                "rated": [c["rated"] for c in info["calibration"]],
            },
            hide_index=True, width="stretch",
            column_config={
                "records": st.column_config.NumberColumn("Records"),
                "predicted": st.column_config.NumberColumn("Mean prediction", format="%.2f"),
                "rated": st.column_config.NumberColumn("Mean rating", format="%.2f"),
            },
        )  # fmt: skip
        st.caption("Unseen ratings in groups by predicted level; both columns should be alike.")
        counts = ", ".join(f"{n:,} × {level:g}" for level, n in zip(info["levels"], info["counts"], strict=True))
        st.caption(literal(f"Ratings: {counts}. Levels {info['levels_are']}.", 300))
        sd = np.asarray(found.table(["sd"]).column(0).to_numpy(), float)
        st.caption(f"Median uncertainty of a record's level: {np.median(sd):.2f} levels (standard deviation).")
    with right:
        st.markdown("**What it looks at**")
        st.dataframe(
            {"feature": [short(w["feature"], 80) for w in listed[:12]], "weight": [w["weight"] for w in listed[:12]]},
            hide_index=True, width="stretch",
            column_config={
                "feature": st.column_config.TextColumn("Feature", width="medium"),
                "weight": st.column_config.NumberColumn(
                    "Levels", format="%+.3f", help="By how many levels the score moves for one standard deviation more of it.",
                ),
            },
        )  # fmt: skip
        st.caption(
            f"The {min(12, len(listed))} largest of {len(listed)} text features that vary here. They move the score by "
            f"{blocks[1]['spread']:.2f} levels in all, the embedding ({literal(info['embedding'], 60)}) by "
            f"{blocks[0]['spread']:.2f} (standard deviations). Related features "
            "share their weight, so a single one explains nothing."
        )
