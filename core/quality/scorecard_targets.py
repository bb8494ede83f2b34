"""What each metric of the scorecard is called, should reach and where to act on it, and where the number comes from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import InputError

OPERATORS = {
    ">": lambda value, target: value > target,
    ">=": lambda value, target: value >= target,
    "<": lambda value, target: value < target,
    "<=": lambda value, target: value <= target,
}


@dataclass(frozen=True)
class Target:
    """What a metric should reach: `operator` one of > >= < <=, and where the number comes from."""

    operator: str
    value: float
    source: str

    def met(self, value: float) -> bool:
        return bool(OPERATORS[self.operator](value, self.value))


PRACTICE = "the practice of SFT data work"
TARGETS: dict[str, Target | None] = {
    "audit": Target("<=", 0.06, f"{PRACTICE}: more than 3 of 50 random records with an issue is a systemic problem"),
    "label_accuracy": Target(">", 0.96, f"{PRACTICE}: over 96 % agree with a second reviewer"),
    "format_compliance": Target(">", 0.98, f"{PRACTICE}: under 2 % of records with a violation"),
    "duplicate_ratio": Target("<", 0.05, f"{PRACTICE}: near-duplicates under 5 %"),
    "kl": None,  # lower is better; there is no number that fits every task
    "category_balance": Target("<=", 0, f"{PRACTICE}: no category over- or under-represented by more than 2x"),
    "agreement": Target(">", 0.90, f"{PRACTICE}: annotators agree on more than 90 %"),
    "kappa": Target(">", 0.80, f"{PRACTICE}: Cohen's kappa over 0.8"),
    "reasoning": Target(">=", 1.0, f"{PRACTICE}: a reasoning trace in every record, where the task has reasoning"),
    "coverage": None,
    "examples_per_class": Target(">=", 30, f"{PRACTICE}: 30–50 examples a class at the least"),
    "examples_per_language": Target(">=", 500, f"{PRACTICE}: 500–1,000 examples a language"),
    "contradictions": Target("<=", 0, "equal or near-equal prompts must not teach two answers"),
    "leakage": Target("<=", 0, "what a model is judged by must not be among what it was trained on"),
    "high_stakes": Target(">=", 1.0, f"{PRACTICE}: an advisor reviews every high-stakes record"),
}
"""Default target of each metric, in the order of the scorecard; None: no default, the user may set one."""

TITLES = {
    "audit": ("Random audit: records with an issue", "audit", "share"),
    "label_accuracy": ("Label accuracy", "labels", "share"),
    "format_compliance": ("Format compliance", "formatting", "share"),
    "duplicate_ratio": ("Near-duplicate ratio", "duplicates", "share"),
    "kl": ("KL D(production || training)", "distribution", "nats"),
    "category_balance": ("Categories off by more than 2x", "distribution", "count"),
    "agreement": ("Reviewer agreement", "agreement", "share"),
    "kappa": ("Cohen's kappa", "agreement", "number"),
    "reasoning": ("Records with reasoning", "formatting", "share"),
    "coverage": ("Coverage of production", "coverage", "share"),
    "examples_per_class": ("Fewest examples in a category", "distribution", "count"),
    "examples_per_language": ("Fewest examples in a language", "distribution", "count"),
    "contradictions": ("Contradicting pairs", "duplicates", "count"),
    "leakage": ("Training records that leak", "duplicates", "count"),
    "high_stakes": ("High-stakes records reviewed", "audit", "share"),
}
"""Metric -> title, page to act on, unit."""
COUNTED = (
    "format_compliance", "duplicate_ratio", "category_balance", "reasoning", "examples_per_class", "examples_per_language",
    "contradictions", "high_stakes", "leakage",
)  # fmt: skip
"""Metrics that count all records of the set, by a stated rule or threshold: no sample, so no interval of sampling."""
FEW_RATED = 50
"""Records read twice; on fewer, agreement that meets its target is not called a target met: chance alone can give it."""


def targets_of(own: Mapping[str, tuple[str, float]]) -> dict[str, Target | None]:
    """The default targets with the user's own in their place. Errors: unknown metric or operator, a number that is none."""
    found = dict(TARGETS)
    for name, (operator, value) in own.items():
        if name not in TARGETS:
            raise InputError(f"There is no metric {name!r} to set a target for; the metrics are {', '.join(TARGETS)}.")
        if (
            operator not in OPERATORS
            or isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not math.isfinite(value)
        ):
            raise InputError(
                f"The target of {name} is {operator!r} {value!r}; it must be one of > >= < <= and a number."
            )
        found[name] = Target(operator, float(value), "set in this workspace")
    return found
