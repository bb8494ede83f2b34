"""The format rules on records whose response or label is another one now: these are checked again, the others stand as stored."""

from collections.abc import Mapping
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from core.dataset.selected import select
from core.quality.formats import COLUMNS, rules_of
from core.quality.records import Records
from core.quality.rules import Rule, check
from core.workspace import Dataset, Result

Labels = Mapping[str, Mapping[str, str]]


def violations_now(dataset: Dataset, result: Result, responses: Mapping[str, str], labels: Labels) -> pa.Table:
    """record_id, rule, severity of every violation of a stored `formats` result as the records stand: `responses` record_id -> text,
    `labels` column -> record_id -> text in place of the imported ones.

    Only the records named there are checked again. Of rules that compare records with each other, the casing of a changed column is
    counted anew over the whole set, and reasoning that many records share stands as it was found.
    """
    rules = rules_of(result)
    casing = [
        rule for rule in rules if rule.kind == "label_casing" and labels.get(rule.params.get("column", "category"))
    ]
    stay = {
        rule.id for rule in rules if rule.params.get("repeats") or (rule.kind == "label_casing" and rule not in casing)
    }
    stored = result.table(["record_id", "rule", "severity"])
    changed = list(dict.fromkeys([*responses, *(one for column in labels.values() for one in column)]))
    anew = [rule for rule in rules if rule.id not in stay and rule not in casing]
    rows = [(one, rule, severity) for one, found in _again(dataset, result, anew, changed, responses, labels).items()
            for rule, severity in found]  # fmt: skip
    for rule in casing:
        rows += [(one, rule.id, rule.severity) for one in _casing(dataset, rule, labels)]
    old = pc.and_(
        pc.is_in(stored["record_id"], pa.array(changed, pa.string())),
        pc.invert(pc.is_in(stored["rule"], pa.array(sorted(stay), pa.string()))),
    )
    old = pc.or_(old, pc.is_in(stored["rule"], pa.array([rule.id for rule in casing], pa.string())))
    columns = list(zip(*rows, strict=True)) if rows else [[], [], []]
    new = pa.table([pa.array(list(c), pa.string()) for c in columns], names=stored.column_names)
    return pa.concat_tables([stored.filter(pc.invert(old)).cast(new.schema), new])


@lru_cache(maxsize=4)
def _known(path: str) -> dict[str, tuple[tuple, list[tuple[str, str]]]]:
    """Of one result: record_id -> (what it was checked with, what it breaks), so that one more correction checks one more record."""
    return {}


def _again(
    dataset: Dataset, result: Result, rules: list[Rule], changed: list[str], responses: Mapping[str, str], labels: Labels
) -> dict[str, list[tuple[str, str]]]:  # fmt: skip
    known = _known(str(result.path))
    state = {one: (responses.get(one), tuple((c, v[one]) for c, v in labels.items() if one in v)) for one in changed}
    due = [one for one in changed if one not in known or known[one][0] != state[one]]
    if due:
        names = dict.fromkeys([*COLUMNS, *(str(rule.params.get("column", "response")) for rule in rules)])
        chosen = select(dataset, due, responses, labels)
        records = Records(pa.concat_tables(list(chosen.tables([name for name in names if name in chosen.columns]))))
        found: dict[str, list[tuple[str, str]]] = {one: [] for one in due}
        for rule in rules:
            for violation in check(records, rule):
                found[due[violation.row]].append((rule.id, rule.severity))
        known |= {one: (state[one], found[one]) for one in due}
    return {one: known[one][1] for one in changed}


def _casing(dataset: Dataset, rule: Rule, labels: Labels) -> list[str]:
    """The records whose label is written unlike the usual way, in the column as it stands."""
    ids, column = dataset.ids(), rule.params.get("column", "category")
    table = {}
    for name in dict.fromkeys([column, "category"]):
        if name in dataset.columns:
            now = labels.get(name, {})
            values = dataset.column(name).to_pylist()
            table[name] = pa.array([now.get(one, value) for one, value in zip(ids, values, strict=True)], pa.string())
    return [ids[violation.row] for violation in check(Records(pa.table(table)), rule)]
