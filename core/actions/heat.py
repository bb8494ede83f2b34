"""The token shares that are stored for the influence of now, wherever they were asked for: of all records, or of a few."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.influence.shares import Heat, read_heat
from core.steps import current, plan
from core.workspace import Result, Workspace

STEP = "influence:tokens"


def stored(workspace: Workspace) -> list[Result]:
    """Results that explain the current influence, the one of all records first, then the newest."""
    base = current(workspace, "influence")
    if base is None:
        return []
    fitting = [r for r in workspace.results(STEP) if r.manifest["inputs"].get("influence") == base.key]
    return sorted(fitting, key=lambda r: bool(r.params["records"]))


def heats(workspace: Workspace, record_ids: Sequence[str]) -> dict[str, Heat]:
    """{record_id: its shares} of those records for which they are stored. Loads no model."""
    found: dict[str, Heat] = {}
    for result in stored(workspace):
        missing = [i for i in record_ids if i not in found]
        if not missing:
            break
        found |= read_heat(result, missing)
    return found


def complete(workspace: Workspace) -> Result | None:
    """The result that holds every record, or None."""
    return next((r for r in stored(workspace) if not r.params["records"]), None)


def overrides(workspace: Workspace, record_ids: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """For `run_steps`: the step for these records alone; ids in file order, so that the same ones are the same result."""
    order = {i: n for n, i in enumerate(plan(workspace, "influence").datasets["training"].ids())}
    return {STEP: {"records": sorted(set(record_ids), key=lambda i: order.get(i, -1))}}


def words_of(workspace: Workspace, record_ids: Sequence[str], most: int = 8) -> list[dict[str, Any]]:
    """For each record {"record_id", "total", "elsewhere", "runs", "helps", "harms"}.

    `runs` are all its runs of characters as {"part", "start", "stop", "text", "share"}, the spans in characters of the part;
    `helps` and `harms` the `most` strongest of either sign.
    """
    data = workspace.need()
    known = heats(workspace, record_ids)
    texts = data.table(["record_id", "reasoning", "response"])
    at = pc.index_in(pa.array(list(known), pa.string()), texts["record_id"].combine_chunks().cast(pa.string()))
    rows = {r["record_id"]: r for r in texts.take(at.drop_null()).to_pylist()}
    out = []
    for record_id, found in known.items():
        runs = []
        for part, (lengths, shares) in found.parts.items():
            text, stops = rows[record_id][part] or "", np.cumsum(lengths)
            runs += [
                {"part": part, "start": int(b - n), "stop": int(b), "text": text[b - n : b], "share": float(s)}
                for b, n, s in zip(stops, lengths, shares, strict=True)
            ]
        ranked = sorted(runs, key=lambda r: -r["share"])
        out.append({
            "record_id": record_id, "total": found.total, "elsewhere": found.elsewhere, "runs": runs,
            "helps": [r for r in ranked[:most] if r["share"] > 0], "harms": [r for r in ranked[::-1][:most] if r["share"] < 0],
        })  # fmt: skip
    return out
