"""A rule of one's own: its kind and parameters, what it would find, and saving it."""

import json
import re

import streamlit as st

from core.actions.frame import has_values
from core.errors import QuadrantError
from core.quality.rule_library import SHELF
from core.quality.rules import KINDS, SEVERITIES, TEXTS, Rule
from core.quality.style_kinds import BULLETS, HEADINGS, NUMBERS
from core.workspace import Dataset, Result, Workspace
from pages.ui.formatting_data import add_rule, preview
from pages.ui.formatting_rules import check_again
from pages.ui.safe import literal, short

EXAMPLES = 8


def form(workspace: Workspace, data: Dataset, result: Result) -> None:
    """The expander with the form. Widgets act at once, so that the count follows what is typed."""
    opened = st.toggle("Add a rule of your own", key="formatting.own")
    if not opened:
        return
    with st.container(border=True):
        shelf = {rule.id: rule for rule in SHELF}
        taken_from = st.selectbox(
            "Begin with", [None, *shelf], key="formatting.shelf",
            format_func=lambda one: "a rule of my own" if one is None else shelf[one].title,
            help="Ready rules for some tasks. They are added as they stand; where they apply and how grave they are is yours to say.",
        )  # fmt: skip
        left, right = st.columns(2)
        kind = (
            shelf[taken_from].kind
            if taken_from
            else left.selectbox("The rule", list(KINDS), format_func=lambda k: KINDS[k].title, key="formatting.kind")
        )
        where = right.selectbox(
            "Applies to", ["all", *_categories(data)], format_func=_everyone, key="formatting.applies"
        )
        params = dict(shelf[taken_from].params) if taken_from else _params(data, kind)
        if taken_from:
            left.code(
                json.dumps({"kind": kind, **params}, indent=1, ensure_ascii=False), "json", wrap_lines=True, height=120
            )
        if params is None:
            return
        left, right = st.columns(2)
        title = left.text_input("Title", placeholder=KINDS[kind].title, key="formatting.title", max_chars=120)
        severity = right.segmented_control(
            "Severity", SEVERITIES, default="error", required=True, key="formatting.severity"
        )
        title = title.strip() or (shelf[taken_from].title if taken_from else KINDS[kind].title) + (
            "" if where == "all" else f" ({where})"
        )
        taken = {rule["id"] for rule in [*result.info["rules"], *result.info.get("off", ())]}
        rule = Rule(_free_id(title, taken), title, kind, params, where, severity or "error", "own")
        ready = _preview(data, rule)
        if st.button("Save the rule", key="formatting.save", type="primary", disabled=not ready):
            add_rule(workspace, rule)
            check_again()


def _everyone(category: str) -> str:
    return "every record" if category == "all" else short(category, 60)


@st.cache_data(max_entries=8, show_spinner=False)
def _names(digest: str, _data: Dataset) -> list[str]:
    import pyarrow.compute as pc

    return sorted(name for name in pc.unique(_data.column("category")).to_pylist() if name)


def _categories(data: Dataset) -> list[str]:
    return [name for name in _names(data.digest, data) if name != "all"]


def _params(data: Dataset, kind: str) -> dict | None:
    """The parameters of a kind, as its widgets give them, empty ones left out; None where they cannot be read, which is said."""
    takes, given = KINDS[kind].params, {}
    columns = [c for c in TEXTS if has_values(data, c)] + [c for c in data.columns if c.startswith("field.")]
    if "column" in takes:
        first = "category" if kind == "label_casing" else "response"
        given["column"] = st.selectbox(
            "Of each record, look at", columns, index=columns.index(first) if first in columns else 0, format_func=short,
            key=f"formatting.{kind}.column",
        )  # fmt: skip
    if "columns" in takes:
        given["columns"] = st.multiselect(
            "Of each record, look at", columns, [c for c in ("prompt", "response") if c in columns], format_func=short,
            key=f"formatting.{kind}.columns",
        )  # fmt: skip
    if "pattern" in takes:
        given["pattern"] = st.text_input(
            "Pattern (regular expression, RE2)", placeholder=r"(?i)not medical advice", key=f"formatting.{kind}.pattern",
            help="RE2 knows no look-around and no back-references, and takes time in proportion to the text, whatever the pattern.",
        )  # fmt: skip
        given["message"] = st.text_input("What to say of a violation", key=f"formatting.{kind}.message", max_chars=120)
    if "label" in takes:
        given["label"] = st.text_input("Label", placeholder="Urgency", key=f"formatting.{kind}.label", max_chars=60)
    if "values" in takes:
        given["values"] = _listed("Values that are allowed, with commas between them", f"formatting.{kind}.values")
    if "space" in takes:
        given["space"] = st.checkbox("A space must follow the colon", key=f"formatting.{kind}.space")
    if "required" in takes:
        given["required"] = _listed("Keys that must be there, with commas between them", f"formatting.{kind}.required")
    if "schema" in takes:
        typed = st.text_area(
            "JSON Schema (Draft 2020-12)", height=160, key=f"formatting.{kind}.schema", max_chars=50_000,
            placeholder='{"type": "object", "required": ["code"], "properties": {"code": {"type": "string"}}}',
            help="Nothing is fetched: a $ref leads to a place in the schema itself. Patterns are RE2.",
        )  # fmt: skip
        try:
            given["schema"] = json.loads(typed) if typed.strip() else None
        except (ValueError, RecursionError) as error:
            st.error(literal(f"This is no JSON: {error}", 300))
            return None
        if given["schema"] is None:
            st.caption("Write or paste a schema to see what the rule finds.")
            return None
    if "bullet" in takes:
        left, right = st.columns(2)
        given["bullet"] = left.segmented_control(
            "List items open with", BULLETS, default="-", key=f"formatting.{kind}.bullet"
        )
        given["number"] = right.segmented_control(
            "Numbers are followed by", NUMBERS, default=".", key=f"formatting.{kind}.number"
        )
        if not given["bullet"] and not given["number"]:
            st.caption("Choose at least one sign.")
            return None
    if "style" in takes:
        styles = HEADINGS | {"none": "no headings at all"}
        given["style"] = st.segmented_control(
            "Headings are written",
            list(styles),
            format_func=styles.get,
            default="#",
            required=True,
            key=f"formatting.{kind}.style",
        )
    if "low" in takes:
        left, right = st.columns(2)
        given["low"] = left.number_input("Characters at the least", 0, value=0, key=f"formatting.{kind}.low")
        given["high"] = right.number_input("Characters at the most", 1, value=None, key=f"formatting.{kind}.high")
    if "least" in takes:
        given["least"] = st.number_input("Characters at the least", 1, value=20, key=f"formatting.{kind}.least")
    if "words" in takes:
        left, right = st.columns(2)
        given["words"] = left.number_input("Different words at the least", 0, value=8, key=f"formatting.{kind}.words")
        given["repeats"] = right.number_input(
            "Broken when this many records have the very same (0: never)", 0, value=5, key=f"formatting.{kind}.repeats"
        )
    return {name: value for name, value in given.items() if value not in (None, "", [], False)}


def _listed(label: str, key: str) -> list[str]:
    return [part.strip() for part in st.text_input(label, key=key).split(",") if part.strip()]


def _free_id(title: str, taken: set[str]) -> str:
    """An id from the title that no other rule has."""
    stem = "own:" + (re.sub(r"\W+", "-", title.casefold()).strip("-")[:50] or "rule")
    return next(name for name in (stem, *(f"{stem}-{n}" for n in range(2, len(taken) + 3))) if name not in taken)


def _preview(data: Dataset, rule: Rule) -> bool:
    """Say how many records would break the rule, with a few of them; whether the rule can be saved."""
    if "label" in KINDS[rule.kind].params and not rule.params.get("label"):
        st.caption("Name the label to see what the rule finds.")
        return False
    if "pattern" in KINDS[rule.kind].params and not rule.params.get("pattern"):
        st.caption("Type a pattern to see what the rule finds.")
        return False
    try:
        found, looked, read = preview(data, rule)
    except QuadrantError as error:
        st.error(literal(error, 400))
        return False
    share = f" ({100 * len(found) / looked:.1f} %)" if looked else ""
    st.markdown(f"**{len(found):,} of {looked:,} records{share} break it now.**")
    if read < data.count:
        st.caption(f"Counted on {read:,} records spread evenly over the {data.count:,}; saving checks all.")
    if found:
        st.dataframe(
            {
                "what is wrong": [short(message, 140) for message, _ in found[:EXAMPLES]],
                "where": [short(snippet, 120) for _, snippet in found[:EXAMPLES]],
            },
            hide_index=True,
        )
        if len(found) > EXAMPLES:
            st.caption(f"The first {EXAMPLES}.")
    return True
