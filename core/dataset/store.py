"""Writing records and quarantined rows to Parquet while they arrive, a few megabytes in memory at a time."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from core.dataset.columns import FIELD_PREFIX, SCHEMA

GROUP_BYTES, GROUP_ROWS = 2 << 20, 10_000  # larger groups cost memory: each is held as Python and as Arrow text
QUARANTINE = pa.schema([("line", pa.int64()), ("reason", pa.string()), ("text", pa.string())])
SHOWN = 2_000  # characters of a quarantined row that are kept


class RecordWriter:
    """Writes records.parquet. Further fields may turn up late: then a new part begins, and `close` joins the parts."""

    def __init__(self, path: Path, most_fields: int):
        self.path, self.most = path, most_fields
        self.fields: dict[str, None] = {}  # in the order they were first seen
        self.left_out: set[str] = set()
        self.columns: dict[str, list] = {name: [] for name in SCHEMA.names}
        self.rows: list[dict[str, str | None]] = []
        self.size = 0
        self.parts: list[Path] = []
        self.writer: pq.ParquetWriter | None = None

    def add(self, columns: dict, fields: dict[str, str | None], size: int) -> None:
        for name, values in self.columns.items():
            values.append(columns[name])
        for name in fields:
            if name not in self.fields:
                if len(self.fields) < self.most:
                    self.fields[name] = None
                else:
                    self.left_out.add(name)
        self.rows.append(fields)
        self.size += size
        if self.size > GROUP_BYTES or len(self.rows) >= GROUP_ROWS:
            self.flush()

    def _schema(self) -> pa.Schema:
        further = [pa.field(FIELD_PREFIX + name, pa.string()) for name in self.fields]
        return pa.schema([*SCHEMA, *further])

    def flush(self) -> None:
        schema = self._schema()
        if self.writer is None or self.writer.schema != schema:
            if self.writer is not None:
                self.writer.close()
            self.parts.append(self.path.with_name(f"{self.path.name}.{len(self.parts)}"))
            self.writer = pq.ParquetWriter(self.parts[-1], schema, compression="zstd")
        columns = [pa.array(values, SCHEMA.field(name).type) for name, values in self.columns.items()]
        columns += [pa.array([row.get(name) for row in self.rows], pa.string()) for name in self.fields]
        self.writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        self.columns = {name: [] for name in SCHEMA.names}
        self.rows, self.size = [], 0

    def close(self) -> None:
        if self.rows or not self.parts:
            self.flush()
        self.writer.close()
        if len(self.parts) == 1:
            self.parts[0].rename(self.path)
            return
        schema = self._schema()
        with pq.ParquetWriter(self.path, schema, compression="zstd") as joined:
            for part in self.parts:
                with pq.ParquetFile(part) as file:
                    for group in range(file.num_row_groups):
                        table = file.read_row_group(group)
                        for field in schema:
                            if field.name not in table.column_names:
                                table = table.append_column(field, pa.nulls(table.num_rows, field.type))
                        joined.write_table(table.select(schema.names).cast(schema))
                part.unlink()


class QuarantineWriter:
    """Writes quarantine.parquet, and counts the rows by kind of reason with the first of each."""

    def __init__(self, path: Path):
        self.writer = pq.ParquetWriter(path, QUARANTINE, compression="zstd")
        self.rows: list[tuple[int, str, str]] = []
        self.size = 0
        self.reasons: dict[str, dict] = {}

    def add(self, line: int, kind: str, detail: str, text: str) -> None:
        shown = text[:SHOWN].encode("utf-8", "replace").decode("utf-8")
        self.rows.append((line, f"{kind}: {detail}" if detail else kind, shown))
        entry = self.reasons.setdefault(kind, {"count": 0, "lines": [], "example": detail})
        entry["count"] += 1
        if len(entry["lines"]) < 10:
            entry["lines"].append(line)
        self.size += len(shown)
        if self.size > GROUP_BYTES or len(self.rows) >= GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        columns = list(zip(*self.rows, strict=True)) or [(), (), ()]
        self.writer.write_table(
            pa.table([pa.array(c, f.type) for c, f in zip(columns, QUARANTINE, strict=True)], schema=QUARANTINE)
        )
        self.rows, self.size = [], 0

    def close(self) -> None:
        self.flush()
        self.writer.close()
