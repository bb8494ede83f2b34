"""Any file a user brings, as a stream of rows: what it is, is decided by its content, never by its name."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.dataset import columnar, excel, jsonfile, tabular
from core.dataset.limits import Limits, limits_from
from core.dataset.names import RECORD_NAMES
from core.dataset.opening import HEAD, checked, checked_zip, kind_of_content, opened, seekable
from core.dataset.rows import Budget, Row
from core.errors import InputError

FORMATS = {
    "jsonl": "JSON Lines",
    "json": "JSON array",
    "json-object": "JSON object that holds the rows",
    "json-one": "one JSON object",
    "csv": "CSV",
    "parquet": "Parquet",
    "excel": "Excel",
}


@dataclass
class Source:
    """An open file: its format, what was found out about it, and its rows, to be read once."""

    format: str  # a key of FORMATS
    packed: bool  # it was gzip
    rows: Iterator[Row]
    columns: tuple[str, ...] | None = None  # of a table, in order
    facts: dict = field(default_factory=dict)  # delimiter, header, sheet, shards: what a later export needs
    choices: dict[str, list[str]] = field(default_factory=dict)  # "sheets" or "lists" that can be chosen
    notes: list[str] = field(default_factory=list)  # what the user should know; complete once the rows are read
    position: Callable[[], int] = lambda: 0  # bytes read so far ...
    size: int = 0  # ... of so many
    files: tuple[Path, ...] = ()  # of a Parquet or Excel source, while it is open


@contextmanager
def open_source(
    path: str | Path, sheet: str | None = None, lists: tuple[str, ...] | None = None, limits: Limits | None = None
) -> Iterator[Source]:
    """Open a file, or a folder of Parquet shards, for reading once.

    `sheet` names the sheet of a workbook (default: the first that holds cells); `lists` the lists of a JSON object that holds
    several (default: all). Raises InputError for what cannot be read, which may also happen while the rows are read.
    """
    limits = limits or limits_from(os.environ)
    path = checked(path)
    if path.is_dir():
        files = columnar.shards(path)
        yield _parquet(files, path.name, limits, shards=[str(file.relative_to(path)) for file in files])
        return
    size = path.stat().st_size
    with opened(path) as first:
        packed, head = first.packed, first.stream.read(HEAD)
        whole = not first.stream.read(1)
    kind = kind_of_content(head, path)
    if kind in ("parquet", "zip"):
        with seekable(path, packed, limits) as real:
            yield _parquet([real], path.name, limits) if kind == "parquet" else _excel(real, path.name, sheet, limits)
        return
    budget = Budget(path.name, size, limits, packed)
    with opened(path) as file:
        source = Source("csv", packed, iter(()), position=file.position, size=size)
        if kind == "table":
            delimiter = tabular.delimiter_of(head, path.name)
            header, source.rows = tabular.read_table(file.stream, delimiter, limits, budget)
            source.columns = header.names
            source.facts = {"delimiter": delimiter, "header": header.raw}
        else:
            shape = jsonfile.shape_of(head, whole, RECORD_NAMES)
            source.format = {"lines": "jsonl", "array": "json", "object": "json-object", "one": "json-one"}[shape]
            if shape == "object":
                source.rows = jsonfile.read_object(file.stream, limits, budget, lists, source.notes)
            else:
                read = {"lines": jsonfile.read_lines, "array": jsonfile.read_array, "one": jsonfile.read_one}[shape]
                source.rows = read(file.stream, limits, budget)
        yield source


def _parquet(files: list[Path], name: str, limits: Limits, shards: list[str] | None = None) -> Source:
    schema = columnar.parquet_schema(files[0], name)
    facts = {"shards": shards} if shards else {}
    rows = columnar.read_parquet(files, name, limits)
    return Source("parquet", False, rows, tuple(schema.names), facts, files=tuple(files))


def _excel(file: Path, name: str, sheet: str | None, limits: Limits) -> Source:
    checked_zip(file, name, limits)
    sheets = excel.sheet_names(file, name)
    if not sheets:
        raise InputError(f"{name} holds no cells. Give a workbook with at least one record.")
    chosen = sheet or sheets[0]
    columns, rows = excel.read_sheet(file, name, chosen, limits)
    notes = []
    if len(sheets) > 1 and sheet is None:
        others = ", ".join(repr(s) for s in sheets if s != chosen)
        notes.append(f"Sheet {chosen!r} was read; the workbook also has {others}. Choose another with sheet=NAME.")
    return Source("excel", False, rows, columns, {"sheet": chosen}, {"sheets": sheets}, notes, files=(file,))
