"""Named selections of records: kept with how they were made, renamed freely, deleted by a tombstone."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import InputError, MissingInput
from core.review.schema import Store, now, pack, reading, tables, unpack, writing


@dataclass(frozen=True)
class Subset:
    """A named selection; `subset_ids` gives its records."""

    id: str
    name: str
    strategy: str
    """How it was made: lasso, quadrant, diq, random, …"""
    count: int
    created_at: str
    created_by: str
    dataset_digest: str
    params: Mapping[str, Any] = field(default_factory=dict)
    deleted_at: str | None = None
    deleted_by: str | None = None


def add_subset(
    store: Store,
    name: str,
    record_ids: Sequence[str],
    *,
    by: str,
    strategy: str,
    dataset_digest: str,
    params: Mapping[str, Any] | None = None,
) -> Subset:
    """The stored subset, its ids in the order given, each once. InputError when the name is taken or nothing is
    selected.
    """
    from sqlalchemy import insert

    ids = list(dict.fromkeys(record_ids))
    if not ids:
        raise InputError("No record is selected. Select some, then save them under a name.")
    if any(not one or "\n" in one for one in ids):
        raise InputError("A record id is empty or has a line break in it; such an id names no record.")
    subset = Subset(uuid.uuid4().hex, _clean(name), strategy, len(ids), now(), by, dataset_digest, dict(params or {}))
    t = tables()
    with writing(store) as connection:
        _must_be_free(connection, subset.name)
        values = {column: getattr(subset, column) for column in Subset.__dataclass_fields__}
        connection.execute(insert(t.subsets).values(**values, members=pack(ids)))
    return subset


def subsets(store: Store, deleted: bool = False) -> list[Subset]:
    """The subsets, newest first; the deleted ones too when asked for."""
    from sqlalchemy import select

    c = tables().subsets.c
    query = select(*(c[name] for name in Subset.__dataclass_fields__)).order_by(c.created_at.desc(), c.id)
    if not deleted:
        query = query.where(c.deleted_at.is_(None))
    with reading(store) as connection:
        return [Subset(**row) for row in connection.execute(query).mappings()]


def subset(store: Store, name_or_id: str) -> Subset:
    """The subset of this name, or with this id even when deleted; MissingInput, with the names there are, otherwise."""
    everything = subsets(store, deleted=True)
    for found in everything:
        if found.id == name_or_id or (found.name == name_or_id.strip() and found.deleted_at is None):
            return found
    names = ", ".join(repr(one.name) for one in everything if one.deleted_at is None) or "none yet"
    raise MissingInput(f"There is no subset {name_or_id!r}. Subsets here: {names}.")


def subset_ids(store: Store, name_or_id: str) -> list[str]:
    """The record ids of a subset, in the order in which they were saved."""
    from sqlalchemy import select

    found = subset(store, name_or_id)
    c = tables().subsets.c
    with reading(store) as connection:
        return unpack(connection.execute(select(c.members).where(c.id == found.id)).scalar_one())


def rename_subset(store: Store, subset_id: str, name: str) -> Subset:
    """The subset under its new name; InputError when another one has it."""
    from sqlalchemy import update

    clean = _clean(name)
    found = subset(store, subset_id)
    t = tables()
    with writing(store) as connection:
        _must_be_free(connection, clean, but=found.id)
        connection.execute(update(t.subsets).where(t.subsets.c.id == found.id).values(name=clean))
    return subset(store, found.id)


def delete_subset(store: Store, subset_id: str, by: str) -> None:
    """Takes the subset off the lists; its members stay, so that an export that named it can be explained."""
    from sqlalchemy import update

    found = subset(store, subset_id)
    t = tables()
    with writing(store) as connection:
        gone = t.subsets.c.deleted_at.is_(None) & (t.subsets.c.id == found.id)
        connection.execute(update(t.subsets).where(gone).values(deleted_at=now(), deleted_by=by))


def _clean(name: str) -> str:
    clean = name.strip()
    if not clean or len(clean) > 200 or "\x00" in clean:
        raise InputError("A subset needs a name of 1 to 200 characters.")
    return clean


def _must_be_free(connection, name: str, but: str = "") -> None:
    from sqlalchemy import select

    c = tables().subsets.c
    query = select(c.count).where(c.name == name, c.deleted_at.is_(None), c.id != but)
    found = connection.execute(query).scalar()
    if found is not None:
        raise InputError(
            f"A subset named {name!r} exists ({found:,} records). Choose another name, or rename that one."
        )
