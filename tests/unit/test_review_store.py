"""The store of human decisions: retries, conflicts, undo, refusals, and saves that are interrupted."""

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import InputError, MissingInput, WorkspaceError
from core.review.sampling import draw_random
from core.review.store import (
    Verdict,
    add_sample,
    add_subset,
    all_verdicts,
    current_verdicts,
    delete_subset,
    keep_records,
    ledger,
    open_store,
    outcomes,
    remove_records,
    removed_ids,
    rename_subset,
    sample_records,
    samples,
    save_verdicts,
    subset_ids,
    subsets,
    undo,
)

ROOT = Path(__file__).resolve().parents[2]
IDS = [f"{i:016x}-1" for i in range(60)]


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path)


@pytest.fixture
def drawn(store):
    return add_sample(store, draw_random(IDS, 50, 7), name="Audit", role="training", dataset_digest="d1", by="Ada")


def verdict(sample, n, client_id=None, **changes):
    record_id = IDS[n]
    given = Verdict(client_id or f"c{n}", sample.id, record_id, record_id[:16], "Ada", "pass", {"correct": "yes"})
    return replace(given, created_at="2026-03-01T09:30:00.120Z", seconds=2.5, **changes)


def test_a_sample_comes_back_as_drawn(store, drawn):
    (found,) = samples(store)
    assert found == drawn
    records = sample_records(store, drawn.id)
    assert [r.position for r in records] == list(range(50))
    assert {r.probability for r in records} == {50 / 60}
    assert all(r.record_id.startswith(r.record_digest) for r in records)


def test_a_retry_is_acknowledged_and_stored_once(store, drawn):
    batch = [verdict(drawn, 0), verdict(drawn, 1)]
    assert save_verdicts(store, batch) == ["c0", "c1"]
    assert save_verdicts(store, [*batch, verdict(drawn, 2)]) == ["c0", "c1", "c2"]
    assert [v.client_id for v in all_verdicts(store, drawn.id)] == ["c0", "c1", "c2"]
    untimed = replace(verdict(drawn, 3), created_at="")
    assert save_verdicts(store, [untimed]) == save_verdicts(store, [untimed]) == ["c3"]


def test_other_content_under_the_same_id_is_refused_and_nothing_of_the_batch_is_saved(store, drawn):
    save_verdicts(store, [verdict(drawn, 0)])
    with pytest.raises(InputError, match="already stored with other content"):
        save_verdicts(store, [verdict(drawn, 5), replace(verdict(drawn, 0), outcome="fail")])
    assert [v.outcome for v in all_verdicts(store, drawn.id)] == ["pass"]
    with pytest.raises(InputError, match="other content"):  # within one batch too
        save_verdicts(store, [verdict(drawn, 6), replace(verdict(drawn, 6), note="x")])


def test_the_last_of_a_chain_stands_and_a_withdrawal_empties_it(store, drawn):
    save_verdicts(store, [verdict(drawn, 0)])
    save_verdicts(store, [verdict(drawn, 0, "c0b", outcome="fail", supersedes=("c0",))])
    (now,) = current_verdicts(store, drawn.id)
    assert (now.verdict.outcome, now.others) == ("fail", ())
    save_verdicts(store, [verdict(drawn, 0, "c0c", outcome="withdrawn", supersedes=("c0b",))])
    assert current_verdicts(store, drawn.id) == []
    assert len(all_verdicts(store, drawn.id)) == 3


def test_two_tabs_conflict_visibly_and_a_third_verdict_settles_it(store, drawn):
    save_verdicts(store, [verdict(drawn, 0)])
    save_verdicts(store, [verdict(drawn, 0, "tab-a", outcome="fail", supersedes=("c0",))])
    save_verdicts(store, [verdict(drawn, 0, "tab-b", outcome="unsure", supersedes=("c0",))])
    (now,) = current_verdicts(store, drawn.id)
    assert now.conflict
    assert {now.verdict.client_id, *(o.client_id for o in now.others)} == {"tab-a", "tab-b"}
    assert outcomes([now]) == {IDS[0]: "disputed"}
    save_verdicts(store, [verdict(drawn, 0, "settled", supersedes=("tab-a", "tab-b"))])
    (now,) = current_verdicts(store, drawn.id)
    assert not now.conflict and now.verdict.client_id == "settled"


def test_two_reviewers_are_both_kept_and_a_disagreement_is_disputed(store, drawn):
    theirs = replace(verdict(drawn, 0, "other"), reviewer="Dr. O'Neil'); DROP TABLE verdicts;--", outcome="fail")
    save_verdicts(store, [verdict(drawn, 0), theirs, verdict(drawn, 1)])
    assert outcomes(current_verdicts(store, drawn.id)) == {IDS[0]: "disputed", IDS[1]: "pass"}
    assert [s.verdict.outcome for s in current_verdicts(store, drawn.id, theirs.reviewer)] == ["fail"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outcome": "maybe"}, "must be pass, fail, unsure"),
        ({"answers": {"correct": "perhaps"}}, "an answer is one of"),
        ({"note": "x" * 20_001}, "note of over"),
        ({"note": "a\x00b"}, "NUL"),
        ({"reviewer": " "}, "no usable reviewer"),
        ({"created_at": "2026-03-01T09:30:00"}, "no time zone"),
        ({"seconds": float("nan")}, "seconds"),
    ],
)
def test_a_verdict_that_breaks_a_rule_is_refused(store, drawn, changes, message):
    with pytest.raises(InputError, match=message):
        save_verdicts(store, [replace(verdict(drawn, 0), **changes)])
    assert all_verdicts(store, drawn.id) == []


def test_a_verdict_of_an_unknown_sample_is_refused(store, drawn):
    with pytest.raises(MissingInput, match="no sample"):
        save_verdicts(store, [replace(verdict(drawn, 0), sample_id="gone")])


def test_two_writers_at_once_lose_nothing(store, drawn, tmp_path):
    def work(who):
        mine = open_store(tmp_path)
        for n in range(40):
            save_verdicts(mine, [replace(verdict(drawn, n, f"{who}-{n}"), reviewer=who)])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, ["Ada", "Bo", "Cy"]))
    assert len(all_verdicts(store, drawn.id)) == 120


def test_ten_thousand_records_are_saved_and_read(store):
    ids = [f"{i:016x}-1" for i in range(12_000)]
    sample = add_sample(store, draw_random(ids, 10_000, 1), name="Big", role="training", dataset_digest="d", by="A")
    given = [
        Verdict(f"k{i}", sample.id, r.record_id, r.record_digest, "Ada", "pass")
        for i, r in enumerate(sample_records(store, sample.id))
    ]
    assert len(save_verdicts(store, given)) == 10_000
    assert len(current_verdicts(store, sample.id)) == 10_000
    assert samples(store)[0].read == 10_000


def test_a_newer_schema_is_refused(store, tmp_path):
    with sqlite3.connect(tmp_path / "reviews.sqlite") as connection:
        connection.execute("UPDATE quadrant_meta SET value = '99' WHERE key = 'schema'")
    connection.close()
    with pytest.raises(WorkspaceError, match="newer version"):
        open_store(tmp_path)


def test_sqlite_is_opened_as_it_must_be(store):
    with store.engine.connect() as connection:
        pragma = {
            p: connection.exec_driver_sql(f"PRAGMA {p}").scalar()
            for p in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragma == {"journal_mode": "delete", "synchronous": 2, "foreign_keys": 1}


def test_a_file_that_is_no_database_is_said_so(tmp_path):
    (tmp_path / "reviews.sqlite").write_bytes(b"hello, not a database at all" * 50)
    with pytest.raises(WorkspaceError, match="damaged"):
        open_store(tmp_path)


def test_other_databases_are_refused_plainly(tmp_path):
    with pytest.raises(InputError, match="SQLite or PostgreSQL"):
        open_store("mysql://user:secret@host/name")
    with pytest.raises(WorkspaceError, match="no folder"):
        open_store(tmp_path / "absent" / "reviews.sqlite")


def test_postgresql_tables_can_be_made_without_its_driver():
    code = """
import sys
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable
from core.review.schema import tables
print(*(CreateTable(t).compile(dialect=postgresql.dialect()) for t in tables().metadata.sorted_tables))
assert "psycopg" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "BYTEA" in done.stdout and done.stdout.count("CREATE TABLE") >= 6


def test_a_full_disk_saves_nothing_of_the_batch_and_says_so(store, drawn):
    from sqlalchemy import event

    save_verdicts(store, [verdict(drawn, 0)])

    @event.listens_for(store.engine, "connect")
    def _no_more_pages(connection, _record):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")

    with pytest.raises(WorkspaceError, match="is full"):
        save_verdicts(store, [verdict(drawn, n, note="x" * 5000) for n in range(1, 40)])
    event.remove(store.engine, "connect", _no_more_pages)
    assert [v.client_id for v in all_verdicts(store, drawn.id)] == ["c0"]
    assert len(save_verdicts(store, [verdict(drawn, n, note="x" * 5000) for n in range(1, 40)])) == 39


def test_a_read_only_folder_can_be_read_and_says_why_it_cannot_be_written(store, drawn, tmp_path):
    save_verdicts(store, [verdict(drawn, 0)])
    for path in (tmp_path / "reviews.sqlite", tmp_path):
        path.chmod(0o555)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    pid = os.fork()
    if pid == 0:  # as another user when we are root, whom no mode stops
        code = 1
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            mine = open_store(tmp_path)
            assert len(all_verdicts(mine, drawn.id)) == 1
            try:
                save_verdicts(mine, [verdict(drawn, 1)])
            except WorkspaceError as error:
                code = 0 if "cannot be written" in str(error) and "what you entered is kept" in str(error) else 3
        finally:
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    tmp_path.chmod(0o755)
    assert os.waitstatus_to_exitcode(status) == 0


def test_removals_are_replayed_kept_and_undone(store):
    first = remove_records(store, IDS[:4], reason="near-duplicates", by="Ada")
    keep_records(store, [IDS[1]], reason="differs in the dose", by="Bo")
    assert removed_ids(store) == {IDS[0], IDS[2], IDS[3]}
    back = undo(store, first.entry, by="Ada")
    assert removed_ids(store) == set()
    with pytest.raises(InputError, match="already taken back"):
        undo(store, first.entry, by="Ada")
    undo(store, back.entry, by="Ada")  # an undo can be undone: the removal counts again
    assert removed_ids(store) == {IDS[0], IDS[2], IDS[3]}
    assert [(e.action, e.undoes) for e in ledger(store)] == [("remove", None), ("keep", None), ("undo", 1), ("undo", 3)]
    with pytest.raises(MissingInput):
        undo(store, 99, by="Ada")


def test_a_double_click_is_one_entry(store):
    one = remove_records(store, IDS[:2], reason="r", by="A", token="t1")
    assert remove_records(store, IDS[:2], reason="r", by="A", token="t1").entry == one.entry
    assert len(ledger(store)) == 1
    with pytest.raises(InputError, match="reason"):
        remove_records(store, IDS[:2], reason="  ", by="A")
    with pytest.raises(InputError, match="No record"):
        remove_records(store, [], reason="r", by="A")


def test_subsets_are_named_renamed_and_deleted_with_a_trace(store):
    made = add_subset(
        store, " Hard tenth ", [IDS[3], IDS[1], IDS[3]], by="A", strategy="diq", dataset_digest="d", params={"b": 0.1}
    )
    assert (made.name, made.count) == ("Hard tenth", 2)
    assert subset_ids(store, "Hard tenth") == [IDS[3], IDS[1]]
    with pytest.raises(InputError, match="exists"):
        add_subset(store, "Hard tenth", IDS[:1], by="A", strategy="x", dataset_digest="d")
    assert rename_subset(store, made.id, "Core").params == {"b": 0.1}
    delete_subset(store, "Core", by="B")
    assert subsets(store) == []
    assert subsets(store, deleted=True)[0].deleted_by == "B"
    assert subset_ids(store, made.id) == [IDS[3], IDS[1]]
    with pytest.raises(MissingInput, match="none yet"):
        subset_ids(store, "Core")
