"""Do labels differ by annotator or over time? The share in doubt of each group, with its interval and tests."""

import numpy as np
import pyarrow.compute as pc
import streamlit as st

from core.actions.frame import has_values
from core.dataset.columns import FIELD_PREFIX
from core.errors import QuadrantError
from core.quality import drift
from core.workspace import Dataset, Result
from pages.ui import palette
from pages.ui.safe import literal, short

ORDER = "Order of the file"


@st.cache_data(max_entries=8, show_spinner=False)
def _ways(digest: str, column: str, _data: Dataset) -> dict[str, str]:
    """{column: title} of what records can be grouped by: people first, then moments, then the order of the file."""
    found = {}
    for name in ("annotator", *(c for c in _data.columns if c.startswith(FIELD_PREFIX))):
        if name == column or name not in _data.columns or not has_values(_data, name):
            continue
        values = _data.column(name)
        distinct = pc.count_distinct(values, mode="only_valid").as_py()
        timed = drift.periods(values.slice(0, 2000).to_pylist()) is not None
        if distinct >= 2 and (timed or distinct * drift.LEAST <= len(values)):
            found[name] = name.removeprefix(FIELD_PREFIX) + (" (over time)" if timed and name != "annotator" else "")
    return found | {"": ORDER}


@st.cache_resource(max_entries=8, show_spinner="Comparing groups…")
def _found(path: str, by: str, mask: bytes, _data: Dataset, _result: Result) -> drift.Drift | str:
    kept = np.frombuffer(mask, dtype=bool)
    table = _result.table(["given", "flagged", "self_confidence"])
    judged = kept & np.asarray(table["self_confidence"].is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    order = None
    if not by:
        groups, order = drift.positions(_data.count)
    else:
        groups = _data.column(by).to_pylist()
        if by != "annotator" and (timed := drift.periods(groups)):
            groups, order = timed
    flagged = np.asarray(table["flagged"].to_numpy(zero_copy_only=False), dtype=bool)
    try:
        return drift.drift(groups, flagged, table["given"].to_pylist(), judged, order)
    except QuadrantError as error:
        return str(error)


def draw(data: Dataset, result: Result, kept: np.ndarray) -> None:
    ways = _ways(data.digest, str(result.info["column"]), data)
    by = st.selectbox(
        "Compare labels by", list(ways), format_func=lambda name: short(ways[name], 60), key="labels.drift.by"
    )
    found = _found(str(result.path), by, kept.tobytes(), data, result)
    if isinstance(found, str):
        st.info(literal(found, 300))
        return
    st.markdown(_verdict(found))
    _chart(found)
    st.dataframe(
        {
            "group": [short(g.name, 60) for g in found.groups],
            "judged": [g.judged for g in found.groups],
            "in doubt": [g.doubted for g in found.groups],
            "expected": [round(g.expected, 1) for g in found.groups],
            "share in doubt": [100 * g.share for g in found.groups],
            "p, raised": [g.p_holm for g in found.groups],
            "labels apart (bits)": [g.mix for g in found.groups],
            "p of labels, raised": [g.p_mix_holm for g in found.groups],
        },
        hide_index=True, width="stretch", key=f"labels.drift.table.{by}",
        column_config={
            "expected": st.column_config.NumberColumn(help="Doubts among as many records with the same labels, at everybody's rate."),
            "share in doubt": st.column_config.NumberColumn(format="%.1f %%"),
            "p, raised": st.column_config.NumberColumn(format="%.4f", help="Fisher's exact test against all others, after Holm."),
            "labels apart (bits)": st.column_config.NumberColumn(format="%.4f", help="Jensen–Shannon divergence."),
            "p of labels, raised": st.column_config.NumberColumn(format="%.4f", help="Chi-squared test, after Holm."),
        },
    )  # fmt: skip
    left = (
        f" {found.left_out:,} groups are too small (under {drift.LEAST} judged records) or too many to compare."
        if found.left_out
        else ""
    )
    st.caption(
        f"{found.tests:,} groups are {found.tests:,} tests of each kind: Holm's method raises every p so that all of them together "
        f"raise a false alarm in at most 5 of 100 sets. Bars show 95 % Wilson intervals. A doubt is the classifier's, not a finding; "
        f"a group with harder records has more of them.{left}"
    )


def _verdict(found: drift.Drift) -> str:
    apart = [g for g in found.groups if g.p_holm < 0.05]
    said = (
        "**No group stands out** in its share of doubtful labels."
        if not apart
        else f"**{len(apart):,} of {found.tests:,} groups stand out**: "
        + ", ".join(f"{literal(g.name, 40)} ({g.share:.1%}, {g.low:.1%} to {g.high:.1%})" for g in apart[:4])
        + "."
    )
    if found.p_all is not None:
        differ = " they differ, though:" if not apart and found.p_all < 0.05 else ""
        said += f" Over all groups{differ} p {_p(found.p_all)}."
    if found.ordered and found.p_trend is not None:
        said += f" Trend: {100 * found.slope:+.2f} points from one to the next, p {_p(found.p_trend)}."
    return said


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _chart(found: drift.Drift) -> None:
    from core.figures.charts import plain, plot

    dark = st.context.theme.type == "dark"
    first, second = palette.categorical(2, dark)[:2]
    groups = found.groups[:25]
    figure = plot(90 + 26 * len(groups))
    at = list(range(len(groups)))
    figure.add_scatter(
        x=[100 * g.share for g in groups], y=at, mode="markers", marker={"size": 9, "color": first},
        error_x={"type": "data", "symmetric": False, "array": [100 * (g.high - g.share) for g in groups],
                 "arrayminus": [100 * (g.share - g.low) for g in groups], "color": first},
        name="in doubt", hovertemplate="%{x:.1f} %<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=[100 * g.expected / g.judged for g in groups], y=at, mode="markers", name="expected from its labels",
        marker={"size": 11, "symbol": "line-ns-open", "color": second, "line": {"width": 2}},
        hovertemplate="%{x:.1f} %<extra></extra>",
    )  # fmt: skip
    figure.update_yaxes(
        tickmode="array", tickvals=at, ticktext=[plain(g.name, 28) for g in groups], autorange="reversed"
    )
    figure.update_xaxes(title="labels in doubt (%)", rangemode="tozero")
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.08, "x": 0})
    st.plotly_chart(figure, theme="streamlit", config={"displayModeBar": False}, key="labels.drift.chart")
    if len(found.groups) > len(groups):
        st.caption(f"Drawn are the first {len(groups)} of {len(found.groups):,} groups; the table holds all.")
