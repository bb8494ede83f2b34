"""Rules for responses that are JSON: their keys and types, or a whole JSON Schema (Draft 2020-12)."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

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
    errors, surely_holds = validator(params["schema"]), quick(params["schema"])
    for row, value in _values(records):
        if isinstance(value, Found):
            yield value
            continue
        if surely_holds(value):
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


def quick(schema: Mapping[str, Any]) -> Callable[[Any], bool]:
    """A function that is True for JSON values that surely hold to a valid schema; the others are for `validator` to judge.

    By `jsonschema-rs`, a hundred times as fast on large schemas. The two judge alike, but for what is kept from it here (`_alike`).
    """
    import jsonschema_rs

    if not _alike(schema):
        return lambda value: False
    try:
        made = jsonschema_rs.Draft202012Validator(schema, pattern_options=jsonschema_rs.RegexOptions())
    except (ValueError, jsonschema_rs.ValidationError):  # a schema that it does not take
        return lambda value: False

    def surely_holds(value: Any) -> bool:
        try:
            return made.is_valid(value)
        except ValueError:  # a number or a character that it cannot hold
            return False

    return surely_holds


_PLAIN = re.compile(r"(?:[^\\(]|\((?!\?[^:])|\\[-\\^$.*+?()\[\]{}|/d])*", re.S)
"""Patterns that mean the same to RE2 and to the Rust engine, which takes \\s, \\w and \\b as ECMAScript has them."""
_TURNED = ("not", "oneOf", "if", "maxContains")


def _alike(schema: Mapping[str, Any]) -> bool:
    """Whether both libraries judge all values of a schema alike, or the quick one more strictly."""
    words = list(_walk(schema))
    turned = any(key in _TURNED for key, _ in words)  # where stricter inside is laxer outside
    done: set[str] = set()
    for key, value in words:
        patterns = [value] if key == "pattern" else list(value) if key == "patternProperties" else []
        if any(isinstance(one, str) and not _PLAIN.fullmatch(one) for one in patterns):
            return False
        if key == "multipleOf" and not isinstance(value, int):  # rounding
            return False
        if turned and key in ("enum", "const", "type") and not _texts_only(key, value):  # 1 and 1.0, infinity
            return False
        if key == "$dynamicRef" or (key == "$ref" and isinstance(value, str) and _leads_back(schema, value, (), done)):
            return False
    return True


def _texts_only(key: str, value: Any) -> bool:
    """Whether none of the values (or, of a `type`, of the kinds) can be a number."""
    values = value if isinstance(value, list) else [value]
    if key == "type":
        return not any(one in ("number", "integer") for one in values)
    return all(one is None or isinstance(one, str | bool) for one in values)


def _leads_back(schema: Mapping[str, Any], ref: str, path: tuple[str, ...], done: set[str]) -> bool:
    """Whether a reference leads to itself: the quick library lets what never ends hold. `done`: references that do not."""
    if ref in path:
        return True
    if ref not in done:
        place: Any = schema
        for step in unquote(ref).removeprefix("#").split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            place = place[int(step)] if isinstance(place, list) else place[step]
        within = {value for key, value in _walk(place) if key == "$ref" and isinstance(value, str)}
        if any(_leads_back(schema, other, (*path, ref), done) for other in within):
            return True
        done.add(ref)
    return False


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
