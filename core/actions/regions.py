"""The clusters as a table: how large, how much of production, how hard, how useful, how often wrong, how repeated; typical records."""

from dataclasses import dataclass

import numpy as np

from core.actions.frame import available, column, difficulty_sources
from core.actions.naming import levels, names
from core.review.intervals import wilson
from core.steps import current
from core.workspace import Dataset, Result, Workspace

TYPICAL = 5


@dataclass(frozen=True)
class Region:
    """One cluster, or the noise (number -1); None where something is not known."""

    number: int
    name: str
    terms: tuple[str, ...]
    size: int
    share: float  # of training
    production: int | None  # covered production records whose nearest training record lies in it
    production_share: float | None
    difficulty: float | None  # mean over the records that have it
    influence: float | None  # mean; positive = training on it lowers the validation loss
    judged: int  # records passed or failed in an audit
    failed: int
    error_low: float | None  # 95 % Wilson interval of failed / judged
    error_high: float | None
    duplicates: int | None  # records with a near-duplicate anywhere


def regions(workspace: Workspace, data: Dataset, found: Result, level: str = "cluster") -> list[Region]:
    """The clusters of a level, largest first, then the noise where there is any.

    The records read in audits are those of any sample, risk-drawn ones too, so the error rate of a cluster describes what was read.
    """
    groups = levels(found)[level][1]
    labels = found.table([level]).column(0).to_numpy()
    where = np.where(labels < 0, len(groups), labels)
    called = names(workspace, found, level)
    size = np.bincount(where, minlength=len(groups) + 1)
    hard = next(iter(difficulty_sources(workspace, data)), None)
    difficulty = _means(workspace, data, hard[0] if hard else None, where, len(size))
    influence = _means(
        workspace, data, "influence" if "influence" in available(workspace, data) else None, where, len(size)
    )
    verdict = column(workspace, data, "verdict").values
    failed = np.bincount(where[verdict == "fail"], minlength=len(size))
    judged = failed + np.bincount(where[verdict == "pass"], minlength=len(size))
    coverage, duplicates = current(workspace, "coverage"), current(workspace, "duplicates")
    visits = _visits(coverage, data, where, len(size)) if coverage else None
    total = coverage.info["production"] if coverage else 0
    paired = duplicates.table(["group"]).column(0).to_numpy() >= 0 if duplicates else None
    copies = np.bincount(where[paired], minlength=len(size)) if paired is not None else None
    out = []
    for n in [*range(len(groups)), *([len(groups)] if size[-1] else [])]:
        noise = n == len(groups)
        interval = wilson(int(failed[n]), int(judged[n])) if judged[n] else None
        out.append(
            Region(
                -1 if noise else n, "noise" if noise else called[n], () if noise else tuple(groups[n]["terms"]), int(size[n]),
                float(size[n] / max(1, len(labels))), int(visits[n]) if visits is not None else None,
                float(visits[n] / total) if visits is not None and total else None, difficulty[n], influence[n], int(judged[n]),
                int(failed[n]), interval.low if interval else None, interval.high if interval else None,
                int(copies[n]) if copies is not None else None,
            )
        )  # fmt: skip
    return out


def _means(workspace: Workspace, data: Dataset, name: str | None, where: np.ndarray, count: int) -> list[float | None]:
    if name is None:
        return [None] * count
    values = column(workspace, data, name).values
    there = np.isfinite(values)
    total, known = np.bincount(where[there], values[there], count), np.bincount(where[there], minlength=count)
    return [float(t / k) if k else None for t, k in zip(total, known, strict=True)]


def _visits(coverage: Result, data: Dataset, where: np.ndarray, count: int) -> np.ndarray:
    table = coverage.table(["nearest_id", "covered"])
    near = data.index.rows(table["nearest_id"])
    covered = np.asarray(table["covered"].to_numpy(zero_copy_only=False), dtype=bool)
    return np.bincount(where[near[covered & (near >= 0)]], minlength=count)


def typical(
    workspace: Workspace, data: Dataset, found: Result, number: int, level: str = "cluster"
) -> tuple[list[str], list[str]]:
    """(typical, atypical) record ids of a cluster: nearest to the mean of its vectors, and farthest from it. At most TYPICAL each."""
    embed = current(workspace, "embed")
    rows = np.flatnonzero(found.table([level]).column(0).to_numpy() == number)
    if embed is None or not len(rows):
        return [], []
    vectors = np.asarray(embed.glance()[rows], np.float32)
    order = rows[np.argsort(-(vectors @ vectors.mean(0)), kind="stable")]
    ids = data.index.names
    few = min(TYPICAL, max(1, len(order) // 2))
    return [ids[r] for r in order[:few]], [ids[r] for r in order[::-1][: min(few, len(order) - few)]]
