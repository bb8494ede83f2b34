"""One metric of the scorecard over time, with its interval, a point for each moment at which it said something new."""

import streamlit as st

from core.actions.version_history import cards
from core.quality.scorecard_targets import TITLES, targets_of
from core.workspace import Workspace
from pages.ui import palette, state
from pages.ui.safe import short

MOST = 60  # points on the chart


def draw(workspace: Workspace) -> None:
    from core.figures import charts as figures

    every = cards(workspace)
    names = [name for name in TITLES if any(name in one.metrics for one in every)]
    if not names:
        st.caption(
            "No scorecard was kept yet. One is kept whenever an analysis ends or the scorecard says something new."
        )
        return
    kept = state.remembered("versions.metric", names[0])
    metric = st.selectbox("Metric", names, index=names.index(kept) if kept in names else 0, format_func=lambda n: TITLES[n][0],
                          key="versions.metric")  # fmt: skip
    state.remember("versions.metric", metric)
    shown = every[-MOST:]
    values = [_number(one, metric, "value") for one in shown]
    own = {k: tuple(v) for k, v in workspace.settings().get("targets", {}).items()}
    target = targets_of(own)[metric]
    dark = st.context.theme.type == "dark"
    colours = figures.Colours(training=palette.categorical(1, dark)[0])
    figure = figures.history(
        [f"{one.at[:16].replace('T', ' ')} · {short(one.name, 30)} · {one.records - one.removed:,} records" for one in shown],
        values, [_number(one, metric, "low") for one in shown], [_number(one, metric, "high") for one in shown],
        target.value if target else None, TITLES[metric][2] == "share", colours,
    )  # fmt: skip
    figure.update_xaxes(ticktext=[one.at[5:16].replace("T", " ") for one in shown])
    st.plotly_chart(figure, theme="streamlit", config={"displayModeBar": False}, key="versions.history")
    note = f"The newest {MOST} of {len(every):,} moments. " if len(every) > MOST else ""
    st.caption(
        f"{note}Each point is of the set as it stood then, under its removals, changed labels and corrected responses. "
        "The band is the interval of the scorecard, the dashed line the target. A gap: unknown then, or infinite."
    )
    st.dataframe(
        {
            "at (UTC)": [one.at[:16].replace("T", " ") for one in reversed(shown)],
            "file": [short(one.name, 40) for one in reversed(shown)],
            "digest": [one.digest[:12] for one in reversed(shown)],
            "records": [one.records for one in reversed(shown)],
            "removed": [one.removed for one in reversed(shown)],
            "relabelled": [one.relabelled for one in reversed(shown)],
            "corrected": [one.corrected for one in reversed(shown)],
            TITLES[metric][0]: [one.metrics.get(metric, {}).get("shown", "–") for one in reversed(shown)],
            "verdict": [one.metrics.get(metric, {}).get("verdict", "unknown") for one in reversed(shown)],
        },
        hide_index=True, width="stretch",
    )  # fmt: skip


def _number(card, metric: str, part: str) -> float | None:
    value = card.metrics.get(metric, {}).get(part)
    return value if isinstance(value, (int, float)) else None
