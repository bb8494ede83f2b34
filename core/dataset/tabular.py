"""Rows of CSV and TSV files, streamed, every cell a text exactly as it stood (007, 1e5, NA)."""

import csv
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from core.dataset.limits import Limits
from core.dataset.rows import Budget, Row
from core.errors import InputError

DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}


@dataclass(frozen=True)
class Header:
    """The first row of a table."""

    names: tuple[str, ...]
    raw: str  # as it stood in the file, its line end taken off
    delimiter: str


class _Lines:
    """Feeds physical lines to csv.reader and remembers those that made up the row at hand."""

    def __init__(self, stream: BinaryIO, limits: Limits, budget: Budget):
        self.stream, self.limits, self.budget = stream, limits, budget
        self.taken: list[str] = []
        self.size = 0
        self.number = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        data = self.stream.readline(self.limits.row + 1)
        if not data:
            raise StopIteration
        self.number += 1
        self.size += len(data)
        if self.size > self.limits.row:
            first = self.number - len(self.taken)
            raise InputError(
                f"The row that starts at line {first} of {self.budget.name} is longer than {self.limits.row:,} bytes: a quote that "
                "is never closed, or a cell too long. Close it, or raise QUADRANT_LIMIT_ROW."
            )
        self.budget.spend(len(data))
        if self.number == 1:
            data = data.removeprefix(b"\xef\xbb\xbf")
        text = data.decode("utf-8", "surrogateescape")  # a byte that is not UTF-8 becomes a lone surrogate, seen later
        self.taken.append(text)
        return text

    def row(self) -> tuple[int, str]:
        """(first line, raw text) of the row just read; starts the next one."""
        first, raw = self.number - len(self.taken) + 1, "".join(self.taken)
        self.taken, self.size = [], 0
        return first, raw.removesuffix("\n")


def delimiter_of(head: bytes, path_name: str) -> str:
    """The delimiter that cuts the first rows into the same number of cells; the file name decides a tie."""
    text = head[: 1 << 16].decode("utf-8", "replace").removeprefix("\ufeff")
    lines = text.split("\n")[:-1] or [text]
    named = path_name.casefold().removesuffix(".gz")
    preferred = "\t" if named.endswith((".tsv", ".tab")) else ","
    best, best_score = preferred, (0.0, False)
    for delimiter in DELIMITERS:
        try:
            rows = csv.reader((line + "\n" for line in lines), delimiter=delimiter)
            widths = [len(row) for row in itertools.islice(rows, 40) if row]
        except csv.Error:
            continue
        if not widths or widths[0] < 2:
            continue
        score = (sum(w == widths[0] for w in widths) / len(widths), delimiter == preferred)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def read_table(stream: BinaryIO, delimiter: str, limits: Limits, budget: Budget) -> tuple[Header, Iterator[Row]]:
    """The header, and one row for every further row of the table that is not blank; `line` is the line it starts at."""
    if csv.field_size_limit() < limits.row:
        csv.field_size_limit(limits.row)
    lines = _Lines(stream, limits, budget)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        names = next(reader, [])
    except csv.Error as error:
        if "new-line character" in str(error):
            raise InputError(
                f"{budget.name} ends its lines with CR alone. Save it with LF or CRLF line ends."
            ) from None
        raise InputError(f"The header of {budget.name} cannot be read ({error}). Check its quotes.") from None
    _, raw = lines.row()
    header = _header(names, raw, delimiter, budget.name, limits)
    return header, _rows(reader, lines, header.names, budget)


def checked_names(names: list[str], file: str, limits: Limits) -> tuple[str, ...]:
    """Column names, refused when two are the same, one is empty, or there are too many."""
    if len(names) > limits.columns:
        raise InputError(f"{file} has {len(names):,} columns; the limit is {limits.columns:,}. Is the delimiter right?")
    twice = sorted({name for name in names if names.count(name) > 1 and name.strip()})
    if twice:
        raise InputError(
            f"{file} names the column {', '.join(map(repr, twice[:5]))} more than once. Rename one: a name stands for one column."
        )
    return tuple(names)


def _header(names: list[str], raw: str, delimiter: str, file: str, limits: Limits) -> Header:
    if any("\udc80" <= char <= "\udcff" for char in raw):
        raise InputError(f"The header of {file} is not UTF-8. Save the file as UTF-8.")
    empty = [str(position) for position, name in enumerate(names, 1) if not name.strip()]
    if len(empty) > 1:
        raise InputError(
            f"{file} has {len(empty)} columns without a name (columns {', '.join(empty[:5])}). Name them in the first row."
        )
    named = [name if name.strip() else f"column {position}" for position, name in enumerate(names, 1)]
    return Header(checked_names(named, file, limits), raw, delimiter)


def _rows(reader, lines: _Lines, names: tuple[str, ...], budget: Budget) -> Iterator[Row]:
    width = len(names)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            line, raw = lines.row()
            if "unexpected end of data" in str(error):
                raise InputError(
                    f"A quote opened in the row at line {line} of {budget.name} is never closed. Close it, or double it if it is text."
                ) from None
            budget.spend(0, 1)
            yield Row(line, _readable(raw), None, "badly quoted", str(error))
            continue
        line, raw = lines.row()
        if not cells or (len(cells) == 1 and width > 1 and not cells[0].strip()):
            continue
        budget.spend(0, 1)
        try:
            raw.encode("utf-8")
        except UnicodeEncodeError as error:
            found = ord(raw[error.start]) & 0xFF
            before = len(raw[: error.start].encode("utf-8"))
            yield Row(line, _readable(raw), None, "invalid UTF-8", f"byte {before + 1} of the row is 0x{found:02x}")
            continue
        if len(cells) != width:
            yield Row(line, raw, None, "ragged row", f"{len(cells)} cells, the header has {width}")
            continue
        yield Row(line, raw, dict(zip(names, cells, strict=True)))


def _readable(raw: str) -> str:
    return raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
