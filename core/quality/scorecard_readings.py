"""How each metric reads its value, interval and note from what the steps and the people have found."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
    deliberate: tuple[str, ...] = ()  # categories that are wanted oftener than production asks for them, on purpose
    as_imported: tuple[str, ...] = ()  # metrics whose value knows nothing of what was removed since the import
    targets: Mapping[str, tuple[str, float]] = field(default_factory=dict)  # the user's own: id -> (operator, value)


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
    estimated = bool(info) and info.get("reliable") is not False and info.get("accuracy") is not None
    if review and review.get("n") and (int(review["n"]) >= 50 or not estimated):
        n, k = int(review["n"]), int(review["k"])
        low, high = (None if review.get(side) is None else 1 - float(review[side]) for side in ("high", "low"))
        few = "; fewer than 50 reviewed" if n < 50 else ""
        few += f"; a model's estimate is {info['accuracy']:.1%}" if estimated else ""
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
        note = f"A model's estimate, not a review: {info['flagged']:,} of {info['judged']:,} labels in doubt"
        if info.get("changed"):
            note += f"; it takes the {info['changed']:,} labels changed at its word for right, so have a sample of them read"
        if review and review.get("n"):
            n, k = int(review["n"]), int(review["k"])
            note += f"; a second reviewer found {n - k} of {n} right so far, 50 are needed"
        if info.get("as_imported"):
            note += "; of the set as imported"
        return float(info["accuracy"]), None, None, note, True
    return (None, None, None, str(info["undefined"]), False) if info and "undefined" in info else _NOTHING


def _formats(inputs: ScorecardInputs) -> Read:
    info = inputs.formats
    if not info or info.get("compliance") is None:
        return _NOTHING
    note = f"{info['violating']:,} of {info['records']:,} records break a rule"
    if info.get("low") is not None:
        note += "; the count is exact, the interval is for further records of the same origin"
    return float(info["compliance"]), info.get("low"), info.get("high"), note, True


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
        return math.inf, None, None, f"{note} (alpha {info['alpha']:g}){_guessed(info)}", True
    note = f"Chance alone gives up to {info['null_line']:.4f}{_guessed(info)}"
    return float(info["kl"]), info.get("low"), info.get("high"), note, True


def _guessed(info: Mapping[str, Any]) -> str:
    """That production's shares were predicted, and how far the prediction can be trusted."""
    if not info.get("predicted"):
        return ""
    sure = f", right on {info['agreement']:.0%} of the labels it did not learn from" if info.get("agreement") else ""
    return (
        f"; production has no labels: its shares are predicted by a classifier{sure}, and its error is in the interval"
    )


def _balance(inputs: ScorecardInputs) -> Read:
    info = inputs.distribution
    if not info:
        return None, None, None, "No production sample or shares to compare with", False
    meant = [name for name in info.get("over") or () if name in inputs.deliberate]
    found = {kind: len(info.get(kind) or ()) - (len(meant) if kind == "over" else 0) for kind in _FLAG_TEXT}
    parts = [f"{found[kind]} {text}" for kind, text in _FLAG_TEXT.items() if found[kind]]
    note = ", ".join(parts) or f"None of {info['categories']} is off by more than {info['flag_ratio']:g}x"
    note += f"; {len(meant)} over-represented on purpose" if meant else ""
    note += "; by predicted shares of production" if info.get("predicted") else ""
    return float(sum(found.values())), None, None, note, True


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
    share, note = found["with"] / found["of"], f"{found['of'] - found['with']:,} of {found['of']:,} records have none"
    return share, found.get("low"), found.get("high"), note, True


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


READ = {
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
