"""The verdicts of a sample, read once and then only what is new: a queue of 10,000 records is asked for after every verdict.

The database stays the owner. It is append-only, so the count of a sample's verdicts and the time of the newest tell whether anything
is new; when what was read does not add up to the count, all of it is read again.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from core.review.schema import Store, reading, tables

if TYPE_CHECKING:
    from core.review.verdicts import Standing, Verdict

LATE = 300
"""Seconds by which the clocks of two servers on one database may differ before everything is read again."""
Key = tuple[str, str]  # record, reviewer


class History:
    """What is known of one sample: its verdicts by record and reviewer, and what stands of each."""

    def __init__(self, store: Store, sample_id: str):
        self.store, self.sample_id, self.lock = store, sample_id, threading.Lock()
        self._empty()

    def _empty(self) -> None:
        self.verdicts: dict[str, Verdict] = {}  # by client id
        self.chains: dict[Key, list[Verdict]] = {}
        self.stands: dict[Key, Standing | None] = {}
        self.last = ""

    def refresh(self) -> None:
        """Reads what is new. Call it with the lock held."""
        from sqlalchemy import func, select

        c = tables().verdicts.c
        with reading(self.store) as connection:
            known = select(func.count(), func.max(c.received_at)).where(c.sample_id == self.sample_id)
            count, newest = connection.execute(known).one()
            if count == len(self.verdicts) and (newest or "") == self.last:
                return
            # The narrow look first: nearly always what is new came after the last that was read.
            for since in (self.last, _earlier(self.last)):
                if self.verdicts and count > len(self.verdicts):
                    self._read(connection, since)
            if count != len(self.verdicts):
                self._empty()
                self._read(connection, "")
            self.last = newest or ""

    def _read(self, connection, since: str) -> None:
        from sqlalchemy import select

        from core.review.verdicts import from_row, standing

        t = tables().verdicts
        query = select(t).where(t.c.sample_id == self.sample_id, t.c.received_at >= since)
        touched: dict[Key, None] = {}
        for row in connection.execute(query.order_by(t.c.received_at, t.c.created_at, t.c.client_id)).mappings():
            if row["client_id"] not in self.verdicts:
                verdict = self.verdicts[row["client_id"]] = from_row(row)
                key = (verdict.record_id, verdict.reviewer)
                self.chains.setdefault(key, []).append(verdict)
                touched[key] = None
        for key in touched:
            chain = self.chains[key]
            chain.sort(key=lambda one: (one.received_at, one.created_at, one.client_id))
            self.stands[key] = next(iter(standing(chain)), None)


def _earlier(moment: str) -> str:
    from datetime import datetime, timedelta

    from core.review.schema import stamp

    return stamp(datetime.fromisoformat(moment) - timedelta(seconds=LATE)) if moment else ""


@lru_cache(maxsize=16)
def _history(store: Store, sample_id: str) -> History:
    return History(store, sample_id)


def verdicts_of(store: Store, sample_id: str, reviewer: str | None = None) -> list[Verdict]:
    """Every verdict of a sample, oldest first, as `core.review.verdicts.all_verdicts` promises."""
    found = _history(store, sample_id)
    with found.lock:
        found.refresh()
        kept = [one for one in found.verdicts.values() if reviewer is None or one.reviewer == reviewer]
    return sorted(kept, key=lambda one: (one.received_at, one.created_at, one.client_id))


def standings_of(store: Store, sample_id: str, reviewer: str | None = None) -> list[Standing]:
    """What stands of a sample, as `core.review.verdicts.current_verdicts` promises."""
    found = _history(store, sample_id)
    with found.lock:
        found.refresh()
        return [stands for (_, who), stands in found.stands.items() if stands is not None and reviewer in (None, who)]
