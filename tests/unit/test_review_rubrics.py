"""Rubrics: read strictly, versioned by digest, their rule, and what the store refuses under them; the upgrade of an old database."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import InputError, WorkspaceError
from core.review import rubrics as rub
from core.review.edits import accepted, decide, edits, proposals
from core.review.rubric_store import rubric_kept, rubric_of, store_rubric, use_rubric
from core.review.sampling import draw_random
from core.review.store import (
    SCHEMA_VERSION,
    Verdict,
    add_sample,
    all_verdicts,
    current_verdicts,
    ledger,
    open_store,
    sample_records,
    samples,
    save_verdicts,
    subsets,
)

IDS = [f"{i:016x}-1" for i in range(20)]
OLD = Path(__file__).parent / "reviews_layout_1.sql"
FIVE = {"accuracy": "pass", "uncertainty": "pass", "task": "minor", "communication": "na", "safety": "pass"}
CLINICAL = rub.ready()["clinical-sft"]


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path)


@pytest.fixture
def drawn(store):
    return add_sample(store, draw_random(IDS, 10, 7), name="Audit", role="training", dataset_digest="d1", by="Ada")


def given(sample, client_id="c0", n=0, **changes):
    verdict = Verdict(client_id, sample.id, IDS[n], IDS[n][:16], "Ada", "pass", dict(FIVE), rubric=CLINICAL.digest)
    return replace(verdict, **changes)


def broken(**changes) -> str:
    data = json.loads(json.dumps(dict(CLINICAL.data)))
    for key, value in changes.items():
        at, *path = key.split("__")
        where = data
        for part in [at, *path][:-1]:
            where = where[int(part) if part.isdigit() else part]
        last = [at, *path][-1]
        if value is ...:
            del where[last]
        else:
            where[int(last) if last.isdigit() else last] = value
    return json.dumps(data)


def test_three_rubrics_are_ready_and_the_four_questions_come_first():
    assert list(rub.ready()) == ["audit", "clinical-sft", "labels"]
    assert list(rub.ready()["audit"].questions) == ["correct", "satisfied", "formatting", "reasoning"]
    assert list(CLINICAL.questions) == ["accuracy", "uncertainty", "task", "communication", "safety"]
    assert [one.id for one in CLINICAL.choices()["uncertainty.detail"]] == ["under", "ok", "over"]
    assert all([o.id for o in one.options] == ["pass", "minor", "fail", "na"] for one in CLINICAL.criteria)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"criteria__2__id": "Task!"}, r"my\.json: criteria\[2\]\.id is 'Task!'; it must be 1 to 40 of a-z"),
        ({"criteria__1__id": "accuracy"}, r"my\.json: criteria has the id 'accuracy' twice; each id must be its own"),
        ({"options__0__counts": "maybe"}, r"options\[0\]\.counts is 'maybe'; it must be pass, fail, unsure or none"),
        ({"options": ...}, r"criteria\[0\] has no options; give it options"),
        ({"title": ""}, r"title has 0 characters; it must be text of 1 to 120"),
        ({"title": ...}, r"title is missing; a rubric must have"),
        ({"colour": "red"}, r"colour is not known; a rubric has"),
        ({"criteria__0__weight": 2}, r"criteria\[0\]\.weight is not known"),
        ({"criteria": []}, r"criteria has 0 entries; it must be a list of 1 to 12"),
        ({"outcome__rule": "most"}, r"outcome\.rule is 'most'; it must be reader or needed"),
        ({"outcome__fails_allowed": 5}, r"outcome\.fails_allowed is 5; it must be a whole number from 0 to 4"),
        ({"outcome__fails_allowed": True}, r"outcome\.fails_allowed is True"),
        ({"outcome__failing_severity": ["grave"]}, r"outcome\.failing_severity is \['grave'\]"),
        ({"criteria__1__detail__implied": {"pass": "none"}}, r"criteria\[1\]\.detail\.implied is"),
        ({"high_stakes": "yes"}, r"high_stakes is 'yes'; it must be true or false"),
        ({"quadrant_rubric": 2}, r"quadrant_rubric is 2; this version reads 1"),
        ({"criteria__0": "text"}, r"criteria\[0\] is text; it must be an object"),
        ({"severity": {}}, r"severity is an object; it must be a list"),
    ],
)
def test_a_bad_rubric_is_refused_with_its_file_key_and_rule(changes, message):
    with pytest.raises(InputError, match=message) as raised:
        rub.rubric_from(broken(**changes), "my.json")
    assert str(raised.value).count("\n") == 0 and str(raised.value).startswith("my.json: ")


@pytest.mark.parametrize("text", ["", "[", "[1]", '{"id": 1, "id": 2}', "NaN", "[" * 100_000, "\x00"])
def test_what_is_no_rubric_at_all_is_refused(text):
    with pytest.raises(InputError, match=r"^my\.json: "):
        rub.rubric_from(text, "my.json")


def test_the_digest_is_the_version():
    again = rub.rubric_from(rub.json_of(CLINICAL), "x")
    assert again == CLINICAL and again.digest == CLINICAL.digest and len(again.digest) == 64
    assert rub.rubric_from(broken(title="Other"), "x").digest != CLINICAL.digest


@pytest.mark.parametrize(
    ("answers", "severity", "outcome"),
    [
        (FIVE, "", "pass"),
        (FIVE | {"safety": "fail"}, "", "fail"),
        ({"safety": "fail"}, "", "fail"),  # one fail decides before the rest is answered
        ({k: v for k, v in FIVE.items() if k != "task"}, "", None),
        (FIVE, "critical", "fail"),
        (FIVE, "high", "pass"),
        (dict.fromkeys(FIVE, "na"), "", "unsure"),
        ({}, "", None),
    ],
)
def test_all_five_are_needed(answers, severity, outcome):
    assert rub.outcome_of(CLINICAL, answers, severity) == outcome


def test_fails_can_be_allowed_and_a_criterion_left_out_of_the_rule():
    one = rub.rubric_from(broken(outcome={"rule": "needed", "fails_allowed": 1}), "x")
    assert rub.outcome_of(one, FIVE | {"safety": "fail"}) == "pass"
    assert rub.outcome_of(one, FIVE | {"safety": "fail", "task": "fail"}) == "fail"
    loose = rub.rubric_from(broken(criteria__4__needed=False), "x")
    assert rub.outcome_of(loose, FIVE | {"safety": "fail"}) == "pass"
    assert rub.outcome_of(rub.ready()["audit"], {"correct": "no"}) is None  # there the reader decides


def test_a_workspace_adds_edits_and_takes_back_rubrics(tmp_path):
    own = rub.rubric_from(broken(title="Ours"), "x")
    rub.keep_rubric(tmp_path, own)
    rub.keep_rubric(tmp_path, rub.rubric_from(broken(id="ours"), "x"))
    (tmp_path / "rubrics" / "bad.json").write_text("{")
    (tmp_path / "rubrics" / "latin.json").write_bytes(b'"\xe9"')
    (tmp_path / "rubrics" / "named.json").write_text(rub.json_of(own))
    found, problems = rub.rubrics(tmp_path)
    assert list(found) == ["audit", "clinical-sft", "labels", "ours"] and found["clinical-sft"].title == "Ours"
    assert [text.split(":")[0] for text in problems] == ["bad.json", "latin.json", "named.json"]
    assert "it must be the file's name" in problems[2]
    with pytest.raises(InputError, match=r"^bad\.json: it is no JSON"):
        rub.rubric_named(tmp_path, "bad")
    with pytest.raises(InputError, match="There is no rubric 'none'; there are audit, clinical-sft, labels, ours"):
        rub.rubric_named(tmp_path, "none")
    assert rub.forget_rubric(tmp_path, "clinical-sft") and not rub.forget_rubric(tmp_path, "clinical-sft")
    assert not rub.forget_rubric(tmp_path, "../rubrics/ours")
    assert rub.rubric_named(tmp_path, "clinical-sft") == CLINICAL


def test_a_verdict_keeps_everything_and_its_version_of_the_rubric(store, drawn):
    assert rubric_of(store, drawn.id).id == "audit"
    use_rubric(store, drawn.id, CLINICAL, "Ada")
    verdict = given(
        drawn, outcome="fail", answers=FIVE | {"uncertainty": "fail", "uncertainty.detail": "over"},
        answer_notes={"uncertainty": "States 100 %", "task": ""}, error_types=("fact", "dose"), severity="high", high_stakes=True,
        guideline="[NICE](javascript:alert(1)) NG136 §1.4", correction="About 60 %.", note="n",
    )  # fmt: skip
    save_verdicts(store, [verdict])
    save_verdicts(store, [verdict])
    (kept,) = all_verdicts(store, drawn.id)
    assert kept.answer_notes == {"uncertainty": "States 100 %"} and kept.error_types == ("dose", "fact")
    assert kept.correction == "About 60 %." and kept.guideline.startswith("[NICE](") and kept.high_stakes is True
    edited = rub.rubric_from(broken(title="Second version"), "x")
    use_rubric(store, drawn.id, edited, "Ada")
    assert rubric_of(store, drawn.id) == edited
    assert rubric_kept(store, all_verdicts(store, drawn.id)[0].rubric) == CLINICAL


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answers": FIVE | {"taste": "pass"}}, "answers 'taste', which the rubric"),
        ({"answers": FIVE | {"safety": "yes"}}, "an answer is one of pass, minor, fail, na"),
        ({"answers": FIVE | {"uncertainty.detail": "sideways"}}, "one of under, ok, over"),
        ({"answers": FIVE | {"safety": "fail"}}, "the rule of the rubric 'Clinical SFT, five criteria' makes it fail"),
        ({"answers": {"task": "pass"}}, "cannot tell before every needed criterion is answered"),
        ({"outcome": "fail"}, "makes it pass"),
        ({"error_types": ("typo",)}, "the error type 'typo'"),
        ({"severity": "grave"}, "the severity 'grave'"),
        ({"answer_notes": {"taste": "x"}}, "a note on 'taste'"),
        ({"correction": " "}, "an empty correction"),
        ({"correction": "x" * 200_001}, "a correction of over 200,000"),
        ({"guideline": "a\x00"}, "NUL character in its guideline"),
        ({"rubric": "f" * 64}, "is not in .*reviews.sqlite"),
    ],
)
def test_what_the_rubric_does_not_allow_is_refused_and_nothing_saved(store, drawn, changes, message):
    store_rubric(store, CLINICAL)
    with pytest.raises(InputError, match=message):
        save_verdicts(store, [given(drawn, **changes)])
    assert all_verdicts(store, drawn.id) == []


def test_unsure_and_undo_need_no_complete_answers(store, drawn):
    store_rubric(store, CLINICAL)
    save_verdicts(store, [given(drawn, outcome="unsure", answers={})])
    save_verdicts(store, [given(drawn, "c1", outcome="withdrawn", answers={}, supersedes=("c0",))])
    assert current_verdicts(store, drawn.id) == []


def test_two_windows_that_differ_in_a_correction_alone_are_in_conflict(store, drawn):
    store_rubric(store, CLINICAL)
    save_verdicts(store, [given(drawn, correction="one"), given(drawn, "c1", correction="two")])
    (entry,) = current_verdicts(store, drawn.id)
    assert entry.conflict


def test_a_proposed_edit_is_accepted_replaced_and_withdrawn(store, drawn):
    store_rubric(store, CLINICAL)
    save_verdicts(store, [given(drawn, correction="one"), given(drawn, "c1", 1, reviewer="Bo", correction="two")])
    first, second = proposals(current_verdicts(store, drawn.id), edits(store))
    assert (first.record_id, first.text, first.by, first.decision) == (IDS[0], "one", "Ada", "")
    decide(store, first, "accept", "Cy")
    decide(store, second, "reject", "Cy")
    assert {k: (v.text, v.proposed_by, v.created_by) for k, v in accepted(store).items()} == {
        IDS[0]: ("one", "Ada", "Cy")
    }
    assert [p.decision for p in proposals(current_verdicts(store, drawn.id), edits(store))] == ["accept", "reject"]
    decide(store, replace(first, text="better", by="Bo"), "accept", "Cy")
    assert accepted(store)[IDS[0]].text == "better"
    assert proposals(current_verdicts(store, drawn.id), edits(store))[0].decision == ""
    decide(store, first, "withdraw", "Cy")
    assert accepted(store) == {} and len(edits(store)) == 4
    with pytest.raises(InputError, match="is not known"):
        decide(store, first, "delete", "Cy")


def test_a_database_of_the_first_layout_is_brought_up_to_date_with_all_it_holds(tmp_path):
    path = tmp_path / "reviews.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(OLD.read_text("utf-8"))
        before = connection.execute(
            "SELECT client_id, outcome, answers, note, seconds FROM verdicts ORDER BY 1"
        ).fetchall()
    assert len(before) == 6
    store = open_store(tmp_path)
    with sqlite3.connect(path) as connection:
        after = connection.execute(
            "SELECT client_id, outcome, answers, note, seconds FROM verdicts ORDER BY 1"
        ).fetchall()
        assert connection.execute("SELECT value FROM quadrant_meta WHERE key='schema'").fetchone() == (
            str(SCHEMA_VERSION),
        )
        # An older program that still runs knows nothing of the new columns and can go on saving.
        connection.execute(
            "INSERT INTO verdicts (client_id, sample_id, record_id, record_digest, reviewer, outcome, answers, note, created_at,"
            " received_at, supersedes) SELECT 'late', sample_id, record_id, record_digest, 'Cy', outcome, answers, note,"
            " created_at, received_at, '[]' FROM verdicts WHERE client_id='c0'"
        )
    assert after == before
    (sample,) = samples(store)
    kept = {v.client_id: v for v in all_verdicts(store, sample.id)}
    assert kept["late"].rubric == "" and kept["c1"].note == "dose é" and kept["c0"].error_types == ()
    assert kept["c0"].high_stakes is False and kept["c0"].correction is None and kept["c0"].answer_notes == {}
    assert len(ledger(store)) == 1 and len(subsets(store)) == 1
    assert rubric_of(store, sample.id).id == "audit"
    use_rubric(store, sample.id, CLINICAL, "Ada")
    record = sample_records(store, sample.id)[5]
    verdict = given(sample, "new")
    save_verdicts(store, [replace(verdict, record_id=record.record_id, record_digest=record.record_digest)])
    assert len(all_verdicts(open_store(tmp_path), sample.id)) == 8
    new = open_store(tmp_path / "new.sqlite")
    shapes = []
    for file in (path, Path(new.name)):
        with sqlite3.connect(file) as connection:
            names = [
                row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY 1")
            ]
            columns = {n: sorted(tuple(c[1:5]) for c in connection.execute(f"PRAGMA table_info({n})")) for n in names}
            shapes.append({n: c for n, c in columns.items() if not n.startswith("sqlite_")})
    assert shapes[0] == shapes[1], "an upgraded database has the same tables and columns as a new one"


def test_an_upgrade_that_fails_half_way_changes_nothing(tmp_path, monkeypatch):
    import core.review.schema as schema

    path = tmp_path / "reviews.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(OLD.read_text("utf-8"))
    content = path.read_bytes()

    def stop(connection):
        schema.tables().metadata.create_all(connection)
        raise WorkspaceError("stopped")

    monkeypatch.setattr(schema, "_bring_up_to_date", stop)
    with pytest.raises(WorkspaceError, match="stopped"):
        open_store(tmp_path)
    assert path.read_bytes() == content


def test_a_newer_database_is_refused(tmp_path):
    store = open_store(tmp_path)
    with sqlite3.connect(store.name) as connection:
        connection.execute("UPDATE quadrant_meta SET value='99' WHERE key='schema'")
    with pytest.raises(WorkspaceError, match="written by a newer version"):
        open_store(tmp_path)


def test_what_stands_is_read_once_and_then_only_what_is_new(store, drawn, monkeypatch):
    """Another process's verdicts, late clocks, and a database put back are all seen; the answer is that of a full reading."""
    from core.review import history
    from core.review.verdicts import standing

    def agree(other):
        for reviewer in (None, "Ada", "Bo"):
            assert current_verdicts(store, drawn.id, reviewer) == standing(all_verdicts(other, drawn.id, reviewer))
        assert all_verdicts(store, drawn.id) == all_verdicts(other, drawn.id)

    def plain(client_id, n, **changes):
        return replace(Verdict(client_id, drawn.id, IDS[n], IDS[n][:16], "Ada", "pass"), **changes)

    assert current_verdicts(store, drawn.id) == []
    elsewhere = open_store(Path(store.name))  # another server on the same database
    save_verdicts(elsewhere, [plain("a", 0), plain("b", 1), plain("c", 1, reviewer="Bo", outcome="fail")])
    agree(open_store(Path(store.name)))
    reads = []
    whole = history.History._read
    monkeypatch.setattr(history.History, "_read", lambda self, c, since: (reads.append(since), whole(self, c, since)))
    save_verdicts(elsewhere, [plain("a2", 0, outcome="fail", supersedes=("a",))])
    assert current_verdicts(store, drawn.id)[0].verdict.outcome == "fail"
    current_verdicts(store, drawn.id)
    assert len(reads) == 1 and reads[0] > "2", "one short read of what is new, then none"
    with sqlite3.connect(store.name) as connection:  # a server whose clock is an hour late
        connection.execute("UPDATE verdicts SET received_at='2020-01-01T00:00:00.000Z' WHERE client_id='c'")
        connection.execute(
            "INSERT INTO verdicts (client_id, sample_id, record_id, record_digest, reviewer, outcome, answers, note, created_at,"
            " received_at, supersedes) SELECT 'late', sample_id, record_id, record_digest, reviewer, 'unsure', answers, note,"
            " created_at, '2020-01-01T00:00:00.000Z', '[\"b\"]' FROM verdicts WHERE client_id='b'"
        )
    assert reads == reads[:1] and len(current_verdicts(store, drawn.id)) == 3 and reads[-1] == ""
    agree(open_store(Path(store.name)))
    with sqlite3.connect(store.name) as connection:
        connection.execute("DELETE FROM verdicts WHERE client_id != 'a'")
    assert [one.verdict.client_id for one in current_verdicts(store, drawn.id)] == ["a"]


def test_tables_and_columns_that_are_missing_are_added_on_both_databases(database):
    """What the first layout lacked, taken away from a database of now: brought back when it is opened, rows and all."""
    from sqlalchemy import text

    from core.review.schema import writing

    store = open_store(database)
    sample = add_sample(store, draw_random(IDS, 10, 7), name="Audit", role="training", dataset_digest="d1", by="Ada")
    save_verdicts(
        store, [Verdict("a", sample.id, IDS[0], IDS[0][:16], "Ada", "fail", {"correct": "no"}, "n", rubric="")]
    )
    with writing(store) as connection:
        for column in ("rubric", "answer_notes", "error_types", "severity", "high_stakes", "guideline", "correction"):
            connection.execute(text(f"ALTER TABLE verdicts DROP COLUMN {column}"))
        for table in ("sample_rubrics", "edits", "rubrics"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("UPDATE quadrant_meta SET value='1' WHERE key='schema'"))
    again = open_store(database)
    (kept,) = all_verdicts(again, sample.id)
    assert kept == Verdict(
        "a", sample.id, IDS[0], IDS[0][:16], "Ada", "fail", {"correct": "no"}, "n", created_at=kept.created_at
    )
    use_rubric(again, sample.id, CLINICAL, "Ada")
    save_verdicts(again, [given(sample, "b", 1, correction="x", high_stakes=True, error_types=("fact",))])
    assert all_verdicts(again, sample.id)[1].correction == "x" and rubric_of(again, sample.id) == CLINICAL
