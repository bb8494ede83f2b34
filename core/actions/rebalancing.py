"""From a rebalancing plan, which says how many records of a category stay, to the very records that stay."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.actions.decisions import open_reviews, verdict_by_record
from core.actions.highstakes import high_stakes_ids
from core.actions.inforce import in_force
from core.errors import InputError
from core.quality.balance import InBand, in_band, wished
from core.quality.duplicates import HAND, by_hand, load_pairs, regroup
from core.review.ledger import pinned_ids, removed_ids
from core.steps import current
from core.workspace import Dataset, Workspace


@dataclass(frozen=True)
class Kept:
    """The records that a downsampling keeps, in file order, and what was left out before chance had a say."""

    ids: tuple[str, ...]
    removed: int  # left out because the ledger removes them
    faulty: int  # left out as near-duplicates that are not the keeper of their group, or as failed in an audit
    by_influence: bool  # among the others the lowest influence went first; else a seeded draw
    short: dict[str, int]  # records missing to the planned number where the ledger had removed too many
    protected: int = 0  # kept beyond the plan because they are pinned or high stakes


def downsample(
    workspace: Workspace, data: Dataset, labels: Sequence[str | None], keep: Mapping[str, int], seed: int = 0
) -> Kept:
    """Keep `keep[label]` records of each label; records without a label, or of one that is not in `keep`, go.

    What goes first: removed in the ledger (never kept), then near-duplicates and audit failures, then the lowest influence where
    it was computed, else a draw by `seed`. What is pinned or high stakes stays, also beyond the plan and without a label.
    """
    ids = data.ids()
    removed = removed_ids(open_reviews(workspace))
    safe = protected_ids(workspace, data) - removed
    bad = faulty_ids(workspace, data)
    influence = _influence(workspace, len(ids))
    chance = np.random.default_rng(seed).permutation(len(ids))
    groups: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        if label is not None and keep.get(label, 0) > 0:
            groups.setdefault(label, []).append(row)
    chosen: list[int] = []
    gone = faulty = 0
    short = {}
    for label, rows in groups.items():
        able = [row for row in rows if ids[row] not in removed]
        gone += len(rows) - len(able)
        able.sort(
            key=lambda row: (
                ids[row] not in safe,
                ids[row] in bad,
                -influence[row] if influence is not None else 0.0,
                chance[row],
            )
        )
        stay = able[: max(keep[label], sum(ids[row] in safe for row in able))]
        faulty += sum(ids[row] in bad for row in able[len(stay) :])
        if len(stay) < keep[label]:
            short[label] = keep[label] - len(stay)
        chosen += stay
    inside = set(chosen)
    chosen += [row for row, one in enumerate(ids) if one in safe and row not in inside]
    beyond = len(chosen) - sum(min(n, keep[label]) for label, n in _sizes(groups, ids, removed).items())
    return Kept(tuple(ids[row] for row in sorted(chosen)), gone, faulty, influence is not None, short, max(0, beyond))


def _sizes(groups: Mapping[str, list[int]], ids: Sequence[str], removed: set[str]) -> dict[str, int]:
    return {label: sum(ids[row] not in removed for row in rows) for label, rows in groups.items()}


def protected_ids(workspace: Workspace, data: Dataset) -> set[str]:
    """Records that no plan takes out: pinned in the ledger, or high stakes (by the workspace's rule or a reader's mark)."""
    store = open_reviews(workspace)
    return (pinned_ids(store) & set(data.ids())) | high_stakes_ids(workspace, data, store)


BALANCE = {"ratio": 2.0, "per_class": 30, "per_language": 500, "weight": 2.0, "more": {}}
"""Settings of a plan: the band; the least records of a category (the practice: 30 to 50) and of a language (500 to 1,000); how many
times as often as production asks for them the categories in `more` (column -> names) are wanted, on purpose."""


def balance_settings(workspace: Workspace) -> dict:
    """BALANCE as the workspace has set it; minimums that only a target of the scorecard names are that target's."""
    own = workspace.settings()
    told = {
        name: int(own["targets"][metric][1])
        for name, metric in (("per_class", "examples_per_class"), ("per_language", "examples_per_language"))
        if metric in own.get("targets", {})
    }
    return BALANCE | told | own.get("balance", {})


def set_balance(workspace: Workspace, keep: bool = True, **values) -> dict:
    """Keep settings of plans (`keep` False: only check them); InputError for an unknown name or a value that makes no sense."""
    unknown = sorted(set(values) - set(BALANCE))
    if unknown:
        raise InputError(f"A plan has no setting {unknown[0]!r}; it has {', '.join(BALANCE)}.")
    new = balance_settings(workspace) | values
    if new["ratio"] <= 1 or new["weight"] <= 0 or min(new["per_class"], new["per_language"]) < 0:
        raise InputError("A band is over 1x, a weight over 0, and minimums are 0 or more.")
    if keep:
        workspace.set_setting("balance", {**workspace.settings().get("balance", {}), **values})
    return new


def minimum_for(settings: Mapping, column: str) -> int:
    """The least records of each value of a column; 0 where the practice names none."""
    return int(
        settings["per_class"] if column == "category" else settings["per_language"] if column == "language" else 0
    )


def band_plan(
    workspace: Workspace, data: Dataset, labels: Sequence[str | None], categories: Sequence[str], counts: Sequence[int],
    shares: Sequence[float], column: str, remove: bool = True, add: bool = True,
) -> InBand:  # fmt: skip
    """The fewest changes that bring every category into the band, with the workspace's settings; protected records stay."""
    told = balance_settings(workspace)
    wanted = set(told["more"].get(column, ()))
    aim = wished(np.array(shares), np.array([told["weight"] if c in wanted else 1.0 for c in categories]))
    safe = protected_ids(workspace, data)
    held: dict[str, int] = {}
    if safe:
        for one, label in zip(data.ids(), labels, strict=True):
            if one in safe and label is not None:
                held[label] = held.get(label, 0) + 1
    floor = np.array([held.get(c, 0) for c in categories], dtype=np.int64)
    least = np.full(len(categories), minimum_for(told, column), dtype=np.int64)
    if not add:
        least = np.minimum(least, np.array(counts))
    return in_band(np.array(counts), aim, float(told["ratio"]), least, floor, remove, add)


def faulty_ids(workspace: Workspace, data: Dataset) -> set[str]:
    """Near-duplicates that are not the keeper of their group, as the groups stand, and records that failed an audit and have no
    corrected response since."""
    force = in_force(workspace, data)
    said = verdict_by_record(open_reviews(workspace))
    bad = {i for i, outcome in said.items() if outcome == "fail" and i not in force.responses}
    duplicates = current(workspace, "duplicates")
    if duplicates is not None:
        ids, chosen = data.ids(), set(workspace.settings().get(HAND, ()))
        kept = np.array([one not in force.removed for one in ids], dtype=bool)
        group, keeper = regroup(duplicates, load_pairs(duplicates), duplicates.info["threshold"], kept)
        keeper = by_hand(group, keeper, np.array([one in chosen for one in ids], dtype=bool))
        bad |= {ids[row] for row in np.flatnonzero((group >= 0) & ~keeper)}
    return bad


def _influence(workspace: Workspace, count: int) -> np.ndarray | None:
    """(N,) influence; a record without one (held out as validation) stands in the middle. None when it was not computed."""
    result = current(workspace, "influence")
    if result is None or not count:
        return None
    table = result.table(["influence", "heldout"])
    values = np.array(table.column(0).to_numpy(zero_copy_only=False), float)
    values[np.asarray(table.column(1).to_numpy(zero_copy_only=False), bool)] = np.nan
    if np.isnan(values).all():
        return None
    return np.where(np.isnan(values), np.nanmedian(values), values)
