"""The settings that a recipe carries: of the steps, targets, plans of balance, which records are high stakes, keepers by hand."""

from collections.abc import Callable, Mapping
from typing import Any

from core.actions.highstakes import SETTING, set_rule
from core.actions.rebalancing import set_balance
from core.errors import InputError, QuadrantError
from core.quality.duplicates import HAND
from core.quality.scorecard_targets import targets_of
from core.steps import STEPS, params_of, set_params
from core.workspace import Dataset, Workspace, canonical

KINDS = {"params": dict, "targets": dict, "balance": dict, "high_stakes": dict, "keepers": list}
"""Part of a recipe's settings -> its kind in YAML."""
_KEPT = {"params": "params", "targets": "targets", "balance": "balance", "high_stakes": SETTING, "keepers": HAND}

Told = tuple[str, str, str]  # what, state (ready, done, nothing, refused), why


def settings_of(workspace: Workspace) -> dict[str, Any]:
    """What is set in this workspace and belongs to the decisions."""
    own = workspace.settings()
    return {name: own[kept] for name, kept in _KEPT.items() if own.get(kept)}


def check_settings(settings: Mapping[str, Any], where: str) -> None:
    """InputError for a part that no recipe carries, or of another kind."""
    unknown = sorted(set(settings) - set(KINDS))
    if unknown:
        raise InputError(f"{where}: the settings have {unknown[0]!r}; a recipe carries {', '.join(KINDS)}.")
    for name, value in settings.items():
        if not isinstance(value, KINDS[name]):
            raise InputError(f"{where}: the settings' {name} must be of the kind {KINDS[name].__name__}.")


def replay_settings(workspace: Workspace, data: Dataset, settings: Mapping[str, Any], dry_run: bool) -> list[Told]:
    """What each setting finds here and (unless `dry_run`) does."""
    told = []
    for step, values in settings.get("params", {}).items():
        what = f"settings of {step}: {', '.join(f'{k} = {_brief(v)}' for k, v in values.items())}"
        told.append(_do(what, dry_run, lambda s=step, v=values: _step(workspace, s, v, dry_run)))
    targets = settings.get("targets", {})
    if targets:
        told.append(_do(f"targets: {', '.join(targets)}", dry_run, lambda: _targets(workspace, targets, dry_run)))
    balance = settings.get("balance", {})
    if balance:
        what = f"plans of balance: {', '.join(f'{k} = {_brief(v)}' for k, v in balance.items())}"
        told.append(_do(what, dry_run, lambda: set_balance(workspace, keep=not dry_run, **balance)))
    stakes = settings.get("high_stakes", {})
    if stakes:
        what = f"high stakes: {', '.join(f'{k} = {_brief(v)}' for k, v in stakes.items())}"
        told.append(_do(what, dry_run, lambda: set_rule(workspace, stakes, data, keep=not dry_run)))
    if settings.get("keepers"):
        told.append(_keepers(workspace, data, settings["keepers"], dry_run))
    return told


def _do(what: str, dry_run: bool, act: Callable[[], Any]) -> Told:
    try:
        act()
    except (QuadrantError, TypeError, ValueError) as error:
        return what, "refused", str(error)
    return what, "ready" if dry_run else "done", ""


def _step(workspace: Workspace, step: str, values: Mapping[str, Any], dry_run: bool) -> None:
    if step not in STEPS:
        raise InputError(f"There is no step {step!r}.")
    params_of(workspace, step, values)
    if not dry_run:
        set_params(workspace, step, values)


def _targets(workspace: Workspace, targets: Mapping[str, Any], dry_run: bool) -> None:
    targets_of({k: tuple(v) for k, v in targets.items()})
    if not dry_run:
        workspace.set_setting("targets", targets)


def _keepers(workspace: Workspace, data: Dataset, ids: list, dry_run: bool) -> Told:
    """Records of groups of duplicates that a reader chose to keep, those that this version has."""
    known = set(data.ids())
    here = [one for one in ids if one in known]
    what = f"keepers by hand: {len(ids):,} records, {len(here):,} of them here"
    if not here:
        return what, "nothing", "none of its records is in this version"
    if not dry_run:
        before = workspace.settings().get(HAND, [])
        workspace.set_setting(HAND, [*before, *(one for one in here if one not in set(before))])
    return what, "ready" if dry_run else "done", ""


def _brief(value: Any) -> str:
    text = canonical(value)
    return text if len(text) <= 60 else text[:59] + "…"
