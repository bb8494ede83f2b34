"""Names that people gave to clusters, kept by who belongs to them, so that they outlive the numbers of one computation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from core.errors import InputError
from core.review.layout import tables
from core.review.schema import Store, now, reading, writing

SKETCH = 256
SAME = 0.5
"""Jaccard similarity of the members from which a cluster is essentially the same. Over a half, so that two clusters cannot both be."""
LONGEST = 120


@dataclass(frozen=True)
class Members:
    """The members of a cluster in brief: digest of all, and the SKETCH smallest hashes (bottom-k, Broder 1997), of `size` in all."""

    digest: str
    smallest: tuple[int, ...]
    size: int


@dataclass(frozen=True)
class Kept:
    members: Members
    name: str
    by: str
    at: str


def members_of(ids: Iterable[str]) -> Members:
    """The same for the same records in any order."""
    hashes = sorted(int.from_bytes(hashlib.blake2b(i.encode(), digest_size=7).digest(), "big") for i in ids)
    whole = hashlib.blake2b(b"".join(h.to_bytes(7, "big") for h in hashes), digest_size=16).hexdigest()
    return Members(whole, tuple(hashes[:SKETCH]), len(hashes))


def likeness(left: Members, right: Members) -> float:
    """Jaccard similarity of two sets of members, 0..1: exact up to SKETCH records in both together, else within about .03."""
    if not left.size or not right.size:
        return 0.0
    if left.digest == right.digest:
        return 1.0
    both, a, b = sorted({*left.smallest, *right.smallest})[:SKETCH], set(left.smallest), set(right.smallest)
    return sum(h in a and h in b for h in both) / len(both)


def keep_name(store: Store, members: Members, name: str, by: str) -> str:
    """Keep a name, or with "" take the names of these members back; returns it as kept. Errors: InputError (too long, no member)."""
    name = " ".join(name.split())
    if len(name) > LONGEST:
        raise InputError(f"The name has {len(name)} characters; a cluster's name has at most {LONGEST}. Shorten it.")
    if not members.size:
        raise InputError("This cluster holds no record, so a name could not be kept by its members. Choose another.")
    from sqlalchemy import insert

    row = {
        "members_digest": members.digest, "sketch": list(members.smallest), "size": members.size, "name": name, "created_by": by,
        "created_at": now(),
    }  # fmt: skip
    with writing(store) as connection:
        connection.execute(insert(tables().cluster_names).values(**row))
    return name


def kept_names(store: Store) -> list[Kept]:
    """Every row, newest first; a row with name "" takes back what stands before it for essentially the same members."""
    from sqlalchemy import select

    c = tables().cluster_names.c
    with reading(store) as connection:
        rows = connection.execute(select(tables().cluster_names).order_by(c.entry.desc())).all()
    return [Kept(Members(r.members_digest, tuple(r.sketch), r.size), r.name, r.created_by, r.created_at) for r in rows]
