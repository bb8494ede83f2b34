"""The final verdict on a record that readers saw differently: given by an advisor, with a reason, append-only.

Nothing of what the readers said changes. A decision names the verdicts that it was made between; it speaks only where these may be
seen, so that a reader who is still blind does not learn it. The newest decision on a record is in force until it is withdrawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.errors import InputError
from core.review.people import person
from core.review.schema import Store, now, reading, tables, writing
from core.review.verdicts import OUTCOMES, WITHDRAWN, Standing, insert_for, outcomes

ALLOWED = ("advisor",)
"""Roles that decide, unless the workspace says otherwise."""
MAX_REASON = 20_000


@dataclass(frozen=True)
class Adjudication:
    """One decision on one record of a sample."""

    entry: int
    sample_id: str
    record_id: str
    outcome: str
    reason: str
    settled: Sequence[Mapping[str, str]]
    """{"client_id", "reviewer", "outcome"} of each verdict that it was decided between."""
    adjudicator: str
    role: str
    created_at: str
    token: str = ""


def adjudicate(
    store: Store,
    sample_id: str,
    record_id: str,
    outcome: str,
    reason: str,
    by: str,
    *,
    standings: Sequence[Standing],
    token: str,
    allowed: Sequence[str] = ALLOWED,
    own: bool = False,
) -> Adjudication:
    """The stored decision; the same `token` (of one click) again gives the one already there.

    standings: what stands on the record, as the adjudicator saw it. outcome: pass, fail, unsure, or withdrawn, which opens the record
    again. own: whether somebody who read the record may decide it. InputError: no such right, no reason, or nothing to decide.
    """
    from sqlalchemy import select

    if outcome not in (*OUTCOMES, WITHDRAWN):
        raise InputError(f"A final verdict is pass, fail or unsure, not {outcome!r}.")
    if not reason.strip() or len(reason) > MAX_REASON or "\x00" in reason:
        raise InputError(f"A final verdict needs a reason of 1 to {MAX_REASON:,} characters. Say why in a few words.")
    role = person(store, by).role
    if role not in allowed:
        raise InputError(
            f"{by} is entered as {role}; only {' or '.join(allowed)} may decide. Change that under People."
        )
    if not token or len(token) > 64:
        raise InputError("A decision needs a token of 1 to 64 characters, its own for each click.")
    mine = [
        entry for entry in standings if entry.verdict.record_id == record_id and entry.verdict.sample_id == sample_id
    ]
    if not mine:
        raise InputError("Nobody has read this record, so there is nothing to decide.")
    if not own and any(entry.verdict.reviewer == by for entry in mine):
        raise InputError(f"{by} has read this record and would decide on the own verdict. Let another advisor decide.")
    settled = [
        {"client_id": verdict.client_id, "reviewer": verdict.reviewer, "outcome": verdict.outcome}
        for entry in mine
        for verdict in (entry.verdict, *entry.others)
    ]
    t = tables().adjudications
    values = {
        "sample_id": sample_id, "record_id": record_id, "outcome": outcome, "reason": reason.strip(), "settled": settled,
        "adjudicator": by, "role": role, "created_at": now(), "token": token,
    }  # fmt: skip
    with writing(store) as connection:
        connection.execute(insert_for(store)(t).values(**values).on_conflict_do_nothing(index_elements=["token"]))
        return Adjudication(**connection.execute(select(t).where(t.c.token == token)).mappings().one())


def adjudications(store: Store, sample_id: str) -> list[Adjudication]:
    """Every decision of a sample, oldest first, replaced and withdrawn ones too."""
    from sqlalchemy import select

    t = tables().adjudications
    with reading(store) as connection:
        rows = connection.execute(select(t).where(t.c.sample_id == sample_id).order_by(t.c.entry)).mappings()
        return [Adjudication(**row) for row in rows]


def in_force(decisions: Iterable[Adjudication]) -> dict[str, Adjudication]:
    """record_id -> the decision that stands: the newest one, none when that one was withdrawn."""
    found = {one.record_id: one for one in sorted(decisions, key=lambda one: one.entry)}
    return {record_id: one for record_id, one in found.items() if one.outcome != WITHDRAWN}


def shown(decisions: Mapping[str, Adjudication], standings: Sequence[Standing]) -> dict[str, Adjudication]:
    """Of the decisions in force, those between verdicts of people whose verdicts on that record are all among `standings`."""
    readers: dict[str, set[str]] = {}
    for entry in standings:
        readers.setdefault(entry.verdict.record_id, set()).add(entry.verdict.reviewer)
    return {
        record_id: one
        for record_id, one in decisions.items()
        if {said["reviewer"] for said in one.settled} <= readers.get(record_id, set())
    }


def final_outcomes(standings: Sequence[Standing], decisions: Mapping[str, Adjudication]) -> dict[str, str]:
    """record_id -> pass, fail, unsure or disputed: what an adjudicator decided, else what the readers agree on."""
    said = outcomes(standings)
    return said | {
        record_id: one.outcome for record_id, one in shown(decisions, standings).items() if record_id in said
    }


def open_cases(standings: Sequence[Standing], decisions: Mapping[str, Adjudication]) -> list[str]:
    """Records that wait for a decision: disputed or unsure, and not decided; in the order of the first verdict on each."""
    said = final_outcomes(standings, decisions)
    return [one for one in said if said[one] in ("disputed", "unsure") and one not in decisions]


def changed_since(decision: Adjudication, standings: Sequence[Standing]) -> bool:
    """Whether a reader gave another verdict after the decision: what was decided between no longer stands."""
    stands = {
        v.client_id for e in standings if e.verdict.record_id == decision.record_id for v in (e.verdict, *e.others)
    }
    return stands != {one["client_id"] for one in decision.settled}
