"""A rule of one's own: its kind and parameters, what it would find, and saving it."""

import re

import streamlit as st

from core.errors import QuadrantError
from core.frame import has_values
from core.quality.rules import KINDS, SEVERITIES, TEXTS, Rule
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
        left, right = st.columns(2)
        kind = left.selectbox("The rule", list(KINDS), format_func=lambda k: KINDS[k].title, key="formatting.kind")
        where = right.selectbox(
            "Applies to", ["all", *_categories(data)], format_func=_everyone, key="formatting.applies"
        )
        params = _params(data, kind)
        left, right = st.columns(2)
        title = left.text_input("Title", placeholder=KINDS[kind].title, key="formatting.title", max_chars=120)
        severity = right.segmented_control(
            "Severity", SEVERITIES, default="error", required=True, key="formatting.severity"
        )
        title = title.strip() or KINDS[kind].title + ("" if where == "all" else f" ({where})")
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


def _params(data: Dataset, kind: str) -> dict:
    """The parameters of a kind, as its widgets give them; empty ones are left out."""
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
    if "low" in takes:
        left, right = st.columns(2)
        given["low"] = left.number_input("Characters at the least", 0, value=0, key=f"formatting.{kind}.low")
        given["high"] = right.number_input("Characters at the most", 1, value=None, key=f"formatting.{kind}.high")
    if "least" in takes:
        given["least"] = st.number_input("Characters at the least", 1, value=20, key=f"formatting.{kind}.least")
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
