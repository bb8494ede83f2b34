"""One line a metric: value, interval where there is one, target and where it comes from, verdict, and the page to act on.

Takes plain values, so that whoever holds the results hands over what there is; what is not known stays unknown, never a pass.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

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
        return {name: getattr(self, name) for name in names} | {"value": value, "target": target, "shown": self.shown()}


@dataclass(frozen=True)
class ScorecardInputs:
    """What is known. Every mapping is the `info` of a step or the named numbers; leave out what was not computed."""

    records: int | None = None
    audit: Mapping[str, Any] | None = (
        None  # {"n": verdicts given, "k": with an issue, "low", "high": of k/n, "size": asked for}
    )
    label_review: Mapping[str, Any] | None = (
        None  # second reviewer: {"n", "k": labels found wrong, "low", "high": of the error rate}
    )
    labels: Mapping[str, Any] | None = None  # info of `labels`
    formats: Mapping[str, Any] | None = None  # info of `formats`
    duplicates: Mapping[str, Any] | None = None  # info of `duplicates`
    contradictions: Mapping[str, Any] | None = None  # info of `contradictions`
    leakage: Mapping[str, Any] | None = None  # info of `leakage`
    distribution: Mapping[str, Any] | None = None  # info of `distribution`
    agreement: Mapping[str, Any] | None = (
        None  # {"raw", "kappa", and "low"/"high" of kappa, "n"}; None values: undefined
    )
    coverage: Mapping[str, Any] | None = None  # info of `coverage`
    reasoning: Mapping[str, Any] | None = None  # {"with": records that have it, "of": records}
    categories: Mapping[str, int] | None = None  # training counts
    languages: Mapping[str, int] | None = None
    high_stakes: Mapping[str, Any] | None = None  # {"reviewed", "of"}
    targets: Mapping[str, tuple[str, float]] = field(default_factory=dict)  # the user's own: id -> (operator, value)


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


def scorecard(inputs: ScorecardInputs) -> list[Metric]:
    """Every metric in the order of TARGETS; verdicts are by the point value, and the interval stands beside it."""
    targets = targets_of(inputs.targets)
    return [_metric(name, target, inputs) for name, target in targets.items()]


def _metric(name: str, target: Target | None, inputs: ScorecardInputs) -> Metric:
    title, page, unit = TITLES[name]
    value, low, high, note, known = _READ[name](inputs)
    if value is None or not known:
        verdict = "unknown"
    elif target is None:
        verdict, note = "unknown", _join(note, "No target is set")
    else:
        verdict = "pass" if target.met(value) else "fail"
    metric = Metric(name, title, unit, value, low, high, target, verdict, page, note)
    if name == "kl" and value is not None and target is None:
        return _kl_verdict(metric, inputs.distribution or {})
    return metric


Read = tuple[
    float | None, float | None, float | None, str, bool
]  # value, low, high, note, whether a verdict is possible
_NOTHING: Read = (None, None, None, "Not computed yet", False)


def _audit(inputs: ScorecardInputs) -> Read:
    audit = inputs.audit
    if not audit or not audit.get("n"):
        return None, None, None, "No audit yet", False
    n, k, size = int(audit["n"]), int(audit["k"]), int(audit.get("size") or 50)
    note = f"{k} of {n} have an issue ({k / n:.1%})"
    if audit.get("high") is not None:
        note += f"; the true rate may be {audit['low']:.1%} to {audit['high']:.1%}"
    if audit.get("plan"):
        note += f" ({audit['plan']})"
    done = n >= size or k / size > 0.06  # four of fifty fail the audit, whatever the rest says
    if (
        audit.get("decided") is not None
    ):  # a sequential plan says itself when it is through; unequal chances have no such rule
        done = bool(audit["decided"])
    if done and n < size and audit.get("decided"):
        return audit.get("rate", k / n), audit.get("low"), audit.get("high"), note, True
    return (
        audit.get("rate", k / n),
        audit.get("low"),
        audit.get("high"),
        note if n >= size else f"{note}; {size - n} of {size} still to review",
        done,
    )


def _label_accuracy(inputs: ScorecardInputs) -> Read:
    review, info = inputs.label_review, inputs.labels
    if review and review.get("n"):
        n, k = int(review["n"]), int(review["k"])
        low, high = (None if review.get(side) is None else 1 - float(review[side]) for side in ("high", "low"))
        few = "; fewer than 50 reviewed" if n < 50 else ""
        return 1 - k / n, low, high, f"Second reviewer: {n - k} of {n} labels right{few}", n >= 50
    if info and info.get("reliable") is False:
        return (
            None,
            None,
            None,
            f"Cannot be estimated: the classifier agrees with only {info['agreement']:.0%} of the labels",
            False,
        )
    if info and info.get("accuracy") is not None:
        return (
            float(info["accuracy"]),
            None,
            None,
            f"A model's estimate, not a review: {info['flagged']:,} of {info['judged']:,} labels in doubt",
            True,
        )
    return (None, None, None, str(info["undefined"]), False) if info and "undefined" in info else _NOTHING


def _formats(inputs: ScorecardInputs) -> Read:
    info = inputs.formats
    if not info or info.get("compliance") is None:
        return _NOTHING
    return (
        float(info["compliance"]),
        None,
        None,
        f"{info['violating']:,} of {info['records']:,} records break a rule",
        True,
    )


def _duplicates(inputs: ScorecardInputs) -> Read:
    info = inputs.duplicates
    if not info:
        return _NOTHING
    note = f"{info['removable']:,} records in {info['groups']:,} groups could go, at similarity {info['threshold']:g}"
    return float(info["ratio"]), None, None, note, True


def _kl(inputs: ScorecardInputs) -> Read:
    info = inputs.distribution
    if not info:
        return None, None, None, "No production sample or shares to compare with", False
    if "kl" in (info.get("infinite") or ()):
        note = f"Infinite: training lacks {len(info['missing'])} of production's categories; {info['kl_smoothed']:.4f} smoothed"
        return math.inf, None, None, f"{note} (alpha {info['alpha']:g})", True
    return (
        float(info["kl"]),
        info.get("low"),
        info.get("high"),
        f"Chance alone gives up to {info['null_line']:.4f}",
        True,
    )


def _kl_verdict(metric: Metric, info: Mapping[str, Any]) -> Metric:
    """Without a target: under the null line there is no mismatch to see; an infinite one is a failure; else nobody can say."""
    if metric.value is not None and math.isinf(metric.value):
        return replace(metric, verdict="fail", note=metric.note)
    if metric.value is not None and metric.value <= info.get("null_line", 0.0):
        note = metric.note.replace("; No target is set", "")
        return replace(metric, verdict="pass", note=note)
    return replace(
        metric, note=_join(metric.note.replace("; No target is set", ""), "Lower is better; set a target to judge it")
    )


def _balance(inputs: ScorecardInputs) -> Read:
    info = inputs.distribution
    if not info:
        return None, None, None, "No production sample or shares to compare with", False
    parts = [f"{len(info[kind])} {text}" for kind, text in _FLAG_TEXT.items() if info.get(kind)]
    off = sum(len(info.get(kind) or ()) for kind in _FLAG_TEXT)
    return (
        float(off),
        None,
        None,
        ", ".join(parts) or f"None of {info['categories']} is off by more than {info['flag_ratio']:g}x",
        True,
    )


_FLAG_TEXT = {
    "over": "over-represented",
    "under": "under-represented",
    "missing": "missing in training",
    "unasked": "unknown to production",
}


def _agreement(name: str):
    def read(inputs: ScorecardInputs) -> Read:
        found = inputs.agreement
        if not found:
            return None, None, None, "No second review yet", False
        if found.get(name) is None:
            return None, None, None, "Undefined: one reviewer or one class only", False
        low, high = (
            (found.get("low"), found.get("high")) if name == "kappa" else (found.get("raw_low"), found.get("raw_high"))
        )
        return (
            float(found[name]),
            low,
            high,
            f"{found['n']:,} records with {found.get('what', 'two reviews')}" if found.get("n") else "",
            True,
        )

    return read


def _reasoning(inputs: ScorecardInputs) -> Read:
    found = inputs.reasoning
    if not found or not found.get("of"):
        return _NOTHING
    if not found["with"]:
        return None, None, None, "No record has reasoning: the task seems to have none", False
    share = found["with"] / found["of"]
    return share, None, None, f"{found['of'] - found['with']:,} of {found['of']:,} records have none", True


def _coverage(inputs: ScorecardInputs) -> Read:
    info = inputs.coverage
    if not info or info.get("covered_share") is None:
        return None, None, None, "No production sample to cover", False
    holes = len(info.get("holes") or ())
    named = f"{holes} named hole{'s' if holes != 1 else ''}; " if holes else ""
    note = f"{named}of {info['production']:,} production records, near enough to training and not in a thin region"
    return float(info["covered_share"]), info.get("covered_low"), info.get("covered_high"), note, True


def _fewest(which: str, what: str):
    def read(inputs: ScorecardInputs) -> Read:
        counts = getattr(inputs, which)
        if not counts:
            return None, None, None, f"No {what} is mapped", False
        if which == "languages" and len(counts) < 2:
            return None, None, None, "One language only", False
        name, least = min(counts.items(), key=lambda item: (item[1], item[0]))
        return float(least), None, None, f"{name} has the fewest of {len(counts)}", True

    return read


def _contradictions(inputs: ScorecardInputs) -> Read:
    info = inputs.contradictions
    if not info:
        return _NOTHING
    kinds = ", ".join(f"{n} by {kind}" for kind, n in (info.get("kinds") or {}).items() if n)
    return float(info["contradictions"]), None, None, kinds, True


def _leakage(inputs: ScorecardInputs) -> Read:
    info = inputs.leakage
    if not info:
        return None, None, None, "No validation, gold or benchmark set to compare with", False
    counted = [name for name, one in info["sets"].items() if one["counted"]]
    if not counted:
        return None, None, None, "Only production was compared, which does not count as leakage", False
    parts = [
        f"{name}: {info['by_set'][name]['others']:,} of {info['sets'][name]['records']:,} touched" for name in counted
    ]
    return float(info["records"]), None, None, ", ".join(parts), True


def _high_stakes(inputs: ScorecardInputs) -> Read:
    found = inputs.high_stakes
    if not found or not found.get("of"):
        return None, None, None, "No record is marked high-stakes", False
    return found["reviewed"] / found["of"], None, None, f"{found['reviewed']:,} of {found['of']:,} reviewed", True


_READ = {
    "audit": _audit,
    "label_accuracy": _label_accuracy,
    "format_compliance": _formats,
    "duplicate_ratio": _duplicates,
    "kl": _kl,
    "category_balance": _balance,
    "agreement": _agreement("raw"),
    "kappa": _agreement("kappa"),
    "reasoning": _reasoning,
    "coverage": _coverage,
    "examples_per_class": _fewest("categories", "category"),
    "examples_per_language": _fewest("languages", "language"),
    "contradictions": _contradictions,
    "leakage": _leakage,
    "high_stakes": _high_stakes,
}


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


# -- what to do next ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Advice:
    """One practical sentence that cites its numbers, and the page to act on; the most pressing first."""

    text: str
    page: str


def advice(metrics: Sequence[Metric]) -> list[Advice]:
    """What to do next, in the order in which it pays: contradictions and wrong labels before anything is added."""
    by = {metric.id: metric for metric in metrics}
    said: list[Advice] = []

    def say(name: str, text: str) -> None:
        said.append(Advice(text, by[name].page))

    def value(name: str) -> float | None:
        return by[name].value if name in by else None

    def failed(name: str) -> bool:
        return name in by and by[name].verdict == "fail"

    if failed("audit"):
        say("audit", f"{by['audit'].note}: more than 3 of 50 is a systemic problem. Find its cause before going on.")
    if failed("contradictions"):
        pairs = by["contradictions"].shown()
        say(
            "contradictions",
            f"{pairs} near-equal prompts contradict each other. Settle these before removing duplicates.",
        )
    if failed("leakage"):
        shown = by["leakage"].shown()
        say(
            "leakage",
            f"{shown} training records stand in a set that judges the model ({by['leakage'].note}). Remove them.",
        )
    accuracy = value("label_accuracy")
    if accuracy is not None and accuracy < 0.95:
        shown = by["label_accuracy"].shown()
        say(
            "label_accuracy",
            f"Label accuracy is {shown}, under 95 %: clean before you collect. {by['label_accuracy'].note}.",
        )
    elif failed("label_accuracy"):
        target = by["label_accuracy"].shown_target()
        say(
            "label_accuracy",
            f"Label accuracy is {by['label_accuracy'].shown()}, the target is {target}: review the doubtful labels.",
        )
    ratio = value("duplicate_ratio")
    if ratio is not None and ratio > 0.10:
        say(
            "duplicate_ratio",
            f"{by['duplicate_ratio'].shown()} near-duplicates, over 10 %: the set is effectively smaller than its count.",
        )
    elif failed("duplicate_ratio"):
        say(
            "duplicate_ratio",
            f"{by['duplicate_ratio'].shown()} near-duplicates, the target is {by['duplicate_ratio'].shown_target()}.",
        )
    if failed("category_balance"):
        say(
            "category_balance",
            f"{by['category_balance'].note} against production by more than 2x. Rebalance, or say why it is meant.",
        )
    elif failed("kl"):
        say("kl", f"KL to production is {by['kl'].shown()} nats. {by['kl'].note}.")
    if failed("examples_per_class"):
        metric = by["examples_per_class"]
        say(
            "examples_per_class",
            f"{metric.note}, {metric.shown()} examples; {metric.shown_target()} are needed to learn a class.",
        )
    if failed("examples_per_language"):
        metric = by["examples_per_language"]
        say(
            "examples_per_language", f"{metric.note}, {metric.shown()} examples; the target is {metric.shown_target()}."
        )
    cover = by.get("coverage")
    if cover is not None and cover.value is not None and "named hole" in cover.note:
        say("coverage", f"Production is covered to {cover.shown()}: {cover.note}. Collect for the largest hole first.")
    if failed("format_compliance"):
        metric = by["format_compliance"]
        say(
            "format_compliance",
            f"Format compliance is {metric.shown()}, the target is {metric.shown_target()}. {metric.note}.",
        )
    if failed("reasoning"):
        say("reasoning", f"{by['reasoning'].note}: write it, or leave those records out.")
    for name, what in (("kappa", "Cohen's kappa"), ("agreement", "Agreement")):
        if failed(name):
            metric = by[name]
            say(
                name,
                f"{what} is {metric.shown()}, the target is {metric.shown_target()}: calibrate the reviewers before more labels.",
            )
            break
    good = by.get("audit")
    if (
        good is not None
        and good.verdict == "pass"
        and good.high is not None
        and good.target
        and not good.target.met(good.high)
    ):
        say(
            "audit",
            f"The audit passes, but cannot exclude {100 * good.high:.1f} % with an issue: read more if that is too many.",
        )
    if failed("high_stakes"):
        say("high_stakes", f"High-stakes records: {by['high_stakes'].note}. Have an advisor review every one.")
    if "audit" in by and by["audit"].verdict == "unknown":
        note = by["audit"].note
        say("audit", f"{note}: draw 50 random records and read them." if note == "No audit yet" else f"{note}.")
    return said
