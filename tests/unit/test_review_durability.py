"""No verdict is lost and none is doubled: kill -9, two reviewers at once, retries, a full disk, a crash of the database.

Every test runs on SQLite and on PostgreSQL, and each kind of check is also run against something broken, which it must find.
"""

import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.errors import InputError, WorkspaceError
from core.review.sampling import draw_random
from core.review.store import add_sample, all_verdicts, current_verdicts, open_store, outcomes, save_verdicts
from tests.killed import verdict

ROOT = Path(__file__).resolve().parents[2]
IDS = [f"{i:016x}-1" for i in range(4000)]
KILLS, PER_KILL = 42, 12


@pytest.fixture
def store(database):
    return open_store(database)


@pytest.fixture
def sample(store):
    draw = draw_random(IDS, len(IDS), 7)
    return add_sample(store, draw, name="Audit", role="training", dataset_digest="d", by="Ada").id


def killed(database, sample, kills, *more) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.killed", database, sample, str(kills), str(PER_KILL), "7", *more],
        capture_output=True, text=True, cwd=ROOT, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def lost_and_doubled(database, sample, acknowledged) -> tuple[set[str], list[str]]:
    """(acknowledged ids that are not stored, records that carry more than one verdict or id)."""
    stored = all_verdicts(open_store(database), sample)
    ids = [one.client_id for one in stored]
    records = [one.record_id for one in stored]
    doubled = [one for one in {*ids} if ids.count(one) > 1] + [one for one in {*records} if records.count(one) > 1]
    return set(acknowledged) - set(ids), doubled


def test_kill_9_while_saving(database, sample):
    acknowledged = killed(database, sample, KILLS)
    assert len(acknowledged) >= 500 and len(set(acknowledged)) == len(acknowledged)
    assert lost_and_doubled(database, sample, acknowledged) == (set(), [])
    # What was on disk before the answer got out is sent again by the screen, and stays one verdict a record.
    again = [verdict(sample, int(one.split("-")[1])) for one in acknowledged[-20:]]
    again += [verdict(sample, n) for n in range(int(acknowledged[-1].split("-")[1]) + 1, 4000)][:5]
    store = open_store(database)
    assert save_verdicts(store, again) == [one.client_id for one in again]
    assert lost_and_doubled(database, sample, acknowledged) == (set(), [])
    assert not [entry for entry in current_verdicts(store, sample) if entry.others]


def test_a_store_that_acknowledges_too_early_is_found_out(database, sample):
    lost, _ = lost_and_doubled(database, sample, killed(database, sample, 8, "early"))
    assert lost, "the check of the test above can fail"


def test_a_crash_of_the_database_server_loses_nothing_and_the_next_save_reconnects(postgres):
    where = postgres.fresh()
    store = open_store(where)
    draw = draw_random(IDS, 50, 7)
    sample = add_sample(store, draw, name="A", role="training", dataset_digest="d", by="A").id
    acknowledged: list[str] = []
    for crash in range(3):
        for n in range(20 * crash, 20 * crash + 20):
            acknowledged += save_verdicts(store, [verdict(sample, n)])
        postgres.crash()
        try:
            with pytest.raises(WorkspaceError, match="cannot be reached.*what you entered is kept"):
                save_verdicts(store, [verdict(sample, 3000)])
        finally:
            postgres.start()
        assert lost_and_doubled(where, sample, acknowledged) == (set(), [])
    assert len(acknowledged) == 60 and save_verdicts(store, [verdict(sample, 3000)]) == ["Ada-3000"]


def _reads(where, sample, reviewer, gate):
    store = open_store(where)
    gate.wait(30)
    for n in range(200):
        save_verdicts(store, [verdict(sample, n, reviewer)])
        time.sleep(0.001)  # a lock that is let go and taken at once starves the other process


def _tries(where, sample, note, gate, answers):
    from dataclasses import replace

    store = open_store(where)
    gate.wait(30)
    for n in range(30):
        try:
            save_verdicts(store, [replace(verdict(sample, n), note=note)])
            answers.put((n, "saved"))
        except InputError:
            answers.put((n, "refused"))


def _together(target, *arguments):
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(len(arguments))
    processes = [context.Process(target=target, args=(*some[:3], gate, *some[3:])) for some in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    return gate


def test_two_reviewers_at_once(database, store, sample):
    store.engine.dispose()  # a connection must not be shared with a fork
    _together(_reads, (database, sample, "Ada"), (database, sample, "Bea"))
    found = all_verdicts(open_store(database), sample)
    assert len(found) == 400 and len({one.client_id for one in found}) == 400
    for who in ("Ada", "Bea"):
        assert len(current_verdicts(store, sample, who)) == 200
    turns = sum(a.reviewer != b.reviewer for a, b in zip(found, found[1:], strict=False))
    assert turns >= 20, f"the two took only {turns} turns: they did not write at once"
    assert set(outcomes(current_verdicts(store, sample)).values()) == {"pass"}


def test_one_client_id_from_two_processes_is_one_verdict(database, store, sample):
    answers = multiprocessing.get_context("fork").SimpleQueue()
    store.engine.dispose()
    _together(_tries, (database, sample, "the same", answers), (database, sample, "the same", answers))
    assert [answers.get()[1] for _ in range(60)] == ["saved"] * 60
    assert len(all_verdicts(store, sample)) == 30


def test_one_client_id_with_two_contents_is_refused_to_one_of_the_two(database, store, sample):
    answers = multiprocessing.get_context("fork").SimpleQueue()
    store.engine.dispose()
    _together(_tries, (database, sample, "one", answers), (database, sample, "two", answers))
    told = sorted(answers.get() for _ in range(60))
    assert told == sorted((n, word) for n in range(30) for word in ("saved", "refused"))
    assert len(all_verdicts(store, sample)) == 30


def test_two_tabs_of_one_reviewer_are_a_conflict_that_shows(store, sample):
    from dataclasses import replace

    save_verdicts(store, [verdict(sample, 0)])
    for tab, outcome in (("tab-a", "fail"), ("tab-b", "unsure")):
        mine = replace(verdict(sample, 0), client_id=tab, outcome=outcome, supersedes=("Ada-0",))
        save_verdicts(store, [mine])
    (entry,) = current_verdicts(store, sample)
    assert entry.conflict and outcomes([entry]) == {IDS[0]: "disputed"}


def test_a_file_that_may_not_grow_takes_a_whole_batch_or_nothing(tmp_path):
    """A real write that fails half-way through a transaction (the limit on a file's size), in a process of its own."""
    where = str(tmp_path / "reviews.sqlite")
    store = open_store(where)
    sample = add_sample(store, draw_random(IDS, 50, 7), name="A", role="t", dataset_digest="d", by="A").id
    save_verdicts(store, [verdict(sample, 0)])
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            import signal

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            size = os.path.getsize(where)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            try:
                save_verdicts(open_store(where), [verdict(sample, n) for n in range(1, 400)])
                code = 2
            except WorkspaceError as error:
                ok = "Nothing was saved" in str(error) and "what you entered is kept" in str(error)
                code = 0 if ok else 3
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert [one.client_id for one in all_verdicts(open_store(where), sample)] == ["Ada-0"]
    assert len(save_verdicts(open_store(where), [verdict(sample, n) for n in range(1, 400)])) == 399


@pytest.fixture
def small_disk(tmp_path_factory):
    """A file system of two megabytes; needs the right to mount one, which most machines give to root alone."""
    folder = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=777", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a small file system here; the limits above and below stand in for it")
    for parent in list(folder.parents)[:2]:
        parent.chmod(0o755)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fills_up(store, sample):
    """Saves batches until one is refused; the acknowledged ids and the message."""
    acknowledged = []
    for start in range(0, 3900, 30):
        batch = [verdict(sample, n) for n in range(start, start + 30)]
        try:
            acknowledged += save_verdicts(store, batch)
        except WorkspaceError as error:
            return acknowledged, str(error)
    raise AssertionError("the disk did not fill up")


def test_a_full_disk_under_sqlite(small_disk):
    store = open_store(str(small_disk / "reviews.sqlite"))
    sample = add_sample(store, draw_random(IDS, 50, 7), name="A", role="t", dataset_digest="d", by="A").id
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\0" * 1_500_000)
    acknowledged, message = fills_up(store, sample)
    assert "is full" in message and "what you entered is kept" in message and acknowledged
    assert {one.client_id for one in all_verdicts(store, sample)} == set(acknowledged)
    ballast.unlink()
    assert save_verdicts(store, [verdict(sample, 3999)]) == ["Ada-3999"]


def test_a_full_disk_under_postgresql(postgres, small_disk):
    import psycopg

    place = small_disk / "space"
    place.mkdir()
    if postgres.user:
        import pwd

        os.chown(place, pwd.getpwnam(postgres.user).pw_uid, -1)
    with psycopg.connect(host=str(postgres.folder), user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
    where = postgres.fresh()
    store = open_store(where)
    sample = add_sample(store, draw_random(IDS, 50, 7), name="A", role="t", dataset_digest="d", by="A").id
    try:
        with store.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE verdicts SET TABLESPACE small")
        ballast = small_disk / "ballast"
        ballast.write_bytes(b"\0" * 1_500_000)
        acknowledged, message = fills_up(store, sample)
        assert "is full" in message and "what you entered is kept" in message and acknowledged
        assert {one.client_id for one in all_verdicts(store, sample)} == set(acknowledged)
        ballast.unlink()
        assert save_verdicts(store, [verdict(sample, 3999)]) == ["Ada-3999"]
    finally:
        with store.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE verdicts SET TABLESPACE pg_default")
        store.engine.dispose()
        with psycopg.connect(host=str(postgres.folder), user="postgres", dbname="postgres", autocommit=True) as one:
            one.execute("DROP TABLESPACE small")


@pytest.mark.parametrize(
    ("code", "message", "said"),
    [
        ("disk_full", "could not extend file: No space left on device", "is full"),
        ("read_only_sql_transaction", "cannot execute INSERT in a read-only transaction", "cannot be written"),
        ("insufficient_privilege", "permission denied for table verdicts", "cannot be written"),
    ],
)
def test_what_postgresql_refuses_is_said_plainly_and_nothing_is_half_written(postgres, code, message, said):
    """The server's own error codes, raised at the tenth row of a batch."""
    store = open_store(postgres.fresh())
    sample = add_sample(store, draw_random(IDS, 50, 7), name="A", role="t", dataset_digest="d", by="A").id
    save_verdicts(store, [verdict(sample, 0)])
    with store.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN IF NEW.client_id = 'Ada-10' THEN "
            f"RAISE EXCEPTION '{message}' USING ERRCODE = '{code}'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql"
        )
        connection.exec_driver_sql(
            "CREATE TRIGGER refuse BEFORE INSERT ON verdicts FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    with pytest.raises(WorkspaceError, match=said) as error:
        save_verdicts(store, [verdict(sample, n) for n in range(1, 20)])
    assert "what you entered is kept" in str(error.value)
    assert [one.client_id for one in all_verdicts(store, sample)] == ["Ada-0"]
    with store.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER refuse ON verdicts")
    assert len(save_verdicts(store, [verdict(sample, n) for n in range(1, 20)])) == 19


def test_a_read_only_database_can_be_read_and_says_why_it_cannot_be_written(database, store, sample):
    save_verdicts(store, [verdict(sample, 0)])
    if "://" in database:
        locked = open_store(f"{database}&options=-c%20default_transaction_read_only%3Don")
    else:
        locked = open_store(f"sqlite:///file:{database}?mode=ro&uri=true")
    assert len(all_verdicts(locked, sample)) == 1
    with pytest.raises(WorkspaceError, match="cannot be written.*what you entered is kept"):
        save_verdicts(locked, [verdict(sample, 1)])
    assert len(all_verdicts(store, sample)) == 1
