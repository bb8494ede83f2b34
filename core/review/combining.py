"""Saved selections combined: in any of some, in all of others, in none of the rest."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import InputError
from core.review.schema import Store
from core.review.subsets import subset_ids


def combined(
    store: Store, any_of: Sequence[str] = (), all_of: Sequence[str] = (), none_of: Sequence[str] = ()
) -> list[str]:
    """Record ids in at least one of `any_of` (when given), in each of `all_of` and in none of `none_of`.

    In the order of the first selection named. Errors: InputError when only `none_of` is given; MissingInput for an unknown name.
    """
    if not (any_of or all_of):
        raise InputError("Only selections to leave out were named. Name one with --any or --all to leave them out of.")
    members = {name: subset_ids(store, name) for name in [*any_of, *all_of, *none_of]}
    sets = {name: set(ids) for name, ids in members.items()}
    pool = dict.fromkeys(i for name in any_of or all_of[:1] for i in members[name])
    return [i for i in pool if all(i in sets[n] for n in all_of) and not any(i in sets[n] for n in none_of)]
