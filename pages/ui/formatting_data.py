"""What the formatting page shows, read once a result; and changing the rules of the workspace."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.quality.formats import COLUMNS, records_of
from core.quality.rules import Records, Rule, check
from core.steps import params_of, set_params
from core.workspace import Dataset, Result, Workspace
from pages.ui.records import positions

SAMPLE = 20_000
"""Records that a preview looks at; of more, every n-th."""


@st.cache_resource(max_entries=4, show_spinner=False)
def _violations(path: str, _data: Dataset, _result: Result) -> dict[str, list[tuple[int, str, str]]]:
    at = positions(_data)
    table = _result.table(["record_id", "rule", "message", "snippet"]).to_pydict()
    found: dict[str, list[tuple[int, str, str]]] = {}
    for record_id, rule, message, snippet in zip(*table.values(), strict=True):
        found.setdefault(rule, []).append((at[record_id], message, snippet))
    return found


def violations(data: Dataset, result: Result) -> Mapping[str, list[tuple[int, str, str]]]:
    """{rule: [(row, message, snippet)]}; rows are of this dataset."""
    return _violations(str(result.path), data, result)


def broken(data: Dataset, result: Result) -> dict[str, set[int]]:
    """Rows with any violation, and rows with one of severity "error"."""
    found = violations(data, result)
    errors = {rule["id"] for rule in result.info["rules"] if rule["severity"] == "error"}
    return {
        "any": {row for rows in found.values() for row, _, _ in rows},
        "error": {row for rule in errors for row, _, _ in found.get(rule, ())},
    }


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
