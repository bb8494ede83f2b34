"""One line a metric: value, interval where there is one, target and where it comes from, verdict, and the page to act on.

Takes plain values, so that whoever holds the results hands over what there is; what is not known stays unknown, never a pass.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.quality.scorecard_readings import READ, ScorecardInputs
from core.quality.scorecard_targets import COUNTED, FEW_RATED, TITLES, Target, targets_of


@dataclass(frozen=True)
class Metric:
    """One line of the scorecard. `value` None: not known, and `note` says why."""

    id: str
    title: str
    unit: str  # "share" (0..1), "count", "nats", "number"
    value: float | None
    low: float | None
    high: float | None
    target: Target | None
    verdict: str  # "pass" | "fail" | "unknown"
    page: str
    note: str = ""
    imported: float | None = None
    """What the value was of the set as imported, where a decision since moved it: a removal, a changed label, a corrected response."""

    def shown(self) -> str:
        """The value as a person reads it."""
        if self.unit == "share" and self.value is not None and self.target is not None:
            # As many decimals as it takes not to round onto the target or over it: 97.996 % is not 98.0 % beside "> 98 %".
            side = _side(self.value, self.target.value)
            digits = next((d for d in range(1, 6) if _side(round(self.value, d + 2), self.target.value) == side), 6)
            return _shown(self.value, self.unit, digits)
        return _shown(self.value, self.unit)

    def shown_interval(self) -> str:
        """The interval as a person reads it, or why there is none: counted on every record, or nothing known of it."""
        if self.low is not None and self.high is not None:
            return f"{_shown(self.low, self.unit)} to {_shown(self.high, self.unit)}"
        if self.value is None:
            return ""
        return "counted on every record" if self.counted else "none"

    def shown_imported(self) -> str:
        """The value of the set as imported, "" where it is the same."""
        return "" if self.imported is None else _shown(self.imported, self.unit)

    @property
    def counted(self) -> bool:
        """Whether every record was looked at, so that the value itself is its bound."""
        return self.id in COUNTED

    def shown_target(self) -> str:
        if self.target is None:
            return "–"
        return f"{self.target.operator} " + (
            f"{100 * self.target.value:g} %" if self.unit == "share" else f"{self.target.value:g}"
        )

    def to_json(self) -> dict[str, Any]:
        """JSON-able; an infinite value is the text "inf"."""
        value = None if self.value is None else ("inf" if math.isinf(self.value) else self.value)
        target = (
            None
            if self.target is None
            else {"operator": self.target.operator, "value": self.target.value, "source": self.target.source}
        )
        names = ("id", "title", "unit", "low", "high", "verdict", "page", "note")
        before = "inf" if self.imported is not None and math.isinf(self.imported) else self.imported
        return {name: getattr(self, name) for name in names} | {
            "value": value, "imported": before, "target": target, "shown": self.shown(),
        }  # fmt: skip


def scorecard(inputs: ScorecardInputs) -> list[Metric]:
    """Every metric in the order of TARGETS; verdicts are by the point value, and the interval stands beside it."""
    targets = targets_of(inputs.targets)
    return [_metric(name, target, inputs) for name, target in targets.items()]


def _metric(name: str, target: Target | None, inputs: ScorecardInputs) -> Metric:
    title, page, unit = TITLES[name]
    value, low, high, note, known = READ[name](inputs)
    if name in inputs.as_imported and value is not None:
        note = _join(note, "of the set as imported: records removed since still count")
    if value is None or not known:
        verdict = "unknown"
    elif target is None:
        verdict, note = "unknown", _join(note, "no target is set")
    else:
        verdict = "pass" if target.met(value) else "fail"
    if (
        name in ("agreement", "kappa")
        and verdict == "pass"
        and ((inputs.agreement or {}).get("n") or FEW_RATED) < FEW_RATED
    ):
        verdict, note = "unknown", _join(note, f"a target met on fewer than {FEW_RATED} records says little")
    metric = Metric(name, title, unit, value, low, high, target, verdict, page, note)
    if name == "kl" and value is not None and target is None:
        return _kl_verdict(metric, inputs.distribution or {})
    return metric


def _kl_verdict(metric: Metric, info: Mapping[str, Any]) -> Metric:
    """Without a target: under the null line there is no mismatch to see; an infinite one is a failure; else nobody can say."""
    if metric.value is not None and math.isinf(metric.value):
        return replace(metric, verdict="fail", note=metric.note)
    if metric.value is not None and metric.value <= info.get("null_line", 0.0):
        note = metric.note.replace("; no target is set", "")
        return replace(metric, verdict="pass", note=note)
    return replace(
        metric, note=_join(metric.note.replace("; no target is set", ""), "lower is better: set a target to judge it")
    )


def _join(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _side(value: float, target: float) -> int:
    return (value > target) - (value < target)


def _shown(value: float | None, unit: str, digits: int = 1) -> str:
    if value is None:
        return "–"
    if math.isinf(value):
        return "∞"
    if unit == "share":
        return f"{100 * value:.{digits}f} %"
    return f"{value:,.0f}" if unit == "count" else f"{value:.4f}" if unit == "nats" else f"{value:.3f}"
