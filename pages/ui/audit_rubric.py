"""Which rubric a sample is read with, and editing rubrics: a form, the JSON itself, a file in and a file out."""

import json

import streamlit as st

from core.errors import InputError, QuadrantError
from core.review.rubric_store import rubric_of, use_rubric
from core.review.rubrics import (
    COUNTS,
    FORMAT,
    Rubric,
    checked,
    forget_rubric,
    json_of,
    keep_rubric,
    ready,
    rubric_from,
    rubrics,
)
from core.review.samples import Sample
from core.review.schema import Store
from core.workspace import Workspace
from pages.ui import state
from pages.ui.safe import literal, short

OPEN = "audit.rubric"


def picker(workspace: Workspace, store: Store, sample: Sample) -> None:
    """What the sample is read with, and the way to another rubric or version."""
    now = rubric_of(store, sample.id)
    found, problems = rubrics(workspace.path)
    newer = found.get(now.id)
    changed = newer is not None and newer.digest != now.digest
    with st.popover(f"Rubric: {literal(now.title, 40)}", icon=":material/checklist:", key=OPEN, on_change="rerun"):
        for text in problems:
            st.warning(literal(text, 400))
        if changed:
            st.markdown(f"This sample is read with an earlier version of **{literal(newer.title, 80)}**.")
            st.button(
                "Read on with the version of now", key="audit.rubric.newer", type="primary", on_click=_use, args=(store, sample, newer)
            )  # fmt: skip
        names = list(found)
        at = names.index(now.id) if now.id in found else 0
        chosen = st.selectbox(
            "Rubric", names, index=at, key="audit.rubric.pick", format_func=lambda one: short(found[one].title, 60)
        )
        one = found[chosen]
        if one.note:
            st.caption(literal(one.note, 400))
        st.markdown("\n".join(f"- {literal(c.title, 120)}" for c in one.criteria))
        if chosen != now.id:
            st.button(
                "Read this sample with it",
                key="audit.rubric.use",
                type="primary",
                on_click=_use,
                args=(store, sample, one),
            )
        st.caption("Verdicts that were given keep the rubric, and the version of it, that they were given under.")
        with st.container(horizontal=True):
            st.button("Edit …", key="audit.rubric.edit", icon=":material/edit:", on_click=_ask, args=("edit", chosen))
            st.download_button(
                "Export", json_of(one), f"{one.id}.json", "application/json", key="audit.rubric.export", icon=":material/download:",
                on_click="ignore",
            )  # fmt: skip
            st.button(
                "Import …", key="audit.rubric.import", icon=":material/upload:", on_click=_ask, args=("import", "")
            )
    asked, name = state.remembered("audit.rubric.asked", ("", ""))
    if asked == "edit" and name in found:
        edit(workspace, found[name])
    elif asked == "import":
        take_in(workspace)


def _ask(what: str = "", name: str = "") -> None:
    """Which dialog stands open; none when it is closed. The list of rubrics gives way to it."""
    state.remember("audit.rubric.asked", (what, name))
    if what:
        st.session_state[OPEN] = False


def _use(store: Store, sample: Sample, rubric: Rubric) -> None:
    st.session_state[OPEN] = False
    try:
        use_rubric(store, sample.id, rubric, state.reviewer())
    except QuadrantError as error:
        st.toast(literal(error, 400), icon=":material/error:")


@st.dialog("Import a rubric", on_dismiss=_ask)
def take_in(workspace: Workspace) -> None:
    """A file of somebody else's, checked before it is kept."""
    file = st.file_uploader("A rubric's JSON file", type=["json"], key="audit.rubric.file")
    if file is None:
        return
    try:
        one = rubric_from(file.getvalue().decode("utf-8"), short(file.name, 80))
    except UnicodeDecodeError:
        st.error(literal(f"{file.name}: it is no text in UTF-8. Save it as that.", 300))
        return
    except InputError as error:
        st.error(literal(error, 500))
        return
    st.markdown(f"**{literal(one.title, 120)}**, {len(one.criteria)} criteria")
    if one.id in rubrics(workspace.path)[0]:
        st.caption(literal(f"It takes the place of the rubric {one.id!r} of this workspace.", 200))
    if st.button("Keep it in this workspace", type="primary", key="audit.rubric.keep"):
        _keep(workspace, one)


def _keep(workspace: Workspace, one: Rubric) -> None:
    try:
        keep_rubric(workspace.path, one)
    except QuadrantError as error:
        st.error(literal(error, 500))
        return
    _ask()
    st.rerun()


@st.dialog("Edit a rubric", width="large", on_dismiss=_ask)
def edit(workspace: Workspace, one: Rubric) -> None:
    """The form for what most rubrics have; the JSON for all of it. Saving makes a new version in this workspace."""
    how = st.segmented_control(
        "How", ["Form", "JSON"], default="Form", key="audit.rubric.how", label_visibility="collapsed", required=True
    )
    if how == "JSON":
        text = st.text_area("The rubric as JSON", json_of(one), height=460, key=f"audit.rubric.json.{one.digest[:8]}")
        make = lambda: rubric_from(text, "the text above")  # noqa: E731
    else:
        make = _form(one)
    own = workspace.path / "rubrics" / f"{one.id}.json"
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Save as a new version", type="primary", key="audit.rubric.save"):
            try:
                changed = make()
                if changed.digest != one.digest:
                    keep_rubric(workspace.path, changed)
            except QuadrantError as error:
                st.error(literal(error, 600))
                return
            _ask()
            st.rerun()
        if own.is_file():
            label = "Back to the ready one" if one.id in ready() else "Remove it"
            if st.button(label, key="audit.rubric.forget"):
                forget_rubric(workspace.path, one.id)
                _ask()
                st.rerun()
    st.caption("A sample that is being read goes on with its version until you choose the new one for it.")


def _form(one: Rubric):
    """Draws the form; gives back what makes the rubric of it."""
    stamp = one.digest[:8]
    left, right = st.columns([3, 2])
    title = left.text_input("Title", one.title, key=f"audit.rubric.title.{stamp}", max_chars=120)
    name = right.text_input(
        "Id, the name of its file",
        one.id,
        key=f"audit.rubric.id.{stamp}",
        max_chars=40,
        help="A new id makes a new rubric beside this one.",
    )
    note = st.text_area("What it is for", one.note, key=f"audit.rubric.note.{stamp}", height=70)
    st.markdown("**Criteria**")
    given = list(one.data["criteria"])
    criteria = st.data_editor(
        [{"id": c.id, "title": c.title, "text": c.text, "needed": c.needed} for c in one.criteria],
        num_rows="dynamic", hide_index=True, key=f"audit.rubric.criteria.{stamp}", width="stretch",
    )  # fmt: skip
    options = [{"id": o.id, "label": o.label, "counts": o.counts} for o in one.criteria[0].options]
    if "options" in one.data:
        st.markdown("**Answers** that the criteria share, and what each counts as")
        options = st.data_editor(
            options, num_rows="dynamic", hide_index=True, key=f"audit.rubric.options.{stamp}", width="stretch",
            column_config={"counts": st.column_config.SelectboxColumn(options=list(COUNTS), required=True)},
        )  # fmt: skip
    rules = {"reader": "The reader gives the verdict; the answers explain it", "needed": "The answers make the verdict"}
    rule = st.radio(
        "Verdict",
        list(rules),
        index=list(rules).index(one.rule),
        format_func=rules.get,
        key=f"audit.rubric.rule.{stamp}",
    )
    allowed = 0
    if rule == "needed":
        allowed = st.number_input(
            "Needed criteria that may fail",
            0,
            max(0, len(given) - 1),
            one.fails_allowed,
            key=f"audit.rubric.allowed.{stamp}",
        )
    beside = st.columns(2)
    lists = {}
    for place, (key, label) in zip(
        beside, {"error_types": "Kinds of error", "severity": "Severity"}.items(), strict=True
    ):
        place.markdown(f"**{label}**")
        lists[key] = place.data_editor(
            [{"id": o.id, "label": o.label} for o in getattr(one, key)] or [{"id": "", "label": ""}],
            num_rows="dynamic", hide_index=True, key=f"audit.rubric.{key}.{stamp}", width="stretch",
        )  # fmt: skip
    labels = {"high_stakes": "High-stakes mark", "correction": "Corrected response", "guideline": "Guideline reference"}
    with st.container(horizontal=True):
        flags = {
            key: st.checkbox(label, getattr(one, key), key=f"audit.rubric.{key}.{stamp}")
            for key, label in labels.items()
        }

    def make() -> Rubric:
        known = {c["id"]: c for c in given}
        data = {"quadrant_rubric": FORMAT, "id": name.strip(), "title": title, "note": note}
        if "options" in one.data:
            data["options"] = _filled(options)
        data["criteria"] = [_criterion(row, known.get(row.get("id"), {})) for row in _filled(criteria)]
        data |= {key: _filled(rows) for key, rows in lists.items()} | flags
        failing = [s for s in one.failing_severity if s in {row["id"] for row in data["severity"]}]
        data["outcome"] = {"rule": rule} | (
            {"fails_allowed": int(allowed), "failing_severity": failing} if rule == "needed" else {}
        )
        return checked(json.loads(json.dumps(data)), "the form")

    return make


def _criterion(row: dict, before: dict) -> dict:
    """A row of the form over what the file had: its own answers and its second choice are kept."""
    kept = {key: before[key] for key in ("options", "detail") if key in before}
    text = {"text": row["text"]} if row.get("text") else {}
    needed = {} if row.get("needed", True) else {"needed": False}
    return {"id": row.get("id") or "", "title": row.get("title") or ""} | text | needed | kept


def _filled(rows: list[dict]) -> list[dict]:
    """Rows in which something was typed, without what is empty beside it."""
    return [
        {k: v for k, v in row.items() if v is not None}
        for row in rows
        if row.get("id") or row.get("label") or row.get("title")
    ]
