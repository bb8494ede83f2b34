"""The scorecard of a workspace: what every finished step and audit says, gathered for core/quality/scorecard.py."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from core.actions.decisions import (
    audit_summary,
    chances_equal,
    final_by_record,
    latest_sample,
    open_reviews,
    verdict_by_record,
)
from core.actions.frame import has_values
from core.actions.highstakes import high_stakes_ids
from core.actions.inforce import in_force
from core.actions.mix import counts_now, mix, predicted
from core.actions.raters import rating_columns, ratings_of, suggested
from core.actions.standing import NOTHING, InForce, kept_rows, standing
from core.dataset.columns import FIELD_PREFIX
from core.quality.duplicates import HAND
from core.quality.scorecard import Metric, scorecard
from core.quality.scorecard_readings import ScorecardInputs
from core.review.comparison import compare
from core.review.findings import weighted
from core.review.samples import Sample, sample_records
from core.review.schema import Store
from core.review.verdicts import current_verdicts
from core.steps import current, params_of
from core.workspace import Dataset, Workspace

STEPS_READ = ("labels", "formats", "duplicates", "contradictions", "leakage", "distribution", "coverage")

MOST_ANNOTATED = 50_000
"""Records up to which annotator columns are compared for the scorecard; beyond, the Agreement page does it when asked."""


def metrics(workspace: Workspace, data: Dataset | None = None) -> list[Metric]:
    """The scorecard of the set as it stands; what was not computed or reviewed yet is unknown, never passed.

    Without the records that the ledger removes, with the labels and responses in force, and of groups of duplicates what readers
    chose to keep by hand. A metric that a decision moved also says what it was of the set as imported.
    """
    data = data or workspace.need("training")
    force = in_force(workspace, data)
    people = _people(workspace, data, force)
    hand = workspace.settings().get(HAND, ())
    now = scorecard(replace(people, **_counted(workspace, data, force, hand)))
    if not force and not hand:
        return now
    before = {m.id: m.value for m in scorecard(replace(people, **_counted(workspace, data, NOTHING)))}
    return [replace(m, imported=before[m.id]) if m.value != before[m.id] else m for m in now]


def _counted(workspace: Workspace, data: Dataset, force: InForce, chosen: Sequence[str] = ()) -> dict[str, Any]:
    """What the steps say under these decisions: fields of ScorecardInputs."""
    found = {step: current(workspace, step) for step in STEPS_READ}
    near = found["duplicates"]
    infos = {step: standing(one, data, force, chosen, near) if one else None for step, one in found.items()}
    column = str(params_of(workspace, "distribution")["column"])
    compared = found["distribution"] or predicted(workspace, column)
    infos["distribution"] = (mix(workspace, data, column, force).info or None) if compared else None
    if has_values(data, "reasoning"):
        import pyarrow.compute as pc

        kept = kept_rows(data, force)
        there = pc.greater(pc.utf8_length(pc.fill_null(data.column("reasoning"), "")), 0).to_numpy()
        infos["reasoning"] = {"with": int(there[kept].sum()), "of": int(kept.sum())}
    return infos | {
        "records": data.count - len(force.removed),
        "categories": counts_now(workspace, data, "category", force),
        "languages": counts_now(workspace, data, "language", force),
        "deliberate": tuple(workspace.settings().get("balance", {}).get("more", {}).get(column, ())),
        "as_imported": ("coverage",) if force.removed else (),
    }


def _people(workspace: Workspace, data: Dataset, force: InForce) -> ScorecardInputs:
    """What people have read and set."""
    store = open_reviews(workspace)
    sample = latest_sample(store, data)
    stakes = high_stakes_ids(workspace, data, store) - force.removed
    second = latest_sample(store, data, labels=True)
    return ScorecardInputs(
        label_review=_label_review(store, second) if second else None,
        audit=_audit(store, sample) if sample else None,
        agreement=_agreement(store, sample, data),
        high_stakes={"reviewed": len(stakes.intersection(verdict_by_record(store))), "of": len(stakes)}
        if stakes
        else None,
        targets={k: tuple(v) for k, v in workspace.settings().get("targets", {}).items()},
    )


def _label_review(store: Store, sample: Sample) -> dict[str, Any] | None:
    """What a second reading of labels says; None where the chances of being drawn were not equal, which has no plain share."""
    if not chances_equal(sample, sample_records(store, sample.id)):
        return None
    read = audit_summary(store, sample)
    ends = {"low": read.interval.low, "high": read.interval.high} if read.interval else {}
    return {"n": read.judged, "k": read.failed, **ends}


def _audit(store: Store, sample: Sample) -> dict[str, Any]:
    read = audit_summary(store, sample)
    audit: dict[str, Any] = {"n": read.judged, "k": read.failed, "size": sample.size}
    if read.interval:
        audit |= {"low": read.interval.low, "high": read.interval.high}
    if read.walk is not None:
        audit |= {"plan": "sequential plan, the share is biased", "decided": read.walk.decision != "continue"}
    records = sample_records(store, sample.id)
    if not chances_equal(sample, records):
        _, found = weighted(sample, records, final_by_record(store, sample), False)
        known = found.interval if found else None
        ends = {"low": known.low if known else None, "high": known.high if known else None}
        rate = {"rate": found.rate} if found else {}
        audit |= {
            **ends,
            **rate,
            "plan": "weighted by chance of being drawn",
            "decided": bool(found) and not read.unread,
        }
    return audit


def _agreement(store: Store, sample: Sample | None, data: Dataset) -> dict | None:
    """Agreement of the readers of the newest audit; without a second reader, of annotator columns that came with the data."""
    if sample:
        standings = current_verdicts(store, sample.id)
        names = sorted({one.verdict.reviewer for one in standings})
        if len(names) > 1:
            said = {
                (one.verdict.reviewer, one.verdict.record_id): one.verdict.outcome
                for one in standings
                if not one.conflict
            }
            ids = sorted({one for _, one in said})
            return _compared(
                tuple(tuple(said.get((name, one)) for one in ids) for name in names), tuple(names), "two reviews"
            )
    if data.count > MOST_ANNOTATED:
        return None
    columns = suggested(rating_columns(data))
    if len(columns) < 2:
        return None
    titles = tuple(name.removeprefix(FIELD_PREFIX) for name in columns)
    ratings = tuple(tuple(row) for row in ratings_of(data, columns))
    return _compared(ratings, titles, f"two ratings in the file ({', '.join(titles)[:80]})")


@lru_cache(maxsize=8)
def _compared(ratings: tuple[tuple[str | None, ...], ...], names: tuple[str, ...], what: str) -> dict | None:
    both = sum(sum(value is not None for value in record) > 1 for record in zip(*ratings, strict=True))
    if not both:
        return None
    found = compare(ratings, names, [str(n) for n in range(len(ratings[0]))])
    ends = {"raw": found.intervals.get("raw")}
    ends["kappa"] = found.pair_intervals[0, 1].get("plain") if len(names) == 2 else found.intervals.get("fleiss")
    said: dict = {"raw": found.raw, "kappa": found.kappa, "n": both, "what": what}
    for name, (low, high) in {"raw": ("raw_low", "raw_high"), "kappa": ("low", "high")}.items():
        said |= {low: ends[name].low, high: ends[name].high} if ends[name] else {}
    return said
