"""Rules for responses that are JSON: their keys and types, or a whole JSON Schema (Draft 2020-12)."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from core.errors import InputError
from core.quality.records import Found, Records

TOLD = 3  # violations of a schema that are named, a record
_DEFAULT = "https://json-schema.org/draft/2020-12/schema"


def parse_json(text: str) -> Any:
    """The value of a JSON object or array; ValueError otherwise, also for a fenced one."""
    text = text.strip()
    if not text.startswith(("{", "[")):
        raise ValueError("does not start with { or [")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error


_JSON_TYPES = {
    "string": str,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def json_keys(records: Records, params: dict) -> Iterator[Found]:
    """Responses that are no JSON object with the `required` keys, each of its type."""
    required, types = params.get("required", []), params.get("types", {})
    for row, value in _values(records):
        if isinstance(value, Found):
            yield value
            continue
        if (required or types) and not isinstance(value, dict):
            yield Found(row, "the response is a JSON array; an object is expected")
            continue
        absent = [key for key in required if key not in value]
        if absent:
            yield Found(row, f"the JSON lacks {', '.join(repr(key) for key in absent)}")
        for key, name in types.items():
            if key in value and not _is_json(value[key], name):
                yield Found(row, f"{key!r} in the JSON is not of type {name}")


def _values(records: Records) -> Iterator[tuple[int, Any]]:
    """(row, the JSON value of the response, or what is Found wrong)."""
    for row, text in enumerate(records.texts("response")):
        try:
            yield row, parse_json(text)
        except ValueError as error:
            fenced = text.lstrip().startswith("```")
            how = "the JSON stands inside a code fence" if fenced else f"the response is not JSON: {str(error)[:80]}"
            yield row, Found(row, how)


def _is_json(value: Any, name: str) -> bool:
    if isinstance(value, bool) and name != "boolean":
        return False
    return isinstance(value, _JSON_TYPES.get(name, object))


# -- JSON Schema -------------------------------------------------------------------------------------------------------


def json_schema(records: Records, params: dict) -> Iterator[Found]:
    """Responses that are no JSON, or do not hold to `schema`; the first of what is wrong, by depth."""
    errors = validator(params["schema"])
    for row, value in _values(records):
        if isinstance(value, Found):
            yield value
            continue
        try:
            wrong = errors(value)
        except RecursionError as error:
            raise InputError("The JSON Schema refers to itself without end; give its recursion a way out.") from error
        if wrong:
            more = f"; and {len(wrong) - TOLD} more" if len(wrong) > TOLD else ""
            yield Found(row, "; ".join(_told(one) for one in wrong[:TOLD]) + more)


def check_schema(schema: Any, where: str) -> None:
    """Errors: no schema, one that is not valid, another draft, a reference out of the schema, a pattern that RE2 does not take."""
    validator(schema, f"Rule {where}: ")


def validator(schema: Any, where: str = "") -> Callable[[Any], list]:
    """A function from a JSON value to what breaks the schema, the shallowest first.

    Draft 2020-12 by `jsonschema`, with nothing fetched: a reference leads to a place in the schema itself ("#…") or is refused.
    Patterns are RE2, so that none takes more than linear time; `format` is an annotation, as the draft has it.
    """
    from jsonschema import Draft202012Validator, SchemaError, validators
    from referencing import Registry

    if not isinstance(schema, Mapping) or not schema:
        raise InputError(f"{where}a JSON Schema is an object such as {{'type': 'object', 'required': ['code']}}.")
    schema = dict(schema)
    if schema.get("$schema", _DEFAULT).rstrip("#") != _DEFAULT:
        raise InputError(
            f"{where}the JSON Schema is of {schema['$schema']!r}; it must be of Draft 2020-12, or say nothing."
        )
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = "/".join(map(str, error.absolute_path)) or "its top"
        raise InputError(
            f"{where}the JSON Schema is not valid at {place}: {error.message[:200]}. Correct it."
        ) from error
    except RecursionError as error:
        raise InputError(f"{where}the JSON Schema is nested too deeply.") from error
    for key, value in _walk(schema):
        if key in ("$ref", "$dynamicRef") and not str(value).startswith("#"):
            raise InputError(f"{where}the JSON Schema refers to {value!r}; it may refer to places in itself only (#…).")
        if key == "$id":
            raise InputError(
                f"{where}the JSON Schema has an $id ({value!r}), which would move its references; leave it out."
            )
        if key == "pattern" and isinstance(value, str):
            _re2(value, where)
        if key == "patternProperties":
            for pattern in value:
                _re2(pattern, where)
        if key == "unevaluatedProperties" and any(other == "patternProperties" for other, _ in _walk(schema)):
            raise InputError(
                f"{where}unevaluatedProperties beside patternProperties is not supported; use additionalProperties."
            )
    safe = validators.extend(
        Draft202012Validator,
        {"pattern": _pattern, "patternProperties": _pattern_properties, "additionalProperties": _additional_properties},
    )
    made = safe(schema, registry=Registry())
    from referencing.exceptions import Unresolvable

    for key, value in _walk(schema):
        if key == "$ref":
            try:
                made._resolver.lookup(value)
            except Unresolvable as error:
                raise InputError(f"{where}the JSON Schema refers to {value!r}, which it does not hold.") from error

    def errors(value: Any) -> list:
        return sorted(made.iter_errors(value), key=lambda one: (len(one.absolute_path), str(list(one.absolute_path))))

    return errors


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Every (keyword, value) of a schema, what is data (const, enum, examples, default) left out."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(key, str):
                yield key, inner
            if key not in ("const", "enum", "examples", "default"):
                yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)


def _re2(pattern: str, where: str) -> None:
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid as error:
        raise InputError(f"{where}RE2 does not take the pattern {pattern!r} of the JSON Schema. Correct it.") from error


def _found(pattern: str, text: str) -> bool:
    return pc.match_substring_regex(pa.scalar(text, pa.large_string()), pattern).as_py()


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if isinstance(value, str) and not _found(pattern, value):
        yield ValidationError(f"{value[:60]!r} does not match {pattern!r}")


def _pattern_properties(made: Any, patterns: Mapping[str, Any], value: Any, _schema: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for pattern, inner in patterns.items():
            for key, item in value.items():
                if _found(pattern, key):
                    yield from made.descend(item, inner, path=key, schema_path=pattern)


def _additional_properties(made: Any, wanted: Any, value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    from jsonschema import ValidationError

    if not isinstance(value, dict):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    extra = [key for key in value if key not in named and not any(_found(pattern, key) for pattern in patterns)]
    if wanted is False and extra:
        yield ValidationError(f"{', '.join(repr(key[:40]) for key in extra[:3])} may not be there")
    elif isinstance(wanted, Mapping):
        for key in extra:
            yield from made.descend(value[key], wanted, path=key)


def _told(error: Any) -> str:
    """What breaks a schema in one short sentence, with its place."""
    place = "/".join(map(str, error.absolute_path))
    return (f"{place}: " if place else "") + error.message[:140]
