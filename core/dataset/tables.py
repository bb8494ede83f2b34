"""Exports as tables: CSV exactly, CSV that a spreadsheet cannot run, Parquet, Excel."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from core.dataset.columnar import plain
from core.dataset.columns import CANONICAL
from core.dataset.selected import Selected

_QUOTED = re.compile('[",\r\n]|^\\s|\\s$')
_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def cell(value: Any) -> str:
    """A value as the text of a table cell: null is empty, nested values are JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json.dumps(plain(value), ensure_ascii=False)
    return str(plain(value))


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def neutral(text: str) -> str:
    """The text with ' before it when a spreadsheet would take it for a formula; plain numbers stay."""
    return "'" + text if text.startswith(_RISKY) and not _NUMBER.fullmatch(text) else text


def cells_of(chosen: Selected) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """Column names and rows: the source's own columns if it was a table, the canonical ones otherwise."""
    kind = chosen.dataset.report["format"]
    source = chosen.dataset.report["source"]
    if kind == "csv":
        raws = (raw for _, raw in chosen.raws())
        return source["columns"], _parsed(raws, source["delimiter"])
    if kind in ("parquet", "excel"):
        table = chosen.source()
        return table.column_names, (tuple(row.values()) for row in _dicts(table))
    names = ["record_id", *CANONICAL, *(name for name in chosen.columns if name.startswith("field."))]
    return names, ([row[name] for name in names] for row in chosen.rows(names))


def _dicts(table: pa.Table) -> Iterator[dict]:
    for batch in table.to_batches(1024):
        yield from batch.to_pylist()


def _parsed(raws: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    for raw in raws:
        yield next(csv.reader(_physical(raw), delimiter=delimiter, strict=True))


def _physical(raw: str) -> Iterator[str]:
    """The lines of a row, cut after \\n alone."""
    start = 0
    while (end := raw.find("\n", start)) >= 0:
        yield raw[start : end + 1]
        start = end + 1
    yield raw[start:]


def write_csv(chosen: Selected, out: BinaryIO) -> None:
    """Cells exactly as they are. A CSV source keeps its rows byte for byte."""
    source = chosen.dataset.report["source"]
    if chosen.dataset.report["format"] == "csv" and source["delimiter"] == ",":
        write_rows(chosen, out)
        return
    names, rows = cells_of(chosen)
    for row in _with_header(names, rows):
        out.write((",".join(quoted(cell(value)) for value in row) + "\n").encode("utf-8"))


def _with_header(names: Sequence[str], rows: Iterator[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    yield names
    yield from rows


def write_csv_safe(chosen: Selected, out: BinaryIO) -> None:
    """For opening in a spreadsheet: cells that would run as a formula get a ' before them, and every cell is quoted."""
    names, rows = cells_of(chosen)
    for row in _with_header(names, rows):
        texts = ('"' + neutral(cell(value)).replace('"', '""') + '"' for value in row)
        out.write((",".join(texts) + "\n").encode("utf-8"))


def write_rows(chosen: Selected, out: BinaryIO) -> None:
    """The header and the rows of a CSV source, byte for byte."""
    out.write(chosen.dataset.report["source"]["header"].encode("utf-8") + b"\n")
    for _, raw in chosen.raws():
        out.write(raw.encode("utf-8") + b"\n")


def write_records(chosen: Selected, out: BinaryIO) -> None:
    """Every column that the app holds, as Parquet."""
    writer = None
    for table in chosen.tables():
        writer = writer or pq.ParquetWriter(out, table.schema, compression="zstd")
        writer.write_table(table)
    writer.close()


def write_source_parquet(chosen: Selected, out: BinaryIO) -> None:
    pq.write_table(chosen.source(), out, compression="zstd")


def write_excel(chosen: Selected, out: BinaryIO) -> None:
    """A workbook of one sheet; texts stay texts, also those that begin like a formula."""
    import openpyxl
    from openpyxl.cell import WriteOnlyCell

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(chosen.dataset.report["source"]["sheet"])
    names, rows = cells_of(chosen)
    for row in _with_header(names, rows):
        cells = []
        for value in row:
            made = WriteOnlyCell(sheet, value=value)
            if isinstance(value, str):
                made.data_type = "s"
            cells.append(made)
        sheet.append(cells)
    book.save(out)
