"""Long work in a process of its own, told to the world through one status file.

`start` launches `python -m core … --job ID`; that process calls `run_steps`, which replaces `jobs/<id>.json` atomically as it goes.
A reader never trusts the word "running" alone: the process that wrote it must still be the same living process.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core.errors import Cancelled, MissingInput, QuadrantError
from core.steps import STEPS, Plan, order, plan, run_plan
from core.workspace import Workspace, now, write_atomically

ACTIVE = ("starting", "waiting", "running")
WRITE_EVERY = 0.3  # seconds between two status files while a step only reports progress


@dataclass(frozen=True)
class Job:
    """What a status file says, checked against the living process."""

    id: str
    title: str
    state: str  # starting, waiting, running, done, failed, cancelled, crashed
    steps: list[dict]  # {step, title, state, done, total, message, seconds}
    error: str
    started: str
    updated: str
    pid: int | None
    command: tuple[str, ...] = ()  # of `python -m core`, without workspace and job: what to say again to resume

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def fraction(self) -> float:
        """Share of the job's steps that are done, the running one by its own progress; 0..1."""
        if not self.steps:
            return 0.0
        share = {"done": 1.0, "stored": 1.0, "skipped": 1.0, "failed": 1.0}
        parts = [share.get(s["state"], s["done"] / s["total"] if s["total"] else 0.0) for s in self.steps]
        return sum(parts) / len(parts)

    @property
    def now(self) -> dict | None:
        """The step that runs at the moment."""
        return next((s for s in self.steps if s["state"] == "running"), None)


def _born(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def _alive(pid: int | None, born: float | None) -> bool:
    found = _born(pid) if pid else None
    return found is not None and (born is None or abs(found - born) < 2)


def _folder(workspace: Workspace) -> Path:
    return workspace.path / "jobs"


def _read(path: Path) -> Job | None:
    try:
        status = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    state, error = status["state"], status.get("error", "")
    if state in ACTIVE and not _alive(status.get("pid"), status.get("born")):
        state, error = (
            "crashed",
            f"The process ended without a word. What it finished is kept. {_tail(path.with_suffix('.log'))}",
        )
    return Job(
        path.stem, status["title"], state, status["steps"], error, status["started"], status["updated"], status.get("pid"),
        tuple(status.get("command", ())),
    )  # fmt: skip


def _tail(log: Path) -> str:
    try:
        lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    except OSError:
        return ""
    return f"Its last line was: {lines[-1][:300]}" if lines else ""


def jobs(workspace: Workspace) -> list[Job]:
    """Every job of the workspace, newest first."""
    found = [_read(path) for path in sorted(_folder(workspace).glob("*.json"), reverse=True)]
    return [job for job in found if job is not None]


def active(workspace: Workspace) -> Job | None:
    """The job that is under way, or None: the one at work before those that wait for it."""
    under_way = [job for job in jobs(workspace)[:20] if job.active]
    return min(under_way, key=lambda job: job.state != "running", default=None)


def behind(workspace: Workspace) -> int:
    """How many jobs wait for the one at work."""
    return sum(job.state == "waiting" for job in jobs(workspace)[:20])


def latest(workspace: Workspace) -> Job | None:
    newest = max(_folder(workspace).glob("*.json"), default=None)
    return _read(newest) if newest else None


def start(workspace: Workspace, command: Sequence[str], title: str) -> str:
    """Start `python -m core <command> --workspace DIR --job ID` in the background; returns the job's id.

    The process leads a session of its own, so that it outlives the page and its server. Steps that already wait to
    be run are not asked for twice: they read data and settings when their turn comes.
    """
    queued = [one for one in jobs(workspace)[:20] if one.state == "waiting" and one.command == tuple(command)]
    if queued and command[0] == "run":
        return queued[0].id
    job = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(3).hex()}"
    status = _folder(workspace) / f"{job}.json"
    environment = {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
    }
    with (_folder(workspace) / f"{job}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "core", *command, "--workspace", str(workspace.path), "--job", job],
            stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment, start_new_session=True,
        )  # fmt: skip
    if not status.exists():
        facts = {
            "title": title,
            "state": "starting",
            "steps": [],
            "started": now(),
            "updated": now(),
            "command": list(command),
        }
        write_atomically(status, json.dumps({**facts, "pid": process.pid, "born": _born(process.pid)}))
    return job


def cancel(workspace: Workspace, job: str) -> None:
    """Ask a job to stop; it does at its next progress report, its finished steps and resumable work kept."""
    (_folder(workspace) / f"{job}.cancel").touch()


def kill(workspace: Workspace, job: str) -> None:
    """Stop a job's process at once, for one that does not react to `cancel`. Finished steps are kept."""
    import psutil

    found = _read(_folder(workspace) / f"{job}.json")
    if found and found.active and found.pid:
        with suppress(psutil.Error):
            psutil.Process(found.pid).kill()


def finish(status: Path, state: str, error: str) -> None:
    """Write the last word of a job whose run ended in an error, unless it said so itself."""
    try:
        facts = json.loads(status.read_text("utf-8"))
    except (OSError, ValueError):
        facts = {"title": "Job", "steps": [], "started": now(), "pid": os.getpid()}
    for step in facts["steps"]:
        if step["state"] == "running":
            step["state"] = state
    write_atomically(status, json.dumps({**facts, "state": state, "error": error, "updated": now()}))


def _command(given: Sequence[str]) -> list[str]:
    """The arguments of this process without those that name the workspace and the job."""
    kept, skip = [], False
    for word in given:
        if not skip and word not in ("--workspace", "--job"):
            kept.append(word)
        skip = word in ("--workspace", "--job") and not skip
    return kept


class Reporter:
    """Writes the status of one run: to a status file when it is a job, and to `echo` line by line."""

    def __init__(self, workspace: Workspace, job: str | None, title: str, echo: Callable[[str], None] | None = None):
        self.path = _folder(workspace) / f"{job}.json" if job else None
        self.echo = echo
        if self.path and self.path.exists():  # called by the name that the one who started it gave
            title = json.loads(self.path.read_text("utf-8")).get("title") or title
        self.status: dict[str, Any] = {
            "title": title, "state": "running", "steps": [], "started": now(), "updated": now(), "error": "",
            "pid": os.getpid(), "born": _born(os.getpid()), "command": _command(sys.argv[1:]) if job else [],
        }  # fmt: skip
        self.written = self.echoed = 0.0
        self.write()

    def write(self) -> None:
        if self.path:
            self.status["updated"] = now()
            write_atomically(self.path, json.dumps(self.status))
        self.written = time.monotonic()

    def state(self, state: str, error: str = "") -> None:
        self.status |= {"state": state, "error": error}
        self.write()

    def add(self, names: Sequence[tuple[str, str]]) -> None:
        blank = {"state": "waiting", "done": 0, "total": 0, "message": "", "seconds": None}
        self.status["steps"] += [{"step": name, "title": title, **blank} for name, title in names]
        self.write()

    def set(self, index: int, **facts: Any) -> None:
        step = self.status["steps"][index]
        step.update(facts)
        self.write()
        if self.echo and facts.get("state") in ("done", "stored", "skipped", "failed"):
            seconds = f" in {step['seconds']:.1f} s" if step["seconds"] else ""
            note = f": {step['message']}" if step["message"] else ""
            self.echo(f"{step['title']} — {step['state']}{seconds}{note}")

    def progress(self, index: int) -> Callable[[int, int, str], None]:
        step = self.status["steps"][index]

        def report(done: int, total: int, message: str) -> None:
            step.update(done=int(done), total=int(total), message=message)
            moment = time.monotonic()
            if moment - self.written >= WRITE_EVERY:
                if self.path and self.path.with_suffix(".cancel").exists():
                    raise Cancelled("Cancelled. What was finished is kept; the step resumes where it stopped.")
                self.write()
            if self.echo and moment - self.echoed >= 5:
                self.echoed = moment
                share = f" {100 * done / total:.0f} %" if total else ""
                self.echo(f"{step['title']}{share}: {message}")

        return report


def run_steps(
    workspace: Workspace,
    names: Sequence[str],
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    reporter: Reporter | None = None,
    keep_going: bool = False,
) -> dict[str, str]:
    """Run steps and what they need, one after another; returns {step: "done" | "stored" | "skipped: …" | "failed: …"}.

    With `keep_going` a step that cannot run or fails for a reason a user can mend is told and passed over, with all that needs it;
    otherwise its error is raised. One run at a time works on a workspace: a second waits for the first.
    """
    reporter = reporter or Reporter(workspace, None, "steps")
    with alone(workspace, reporter):
        return _run_locked(workspace, names, overrides or {}, reporter, keep_going)


@contextmanager
def alone(workspace: Workspace, reporter: Reporter) -> Iterator[None]:
    """Inside, this run alone works on the workspace: it waits for another one to end, and can be cancelled while it waits."""
    lock = FileLock(_folder(workspace) / "running.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        reporter.state("waiting")
        while not lock.is_locked:
            if reporter.path and reporter.path.with_suffix(".cancel").exists():
                raise Cancelled("Cancelled while it waited for another job.") from None
            with suppress(Timeout):
                lock.acquire(timeout=1)
        reporter.state("running")
    try:
        yield
    finally:
        lock.release()


def _run_locked(
    workspace: Workspace,
    names: Sequence[str],
    overrides: Mapping[str, Mapping[str, Any]],
    reporter: Reporter,
    keep_going: bool,
) -> dict[str, str]:
    outcome: dict[str, str] = {}
    plans: dict[str, Plan] = {}
    for name in names:
        try:
            for part in order(workspace, [name], overrides):
                plans.setdefault(part.key, part)
        except MissingInput as error:
            if not keep_going:
                raise
            outcome[name] = f"skipped: {error}"
    first = len(reporter.status["steps"])
    reporter.add([(p.step, STEPS[p.step].title) for p in plans.values()])
    broken: set[str] = set()
    for index, part in enumerate(plans.values(), first):
        missing = [p.step for p in part.upstream if p.key in broken]
        if missing:
            broken.add(part.key)
            outcome[part.step] = f"skipped: needs `{missing[0]}`"
            reporter.set(index, state="skipped", message=f"needs `{missing[0]}`, which did not finish")
            continue
        stored = workspace.result(part.step, part.key)
        began = time.monotonic()
        reporter.set(index, state="running")
        try:
            run_plan(workspace, part, reporter.progress(index))
        except Cancelled:
            reporter.set(index, state="cancelled", message="")
            raise
        except QuadrantError as error:
            word = "skipped" if isinstance(error, MissingInput) else "failed"
            reporter.set(index, state=word, message=str(error))
            if not keep_going:
                raise
            broken.add(part.key)
            outcome[part.step] = f"{word}: {error}"
            continue
        state = "stored" if stored is not None else "done"
        outcome[part.step] = state
        reporter.set(index, state=state, done=1, total=1, message="", seconds=round(time.monotonic() - began, 2))
    return outcome


def waiting(workspace: Workspace, names: Sequence[str]) -> list[str]:
    """Those of `names` that could run but have no stored result for the data and parameters of now."""
    missing = []
    for name in names:
        with suppress(MissingInput):
            wanted = plan(workspace, name)
            if workspace.result(name, wanted.key) is None:
                missing.append(name)
    return missing
