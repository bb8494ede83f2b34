"""Format compliance: every rule over every record, one row a violation."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from core.dataset.selected import Selected
from core.errors import InputError
from core.quality.fixes import Fix, fixable, propose, recheck
from core.quality.records import Counts
from core.quality.rule_library import READY
from core.quality.rules import Records, Rule, Violation, check, counted, rule_from
from core.quality.suggestions import Blocks, suggest_from
from core.workspace import Dataset, Inputs, Output, Result

DEFAULTS = {"rules": "suggested+ready", "off": [], "share": 0.8}
"""`rules`: "suggested", "ready", both, or a list of rules as JSON (which may start with those words); `off`: ids to leave out."""
COLUMNS = ("record_id", "messages", "prompt", "response", "reasoning", "system", "category", "language", "annotator")


def records_of(dataset: Dataset, columns: Sequence[str] = COLUMNS) -> Records:
    """The text columns of a dataset, and the fields that `columns` names."""
    return Records(dataset.table([name for name in columns if name in dataset.columns]))


def blocks_of(dataset: Dataset, columns: Sequence[str] = COLUMNS, counted: Counts | None = None) -> Iterator[Records]:
    """As `records_of`, a row group of the file at a time."""
    for table in dataset.blocks([name for name in columns if name in dataset.columns]):
        yield Records(table, counted)


def resolve(spec: Any, off: Sequence[str], blocks: Blocks, share: float = 0.8) -> list[Rule]:
    """The rules that a parameter stands for. Errors: an unknown word, a bad rule, two rules with one id."""
    parts = spec.split("+") if isinstance(spec, str) else list(spec)
    rules: list[Rule] = []
    for item in parts:
        if item == "ready":
            rules += READY
        elif item == "suggested":
            rules += suggest_from(blocks, share)
        elif isinstance(item, Mapping):
            rules.append(rule_from(dict(item)))
        else:
            raise InputError(f"Format rules are {item!r}; they must be suggested, ready, or a list of rules.")
    twice = [name for name, n in Counter(rule.id for rule in rules).items() if n > 1]
    if twice:
        raise InputError(f"Two format rules have the id {twice[0]!r}; give each an id of its own.")
    return [rule for rule in rules if rule.id not in set(off)]


def run(inputs: Inputs) -> Output:
    """Step `formats`: record_id, rule, message, snippet, one row a violation; compliance and the counts of each rule in the info.

    Compliance is the share of records without any violation, whatever its severity: a count of these records. `low` and `high` are
    its 95 % Clopper–Pearson interval as an estimate for further records that come from where these came from.
    """
    params = DEFAULTS | dict(inputs.params)
    dataset = inputs.datasets["training"]
    named = [r["params"].get("column", "") for r in params["rules"] if isinstance(r, Mapping) and r.get("params")]
    columns = tuple(dict.fromkeys((*COLUMNS, *named)))
    inputs.progress(0, 1, "reading the rules off the records")
    every = resolve(params["rules"], (), lambda: blocks_of(dataset, columns), params["share"])
    rules = [rule for rule in every if rule.id not in set(params["off"])]
    over_all = counted(lambda: blocks_of(dataset, columns), rules)
    touched = {severity: np.zeros(dataset.count, dtype=bool) for severity in ("error", "warning")}
    found: list[list[pa.Table]] = [[] for _ in rules]
    broken, looked, start = np.zeros(len(rules), np.int64), np.zeros(len(rules), np.int64), 0
    for records in blocks_of(dataset, columns, over_all):
        for n, rule in enumerate(rules):
            violations = check(records, rule)
            looked[n] += _looked_at(records, rule)
            if violations:
                rows = np.array([v.row for v in violations], dtype=np.int64)
                touched[rule.severity][start + rows] = True
                broken[n] += len(np.unique(rows))
                found[n].append(_table(records, rule, violations, rows))
        start += len(records)
        inputs.progress(start, max(dataset.count, 1), f"{start:,} records against {len(rules)} rules")
    table = pa.concat_tables([part for parts in found for part in parts] or [_SCHEMA.empty_table()])
    violating = touched["error"] | touched["warning"]
    info = {
        "records": dataset.count,
        "violating": int(violating.sum()),
        "violations": table.num_rows,
        "compliance": 1 - float(violating.mean()) if dataset.count else None,
        "compliance_errors": 1 - float(touched["error"].mean()) if dataset.count else None,  # warnings left aside
        **interval(int(violating.sum()), dataset.count),
        "rules": [
            rule.to_json() | {"violations": sum(map(len, parts)), "records": int(records), "looked_at": int(seen)}
            for rule, parts, records, seen in zip(rules, found, broken, looked, strict=True)
        ],
        "off": [rule.to_json() for rule in every if rule.id in set(params["off"])],
    }
    inputs.progress(1, 1, f"{info['violating']:,} records with a violation")
    return Output(table=table, info=info)


def interval(violating: int, count: int) -> dict[str, float | None]:
    """{"low", "high"}: the 95 % Clopper–Pearson interval of compliance (0..1), None without records."""
    if not count:
        return {"low": None, "high": None}
    from scipy.special import betaincinv

    low = 1.0 if violating == count else float(betaincinv(violating + 1, count - violating, 0.975))
    high = 0.0 if not violating else float(betaincinv(violating, count - violating + 1, 0.025))
    return {"low": 1 - low, "high": 1 - high}


_SCHEMA = pa.schema([(name, pa.string()) for name in ("record_id", "rule", "severity", "message", "snippet")])


def _table(records: Records, rule: Rule, violations: list[Violation], rows: np.ndarray) -> pa.Table:
    """The violations of one rule in a block of records."""
    count = len(violations)
    return pa.table(
        {
            "record_id": records.table["record_id"].take(pa.array(rows)).cast(pa.string()).combine_chunks(),
            "rule": pa.repeat(pa.scalar(rule.id, pa.string()), count),
            "severity": pa.repeat(pa.scalar(rule.severity, pa.string()), count),
            "message": pa.array([v.message for v in violations], pa.string()),
            "snippet": pa.array([v.snippet for v in violations], pa.string()),
        },
        schema=_SCHEMA,
    )


def _looked_at(records: Records, rule: Rule) -> int:
    return len(records) if rule.applies_to == "all" else len(records.of(rule.applies_to)[0])


def rules_of(result: Result) -> list[Rule]:
    """The rules that a stored `formats` result was checked against."""
    known = set(Rule.__dataclass_fields__)
    return [Rule(**{name: value for name, value in one.items() if name in known}) for one in result.info["rules"]]


def records_for(dataset: Dataset, rules: Sequence[Rule], rows: Sequence[int] | np.ndarray) -> Records:
    """The texts that some rules look at, of some rows (ascending) alone."""
    names = dict.fromkeys((*COLUMNS, *(str(r.params.get("column", "response")) for r in rules)))
    chosen = Selected(dataset, np.asarray(rows, np.int64))
    return Records(pa.concat_tables(list(chosen.tables([name for name in names if name in dataset.columns]))))


def broken_rows(dataset: Dataset, result: Result) -> dict[str, np.ndarray]:
    """rule id -> the rows (of this dataset, ascending) that break it, from a stored `formats` result."""
    table = result.table(["record_id", "rule"])
    names, rows = table["rule"].combine_chunks().dictionary_encode(), dataset.index.rows(table["record_id"])
    number = names.indices.to_numpy()
    return {rule: np.unique(rows[number == n]) for n, rule in enumerate(names.dictionary.to_pylist())}


def mendable_rows(
    dataset: Dataset, result: Result, kept: np.ndarray | None = None, wanted: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """rule id -> the kept rows that break it, for the rules that can have a fix-up; not every one of these rows has a safe one."""
    able = {rule.id for rule in rules_of(result) if fixable(rule) and (wanted is None or rule.id in wanted)}
    broken = broken_rows(dataset, result)
    return {name: rows if kept is None else rows[kept[rows]] for name, rows in broken.items() if name in able}


def fixes_of(
    dataset: Dataset,
    result: Result,
    kept: np.ndarray | None = None,
    edited: Mapping[str, str] | None = None,
    wanted: Sequence[str] | None = None,
) -> list[tuple[str, Fix]]:
    """(record_id, fix-up) of every kept record that a rule of this result can mend safely. `edited`: record_id -> the accepted
    response that stands in place of the imported one, which the fix-up starts from. `wanted`: rule ids; all when absent."""
    rules = rules_of(result)
    asked = mendable_rows(dataset, result, kept, wanted)
    rows = np.unique(np.concatenate([np.zeros(0, np.int64), *asked.values()]))
    if not len(rows):
        return []
    some, ids = records_for(dataset, rules, rows), dataset.index.names.at(rows)
    broken = broken_rows(dataset, result)
    here = {
        name: set(np.searchsorted(rows, np.intersect1d(found, rows, assume_unique=True)).tolist())
        for name, found in broken.items()
    }
    accepted = {n: edited[one] for n, one in enumerate(ids) if one in edited} if edited else {}
    if accepted:
        texts = [accepted.get(n, text) for n, text in enumerate(some.texts("response"))]
        at = some.table.column_names.index("response")
        some = Records(some.table.set_column(at, "response", pa.array(texts, pa.large_string())))
        still = recheck(some, rules, {n: texts[n] for n in accepted})
        for name in here:
            here[name] = {n for n in here[name] if n not in accepted or name in still[n]}
    found = propose(some, rules, here, sorted(asked))
    return [(ids[fix.row], replace(fix, row=int(rows[fix.row]))) for fix in found]
