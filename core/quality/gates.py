"""Gates for continuous integration: which metrics must hold, on the value or on its bound, and the report of it."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from core.errors import InputError
from core.quality.scorecard import Metric
from core.quality.scorecard_targets import OPERATORS, TARGETS, TITLES

ON = ("point", "bound")


@dataclass(frozen=True)
class Gate:
    """`metric` must be `operator` `value`; on "point" the value itself counts, on "bound" the worse end of its interval.

    Of a metric that counts every record and has no interval both are the same; that of format compliance is for further records of
    the same origin."""

    metric: str
    operator: str
    value: float
    on: str = "point"

    def text(self) -> str:
        return f"{self.metric} {self.operator} {self.value:g} (on the {self.on})"


@dataclass(frozen=True)
class GateResult:
    gate: Gate
    verdict: str  # "pass" | "fail" | "unknown"; a gate holds only when it passes
    seen: float | None
    text: str

    def to_json(self) -> dict[str, Any]:
        seen = "inf" if self.seen is not None and math.isinf(self.seen) else self.seen
        gate = {
            "metric": self.gate.metric,
            "operator": self.gate.operator,
            "value": self.gate.value,
            "on": self.gate.on,
        }
        return {"gate": gate, "verdict": self.verdict, "seen": seen, "text": self.text}


def default_gates(metrics: Sequence[Metric]) -> list[Gate]:
    """One gate on the point for each metric that is known and has a target."""
    return [
        Gate(m.id, m.target.operator, m.target.value)
        for m in metrics
        if m.target is not None and m.verdict != "unknown"
    ]


def gates_from(value: Any) -> list[Gate]:
    """Gates from JSON or YAML: {"kl": "<= 0.1", "label_accuracy": {">": 0.96, "on": "bound"}}. Errors: anything else."""
    if not isinstance(value, Mapping) or not value:
        raise InputError(
            'A gates file holds an object such as {"format_compliance": "> 0.98", "kl": {"<=": 0.1, "on": "bound"}}.'
        )
    gates = []
    for name, rule in value.items():
        if name not in TARGETS:
            raise InputError(f"There is no metric {name!r} to gate; the metrics are {', '.join(TARGETS)}.")
        parts = {"on": "point"}
        if isinstance(rule, str):
            hit = re.fullmatch(r"\s*(>=|<=|>|<)\s*([0-9.eE+-]+)\s*(%?)\s*(?:on (?:the )?(point|bound))?\s*", rule)
            number = _number(hit[2]) if hit else None
            if hit is None or number is None:
                raise InputError(f'The gate on {name} is {rule!r}; write it as "> 0.98" or "<= 0.1 on bound".')
            parts = {hit[1]: number / 100 if hit[3] else number, "on": hit[4] or "point"}
        elif isinstance(rule, Mapping):
            parts |= rule
        operators = [key for key in parts if key in OPERATORS]
        wrong = set(parts) - set(OPERATORS) - {"on"}
        number = _number(parts[operators[0]]) if len(operators) == 1 else None
        if wrong or number is None or parts["on"] not in ON:
            raise InputError(
                f"The gate on {name} is {rule!r}; it needs one of > >= < <= with a number, and `on`: point or bound."
            )
        gates.append(Gate(name, operators[0], number, str(parts["on"])))
    return gates


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if isinstance(value, bool) or not math.isfinite(number) else number


def check_gates(metrics: Sequence[Metric], gates: Sequence[Gate]) -> list[GateResult]:
    """One result a gate. A metric that is not known is "unknown", which does not hold.

    On the bound, a metric without interval that counts every record (`Metric.counted`) is its own bound: nothing was sampled.
    """
    by = {metric.id: metric for metric in metrics}
    return [_check(gate, by.get(gate.metric)) for gate in gates]


def _check(gate: Gate, metric: Metric | None) -> GateResult:
    if metric is None or metric.value is None or (metric.id == "audit" and metric.verdict == "unknown"):
        why = metric.note if metric is not None else "not on the scorecard"
        return GateResult(gate, "unknown", None, f"{gate.text()}: unknown. {why}.")
    seen: float | None = metric.value
    if gate.on == "bound" and not math.isinf(metric.value):
        seen = metric.low if gate.operator.startswith(">") else metric.high
        seen = metric.value if seen is None and metric.counted else seen
        if seen is None:
            return GateResult(
                gate, "unknown", None, f"{gate.text()}: {metric.title} has no interval, so its bound is unknown."
            )
    before = f" (the value is {metric.shown_imported()} as imported)" if metric.imported is not None else ""
    holds = OPERATORS[gate.operator](seen, gate.value)
    words = "holds" if holds else "does not hold"
    return GateResult(
        gate,
        "pass" if holds else "fail",
        seen,
        f"{gate.text()} {words}: {seen:.6g}{before}. {metric.note}".rstrip(". ") + ".",
    )


def all_hold(results: Sequence[GateResult]) -> bool:
    return all(result.verdict == "pass" for result in results)


# Characters that XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(results: Sequence[GateResult], suite: str = "quadrant") -> str:
    """JUnit XML: a test case a gate; one that fails or is unknown is a failure of that type."""
    failures = sum(result.verdict != "pass" for result in results)
    root = ElementTree.Element("testsuites")
    node = ElementTree.SubElement(
        root, "testsuite", name=_clean(suite), tests=str(len(results)), failures=str(failures), errors="0", skipped="0"
    )
    for result in results:
        title = TITLES[result.gate.metric][0]
        name = f"{title} {result.gate.operator} {result.gate.value:g} ({result.gate.on})"
        case = ElementTree.SubElement(node, "testcase", classname=f"{_clean(suite)}.gates", name=name)
        if result.verdict != "pass":
            failure = ElementTree.SubElement(case, "failure", type=result.verdict, message=_clean(result.text))
            failure.text = _clean(result.text)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
