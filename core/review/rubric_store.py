"""Rubrics in the store: the text of every version that was ever read with, and which one a sample is read with."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from core.errors import InputError, MissingInput
from core.review.rubrics import DEFAULT, Rubric, json_of, ready, rubric_from
from core.review.schema import Store, now, reading, tables, writing

if TYPE_CHECKING:
    from sqlalchemy import Connection


def store_rubric(store: Store, rubric: Rubric) -> str:
    """The digest under which the rubric's text is in the database now; kept once for each version."""
    with writing(store) as connection:
        _keep(store, connection, rubric)
    return rubric.digest


def use_rubric(store: Store, sample_id: str, rubric: Rubric, by: str) -> None:
    """Read a sample with this rubric from now on; verdicts already given keep theirs."""
    from sqlalchemy import insert, select

    t = tables()
    with writing(store) as connection:
        if connection.execute(select(t.samples.c.id).where(t.samples.c.id == sample_id)).scalar() is None:
            raise MissingInput(f"There is no sample {sample_id!r} here. Draw one, or choose another from the list.")
        _keep(store, connection, rubric)
        row = {"sample_id": sample_id, "rubric": rubric.digest, "created_at": now(), "created_by": by}
        connection.execute(insert(t.sample_rubrics).values(**row))


def rubric_of(store: Store, sample_id: str) -> Rubric:
    """The rubric that a sample is read with: the last that was chosen for it, else the default as it comes with Quadrant."""
    from sqlalchemy import select

    c = tables().sample_rubrics.c
    with reading(store) as connection:
        query = select(c.rubric).where(c.sample_id == sample_id).order_by(c.entry.desc()).limit(1)
        digest = connection.execute(query).scalar()
    return rubric_kept(store, digest) if digest else ready()[DEFAULT]


def rubric_kept(store: Store, digest: str) -> Rubric:
    """The rubric of a digest that a sample or verdict names; "" gives the default. InputError when it was never kept."""
    if not digest:
        return ready()[DEFAULT]
    return next((one for one in ready().values() if one.digest == digest), None) or _kept(store, digest)


@lru_cache(maxsize=64)
def _kept(store: Store, digest: str) -> Rubric:
    from sqlalchemy import select

    c = tables().rubrics.c
    with reading(store) as connection:
        text = connection.execute(select(c.content).where(c.digest == digest)).scalar()
    if text is None:
        raise InputError(f"The rubric {digest[:12]}… is not in {store.name}. Open the audit again; nothing was saved.")
    return rubric_from(text, f"the kept rubric {digest[:12]}")


def keep_ready(store: Store, connection: Connection, digests: Iterable[str]) -> None:
    """Keeps those of the ready rubrics that verdicts about to be saved name: a later version of Quadrant may word them otherwise."""
    for one in ready().values():
        if one.digest in digests:
            _keep(store, connection, one)


def _keep(store: Store, connection: Connection, rubric: Rubric) -> None:
    if store.engine.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert
    row = {"digest": rubric.digest, "name": rubric.id, "content": json_of(rubric), "created_at": now()}
    connection.execute(insert(tables().rubrics).values(**row).on_conflict_do_nothing(index_elements=["digest"]))
