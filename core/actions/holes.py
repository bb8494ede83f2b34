"""The holes of a workspace as tasks: ranked by production mass and stakes, by category, and as a collection brief."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from core.actions.highstakes import by_rule, rule
from core.embedding.brief import Gap, brief_csv, brief_markdown, gaps
from core.errors import InputError, MissingInput
from core.steps import current
from core.workspace import Dataset, Result, Workspace

STAKES = 3.0
"""A high-stakes record counts as much as this many others; a judgement, which only orders the list."""


def ranked(workspace: Workspace, found: Result, production: Dataset) -> list[Gap]:
    """The holes by production mass in which a high-stakes record counts STAKES times, numbered in that order.

    High stakes is what the workspace's rule says of the production records (highstakes.py); without a rule `stakes` is None and
    the order is that of the mass alone.
    """
    holes = gaps(found.info)
    if rule(workspace):
        number = found.table(["hole"]).column(0).to_numpy()
        marked = by_rule(workspace, production)
        high = np.fromiter((i in marked for i in found.table(["record_id"]).column(0).to_pylist()), bool, len(number))
        counts = np.bincount(number[(number >= 0) & high], minlength=len(holes))
        holes = [replace(h, stakes=int(counts[h.number - 1])) for h in holes]
        holes.sort(key=lambda h: (-(h.size + (STAKES - 1) * h.stakes), h.number))
    return [replace(h, rank=n) for n, h in enumerate(holes, 1)]


def categories(found: Result, production: Dataset, column: str = "category") -> dict[int, dict[str, int]]:
    """{number of the hole: {category: production records}}, most frequent first; "" for records without one."""
    number = found.table(["hole"]).column(0).to_pylist()
    if column not in production.columns:
        return {}
    counts: dict[int, Counter] = {}
    for hole, value in zip(number, production.column(column).to_pylist(), strict=True):
        if hole >= 0:
            counts.setdefault(hole + 1, Counter())[value or ""] += 1
    return {hole: dict(c.most_common()) for hole, c in sorted(counts.items())}


def brief(workspace: Workspace, kind: str) -> str:
    """The collection brief as "md" or "csv". Errors: MissingInput (no coverage yet), InputError (another kind)."""
    data, production, found = workspace.need(), workspace.need("production"), current(workspace, "coverage")
    if found is None:
        raise MissingInput("The holes are not known yet. Run `coverage` first.")
    holes = ranked(workspace, found, production)
    asked = prompts(production, {i for h in holes for i in h.examples})
    if kind == "csv":
        return brief_csv(holes, asked)
    if kind != "md":
        raise InputError(f"A collection brief is written as .md or .csv, not as {kind!r}.")
    return brief_markdown(holes, asked, prompts(data, {i for h in holes for i in h.nearest}), found.info, data.name)


def prompts(data: Dataset, ids: set[str]) -> Mapping[str, str]:
    table = data.table(["record_id", "prompt"])
    return {i: text or "" for i, text in zip(*(c.to_pylist() for c in table.columns), strict=True) if i in ids}


def described(holes: Sequence[Gap]) -> list[str]:
    """A line for each hole."""
    return [
        f"{h.rank}. {h.name}: {h.size:,} production records, {h.share:.1%} ({h.low:.1%} to {h.high:.1%}); collect about {h.collect:,} "
        f"({h.collect_low:,} to {h.collect_high:,})"
        + (f"; {h.stakes:,} high stakes" if h.stakes is not None else "")
        + (f"; could be chance (p = {h.chance:.2f})" if h.doubtful else "")
        for h in holes
    ]
