"""Rows of JSON files, streamed: one object a line, an array, or an object that holds the rows.

Lines are split on the byte \\n alone (U+2028 is text). A bad row becomes a Row with a reason, and reading goes on; only damage
that makes it impossible to tell where rows begin refuses the file.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from core.dataset.jsontext import Fault, parse, row_of
from core.dataset.limits import Limits
from core.dataset.rows import Budget, Row, too_long
from core.errors import InputError

BOM = b"\xef\xbb\xbf"
CHUNK = 1 << 20
_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SCALAR = re.compile(rb'[^\s,\[\]{}":]++')
_FLAT = re.compile(
    rb'(?:[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL
)  # up to the next bracket outside strings
_PLAIN = re.compile(rb'[^"\[\]{},]*+')


def read_lines(stream: BinaryIO, limits: Limits, budget: Budget) -> Iterator[Row]:
    """JSON Lines: one row for every line that is not blank."""
    number = 0
    while data := stream.readline(limits.row + 1):
        number += 1
        if len(data) > limits.row:
            raise too_long(f"Line {number} of {budget.name}", limits.row)
        if number == 1 and data.startswith(BOM):
            data = data[3:]
        budget.spend(len(data), 1)
        if data.endswith(b"\n"):
            data = data[:-1]
        if data and not data.isspace():
            yield row_of(number, data)


class _Scanner:
    """Walks over JSON bytes, holding in memory no more than the value at hand."""

    def __init__(self, stream: BinaryIO, limits: Limits, budget: Budget):
        self.stream, self.limits, self.budget = stream, limits, budget
        self.buffer, self.at, self.gone, self.ended = b"", 0, 0, False

    def more(self) -> bool:
        """Read on; False at the end of the file. What was already walked over is let go."""
        if self.ended:
            return False
        rest = self.buffer[self.at :]
        if len(rest) > self.limits.row:
            raise too_long(f"The value at byte {self.gone + self.at + 1:,} of {self.budget.name}", self.limits.row)
        data = self.stream.read(max(CHUNK, len(rest)))
        self.budget.spend(len(data))
        self.ended = not data
        self.gone += self.at
        self.buffer, self.at = rest + data, 0
        return bool(data)

    def peek(self) -> bytes:
        """The next byte that is not white space; b"" at the end of the file."""
        while True:
            self.at = _SPACE.match(self.buffer, self.at).end()
            if self.at < len(self.buffer):
                return self.buffer[self.at : self.at + 1]
            if not self.more():
                return b""

    def take(self, wanted: bytes, where: str) -> bytes:
        found = self.peek()
        if not found or found not in wanted:
            raise self.broken(f"{' or '.join(repr(chr(c)) for c in wanted)} was expected {where}", found)
        self.at += 1
        return found

    def broken(self, what: str, found: bytes) -> InputError:
        seen = repr(found.decode("latin-1")) if found else "the end of the file"
        return InputError(
            f"{self.budget.name} is damaged at byte {self.gone + self.at + 1:,}: {what}, {seen} was found. "
            "Write the file again, or save it as one JSON object a line."
        )

    def value(self) -> tuple[bytes, bool]:
        """The bytes of the value that starts here, and whether it is whole (False: the file ends inside it)."""
        self.peek()
        while True:
            end = self._end()
            if end is not None:
                data = self.buffer[self.at : end]
                self.at = end
                if len(data) > self.limits.row:
                    raise too_long(
                        f"The value at byte {self.gone + self.at + 1:,} of {self.budget.name}", self.limits.row
                    )
                return data, True
            if not self.more():
                data, self.at = self.buffer[self.at :], len(self.buffer)
                return data, False

    def _end(self) -> int | None:
        buffer, position, depth = self.buffer, self.at, 0
        first = buffer[position : position + 1]
        if first == b'"':
            match = _STRING.match(buffer, position)
            return match.end() if match else None
        if first not in (b"{", b"["):
            match = _SCALAR.match(buffer, position)
            end = match.end() if match else position + 1
            return end if end < len(buffer) or self.ended else None
        while True:
            position = _FLAT.match(buffer, position).end()
            if position >= len(buffer) or buffer[position] == 0x22:
                return None
            depth += 1 if buffer[position] in b"{[" else -1
            position += 1
            if depth == 0:
                return position


def read_array(stream: BinaryIO, limits: Limits, budget: Budget) -> Iterator[Row]:
    """A JSON array: one row for every element."""
    scanner = _Scanner(stream, limits, budget)
    _skip_bom(scanner)
    scanner.take(b"[", "at the start")
    for number, (data, whole) in enumerate(_elements(scanner), 1):
        budget.spend(0, 1)
        yield row_of(number, data) if whole else _cut(number, data)
    if scanner.peek():
        raise scanner.broken("the array ended, nothing more was expected", scanner.peek())


def _skip_bom(scanner: _Scanner) -> None:
    scanner.more()
    if scanner.buffer.startswith(BOM):
        scanner.at = 3


def _elements(scanner: _Scanner) -> Iterator[tuple[bytes, bool]]:
    """Elements of the array whose `[` was just taken; the closing bracket is taken too."""
    if scanner.peek() == b"]":
        scanner.at += 1
        return
    while True:
        if not scanner.peek():
            yield b"", False
            return
        data, whole = scanner.value()
        yield data, whole
        if not whole:
            return
        if not scanner.peek():
            yield b"", False
            return
        if scanner.take(b",]", "after an element") == b"]":
            return


def _cut(number: int, data: bytes) -> Row:
    return Row(number, data.decode("utf-8", "replace"), None, "cut off", "the file ends inside this array")


def read_object(
    stream: BinaryIO,
    limits: Limits,
    budget: Budget,
    lists: tuple[str, ...] | None = None,
    notes: list[str] | None = None,
) -> Iterator[Row]:
    """A JSON object that holds the rows: {id: row, …} gives rows with the field `key`; {name: [row, …], …} gives rows with the
    field `list` (of the lists named, or of all); {name: text or number, …} gives rows {key, value}.

    What is neither, such as a version number beside a list of rows, is told in `notes`.
    """
    scanner = _Scanner(stream, limits, budget)
    _skip_bom(scanner)
    scanner.take(b"{", "at the start")
    number, aside, seen = 0, [], set()
    ended = scanner.peek() == b"}"
    if ended:
        scanner.take(b"}", "at the end")
    while not ended:
        key = _key(scanner)
        if key in seen:
            raise InputError(
                f"{budget.name} names {key[:80]!r} twice at its top level; each name may stand once. Rename one."
            )
        seen.add(key)
        scanner.take(b":", "after a name")
        start = scanner.peek()
        if start == b"[":
            if lists is not None and key not in lists:
                scanner.value()
            else:
                scanner.at += 1
                for data, whole in _elements(scanner):
                    number += 1
                    budget.spend(0, 1)
                    yield _named(row_of(number, data), "list", key) if whole else _cut(number, data)
        else:
            data, whole = scanner.value()
            if start == b"{" or not whole:
                number += 1
                budget.spend(0, 1)
                yield _named(row_of(number, data), "key", key) if whole else _cut(number, data)
            else:
                aside.append((key, data))
        if not scanner.peek():
            break
        ended = scanner.take(b",}", "after a value") == b"}"
    if scanner.peek():
        raise scanner.broken("the object ended, nothing more was expected", scanner.peek())
    if aside and number and notes is not None:
        notes.append(
            f"{len(aside)} top-level values that are not rows were left aside: {', '.join(k for k, _ in aside[:5])}."
        )
    if aside and not number:
        for number, (key, data) in enumerate(aside, 1):
            budget.spend(0, 1)
            yield _pair(number, key, data)


def _key(scanner: _Scanner) -> str:
    if scanner.peek() != b'"':
        raise scanner.broken("a name in quotes was expected", scanner.peek())
    data, whole = scanner.value()
    if not whole:
        raise scanner.broken("a name was expected", b"")
    try:
        return parse(data.decode("utf-8"))
    except (UnicodeDecodeError, Fault):
        raise scanner.broken("a name in UTF-8 was expected", data[:20]) from None


def _named(row: Row, field: str, name: str) -> Row:
    """The row with the name it stood under as one more field; `raw` stays what stood in the file."""
    if row.value is None:
        return row
    while field in row.value:
        field += "_"
    return row._replace(value={field: name, **row.value})


def _pair(number: int, key: str, data: bytes) -> Row:
    try:
        text = data.decode("utf-8")
        return Row(number, text, {"key": key, "value": parse(text)})
    except UnicodeDecodeError:
        return Row(number, data.decode("utf-8", "replace"), None, "invalid UTF-8")
    except Fault as fault:
        return Row(number, text, None, fault.kind, fault.detail)


def shape_of(head: bytes, whole: bool, records: frozenset[str]) -> str:
    """How a JSON file holds its rows, from its first bytes: "lines", "array" or "object".

    `whole`: the head is the whole file. `records`: names (lower case) whose presence at the top level of a single object make
    that object one record, not a holder of records.
    """
    head = head.removeprefix(BOM)
    lines = [line for line in head.split(b"\n") if line.strip()]
    complete = lines if whole else lines[:-1]
    start = head.lstrip()[:1]
    first = _parsed(complete[0]) if complete else None
    if start == b"[":
        second = complete[1].lstrip()[:1] if len(complete) > 1 else b""
        return "lines" if isinstance(first, list) and second == b"[" else "array"
    names = {name.casefold() for name in _names(head)}
    single = bool(names & records)
    if len(lines) > 1:
        if isinstance(first, dict):
            return "lines"
        opened = complete and complete[0].rstrip()[-1:] in b"{[,:"
        if not opened and any(line.startswith(b"{") and isinstance(_parsed(line), dict) for line in complete[1:20]):
            return "lines"
        return "one" if single and opened else ("object" if opened or not single else "lines")
    return "lines" if single or (first is None and whole) else "object"


def _parsed(line: bytes):
    try:
        return parse(line.decode("utf-8"))
    except (UnicodeDecodeError, Fault):
        return None


def _names(head: bytes) -> Iterator[str]:
    """Names at the top level of the object that starts in these bytes, as far as they go."""
    position, depth, expected = head.find(b"{") + 1, 0, True
    while position < len(head):
        found = head[position]
        if found == 0x22:
            text = _STRING.match(head, position)
            if not text:
                return
            if depth == 0 and expected:
                yield text.group()[1:-1].decode("utf-8", "replace")
                expected = False
            position = text.end()
            continue
        if found in b"{[":
            depth += 1
        elif found in b"}]":
            depth -= 1
            if depth < 0:
                return
        elif found == 0x2C and depth == 0:
            expected = True
        position = max(position + 1, _PLAIN.match(head, position).end())


def read_one(stream: BinaryIO, limits: Limits, budget: Budget) -> Iterator[Row]:
    """A file that is one record written over several lines."""
    data = stream.read(limits.row + 1)
    if len(data) > limits.row:
        raise too_long(budget.name, limits.row)
    budget.spend(len(data), 1)
    yield row_of(1, data.removeprefix(BOM).strip())
