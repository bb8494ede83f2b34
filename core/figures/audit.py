"""Charts of an audit: what its plan can tell apart, and the walk of a sequential one over its boundaries."""

from collections.abc import Sequence

import plotly.graph_objects as go

from core.figures.charts import DEFAULT, Colours, plain, plot
from core.review.curves import Curve
from core.review.sequential import Sprt, Walk


def operating_curve(curve: Curve, found: float | None = None, colours: Colours = DEFAULT) -> go.Figure:
    """Probability to pass by true rate, with both risks marked; `found` is the share of this sample, as a dotted line."""
    figure = plot(320, showlegend=bool(curve.undecided))
    figure.add_scatter(
        x=list(curve.rates), y=list(curve.passing), mode="lines", name="passes", line={"color": colours.training, "width": 2.5},
        hovertemplate="true rate %{x:.1%}: passes with %{y:.1%}<extra></extra>",
    )  # fmt: skip
    if curve.undecided:
        figure.add_scatter(
            x=list(curve.rates), y=list(curve.undecided), mode="lines", name="not decided",
            line={"color": colours.neutral, "width": 1.5, "dash": "dash"},
            hovertemplate="true rate %{x:.1%}: not decided with %{y:.1%}<extra></extra>",
        )  # fmt: skip
    for risk, colour, side in ((curve.producer, colours.good, -1), (curve.consumer, colours.bad, 1)):
        figure.add_shape(
            type="line", x0=risk.rate, x1=risk.rate, y0=1 if side < 0 else 0, y1=risk.passing,
            line={"color": colour, "width": 6}, opacity=0.45,
        )  # fmt: skip
        figure.add_scatter(
            x=[risk.rate], y=[risk.passing], mode="markers+text", marker={"color": colour, "size": 9}, showlegend=False,
            text=[plain(risk.brief)], textposition="top right", textfont={"size": 12}, cliponaxis=False,
            hovertemplate=plain(risk.text) + "<extra></extra>",
        )  # fmt: skip
    if found is not None:
        figure.add_vline(
            x=found, line={"dash": "dot", "width": 1.5, "color": colours.neutral},
            annotation={"text": f"found here {found:.1%}".replace("%", "&#37;"), "yanchor": "bottom", "y": 0.5,
                        "xanchor": "right" if found > 0.7 * max(curve.rates) else "left"},
        )  # fmt: skip
    top = max(curve.rates)
    figure.update_xaxes(
        tickformat=".0%", title={"text": "true share of records with an issue"}, range=[-0.01 * top, top]
    )
    figure.update_yaxes(tickformat=".0%", title={"text": "probability"}, range=[-0.02, 1.04])
    return figure


def walk_over(plan: Sprt, size: int, path: Walk, colours: Colours = DEFAULT) -> go.Figure:
    """The plane of records read and issues found: both boundaries, the walk in the drawn order, and where it first might stop."""
    figure = plot(320)
    ends = [0, size]

    def line(offset: float) -> list[float]:
        return [plan.slope * n + offset for n in ends]

    figure.add_scatter(
        x=ends, y=line(plan.reject), mode="lines", name="systemic problem above", line={"color": colours.bad, "width": 2},
        hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=ends, y=line(plan.accept), mode="lines", name="no systemic problem found below", hoverinfo="skip",
        line={"color": colours.good, "width": 2},
    )  # fmt: skip
    stop = path.stopped or path.judged
    _stairs(figure, path.steps[:stop], 0, "this audit, as drawn", {"color": colours.training, "width": 2.5})
    if path.stopped and path.judged > path.stopped:
        _stairs(
            figure, path.steps[stop - 1 :], stop - 1, "read after the decision",
            {"color": colours.training, "width": 1.5, "dash": "dot"},
        )  # fmt: skip
    if path.judged:
        at = path.stopped or path.judged
        word = {"accept": "stopped: accepted", "reject": "stopped: rejected"}.get(path.decision, "here now")
        figure.add_scatter(
            x=[at], y=[path.steps[at - 1]], mode="markers+text", text=[f"{word} at {at:,}"], textposition="top center",
            marker={"color": colours.training, "size": 10}, showlegend=False, hoverinfo="skip",
        )  # fmt: skip
    high = max(4, plan.slope * size + plan.reject, *(path.steps or [0])) + 1
    figure.update_xaxes(title={"text": "records read, in the order drawn"}, range=[0, size], rangemode="tozero")
    figure.update_yaxes(title={"text": "with an issue"}, range=[-0.4, high], dtick=max(1, round(high / 8)))
    return figure


def _stairs(figure: go.Figure, steps: Sequence[int], start: int, name: str, line: dict) -> None:
    first = [0] if start == 0 else []
    figure.add_scatter(
        x=[*first, *range(start + 1, start + 1 + len(steps))], y=[*first, *steps], mode="lines", name=name,
        line={**line, "shape": "hv"}, hovertemplate="record %{x}: %{y} with an issue<extra></extra>",
    )  # fmt: skip
