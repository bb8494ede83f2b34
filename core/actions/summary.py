"""The scorecard of a workspace: what every finished step and audit says, gathered for core/quality/scorecard.py."""

from collections import Counter
from functools import lru_cache

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
from core.actions.raters import rating_columns, ratings_of, suggested
from core.actions.standing import standing
from core.dataset.columns import FIELD_PREFIX
from core.quality.duplicates import HAND
from core.quality.scorecard import Metric, scorecard
from core.quality.scorecard_readings import ScorecardInputs
from core.review.comparison import compare
from core.review.findings import weighted
from core.review.ledger import removed_ids
from core.review.samples import Sample, sample_records
from core.review.schema import Store
from core.review.verdicts import current_verdicts
from core.steps import current
from core.workspace import Dataset, Workspace

STEPS_READ = ("labels", "formats", "duplicates", "contradictions", "leakage", "distribution", "coverage")

MOST_ANNOTATED = 50_000
"""Records up to which annotator columns are compared for the scorecard; beyond, the Agreement page does it when asked."""


def metrics(workspace: Workspace, data: Dataset | None = None) -> list[Metric]:
    """The scorecard as it stands; what was not computed or reviewed yet is unknown, never passed.

    Duplicates, contradictions, leakage and formats are counted among the records that the ledger keeps, and of groups of duplicates
    what readers chose to keep by hand stays.
    """
    data = data or workspace.need("training")
    infos = {}
    store = open_reviews(workspace)
    removed = removed_ids(store)
    chosen = workspace.settings().get(HAND, ())
    for step in STEPS_READ:
        found = current(workspace, step)
        infos[step] = standing(found, data, removed, chosen) if found else None
    sample = latest_sample(store, data)
    audit = None
    if sample:
        read = audit_summary(store, sample)
        audit = {"n": read.judged, "k": read.failed, "size": sample.size}
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
    stakes = high_stakes_ids(workspace, data, store) - removed
    reasoning = None
    if has_values(data, "reasoning"):
        import pyarrow.compute as pc

        column = data.column("reasoning")
        reasoning = {"with": pc.sum(pc.greater(pc.utf8_length(pc.fill_null(column, "")), 0)).as_py(), "of": data.count}
    return scorecard(
        ScorecardInputs(
            records=data.count,
            audit=audit,
            reasoning=reasoning,
            agreement=_agreement(store, sample, data),
            high_stakes={"reviewed": len(stakes.intersection(verdict_by_record(store))), "of": len(stakes)}
            if stakes
            else None,
            categories=_counts(data, "category", removed),
            languages=_counts(data, "language", removed),
            targets={k: tuple(v) for k, v in workspace.settings().get("targets", {}).items()},
            **infos,
        )  # fmt: skip
    )


def _counts(data: Dataset, name: str, removed: set[str]) -> dict[str, int] | None:
    """How many of the records in force have each value."""
    if not has_values(data, name):
        return None
    values = data.column(name).to_pylist()
    if removed:
        values = [value for one, value in zip(data.ids(), values, strict=True) if one not in removed]
    return dict(Counter(value for value in values if value is not None))


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
