"""Difficulty ratings by people: 1 easy … 5 hard, append-only; the newest of a record and rater is in force, level 0 takes one back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from core.errors import InputError
from core.review.schema import Store, digest_of, now, reading, tables, writing

LEVELS = (1, 2, 3, 4, 5)
WITHDRAWN = 0
PICKED = ("random", "useful", "given")
"""Why a record was rated: drawn by chance, picked as useful to the model, or given by the user (a file, a record opened by hand)."""


@dataclass(frozen=True)
class Rating:
    """One rating by one person at one moment. `token` names the key press: the same one again is saved once."""

    record_id: str
    level: int
    rater: str
    picked: str
    token: str
    record_digest: str = ""  # set by the store: what the record said then
    created_at: str = field(default="", compare=False)
    entry: int = field(default=0, compare=False)


def save_ratings(store: Store, ratings: Sequence[Rating]) -> int:
    """How many of them are new on disk, in one transaction. InputError, with nothing saved, when one breaks a rule."""
    from sqlalchemy import insert, select

    moment, rows = now(), {}
    for rating in ratings:
        _check(rating)
        rows[rating.token] = {
            "record_id": rating.record_id, "record_digest": digest_of(rating.record_id), "level": int(rating.level),
            "rater": rating.rater.strip(), "picked": rating.picked, "created_at": moment, "token": rating.token,
        }  # fmt: skip
    t, tokens, added = tables(), list(rows), 0
    with writing(store) as connection:
        for start in range(0, len(tokens), 500):
            some = tokens[start : start + 500]
            known = set(connection.execute(select(t.ratings.c.token).where(t.ratings.c.token.in_(some))).scalars())
            new = [rows[token] for token in some if token not in known]
            if new:
                connection.execute(insert(t.ratings), new)
            added += len(new)
    return added


def _check(rating: Rating) -> None:
    if isinstance(rating.level, bool) or rating.level not in (WITHDRAWN, *LEVELS):
        raise InputError(
            f"The rating {rating.level!r} of {rating.record_id} is not 1, 2, 3, 4 or 5. Nothing was saved."
        )
    if rating.picked not in PICKED:
        raise InputError(f"picked={rating.picked!r} is not known; it is one of {', '.join(PICKED)}. Nothing was saved.")
    for name, limit in (("record_id", 64), ("rater", 200), ("token", 64)):
        value = getattr(rating, name)
        if not isinstance(value, str) or not value.strip() or len(value) > limit or "\x00" in value:
            raise InputError(f"A rating has no usable {name}: 1 to {limit} characters are needed. Nothing was saved.")


def all_ratings(store: Store) -> list[Rating]:
    """Every rating ever given, superseded and withdrawn ones too, oldest first."""
    from sqlalchemy import select

    c = tables().ratings.c
    columns = (c.record_id, c.level, c.rater, c.picked, c.token, c.record_digest, c.created_at, c.entry)
    with reading(store) as connection:
        return [Rating(**row) for row in connection.execute(select(*columns).order_by(c.entry)).mappings()]


def in_force(ratings: Iterable[Rating]) -> list[Rating]:
    """The newest rating of each record and rater, withdrawn ones left out, oldest first."""
    newest: dict[tuple[str, str], Rating] = {}
    for rating in ratings:
        newest.pop((rating.record_id, rating.rater), None)
        newest[(rating.record_id, rating.rater)] = rating
    return [rating for rating in newest.values() if rating.level != WITHDRAWN]


def agreed(ratings: Iterable[Rating]) -> dict[str, tuple[int, str]]:
    """{record_id: (level, picked)} over all raters: the median of their levels, the higher of two middle ones.

    A record counts as "random" only when its first rating in force was of a random draw.
    """
    levels: dict[str, list[int]] = {}
    picked: dict[str, str] = {}
    for rating in in_force(ratings):
        levels.setdefault(rating.record_id, []).append(rating.level)
        picked.setdefault(rating.record_id, rating.picked)
    return {record: (sorted(given)[len(given) // 2], picked[record]) for record, given in levels.items()}
