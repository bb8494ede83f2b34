"""The texts that format rules look at, read once for all rules, and what a rule reports."""

import json
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class Violation(NamedTuple):
    row: int
    message: str
    snippet: str


class Found(NamedTuple):
    """What a kind reports: the row, what is wrong, and where in which column (-1: no place to show)."""

    row: int
    message: str
    column: str = "response"
    at: int = 0


class Records:
    """The text columns of some records, read once and shared by all rules. Null counts as empty text."""

    def __init__(self, table: pa.Table):
        self.table = table
        self._texts: dict[str, pa.Array] = {}
        self._lists: dict[str, list[str]] = {}
        self._parts: dict[str, tuple[np.ndarray, Records]] = {}

    def __len__(self) -> int:
        return self.table.num_rows

    def text(self, column: str) -> pa.Array:
        if column not in self._texts:
            if column in self.table.column_names:
                values = self.table[column].combine_chunks().cast(pa.large_string())
                self._texts[column] = pc.fill_null(values, "")
            else:
                self._texts[column] = pa.array([""] * len(self), pa.large_string())
        return self._texts[column]

    def texts(self, column: str) -> list[str]:
        if column not in self._lists:
            self._lists[column] = self.text(column).to_pylist()
        return self._lists[column]

    @cached_property
    def turns(self) -> list[list[tuple[str, bool]]]:
        """Of each record the (role, has content) of its turns; tool calls and parts that are no text count as content."""
        return [_turns(text) for text in self.texts("messages")]

    @cached_property
    def categories(self) -> np.ndarray:
        """(N,) category or None."""
        if "category" not in self.table.column_names:
            return np.full(len(self), None, dtype=object)
        return np.array(self.table["category"].to_pylist() or [], dtype=object)

    def of(self, category: str) -> tuple[np.ndarray, "Records"]:
        """The rows of one category, and those records."""
        if category not in self._parts:
            rows = np.flatnonzero(self.categories == category)
            self._parts[category] = rows, Records(self.table.take(pa.array(rows, pa.int64())))
        return self._parts[category]


def _turns(text: str) -> list[tuple[str, bool]]:
    try:
        messages = json.loads(text)
    except ValueError:
        return []
    if not isinstance(messages, list):
        return []
    found = []
    for message in messages:
        if isinstance(message, dict):
            content = message.get("content")
            filled = bool(content.strip()) if isinstance(content, str) else bool(content)
            filled = filled or bool(message.get("tool_calls") or message.get("function_call"))
            found.append((str(message.get("role")), filled))
    return found


def rows_where(mask: pa.Array) -> list[int]:
    """Rows where a mask of Arrow is true."""
    return np.flatnonzero(mask.to_numpy(zero_copy_only=False)).tolist()


def starts_of(texts: pa.Array, rows: list[int], pattern: str) -> list[int]:
    """Character position of the first match in each of some texts."""
    some = texts.take(pa.array(rows, pa.int64()))
    at = pc.find_substring_regex(some, pattern).to_pylist()  # in bytes
    return [
        len(text.encode()[:start].decode("utf-8", "ignore")) for text, start in zip(some.to_pylist(), at, strict=True)
    ]
