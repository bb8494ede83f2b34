"""Verdicts in the store: append-only, a retry made harmless by a client-made id; the last of each chain stands."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import isfinite

from core.errors import InputError, MissingInput
from core.review.rubric_store import keep_ready, rubric_kept
from core.review.rubrics import refusal
from core.review.schema import Store, as_moment, now, reading, tables, writing

OUTCOMES = ("pass", "fail", "unsure")
WITHDRAWN = "withdrawn"
"""The outcome of an undo: the record is unread again, and the history still shows what was said."""
ANSWERS = ("yes", "no", "unsure", "na")
QUESTIONS: Mapping[str, str] = {
    "correct": "Is the output correct?",
    "satisfied": "Would I be satisfied seeing this in production?",
    "formatting": "Is the formatting consistent?",
    "reasoning": "Does the reasoning support the conclusion?",
}
"""The four questions of the audit: the key is stored, the text is shown."""
MAX_NOTE = 20_000
MAX_CORRECTION = 200_000


@dataclass(frozen=True)
class Verdict:
    """One reviewer's judgement of one record at one moment."""

    client_id: str
    sample_id: str
    record_id: str
    record_digest: str
    reviewer: str
    outcome: str
    answers: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    seconds: float | None = None
    created_at: str = ""
    """The reviewer's clock, ISO 8601 with a zone; empty: the moment of saving."""
    supersedes: tuple[str, ...] = ()
    """Client ids of the verdicts this one replaces; two when it settles a conflict."""
    received_at: str = field(default="", compare=False)
    """This machine's clock, set by the store."""
    rubric: str = ""
    """Digest of the rubric it was given under; empty: the four questions of the audit, before rubrics were kept."""
    answer_notes: Mapping[str, str] = field(default_factory=dict)
    error_types: tuple[str, ...] = ()
    severity: str = ""
    high_stakes: bool = False
    guideline: str = ""
    """A reference in the reader's words or an address; shown literally, never opened."""
    correction: str | None = None
    """The response as it should be: a proposed edit of the record."""


@dataclass(frozen=True)
class Standing:
    """What stands for one record and reviewer: the newest verdict that nothing superseded."""

    verdict: Verdict
    others: tuple[Verdict, ...] = ()
    """Further verdicts that nothing superseded: two tabs judged the record without knowing of each other."""

    @property
    def conflict(self) -> bool:
        """Whether the verdicts that stand side by side say different things."""
        if not self.others:
            return False
        mine = _said(self.verdict)
        return any(_said(other) != mine for other in self.others)


def save_verdicts(store: Store, verdicts: Sequence[Verdict]) -> list[str]:
    """The client ids now on disk, all of `verdicts`, in one transaction: everything is saved or nothing is.

    Saving the same verdict again changes nothing and acknowledges it again. InputError, with nothing saved: a verdict
    breaks a rule, or its client id is stored with other content. MissingInput: its sample does not exist.
    WorkspaceError: the database cannot be written.
    """
    from sqlalchemy import select

    received = now()
    rows = [_row(verdict, received, store) for verdict in verdicts]
    if not rows:
        return []
    t = tables()
    wanted = {row["client_id"]: row for row in rows}
    for row in rows:
        _must_match(wanted[row["client_id"]], row)
    insert = insert_for(store)
    with writing(store) as connection:
        known = set(
            connection.execute(
                select(t.samples.c.id).where(t.samples.c.id.in_({r["sample_id"] for r in rows}))
            ).scalars()
        )
        for row in rows:
            if row["sample_id"] not in known:
                raise MissingInput(
                    f"There is no sample {row['sample_id']!r} to save a verdict in. Open the audit again."
                )
        keep_ready(store, connection, {row["rubric"] for row in rows})
        connection.execute(
            insert(t.verdicts).on_conflict_do_nothing(index_elements=["client_id"]), list(wanted.values())
        )
        ids = list(wanted)
        for start in range(0, len(ids), 500):
            query = select(t.verdicts).where(t.verdicts.c.client_id.in_(ids[start : start + 500]))
            for stored in connection.execute(query).mappings():
                _must_match(stored, wanted[stored["client_id"]])
    return ids


def all_verdicts(store: Store, sample_id: str, reviewer: str | None = None) -> list[Verdict]:
    """Every verdict ever given in a sample, superseded and withdrawn ones too, oldest first."""
    from core.review.history import verdicts_of

    return verdicts_of(store, sample_id, reviewer)


def reviewers(store: Store) -> list[str]:
    """Everybody who ever gave a verdict here, by name."""
    from sqlalchemy import select

    c = tables().verdicts.c
    with reading(store) as connection:
        return sorted(connection.execute(select(c.reviewer).distinct()).scalars(), key=str.casefold)


def settle(store: Store, entry: Standing, keep: Verdict) -> Verdict:
    """The new verdict that says what `keep` says and replaces all that stand side by side for its record and reviewer."""
    settled = replace(
        keep,
        client_id=uuid.uuid4().hex,
        created_at="",
        supersedes=tuple(one.client_id for one in (entry.verdict, *entry.others)),
    )
    save_verdicts(store, [settled])
    return settled


def current_verdicts(store: Store, sample_id: str, reviewer: str | None = None) -> list[Standing]:
    """What stands for each record and reviewer of a sample, in order of saving; withdrawn judgements are left out."""
    from core.review.history import standings_of

    return standings_of(store, sample_id, reviewer)


def standing(verdicts: Iterable[Verdict]) -> list[Standing]:
    """What stands among `verdicts`: for each record and reviewer the last of each chain, the newest of them first."""
    chains: dict[tuple[str, str, str], list[Verdict]] = {}
    for verdict in verdicts:
        chains.setdefault((verdict.sample_id, verdict.record_id, verdict.reviewer), []).append(verdict)
    result = []
    for chain in chains.values():
        replaced = {old for verdict in chain for old in verdict.supersedes}
        heads = [verdict for verdict in chain if verdict.client_id not in replaced]
        heads = [verdict for verdict in heads if verdict.outcome != WITHDRAWN or len(heads) > 1]
        if not heads or all(verdict.outcome == WITHDRAWN for verdict in heads):
            continue
        heads.sort(key=lambda verdict: (verdict.received_at, verdict.created_at), reverse=True)
        result.append(Standing(heads[0], tuple(heads[1:])))
    return result


def outcomes(standings: Iterable[Standing]) -> dict[str, str]:
    """record_id -> pass, fail, unsure or disputed: disputed when tabs or reviewers disagree, so that nobody's word is
    lost.
    """
    result: dict[str, str] = {}
    for entry in standings:
        said = "disputed" if entry.conflict or entry.verdict.outcome == WITHDRAWN else entry.verdict.outcome
        before = result.setdefault(entry.verdict.record_id, said)
        if before != said:
            result[entry.verdict.record_id] = "disputed"
    return result


def from_row(row: Mapping) -> Verdict:
    """A verdict from its row in the database."""
    return Verdict(**{**row, "supersedes": tuple(row["supersedes"]), "error_types": tuple(row["error_types"])})


def _said(verdict: Verdict) -> tuple:
    answers, notes = (tuple(sorted(given.items())) for given in (verdict.answers, verdict.answer_notes))
    return (
        verdict.outcome, answers, notes, verdict.note, verdict.error_types, verdict.severity, verdict.high_stakes,
        verdict.guideline, verdict.correction,
    )  # fmt: skip


def insert_for(store: Store):
    """The INSERT of this database, which can leave a row alone that is there already."""
    if store.engine.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert
    return insert


def _must_match(stored: Mapping, given: Mapping) -> None:
    """InputError when a client id stands for two different verdicts; the time of receipt may differ."""
    ours = {"received_at"} | ({"created_at"} if given["created_at"] == given["received_at"] else set())
    if any(stored[name] != given[name] for name in given if name not in ours):
        raise InputError(
            f"The verdict {given['client_id']!r} of record {given['record_id']!r} is already stored with other content. "
            "A changed verdict needs a new id and names the old one in `supersedes`; nothing was saved."
        )


def _row(verdict: Verdict, received: str, store: Store) -> dict:
    """The verdict as a row, its rules checked."""
    who = f"The verdict {verdict.client_id!r}"
    for name, limit in (
        ("client_id", 64),
        ("sample_id", 64),
        ("record_id", 64),
        ("record_digest", 64),
        ("reviewer", 200),
    ):
        value = getattr(verdict, name)
        if not isinstance(value, str) or not value.strip() or len(value) > limit:
            raise InputError(f"{who} has no usable {name}: 1 to {limit} characters are needed. Nothing was saved.")
        if "\x00" in value:
            raise InputError(f"{who} has a NUL character in its {name}. Remove it.")
    if verdict.outcome not in (*OUTCOMES, WITHDRAWN):
        raise InputError(f"{who} has the outcome {verdict.outcome!r}; it must be pass, fail, unsure or withdrawn.")
    if not verdict.rubric:
        for question, answer in verdict.answers.items():
            if not isinstance(question, str) or answer not in ANSWERS:
                raise InputError(
                    f"{who} answers {question!r} with {answer!r}; an answer is one of {', '.join(ANSWERS)}."
                )
    _texts(verdict, who)
    if verdict.rubric:
        why = refusal(rubric_kept(store, verdict.rubric), verdict)
        if why:
            raise InputError(f"{who} {why}. Nothing was saved.")
    seconds = verdict.seconds
    if seconds is not None and not (isinstance(seconds, int | float) and isfinite(seconds) and seconds >= 0):
        raise InputError(f"{who} took {seconds!r} seconds; a number of 0 or more is needed.")
    row = asdict(verdict)
    row["answers"] = dict(sorted(verdict.answers.items()))
    row["answer_notes"] = {key: note for key, note in sorted(verdict.answer_notes.items()) if note}
    row["error_types"] = sorted(set(verdict.error_types))
    row["high_stakes"] = bool(verdict.high_stakes)
    row["seconds"] = None if seconds is None else round(float(seconds), 3)
    row["created_at"] = as_moment(verdict.created_at, "The time") if verdict.created_at else received
    row["supersedes"] = list(verdict.supersedes)
    row["received_at"] = received
    return row


def _texts(verdict: Verdict, who: str) -> None:
    """InputError when one of the texts that people typed cannot be kept."""
    given = {
        "note": (verdict.note, MAX_NOTE),
        "guideline": (verdict.guideline, MAX_NOTE),
        "severity": (verdict.severity, 40),
    }
    given |= {f"note on {key}": (note, MAX_NOTE) for key, note in verdict.answer_notes.items()}
    if verdict.correction is not None:
        given["correction"] = (verdict.correction, MAX_CORRECTION)
    for name, (text, limit) in given.items():
        if not isinstance(text, str) or len(text) > limit:
            raise InputError(f"{who} has a {name} of over {limit:,} characters. Shorten it.")
        if "\x00" in text:
            raise InputError(f"{who} has a NUL character in its {name}. Remove it.")
    if verdict.correction is not None and not verdict.correction.strip():
        raise InputError(f"{who} has an empty correction. Write the response as it should be, or leave it out.")
