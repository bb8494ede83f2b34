"""What every reader yields: one Row for each line, element or table row of a file, good or bad."""

from typing import Any, NamedTuple

from core.dataset.limits import Limits
from core.errors import InputError


class Row(NamedTuple):
    line: int  # 1-based line, element or row
    raw: str  # its text, byte for byte; of a bad row with what cannot be decoded replaced
    value: Any  # the parsed row, a dict; None when it cannot be used
    reason: str = ""  # why it cannot be used: one of a few kinds ...
    detail: str = ""  # ... and what exactly was found


def too_long(what: str, limit: int) -> InputError:
    return InputError(
        f"{what} is longer than {limit:,} bytes, the limit for one row. Split it, or raise QUADRANT_LIMIT_ROW."
    )


class Budget:
    """Counts decoded bytes and rows of one file, and refuses the file once they pass the limits."""

    def __init__(self, name: str, stored: int, limits: Limits, compressed: bool):
        self.name, self.stored, self.limits, self.compressed, self.decoded, self.rows = (
            name,
            stored,
            limits,
            compressed,
            0,
            0,
        )

    def spend(self, size: int, rows: int = 0) -> None:
        self.decoded += size
        self.rows += rows
        limits = self.limits
        if self.rows > limits.rows:
            raise InputError(
                f"{self.name} holds more than {limits.rows:,} rows, the limit of one import. Split the file."
            )
        if self.decoded > limits.decoded:
            raise InputError(
                f"{self.name} holds more than {limits.decoded:,} bytes, the limit of one import. Split the file."
            )
        if self.compressed and self.decoded > limits.ratio_floor and self.decoded > limits.ratio * max(self.stored, 1):
            raise InputError(
                f"{self.name} ({self.stored:,} bytes) unpacks to more than {limits.ratio} times its size, as only a "
                "decompression bomb does. If you trust it, unpack it yourself or raise QUADRANT_LIMIT_RATIO."
            )
