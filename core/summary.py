"""The scorecard of a workspace: what every finished step and audit says, gathered for core.quality.scorecard."""

from collections import Counter

from core.decisions import audit_summary, chances_equal, final_by_record, latest_sample, open_reviews
from core.frame import has_values
from core.quality.duplicates import HAND
from core.quality.scorecard import Metric, ScorecardInputs, scorecard
from core.review.findings import weighted
from core.review.ledger import removed_ids
from core.review.samples import sample_records
from core.standing import standing
from core.steps import current
from core.workspace import Dataset, Workspace

STEPS_READ = ("labels", "formats", "duplicates", "contradictions", "leakage", "distribution", "coverage")


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
            categories=_counts(data, "category"),
            languages=_counts(data, "language"),
            targets={k: tuple(v) for k, v in workspace.settings().get("targets", {}).items()},
            **infos,
        )  # fmt: skip
    )


def _counts(data: Dataset, name: str) -> dict[str, int] | None:
    if not has_values(data, name):
        return None
    return dict(Counter(value for value in data.column(name).to_pylist() if value is not None))
