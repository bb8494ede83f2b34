"""What the formatting page shows, read once a result; and changing the rules of the workspace."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import streamlit as st

from core.quality.formats import COLUMNS, records_of
from core.quality.rules import Records, Rule, check
from core.steps import params_of, set_params
from core.workspace import Dataset, Result, Workspace

SAMPLE = 20_000
"""Records that a preview looks at; of more, every n-th."""


@dataclass(frozen=True)
class Violations:
    """Which records of a dataset break which rule, M violations in the order of the result; what each says stays on disk."""

    rules: tuple[str, ...]
    rule: np.ndarray  # (M,) number in `rules`
    row: np.ndarray  # (M,) row of the dataset
    lead: np.ndarray  # (M,) bool: the first violation of its rule by its record
    result: Result = field(repr=False)

    def first(self, rule: str, kept: np.ndarray) -> np.ndarray:
        """Places (in 0..M) of the first violation of a rule by each kept record, in the order of the result."""
        return np.flatnonzero((self.rule == self._number(rule)) & self.lead & kept[self.row])

    def counts(self, kept: np.ndarray) -> dict[str, int]:
        """{rule: kept records that break it}"""
        many = np.bincount(self.rule[self.lead & kept[self.row]], minlength=len(self.rules))
        return dict(zip(self.rules, many.tolist(), strict=True))

    def mask(self, rules: Iterable[str] | None = None) -> np.ndarray:
        """(M,) True for violations of some rules; of all when absent."""
        if rules is None:
            return np.ones(len(self.rule), dtype=bool)
        return np.isin(self.rule, [self._number(rule) for rule in rules])

    def read(self, places: np.ndarray) -> list[tuple[str, str]]:
        """(message, snippet) of some violations."""
        return [
            (row["message"], row["snippet"]) for row in self.result.rows(places, ["message", "snippet"]).to_pylist()
        ]

    def _number(self, rule: str) -> int:
        return self.rules.index(rule) if rule in self.rules else -1


@st.cache_resource(max_entries=4, show_spinner=False)
def _violations(path: str, digest: str, _data: Dataset, _result: Result) -> Violations:
    table = _result.table(["record_id", "rule"])
    names = table["rule"].combine_chunks().dictionary_encode()
    rows, rule = _data.index.rows(table["record_id"]).astype(np.int32), names.indices.to_numpy().astype(np.int16)
    lead = np.zeros(len(rows), dtype=bool)
    lead[np.unique(rule.astype(np.int64) * max(1, _data.count) + rows, return_index=True)[1]] = True
    return Violations(tuple(names.dictionary.to_pylist()), rule, rows, lead, _result)


def violations(data: Dataset, result: Result) -> Violations:
    """The violations of a `formats` result, read once; rows are of this dataset."""
    return _violations(str(result.path), data.digest, data, result)


def broken(data: Dataset, result: Result) -> dict[str, np.ndarray]:
    """(N,) masks of the records with "any" violation, and with one of severity "error"."""
    found = violations(data, result)
    errors = [rule["id"] for rule in result.info["rules"] if rule["severity"] == "error"]
    masks = {}
    for name, which in (("any", None), ("error", errors)):
        masks[name] = np.zeros(data.count, dtype=bool)
        masks[name][found.row[found.mask(which)]] = True
    return masks


def spec_of(workspace: Workspace) -> list[str | dict[str, Any]]:
    """The rules of the workspace as a list: the words "suggested" and "ready", and own rules."""
    rules = params_of(workspace, "formats")["rules"]
    return rules.split("+") if isinstance(rules, str) else list(rules)


def add_rule(workspace: Workspace, rule: Rule) -> None:
    set_params(workspace, "formats", {"rules": [*spec_of(workspace), rule.to_json()]})


def drop_rule(workspace: Workspace, rule_id: str) -> None:
    """Forget an own rule."""
    left = [item for item in spec_of(workspace) if isinstance(item, str) or item["id"] != rule_id]
    set_params(workspace, "formats", {"rules": left, "off": [i for i in off(workspace) if i != rule_id]})


def off(workspace: Workspace) -> list[str]:
    return list(params_of(workspace, "formats")["off"])


def switch(workspace: Workspace, rule_id: str, on: bool) -> None:
    others = [i for i in off(workspace) if i != rule_id]
    set_params(workspace, "formats", {"off": others if on else [*others, rule_id]})


@st.cache_resource(max_entries=1, show_spinner=False)
def _records(digest: str, column: str, _data: Dataset) -> Records:
    found = records_of(_data, dict.fromkeys((*COLUMNS, column)))
    if len(found) <= SAMPLE:
        return found
    step = -(-len(found) // SAMPLE)
    return Records(found.table.take(list(range(0, len(found), step))))


def preview(data: Dataset, rule: Rule) -> tuple[list[tuple[str, str]], int, int]:
    """Violations of a rule being written, as (message, snippet); how many records it looked at, and how many there are to look at.

    Errors: InputError for a rule that cannot run.
    """
    from core.quality.rules import check_rule

    check_rule(rule)
    records = _records(data.digest, str(rule.params.get("column", "response")), data)
    looked = len(records) if rule.applies_to == "all" else len(records.of(rule.applies_to)[0])
    return [(v.message, v.snippet) for v in check(records, rule)], looked, len(records)
