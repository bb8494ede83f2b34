"""A PostgreSQL server of the tests' own: made in a temporary folder, reached through a socket in it, gone at the end."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest


def binaries() -> Path | None:
    """The folder of initdb and postgres: of the newest Debian package, or on PATH; None when PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    path = str(found[-1]) if found else shutil.which("initdb")
    return Path(path).resolve().parent if path else None


@dataclass
class Server:
    """A server that can be crashed and started again; `fresh()` makes an empty database in it."""

    folder: Path
    bin: Path
    user: str | None
    process: subprocess.Popen | None = None

    def run(self, *command: str | Path) -> None:
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, cwd=self.folder, timeout=120, **self._as()
        )
        assert done.returncode == 0, f"{command[0]}: {done.stderr[-2000:]}"

    def _as(self) -> dict:
        """PostgreSQL refuses to run as root, so it then runs as an ordinary user of this machine."""
        return {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []} if self.user else {}

    def start(self) -> None:
        """Start and wait until it answers."""
        settings = ["listen_addresses=", f"unix_socket_directories={self.folder}", "max_connections=60"]
        options = [part for one in settings for part in ("-c", one)]
        deadline = time.monotonic() + 60
        while True:
            with open(self.folder / "log.txt", "ab") as log:
                self.process = subprocess.Popen(
                    [str(self.bin / "postgres"), "-D", str(self.folder / "data"), *options],
                    stdout=log, stderr=log, cwd=self.folder, **self._as(),
                )  # fmt: skip
            while self.process.poll() is None:
                if self._answers():
                    return
                assert time.monotonic() < deadline, self._log()
                time.sleep(0.02)
            assert time.monotonic() < deadline, self._log()
            time.sleep(0.1)  # what a crash left running has not ended yet

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _log(self) -> str:
        return (self.folder / "log.txt").read_text(errors="replace")[-3000:]

    def crash(self) -> None:
        """End it as a power cut would: nothing is written out, and the next start recovers from the log."""
        self.process.send_signal(signal.SIGQUIT)  # PostgreSQL's "immediate shutdown"
        self.process.wait(timeout=60)

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.crash()

    def fresh(self) -> str:
        """The URL of a new, empty database."""
        import psycopg

        name = f"q{uuid.uuid4().hex[:12]}"
        with psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@/{name}?host={self.folder}"


def start_server() -> Server:
    """A running server; skips where PostgreSQL is not installed, fails there when QUADRANT_NEEDS_POSTGRES is set, as in CI."""
    where = binaries()
    missing = "PostgreSQL is not installed (Debian's package `postgresql`)" if where is None else None
    try:
        import psycopg  # noqa: F401
    except ImportError:
        missing = "psycopg is not installed (requirements-dev.txt)"
    if missing:
        if os.environ.get("QUADRANT_NEEDS_POSTGRES"):
            pytest.fail(missing)
        pytest.skip(missing)
    user = None
    if os.geteuid() == 0:
        names = {entry.pw_name for entry in pwd.getpwall()}
        user = "postgres" if "postgres" in names else "nobody"
    # In memory where there is room: crashes are of processes, not of the machine. A socket's path must be short.
    memory = os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free > 500_000_000
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/dev/shm" if memory else "/tmp"))
    if user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    folder.chmod(0o755)
    server = Server(folder, where, user)
    server.run(
        where / "initdb",
        "-D",
        folder / "data",
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--no-locale",
        "--no-sync",
    )
    server.start()
    return server
