"""Jobs: progress told, cancel heard, a dead process never running."""

import json
import os
import time
from dataclasses import replace

import pytest

from core import jobs
from core.errors import Cancelled
from core.jobs import Reporter, run_steps
from core.workspace import now, open_workspace
from tests.unit.test_workspace import training


@pytest.fixture
def space(tmp_path):
    space = open_workspace(tmp_path / "ws")
    training(space)
    return space


def until(condition, seconds=40):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_a_job_runs_in_its_own_process_and_reports(space):
    job = jobs.start(space, ["run", "formats"], "Formats")
    assert until(lambda: jobs.latest(space).state == "done"), jobs.latest(space)
    found = jobs.latest(space)
    assert (found.id, found.pid != os.getpid(), found.active, found.fraction) == (job, True, False, 1.0)
    assert [s["step"] for s in found.steps] == ["formats"]


def test_a_job_that_fails_says_why(space):
    jobs.start(space, ["run", "coverage"], "Coverage")
    assert until(lambda: not jobs.latest(space).active)
    found = jobs.latest(space)
    assert found.state == "failed" and "--role production" in found.error


def test_a_dead_process_is_never_running(space):
    status = {
        "title": "x",
        "state": "running",
        "steps": [],
        "started": now(),
        "updated": now(),
        "pid": 2**22 + 1,
        "born": 1.0,
    }
    (space.path / "jobs" / "20200101-000000-aaaaaa.json").write_text(json.dumps(status))
    assert jobs.latest(space).state == "crashed" and jobs.active(space) is None
    status |= {"pid": os.getpid(), "born": 1.0}  # the number was given to another process since
    (space.path / "jobs" / "20200101-000000-aaaaaa.json").write_text(json.dumps(status))
    assert jobs.latest(space).state == "crashed"


def test_cancel_is_heard_at_the_next_report(space, monkeypatch):
    reporter = Reporter(space, "20200101-000000-bbbbbb", "x")
    reporter.add([("formats", "Formats")])
    report = reporter.progress(0)
    jobs.cancel(space, "20200101-000000-bbbbbb")
    reporter.written = 0.0
    with pytest.raises(Cancelled):
        report(1, 10, "half")


def test_steps_go_on_after_one_that_cannot(space):
    outcome = run_steps(space, ["formats", "coverage"], keep_going=True)
    assert outcome["formats"] == "done" and outcome["coverage"].startswith("skipped")
    assert run_steps(space, ["formats"])["formats"] == "stored"


def test_two_runs_do_not_meet(space):
    from filelock import FileLock

    held = FileLock(space.path / "jobs" / "running.lock")
    held.acquire()
    jobs.start(space, ["run", "formats"], "Formats")
    assert until(lambda: jobs.latest(space).state == "waiting")
    held.release()
    assert until(lambda: jobs.latest(space).state == "done"), jobs.latest(space)


def test_the_job_at_work_is_shown_before_those_that_wait_and_none_waits_twice(space):
    alive = {"steps": [], "started": now(), "updated": now(), "pid": os.getpid(), "born": jobs._born(os.getpid())}
    for name, state in (("20200101-000000-aaaaaa", "running"), ("20200102-000000-bbbbbb", "waiting")):
        status = {"title": state, "state": state, "command": ["run", "--all"], **alive}
        (space.path / "jobs" / f"{name}.json").write_text(json.dumps(status))
    assert jobs.active(space).title == "running" and jobs.behind(space) == 1
    assert jobs.start(space, ["run", "--all"], "Analysis") == "20200102-000000-bbbbbb"
    assert len(jobs.jobs(space)) == 2


def test_a_broken_status_file_is_passed_over(space):
    (space.path / "jobs" / "99990101-000000-cccccc.json").write_text('{"title": ')
    assert jobs.jobs(space) == [] and jobs.active(space) is None


def test_a_job_remembers_what_to_say_to_resume_it():
    from core.jobs import _command

    given = ["proof", "--learner", "head", "--workspace", "/a b", "--job", "7", "--seeds", "3"]
    assert _command(given) == ["proof", "--learner", "head", "--seeds", "3"]


@pytest.mark.parametrize(
    "command", [["run", "llm_difficulty"], ["tokens", "a-1"], ["proof", "--seeds", "3"], ["select", "--budget", "5"]]
)
def test_resume_says_the_same_command_again(command):
    """`run --all` leaves out what is only done when asked for, so that a rating job would never have gone on."""
    from core.jobs import Job
    from pages.ui.jobs import resumed

    job = Job("1", "Rate difficulty", "cancelled", [], "", "", "", None, tuple(command))
    assert resumed(job) == (command, "Rate difficulty")
    assert (
        resumed(replace(job, command=()))[0]
        == resumed(replace(job, command=("analyze", "f.csv")))[0]
        == ["run", "--all"]
    )


def test_a_job_keeps_the_name_under_which_it_was_started(space):
    first = Reporter(space, "20260101-000000-a", "Compute influence")
    first.state("failed", "x")
    assert Reporter(space, "20260101-000000-a", "influence").status["title"] == "Compute influence"
    assert Reporter(space, None, "influence").status["title"] == "influence"
