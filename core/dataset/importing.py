"""Importing a file: every row becomes records, or is quarantined with a reason; nothing is dropped in silence."""

import itertools
import os
import shutil
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from core.dataset import excel
from core.dataset.columns import ROLES
from core.dataset.jsontext import Fault, canonical
from core.dataset.limits import Limits, limits_from
from core.dataset.mapping import Mapping, check_names, mapping_from, value_at
from core.dataset.reading import FORMATS, Source, open_source
from core.dataset.records import consumed, further_fields, records_of, text_of_scalar
from core.dataset.remarks import Remarks
from core.dataset.rows import Row
from core.dataset.schemas import NOTES, SCHEMAS, recognise
from core.dataset.shares import looks_like_shares
from core.dataset.store import QuarantineWriter, RecordWriter
from core.errors import InputError, WorkspaceError
from core.progress import Progress, silent

LOOKED_AT = 200  # rows from which the schema is recognised
NOT_UTF8 = "invalid UTF-8"  # as the readers name it
EVERY = 1_000  # rows between two reports of progress


def import_file(
    path: str | Path,
    folder: Path,
    role: str = "training",
    mapping: Mapping | dict | None = None,
    progress: Progress = silent,
    schema: str = "auto",
    limits: Limits | None = None,
) -> dict:
    """{"digest", "count", "mapping", "report"} of the file, whose records are written into `folder`.

    Writes records.parquet (columns.SCHEMA and `field.<name>`), quarantine.parquet (line, reason, text) and, for Parquet and Excel,
    source.parquet (every source row, in the source's columns and types; row `line - 1` for Parquet). Without a mapping the
    schema is recognised from the first rows. Raises InputError when the file or the mapping cannot be used.
    """
    if role not in ROLES:
        raise InputError(f"Role {role!r} is not known; the roles are {', '.join(ROLES)}.")
    given, limits = mapping_from(mapping), limits or limits_from(os.environ)
    with open_source(path, given.sheet if given else None, given.lists if given else None, limits) as source:
        head, rows = peek(source.rows)
        good = [row.value for row in head if row.value is not None]
        chosen = given or recognise(good, schema, role)
        _check(chosen, good, role, Path(path).name)
        chosen = chosen or Mapping()
        try:
            facts = _write(source, rows, folder, role, chosen, progress, limits, Path(path).name)
            if source.format in ("parquet", "excel"):
                _keep_source(source, folder)
        except OSError as error:
            reason = error.strerror or error
            raise WorkspaceError(
                f"{Path(path).name} could not be imported: {reason}. Free space, or use another folder."
            ) from error
        return facts


def peek(rows: Iterator[Row], count: int = LOOKED_AT) -> tuple[list[Row], Iterator[Row]]:
    """The first rows, and all of them."""
    head = list(itertools.islice(rows, count))
    return head, itertools.chain(head, rows)


def _check(mapping: Mapping | None, rows: list[dict], role: str, name: str) -> None:
    if not rows:
        return
    shown = ", ".join(list(dict.fromkeys(key for row in rows for key in row))[:30])
    if mapping is None and looks_like_shares(rows):
        raise InputError(f"{name} is a table of category shares, not of records. Use it as the shares of production.")
    if mapping is None:
        raise InputError(
            f"{name}: no field could be recognised as the prompt. Map it by hand, prompt=FIELD response=FIELD; "
            f"the fields are: {shown}."
        )
    check_names(mapping, rows)
    if not mapping.messages and not mapping.prompt and not mapping.response:
        raise InputError(f"{name}: the mapping names neither messages nor a prompt. The fields are: {shown}.")
    if role != "production" and not mapping.messages and not mapping.response:
        raise InputError(
            f"{name}: no field could be recognised as the response, which {role} records need. "
            f"Map it, response=FIELD, or import the file as production; the fields are: {shown}."
        )


def _write(
    source: Source,
    rows: Iterator[Row],
    folder: Path,
    role: str,
    mapping: Mapping,
    progress: Progress,
    limits: Limits,
    name: str,
) -> dict:
    records = RecordWriter(folder / "records.parquet", limits.fields)
    quarantine = QuarantineWriter(folder / "quarantine.parquet")
    remarks, digest = Remarks(), blake2b(canonical(mapping.as_dict()).encode(), digest_size=16)
    seen: dict[str, int] = {}
    ids: dict[str, int] = {}
    repeated: list[str] = []
    skip, needs_response = consumed(mapping), role != "production"
    read = bad = count = 0
    try:
        for read, row in enumerate(rows, 1):
            if read % EVERY == 0:
                progress(min(source.position(), source.size), source.size, f"{read:,} rows read")
            fault = Fault(row.reason, row.detail) if row.value is None else None
            made = []
            if fault is None:
                try:
                    made = list(records_of(row.value, mapping, needs_response))
                except Fault as found:
                    fault = found
                except RecursionError:
                    fault = Fault("nested too deeply", "more levels of brackets than any record needs")
            if fault is not None:
                bad += 1
                quarantine.add(row.line, fault.kind, fault.detail, row.raw)
                continue
            if mapping.id is not None:
                _note_id(row, mapping.id, ids, repeated, remarks)
            fields = further_fields(row.value, skip, mapping.tools)
            remarks.times(fields.items(), row.line)
            for own, columns, messages in made:
                seen[own] = occurrence = seen.get(own, 0) + 1
                columns["record_id"], columns["line"], columns["raw"] = f"{own}-{occurrence}", row.line, row.raw
                digest.update(columns["record_id"].encode() + b"\0")
                remarks.record(row.line, row.raw, columns, messages)
                records.add(columns, fields, 2 * len(row.raw) + 200)
                count += 1
    finally:
        records.close()
        quarantine.close()
    if repeated:
        raise InputError(
            f"{name}: the field {mapping.id!r} is mapped as the id, and {len(repeated)} rows repeat an id: {'; '.join(repeated[:10])}"
            f"{' …' if len(repeated) > 10 else ''}. Make the ids unique, or unmap the field (id=) to keep every row."
        )
    if not read:
        raise InputError(no_rows(name, source.columns))
    if not count:
        raise InputError(_unusable(name, read, quarantine.reasons, mapping))
    progress(source.size, source.size, f"{count:,} records imported")
    return {
        "digest": digest.hexdigest(),
        "count": count,
        "mapping": mapping.as_dict(),
        "report": _report(source, name, mapping, role, read, bad, count, quarantine, remarks, records),
    }


def no_rows(name: str, columns: object) -> str:
    """The sentence for a file that can be read and holds no record."""
    what = "a header and no rows" if columns else "no rows"
    return f"{name} holds 0 records: {what}. Give a file with at least one record."


def _unusable(name: str, read: int, reasons: dict, mapping: Mapping) -> str:
    """The sentence for a file of which every row was refused: the commonest reason, and what to do about it."""
    kind, worst = max(reasons.items(), key=lambda item: item[1]["count"])
    mapped = "; ".join(f"{part} = {field}" for part, field in mapping.names().items())
    do = f"Correct the rows or the mapping ({mapped})." if mapped else "Correct the rows."
    if kind == NOT_UTF8:
        do = "Save it as UTF-8, for example: iconv -f LATIN1 -t UTF-8 FILE > NEW."
    rows = "its only row cannot be used" if read == 1 else f"none of its {read:,} rows can be used"
    example = f" ({worst['example']})" if worst["example"] else ""
    share = "" if worst["count"] == read else f" in {worst['count']:,} of them"
    return f"{name}: {rows}: {kind}{example}{share}, first at line {worst['lines'][0]}. {do}"


def _note_id(row: Row, field: str, ids: dict[str, int], repeated: list[str], remarks: Remarks) -> None:
    value = text_of_scalar(value_at(row.value, field))
    if not value:
        return
    first = ids.setdefault(value, row.line)
    if first != row.line:
        repeated.append(f"{value[:60]!r} in lines {first} and {row.line}")
    else:
        remarks.identity(value)


def _report(
    source: Source, name: str, mapping: Mapping, role: str, read: int, bad: int, count: int,
    quarantine: QuarantineWriter, remarks: Remarks, records: RecordWriter,
) -> dict:  # fmt: skip
    notes = list(source.notes)
    if mapping.schema in NOTES and not (mapping.schema == "tree" and mapping.unfold):
        notes.append(NOTES[mapping.schema].format(messages=mapping.messages))
    if records.left_out:
        notes.append(f"{len(records.left_out)} fields beyond the first {records.most} stay in the raw rows only.")
    schema = SCHEMAS.get(mapping.schema)
    return {
        "file": name,
        "format": source.format,
        "format_title": FORMATS[source.format] + (" (gzip)" if source.packed else ""),
        "schema": mapping.schema,
        "schema_title": schema.title if schema else "Fields mapped by hand",
        "encoding": "UTF-8" if source.format not in ("parquet", "excel") else None,
        "role": role,
        "rows": read,
        "imported_rows": read - bad,
        "records": count,
        "quarantined": bad,
        "reasons": dict(sorted(quarantine.reasons.items(), key=lambda item: -item[1]["count"])),
        "fields": mapping.names(),
        "kept_fields": list(records.fields),
        "warnings": remarks.report(),
        "notes": notes,
        "source": source.facts | ({"columns": list(source.columns)} if source.columns else {}),
    }


# -- the source as it was, for Parquet and Excel ---------------------------------------------------------------------------
def _keep_source(source: Source, folder: Path) -> None:
    """source.parquet: a Parquet file byte for byte, shards joined, a sheet with one type a column."""
    target = folder / "source.parquet"
    if source.format == "parquet" and len(source.files) == 1:
        shutil.copyfile(source.files[0], target)
        return
    if source.format == "parquet":
        schema = pq.read_schema(source.files[0])
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            for path in source.files:
                with pq.ParquetFile(path) as file:
                    for group in range(file.num_row_groups):
                        writer.write_table(file.read_row_group(group).cast(schema))
        return
    names = list(source.columns)
    cells = list(excel.typed_cells(source.files[0], "The workbook", source.facts["sheet"], len(names)))
    columns = [_typed([row[position] for row in cells]) for position in range(len(names))]
    pq.write_table(pa.Table.from_arrays(columns, names), target, compression="zstd")


def _typed(values: list) -> pa.Array:
    """A column of one type where all cells have one; otherwise every cell as its text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        kinds = {float} if all(abs(v) < 2**53 for v in values if v is not None) else {int, float}
    if len(kinds) == 1 or not kinds:
        try:
            return pa.array([float(v) if kinds == {float} and v is not None else v for v in values])
        except (pa.ArrowException, OverflowError):
            pass
    return pa.array([None if value is None else str(value) for value in values], pa.string())
