"""The workspace folder: datasets by role, immutable results, and the only code that touches them.

DIR/workspace.json              format, the current dataset of each role, given production shares, every dataset ever imported
DIR/datasets/<digest12>-<role>/ dataset.json  records.parquet  quarantine.parquet
DIR/results/<step>-<key12>/     manifest.json  table.parquet  array.npy  and files of the step's own
DIR/scratch/<step>-<key12>/     resumable work of an unfinished step
DIR/kept/<step>/                what a step paid for and must never lose (answers of a language model)
DIR/jobs/                       status files (core.jobs)
DIR/reviews.sqlite              human decisions (core.review)
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.cluster import Compute
from core.dataset.columns import ROLES, SCHEMA
from core.dataset.ids import Index, index_of
from core.errors import Corrupt, InputError, MissingInput, WorkspaceError
from core.progress import Progress, silent

FORMAT = 1
ROW_GROUP = 20_000
"""Rows of a result that are read together: a page that shows fifty of a million reads these and no more."""


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(*parts: str) -> str:
    """Hex BLAKE2b-128 of the parts, each set off by a NUL."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` by `text` so that a reader sees the old file or the new one, also after a crash."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, path)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Dataset:
    """One imported file in one role; never changes after import."""

    path: Path
    role: str
    name: str
    digest: str  # of the record ids in order and of the mapping: equal digest, equal records
    count: int
    mapping: dict
    report: dict  # counts, warnings and reasons of the import, as written by core.dataset
    imported: str

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The records, or some of their columns (in the order asked for), in file order."""
        wanted = list(columns) if columns is not None else None
        # A row group at a time: read_table's read-ahead and threads hold most of the compressed columns beside the result.
        with pq.ParquetFile(self.path / "records.parquet", pre_buffer=False) as file:
            groups = [file.read_row_group(n, columns=wanted, use_threads=False) for n in range(file.num_row_groups)]
            found = pa.concat_tables(groups) if groups else file.read(columns=wanted)
        return found if wanted is None else found.select(wanted)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple(pq.read_schema(self.path / "records.parquet").names)

    def blocks(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Some columns of the records in file order, a row group of the file at a time; one table at the least."""
        with pq.ParquetFile(self.path / "records.parquet", pre_buffer=False) as file:
            for n in range(file.num_row_groups):
                yield file.read_row_group(n, columns=list(columns), use_threads=False).select(list(columns))
            if not file.num_row_groups:
                yield file.read(columns=list(columns)).select(list(columns))

    def column(self, name: str) -> pa.ChunkedArray:
        """One column; all null when this dataset lacks it."""
        if name not in self.columns:
            kind = SCHEMA.field(name).type if name in SCHEMA.names else pa.string()
            return pa.chunked_array([pa.nulls(self.count, kind)])
        return self.table([name]).column(0)

    @property
    def index(self) -> Index:
        """{record_id: row}, with rows and masks of many ids at once; read once a process."""
        return index_of(self.path, self.digest)

    def ids(self) -> list[str]:
        return self.index.names.array.to_pylist()

    def quarantine(self) -> pa.Table:
        """Rows that were not imported: line, reason, text."""
        return pq.read_table(self.path / "quarantine.parquet")


@dataclass(frozen=True)
class Result:
    """What one step computed from one set of inputs and parameters; never changes."""

    path: Path
    step: str
    key: str
    manifest: dict

    @property
    def info(self) -> dict:
        return self.manifest["info"]

    @property
    def params(self) -> dict:
        return self.manifest["params"]

    def _checked(self, name: str) -> Path:
        path, entry = self.path / name, self.manifest["files"].get(name)
        if entry is None:
            raise MissingInput(
                f"{self.step} holds no {name}; it holds {', '.join(sorted(self.manifest['files'])) or 'nothing'}."
            )
        if (
            not path.is_file()
            or path.stat().st_size != entry["bytes"]
            or _sha256_once(path, path.stat().st_mtime_ns) != entry["sha256"]
        ):
            raise Corrupt(f"{path} no longer matches its SHA-256. Run `{self.step}` again: it will be computed anew.")
        return path

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        # Not read_table: it imports pandas, for which the first page of a server would wait.
        with pq.ParquetFile(self._checked("table.parquet")) as file:
            return file.read() if columns is None else file.read(columns=list(columns)).select(list(columns))

    def rows(self, rows: Sequence[int] | np.ndarray, columns: Sequence[str] | None = None) -> pa.Table:
        """Some rows of the table, in this order; of the file only the groups are read that they lie in."""
        rows = np.asarray(rows, np.int64)
        with pq.ParquetFile(self._checked("table.parquet")) as file:
            wanted = list(columns) if columns is not None else None
            sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
            ends = np.cumsum(sizes)
            group = np.searchsorted(ends, rows, side="right")
            needed = np.unique(group)
            found = file.read_row_groups(needed.tolist(), columns=wanted)
            starts = np.cumsum([0, *(sizes[n] for n in needed)], dtype=np.int64)  # of the groups that were read
            place = np.searchsorted(needed, group)
            return found.take(pa.array(starts[place] + rows - (ends[group] - np.asarray(sizes, np.int64)[group])))

    def array(self) -> np.ndarray:
        """Memory-mapped and read-only."""
        return np.load(self._checked("array.npy"), mmap_mode="r", allow_pickle=False)

    def glance(self) -> np.ndarray:
        """The same for a look at a few rows: its size is checked, its SHA-256 is not, for that would read all of it."""
        path, entry = self.path / "array.npy", self.manifest["files"].get("array.npy")
        if entry is None or not path.is_file() or path.stat().st_size != entry["bytes"]:
            return self.array()  # which says what is wrong
        return np.load(path, mmap_mode="r", allow_pickle=False)

    def file(self, name: str) -> Path:
        return self._checked(name)

    def intact(self) -> bool:
        try:
            for name in self.manifest["files"]:
                self._checked(name)
        except Corrupt:
            return False
        return True


_seen_sha256: dict[tuple[str, int], str] = {}


def _sha256_once(path: Path, mtime: int) -> str:
    """SHA-256 of a file, computed once a process for each (path, modification time)."""
    known = (str(path), mtime)
    if known not in _seen_sha256:
        _seen_sha256[known] = file_sha256(path)
    return _seen_sha256[known]


@dataclass(frozen=True)
class Inputs:
    """All that a step may look at; see core.steps."""

    datasets: Mapping[str, Dataset]
    results: Mapping[str, Result]
    params: Mapping[str, Any]
    earlier: Sequence[Result]
    scratch: Path
    files: Path
    progress: Progress
    compute: Compute = Compute()  # where batches are computed; no part of the key, for it changes no result
    kept: Path | None = None  # a folder of the step's own that outlives its results: for answers that were paid for


@dataclass(frozen=True)
class Output:
    """What a step hands back; the workspace stores it."""

    table: pa.Table | None = None
    array: np.ndarray | None = None
    info: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Workspace:
    """A folder that holds everything of one project. Make one with `open_workspace`."""

    path: Path

    # -- datasets ----------------------------------------------------------------------------------------------------
    def _state(self) -> dict:
        return json.loads((self.path / "workspace.json").read_text("utf-8"))

    def _save(self, state: dict) -> None:
        write_atomically(self.path / "workspace.json", json.dumps(state, indent=1, ensure_ascii=False))

    def dataset(self, role: str = "training") -> Dataset | None:
        """The current dataset of a role, or None."""
        name = self._state()["current"].get(role)
        return _load_dataset(self.path / "datasets" / name) if name else None

    def need(self, role: str = "training") -> Dataset:
        found = self.dataset(role)
        if found is None:
            raise MissingInput(f"This workspace holds no {role} data. Import a file in the role {role} first.")
        return found

    def versions(self, role: str = "training") -> list[Dataset]:
        """Every dataset imported in a role, oldest first; the last one need not be the current one."""
        return [
            _load_dataset(self.path / "datasets" / e["name"]) for e in self._state()["history"] if e["role"] == role
        ]

    def add(self, role: str, name: str, importer: Callable[[Path], dict]) -> Dataset:
        """Import a dataset: `importer(folder)` writes records.parquet and quarantine.parquet and returns
        {"digest", "count", "mapping", "report"}. Nothing of it is visible before all of it is written."""
        if role not in ROLES:
            raise InputError(f"Role {role!r} is not known; the roles are {', '.join(ROLES)}.")
        part = self.path / "datasets" / f"import-{os.getpid()}-{os.urandom(4).hex()}.part"
        part.mkdir(parents=True)
        try:
            facts = importer(part)
            facts |= {"role": role, "name": name, "imported": now(), "format": FORMAT}
            write_atomically(part / "dataset.json", json.dumps(facts, indent=1, ensure_ascii=False))
            final = self.path / "datasets" / f"{facts['digest'][:12]}-{role}"
            if final.exists():  # the same records once more: the report and the raw bytes of now replace those of then
                old = final.with_name(f"{part.name}.old")
                os.replace(final, old)
                os.replace(part, final)
                shutil.rmtree(old, ignore_errors=True)
            else:
                os.replace(part, final)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        state = self._state()
        if role == "production":
            state.pop("shares", None)
        state["current"][role] = final.name
        state["history"] = [e for e in state["history"] if e["name"] != final.name] + [
            {"role": role, "name": final.name, "imported": facts["imported"]}
        ]
        self._save(state)
        return _load_dataset(final)

    def use(self, version: Dataset) -> None:
        """Make a dataset that was imported before the current one of its role again."""
        state = self._state()
        if version.path.name not in {e["name"] for e in state["history"]}:
            raise MissingInput(f"This workspace never imported {version.name}. Import the file again.")
        if version.role == "production":
            state.pop("shares", None)
        state["current"][version.role] = version.path.name
        self._save(state)

    def drop(self, role: str) -> None:
        """Stop using the dataset of a role; its files stay until `gc`."""
        state = self._state()
        state["current"].pop(role, None)
        if role == "production":
            state.pop("shares", None)
        self._save(state)

    def shares(self) -> dict[str, float] | None:
        """Production given as category shares instead of records; they sum to 1."""
        return self._state().get("shares")

    def shares_total(self) -> int | None:
        """How many requests the shares were counted from; None when they were given as shares."""
        return self._state().get("shares_total") if self.shares() else None

    def set_shares(self, shares: Mapping[str, float], total: int | None = None) -> None:
        """Make these the production. total: how many requests they were counted from, when they were counted."""
        values = {str(k): float(v) for k, v in shares.items()}
        whole = sum(values.values())
        if not values or any(not np.isfinite(v) or v < 0 for v in values.values()) or abs(whole - 1) > 1e-3:
            raise InputError(f"Production shares must be >= 0 and sum to 1; these {len(values)} sum to {whole:.4g}.")
        if total is not None and total < 1:
            raise InputError(f"Shares cannot be counted from {total} requests. Give at least one, or shares alone.")
        state = self._state()
        state["current"].pop("production", None)
        state["shares"] = {k: v / whole for k, v in values.items()}
        state["shares_total"] = total
        self._save(state)

    def settings(self) -> dict:
        """Small settings of the workspace (chosen model, cut points …)."""
        return self._state().get("settings", {})

    def set_setting(self, name: str, value: Any) -> None:
        state = self._state()
        state.setdefault("settings", {})[name] = value
        self._save(state)

    # -- selections --------------------------------------------------------------------------------------------------
    def keep_selection(self, token: str, ids: Sequence[str], title: str) -> None:
        """Keep the record ids that a browser has picked under its token, so that a reload finds them."""
        (self.path / "selections").mkdir(exist_ok=True)
        write_atomically(self._selection(token), json.dumps({"ids": list(ids), "title": title}, ensure_ascii=False))

    def selection(self, token: str) -> dict | None:
        """{"ids", "title"} as kept, or None."""
        try:
            return json.loads(self._selection(token).read_text("utf-8"))
        except (OSError, ValueError):
            return None

    def keep_view(self, view: Mapping[str, Any]) -> str:
        """The token of what a link stands for (a selection, a search), kept here so that the link itself says nothing of it."""
        text = json.dumps(view, ensure_ascii=False, sort_keys=True)
        token = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]
        (self.path / "views").mkdir(exist_ok=True)
        path = self.path / "views" / f"{token}.json"
        if not path.exists():
            write_atomically(path, text)
        return token

    def view(self, token: str) -> dict | None:
        """What `keep_view` kept under this token, or None."""
        if not token.isalnum():
            return None
        try:
            return json.loads((self.path / "views" / f"{token}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None

    def _selection(self, token: str) -> Path:
        if not token or not token.isalnum():
            raise InputError(f"A selection token has letters and digits only, not {token!r}.")
        return self.path / "selections" / f"{token}.json"

    # -- results -----------------------------------------------------------------------------------------------------
    def result(self, step: str, key: str) -> Result | None:
        """The stored result with this key, or None. A manifest that cannot be read counts as absent."""
        path = self.path / "results" / f"{step.replace(':', '@')}-{key[:12]}"
        return _load_result(path)

    def results(self, step: str) -> list[Result]:
        """Every stored result of a step, newest first."""
        paths = (self.path / "results").glob(f"{step.replace(':', '@')}-*/manifest.json")
        found = [r for r in (_load_result(p.parent) for p in paths) if r is not None and r.step == step]
        return sorted(found, key=lambda r: r.manifest["created"], reverse=True)

    def compute(
        self,
        step: str,
        key: str,
        recipe: dict,
        run: Callable[[Inputs], Output],
        datasets: Mapping[str, Dataset],
        results: Mapping[str, Result],
        progress: Progress = silent,
    ) -> Result:
        """Run a step and store what it returns; `recipe` = {"version", "params", "inputs"} goes into the manifest.

        An intact result under the key is returned as it is. A result is written to `.part`, flushed, then renamed, so that it is
        there whole or not at all; scratch work survives a kill and is removed on success.
        """
        existing = self.result(step, key)
        if existing is not None and existing.intact():
            return existing
        name = f"{step.replace(':', '@')}-{key[:12]}"
        final, part, scratch = (
            self.path / "results" / name,
            self.path / "results" / f"{name}.part",
            self.path / "scratch" / name,
        )
        kept = self.path / "kept" / step.replace(":", "@")
        for stale in (part, final):
            shutil.rmtree(stale, ignore_errors=True)
        part.mkdir(parents=True)
        scratch.mkdir(parents=True, exist_ok=True)
        same = [
            r for r in self.results(step) if (r.manifest["version"], r.params) == (recipe["version"], recipe["params"])
        ]
        started = datetime.now(UTC)
        try:
            compute = Compute.of(self.settings())
            output = run(Inputs(datasets, results, recipe["params"], same, scratch, part, progress, compute, kept))
            if output.table is not None:
                pq.write_table(output.table, part / "table.parquet", compression="zstd", row_group_size=ROW_GROUP)
            if output.array is not None:
                np.save(part / "array.npy", output.array, allow_pickle=False)
            files = {}
            for path in sorted(p for p in part.rglob("*") if p.is_file()):
                with path.open("rb+") as stream:
                    os.fsync(stream.fileno())
                files[path.relative_to(part).as_posix()] = {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
            manifest = {
                "step": step, "key": key, **recipe, "info": output.info, "files": files, "created": now(),
                "seconds": round((datetime.now(UTC) - started).total_seconds(), 2), "format": FORMAT,
            }  # fmt: skip
            write_atomically(part / "manifest.json", json.dumps(manifest, indent=1, ensure_ascii=False))
            os.replace(part, final)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        shutil.rmtree(scratch, ignore_errors=True)
        return Result(final, step, key, manifest)

    def gc(self, keep: Sequence[str]) -> list[str]:
        """Remove results whose key is not in `keep`, unfinished folders and datasets no role ever used; returns the names removed."""
        used = {e["name"] for e in self._state()["history"]}
        removed = []
        for path in sorted((self.path / "results").iterdir()):
            result = _load_result(path)
            if result is None or result.key not in keep:
                removed.append(path.name)
                shutil.rmtree(path, ignore_errors=True)
        for path in sorted((self.path / "datasets").iterdir()):
            if path.name not in used:
                removed.append(path.name)
                shutil.rmtree(path, ignore_errors=True)
        return removed


def _load_dataset(path: Path) -> Dataset:
    facts = json.loads((path / "dataset.json").read_text("utf-8"))
    return Dataset(
        path,
        facts["role"],
        facts["name"],
        facts["digest"],
        facts["count"],
        facts["mapping"],
        facts["report"],
        facts["imported"],
    )


def _load_result(path: Path) -> Result | None:
    try:
        manifest = json.loads((path / "manifest.json").read_text("utf-8"))
        return Result(path, manifest["step"], manifest["key"], manifest)
    except (OSError, ValueError, KeyError):
        return None


def open_workspace(path: str | Path, create: bool = True) -> Workspace:
    """Open a workspace folder, made when it is not there (and `create`). Errors: not a folder, not writable, newer format."""
    path = Path(path).expanduser().resolve()
    state = path / "workspace.json"
    if not state.exists():
        if not create:
            raise WorkspaceError(
                f"{path} is not a Quadrant workspace (no workspace.json). Import a file into it first."
            )
        try:
            for name in ("datasets", "results", "scratch", "jobs"):
                (path / name).mkdir(parents=True, exist_ok=True)
            if not state.exists():
                write_atomically(
                    state, json.dumps({"format": FORMAT, "current": {}, "history": [], "created": now()}, indent=1)
                )
        except OSError as error:
            raise WorkspaceError(
                f"Cannot make a workspace at {path}: {error.strerror}. Choose a folder you may write to."
            ) from error
    try:
        version = json.loads(state.read_text("utf-8"))["format"]
    except (OSError, ValueError, KeyError) as error:
        raise WorkspaceError(
            f"{state} cannot be read ({error}). Restore it from a copy, or import into a new folder."
        ) from error
    if version > FORMAT:
        raise WorkspaceError(
            f"{path} was written by a newer Quadrant (format {version}, this one knows {FORMAT}). Update Quadrant."
        )
    return Workspace(path)
