"""Which field of the source is what: recognised by core.dataset.schemas, or given by hand (`--field response=answer`)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from core.errors import InputError


@dataclass(frozen=True)
class Mapping:
    """Names of source fields. A dotted name walks into nested values (`instances.0.output`); None or () is not mapped.

    Text is built as: system, history, then `messages` or the `prompt` fields joined by an empty line, then `response`. A field
    mapped as messages, prompt, response or rejected may hold a text, one message or a list of messages.
    """

    schema: str = "fields"  # the recognised schema, a key of schemas.SCHEMAS
    messages: str | None = None  # the whole conversation
    prompt: tuple[str, ...] = ()  # several fields are joined; the first must be there, empty ones are skipped
    response: str | None = None
    system: str | None = None
    history: str | None = None  # earlier turns: a list of [user, assistant] pairs
    reasoning: str | None = None
    rejected: str | None = None
    tools: str | None = None
    category: str | None = None
    language: str | None = None
    difficulty: str | None = None
    annotator: str | None = None
    id: str | None = None  # values must then be unique; never the record_id
    unfold: str | None = None  # a field with several examples: a list, or a tree of replies; each becomes a record
    sheet: str | None = None  # of a workbook
    lists: tuple[str, ...] | None = None  # of a JSON object that holds several lists; None: all of them

    def as_dict(self) -> dict:
        """JSON-able, without what is not mapped."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items() if value
        }

    def names(self) -> dict[str, str]:
        """{role: field} of every mapped source field, in words for a screen: ("prompt", "instruction + input")."""
        chosen = {n: v for n, v in self.as_dict().items() if n not in ("schema", "sheet", "lists", "unfold")}
        return {name: " + ".join(value) if isinstance(value, list) else value for name, value in chosen.items()}


ROLES = tuple(field.name for field in fields(Mapping) if field.name != "schema")


def mapping_from(value: "Mapping | dict | None") -> Mapping | None:
    """A Mapping from its dict, refusing what it does not know."""
    if value is None or isinstance(value, Mapping):
        return value
    unknown = sorted(set(value) - {field.name for field in fields(Mapping)})
    if unknown:
        raise InputError(f"A mapping has no {', '.join(map(repr, unknown))}; it has {', '.join(ROLES)}.")
    lists = {
        name: tuple([value[name]] if isinstance(value[name], str) else value[name])
        for name in ("prompt", "lists")
        if value.get(name)
    }
    return Mapping(**{**{name: item for name, item in value.items() if item}, **lists})


def edited(mapping: Mapping, assignments: Iterable[str]) -> Mapping:
    """The mapping with edits such as `response=answer`, `prompt=instruction+input`, `category=` (not mapped), `lists=train,val`."""
    for assignment in assignments:
        role, found, value = assignment.partition("=")
        role, value = role.strip(), value.strip()
        if not found or role not in ROLES:
            raise InputError(
                f"--field {assignment} is not understood: write ROLE=FIELD, where ROLE is {', '.join(ROLES)}."
            )
        if role == "prompt":
            change: dict[str, Any] = {"prompt": tuple(part.strip() for part in value.split("+") if part.strip())}
            if value and mapping.messages:
                change["messages"] = None
        elif role == "lists":
            change = {"lists": tuple(part.strip() for part in value.split(",") if part.strip()) or None}
        else:
            change = {role: value or None}
            if role == "messages" and value:
                change |= {"prompt": (), "response": None}
        mapping = replace(mapping, **change)
    return mapping


MISSING = object()
_INDEX = re.compile(r"\d+")


def value_at(row: dict, name: str) -> Any:
    """The value of a field, by its name or a dotted path; MISSING when there is none."""
    if name in row:
        return row[name]
    if "." not in name:
        return MISSING
    value: Any = row
    for part in name.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and _INDEX.fullmatch(part) and int(part) < len(value):
            value = value[int(part)]
        else:
            return MISSING
    return value


def check_names(mapping: Mapping, rows: Sequence[dict]) -> None:
    """Refuse a mapping that names a field none of these rows has."""
    if not rows:
        return
    known = list(dict.fromkeys(name for row in rows for name in row))
    for role, named in mapping.as_dict().items():
        if role in ("schema", "sheet", "lists"):
            continue
        for name in named if isinstance(named, list) else [named]:
            if all(value_at(row, name) is MISSING for row in rows):
                shown = ", ".join(known[:30]) + (" …" if len(known) > 30 else "")
                raise InputError(f"The mapping takes {role} from {name!r}, which no row has. The fields are: {shown}.")
