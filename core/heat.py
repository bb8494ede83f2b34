"""The token shares that are stored for the influence of now, wherever they were asked for: of all records, or of a few."""

from collections.abc import Sequence

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
