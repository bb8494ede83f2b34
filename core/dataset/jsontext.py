"""JSON read strictly, and written in one canonical way.

Python's own reader takes NaN, 1e999 and repeated keys; each of them loses something, so here each is a fault of its row.
"""

import json
from typing import Any

from core.dataset.rows import Row

INFINITE = (float("inf"), float("-inf"))


class Fault(ValueError):
    """A row that cannot be used: (kind, detail)."""

    def __init__(self, kind: str, detail: str = ""):
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail


class Written(float):
    """A number that remembers how it was written, so that 1e5 stays 1e5 and 1.50 stays 1.50."""

    __slots__ = ("text",)
    text: str


def _number(text: str) -> Written:
    value = Written(text)
    if value in INFINITE:
        raise Fault("not a finite number", f"{text[:40]} is beyond what a number can hold")
    value.text = text
    return value


def _constant(text: str) -> Any:
    raise Fault("not a finite number", f"{text} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise Fault("duplicate key", f"{twice[:80]!r} stands twice in one object")
    return value


_decode = json.JSONDecoder(object_pairs_hook=_object, parse_float=_number, parse_constant=_constant).decode
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
"""JSON in the order of the keys, on one line."""


def parse(text: str) -> Any:
    """The value of a JSON text; raises Fault."""
    try:
        return _decode(text)
    except Fault:
        raise
    except json.JSONDecodeError as error:
        raise Fault("invalid JSON", f"{error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise Fault("nested too deeply", "more levels of brackets than any record needs") from None
    except ValueError:  # int() of more digits than Python converts
        raise Fault("number too long", "a whole number of more than 4,300 digits") from None


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text. Raises Fault for a number JSON cannot write."""
    try:
        return _encode(value)
    except RecursionError:
        raise Fault("nested too deeply", "more levels of brackets than any record needs") from None
    except ValueError as error:
        raise Fault("number too long" if "digits" in str(error) else "not a finite number", str(error)) from None


def row_of(line: int, data: bytes) -> Row:
    """The row that stands in these bytes of JSON."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        detail = f"byte {error.start + 1} of the row is 0x{data[error.start]:02x}"
        return Row(line, data.decode("utf-8", "replace"), None, "invalid UTF-8", detail)
    try:
        return Row(line, text, as_object(parse(text)))
    except Fault as fault:
        return Row(line, text, None, fault.kind, fault.detail)


def as_object(value: Any) -> dict:
    """A row as named fields: an object as it is, a list by position ("0", "1" …), a lone text under "text"."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and value:
        return {str(position): item for position, item in enumerate(value)}
    if isinstance(value, str):
        return {"text": value}
    raise Fault("not an object", f"the row is {kind_of(value)}, a record with named fields is expected")


def kind_of(value: Any) -> str:
    """The kind of a JSON value, in words for a message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true/false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "an object"
