"""A look at a file before it is imported: what it is, what its fields hold, and what the mapping makes of its first rows."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.dataset.conversation import is_conversation, is_tree
from core.dataset.importing import LOOKED_AT, NOT_UTF8, no_rows, peek
from core.dataset.jsontext import Fault, dumps, kind_of
from core.dataset.limits import Limits
from core.dataset.mapping import Mapping, check_names, mapping_from
from core.dataset.reading import FORMATS, open_source
from core.dataset.records import records_of
from core.dataset.schemas import NOTES, SCHEMAS, recognise
from core.dataset.shares import looks_like_shares
from core.errors import InputError

SHOWN = 200  # characters of an example


@dataclass(frozen=True)
class Field:
    name: str
    kind: str  # "text", "number", "list", … of most values
    present: int  # of the rows looked at
    filled: int  # neither null nor empty
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Preview:
    """What an import would do, from the first rows of a file."""

    kind: str  # a key of reading.FORMATS, or "shares"
    kind_title: str
    schema: str | None  # recognised, None when nothing was
    schema_title: str
    mapping: Mapping
    fields: tuple[Field, ...]
    records: tuple[dict, ...]  # canonical columns of the sample, with line and raw
    problems: tuple[dict, ...]  # {"line", "reason", "text"} of sample rows that would be quarantined
    choices: dict[str, list[str]] = field(default_factory=dict)  # sheets or lists to choose from
    notes: tuple[str, ...] = ()
    error: str = ""  # why an import with this mapping would be refused; empty when it would not


def preview(
    path: str | Path,
    mapping: Mapping | dict | None = None,
    rows: int = 20,
    role: str = "training",
    schema: str = "auto",
    limits: Limits | None = None,
    sheet: str | None = None,
    lists: tuple[str, ...] | None = None,
) -> Preview:
    """A Preview of the file; only its first rows are read. Raises InputError when the file cannot be read at all.

    Without a mapping it is recognised from the rows of `sheet` or `lists`, which it then names.
    """
    given = mapping_from(mapping)
    sheet, lists = (given.sheet, given.lists) if given else (sheet, lists)
    with open_source(path, sheet, lists, limits) as source:
        head, _ = peek(source.rows)
        good = [row.value for row in head if row.value is not None]
        chosen = given or recognise(good, schema, role)
        if chosen is not None:
            chosen = replace(chosen, sheet=sheet, lists=lists)
        error, kind, notes = "", source.format, list(source.notes)
        if not head:
            error = no_rows("The file", source.columns)
        elif not good:
            error = f"None of the first rows can be read: {head[0].reason}, at line {head[0].line}."
            if head[0].reason == NOT_UTF8:
                error += " Save the file as UTF-8."
        elif chosen is None:
            error = "No field could be recognised as the prompt. Choose the fields by hand."
        elif role != "production" and not chosen.messages and not chosen.response:
            error = (
                f"No field is the response, which {role} records need. Choose one, or import the file as production."
            )
        try:
            check_names(chosen or Mapping(), good)
        except InputError as found:
            error = str(found)
        if chosen is None and looks_like_shares(good):
            kind, error = "shares", "This is a table of category shares. Use it as the production shares."
        if chosen and chosen.schema in NOTES:
            notes.append(NOTES[chosen.schema].format(messages=chosen.messages))
        records, problems = [], []
        for row in head[:rows]:
            try:
                if row.value is None:
                    raise Fault(row.reason, row.detail)
                if chosen is None or error:
                    continue
                made = records_of(row.value, chosen, role != "production")
                records += [columns | {"line": row.line, "raw": row.raw} for _, columns, _ in made]
            except RecursionError:
                problems.append({"line": row.line, "reason": "nested too deeply", "text": row.raw[:2000]})
            except Fault as fault:
                reason = f"{fault.kind}: {fault.detail}" if fault.detail else fault.kind
                problems.append({"line": row.line, "reason": reason, "text": row.raw[:2000]})
        title = "Category shares" if kind == "shares" else FORMATS[source.format] + (" (gzip)" if source.packed else "")
        choices = source.choices | (
            {"lists": _lists(path, limits)} if source.format == "json-object" and _has_lists(good) else {}
        )
        found = SCHEMAS.get(chosen.schema) if chosen else None
        mapped = chosen or Mapping(sheet=sheet, lists=lists)
        known = found.title if found else "Fields mapped by hand" if chosen else "Not recognised"
        return Preview(
            kind, title, chosen.schema if chosen else None, known,
            mapped, tuple(_fields(good)), tuple(records), tuple(problems), choices, tuple(notes), error,
        )  # fmt: skip


def _has_lists(rows: list[dict]) -> bool:
    return bool(rows) and "list" in rows[0]


def _lists(path: str | Path, limits: Limits | None, most: int = 200_000) -> list[str]:
    """Names of the lists in a JSON object, from its first rows."""
    names: dict[str, None] = {}
    with open_source(path, limits=limits) as source:
        for position, row in enumerate(source.rows):
            if row.value is not None and "list" in row.value:
                names.setdefault(row.value["list"])
            if position >= most:
                break
    return list(names)


def _fields(rows: list[dict]) -> list[Field]:
    names = dict.fromkeys(name for row in rows for name in row)
    found = []
    for name in names:
        values = [row[name] for row in rows if name in row]
        filled = [value for value in values if value not in (None, "", [], {})]
        kinds = [_kind(value) for value in filled]
        kind = max(set(kinds), key=kinds.count) if kinds else "empty"
        examples = tuple(dict.fromkeys(_shown(value) for value in filled[:20]))[:3]
        found.append(Field(name, kind, len(values), len(filled), examples))
    return found


def _kind(value: Any) -> str:
    if is_tree(value):
        return "tree of replies"
    if is_conversation(value):
        return "conversation"
    return kind_of(value).removeprefix("a ").removeprefix("an ")


def _shown(value: Any) -> str:
    try:
        text = value if isinstance(value, str) else dumps(value)
    except RecursionError:
        return "…"
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


__all__ = ["LOOKED_AT", "Field", "Preview", "preview"]
