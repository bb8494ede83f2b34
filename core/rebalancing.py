"""From a rebalancing plan, which says how many records of a category stay, to the very records that stay."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.decisions import open_reviews, verdict_by_record
from core.review.ledger import removed_ids
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


def downsample(
    workspace: Workspace, data: Dataset, labels: Sequence[str | None], keep: Mapping[str, int], seed: int = 0
) -> Kept:
    """Keep `keep[label]` records of each label; records without a label, or of one that is not in `keep`, go.

    What goes first: removed in the ledger (never kept), then near-duplicates and audit failures, then the lowest influence where
    it was computed, else a draw by `seed`.
    """
    ids = data.ids()
    removed = removed_ids(open_reviews(workspace))
    bad = faulty_ids(workspace)
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
        able.sort(key=lambda row: (ids[row] in bad, -influence[row] if influence is not None else 0.0, chance[row]))
        stay = able[: keep[label]]
        faulty += sum(ids[row] in bad for row in able[keep[label] :])
        if len(stay) < keep[label]:
            short[label] = keep[label] - len(stay)
        chosen += stay
    return Kept(tuple(ids[row] for row in sorted(chosen)), gone, faulty, influence is not None, short)


def faulty_ids(workspace: Workspace) -> set[str]:
    """Near-duplicates that are not the keeper of their group, and records that failed an audit."""
    bad = {i for i, outcome in verdict_by_record(open_reviews(workspace)).items() if outcome == "fail"}
    duplicates = current(workspace, "duplicates")
    if duplicates is not None:
        table = duplicates.table(["record_id", "group", "keeper"])
        group = table.column("group").to_numpy()
        keeper = np.asarray(table.column("keeper").to_numpy(zero_copy_only=False), bool)
        ids = table.column("record_id").to_pylist()
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
