"""The result of a sample on one page of Markdown: what was drawn, what was found, what may be concluded, and what may not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from core.review.acceptance import (
    PLAN_ACCEPT,
    PLAN_SIZE,
    PLAN_SOURCE,
    jeffreys,
    plan_accept,
    summarise,
    upper_bound,
    wilson,
)
from core.review.samples import Sample, equal_chances
from core.review.stratified import Stratum, stratified_rate
from core.review.verdicts import QUESTIONS, Standing, outcomes

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")


def report(
    sample: Sample,
    standings: Sequence[Standing],
    *,
    stratum_of: Mapping[str, str] | None = None,
    questions: Mapping[str, str] = QUESTIONS,
    accept: int | None = None,
    stale: int = 0,
) -> str:
    """The page as Markdown. Every text that comes from people or data is escaped.

    standings: what stands for every reviewer (`current_verdicts`). stratum_of: record_id -> stratum of a stratified sample, for
    its weighted estimate. accept: the most issues allowed, by default the plan's share of this size. stale: verdicts whose record
    has changed or is gone since.
    """
    said = outcomes(standings)
    accept = plan_accept(sample.size) if accept is None else accept
    result = summarise(
        said, sample.size, accept=accept, population=sample.population, equal_chances=equal_chances(sample)
    )
    lines = [f"# {_safe(sample.name)}", "", f"**{result.headline}.**", "", result.detail, "", "## The sample", ""]
    lines += _drawn(sample)
    reviewers = Counter(entry.verdict.reviewer for entry in standings)
    people = ", ".join(f"{_safe(name)} ({count})" for name, count in sorted(reviewers.items())) or "nobody yet"
    lines.append(f"- Read by: {people}")
    moments = sorted(entry.verdict.created_at for entry in standings)
    if moments:
        lines.append(
            f"- Verdicts given: {moments[0][:16].replace('T', ' ')} to {moments[-1][:16].replace('T', ' ')} UTC"
        )
    seconds = [entry.verdict.seconds for entry in standings if entry.verdict.seconds is not None]
    if seconds:
        lines.append(f"- Time on a record: median {sorted(seconds)[len(seconds) // 2]:.0f} s")
    lines += ["", "## What was found", "", "| outcome | records |", "|---|---:|"]
    rows = [("pass", result.passed), ("fail", result.failed), ("unsure", result.unsure), ("disputed", result.disputed)]
    lines += [f"| {name} | {count:,} |" for name, count in [*rows, ("unread", result.unread)]]
    lines += _intervals(result.failed, result.judged)
    lines += _questions(standings, questions)
    lines += _strata(sample, said, stratum_of)
    lines += _notes(standings)
    lines += ["", "## Limits", "", f"- {PLAN_SOURCE}"]
    if accept != PLAN_ACCEPT or sample.size != PLAN_SIZE:
        lines.append(f"- Here: {sample.size:,} records, more than {accept} with an issue.")
    lines.append("- Unsure, disputed and unread records are in no rate and no interval.")
    lines.append("- A rate found by one reader contains that reader's own errors.")
    if stale:
        lines.append(
            f"- {stale:,} verdicts are of records that have changed or are gone since; they are counted as given."
        )
    return "\n".join(lines) + "\n"


def _drawn(sample: Sample) -> list[str]:
    how = {
        "random": "simple random sample without replacement",
        "stratified": "stratified random sample (largest remainder)",
        "census": "census: every record there was",
    }.get(sample.method, _safe(sample.method))
    lines = [f"- {sample.size:,} of {sample.population:,} {_safe(sample.role)} records, {how}"]
    if sample.seed is not None:
        lines.append(f"- Seed {sample.seed}; {_safe(str(sample.recipe.get('generator', '')))}")
    lines.append(f"- Dataset `{_safe(sample.dataset_digest)}`, sample `{_safe(sample.id)}`")
    lines.append(f"- Drawn {sample.created_at[:16].replace('T', ' ')} UTC by {_safe(sample.created_by)}")
    return lines


def _intervals(failed: int, judged: int) -> list[str]:
    from core.review.acceptance import clopper_pearson

    if not judged:
        return []
    lines = [
        "",
        f"Share with an issue: {failed} of {judged} = {failed / judged:.1%}.",
        "",
        "| 95 % interval | from | to |",
    ]
    lines.append("|---|---:|---:|")
    for interval in (clopper_pearson(failed, judged), wilson(failed, judged), jeffreys(failed, judged)):
        if interval is not None:
            lines.append(f"| {interval.method} | {interval.low:.1%} | {interval.high:.1%} |")
    bound = upper_bound(failed, judged)
    lines.append(f"| one-sided upper bound | | {bound:.1%} |")
    return lines


def _questions(standings: Sequence[Standing], questions: Mapping[str, str]) -> list[str]:
    counts = {name: Counter(entry.verdict.answers.get(name) for entry in standings) for name in questions}
    if not any(sum(count.values()) - count[None] for count in counts.values()):
        return []
    lines = ["", "## The questions", "", "| question | yes | no | unsure | not answered |", "|---|---:|---:|---:|---:|"]
    for name, text in questions.items():
        c = counts[name]
        lines.append(f"| {_safe(text)} | {c['yes']} | {c['no']} | {c['unsure']} | {c[None] + c['na']} |")
    return lines


def _strata(sample: Sample, said: Mapping[str, str], stratum_of: Mapping[str, str] | None) -> list[str]:
    if not sample.strata or not stratum_of:
        return []
    judged = {stratum["name"]: [0, 0] for stratum in sample.strata}
    for record_id, outcome in said.items():
        counts = judged.get(stratum_of.get(record_id, ""))
        if counts is not None and outcome in ("pass", "fail"):
            counts[0] += 1
            counts[1] += outcome == "fail"
    lines = [
        "",
        "## By stratum",
        "",
        "| stratum | in the set | drawn | judged | with an issue |",
        "|---|---:|---:|---:|---:|",
    ]
    for stratum in sample.strata:
        n, k = judged[stratum["name"]]
        lines.append(f"| {_safe(stratum['name'])} | {stratum['population']:,} | {stratum['drawn']} | {n} | {k} |")
    found = stratified_rate([Stratum(s["population"], *judged[s["name"]]) for s in sample.strata])
    if found is None:
        lines += ["", "The weighted rate is undefined: a stratum has no judged record."]
    else:
        error = "undefined" if found.standard_error is None else f"{found.standard_error:.1%}"
        note = (
            " Strata where all or none had an issue were given the spread of their Jeffreys estimate."
            if found.smoothed
            else ""
        )
        lines += ["", f"Weighted by stratum: {found.rate:.1%}, standard error {error}.{note}"]
    return lines


def _notes(standings: Sequence[Standing], most: int = 60) -> list[str]:
    told = [e.verdict for e in standings if e.verdict.outcome in ("fail", "unsure") or e.verdict.note or e.conflict]
    told = [verdict for verdict in told if verdict.outcome != "pass" or verdict.note]
    if not told:
        return []
    lines = ["", "## Issues and notes", "", "| record | verdict | note |", "|---|---|---|"]
    for verdict in told[:most]:
        note = _safe(" ".join(verdict.note.split()))
        lines.append(f"| `{_safe(verdict.record_id)}` | {verdict.outcome} | {note[:600]} |")
    if len(told) > most:
        lines.append(f"\n{len(told) - most:,} more are in the database.")
    return lines


def _safe(text: str) -> str:
    """Text from people or data, with nothing left in it that Markdown reads, on one line."""
    plain = "".join(char if char.isprintable() else " " for char in str(text))
    return _MARKDOWN.sub(r"\\\1", plain)
