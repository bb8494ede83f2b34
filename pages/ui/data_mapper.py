"""What the fields of a file are read as: recognised, shown, and corrected by hand with a preview of the first records."""

from dataclasses import replace
from hashlib import blake2b

import streamlit as st

from core.dataset.mapping import Mapping
from core.dataset.preview import LOOKED_AT, Preview, preview
from core.workspace import canonical
from pages.ui import records
from pages.ui.data_source import Source
from pages.ui.reviewer.record import shown
from pages.ui.safe import literal, short

SHOWN = 20  # records read as a preview
MAIN = {
    "response": "Response",
    "category": "Category",
    "system": "System message",
    "reasoning": "Reasoning",
    "difficulty": "Difficulty (a number)",
    "language": "Language",
    "annotator": "Annotator",
    "id": "Id (must be unique)",
}
FURTHER = {
    "messages": "Whole conversation (list of turns)",
    "history": "Earlier turns",
    "rejected": "Rejected response",
    "tools": "Tools",
    "unfold": "Unfold (several examples in one row)",
}
WORDS = {"prompt": "Prompt", **MAIN, **FURTHER, "difficulty": "Difficulty", "id": "Id", "messages": "Conversation"}


@st.cache_resource(max_entries=24, show_spinner="Reading the first rows…")
def _look(
    path: str, stamp: tuple[int, int], role: str, mapping: str, sheet: str | None, lists: tuple[str, ...] | None,
    _mapping: Mapping | None,
) -> Preview:  # fmt: skip
    return preview(path, _mapping, SHOWN, role, sheet=sheet, lists=lists)


def look(source: Source, role: str, mapping: Mapping | None = None, sheet=None, lists=None) -> Preview:
    """The preview of a file, read once for each role and mapping while the file stays the same."""
    text = canonical(mapping.as_dict()) if mapping else ""
    return _look(str(source.path), source.stamp, role, text, sheet, lists, mapping)


def choose(source: Source, role: str) -> Preview:
    """Show what was recognised and let it be corrected; returns the preview under the mapping that stands."""
    found = look(source, role)
    token = blake2b(f"{source.path}{source.stamp}{role}".encode(), digest_size=6).hexdigest()
    sheet, lists = _part(found, token)
    if sheet or lists:
        found = look(source, role, None, sheet, lists)
        token += blake2b(repr((sheet, lists)).encode(), digest_size=4).hexdigest()
    if found.kind == "shares":
        return found
    place = st.container()
    with st.expander("Read the fields differently", icon=":material/tune:", expanded=bool(found.error)):
        mapping, said = _by_hand(found, token)
        if said:
            st.caption(said)
    seen = look(source, role, mapping) if mapping != found.mapping else found
    with place:
        _recognised(source, seen, mapping != found.mapping)
    _first_records(seen, token)
    return seen


def _part(found: Preview, token: str) -> tuple[str | None, tuple[str, ...] | None]:
    """Which sheet of a workbook, or which lists of a JSON object, are read."""
    sheet = lists = None
    sheets, names = found.choices.get("sheets", []), found.choices.get("lists", [])
    if len(sheets) > 1:
        sheet = st.selectbox("Sheet", sheets, format_func=short, key=f"data.sheet.{token}")
    if len(names) > 1:
        chosen = st.multiselect(
            "Lists of this file that are read", names, default=names, format_func=short, key=f"data.lists.{token}",
            help="The file is one JSON object with several lists of rows. None chosen means all.",
        )  # fmt: skip
        lists = tuple(chosen) if chosen and len(chosen) < len(names) else None
    return sheet, lists


def _by_hand(found: Preview, token: str) -> tuple[Mapping, str]:
    """The mapping that the select boxes say, and a sentence when one choice set another aside."""
    names = [field.name for field in found.fields]
    base = found.mapping
    st.caption(
        "Every field that is not named here is kept as it is and comes out again at export. A name with dots, such as "
        "data\\.question, reads a nested value: type it."
    )
    prompt = st.multiselect(
        "Prompt (several are joined in this order)", _with(names, base.prompt), default=list(base.prompt),
        format_func=short, accept_new_options=True, key=f"data.map.prompt.{token}",
    )  # fmt: skip
    values: dict[str, str | None] = {}
    for labels in (MAIN, FURTHER):
        for start in range(0, len(labels), 4):
            part = list(labels.items())[start : start + 4]
            for column, (name, label) in zip(st.columns(4), part, strict=False):
                values[name] = column.selectbox(
                    label, _with(names, (getattr(base, name),)),
                    index=None if getattr(base, name) is None
                    else _with(names, (getattr(base, name),)).index(getattr(base, name)),
                    placeholder="none", format_func=short, accept_new_options=True, key=f"data.map.{name}.{token}",
                )  # fmt: skip
    said = ""
    if values["messages"] and values["messages"] != base.messages and (prompt or values["response"]):
        prompt, values["response"] = [], None
        said = "A whole conversation holds prompt and response itself, so those two are set aside."
    elif values["messages"] and prompt:
        values["messages"] = None
        said = "A prompt was chosen, so the whole conversation is set aside."
    return replace(base, prompt=tuple(prompt), **values), said


def _with(names: list[str], more: tuple[str | None, ...]) -> list[str]:
    return [*names, *(name for name in more if name and name not in names)]


def _recognised(source: Source, seen: Preview, by_hand: bool) -> None:
    how = "fields mapped by hand" if by_hand else seen.schema_title
    st.markdown(f"**{literal(source.name)}** · {literal(seen.kind_title)} · {literal(how)}")
    for note in seen.notes:
        st.caption(literal(note, 400))
    if seen.error:
        st.warning(literal(seen.error, 600), icon=":material/help:")
    read_as: dict[str, list[str]] = {}
    for role, field in seen.mapping.as_dict().items():
        for name in field if isinstance(field, list) else [field]:
            if role not in ("schema", "sheet", "lists"):
                read_as.setdefault(name.split(".")[0] if name not in _names(seen) else name, []).append(WORDS[role])
    st.dataframe(
        {
            "field": [short(f.name) for f in seen.fields],
            "read as": [", ".join(read_as.get(f.name, ())) or "kept as it is" for f in seen.fields],
            "holds": [f.kind for f in seen.fields],
            "filled": [f"{f.filled} of {f.present}" for f in seen.fields],
            "example": [short(f.examples[0], 160) if f.examples else "" for f in seen.fields],
        },
        hide_index=True, width="stretch",
        column_config={"example": st.column_config.TextColumn(width="large")},
    )  # fmt: skip
    st.caption(f"Looked at no more than the first {LOOKED_AT} rows; the import reads all of them.")


def _names(seen: Preview) -> set[str]:
    return {field.name for field in seen.fields}


def _first_records(seen: Preview, token: str) -> None:
    """The first records as they will be read, and the rows among them that will be quarantined."""
    if seen.problems:
        st.markdown(f"**{len(seen.problems)} of the first rows will be quarantined**")
        problems(
            [p["line"] for p in seen.problems], [p["reason"] for p in seen.problems], [p["text"] for p in seen.problems]
        )
    if not seen.records:
        return
    st.markdown("**The first records, as they will be read**")
    columns = [c for c in ("category", "system", "prompt", "reasoning", "response", "rejected", "language", "difficulty", "annotator")
               if any(r.get(c) not in (None, "") for r in seen.records)]  # fmt: skip
    table = {"line": [r["line"] for r in seen.records]}
    for name in columns:
        table[name] = [short("" if r.get(name) is None else r[name], 120) for r in seen.records]
    picked = st.dataframe(
        table, hide_index=True, width="stretch", height="auto", on_select="rerun", selection_mode="single-row",
        key=f"data.preview.{token}",
    ).selection.rows  # fmt: skip
    row = seen.records[picked[0] if picked and picked[0] < len(seen.records) else 0]
    with st.expander(f"Line {row['line']} in full (choose a row above for another)"):
        records.turns(shown({"record_id": "", **row}), f"data.record.{token}.{row['line']}")


def problems(lines: list[int], reasons: list[str], texts: list[str]) -> None:
    """Rows that were, or will be, left out: line, reason and the text as it stands."""
    st.dataframe(
        {"line": lines, "reason": [short(r, 300) for r in reasons], "text": [short(t, 300) for t in texts]},
        hide_index=True, width="stretch",
        column_config={
            "line": st.column_config.NumberColumn(width="small", format="%d"),
            "text": st.column_config.TextColumn(width="large"),
        },
    )  # fmt: skip
