"""What an audit of a workspace found: its plan, estimates, groups, readers and their errors, for the screen and the report."""

from collections import Counter
from collections.abc import Mapping, Sequence

from core.actions.decisions import audit_summary, chances_equal, decided, open_reviews, seen_now
from core.actions.frame import has_values
from core.actions.raters import gold_verdicts
from core.dataset.columns import FIELD_PREFIX
from core.errors import MissingInput
from core.review.adjudication import final_outcomes, open_cases, shown
from core.review.comparison import compare
from core.review.correction import Calibration, calibrated
from core.review.findings import Findings, readers_of, weighted
from core.review.groups import Group, error_by, periods
from core.review.plan import plan_of
from core.review.readers import against_final
from core.review.rubric_store import rubric_kept
from core.review.samples import Sample, sample_records, samples
from core.review.schema import Store
from core.review.seen import is_stale
from core.review.verdicts import Standing, Verdict, current_verdicts, outcomes
from core.workspace import Dataset, Workspace

KNOWN = {"category": "Category", "annotator": "Annotator", "language": "Language"}
SOURCES = ("source", "dataset", "origin", "subset", "split", "site")
MOST_GROUPS, MOST_FIELDS = 40, 400


def findings(
    workspace: Workspace,
    sample: Sample,
    standings: Sequence[Standing] | None = None,
    now: Mapping[str, str] | None = None,
    grouped: Mapping[str, Mapping[str, str | None]] | None = None,
    agree: bool = True,
) -> Findings:
    """Everything about one sample; `standings` narrows it to the verdicts that may be shown.

    now, grouped: what `seen_now` and `grouping` say of its records, where that is known already. agree: also how far readers agree,
    which takes the longest.
    """
    store = open_reviews(workspace)
    standings = current_verdicts(store, sample.id) if standings is None else standings
    records = sample_records(store, sample.id)
    data = workspace.dataset(sample.role)
    equal = chances_equal(sample, records)
    decisions = shown(decided(store, sample), standings)
    said = final_outcomes(standings, decisions)
    design, estimate = weighted(sample, records, said, equal)
    ids = [record.record_id for record in records]
    now = now if now is not None else seen_now(data, ids) if data else {}
    grouped = grouped if grouped is not None else grouping(data, ids) if data else {}
    verdicts = [entry.verdict for entry in standings]
    return Findings(
        sample=sample,
        records=records,
        plan=plan_of(sample.recipe, sample.size),
        summary=audit_summary(store, sample, standings),
        standings=standings,
        equal=equal,
        design=design,
        estimate=estimate,
        readers=readers_of(standings, calibrations(workspace, {one.reviewer for one in verdicts})),
        groups=rates_by_group(grouped, records, said, equal or sample.method == "census"),
        agreement=_agreement(records, standings) if agree else None,
        adjudicated=sorted(decisions.values(), key=lambda one: one.entry),
        outcomes=said,
        waiting=len(open_cases(standings, decisions)),
        finals=against_final(standings, decisions),
        stale=sum(is_stale(one.record_digest, one.record_id, now.get(one.record_id)) for one in verdicts),
        questions=answers(store, verdicts),
        marks=marks(store, verdicts),
    )


def answers(store: Store, verdicts: Sequence[Verdict]) -> list[tuple[str, str]]:
    """(question, "yes 40, no 3, not answered 7") for each question of the rubrics that these verdicts were given under."""
    told = []
    for rubric, some in _by_rubric(store, verdicts):
        for one in rubric.criteria:
            counts = Counter(verdict.answers.get(one.id) for verdict in some)
            said = [f"{option.label} {counts[option.id]}" for option in one.options]
            told.append((one.text or one.title, ", ".join([*said, f"not answered {counts[None]}"])))
    return told


def marks(store: Store, verdicts: Sequence[Verdict]) -> list[tuple[str, str]]:
    """("error types", "dose 3, omission 1"), and likewise severity, high stakes and corrected responses: what was marked at all."""
    types, severity = Counter(), Counter()
    for rubric, some in _by_rubric(store, verdicts):
        names = {option.id: option.label for option in (*rubric.error_types, *rubric.severity)}
        types.update(names.get(kind, kind) for verdict in some for kind in verdict.error_types)
        severity.update(names.get(verdict.severity, verdict.severity) for verdict in some if verdict.severity)
    found = [
        (title, ", ".join(f"{name} {n}" for name, n in counts.most_common()))
        for title, counts in (("error types", types), ("severity", severity))
    ]
    high = sum(verdict.high_stakes for verdict in verdicts)
    corrected = sum(verdict.correction is not None for verdict in verdicts)
    found += [("high stakes", str(high) if high else ""), ("corrected responses", str(corrected) if corrected else "")]
    return [(title, said) for title, said in found if said]


def _by_rubric(store: Store, verdicts: Sequence[Verdict]):
    """(rubric, its verdicts) in the order in which they were first used."""
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.rubric, []).append(verdict)
    return [(rubric_kept(store, digest), some) for digest, some in found.items()]


def sample_named(store: Store, name: str | None) -> Sample:
    """The audit sample with this id, start of an id, or name; the newest when none is given."""
    known = [one for one in samples(store) if one.role == "training"]
    if not known:
        raise MissingInput("No audit sample has been drawn yet. Draw one with `audit` or on the Audit page.")
    found = [one for one in known if not name or name in (one.id, one.name)]
    found = found or [one for one in known if len(name) >= 4 and one.id.startswith(name)]
    if not found:
        raise MissingInput(f"There is no sample {name!r} here. Known: {', '.join(one.id[:8] for one in known[:10])}.")
    return found[0]


def calibrations(workspace: Workspace, names: set[str]) -> dict[str, Calibration]:
    """{reviewer: what they said of the gold records of today}; without those who judged none, empty without gold verdicts."""
    gold = workspace.dataset("gold")
    expected = gold_verdicts(gold) if gold else None
    if not gold or not expected:
        return {}
    store = open_reviews(workspace)
    found: dict[str, Calibration] = {}
    for known in samples(store):
        if known.role != "gold" or known.dataset_digest != gold.digest:
            continue
        standings = current_verdicts(store, known.id)
        for name in names - set(found):
            said = outcomes([entry for entry in standings if entry.verdict.reviewer == name])
            if said:
                found[name] = calibrated(expected, said)
    return found


def rates_by_group(
    grouped: Mapping[str, Mapping[str, str | None]], records: Sequence, said: Mapping[str, str], equal: bool
) -> dict[str, list[Group]]:
    """{title: groups by rate} of what `grouping` gave; empty until a record is judged. Weighted where chances are not `equal`."""
    if not any(outcome in ("pass", "fail") for outcome in said.values()):
        return {}
    chance = None if equal else {one.record_id: one.probability for one in records}
    return {title: error_by(said, of, chance) for title, of in grouped.items()}


def grouping(data: Dataset, ids: Sequence[str]) -> dict[str, Mapping[str, str | None]]:
    """{title: {record_id: group}} by every column that sets these records apart: known ones, sources, and dates as periods.

    Further fields count with 2 to 40 different values among these records; a column of dates is read by month, quarter or year.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    titles = {name: title for name, title in KNOWN.items() if has_values(data, name)}
    fields = [name for name in data.columns if name.startswith(FIELD_PREFIX)][:MOST_FIELDS]
    table = data.table(["record_id", *titles, *fields])
    at = pc.index_in(
        pa.array(list(ids), pa.string()), table["record_id"].combine_chunks().cast(pa.string())
    ).drop_null()
    table = table.take(at)
    keys = table["record_id"].to_pylist()
    found: dict[str, Mapping[str, str | None]] = {}
    for name in (*titles, *fields):
        values = dict(zip(keys, table[name].to_pylist(), strict=True))
        title = titles.get(name) or name.removeprefix(FIELD_PREFIX)
        if name in fields:
            by_period = periods(values)
            if by_period is not None:
                values, title = by_period, f"Period ({title})"
            elif title.lower() in SOURCES:
                title = f"Source ({title})"
        different = {value for value in values.values() if value}
        if 2 <= len(different) <= MOST_GROUPS and title not in found:
            found[title] = values
    return found


def _agreement(records: Sequence, standings: Sequence[Standing]):
    names = sorted({entry.verdict.reviewer for entry in standings})
    if len(names) < 2:
        return None
    said = {name: {} for name in names}
    for entry in standings:
        if not entry.conflict:
            said[entry.verdict.reviewer][entry.verdict.record_id] = entry.verdict.outcome
    ids = [record.record_id for record in records]
    return compare([[said[name].get(one) for one in ids] for name in names], names, ids)
