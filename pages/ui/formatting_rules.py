"""The table of format rules, and one rule opened: what it asks for, on or off, and the records that break it."""

import json

import numpy as np
import streamlit as st

from core.actions import standing
from core.actions.inforce import in_force
from core.quality.rules import KINDS
from core.steps import params_of, set_params
from core.workspace import Dataset, Result, Workspace
from pages.ui import jobs, records, state
from pages.ui.formatting_data import Violations, drop_rule, off, spec_of, switch, violations
from pages.ui.safe import literal, short
from pages.ui.tables import pager

ORIGINS = {"suggested": "suggested by the set", "ready": "ready-made", "own": "own"}


def _standing(workspace: Workspace, data: Dataset, result: Result) -> dict[str, int] | None:
    """{rule: records of the set as it stands that break it}; None when no response or label changed since the import."""
    force = in_force(workspace, data)
    if not force.changed:
        return None
    found = standing.violations(result, data, force).group_by("rule").aggregate([("record_id", "count_distinct")])
    return dict(zip(found["rule"].to_pylist(), found["record_id_count_distinct"].to_pylist(), strict=True))


def table(workspace: Workspace, data: Dataset, result: Result, kept: np.ndarray) -> dict | None:
    """Every rule, those most broken first and those left out last; returns the one that is opened."""
    counts = violations(data, result).counts(kept)
    without = set(off(workspace))
    rules = [rule | {"broken": counts.get(rule["id"], 0)} for rule in result.info["rules"]]
    rules.sort(key=lambda rule: (rule["id"] in without, -rule["broken"]))
    rules += [rule | {"broken": None, "looked_at": None} for rule in result.info.get("off", ())]
    if not rules:
        st.info("No rule is in force. Take the suggested and ready-made ones in below, or add one of your own.")
        return None
    sets = {"all": "All rules", "broken": "Broken ones", **ORIGINS}
    chosen = st.segmented_control("Show", list(sets), format_func=sets.get, default="all", key="formatting.show")
    rules = [r for r in rules if chosen in (None, "all", r["origin"]) or (chosen == "broken" and r["broken"])]
    if not rules:
        st.caption("No such rule.")
        return None
    now = _standing(workspace, data, result)
    event = st.dataframe(
        {
            "on": [rule["id"] not in without for rule in rules],
            "rule": [short(rule["title"], 140) for rule in rules],
            "broken by": [rule["broken"] for rule in rules],
            **({"as it stands": [now.get(r["id"], 0) if r["broken"] is not None else None for r in rules]} if now is not None else {}),
            "share": [None if not r["looked_at"] else 100 * (r["broken"] or 0) / r["looked_at"] for r in rules],
            "applies to": [short(rule["applies_to"], 40) for rule in rules],
            "origin": [ORIGINS[rule["origin"]] for rule in rules],
            "followed by": [None if rule["share"] is None else 100 * rule["share"] for rule in rules],
            "severity": [rule["severity"] for rule in rules],
            "kind": [KINDS[rule["kind"]].title for rule in rules],
        },
        hide_index=True, height=min(420, 38 + 35 * len(rules)), on_select="rerun", selection_mode="single-row",
        key=f"formatting.rules.{chosen}.{result.key[:8]}",
        column_config={
            "share": st.column_config.NumberColumn(format="%.1f %%", help="Of the records that the rule looks at."),
            "broken by": st.column_config.NumberColumn(format="localized", help="Records, those removed left out."),
            "as it stands": st.column_config.NumberColumn(help="With the corrected responses and changed labels in force."),
            "followed by": st.column_config.NumberColumn(
                format="%.1f %%", help="Suggested rules: the share of the records they were read from that follow them."
            ),
        },
    )  # fmt: skip
    rows = event.selection.rows
    st.caption(
        "Tick a rule to see the records that break it. A suggested rule is what the majority of a category does."
    )
    if rows and rows[0] < len(rules):
        return rules[rows[0]]
    return rules[0] if rules[0]["broken"] else None


def settings(workspace: Workspace, result: Result) -> None:
    """Which sets of rules are in force, and how large a majority makes a rule."""
    params, spec = params_of(workspace, "formats"), spec_of(workspace)
    with st.expander("Which rules are in force"), st.form("formatting.settings", border=False):
        words = st.pills(
            "Sets", ["suggested", "ready"], selection_mode="multi", default=[w for w in spec if isinstance(w, str)],
            format_func=ORIGINS.get, key="formatting.sets",
        )  # fmt: skip
        share = st.slider(
            "Suggest a rule when at least this share of a category follows it", 0.5, 1.0, float(params["share"]), 0.05,
            format="percent", key="formatting.share",
        )  # fmt: skip
        if st.form_submit_button("Check again"):
            own = [item for item in spec if not isinstance(item, str)]
            set_params(workspace, "formats", {"rules": [*words, *own], "share": share})
            check_again()


def check_again() -> None:
    jobs.launch(["run", "formats"], "Format rules")


def detail(workspace: Workspace, data: Dataset, result: Result, rule: dict, kept: np.ndarray) -> None:
    st.subheader(literal(rule["title"], 160))
    told = [ORIGINS[rule["origin"]], f"severity {rule['severity']}", f"applies to {rule['applies_to']}"]
    if rule["share"] is not None:
        told.append(f"{100 * rule['share']:.1f} % of the records it was read from follow it")
    st.caption(literal(" · ".join(told), 300))
    if rule["params"]:
        with st.expander("How it is checked"):
            st.code(
                json.dumps({"kind": rule["kind"], **rule["params"]}, indent=1, ensure_ascii=False),
                "json",
                wrap_lines=True,
            )
    is_on = rule["id"] not in off(workspace)
    found = violations(data, result)
    places = found.first(rule["id"], kept)
    count = len(places)
    with st.container(horizontal=True):
        if st.button("Turn this rule off" if is_on else "Turn this rule on", key=f"formatting.switch.{rule['id']}"):
            switch(workspace, rule["id"], not is_on)
            check_again()
        if rule["origin"] == "own" and st.button("Delete this rule", key=f"formatting.drop.{rule['id']}"):
            drop_rule(workspace, rule["id"])
            check_again()
        if count and st.button(
            f"Select these {count:,}" if count != 1 else "Select this one", key="formatting.select", type="primary"
        ):
            state.select(records.ids_of(data).at(found.row[places]), f"Break the rule: {rule['title']}"[:120])
            st.rerun()
    if not is_on:
        st.write("This rule is off: nothing is checked against it.")
    elif not count:
        st.success("No kept record breaks it.", icon=":material/check_circle:")
    else:
        _violating(data, rule, found, places)


def _violating(data: Dataset, rule: dict, found: Violations, places: np.ndarray) -> None:
    here = places[pager(len(places), f"formatting.page.{rule['id']}", what="Records")]
    said, ids = found.read(here), records.ids_of(data).at(found.row[here])
    rows = records.rows_of(data, ids, ("category", "prompt", "annotator"))
    who = [short(row.get("annotator") or "", 30) for row in rows]
    event = st.dataframe(
        {
            "what is wrong": [short(message, 160) for message, _ in said],
            "where": [short(snippet, 120) for _, snippet in said],
            "category": [short(row.get("category") or "", 40) for row in rows],
            **({"annotator": who} if any(who) else {}),
            "prompt": [short(row.get("prompt") or "", 120) for row in rows],
        },
        hide_index=True, height=min(300, 38 + 35 * len(ids)), on_select="rerun", selection_mode="single-row",
        key=f"formatting.records.{rule['id']}.{len(places)}.{here[0]}",
    )  # fmt: skip
    chosen = event.selection.rows
    number = chosen[0] if chosen and chosen[0] < len(ids) else 0
    message, snippet = said[number]
    with st.container(border=True):
        st.markdown(f"**{literal(message, 300)}**")
        if snippet:
            st.code(short(snippet, 200), None, wrap_lines=True)
        records.show(data, ids[number], key=f"formatting.record.{ids[number]}")
