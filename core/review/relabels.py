"""Changed labels: an entry of the ledger names the records and why, a row beside it what each was called and is called now.

Nothing changes the imported record. A change is in force until its entry is undone; of several on one record the newest counts, and
each holds only while the record still has the label that it was made from.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import InputError
from core.review.ledger import Entry, _append, _undone
from core.review.schema import Store, reading, tables, unpack


@dataclass(frozen=True)
class Change:
    """A label in force in place of the imported one."""

    before: str
    """The imported label."""
    after: str
    entry: int
    by: str
    at: str


def relabel(
    store: Store, changes: Sequence[tuple[str, str, str]], *, field: str, rule: Mapping[str, Any], reason: str, by: str,
    token: str | None = None,
) -> Entry:  # fmt: skip
    """The entry that gives records another label. changes: (record_id, imported label, new label), each record once.

    The same `token` (of one click) again gives the entry already there.
    """
    from sqlalchemy import insert

    ids = [one for one, _, _ in changes]
    if len(set(ids)) != len(ids):
        raise InputError("A record is named twice with a label. Name each once.")
    empty = sum(not after.strip() for _, _, after in changes)
    if empty:
        raise InputError(f"{empty:,} records would get an empty label. Name the label they should have.")
    pairs = json.dumps([[before, after] for _, before, after in changes], ensure_ascii=False)
    blob = zlib.compress(pairs.encode("utf-8", "surrogatepass"), 6)

    def beside(connection: Any, entry: int) -> None:
        values = {"entry": entry, "field": field, "rule": dict(rule), "changes": blob}
        connection.execute(insert(tables().relabels).values(**values))

    return _append(store, "relabel", ids, reason, by, None, token, beside)


def relabelled(store: Store, field: str) -> dict[str, Change]:
    """record_id -> the change in force on this column of labels."""
    from sqlalchemy import select

    led, own = tables().ledger.c, tables().relabels.c
    query = select(led.entry, led.records, led.created_by, led.created_at, own.changes)
    query = query.join(tables().relabels, own.entry == led.entry).where(own.field == field).order_by(led.entry)
    with reading(store) as connection:
        rows = connection.execute(query).all()
        undone = (
            _undone({row.entry: row.undoes for row in connection.execute(select(led.entry, led.undoes))})
            if rows
            else {}
        )
    force: dict[str, Change] = {}
    for row in rows:
        if row.entry not in undone:
            pairs = json.loads(zlib.decompress(row.changes).decode("utf-8", "surrogatepass"))
            for record_id, (before, after) in zip(unpack(row.records), pairs, strict=True):
                force[record_id] = Change(before, after, row.entry, row.created_by, row.created_at)
    return force


def fields(store: Store) -> list[str]:
    """The columns on which any label was ever changed."""
    from sqlalchemy import select

    own = tables().relabels.c
    with reading(store) as connection:
        return sorted(connection.execute(select(own.field).distinct()).scalars())


def rule_of(store: Store, entry: int) -> dict[str, Any] | None:
    """{"field", "rule"} of an entry that relabels; None for another entry. What a recipe needs to repeat it."""
    from sqlalchemy import select

    own = tables().relabels.c
    with reading(store) as connection:
        row = connection.execute(select(own.field, own.rule).where(own.entry == entry)).mappings().first()
    return dict(row) if row else None
