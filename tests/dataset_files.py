"""Importing a file in a test, without a workspace."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from core.dataset.importing import import_file

SHARED = Path(__file__).resolve().parents[2] / "shared"


@dataclass(frozen=True)
class Imported:
    """A stored dataset, as core.workspace.Dataset."""

    path: Path
    role: str
    name: str
    digest: str
    count: int
    mapping: dict
    report: dict

    @property
    def table(self) -> pa.Table:
        return pq.read_table(self.path / "records.parquet")

    def column(self, name: str) -> list:
        return pq.read_table(self.path / "records.parquet").column(name).to_pylist()

    @property
    def ids(self) -> list[str]:
        return self.column("record_id")

    @property
    def quarantine(self) -> list[dict]:
        return pq.read_table(self.path / "quarantine.parquet").to_pylist()

    def reasons(self) -> dict[str, int]:
        return {kind: found["count"] for kind, found in self.report["reasons"].items()}

    def warned(self) -> list[str]:
        return [found["kind"] for found in self.report["warnings"]]


def imported(path: str | Path, folder: Path, role: str = "training", **options) -> Imported:
    target = Path(tempfile.mkdtemp(dir=folder))
    facts = import_file(path, target, role, **options)
    json.dumps(facts, allow_nan=False)  # what goes into dataset.json
    return Imported(target, role, Path(path).name, facts["digest"], facts["count"], facts["mapping"], facts["report"])


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def lines(*rows: object) -> str:
    """JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


GOOD = {"instruction": "What is a fever?", "output": "A body temperature above 38 °C."}
