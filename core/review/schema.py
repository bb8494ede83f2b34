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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InputError, WorkspaceError
from core.review.layout import tables

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

SCHEMA_VERSION = 3
FILE_NAME = "reviews.sqlite"
BUSY_SECONDS = 15.0


@dataclass(frozen=True)
class Store:
    """An open database of human decisions; cheap to keep, safe to use from several threads."""

    engine: Engine
    name: str
    """What to call it in a message: the file's path, or the URL without its password."""


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
    """Makes the tables when new, brings an older layout up to date, and refuses a database that a newer version wrote."""
    from sqlalchemy import inspect

    if _layout(store) is not None:
        with reading(store) as connection:
            found = inspect(connection)
            whole = set(tables().metadata.tables) <= set(found.get_table_names())
            version = _stored_version(connection)
        if version > SCHEMA_VERSION:
            raise WorkspaceError(
                f"{store.name} was written by a newer version (its layout is {version}, this one knows {SCHEMA_VERSION}). "
                "Update Quadrant, or open another workspace."
            )
        if version == SCHEMA_VERSION and whole:
            return
    with writing(store) as connection:
        _bring_up_to_date(connection)


def _layout(store: Store) -> int | None:
    """The layout of the database; None when it is new."""
    from sqlalchemy import inspect

    with reading(store) as connection:
        return _stored_version(connection) if inspect(connection).has_table("quadrant_meta") else None


def _stored_version(connection: Connection) -> int | None:
    from sqlalchemy import select

    t = tables()
    found = connection.execute(select(t.meta.c.value).where(t.meta.c.key == "schema")).scalar()
    return None if found is None else int(found)


def _bring_up_to_date(connection: Connection) -> None:
    """Adds what the layout of now has and the database lacks, tables and columns, in the caller's one transaction.

    Nothing is ever changed or taken away, so rows written before keep their content, and a new column has a default.
    """
    from sqlalchemy import insert, inspect, text, update
    from sqlalchemy.schema import CreateColumn

    t = tables()
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(7133201)"))  # two servers may start at once
    t.metadata.create_all(connection)
    found = inspect(connection)
    for table in t.metadata.sorted_tables:
        known = {column["name"] for column in found.get_columns(table.name)}
        for column in table.columns:
            if column.name not in known:
                made = CreateColumn(column).compile(dialect=connection.dialect)
                connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {made}"))
    version = _stored_version(connection)
    if version is None:
        connection.execute(insert(t.meta).values(key="schema", value=str(SCHEMA_VERSION)))
    elif version < SCHEMA_VERSION:
        connection.execute(update(t.meta).where(t.meta.c.key == "schema").values(value=str(SCHEMA_VERSION)))


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
