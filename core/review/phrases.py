"""Sentences on estimates, plans and readers, the same on the screen and in the report. Plain text: whoever shows it escapes it."""

from __future__ import annotations

from core.review.curves import Curve
from core.review.findings import Findings, Reader
from core.review.intervals import LIMIT
from core.review.plan import Plan, pass_probability

SIZED = (
    "These intervals take a size fixed beforehand; after a sequential plan they are too narrow and the share is biased."
)


def estimate_words(told: Findings) -> str:
    """The weighted estimate in a sentence."""
    found, how = told.estimate, "by category" if told.design == "stratified" else "by chance of being drawn (Hájek)"
    if found is None:
        missing = "every category has a judged record" if told.design == "stratified" else "a record is judged"
        return f"The weighted rate is not defined before {missing}."
    if found.standard_error is None or found.interval is None:
        return f"Weighted {how}: {found.rate:.1%}; its standard error is not defined for so few records."
    smooth = " Parts without an issue were given the spread of their Jeffreys estimate." if found.smoothed else ""
    whole = ""
    if found.horvitz_thompson is not None:
        whole = f" Horvitz–Thompson, without adjusting to the weights drawn: {found.horvitz_thompson:.1%}."
    size = f", worth {found.effective:.0f} plain random records" if found.effective else ""
    return (
        f"Weighted {how}: {found.rate:.1%}, 95 % {found.interval.low:.1%} to {found.interval.high:.1%} "
        f"(standard error {found.standard_error:.1%}{size}).{whole}{smooth}"
    )


def curve_words(plan: Plan, curve: Curve) -> str:
    """What the curve of the plan says, in one or two sentences; numbers only, no text from data."""
    if plan.kind == "sequential":
        good, bad = curve.average
        return (
            f"Chance that the sequential plan accepts a set within {plan.size:,} records, by its true rate; exact. On average it "
            f"reads {good:.0f} records of a set with {plan.good:.0%} bad ones and {bad:.0f} with {plan.bad:.0%}. Records are taken as "
            "independent, which is cautious in a small set."
        )
    how = f"drawn without replacement from {curve.population:,} (hypergeometric)" if curve.population else "binomial"
    passes = pass_probability(LIMIT, plan.size, plan.accept, curve.population)
    return (
        f"Chance that a set passes this plan (read {plan.size:,}, at most {plan.accept:,} with an issue), by its true rate; {how}. "
        f"A set with {LIMIT:.0%} of bad records passes {passes:.0%} of the time, so passing is no proof of a low rate."
    )


def corrected_words(reader: Reader) -> str:
    """One reader's share, errors on gold records and corrected share, in a sentence."""
    known, found = reader.calibration, reader.corrected
    errors = f"found {known.caught:,} of {known.bad:,} bad gold records and passed {known.kept:,} of {known.good:,} good ones"
    if found.rate is None:
        return f"{errors}. {found.undefined}"
    return (
        f"{errors}. Of {reader.judged:,} records {reader.failed:,} failed ({reader.failed / reader.judged:.1%}); without these errors "
        f"{found.rate:.1%}, 95 % {found.interval.low:.1%} to {found.interval.high:.1%} (Rogan–Gladen, Lang–Reiczigel)."
    )
