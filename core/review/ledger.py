"""The ledger of removals: who took which records out, why, and every undo. Nothing in it is ever changed or deleted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import InputError, MissingInput
from core.review.schema import Store, now, pack, reading, tables, unpack, writing

ACTIONS = ("remove", "keep", "undo", "pin", "relabel")


@dataclass(frozen=True)
class Entry:
    """One line of the ledger; `entry_ids` gives its records."""

    entry: int
    action: str
    """remove: out of the data. keep: looked at and left in, or put back. undo: takes back the entry in `undoes`. pin: no plan may
    take these records out. relabel: they have another label now (`core.review.relabels`)."""
    reason: str
    created_by: str
    created_at: str
    count: int
    undoes: int | None = None
    undone_by: int | None = None
    """The entry that took this one back, when one stands."""


def remove_records(store: Store, record_ids: Sequence[str], *, reason: str, by: str, token: str | None = None) -> Entry:
    """The entry that takes these records out. The same `token` (of one click) again gives the entry already there."""
    return _append(store, "remove", record_ids, reason, by, None, token)


def keep_records(store: Store, record_ids: Sequence[str], *, reason: str, by: str, token: str | None = None) -> Entry:
    """The entry that says these records stay; one removed by an earlier entry is back."""
    return _append(store, "keep", record_ids, reason, by, None, token)


def pin_records(store: Store, record_ids: Sequence[str], *, reason: str, by: str, token: str | None = None) -> Entry:
    """The entry that says no rebalancing plan may take these records out; undoing it frees them."""
    return _append(store, "pin", record_ids, reason, by, None, token)


def pinned_ids(store: Store) -> set[str]:
    """The records that an entry in force pins."""
    from sqlalchemy import select

    c = tables().ledger.c
    with reading(store) as connection:
        rows = connection.execute(select(c.entry, c.undoes)).all()
        undone = _undone({row.entry: row.undoes for row in rows})
        pins = connection.execute(select(c.entry, c.records).where(c.action == "pin")).all()
    return {one for row in pins if row.entry not in undone for one in unpack(row.records)}


def undo(store: Store, entry: int, *, by: str, reason: str = "", token: str | None = None) -> Entry:
    """The entry that takes back `entry`, an undo included. InputError when it was taken back already."""
    found = {one.entry: one for one in ledger(store)}.get(entry)
    if found is None:
        raise MissingInput(f"The ledger has no entry {entry}. Its entries are listed on the export page.")
    ids = entry_ids(store, entry)
    return _append(store, "undo", ids, reason or f"Undo of entry {entry}", by, entry, token)


def ledger(store: Store) -> list[Entry]:
    """Every entry, oldest first."""
    from sqlalchemy import select

    c = tables().ledger.c
    query = select(c.entry, c.action, c.reason, c.created_by, c.created_at, c.count, c.undoes).order_by(c.entry)
    with reading(store) as connection:
        rows = connection.execute(query).mappings().all()
    undone = _undone({row["entry"]: row["undoes"] for row in rows})
    return [Entry(**row, undone_by=undone.get(row["entry"])) for row in rows]


def entry_ids(store: Store, entry: int) -> list[str]:
    """The record ids of one entry."""
    from sqlalchemy import select

    c = tables().ledger.c
    with reading(store) as connection:
        blob = connection.execute(select(c.records).where(c.entry == entry)).scalar()
    if blob is None:
        raise MissingInput(f"The ledger has no entry {entry}. Its entries are listed on the export page.")
    return unpack(blob)


def removed_ids(store: Store) -> frozenset[str]:
    """The record ids that are out of the data now: the entries replayed in order, those taken back left out."""
    from sqlalchemy import select

    c = tables().ledger.c
    with reading(store) as connection:
        rows = connection.execute(select(c.entry, c.action, c.undoes, c.created_at, c.count).order_by(c.entry)).all()
        # An entry never changes, so what they say together is unpacked once for each state of the ledger.
        key = (store.name, tuple(map(tuple, rows)))
        if key not in _removed:
            undone = _undone({row.entry: row.undoes for row in rows})
            removed: set[str] = set()
            blobs = select(c.entry, c.action, c.records).where(c.action.in_(("remove", "keep"))).order_by(c.entry)
            for row in connection.execute(blobs):
                if row.entry in undone:
                    continue
                ids = unpack(row.records)
                removed = removed.union(ids) if row.action == "remove" else removed.difference(ids)
            while len(_removed) >= KEPT_STATES:
                _removed.pop(next(iter(_removed)), None)
            _removed[key] = frozenset(removed)
        return _removed[key]


KEPT_STATES = 8
_removed: dict[tuple, frozenset[str]] = {}


def newest(store: Store) -> tuple[tuple[int, str], ...]:
    """The highest number and moment in the ledger, and among the decisions on responses; (0, "") for none. As neither is ever changed,
    what stands is the same while these are."""
    from sqlalchemy import func, select

    with reading(store) as connection:
        wanted = [select(func.max(t.c.entry), func.max(t.c.created_at)) for t in (tables().ledger, tables().edits)]
        return tuple((entry or 0, at or "") for entry, at in (connection.execute(query).one() for query in wanted))


def _undone(undoes: dict[int, int | None]) -> dict[int, int]:
    """Entry -> the standing undo of it. From the newest back, for an undo can itself be undone."""
    result: dict[int, int] = {}
    for entry in sorted(undoes, reverse=True):
        target = undoes[entry]
        if target is not None and entry not in result:
            result[target] = entry
    return result


def _append(
    store: Store, action: str, record_ids: Sequence[str], reason: str, by: str, undoes: int | None, token: str | None,
    also: Callable[[Any, int], None] | None = None,
) -> Entry:  # fmt: skip
    """The entry as stored; `also(connection, entry)` writes what belongs to it in the same transaction."""
    from sqlalchemy import insert, select

    ids = list(dict.fromkeys(record_ids))
    if not ids:
        raise InputError("No record is named. Select at least one.")
    if any(not one or "\n" in one for one in ids):
        raise InputError("A record id is empty or has a line break in it; such an id names no record.")
    if not reason.strip():
        raise InputError("The ledger needs a reason. Say in a few words why.")
    c = tables().ledger.c
    with writing(store) as connection:
        if token is not None:
            known = connection.execute(select(c.entry).where(c.token == token)).scalar()
            if known is not None:
                return _one(connection, known)
        if undoes is not None:
            pairs = {row.entry: row.undoes for row in connection.execute(select(c.entry, c.undoes))}
            by_whom = _undone(pairs).get(undoes)
            if by_whom is not None:
                raise InputError(
                    f"Entry {undoes} was already taken back by entry {by_whom}. Undo that one to bring it back."
                )
        values = {
            "action": action,
            "reason": reason.strip(),
            "created_by": by,
            "created_at": now(),
            "count": len(ids),
            "records": pack(ids),
            "undoes": undoes,
            "token": token,
        }
        entry = connection.execute(insert(tables().ledger).values(**values)).inserted_primary_key[0]
        if also is not None:
            also(connection, entry)
        return _one(connection, entry)


def _one(connection, entry: int) -> Entry:
    from sqlalchemy import select

    c = tables().ledger.c
    query = select(c.entry, c.action, c.reason, c.created_by, c.created_at, c.count, c.undoes).where(c.entry == entry)
    return Entry(**connection.execute(query).mappings().one())
