"""Drawings for the report as SVG: the curve of a plan and intervals side by side. Every text in them is escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence

from core.review.curves import Curve
from core.review.intervals import Interval
from core.review.sequential import Sprt, Walk

BLUE, GREEN, RED, GREY, FAINT = "#2f62c4", "#237a5c", "#b23a31", "#5c666e", "#dfe3e6"
WIDTH = 400


def curve_drawing(curve: Curve, found: float | None = None) -> str:
    """The operating characteristic with both risks marked, `found` as a dotted line."""
    left, right, top, bottom, height = 40, 10, 12, 34, 210
    most = max(curve.rates)

    def x(rate: float) -> float:
        return left + rate / most * (WIDTH - left - right)

    def y(chance: float) -> float:
        return top + (1 - chance) * (height - top - bottom)

    parts = [_grid(x, y, most, height - bottom)]
    if curve.undecided:
        parts.append(_line(zip(curve.rates, curve.undecided, strict=True), x, y, GREY, 1.3, "4 3"))
    if found is not None and found <= most:
        parts.append(
            f'<line x1="{x(found):.1f}" x2="{x(found):.1f}" y1="{y(1):.1f}" y2="{y(0):.1f}" stroke="{GREY}" stroke-dasharray="2 3"/>'
        )
        parts.append(_text(x(found) + 3, y(0.04), f"found {found:.1%}", GREY))
    parts.append(_line(zip(curve.rates, curve.passing, strict=True), x, y, BLUE, 2))
    for risk, colour, end in ((curve.producer, GREEN, 1.0), (curve.consumer, RED, 0.0)):
        parts.append(
            f'<line x1="{x(risk.rate):.1f}" x2="{x(risk.rate):.1f}" y1="{y(end):.1f}" y2="{y(risk.passing):.1f}" stroke="{colour}" '
            f'stroke-width="4" stroke-opacity=".55"/>'
            f'<circle cx="{x(risk.rate):.1f}" cy="{y(risk.passing):.1f}" r="3.4" fill="{colour}"/>'
        )
        parts.append(_text(x(risk.rate) + 7, y(risk.passing) + (3 if end else -3), risk.brief, colour))
    parts.append(_text((left + WIDTH) / 2, height - 3, "true share of records with an issue", GREY, "middle"))
    return _svg(height, "Probability to pass the plan, by true rate", parts)


def walk_drawing(plan: Sprt, size: int, path: Walk) -> str:
    """Both boundaries of a sequential plan and the walk of the audit, in the drawn order."""
    left, right, top, bottom, height = 30, 10, 12, 34, 190
    high = max(4, plan.slope * size + plan.reject, *(path.steps or [0])) + 0.5

    def x(n: float) -> float:
        return left + n / size * (WIDTH - left - right)

    def y(issues: float) -> float:
        return top + (1 - issues / high) * (height - top - bottom)

    parts = [
        f'<rect x="{left}" y="{top}" width="{WIDTH - left - right}" height="{height - top - bottom}" fill="none" stroke="{FAINT}"/>'
    ]
    ends = [(plan.reject, RED, "systemic problem"), (plan.accept, GREEN, "no systemic problem found")]
    for offset, colour, name in ends:
        start = max(0.0, -offset / plan.slope)
        parts.append(_line([(start, max(offset, 0.0)), (size, plan.slope * size + offset)], x, y, colour, 1.6))
        parts.append(
            _text(WIDTH - right - 3, y(plan.slope * size + offset) + (-4 if offset > 0 else 11), name, colour, "end")
        )
    points = [(0, 0)]
    for n, issues in enumerate(path.steps[: path.stopped or None], 1):
        points += [(n, points[-1][1]), (n, issues)]
    parts.append(_line(points, x, y, BLUE, 2))
    parts.append(f'<circle cx="{x(points[-1][0]):.1f}" cy="{y(points[-1][1]):.1f}" r="3.6" fill="{BLUE}"/>')
    for n in range(0, size + 1, max(1, size // 5)):
        parts.append(_text(x(n), height - bottom + 13, f"{n:,}", GREY, "middle"))
    for issues in range(0, int(high) + 1, max(1, int(high) // 5)):
        parts.append(_text(left - 5, y(issues) + 3.5, str(issues), GREY, "end"))
    parts.append(_text((left + WIDTH) / 2, height - 3, "records read, in the order drawn", GREY, "middle"))
    return _svg(height, "The walk of the audit over the sequential plan", parts)


def interval_drawing(rows: Sequence[tuple[str, float, Interval]], limit: float) -> str:
    """Rates with their intervals, one a row, and the limit as a dashed line."""
    left, right, each = 128, 52, 20
    height = each * len(rows) + 34
    most = max(limit * 1.5, *(interval.high for _, _, interval in rows)) * 1.05

    def x(rate: float) -> float:
        return left + rate / most * (WIDTH - left - right)

    parts = [
        f'<line x1="{x(limit):.1f}" x2="{x(limit):.1f}" y1="4" y2="{height - 26}" stroke="{RED}" stroke-dasharray="4 3"/>'
    ]
    parts.append(_text(x(limit), height - 14, f"{limit:.0%}", RED, "middle"))
    parts.append(_text(x(0), height - 14, "0%", GREY, "middle"))
    for n, (name, rate, interval) in enumerate(rows):
        y = each * n + 14
        parts.append(_text(left - 8, y + 3.5, name, "#1c2024", "end"))
        parts.append(
            f'<line x1="{x(interval.low):.1f}" x2="{x(interval.high):.1f}" y1="{y}" y2="{y}" stroke="{BLUE}" stroke-width="2.2"/>'
        )
        for end in (interval.low, interval.high):
            parts.append(
                f'<line x1="{x(end):.1f}" x2="{x(end):.1f}" y1="{y - 4}" y2="{y + 4}" stroke="{BLUE}" stroke-width="1.4"/>'
            )
        parts.append(f'<circle cx="{x(rate):.1f}" cy="{y}" r="3.6" fill="{BLUE}"/>')
        parts.append(_text(x(interval.high) + 6, y + 3.5, f"{interval.low:.1%}–{interval.high:.1%}", GREY, size=8.5))
    return _svg(height, "The share of records with an issue and its 95 % intervals", parts)


def _grid(x, y, most: float, floor: float) -> str:
    parts = []
    for tenth in (0, 0.25, 0.5, 0.75, 1):
        parts.append(
            f'<line x1="{x(0):.1f}" x2="{x(most):.1f}" y1="{y(tenth):.1f}" y2="{y(tenth):.1f}" stroke="{FAINT}"/>'
        )
        parts.append(_text(x(0) - 5, y(tenth) + 3.5, f"{tenth:.0%}", GREY, "end"))
    step = next(one for one in (0.01, 0.02, 0.05, 0.1, 0.2) if most / one <= 8)
    for n in range(int(most / step + 1e-9) + 1):
        parts.append(_text(x(n * step), floor + 13, f"{n * step:.0%}", GREY, "middle"))
    return "".join(parts)


def _line(points, x, y, colour: str, width: float, dash: str = "") -> str:
    at = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{at}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"{dashed}/>'


def _text(x: float, y: float, text: str, colour: str, anchor: str = "start", size: float = 9.5) -> str:
    said = html.escape(text)
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}" text-anchor="{anchor}">{said}</text>'


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="{html.escape(title)}" '
        f'font-family="system-ui, DejaVu Sans, sans-serif">{"".join(parts)}</svg>'
    )
