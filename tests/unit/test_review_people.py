"""Who reads, calibration, queues, adjudication, agreement with the final verdict and drift; on SQLite and on PostgreSQL."""

import json
import sqlite3
from dataclasses import replace

import pytest

from core.actions.decisions import audit_summary, final_by_record, open_reviews
from core.actions.readiness import Rules, current_round, first_reading, next_round, readiness, rules, set_rules
from core.actions.reporting import findings
from core.dataset.importing import import_file
from core.errors import InputError, MissingInput
from core.review.adjudication import (
    adjudicate,
    adjudications,
    changed_since,
    final_outcomes,
    in_force,
    open_cases,
    shown,
)
from core.review.people import Person, by_email, keep_person, people, person, remove_person
from core.review.queues import queues
from core.review.readers import against_final, cochran_armitage, drift, final_of
from core.review.report import report
from core.review.samples import add_sample, sample_records
from core.review.sampling import double_positions, draw_random
from core.review.schema import SCHEMA_VERSION, open_store
from core.review.verdicts import Verdict, current_verdicts, save_verdicts
from core.workspace import open_workspace

IDS = [f"{i:016x}-1" for i in range(60)]
WORD = {"p": "pass", "f": "fail", "u": "unsure"}


@pytest.fixture
def store(database):
    return open_store(database)


@pytest.fixture
def drawn(store):
    draw = draw_random(IDS, 10, 7)
    draw = replace(draw, recipe={**draw.recipe, "double": {"share": 0.3, "positions": double_positions(10, 0.3, 7)}})
    return add_sample(store, draw, name="Audit", role="training", dataset_digest="d1", by="ada")


def read(store, sample, who, outcomes, day=1, start=0):
    records = sample_records(store, sample.id)
    save_verdicts(store, [
        Verdict(f"{who}{sample.id[:6]}{n}-{day}", sample.id, r.record_id, r.record_digest, who, WORD[one],
                created_at=f"2026-03-{day + n // 3:02d}T09:{n:02d}:00Z", seconds=10.0 + n)
        for n, (r, one) in enumerate(zip(records[start:], outcomes, strict=False), start)
    ])  # fmt: skip
    return current_verdicts(store, sample.id)


def test_people_are_kept_changed_and_taken_off_the_list(store):
    keep_person(store, Person("  Ada   Meyer ", "advisor", "cardiology", "MD", "Ada@Clinic.org"), "boss")
    keep_person(store, Person("Bea"), "boss")
    assert list(people(store)) == ["Ada Meyer", "Bea"] and people(store)["Ada Meyer"].email == "ada@clinic.org"
    assert people(store)["Ada Meyer"].title == "Ada Meyer, MD, cardiology (advisor)"
    assert by_email(store, "ADA@clinic.org").name == "Ada Meyer" and by_email(store, "") is None
    keep_person(store, replace(people(store)["Ada Meyer"], role="second"), "boss")
    assert person(store, "Ada Meyer").role == "second" and person(store, "Nobody").role == "annotator"
    with pytest.raises(InputError, match="belongs to Ada"):
        keep_person(store, Person("Bea", email="ada@clinic.org"), "boss")
    for bad, why in (
        (Person(" "), "name"),
        (Person("X", "king"), "role"),
        (Person("X", email="x"), "e-mail"),
        (Person("X" * 81), "over"),
    ):
        with pytest.raises(InputError, match=why):
            keep_person(store, bad, "boss")
    remove_person(store, "Ada Meyer", "boss")
    assert list(people(store)) == ["Bea"] and list(people(store, gone=True)) == ["Ada Meyer", "Bea"]
    assert by_email(store, "ada@clinic.org") is None
    with pytest.raises(MissingInput):
        remove_person(store, "Ada Meyer", "boss")


def test_queues_are_whole_or_the_double_share_and_count_what_is_left(store, drawn):
    records = sample_records(store, drawn.id)
    twice = [records[n].record_id for n in double_positions(10, 0.3, 7)]
    standings = read(store, drawn, "ada", "pppff")
    high = {records[1].record_id, records[9].record_id}
    first = queues(drawn, records, "ada", "annotator", standings, {}, high)
    assert list(first) == ["mine", "high", "decide"] and first["mine"].left == 5 and first["high"].left == 1
    second = queues(drawn, records, "bea", "second", standings, {}, high)
    assert [r.record_id for r in second["mine"].records] == twice and second["mine"].left == 3
    assert [r.position for r in second["mine"].records] == [0, 1, 2] and len(second["all"].records) == 10
    assert second["decide"].left == 0
    undoubled = replace(drawn, recipe={})
    assert len(queues(undoubled, records, "bea", "second", standings, {}, high)["mine"].records) == 10
    standings = read(store, drawn, "bea", "fpppf")
    assert queues(drawn, records, "cat", "advisor", standings, {}, high)["decide"].left == 2


def test_an_advisor_decides_with_a_reason_and_nothing_is_lost(store, drawn):
    keep_person(store, Person("cat", "advisor"), "boss")
    read(store, drawn, "ada", "ppffu")
    standings = read(store, drawn, "bea", "pfpff")
    ids = [r.record_id for r in sample_records(store, drawn.id)]
    assert open_cases(standings, {}) == [ids[1], ids[2], ids[4]]

    def decide(n, outcome, reason="because", by="cat", token=None, **more):
        return adjudicate(
            store, drawn.id, ids[n], outcome, reason, by, standings=standings, token=token or f"t{n}{outcome}", **more
        )

    for call, why in (
        (lambda: decide(1, "fail", by="ada"), "entered as annotator"),
        (lambda: decide(1, "fail", reason=" "), "reason"),
        (lambda: decide(1, "maybe"), "not 'maybe'"),
        (lambda: decide(7, "fail"), "Nobody has read"),
        (lambda: decide(1, "fail", by="ada", allowed=("annotator",)), "own verdict"),
    ):
        with pytest.raises(InputError, match=why):
            call()
    assert adjudications(store, drawn.id) == []
    made = decide(1, "fail", "the dose is wrong")
    assert decide(1, "fail", "the dose is wrong") == made, "a double click is one decision"
    assert [(one["reviewer"], one["outcome"]) for one in made.settled] == [
        ("ada", "pass"),
        ("bea", "fail"),
    ] and made.role == "advisor"
    force = in_force(adjudications(store, drawn.id))
    assert open_cases(standings, force) == [ids[2], ids[4]] and final_outcomes(standings, force)[ids[1]] == "fail"
    assert final_by_record(store, drawn)[ids[1]] == "fail"

    own = [entry for entry in standings if entry.verdict.reviewer == "ada"]
    assert shown(force, own) == {} and final_outcomes(own, force)[ids[1]] == "pass", "a blind reader does not learn it"
    assert audit_summary(store, drawn, own).failed == 2 and audit_summary(store, drawn).failed == 2
    assert audit_summary(store, drawn).disputed == 2

    decide(1, "pass", "on second thoughts", token="again")
    assert final_by_record(store, drawn)[ids[1]] == "pass" and len(adjudications(store, drawn.id)) == 2
    decide(1, "withdrawn", "open again", token="w")
    assert final_by_record(store, drawn)[ids[1]] == "disputed" and len(adjudications(store, drawn.id)) == 3
    kept = decide(1, "fail", token="last")
    assert not changed_since(kept, standings)
    before = next(e.verdict for e in standings if e.verdict.reviewer == "ada" and e.verdict.record_id == ids[1])
    save_verdicts(store, [replace(before, client_id="new", outcome="fail", supersedes=(before.client_id,))])
    later = current_verdicts(store, drawn.id)
    assert changed_since(kept, later) and final_by_record(store, drawn)[ids[1]] == "fail"


def test_advisors_who_decide_at_once_are_all_kept_and_the_last_stands(store, drawn):
    """Four at once, each decision sent twice as after a lost answer: every one once, in one order for everybody."""
    from concurrent.futures import ThreadPoolExecutor

    for name in "wxyz":
        keep_person(store, Person(name, "advisor"), "boss")
    read(store, drawn, "ada", "p" * 10)
    standings = read(store, drawn, "bea", "f" * 10)
    ids = [r.record_id for r in sample_records(store, drawn.id)]

    def decide(job):
        who, n = job
        outcome = "pass" if who in "wx" else "fail"
        for _ in range(2):
            adjudicate(store, drawn.id, ids[n], outcome, f"{who} says so", who, standings=standings, token=f"{who}{n}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(decide, [(who, n) for n in range(10) for who in "wxyz"] * 2))  # and each from two places at once
    kept = adjudications(store, drawn.id)
    assert len(kept) == 40 and len({one.token for one in kept}) == 40
    force = in_force(kept)
    assert len(force) == 10 and all(
        one.entry == max(k.entry for k in kept if k.record_id == r) for r, one in force.items()
    )
    assert final_by_record(store, drawn) == {r: one.outcome for r, one in force.items()}


def test_agreement_with_the_final_verdict_by_hand(store, drawn):
    """ada pppff, bea pfpff, and record 1 decided as fail: ada gave 4 of 5 final verdicts and 0 of 1 decided ones; bea all."""
    keep_person(store, Person("cat", "advisor"), "boss")
    read(store, drawn, "ada", "pppff")
    standings = read(store, drawn, "bea", "pfpff")
    ids = [r.record_id for r in sample_records(store, drawn.id)]
    adjudicate(store, drawn.id, ids[1], "fail", "wrong", "cat", standings=standings, token="t")
    force = in_force(adjudications(store, drawn.id))
    ada, bea = against_final(standings, force)
    assert (ada.agreed, ada.decided, ada.agreed_all, ada.settled, ada.passed_bad, ada.failed_good) == (0, 1, 4, 5, 1, 0)
    assert (bea.agreed, bea.decided, bea.agreed_all, bea.settled) == (1, 1, 5, 5)
    assert ada.interval_all.low == pytest.approx(0.3755, abs=1e-4) and ada.interval_all.high == pytest.approx(
        0.9638, abs=1e-4
    )
    assert final_of(standings, force) == {one: WORD[said] for one, said in zip(ids, "pfpff", strict=False)}
    alone = [entry for entry in standings if entry.verdict.reviewer == "ada"]
    assert against_final(alone, {})[0].settled == 0, "one reader alone has no final verdict to agree with"


def test_the_trend_is_that_of_a_published_example():
    """R's prop.trend.test(c(83, 90, 129, 70), c(86, 93, 136, 82)): 8.2249, p 0.004132; with 0, 0, 0, 1: 12.173."""
    found = cochran_armitage([83, 90, 129, 70], [86, 93, 136, 82])
    assert (
        found.z < 0
        and found.z**2 == pytest.approx(8.2249, abs=5e-5)
        and found.p_value == pytest.approx(0.004132, abs=5e-7)
    )
    last = cochran_armitage([83, 90, 129, 70], [86, 93, 136, 82], [0, 0, 0, 1])
    assert last.z**2 == pytest.approx(12.173, abs=5e-4) and last.p_value == pytest.approx(0.0004848, abs=5e-8)
    assert not found.small and cochran_armitage([1, 2], [9, 9]).small
    for nothing in (([0, 0], [5, 5]), ([5, 5], [5, 5]), ([2], [5]), ([], [])):
        assert cochran_armitage(*nothing) is None


def test_drift_by_day_and_by_parts_of_the_reading_order(store, drawn):
    standings = read(store, drawn, "ada", "pppfpfffff")  # three a day: 0, 2, 3 and 1 of 1 with an issue
    (one,) = drift(standings, {})
    assert one.by == "day" and [(p.title, p.failed, p.judged) for p in one.periods] == [
        ("2026-03-01", 0, 3), ("2026-03-02", 2, 3), ("2026-03-03", 3, 3), ("2026-03-04", 1, 1),
    ]  # fmt: skip
    assert one.trend.z > 0 and one.trend.p_value < 0.05 and one.agreement_trend is None
    assert [p.seconds for p in one.periods] == [11, 14, 17, 19] and one.periods[0].settled == 0
    known = {e.verdict.record_id: "fail" for e in standings}
    again = drift(standings, known, by="order")[0]
    assert [(p.title, p.agreed, p.settled) for p in again.periods] == [("1–10", 6, 10)] and again.trend is None
    assert drift(standings, known)[0].agreement_trend.z > 0
    assert [p.title for p in drift(standings, {}, by="week")[0].periods] == ["2026 week 09", "2026 week 10"]


def test_an_older_database_is_brought_up_to_date_with_its_rows(tmp_path):
    path = tmp_path / "reviews.sqlite"
    open_store(path)
    with sqlite3.connect(path) as connection:
        for table in ("people", "adjudications", "sample_frames"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("UPDATE quadrant_meta SET value = '2' WHERE key = 'schema'")
    again = open_store(path)
    assert people(again) == {} and SCHEMA_VERSION == 3
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT value FROM quadrant_meta").fetchone() == ("3",)


# -- calibration, over a workspace -------------------------------------------------------------------------------------------


@pytest.fixture
def space(tmp_path, monkeypatch, database):
    monkeypatch.setenv("QUADRANT_DATABASE_URL", database if "://" in database else f"sqlite:///{database}")
    space = open_workspace(tmp_path / "w")
    for role, count in (("training", 40), ("gold", 10)):
        rows = [
            {"prompt": f"{role} {n}?", "response": f"Answer {n}.", "verdict": "fail" if n % 2 else "pass"}
            for n in range(count)
        ]
        path = tmp_path / f"{role}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        space.add(role, path.name, lambda folder, path=path, role=role: import_file(path, folder, role))
    return space


def judge(space, sample, who, wrong=0, most=None, tag=""):
    """Gold verdicts of `who`: right but for the first `wrong` of the reading order."""
    from core.actions.raters import gold_verdicts

    expected = gold_verdicts(space.need("gold"))
    store = open_reviews(space)
    for n, r in enumerate(sample_records(store, sample.id)[:most]):
        right = expected[r.record_id]
        said = {"pass": "fail", "fail": "pass"}[right] if n < wrong else right
        save_verdicts(
            store, [Verdict(f"{who}{tag}{sample.id[:6]}{n}", sample.id, r.record_id, r.record_digest, who, said)]
        )


def test_calibration_has_a_mark_and_only_the_first_reading_counts(space):
    assert readiness(space, "ada").state == "unread" and readiness(space, "ada").left == 10
    judge(space, current_round(space, "ada"), "ada", most=4)
    assert readiness(space, "ada").state == "reading" and readiness(space, "ada").left == 6
    judge(space, current_round(space, "ada"), "ada")
    found = readiness(space, "ada")
    assert (found.state, found.right, found.of) == ("passed", 10, 10) and found.interval.low == pytest.approx(
        0.7225, abs=1e-4
    )

    judge(space, current_round(space, "bea"), "bea", wrong=2)
    found = readiness(space, "bea")
    assert (found.state, found.right, found.of) == ("failed", 8, 10) and not found.ready
    store = open_reviews(space)
    sample = current_round(space, "bea")
    given = {e.verdict.record_id: e.verdict for e in current_verdicts(store, sample.id, "bea")}
    for n, r in enumerate(
        sample_records(store, sample.id)[:2]
    ):  # what was expected is known now: changing it helps nobody
        before = given[r.record_id]
        turned = {"pass": "fail", "fail": "pass"}[before.outcome]
        save_verdicts(
            store,
            [replace(before, client_id=f"late{n}", outcome=turned, supersedes=(before.client_id,), created_at="")],
        )
    assert readiness(space, "bea").right == 8
    assert first_reading([], 10) is None

    set_rules(space, Rules(mark=0.8, required=True))
    assert readiness(space, "bea").ready and rules(space).required
    set_rules(space, Rules(mark=0.9))
    with pytest.raises(InputError, match="did not pass"):
        next_round(space, "ada")
    second = next_round(space, "bea")
    assert second.id != sample.id and next_round(space, "bea").id == second.id
    judge(space, second, "bea", tag="r2")
    assert readiness(space, "bea").ready and readiness(space, "bea").number == 2
    for bad in (Rules(mark=0), Rules(mark=1.1), Rules(adjudicators=()), Rules(adjudicators=("king",))):
        with pytest.raises(InputError):
            set_rules(space, bad)


def test_the_report_shows_the_final_verdict_its_reason_and_who_decided(space):
    from core.actions.auditing import draw_audit

    store = open_reviews(space)
    keep_person(store, Person("cat", "advisor"), "boss")
    sample, ids = draw_audit(space, 20, 7, double=0.1)
    read(store, sample, "ada", "p" * 20)
    standings = read(store, sample, "bea", "f" + "p" * 19)
    assert findings(space, sample).waiting == 1 and "wait for an adjudicator" in report(findings(space, sample))
    adjudicate(store, sample.id, ids[0], "fail", "omits the *allergy*", "cat", standings=standings, token="t")
    found = findings(space, sample)
    assert (
        found.waiting == 0
        and found.summary.failed == 1
        and found.summary.disputed == 0
        and found.outcomes[ids[0]] == "fail"
    )
    for form in ("markdown", "html"):
        text = report(found, form)
        assert (
            "Adjudicated" in text and "allergy" in text and "cat (advisor)" in text and "0 of 1 decided records" in text
        )
        assert "wait for an adjudicator" not in text
