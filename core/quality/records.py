"""The texts that format rules look at, read once for all rules, and what a rule reports."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
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
    """The text columns of some records, read once and shared by all rules. Null counts as empty text.

    A block of a larger set brings what was `counted` over the whole, for rules that compare records with each other.
    """

    def __init__(self, table: pa.Table, counted: "Counts | None" = None, scope: str = "all"):
        self.table = table
        self._counted, self._scope = counted, scope
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
            some = self.table.take(pa.array(rows, pa.int64()))
            self._parts[category] = rows, Records(some, self._counted, category)
        return self._parts[category]

    def counts(self, column: str) -> Mapping[str, int]:
        """How many records (of the whole set, or of the category looked at) have each text of a column."""
        if self._counted is not None:
            return self._counted.texts[self._scope, column]
        return Counter(self.texts(column))

    def alike(self, column: str) -> Callable[[str], int]:
        """How many records (as in `counts`) have a text, white space at its ends aside."""
        if self._counted is not None:
            hashes = self._counted.hashes[self._scope, column]
            return lambda text: hashes.get(hash(text), 1)
        found = Counter(text.strip() for text in self.texts(column))
        return found.__getitem__


@dataclass
class Counts:
    """Texts counted over a set that is read a block at a time, by (category or "all", column)."""

    texts: dict[tuple[str, str], Counter] = field(default_factory=dict)
    hashes: dict[tuple[str, str], Counter] = field(
        default_factory=dict
    )  # of stripped texts, those that occur once left out

    @classmethod
    def of(cls, blocks: Iterable[Records], texts: set[tuple[str, str]], alike: set[tuple[str, str]]) -> "Counts":
        found = cls({key: Counter() for key in texts}, {key: Counter() for key in alike})
        for records in blocks:
            for scope, column in texts:
                some = records if scope == "all" else records.of(scope)[1]
                found.texts[scope, column].update(some.texts(column))
            for scope, column in alike:
                some = records if scope == "all" else records.of(scope)[1]
                found.hashes[scope, column].update(hash(text.strip()) for text in some.texts(column))
        for key, counted in found.hashes.items():
            found.hashes[key] = Counter({text: n for text, n in counted.items() if n > 1})
        return found


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
