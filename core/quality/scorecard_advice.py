"""What to do next, from the scorecard: one sentence each that cites its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.quality.scorecard import Metric


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
