"""What the quality checks say of the records that the ledger keeps: their counts without those removed since."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.quality.duplicates import among, by_hand, groups, keepers, load_pairs, summary
from core.quality.formats import interval
from core.quality.leakage import counts
from core.workspace import Dataset, Result


def standing(result: Result, data: Dataset, removed: set[str], chosen: Sequence[str] = ()) -> Mapping[str, Any]:
    """The info of a `duplicates`, `contradictions`, `formats` or `leakage` result as it stands without the removed records.

    `chosen`: records of groups of duplicates that a reader decided to keep, which stay whatever the keeper rule says.
    Other steps, and results that no removed record touches, are given back as they are: their model saw all records.
    """
    gone = frozenset(removed).intersection(data.ids()) if removed else frozenset()
    hand = frozenset(chosen) if result.step == "duplicates" else frozenset()
    if not (gone or hand) or result.step not in _WITHOUT:
        return result.info
    return _standing(str(result.path), gone, hand, _Held(result, data))


class _Held:
    """Carries what a cached call needs and its key already names: equal to any other."""

    def __init__(self, result: Result, data: Dataset):
        self.result, self.data = result, data

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)


@lru_cache(maxsize=12)
def _standing(path: str, gone: frozenset[str], hand: frozenset[str], held: _Held) -> Mapping[str, Any]:
    result, data = held.result, held.data
    kept = ~np.asarray(pc.is_in(data.column("record_id"), pa.array(sorted(gone), pa.string())).to_numpy(), dtype=bool)
    if result.step == "duplicates":
        picked = np.asarray(
            pc.is_in(data.column("record_id"), pa.array(sorted(hand), pa.string())).to_numpy(), dtype=bool
        )
        return result.info | _duplicates(result, kept, picked)
    return result.info | _WITHOUT[result.step](result, kept, gone)


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


def _contradictions(result: Result, kept: np.ndarray, gone: frozenset[str]) -> dict[str, Any]:
    table = result.table(["left_id", "right_id", "kinds"])
    out = pa.array(sorted(gone), pa.string())
    touched = pc.or_(pc.is_in(table["left_id"], out), pc.is_in(table["right_id"], out))
    left = table.filter(pc.invert(touched))
    kinds = left["kinds"].to_pylist()
    return {
        "contradictions": left.num_rows,
        "records": len({*left["left_id"].to_pylist(), *left["right_id"].to_pylist()}),
        "kinds": {kind: sum(kind in some for some in kinds) for kind in result.info["kinds"]},
    }


def _formats(result: Result, kept: np.ndarray, gone: frozenset[str]) -> dict[str, Any]:
    table = result.table(["record_id", "severity"])
    table = table.filter(pc.invert(pc.is_in(table["record_id"], pa.array(sorted(gone), pa.string()))))
    count, violating = int(kept.sum()), pc.count_distinct(table["record_id"]).as_py()
    errors = pc.count_distinct(table.filter(pc.equal(table["severity"], "error"))["record_id"]).as_py()
    return {
        "records": count,
        "violating": violating,
        "violations": table.num_rows,
        "compliance": 1 - violating / count if count else None,
        "compliance_errors": 1 - errors / count if count else None,
        **interval(violating, count),
    }


def _leakage(result: Result, kept: np.ndarray, gone: frozenset[str]) -> dict[str, Any]:
    return counts(result.table(), result.info, gone)


_WITHOUT = {"duplicates": _duplicates, "contradictions": _contradictions, "formats": _formats, "leakage": _leakage}
