"""Exports: chosen records in a trainer's format, written whole or not at all, with a manifest beside them."""

import gzip
import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from core.dataset import tables, trainers
from core.dataset.columns import CANONICAL, FIELD_PREFIX
from core.dataset.jsontext import Fault, dumps, parse
from core.dataset.selected import Selected, Stored, select
from core.errors import InputError
from core.progress import Progress, silent


def write_jsonl(chosen: Selected, out: BinaryIO) -> None:
    """The canonical view, one object a line: record_id, messages, prompt, response …, and the further fields."""
    further = [name for name in chosen.columns if name.startswith(FIELD_PREFIX)]
    for row in chosen.rows(["record_id", *CANONICAL, *further]):
        item = {"record_id": row["record_id"], "messages": json.loads(row["messages"])}
        item |= {name: row[name] for name in CANONICAL if name != "messages" and row[name] is not None}
        fields = {name.removeprefix(FIELD_PREFIX): row[name] for name in further if row[name] is not None}
        out.write(dumps(item | ({"fields": fields} if fields else {})).encode("utf-8") + b"\n")


def write_original(chosen: Selected, out: BinaryIO) -> None:
    """The rows as they stood, byte for byte, in the format of the source."""
    kind = chosen.dataset.report["format"]
    if kind == "csv":
        tables.write_rows(chosen, out)
    elif kind == "parquet":
        tables.write_source_parquet(chosen, out)
    elif kind == "excel":
        tables.write_excel(chosen, out)
    elif kind == "json":
        _enclosed(out, "[", (raw for _, raw in chosen.raws()), "]")
    elif kind == "json-object":
        _write_object(chosen, out)
    else:
        for _, raw in chosen.raws():
            out.write(raw.encode("utf-8") + b"\n")


def _enclosed(out: BinaryIO, before: str, items: Iterator[str], after: str) -> None:
    out.write(before.encode())
    for number, item in enumerate(items):
        out.write((",\n" if number else "\n").encode() + item.encode("utf-8"))
    out.write(f"\n{after}\n".encode())


def _write_object(chosen: Selected, out: BinaryIO) -> None:
    """{key: row} or {list: [rows]}, as the source was; the name each row stood under is a field of the record."""
    lists: dict[str, list[str]] = {}
    single: list[tuple[str, str]] = []
    mapped = {v: k for k, v in chosen.mapping.as_dict().items() if isinstance(v, str) and k in CANONICAL}
    mapped |= {chosen.mapping.prompt[0]: "prompt"} if len(chosen.mapping.prompt) == 1 else {}
    wanted = [n for n in chosen.columns if n.startswith((FIELD_PREFIX + "list", FIELD_PREFIX + "key"))]
    seen: set[int] = set()
    for row in chosen.rows(["line", "raw", *wanted, *mapped.values()]):
        if row["line"] in seen:
            continue
        seen.add(row["line"])
        inner = parse(row["raw"])
        for kind in ("list", "key"):
            field = kind
            while isinstance(inner, dict) and field in inner:
                field += "_"
            name = row.get(FIELD_PREFIX + field, row.get(mapped.get(field, ""), None))
            if name is not None:
                break
        if kind == "list":
            lists.setdefault(str(name), []).append(row["raw"])
        else:
            single.append((str(name), row["raw"]))
    entries = [f"{dumps(name)}: [\n" + ",\n".join(raws) + "\n]" for name, raws in lists.items()]
    _enclosed(out, "{", iter(entries + [f"{dumps(name)}: {raw}" for name, raw in single]), "}")


@dataclass(frozen=True)
class Format:
    title: str
    suffix: str  # usual ending of the file; "" = that of the source
    write: trainers.Writer
    note: str = ""  # who reads it, and what it cannot carry


FORMATS: dict[str, Format] = {
    "original": Format(
        "As imported: the same rows, byte for byte", "", write_original,
        "In the format of the source. A source row that gave several records is written once.",
    ),
    "jsonl": Format(
        "JSON Lines: every field that Quadrant read", ".jsonl", write_jsonl,
        "One object a line: record_id, messages, prompt, response, reasoning and so on, further fields under fields.",
    ),
    "csv": Format(
        "CSV: the columns of the source, exactly", ".csv", tables.write_csv,
        "Cells stand as they are: a spreadsheet would run those that begin with =, +, - or @.",
    ),
    "csv-safe": Format(
        "CSV for a spreadsheet: formulas made harmless", ".csv", tables.write_csv_safe,
        "Cells that a spreadsheet would run get a ' in front, so this file is for reading, not for training.",
    ),
    "parquet": Format(
        "Parquet: every column that Quadrant holds", ".parquet", tables.write_records,
        "Compressed and typed; the raw source row is one of the columns.",
    ),
    "trl": Format(
        "TRL: messages", ".jsonl", trainers.write_trl,
        "For TRL's SFTTrainer: messages and tools a line; reasoning stands in reasoning_content. Every record needs a response.",
    ),
    "trl-prompt-completion": Format(
        "TRL: prompt and completion", ".jsonl", trainers.write_trl_pairs,
        "For TRL's SFTTrainer, which then takes the loss on the completion alone. Every record needs a response.",
    ),
    "trl-preference": Format(
        "TRL: preference pairs", ".jsonl", trainers.write_trl_preference,
        "For TRL's DPOTrainer: prompt, chosen and rejected. Every record needs a rejected response.",
    ),
    "openai": Format(
        "OpenAI fine-tuning", ".jsonl", trainers.write_openai,
        "Messages and tools with the keys that OpenAI takes; it has no place for reasoning, which is left out and counted.",
    ),
    "axolotl": Format(
        "Axolotl: chat_template", ".jsonl", trainers.write_axolotl,
        "Messages and tools a line; the dataset's entry for the configuration is written beside it.",
    ),
    "llamafactory": Format(
        "LLaMA-Factory: ShareGPT, with dataset_info.json", ".json", trainers.write_llamafactory,
        "Conversations with system and tools; reasoning in <think> tags. Its entry goes into dataset_info.json beside it.",
    ),
}  # fmt: skip
RAW = ("original", "csv", "csv-safe")
"""Formats whose rows are the source's own, into which no corrected response can be put."""
SOURCE_SUFFIX = {
    "jsonl": ".jsonl",
    "json": ".json",
    "json-object": ".json",
    "json-one": ".json",
    "parquet": ".parquet",
    "excel": ".xlsx",
}


def suffix_of(dataset: Stored, to: str) -> str:
    """The usual ending of an export's file name."""
    if FORMATS[to].suffix:
        return FORMATS[to].suffix
    if dataset.report["format"] == "csv":
        return ".tsv" if dataset.report["source"]["delimiter"] == "\t" else ".csv"
    return SOURCE_SUFFIX[dataset.report["format"]]


def write(
    dataset: Stored,
    record_ids: Sequence[str],
    to: str,
    out: str | Path,
    overwrite: bool = False,
    subset: dict | None = None,
    progress: Progress = silent,
    responses: Mapping[str, str] | None = None,
    labels: Mapping[str, Mapping[str, str]] | None = None,
) -> dict:
    """Write the records, in the order of the ids, as `to` (a key of FORMATS) and return the manifest, which stands beside the file.

    An `out` that ends in .gz is compressed. The file appears whole or not at all; an existing one is refused unless `overwrite`.
    `subset` says how the records were chosen (name, strategy, parameters, ledger entries) and goes into the manifest.
    `responses`, record_id -> text, and `labels`, column -> record_id -> text, are written in place of the imported ones; formats of
    the source's own rows (RAW) refuse them.
    """
    check_target(dataset, to, Path(out).expanduser(), overwrite)
    return write_selected(
        select(dataset, record_ids, responses, labels), record_ids, to, out, overwrite, subset, progress
    )


def check_target(dataset: Stored, to: str, out: Path, overwrite: bool) -> None:
    """InputError when the format is not known or the file cannot be written there."""
    if to not in FORMATS:
        raise InputError(f"Format {to!r} is not known; the formats are {', '.join(FORMATS)}.")
    if out.is_dir():
        raise InputError(f"{out} is a folder. Name the file, for example {out / ('export' + suffix_of(dataset, to))}.")
    if not out.parent.is_dir():
        raise InputError(f"The folder {out.parent} does not exist. Make it first, or choose another.")
    if out.exists() and not overwrite:
        raise InputError(f"{out} exists. Choose another name, or allow overwriting.")
    if to == "llamafactory":
        _dataset_info(out, overwrite)


def write_selected(
    chosen: Selected,
    record_ids: Sequence[str],
    to: str,
    out: str | Path,
    overwrite: bool = False,
    subset: dict | None = None,
    progress: Progress = silent,
) -> dict:
    """As `write`, for records that were looked up already: `record_ids` are theirs, in their order."""
    out, dataset = Path(out).expanduser(), chosen.dataset
    check_target(dataset, to, out, overwrite)
    refuse_edits(chosen, to)
    info = _dataset_info(out, overwrite) if to == "llamafactory" else {}
    progress(0, len(chosen), f"Writing {len(chosen):,} records")
    try:
        with _whole_or_not(out, overwrite) as (stream, seen):
            extras = FORMATS[to].write(chosen, stream) or {}
        notes, files = extras.pop("notes", []), {}
        for ending, content in extras.items():
            if ending == "dataset_info.json":
                content = json.dumps(
                    info | {_stem(out): {"file_name": out.name, **content}}, indent=2, ensure_ascii=False
                )
                target = out.with_name(ending)
            else:
                content, target = content.format(name=json.dumps(out.name)), out.with_name(out.name + ending)
            _put(target, content)
            files[target.name] = hashlib.sha256(content.encode("utf-8")).hexdigest()
        manifest = _manifest(dataset, chosen, record_ids, to, out, seen, subset) | {"beside": files, "notes": notes}
        _put(out.with_name(out.name + ".manifest.json"), json.dumps(manifest, indent=1, ensure_ascii=False))
    except OSError as error:
        raise InputError(
            f"{out} cannot be written: {error.strerror or error}. Free space or choose another folder."
        ) from error
    progress(len(chosen), len(chosen), f"{len(chosen):,} records written")
    return manifest


def refuse_edits(chosen: Selected, to: str) -> None:
    """InputError when there are corrected responses or changed labels, and the format writes the source's own rows."""
    if to in RAW and (chosen.responses or any(chosen.labels.values())):
        answers, changed = len(chosen.responses), sum(len(values) for values in chosen.labels.values())
        what = f"{answers:,} corrected responses" if answers else f"{changed:,} changed labels"
        raise InputError(
            f"The format {to!r} writes rows as they were imported, so {what} have no place in it. "
            "Choose jsonl, parquet or a trainer's format, or export without the corrections."
        )


def _manifest(
    dataset: Stored,
    chosen: Selected,
    record_ids: Sequence[str],
    to: str,
    out: Path,
    seen: "_Counting",
    subset: dict | None,
) -> dict[str, Any]:
    ids = hashlib.sha256("\n".join(record_ids).encode()).hexdigest()
    return {
        "file": out.name,
        "format": to,
        "records": len(chosen),
        "rows": len(chosen.lines())
        if to in RAW
        else len(chosen),  # a source row that gave several records is written once
        "bytes": seen.bytes,
        "sha256": seen.digest.hexdigest(),
        "record_ids_sha256": ids,
        "dataset": {"name": dataset.name, "role": dataset.role, "digest": dataset.digest, "records": dataset.count},
        "source": {k: dataset.report.get(k) for k in ("file", "format", "schema", "rows", "quarantined")},
        "mapping": dataset.mapping,
        "subset": subset or {},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), "pyarrow": pa.__version__},
    }


def _stem(out: Path) -> str:
    return out.name.removesuffix(".gz").rsplit(".", 1)[0] or out.name


def _dataset_info(out: Path, overwrite: bool) -> dict:
    """What LLaMA-Factory's dataset_info.json beside the export says already; its other entries are kept."""
    path = out.with_name("dataset_info.json")
    if not path.exists():
        return {}
    try:
        known = parse(path.read_text("utf-8"))
        if not isinstance(known, dict):
            raise ValueError("it is no JSON object")
    except (OSError, ValueError, Fault) as error:
        raise InputError(
            f"{path} cannot be read ({error}), so no entry can be added. Correct it or export to another folder."
        ) from None
    if _stem(out) in known and not overwrite:
        raise InputError(f"{path} has an entry {_stem(out)!r} already. Choose another name, or allow overwriting.")
    return known


# -- whole or not at all -----------------------------------------------------------------------------------------------------
class _Counting:
    """A file that keeps the SHA-256 and the size of what was written; for writers that only append."""

    def __init__(self, stream: BinaryIO):
        self.stream, self.bytes, self.digest = stream, 0, hashlib.sha256()

    def write(self, data: Any) -> int:
        self.digest.update(data)
        self.bytes += memoryview(data).nbytes
        self.stream.write(data)
        return memoryview(data).nbytes

    def flush(self) -> None:
        self.stream.flush()

    def tell(self) -> int:
        return self.bytes

    closed = False

    def close(self) -> None:
        """Writers close what they are given; the file is closed by its owner."""

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


@contextmanager
def _whole_or_not(out: Path, overwrite: bool) -> Iterator[tuple[Any, _Counting]]:
    part = out.with_name(f"{out.name}.{os.getpid()}-{os.urandom(3).hex()}.part")
    try:
        with part.open("wb") as file:
            seen = _Counting(file)
            if out.name.endswith(".gz"):
                with gzip.GzipFile(filename="", mode="wb", fileobj=seen, mtime=0) as packed:
                    yield packed, seen
            else:
                yield seen, seen
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            os.replace(part, out)
        else:
            try:
                os.link(part, out)  # unlike a rename, fails when the name was taken meanwhile
            except FileExistsError:
                raise InputError(f"{out} exists. Choose another name, or allow overwriting.") from None
            except OSError:  # a file system without links
                os.replace(part, out)
        _sync_folder(out.parent)
    finally:
        part.unlink(missing_ok=True)


def _put(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(3).hex()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
