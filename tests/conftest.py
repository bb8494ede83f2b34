"""Fixtures that more than one kind of test needs."""

import shutil
from collections.abc import Iterator

import pytest

from tests import postgres as pg


@pytest.fixture(scope="session")
def postgres() -> Iterator[pg.Server]:
    """A PostgreSQL server for the whole session, started when a test first asks for it."""
    server = pg.start_server()
    yield server
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path) -> str:
    """Where reviews are kept, to give to `open_store`: a SQLite file, and an empty PostgreSQL database."""
    if request.param == "sqlite":
        return str(tmp_path / "reviews.sqlite")
    return request.getfixturevalue("postgres").fresh()
