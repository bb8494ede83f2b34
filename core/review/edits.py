"""Corrected responses: proposed with a verdict, accepted or not by a person, applied by an export that asks for it.

A proposal is the `correction` of a verdict that stands. Nothing changes the imported record; an accepted edit is a row here, and the
newest accept or withdraw of a record is in force.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from core.errors import InputError
from core.review.schema import Store, now, reading, tables, writing
from core.review.verdicts import Standing

ACTIONS = ("accept", "reject", "withdraw")


@dataclass(frozen=True)
class Edit:
    """One decision on one proposed response."""

    entry: int
    record_id: str
    action: str
    text: str
    text_digest: str
    proposed_by: str
    verdict: str
    created_by: str
    created_at: str


@dataclass(frozen=True)
class Proposal:
    """A corrected response that a standing verdict carries, and what was decided of it: "", accept, reject or withdraw."""

    record_id: str
    text: str
    by: str
    verdict: str
    decision: str = ""


def proposals(standings: Iterable[Standing], decided: Sequence[Edit]) -> list[Proposal]:
    """The corrections among standing verdicts, in their order, each with the last decision on that very text."""
    last = {(one.record_id, one.text_digest): one.action for one in decided}
    force = {one.record_id: one for one in decided if one.action != "reject"}
    found: list[Proposal] = []
    for entry in standings:
        for verdict in (entry.verdict, *entry.others):
            if not verdict.correction:
                continue
            key = (verdict.record_id, _digest(verdict.correction))
            decision, newest = last.get(key, ""), force.get(verdict.record_id)
            if decision == "accept" and newest is not None and newest.text_digest != key[1]:
                decision = ""  # another text took its place since
            found.append(Proposal(verdict.record_id, verdict.correction, verdict.reviewer, verdict.client_id, decision))
    return found


def decide(store: Store, proposal: Proposal, action: str, by: str) -> Edit:
    """The decision as it was stored. accept: in force for the record, in place of an earlier one; reject: this text is not
    wanted; withdraw: the record stands as imported again. InputError for another action.
    """
    from sqlalchemy import insert

    if action not in ACTIONS:
        raise InputError(f"The action {action!r} is not known; it is {', '.join(ACTIONS)}.")
    row = {
        "record_id": proposal.record_id, "action": action, "text": proposal.text if action == "accept" else "",
        "text_digest": _digest(proposal.text), "proposed_by": proposal.by, "verdict": proposal.verdict,
        "created_by": by, "created_at": now(),
    }  # fmt: skip
    with writing(store) as connection:
        entry = connection.execute(insert(tables().edits).values(**row)).inserted_primary_key[0]
    return Edit(entry, **row)


def accept_all(store: Store, texts: Mapping[str, str], proposed_by: str, batch: str, by: str) -> int:
    """How many responses were accepted at once, in one transaction: record_id -> text. `batch` names them, for `undo_batch`.

    A batch that is there already (a retry) is not written again.
    """
    from sqlalchemy import func, insert, select

    t, at = tables().edits, now()
    rows = [
        {
            "record_id": record_id, "action": "accept", "text": text, "text_digest": _digest(text), "proposed_by": proposed_by,
            "verdict": batch, "created_by": by, "created_at": at,
        }
        for record_id, text in texts.items()
    ]  # fmt: skip
    with writing(store) as connection:
        if rows and not connection.execute(select(func.count()).where(t.c.verdict == batch)).scalar():
            connection.execute(insert(t), rows)
    return len(rows)


def undo_batch(store: Store, batch: str, by: str) -> int:
    """How many records stand again as they did before the batch: with the response accepted before it, or as imported.

    A record on which something else was decided since is left alone.
    """
    from sqlalchemy import insert

    every = edits(store)
    force, before = accepted_among(every), accepted_among(one for one in every if one.verdict != batch)
    rows = []
    for record_id, one in force.items():
        if one.verdict != batch or one.action != "accept":
            continue
        old = before.get(record_id)
        kept = {"record_id": record_id, "created_by": by, "created_at": now()}
        if old is None:
            rows.append(kept | {"action": "withdraw", "text": "", "text_digest": one.text_digest,
                                "proposed_by": one.proposed_by, "verdict": batch})  # fmt: skip
        else:
            rows.append(kept | {"action": "accept", "text": old.text, "text_digest": old.text_digest,
                                "proposed_by": old.proposed_by, "verdict": old.verdict})  # fmt: skip
    with writing(store) as connection:
        if rows:
            connection.execute(insert(tables().edits), rows)
    return len(rows)


def edits(store: Store) -> list[Edit]:
    """Every decision, oldest first."""
    from sqlalchemy import select

    t = tables().edits
    with reading(store) as connection:
        return [Edit(**row) for row in connection.execute(select(t).order_by(t.c.entry)).mappings()]


KEPT_STATES = 4
_accepted: dict[tuple, Mapping[str, Edit]] = {}


def accepted(store: Store) -> Mapping[str, Edit]:
    """record_id -> the edit in force; not to be written to. A decision never changes, so these are read once for every newest one."""
    from sqlalchemy import func, select

    t = tables().edits
    with reading(store) as connection:
        key = (
            store.name,
            *connection.execute(select(func.max(t.c.entry), func.count(), func.max(t.c.created_at))).one(),
        )
    if key not in _accepted:
        found = MappingProxyType(accepted_among(edits(store)))
        while len(_accepted) >= KEPT_STATES:
            _accepted.pop(next(iter(_accepted)), None)
        _accepted[key] = found
    return _accepted[key]


def accepted_among(every: Iterable[Edit]) -> dict[str, Edit]:
    """record_id -> the edit in force after these decisions, given oldest first."""
    force: dict[str, Edit] = {}
    for one in every:
        if one.action == "accept":
            force[one.record_id] = one
        elif one.record_id in force and (
            one.action == "withdraw" or one.text_digest == force[one.record_id].text_digest
        ):
            del force[one.record_id]
    return force


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
