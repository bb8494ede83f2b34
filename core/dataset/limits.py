"""How much one import may cost. A file beyond a limit is refused, so that a small hostile file cannot fill memory or disk.

Each limit can be set in the environment: QUADRANT_LIMIT_ROW=1000000000 lets one row have a gigabyte.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from core.errors import InputError

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes. For data that needs more, see `limits_from`."""

    row: int = 64 * MIB  # one line, element, cell or row
    decoded: int = 64 * 1024 * MIB  # all rows together, after decompression
    ratio: int = 300  # decoded bytes for each stored byte of a compressed file ...
    ratio_floor: int = 256 * MIB  # ... looked at only beyond this many decoded bytes
    rows: int = 20_000_000
    columns: int = 2_000  # of a table
    fields: int = 500  # different further fields that become a column of their own; the others stay in the raw row
    document: int = 256 * MIB  # a small file read whole: category shares


PREFIX = "QUADRANT_LIMIT_"


def limits_from(environment: Mapping[str, str]) -> Limits:
    """The limits, with those that the environment sets as QUADRANT_LIMIT_ROW, QUADRANT_LIMIT_DECODED and so on."""
    given = {}
    for field in fields(Limits):
        text = environment.get(PREFIX + field.name.upper())
        if text:
            if not text.isascii() or not text.isdigit() or int(text) < 1:
                raise InputError(f"{PREFIX}{field.name.upper()} is {text!r}; it must be a whole number above 0.")
            given[field.name] = int(text)
    return Limits(**given)
