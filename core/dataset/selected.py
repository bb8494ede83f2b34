"""The chosen records of a stored dataset, in the order asked for, a slice in memory at a time."""

import json
import re
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.dataset.columns import FIELD_PREFIX
from core.dataset.jsontext import dumps
from core.dataset.mapping import Mapping, mapping_from
from core.errors import InputError

TextOf = MappingOf[str, str]
SLICE = 1_000


class Stored(Protocol):
    """What is needed of a dataset: core.workspace.Dataset has it."""

    path: Path
    role: str
    name: str
    digest: str
    count: int
    mapping: dict
    report: dict


OPTIONAL = ("reasoning_content", "name", "tool_calls", "tool_call_id", "function_call", "weight", "refusal")
"""Keys that a message may have beside role and content; core.dataset.conversation keeps no others."""


@dataclass(frozen=True)
class Shape:
    """What at least one record of an export has: `keys` of OPTIONAL in its messages, and tools."""

    keys: tuple[str, ...] = ()
    tools: bool = False


@dataclass(frozen=True)
class Selected:
    dataset: Stored
    positions: np.ndarray  # (n,) rows of records.parquet, in the order of the export
    # record_id -> the text that is written in place of the imported one
    responses: TextOf = field(default_factory=dict)
    labels: MappingOf[str, TextOf] = field(
        default_factory=dict
    )  # column -> record_id -> the label that stands there now
    whole: Shape | None = None  # of the export that this is a part of: its files are loaded together, with one schema

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple(pq.read_schema(self.dataset.path / "records.parquet").names)

    @cached_property
    def mapping(self) -> Mapping:
        return mapping_from(self.dataset.mapping)

    def __len__(self) -> int:
        return len(self.positions)

    @cached_property
    def shape(self) -> Shape:
        """What the records have beyond role and content, found without parsing them: inside a text the quotes are escaped."""
        if self.whole is not None:
            return self.whole
        tools = f"{FIELD_PREFIX}{self.mapping.tools}" if self.mapping.tools else None
        wanted = ["messages", *([tools] if tools in self.columns else [])]
        keys: set[str] = set()
        has_tools = False
        any_key = f'"(?:{"|".join(OPTIONAL)})"\\s*:'
        for table in Selected(self.dataset, self.positions).tables(wanted):
            texts = table["messages"]
            texts = texts.filter(
                pc.fill_null(pc.match_substring_regex(texts, any_key), False)
            )  # most have none of them
            keys |= {
                k for k in OPTIONAL if k not in keys and pc.any(pc.match_substring_regex(texts, f'"{k}"\\s*:')).as_py()
            }
            has_tools = has_tools or (len(wanted) > 1 and table[tools].null_count < len(table))
        return Shape(tuple(k for k in OPTIONAL if k in keys), has_tools)

    def part(self, rows: np.ndarray) -> "Selected":
        """Some of these records, (n,) places in this selection, in a file that is loaded together with the others."""
        return Selected(self.dataset, self.positions[rows], self.responses, self.labels, self.shape)

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The records, slice by slice. In file order a row group at a time is in memory, in another order the chosen records."""
        if self.responses or any(self.labels.values()):
            yield from self._corrected(columns)
            return
        wanted = list(columns) if columns is not None else None
        ascending = len(self.positions) < 2 or bool((np.diff(self.positions) > 0).all())
        order = None if ascending else np.argsort(self.positions)
        found, start = [], 0
        with pq.ParquetFile(self.dataset.path / "records.parquet", pre_buffer=False) as file:
            asked = self.positions if ascending else self.positions[order]
            for group in range(file.num_row_groups):
                stop = start + file.metadata.row_group(group).num_rows
                here = asked[np.searchsorted(asked, start) : np.searchsorted(asked, stop)] - start
                start = stop
                if len(here):
                    table = file.read_row_group(group, columns=wanted, use_threads=False)
                    part = table if len(here) == table.num_rows else table.take(pa.array(here))
                    if ascending:
                        yield from (part.slice(at, SLICE) for at in range(0, part.num_rows, SLICE))
                    else:
                        found.append(part)
            if not len(self.positions):
                schema = file.schema_arrow
                yield (schema if wanted is None else pa.schema([schema.field(name) for name in wanted])).empty_table()
        if found:
            table = pa.concat_tables(found)
            places = np.empty(len(order), np.int64)
            places[order] = np.arange(len(order))
            for at in range(0, len(places), SLICE):
                yield table.take(pa.array(places[at : at + SLICE]))

    def _corrected(self, columns: Sequence[str] | None) -> Iterator[pa.Table]:
        """The same with the edits put in: a response also in the last turn of the assistant, a label in its column."""
        wanted = None if columns is None else list(dict.fromkeys([*columns, "record_id", "response", "messages"]))
        for table in Selected(self.dataset, self.positions).tables(wanted):
            ids = table["record_id"].to_pylist()
            answered = [i for i, one in enumerate(ids) if one in self.responses]
            changes = {
                "response": {i: self.responses[ids[i]] for i in answered},
                "messages": {i: self.responses[ids[i]] for i in answered},
            }
            for name, new in changes.items():
                if not new:
                    continue
                values, column = table[name].to_pylist(), table.schema.field(name)
                for i, text in new.items():
                    values[i] = _answered(values[i], text) if name == "messages" else text
                table = table.set_column(table.schema.get_field_index(name), column, pa.array(values, column.type))
            for name, changed in self.labels.items():
                if name in table.column_names and any(one in changed for one in ids):
                    values = [changed.get(one, old) for one, old in zip(ids, table[name].to_pylist(), strict=True)]
                    column = table.schema.field(name)
                    table = table.set_column(table.schema.get_field_index(name), column, pa.array(values, column.type))
            yield table if columns is None else table.select(list(columns))

    def rows(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        for table in self.tables([name for name in columns if name in self.columns]):
            yield from table.to_pylist()

    def lines(self) -> list[int]:
        """Source lines of the chosen records, in order, each once though several records may stem from it."""
        return list(dict.fromkeys(row["line"] for row in self.rows(["line"])))

    def raws(self) -> Iterator[tuple[int, str]]:
        """(line, raw row) of the chosen records, each source row once."""
        seen: set[int] = set()
        for row in self.rows(["line", "raw"]):
            if row["line"] not in seen:
                seen.add(row["line"])
                yield row["line"], row["raw"]

    def source(self) -> pa.Table:
        """The source rows of a Parquet or Excel dataset, in its own columns and types."""
        path = self.dataset.path
        table = pq.read_table(path / "source.parquet")
        lines = self.lines()
        if self.dataset.report["format"] == "parquet":
            positions = [line - 1 for line in lines]
        else:  # a sheet may have empty rows, which source.parquet does not
            every = pq.read_table(path / "records.parquet", columns=["line"]).column(0).to_pylist()
            every += pq.read_table(path / "quarantine.parquet", columns=["line"]).column(0).to_pylist()
            at = {line: position for position, line in enumerate(sorted(set(every)))}
            positions = [at[line] for line in lines]
        return table.take(pa.array(positions, pa.int64()))

    def tools(self, row: dict) -> list | None:
        """The tools of a record, parsed; None when it has none or they are not a list in JSON."""
        text = row.get(f"{FIELD_PREFIX}{self.mapping.tools}") if self.mapping.tools else None
        if not text:
            return None
        try:
            tools = json.loads(text)
        except ValueError:
            return None
        return tools if isinstance(tools, list) and tools else None

    @property
    def conversation_columns(self) -> list[str]:
        tools = [f"{FIELD_PREFIX}{self.mapping.tools}"] if self.mapping.tools else []
        return ["record_id", "messages", "prompt", "response", "rejected", *tools]


_THINK = re.compile(r"\s*<think(?:ing)?>.*?</think(?:ing)?>\s*", re.DOTALL)


def _answered(messages: str, text: str) -> str:
    """The conversation with `text` as its last assistant turn; a thought inside the turn stays before it."""
    turns = json.loads(messages)
    last = max(i for i, turn in enumerate(turns) if turn["role"] == "assistant")
    thought = _THINK.match(turns[last]["content"])
    turns[last] = turns[last] | {"content": (thought[0] if thought else "") + text}
    return dumps(turns)


def correctable(row: MappingOf[str, Any]) -> bool:
    """Whether a response can be put in: it is the text of the last assistant turn, and not a tool call."""
    turns = json.loads(row["messages"])
    answers = [turn for turn in turns if turn["role"] == "assistant"]
    return bool(answers) and not answers[-1].get("tool_calls") and answers[-1]["content"].endswith(row["response"])


def select(
    dataset: Stored,
    record_ids: Sequence[str],
    responses: TextOf | None = None,
    labels: MappingOf[str, TextOf] | None = None,
) -> Selected:
    """The records of these ids, in this order, `responses` and `labels` (of any column) in place of the imported ones.

    Raises InputError for an id the dataset lacks or that is given twice.
    """
    with pq.ParquetFile(
        dataset.path / "records.parquet", pre_buffer=False
    ) as file:  # a third of the memory of read_table
        ids = file.read(columns=["record_id"], use_threads=False).column(0).to_pylist()
    at = {record_id: position for position, record_id in enumerate(ids)}
    unknown = [record_id for record_id in record_ids if record_id not in at]
    if unknown:
        raise InputError(
            f"{len(unknown)} of {len(record_ids)} records are not in {dataset.name} (first: {unknown[0]}). "
            "Select again from the current data."
        )
    if len(set(record_ids)) != len(record_ids):
        raise InputError(f"{len(record_ids) - len(set(record_ids))} records are named more than once. Name each once.")
    rows = np.array([at[record_id] for record_id in record_ids], np.int64)
    return Selected(dataset, rows, dict(responses or {}), dict(labels or {}))
