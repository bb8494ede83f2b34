"""Which training records stand in as the validation set when the user gave none."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import InputError

SHARE, MINIMUM = 0.05, 50


@dataclass(frozen=True)
class Holdout:
    """A stratified sample that depends on the seed and on record_ids alone, so that an edit elsewhere moves little."""

    rows: np.ndarray  # (M,) row numbers, ascending
    sentence: str


def choose(
    ids: Sequence[str],
    categories: Sequence[str | None],
    able: np.ndarray,
    seed: int = 0,
    share: float = SHARE,
    minimum: int = MINIMUM,
) -> Holdout:
    """5 % of the records, at least 50, in the categories' proportions (largest remainder); of a tiny set a fifth.

    `able` (N,) bool: records that have a response. Of exact copies only the first can be held out (its id ends in "-1").
    Errors: InputError when fewer than two records qualify.
    """
    first = np.array([i.endswith("-1") for i in ids]) if len(ids) else np.zeros(0, bool)
    rows = np.flatnonzero(np.asarray(able, bool) & first)
    if len(rows) < 2:
        raise InputError(
            f"The training data has {len(rows)} different record{'' if len(rows) == 1 else 's'} with a response; at least 2 are "
            "needed to hold some out as a validation set. Import a validation set."
        )
    wanted = max(round(share * len(rows)), minimum)
    size = min(wanted, max(1, len(rows) // 5))
    strata: dict[str, list[int]] = {}
    for row in rows:
        strata.setdefault(categories[row] or "", []).append(int(row))
    exact = {name: size * len(members) / len(rows) for name, members in strata.items()}
    quota = Counter({name: int(x) for name, x in exact.items()})
    for name in sorted(strata, key=lambda n: (quota[n] - exact[n], n))[: size - sum(quota.values())]:
        quota[name] += 1

    def draw(row: int) -> bytes:
        return hashlib.blake2b(f"{seed}:{ids[row]}".encode(), digest_size=8).digest()

    chosen = sorted(r for name, members in strata.items() for r in sorted(members, key=draw)[: quota[name]])
    kinds = sum(1 for n in quota if quota[n])
    how = f"stratified over {kinds} categories" if len(strata) > 1 else "at random"
    fewer = f" (fewer than {wanted}: the set is small, a fifth of it was taken)" if size < wanted else ""
    sentence = (
        f"No validation set was given: {len(chosen)} of {len(ids)} training records were held out as one, "
        f"{how}, seed {seed}{fewer}"
    )
    return Holdout(np.array(chosen, np.int64), sentence)


def without(ids: Sequence[str], held: Sequence[str]) -> np.ndarray:
    """(N,) bool: rows that share no content with a held-out record, exact copies of it included."""
    contents = {i.rpartition("-")[0] for i in held}
    return np.array([i.rpartition("-")[0] not in contents for i in ids], bool)
