"""The result of a sample on one page: what was drawn, by whom it was read, what was found, what may be concluded, and what may not.

The page is plain data (`core.review.page`), written as Markdown or as one HTML file with its drawings. Issues and notes follow as an
appendix, so that the first page stays one page.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.review.acceptance import LIMIT, PLAN_SOURCE, practice_lines
from core.review.comparison import TARGET_SOURCE, Comparison
from core.review.curves import curve_of
from core.review.drawing import curve_drawing, interval_drawing, walk_drawing
from core.review.findings import Findings
from core.review.intervals import Interval, bad_in_population, clopper_pearson, jeffreys, upper_bound, wilson
from core.review.page import Block, Break, Drawing, Heading, Points, Rows, Text, as_html, as_markdown
from core.review.phrases import SIZED, corrected_words, curve_words, estimate_words
from core.review.plan import certifying_size
from core.review.readers import FINAL_NOTE, final_words
from core.review.sequential import sprt
from core.review.stratified import strata_of

FORMS = {"markdown": ("md", "text/markdown"), "html": ("html", "text/html")}
MOST_NOTES, MOST_GROUPS = 200, 12
HOW = {
    "random": "simple random sample without replacement",
    "stratified": "stratified random sample (largest remainder)",
    "census": "census: every record there was",
    "risk": "risk-based random sample with known unequal chances",
    "high-stakes": "census of the high-stakes records",
    "follow-up": "simple random sample of unread records from the groups in which a record had failed",
}


def report(found: Findings, form: str = "markdown") -> str:
    """The page as Markdown or HTML; every text that comes from people or data is escaped."""
    blocks = report_blocks(found)
    return as_html(blocks, f"Audit: {found.sample.name}") if form == "html" else as_markdown(blocks)


def report_blocks(found: Findings) -> list[Block]:
    """The page as plain data."""
    blocks: list[Block] = [Heading(f"Audit: {found.sample.name}", 1), Text(f"{found.summary.headline}.", strong=True)]
    blocks += [Text(found.summary.detail)]
    blocks += [Heading("The sample"), Points(_drawn(found))]
    blocks += [Heading("What was found"), *_counts(found)]
    blocks += _intervals(found)
    blocks += [Heading("The plan and its risks"), *_plan(found)]
    if found.design != "equal":
        blocks += [Heading("Weighted estimate"), *_weighted(found)]
    blocks += _standing_out(found)
    blocks += _questions(found)
    blocks += [Heading("Readers"), *_readers(found)]
    if found.agreement is not None:
        blocks += [Heading("Agreement"), *_agreement(found.agreement)]
    if found.adjudicated:
        blocks += [Heading("Adjudicated"), *_adjudicated(found)]
    blocks += [Heading("Limits"), Points(_limits(found))]
    groups, notes = _groups(found), _notes(found)
    if notes:
        notes = [Heading("Appendix: issues and notes"), *notes]
    return [*blocks, Break(), *groups, *notes] if groups or notes else blocks


def _moment(text: str) -> str:
    return text[:16].replace("T", " ") + " UTC"


def _drawn(found: Findings) -> list[tuple[str, str]]:
    sample = found.sample
    how = str(sample.recipe.get("how") or "")
    how = how if how in ("high-stakes", "follow-up") else sample.method
    told = [("", f"{sample.size:,} of {sample.population:,} {sample.role} records, {HOW.get(how, sample.method)}")]
    if sample.seed is not None:
        told.append(("Seed", f"{sample.seed}; {sample.recipe.get('generator', '')}"))
    told.append(("Dataset", f"{sample.dataset_digest}; sample {sample.id}"))
    told.append(("Drawn", f"{_moment(sample.created_at)} by {sample.created_by}"))
    readers = ", ".join(f"{one.name} ({one.judged + one.unsure})" for one in found.readers)
    told.append(("Read by", readers or "nobody yet"))
    moments = sorted(entry.verdict.created_at for entry in found.standings)
    if moments:
        told.append(("Verdicts given", f"{_moment(moments[0])} to {_moment(moments[-1])}"))
    seconds = sorted(entry.verdict.seconds for entry in found.standings if entry.verdict.seconds is not None)
    if seconds:
        told.append(("Time on a record", f"median {seconds[len(seconds) // 2]:.0f} s"))
    return told


def _counts(found: Findings) -> list[Block]:
    result = found.summary
    rows = [("pass", result.passed), ("fail", result.failed), ("unsure", result.unsure), ("disputed", result.disputed)]
    return [
        Rows(("outcome", "records"), [(name, f"{count:,}") for name, count in [*rows, ("unread", result.unread)]], (1,))
    ]


def _intervals(found: Findings) -> list[Block]:
    result, sample = found.summary, found.sample
    k, n = result.failed, result.judged
    if not n:
        return []
    if sample.method == "census" or not found.equal:
        return []
    known = [] if result.walk is not None else [clopper_pearson(k, n), wilson(k, n), jeffreys(k, n)]
    known = [one for one in (*known, result.anytime) if one is not None]
    rows = [(one.method, f"{one.low:.1%}", f"{one.high:.1%}") for one in known]
    if result.walk is None:
        rows.append(("one-sided upper bound", "", f"{upper_bound(k, n):.1%}"))
    blocks: list[Block] = [
        Text(
            f"Share with an issue: {k} of {n} = {k / n:.1%}"
            + (", biased because reading stops by what is found." if result.biased else ".")
            + f" P(true rate > {LIMIT:.0%}) = {result.above_limit:.0%} (Jeffreys)."
        ),
        Rows(("95 % interval", "from", "to"), rows, (1, 2)),
        Drawing(
            interval_drawing([(one.method, k / n, one) for one in known], LIMIT),
            f"The line is the practice's {LIMIT:.0%}.",
        ),
    ]
    whole = bad_in_population(k, n, sample.population) if result.walk is None else None
    if whole:
        blocks.append(
            Text(
                f"In all {sample.population:,} records that were drawn from, {whole[0]:,} to {whole[1]:,} would be found to have an "
                "issue (95 %, hypergeometric).",
                small=True,
            )
        )
    return blocks


def _plan(found: Findings) -> list[Block]:
    plan, result, sample = found.plan, found.summary, found.sample
    chosen = (
        "chosen when the sample was drawn"
        if plan.chosen
        else "the practice's, for none was chosen when the sample was drawn"
    )
    if sample.method == "census":
        return [Text("Every record there was is in this sample: the count is the rate, and no plan is needed.")]
    if not found.equal:
        return [
            Text(
                "The records had unequal chances of being drawn, so no plan (n, c) applies; see the weighted estimate."
            )
        ]
    blocks: list[Block] = []
    if plan.kind == "sequential":
        lines = sprt(plan.good, plan.bad, plan.alpha, plan.beta)
        told = (
            f"Sequential (Wald), {chosen}: {plan.good:.0%} against {plan.bad:.0%}, nominal risks {plan.alpha:.0%} and "
            f"{plan.beta:.0%}, at most {plan.size:,} records. Accept at {lines.slope:.4f} n {lines.accept:+.4f} issues or fewer, "
            f"reject at {lines.slope:.4f} n {lines.reject:+.4f} or more, n in the drawn order."
        )
        blocks.append(Text(told))
        if result.walk is not None:
            blocks.append(
                Drawing(walk_drawing(lines, plan.size, result.walk), f"Read in order: {result.walk.judged:,}.")
            )
    else:
        blocks.append(
            Text(f"Fixed, {chosen}: read {plan.size:,}, more than {plan.accept} with an issue is a systemic problem.")
        )
    curve = curve_of(plan, sample.population)
    share = result.rate if result.walk is None else None
    blocks.append(Drawing(curve_drawing(curve, share), curve_words(plan, curve)))
    blocks.append(Points([("", curve.producer.text), ("", curve.consumer.text)]))
    lines = practice_lines(result.failed, result.judged)
    if lines and not result.unread:
        blocks.append(
            Rows(("line of the practice", "here"), [(one.text, "kept" if one.kept else "not kept") for one in lines])
        )
        if len({one.kept for one in lines}) > 1:
            blocks.append(
                Text("The practice's lines disagree at this count; none of them speaks of the whole set.", small=True)
            )
    need = certifying_size(result.failed, 0.05)
    finite = certifying_size(result.failed, 0.05, population=sample.population)
    blocks.append(
        Text(
            f"To show a true rate of at most 5 % with {result.failed} issues, {need:,} random records must be read (95 %, exact)"
            + (
                f"; {finite:,} of these {sample.population:,}."
                if finite
                else "; in this set it can no longer be shown."
            ),
            small=True,
        )
    )
    return blocks


def _weighted(found: Findings) -> list[Block]:
    blocks: list[Block] = [Text(estimate_words(found))]
    if found.sample.strata:
        names, strata = strata_of(found.sample.strata, found.records, found.outcomes)
        drawn = {one["name"]: one["drawn"] for one in found.sample.strata}
        rows = [
            (name, f"{one.population:,}", f"{drawn[name]:,}", f"{one.judged:,}", f"{one.failed:,}")
            for name, one in zip(names, strata, strict=True)
        ]
        blocks.append(Rows(("stratum", "in the set", "drawn", "judged", "with an issue"), rows, (1, 2, 3, 4)))
    elif not found.equal:
        drawn = [record.probability for record in found.records]
        blocks.append(Text(f"Chances of being drawn: {min(drawn):.2%} to {max(drawn):.2%}.", small=True))
    return blocks


def _standing_out(found: Findings) -> list[Block]:
    """Groups that stand out, in a sentence; the table of all groups is in the appendix."""
    if not found.groups:
        return []
    out = [
        f"{title}: {group.name} ({group.failed} of {group.judged}, corrected p = {group.p_value:.3f})"
        for title, some in found.groups.items()
        for group in some
        if group.stands_out
    ]
    by = ", ".join(found.groups)
    if not out:
        return [
            Heading("By group"),
            Text(f"Compared by {by}: no group stands out beyond chance. The appendix has the rates."),
        ]
    return [
        Heading("By group"),
        Text(f"Compared by {by} (the appendix has the rates). Stands out:"),
        Points([("", one) for one in out]),
    ]


def _groups(found: Findings) -> list[Block]:
    rows: list[tuple[str, ...]] = []
    for title, some in found.groups.items():
        for group in some[:MOST_GROUPS]:
            ends = f"{group.interval.low:.1%}–{group.interval.high:.1%}" if group.interval else "undefined"
            mark = f"stands out (p = {group.p_value:.3f})" if group.stands_out else ""
            rows.append((title, group.name, f"{group.failed} of {group.judged}", f"{group.rate:.1%}", ends, mark))
        if len(some) > MOST_GROUPS:
            rows.append((title, f"{len(some) - MOST_GROUPS} more, not shown", "", "", "", ""))
    if not rows:
        return []
    many = sum(len(some) for some in found.groups.values())
    return [
        Heading("Appendix: rates by group"),
        Rows(("by", "group", "with an issue", "rate", "95 %", ""), rows, (2, 3, 4)),
        Text(
            f"Each interval is for its group alone; of {many} about {many / 20:.1f} miss by chance. A group stands out when its "
            "difference from all others survives Holm's correction for the number of groups in its table.",
            small=True,
        ),
    ]


def _questions(found: Findings) -> list[Block]:
    told = [(question, said) for question, said in found.questions if not _unanswered(said)]
    blocks: list[Block] = []
    if told:
        blocks += [Heading("The questions"), Rows(("question", "answers"), told)]
    return [*blocks, Points(list(found.marks))] if found.marks else blocks


def _unanswered(said: str) -> bool:
    """Whether nobody answered: every count but the last is 0."""
    return all(part.endswith(" 0") for part in said.split(", ")[:-1])


def _readers(found: Findings) -> list[Block]:
    if not found.readers:
        return [Text("Nobody has read it yet.")]
    rows = [
        (one.name, f"{one.judged:,}", f"{one.failed:,}", f"{one.failed / one.judged:.1%}" if one.judged else "")
        for one in found.readers
    ]
    blocks: list[Block] = [Rows(("reader", "judged", "with an issue", "share"), rows, (1, 2, 3))]
    known = [one for one in found.readers if one.calibration is not None]
    if known:
        blocks.append(Points([(one.name, corrected_words(one)) for one in known]))
        if found.summary.walk is not None:
            blocks.append(Text(SIZED, small=True))
    else:
        blocks.append(
            Text("No reader was calibrated on gold records, so the readers' own errors are not known.", small=True)
        )
    return blocks


def _agreement(found: Comparison) -> list[Block]:
    def number(value: float | None, interval: Interval | None) -> tuple[str, str]:
        if value is None:
            return "undefined", ""
        return f"{value:.3f}", f"{interval.low:.3f} to {interval.high:.3f}" if interval else "undefined"

    name = "Cohen's kappa" if len(found.names) == 2 else "Fleiss' kappa"
    pair = found.pair_intervals.get((0, 1), {}) if len(found.names) == 2 else {}
    rows = [
        ("raw agreement", *number(found.raw, found.intervals.get("raw"))),
        (name, *number(found.kappa, pair.get("plain") if pair else found.intervals.get("fleiss"))),
        ("Gwet's AC1", *number(found.ac1, found.intervals.get("ac1"))),
        ("Krippendorff's alpha, nominal", *number(found.alpha, found.intervals.get("nominal"))),
    ]
    told = [f"{found.records:,} records were read by at least two of {', '.join(found.names)}. {TARGET_SOURCE}"]
    if found.kappa is None and found.raw is not None:
        told.append("Everybody always gave the same verdict, so agreement beyond chance is undefined: neither 0 nor 1.")
    if found.paradox and found.prevalent:
        told.append(
            f"{found.prevalent[1]:.0%} of the verdicts are “{found.prevalent[0]}”: that lowers kappa whatever the readers do (the "
            "kappa paradox); read AC1."
        )
    return [
        Rows(("", "value", "95 %, bootstrap by record"), rows, (1, 2)),
        Text(" ".join(told), small=True),
    ]


def _adjudicated(found: Findings) -> list[Block]:
    rows = [
        (
            one.record_id,
            ", ".join(f"{said['reviewer']}: {said['outcome']}" for said in one.settled),
            one.outcome,
            f"{one.adjudicator} ({one.role}), {one.created_at[:10]}",
            one.reason[:200],
        )
        for one in found.adjudicated[:20]
    ]
    more = len(found.adjudicated) - 20
    blocks: list[Block] = [Rows(("record", "readers said", "final verdict", "by", "reason"), rows)]
    if more > 0:
        blocks.append(Text(f"{more:,} more are in the database.", small=True))
    told = [(one.reader, final_words(one)) for one in found.finals if one.decided]
    return [*blocks, Points(told), Text(FINAL_NOTE, small=True)] if told else blocks


def _limits(found: Findings) -> list[tuple[str, str]]:
    told = [PLAN_SOURCE]
    if found.summary.decision == "not shown":
        told.append("That no systemic problem was found does not show a low rate; the intervals say what is possible.")
    told.append("Unsure, disputed and unread records are in no rate and no interval.")
    if found.waiting:
        told.append(f"{found.waiting:,} records are disputed or unsure and wait for an adjudicator's decision.")
    if len(found.readers) < 2:
        told.append("A rate found by one reader contains that reader's own errors.")
    if found.summary.biased:
        told.append(
            "Reading stopped by what was found: the share is biased, and only the anytime-valid interval holds."
        )
    if found.stale:
        told.append(
            f"{found.stale:,} verdicts are of records that have changed, or are mapped otherwise, or are gone since; they are "
            "counted as given."
        )
    return [("", one) for one in told]


def _notes(found: Findings) -> Sequence[Block]:
    told = [
        e.verdict for e in found.standings if e.verdict.outcome in ("fail", "unsure") or e.verdict.note or e.conflict
    ]
    told = [verdict for verdict in told if verdict.outcome != "pass" or verdict.note]
    if not told:
        return []
    rows = [(one.record_id, one.outcome, one.reviewer, one.note[:600]) for one in told[:MOST_NOTES]]
    blocks: list[Block] = [Rows(("record", "verdict", "reader", "note"), rows)]
    more = len(told) - MOST_NOTES
    return [*blocks, Text(f"{more:,} more are in the database.", small=True)] if more > 0 else blocks
