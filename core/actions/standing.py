"""What the quality checks say of the set as it stands: without removed records, with the labels and responses in force.

The checks themselves are not run again: what a decision touched is counted anew, the rest is as stored. What needs a model (the
classifier of labels, embeddings) keeps the one that saw all records as they were imported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.quality import contradictions
from core.quality.duplicates import among, by_hand, first_copies, groups, keepers, load_pairs, summary
from core.quality.formats import interval
from core.quality.labels import counted_again
from core.quality.leakage import counts
from core.quality.rechecks import violations_now
from core.workspace import Dataset, Result


@dataclass(frozen=True)
class InForce:
    """The decisions in force on a dataset. Two of the same dataset with the same `version` are the same."""

    version: str = ""
    removed: frozenset[str] = frozenset()  # records that the ledger removes
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # column -> record_id -> label
    responses: Mapping[str, str] = field(default_factory=dict)  # record_id -> response
    settled: frozenset[frozenset[str]] = frozenset()  # pairs of records that were read and both stay

    @property
    def changed(self) -> set[str]:
        """Records with another label or response than the imported one."""
        return {*self.responses, *(one for column in self.labels.values() for one in column)}

    def __bool__(self) -> bool:
        return bool(self.removed or self.labels or self.responses or self.settled)

    def sentence(self) -> str:
        """What was decided, in a few words; "" when nothing was."""
        labelled = len({one for column in self.labels.values() for one in column})
        parts = [
            (len(self.removed), "removed"), (labelled, "with another label"), (len(self.responses), "with a corrected response"),
            (len(self.settled), "pair settled" if len(self.settled) == 1 else "pairs settled"),
        ]  # fmt: skip
        return ", ".join(f"{n:,} {what}" for n, what in parts if n)


NOTHING = InForce()


def standing(
    result: Result, data: Dataset, force: InForce | set[str], chosen: Sequence[str] = (), near: Result | None = None
) -> Mapping[str, Any]:
    """The info of a `duplicates`, `contradictions`, `formats`, `labels` or `leakage` result of the set as it stands.

    `force`: the decisions, or only the removed records. `chosen`: records of groups of duplicates that a reader decided to keep,
    which stay whatever the keeper rule says. `near`: the `duplicates` result, which contradictions are compared again by.
    Other steps, and results that no decision touches, are given back as they are.
    """
    if not isinstance(force, InForce):
        gone = frozenset(force).intersection(data.ids()) if force else frozenset()
        force = InForce(removed=gone)
    hand = frozenset(chosen) if result.step == "duplicates" else frozenset()
    if result.step not in _WITHOUT or not (hand or _touches(result.step, force)):
        return result.info
    return _standing(str(result.path), force.version, force.removed, hand, _Held(result, data, force, near))


def contradictions_now(result: Result, data: Dataset, force: InForce, near: Result | None = None) -> pa.Table:
    """The pairs of a `contradictions` result that stand, the gravest first: compared again where a record was removed or changed,
    without those that a reader settled."""
    if not _touches("contradictions", force):
        return result.table()
    return _pairs(str(result.path), force.version, force.removed, _Held(result, data, force, near))


def violations(result: Result, data: Dataset, force: InForce) -> pa.Table:
    """record_id, rule, severity of the violations of a `formats` result that stand."""
    return _violations(str(result.path), force.version, force.removed, _Held(result, data, force, None))


def _touches(step: str, force: InForce) -> bool:
    """Whether a decision can move what a step counted."""
    if step in ("formats", "contradictions") and force.changed:
        return True
    if step == "contradictions" and force.settled:
        return True
    return bool(force.removed) or (step == "labels" and bool(force.labels))


class _Held:
    """Carries what a cached call needs and its key already names: equal to any other."""

    def __init__(self, result: Result, data: Dataset, force: InForce, near: Result | None):
        self.result, self.data, self.force, self.near = result, data, force, near

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)


def kept_rows(data: Dataset, force: InForce) -> np.ndarray:
    """(N,) bool: the records that are not removed, in file order."""
    gone = pa.array(sorted(force.removed), pa.string())
    return ~np.asarray(pc.is_in(data.column("record_id"), gone).to_numpy(), dtype=bool)


@lru_cache(maxsize=16)
def _standing(path: str, version: str, gone: frozenset[str], hand: frozenset[str], held: _Held) -> Mapping[str, Any]:
    result, data = held.result, held.data
    kept = kept_rows(data, held.force)
    if result.step == "duplicates":
        picked = np.asarray(
            pc.is_in(data.column("record_id"), pa.array(sorted(hand), pa.string())).to_numpy(), dtype=bool
        )
        return result.info | _duplicates(result, kept, picked)
    return result.info | _WITHOUT[result.step](held, kept)


def _duplicates(result: Result, kept: np.ndarray, picked: np.ndarray) -> dict[str, Any]:
    label = groups(load_pairs(result), result.info["threshold"], len(kept))
    label = among(label, kept)
    stay = by_hand(label, keepers(label, np.zeros(len(kept))), picked)
    removable, count = int(((label >= 0) & ~stay).sum()), int(kept.sum())
    return summary(label[kept]) | {
        "removable": removable,
        "ratio": removable / count if count else 0.0,
        "by_hand": int(((label >= 0) & picked).sum()),
    }


@lru_cache(maxsize=8)
def _pairs(path: str, version: str, gone: frozenset[str], held: _Held) -> pa.Table:
    result, data, force = held.result, held.data, held.force
    changed = force.changed
    if held.near is not None and (force.removed or changed):
        at = {one: row for row, one in enumerate(data.ids())}
        new = {
            "response": {at[one]: text for one, text in force.responses.items()},
            "category": {at[one]: label for one, label in force.labels.get("category", {}).items()},
        }
        first = _first(str(data.path), _Held(result, data, force, None))
        table = contradictions.compared_again(data, result, load_pairs(held.near), first, kept_rows(data, force), new)
    else:
        table, out = result.table(), pa.array(sorted(force.removed), pa.string())
        table = table.filter(pc.invert(pc.or_(pc.is_in(table["left_id"], out), pc.is_in(table["right_id"], out))))
    if force.settled:
        sides = zip(table["left_id"].to_pylist(), table["right_id"].to_pylist(), strict=True)
        table = table.filter(pa.array([frozenset(pair) not in force.settled for pair in sides], pa.bool_()))
    return table


@lru_cache(maxsize=2)
def _first(path: str, held: _Held) -> np.ndarray:
    return first_copies(held.data.column("prompt").to_pylist())


def _contradictions(held: _Held, kept: np.ndarray) -> dict[str, Any]:
    return contradictions.counts(contradictions_now(held.result, held.data, held.force, held.near))


@lru_cache(maxsize=4)
def _violations(path: str, version: str, gone: frozenset[str], held: _Held) -> pa.Table:
    result, force = held.result, held.force
    if force.changed:
        table = violations_now(held.data, result, force.responses, force.labels)
    else:
        table = result.table(["record_id", "rule", "severity"])
    return table.filter(pc.invert(pc.is_in(table["record_id"], pa.array(sorted(force.removed), pa.string()))))


def _formats(held: _Held, kept: np.ndarray) -> dict[str, Any]:
    table = violations(held.result, held.data, held.force)
    count, violating = int(kept.sum()), pc.count_distinct(table["record_id"]).as_py()
    errors = pc.count_distinct(table.filter(pc.equal(table["severity"], "error"))["record_id"]).as_py()
    return {
        "records": count,
        "violating": violating,
        "violating_errors": errors,
        "violations": table.num_rows,
        "compliance": 1 - violating / count if count else None,
        "compliance_errors": 1 - errors / count if count else None,
        **interval(violating, count),
    }


def _labels(held: _Held, kept: np.ndarray) -> dict[str, Any]:
    """Labels in doubt and the estimated accuracy, by the same classifier: the confident label of each record does not change, the
    given one may. `changed`: judged records with another label now, which the model that suggested it takes for right."""
    result, force = held.result, held.force
    info = result.info
    if "undefined" in info or "confident" not in result.table().column_names:
        return {"as_imported": True}
    table = result.table(["record_id", "given", "confident", "self_confidence"])
    judged = kept & np.asarray(table["self_confidence"].is_valid().to_numpy(), dtype=bool)
    now, number = force.labels.get(str(info["column"]), {}), {name: n for n, name in enumerate(info["names"])}
    ids, given = (table[name].to_pylist() for name in ("record_id", "given"))
    at = np.array([number.get(now.get(one, label), -1) for one, label in zip(ids, given, strict=True)], dtype=np.int64)
    sure = np.array([number.get(label, -1) for label in table["confident"].to_pylist()], dtype=np.int64)
    judged &= at >= 0
    changed = np.array([one in now for one in ids], dtype=bool) & judged
    if not judged.any():
        return {"as_imported": True}
    accuracy = counted_again(at[judged], sure[judged], len(number))
    return {
        "judged": int(judged.sum()),
        "flagged": int((judged & ~changed & (sure >= 0) & (sure != at)).sum()),  # what was decided is in doubt no more
        "changed": int(changed.sum()),
        "accuracy": accuracy,
        "noise": 1 - accuracy,
    }


def _leakage(held: _Held, kept: np.ndarray) -> dict[str, Any]:
    return counts(held.result.table(), held.result.info, held.force.removed)


_WITHOUT = {
    "duplicates": _duplicates, "contradictions": _contradictions, "formats": _formats, "labels": _labels, "leakage": _leakage,
}  # fmt: skip
