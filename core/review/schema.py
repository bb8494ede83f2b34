"""The database of human decisions: its tables, its version, and how a connection is opened and kept safe.

SQLite in the workspace by default, PostgreSQL by URL. Everything written here is append-only: a changed mind is a new
row that names what it supersedes. On SQLite the rollback journal (journal_mode=DELETE) with synchronous=FULL is used
and not the WAL, which can be corrupted by several connections before SQLite 3.51.3; a verdict that `save_verdicts`
returned has reached the disk.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InputError, WorkspaceError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

SCHEMA_VERSION = 1
FILE_NAME = "reviews.sqlite"
BUSY_SECONDS = 15.0


@dataclass(frozen=True)
class Store:
    """An open database of human decisions; cheap to keep, safe to use from several threads."""

    engine: Engine
    name: str
    """What to call it in a message: the file's path, or the URL without its password."""


@lru_cache(maxsize=1)
def tables() -> Any:
    """The SQLAlchemy tables as attributes: meta, samples, sample_records, verdicts, subsets, ledger."""
    from types import SimpleNamespace

    from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text

    md = MetaData()
    meta = Table(
        "quadrant_meta", md, Column("key", String(40), primary_key=True), Column("value", Text, nullable=False)
    )
    samples = Table(
        "samples",
        md,
        Column("id", String(64), primary_key=True),
        Column("name", Text, nullable=False),
        Column("role", String(20), nullable=False),
        Column("method", String(20), nullable=False),  # random, stratified, census
        Column("seed", Integer),
        Column("size", Integer, nullable=False),
        Column("population", Integer, nullable=False),  # records the draw could choose from
        Column("dataset_digest", String(128), nullable=False),
        Column("strata", JSON, nullable=False),  # [{"name", "population", "drawn"}, …]; [] when not stratified
        Column("recipe", JSON, nullable=False),  # what a reader needs to draw it again: generator, order, field
        Column("created_at", String(32), nullable=False),
        Column("created_by", Text, nullable=False),
    )
    sample_records = Table(
        "sample_records",
        md,
        Column("sample_id", ForeignKey("samples.id"), primary_key=True),
        Column("position", Integer, primary_key=True),  # the order of reading, from 0
        Column("record_id", String(64), nullable=False),
        Column("record_digest", String(64), nullable=False),
        Column("stratum", Text),
        Column("probability", Float, nullable=False),  # of being included, for the weighted estimates
        Index("sample_records_by_record", "sample_id", "record_id", unique=True),
    )
    verdicts = Table(
        "verdicts",
        md,
        Column("client_id", String(64), primary_key=True),  # made by the screen, so that a retry is harmless
        Column("sample_id", ForeignKey("samples.id"), nullable=False),
        Column("record_id", String(64), nullable=False),
        Column("record_digest", String(64), nullable=False),
        Column("reviewer", Text, nullable=False),
        Column("outcome", String(12), nullable=False),  # pass, fail, unsure; withdrawn = the undo of an earlier one
        Column("answers", JSON, nullable=False),  # question -> yes, no, unsure, na
        Column("note", Text, nullable=False),
        Column("seconds", Float),
        Column("created_at", String(32), nullable=False),  # the reviewer's clock, UTC
        Column("received_at", String(32), nullable=False),  # this machine's clock, UTC
        Column("supersedes", JSON, nullable=False),  # client ids; two when it settles a conflict
        Index("verdicts_by_sample", "sample_id", "record_id"),
    )
    subsets = Table(
        "subsets",
        md,
        Column("id", String(64), primary_key=True),
        Column("name", Text, nullable=False),
        Column("strategy", Text, nullable=False),
        Column("params", JSON, nullable=False),
        Column("dataset_digest", String(128), nullable=False),
        Column("count", Integer, nullable=False),
        Column("members", LargeBinary, nullable=False),
        Column("created_at", String(32), nullable=False),
        Column("created_by", Text, nullable=False),
        Column("deleted_at", String(32)),  # a tombstone: exports that name it can still be explained
        Column("deleted_by", Text),
    )
    ledger = Table(
        "ledger",
        md,
        Column("entry", Integer, primary_key=True, autoincrement=True),
        Column("action", String(12), nullable=False),  # remove, keep, undo
        Column("reason", Text, nullable=False),
        Column("created_by", Text, nullable=False),
        Column("created_at", String(32), nullable=False),
        Column("count", Integer, nullable=False),
        Column("records", LargeBinary, nullable=False),
        Column("undoes", ForeignKey("ledger.entry")),
        Column("token", String(64), unique=True),  # of the click, so that a double click is one entry
    )
    return SimpleNamespace(
        metadata=md,
        meta=meta,
        samples=samples,
        sample_records=sample_records,
        verdicts=verdicts,
        subsets=subsets,
        ledger=ledger,
    )


def open_store(where: str | Path) -> Store:
    """The store at `where`, its tables made when new: a SQLAlchemy URL, a database file, or a workspace folder.

    Raises WorkspaceError when it cannot be opened or was written by a newer version.
    """
    text = str(where)
    if "://" in text:
        store = _engine_of_url(text)
    else:
        path = Path(where)
        path = path / FILE_NAME if path.is_dir() else path
        if not path.parent.is_dir():
            raise WorkspaceError(f"There is no folder {path.parent} to keep reviews in. Create it or name another.")
        store = Store(_sqlite_engine(f"sqlite:///{path}"), str(path))
    _prepare(store)
    return store


def _engine_of_url(url: str) -> Store:
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InputError("The database address is not a URL such as postgresql://user:password@host/name.") from None
    shown = parsed.render_as_string(hide_password=True)
    if parsed.get_backend_name() == "sqlite":
        return Store(_sqlite_engine(url), shown)
    if parsed.get_backend_name() != "postgresql":
        raise InputError(f"Reviews can be kept in SQLite or PostgreSQL, not in {parsed.get_backend_name()} ({shown}).")
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    try:
        return Store(create_engine(parsed, pool_pre_ping=True), shown)
    except (ImportError, NoSuchModuleError) as error:
        raise WorkspaceError(
            f"{shown} needs the driver psycopg, which is missing: pip install 'psycopg[binary]'."
        ) from error


def _sqlite_engine(url: str) -> Engine:
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import NullPool

    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in (f"busy_timeout={int(BUSY_SECONDS * 1000)}", "foreign_keys=ON", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {pragma}")
        # Asking first: setting it takes a lock, which a read-only folder refuses.
        if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "delete":
            cursor.execute("PRAGMA journal_mode=DELETE")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer takes its lock at once: a read that turns into a write half-way fails under a second writer.
        writes = connection.get_execution_options().get("quadrant_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def reading(store: Store) -> Iterator[Connection]:
    """A connection with one consistent view of the database."""
    with _said_plainly(store, "read"), store.engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(store: Store) -> Iterator[Connection]:
    """A connection in one transaction: all of it is on disk when the block ends, or none of it after an error."""
    with (
        _said_plainly(store, "saved"),
        store.engine.connect().execution_options(quadrant_writes=True) as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def _said_plainly(store: Store, verb: str) -> Iterator[None]:
    """Turns a database failure into one sentence for the reviewer; nothing was changed by a failed block."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        raise WorkspaceError(_plain(str(error.orig), store.name, verb)) from error


_CAUSES = (  # what SQLite and PostgreSQL say, what it means for the reviewer
    (
        ("disk is full", "is full", "no space left", "check free disk space"),
        "the disk that holds {name} is full ({cause}). Free some space",
    ),
    (
        ("readonly", "read-only", "unable to open", "permission denied"),
        "{name} or its folder cannot be written ({cause}). Make it writable",
    ),
    (("locked",), "another program has held {name} for over {seconds:.0f} seconds. Close it; saving is tried again"),
    (("malformed", "not a database"), "{name} is damaged ({cause}). Put a backup in its place"),
    (
        ("disk i/o error",),
        "the disk that holds {name} failed ({cause}). Check it, and whether a limit on file sizes holds",
    ),
    (
        ("connection", "shutting down", "starting up", "terminating"),
        "{name} cannot be reached ({cause}). Start the database server; saving is tried again",
    ),
)


def _plain(cause: str, name: str, verb: str) -> str:
    cause = " ".join(cause.split())
    head = "Nothing was saved: " if verb == "saved" else "Reviews cannot be read: "
    tail = "; what you entered is kept until then." if verb == "saved" else "."
    for signs, said in _CAUSES:
        if any(sign in cause.lower() for sign in signs):
            return head + said.format(name=name, cause=cause, seconds=BUSY_SECONDS) + tail
    return f"{head}{name} answered: {cause.rstrip('.')}{tail}"


def _prepare(store: Store) -> None:
    """Makes the tables when new and refuses a database that a newer version wrote."""
    from sqlalchemy import insert, inspect, select, text

    t = tables()
    with reading(store) as connection:
        version = None
        if inspect(connection).has_table("quadrant_meta"):
            version = connection.execute(select(t.meta.c.value).where(t.meta.c.key == "schema")).scalar()
    if version is None:
        with writing(store) as connection:
            if store.engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(7133201)"))  # two servers may start at once
            t.metadata.create_all(connection)
            found = connection.execute(select(t.meta.c.value).where(t.meta.c.key == "schema")).scalar()
            if found is None:
                connection.execute(insert(t.meta).values(key="schema", value=str(SCHEMA_VERSION)))
        return
    if int(version) > SCHEMA_VERSION:
        raise WorkspaceError(
            f"{store.name} was written by a newer version (its layout is {version}, this one knows {SCHEMA_VERSION}). "
            "Update Quadrant, or open another workspace."
        )


def now() -> str:
    """The present moment as the store writes it: UTC, milliseconds, sortable as text."""
    return stamp(datetime.now(UTC))


def stamp(moment: datetime) -> str:
    """A moment with a time zone as sortable UTC text."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def as_moment(text: str, what: str) -> str:
    """`text` (ISO 8601 with a zone) as the store writes it; InputError when it is not a moment."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise InputError(f"{what} {text!r} is not a time such as 2026-03-01T09:30:00Z.") from None
    if moment.tzinfo is None:
        raise InputError(f"{what} {text!r} has no time zone. Add one, such as Z for UTC.")
    return stamp(moment)


def pack(ids: Sequence[str]) -> bytes:
    """Record ids as compressed lines."""
    return zlib.compress("\n".join(ids).encode(), 6)


def unpack(blob: bytes) -> list[str]:
    """What `pack` was given."""
    text = zlib.decompress(blob).decode()
    return text.split("\n") if text else []


def digest_of(record_id: str) -> str:
    """The content digest inside a record id ("<digest>-<occurrence>"); the whole id when it has no such part."""
    digest, dash, occurrence = record_id.rpartition("-")
    return digest if dash and digest and occurrence.isdigit() else record_id
