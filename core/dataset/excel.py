"""Rows of an Excel sheet (.xlsx): the first row names the columns, formulas give their stored values."""

import datetime
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.dataset.columnar import plain
from core.dataset.jsontext import dumps
from core.dataset.limits import Limits
from core.dataset.rows import Budget, Row
from core.dataset.tabular import checked_names
from core.errors import InputError


def sheet_names(path: Path, name: str) -> list[str]:
    """Names of the sheets that hold cells."""
    book = _book(path, name)
    try:
        return [sheet.title for sheet in book.worksheets if next(_cells(sheet), None) is not None]
    finally:
        book.close()


def read_sheet(path: Path, name: str, sheet: str, limits: Limits) -> tuple[tuple[str, ...], Iterator[Row]]:
    """Column names, and the rows below them; `raw` is the row as JSON."""
    book = _book(path, name)
    if sheet not in book.sheetnames:
        book.close()
        raise InputError(f"{name} has no sheet {sheet!r}; it has {', '.join(map(repr, book.sheetnames))}.")
    cells = _cells(book[sheet])
    first = next(cells, None)
    header = [] if first is None else list(first[1])
    while header and header[-1] is None:
        header.pop()
    names = checked_names(
        [_title(value, position) for position, value in enumerate(header, 1)], f"Sheet {sheet!r} of {name}", limits
    )
    budget = Budget(name, path.stat().st_size, limits, compressed=True)

    def rows() -> Iterator[Row]:
        try:
            for line, values in cells:
                row = _row(line, names, values)
                budget.spend(len(row.raw), 1)
                yield row
        finally:
            book.close()

    return names, rows()


def typed_cells(path: Path, name: str, sheet: str, width: int) -> Iterator[tuple]:
    """The cells of every row below the header that holds any, as Python values, `width` a row."""
    book = _book(path, name)
    try:
        cells = _cells(book[sheet])
        next(cells, None)
        for _, values in cells:
            yield tuple(values[:width]) + (None,) * (width - len(values))
    finally:
        book.close()


def _book(path: Path, name: str):
    import openpyxl

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
    except Exception as error:  # openpyxl raises what zip, XML and its own code happen to raise
        raise InputError(
            f"{name} is a damaged Excel file ({error}). Open and save it again in Excel or LibreOffice."
        ) from None


def _cells(sheet) -> Iterator[tuple[int, tuple]]:
    """(row number, values) of the rows that hold a value; the size that the file declares for the sheet is not trusted."""
    sheet.reset_dimensions()
    for number, values in enumerate(sheet.iter_rows(values_only=True), 1):
        if any(value is not None and value != "" for value in values):
            yield number, values


def _title(value: Any, position: int) -> str:
    return f"column {position}" if value is None else str(value)


def _row(line: int, names: tuple[str, ...], values: tuple) -> Row:
    beyond = [value for value in values[len(names) :] if value is not None]
    cells = list(values[: len(names)]) + [None] * (len(names) - len(values))
    value = {name: _cell(cell) for name, cell in zip(names, cells, strict=True)}
    raw = dumps(value)
    if beyond:
        return Row(line, raw, None, "ragged row", f"{len(beyond)} cells stand beyond the last named column")
    return Row(line, raw, value)


def _cell(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, datetime.timedelta):
        return str(value)
    return plain(value)
