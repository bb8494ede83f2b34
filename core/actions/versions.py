"""Versions of a dataset: what an import added, took out and edited, and how to look at an earlier one without going back to it.

A record's id is the digest of its whole row, so an unchanged row keeps its id, its verdicts and its removals, wherever it stands.
A changed row is a new record; `difference` pairs it with the one it came from.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.dataset.columns import FIELD_PREFIX
from core.errors import InputError, MissingInput
from core.workspace import Dataset, Workspace, digest_of

HOW = {
    "id": "the same id in the source",
    "prompt": "the same prompt",
    "response": "the same response",
    "place": "the same place between unchanged records, and half of the words in common",
}
"""How an edited record was told from one that was removed and another that was added, the surest first."""
PARTS = ("prompt", "response", "reasoning", "category", "language", "difficulty", "annotator")
LIKE = 0.5
"""Share of the words of both (Jaccard) that two records in the same place must have in common to count as one that was edited."""
RUN = 400  # pairs of a run between unchanged neighbours that are all compared; a longer run is paired in order
RULE = "diff-1"  # raise it when the same two versions would give another difference


@dataclass(frozen=True)
class Earlier(Workspace):
    """The workspace as if a version imported before were the current one: everything can be read, nothing written."""

    at: Dataset | None = None

    def dataset(self, role: str = "training") -> Dataset | None:
        return self.at if self.at is not None and role == self.at.role else super().dataset(role)

    def _save(self, state: dict) -> None:
        raise InputError(
            "An earlier version is only looked at. Make it the current one on the Data page to change anything."
        )

    def compute(self, *args: Any, **options: Any):
        raise InputError(
            "An earlier version is only looked at. Make it the current one on the Data page to compute anything."
        )


def as_of(workspace: Workspace, version: Dataset) -> Earlier:
    """The workspace as it stands with this version: results that were computed for it are found again."""
    return Earlier(workspace.path, version)


def version_named(workspace: Workspace, name: str, role: str = "training") -> Dataset:
    """The version with this number (1 = the oldest), start of a digest, "current" or "previous"."""
    known = workspace.versions(role)
    now = workspace.dataset(role)
    others = [one for one in known if now is None or one.path != now.path]
    if name == "current" and now:
        return now
    if name == "previous" and others:
        return others[-1]
    if re.fullmatch(r"\d{1,4}", name) and 1 <= int(name) <= len(known):
        return known[int(name) - 1]
    found = [one for one in known if len(name) >= 4 and one.digest.startswith(name)]
    if len(found) != 1:
        told = ", ".join(f"{n} {one.digest[:8]} ({one.name})" for n, one in enumerate(known, 1)) or "none"
        raise MissingInput(f"There is no {role} version {name!r} here. Versions: {told}.")
    return found[0]


# -- the difference of two versions -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """What set `after` apart from `before`. `changes`: kind (added, removed, edited), before_id, after_id, how, parts."""

    before: Dataset
    after: Dataset
    kept: int
    moved: int  # of the kept, those outside the longest run that kept its order
    changes: pa.Table

    def count(self, kind: str) -> int:
        return int(pc.sum(pc.equal(self.changes["kind"], kind)).as_py() or 0)

    def ids(self, kind: str, side: str) -> list[str]:
        """The record ids of one kind, on the side "before" or "after"."""
        return self.changes.filter(pc.equal(self.changes["kind"], kind))[f"{side}_id"].to_pylist()

    def facts(self) -> dict[str, Any]:
        edited = self.changes.filter(pc.equal(self.changes["kind"], "edited"))
        how = {row["values"]: row["counts"] for row in pc.value_counts(edited["how"]).to_pylist()}
        parts: dict[str, int] = defaultdict(int)
        for text in edited["parts"].to_pylist():
            for one in text.split(", "):
                parts[one] += 1
        return {
            "kept": self.kept, "moved": self.moved, "added": self.count("added"), "removed": self.count("removed"),
            "edited": self.count("edited"), "edited_by": how, "parts": dict(parts),
        }  # fmt: skip


CHANGES = pa.schema(
    [
        ("kind", pa.string()),
        ("before_id", pa.string()),
        ("after_id", pa.string()),
        ("how", pa.string()),
        ("parts", pa.string()),
    ]
)


def stored_difference(workspace: Workspace, before: Dataset, after: Dataset) -> Difference | None:
    """The difference of two versions when it was computed before, else None."""
    path = _path(workspace, before, after)
    if not path.is_file():
        return None
    table = pq.read_table(path)
    meta = table.schema.metadata
    return Difference(before, after, int(meta[b"kept"]), int(meta[b"moved"]), table)


def keep_difference(workspace: Workspace, found: Difference) -> None:
    """Keep a difference in the workspace, so that a page finds it at once; it never changes."""
    path = _path(workspace, found.before, found.after)
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    meta = {"kept": str(found.kept), "moved": str(found.moved)}
    pq.write_table(found.changes.replace_schema_metadata(meta), part, compression="zstd")
    part.replace(path)


def _path(workspace: Workspace, before: Dataset, after: Dataset):
    return workspace.path / "versions" / f"{digest_of(RULE, before.digest, after.digest)[:16]}.parquet"


def difference(before: Dataset, after: Dataset) -> Difference:
    """Every record added, removed or edited between two versions; unchanged rows are those with equal ids."""
    old, new = before.ids(), after.ids()
    old_at, new_at = ({one: n for n, one in enumerate(ids)} for ids in (old, new))
    gone = [n for n, one in enumerate(old) if one not in new_at]
    come = [n for n, one in enumerate(new) if one not in old_at]
    places = np.array([new_at[one] for one in old if one in new_at], np.int64)
    a, b = _rows(before, gone), _rows(after, come)
    pairs = _pairs(a, b, gone, come, old, new, old_at, new_at, (before.mapping.get("id"), after.mapping.get("id")))
    rows = []
    paired_old, paired_new = {i for i, _, _ in pairs}, {j for _, j, _ in pairs}
    for i, j, how in sorted(pairs, key=lambda pair: pair[1]):
        rows.append(("edited", old[gone[i]], new[come[j]], how, ", ".join(_parts(a[i], b[j]))))
    rows += [("removed", old[gone[i]], None, None, "") for i in range(len(gone)) if i not in paired_old]
    rows += [("added", None, new[come[j]], None, "") for j in range(len(come)) if j not in paired_new]
    columns = list(zip(*rows, strict=True)) if rows else [[]] * 5
    table = pa.table([pa.array(list(c), pa.string()) for c in columns], schema=CHANGES)
    return Difference(before, after, len(places), len(places) - _longest_run(places), table)


def _rows(data: Dataset, positions: Sequence[int]) -> list[dict]:
    """The parts of some records, in file order."""
    from core.dataset.selected import Selected

    fields = [name for name in data.columns if name.startswith(FIELD_PREFIX)]
    wanted = [*(name for name in PARTS if name in data.columns), *fields]
    return list(Selected(data, np.asarray(positions, np.int64)).rows(wanted)) if len(positions) else []


def _pairs(a, b, gone, come, old, new, old_at, new_at, id_fields) -> list[tuple[int, int, str]]:
    """(index in gone, index in come, how), each index once."""
    pairs: list[tuple[int, int, str]] = []
    free_a, free_b = set(range(len(a))), set(range(len(b)))

    def by(how: str, key_a, key_b) -> None:
        waiting: dict[Any, list[int]] = defaultdict(list)
        for j in sorted(free_b):
            key = key_b(b[j])
            if key:
                waiting[key].append(j)
        for i in sorted(free_a):
            key = key_a(a[i])
            if key and waiting.get(key):
                pairs.append((i, waiting[key].pop(0), how))
        free_a.difference_update(i for i, _, _ in pairs)
        free_b.difference_update(j for _, j, _ in pairs)

    if all(id_fields):
        left, right = (FIELD_PREFIX + name for name in id_fields)
        by("id", lambda row: row.get(left), lambda row: row.get(right))
    by("prompt", lambda row: row["prompt"], lambda row: row["prompt"])
    by("response", lambda row: row["response"], lambda row: row["response"])
    # Runs of records that are left between the same two unchanged neighbours: the most alike first, a long run in order.
    runs_a, runs_b = _runs(gone, old, new_at, free_a), _runs(come, new, old_at, free_b)
    for key in runs_a.keys() & runs_b.keys():
        left, right = runs_a[key], runs_b[key]
        short = len(left) * len(right) <= RUN
        asked = [(i, j) for i in left for j in right] if short else list(zip(left, right, strict=False))
        likes = sorted(((-_alike(a[i], b[j]), i, j) for i, j in asked))
        seen_a: set[int] = set()
        seen_b: set[int] = set()
        for like, i, j in likes:
            if -like >= LIKE and i not in seen_a and j not in seen_b:
                pairs.append((i, j, "place"))
                seen_a.add(i)
                seen_b.add(j)
    return pairs


def _runs(positions: list[int], ids: list[str], other: dict, free: set[int]) -> dict[str, list[int]]:
    """The unchanged record before a run (\"\" at the start) -> indices of the run's free records."""
    runs: dict[str, list[int]] = defaultdict(list)
    before, last = "", -1
    for index, position in enumerate(positions):
        for n in range(position - 1, last, -1):  # the nearest unchanged record since the last change
            if ids[n] in other:
                before = ids[n]
                break
        last = position
        if index in free:
            runs[before].append(index)
    return runs


def _alike(a: dict, b: dict) -> float:
    """Jaccard of the words of two records, 0..1."""
    left, right = (set(f"{row['prompt']} {row['response']}".casefold().split()) for row in (a, b))
    return len(left & right) / len(left | right) if left and right else 0.0


def _parts(a: dict, b: dict) -> list[str]:
    """Which parts differ, by the name that a reader knows."""
    names = dict.fromkeys([*PARTS, *a, *b])
    found = [name.removeprefix(FIELD_PREFIX) for name in names if (a.get(name) or None) != (b.get(name) or None)]
    return found or ["other parts of the row"]


def _longest_run(places: np.ndarray) -> int:
    """Length of the longest increasing subsequence."""
    from bisect import bisect_left

    tails: list[int] = []
    for place in places.tolist():
        at = bisect_left(tails, place)
        tails[at : at + 1] = [place]
    return len(tails)


def verdicts_that_stay(workspace: Workspace, found: Difference) -> tuple[int, int]:
    """(how many records with a standing verdict are unchanged in the later version, how many the earlier one had)."""
    from core.actions.decisions import open_reviews, verdict_by_record

    said = set(verdict_by_record(open_reviews(workspace)))
    judged = said.intersection(found.before.ids())
    return len(judged.intersection(found.after.ids())), len(judged)
