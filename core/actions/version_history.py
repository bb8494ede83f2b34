"""The scorecard over time: what it said after each analysis, kept with the version of the data, so that a change can be seen."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.actions.inforce import in_force
from core.actions.summary import metrics
from core.quality.scorecard import Metric
from core.workspace import Dataset, Workspace, now, write_atomically

FILE = "scorecards.json"
MOST = 1_000  # cards kept; beyond, the oldest goes


@dataclass(frozen=True)
class Card:
    """The scorecard of one moment, of the set as it stood then: `metrics` {id: {"value", "low", "high", "verdict", "shown"}}
    of what was known."""

    at: str
    digest: str
    name: str
    records: int
    removed: int
    metrics: dict[str, dict[str, Any]]
    relabelled: int = 0  # records with another label than the imported one
    corrected: int = 0  # and with another response


def cards(workspace: Workspace) -> list[Card]:
    """Every kept scorecard, oldest first."""
    try:
        kept = json.loads((workspace.path / "versions" / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return [Card(**one) for one in kept]


def keep_card(workspace: Workspace, data: Dataset | None = None, found: Sequence[Metric] | None = None) -> bool:
    """Keep the scorecard of now; False when it says the same as the last one of this version, or nothing is known."""
    data = data or workspace.dataset()
    if data is None:
        return False
    known = [m.to_json() for m in (found if found is not None else metrics(workspace, data)) if m.value is not None]
    force = in_force(workspace, data)
    gone = len(force.removed)
    labelled = len({one for column in force.labels.values() for one in column})
    told = {m["id"]: {k: m[k] for k in ("value", "low", "high", "verdict", "shown")} for m in known}
    every = cards(workspace)
    last = every[-1] if every else None
    if not told or (last and (last.digest, last.removed, last.metrics) == (data.digest, gone, told)):
        return False
    every.append(Card(now(), data.digest, data.name, data.count, gone, told, labelled, len(force.responses)))
    folder = workspace.path / "versions"
    folder.mkdir(exist_ok=True)
    write_atomically(folder / FILE, json.dumps([one.__dict__ for one in every[-MOST:]], ensure_ascii=False))
    return True


def latest_of(every: Sequence[Card], data: Dataset) -> Card | None:
    """The newest card of a version, or None."""
    return next((one for one in reversed(every) if one.digest == data.digest), None)
