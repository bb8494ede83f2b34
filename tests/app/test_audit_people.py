"""People at an audit over a small workspace: draws of every kind, queues, adjudication, calibration, rules, and nothing that leaks."""

import hashlib

import pytest

from core.actions.auditing import draw_audit
from core.actions.decisions import decided, open_reviews
from core.actions.highstakes import set_rule
from core.actions.readiness import Rules, rules, set_rules
from core.review.people import Person, keep_person, people
from core.review.samples import sample_records, samples
from core.review.verdicts import Verdict, save_verdicts
from core.workspace import open_workspace
from tests.app.test_audit import open_as, read, said


@pytest.fixture
def space(home):
    return open_workspace(home / "small")


def newest(space):
    return samples(open_reviews(space))[0]


@pytest.mark.parametrize("method", ["stratified", "risk", "high-stakes", "follow-up"])
def test_every_kind_of_sample_is_drawn_by_the_form_and_checked(space, start, monkeypatch, method):
    first, _ = draw_audit(space, 10, 7)
    read(space, first, "ada", "f" + "p" * 9)
    set_rule(space, {"category": ["dose"]}, space.need())
    at = open_as(start, "audit", "ada", monkeypatch)
    at.selectbox(key="audit.method").set_value(method).run()
    assert not at.exception, at.exception[0].value
    if method != "high-stakes":
        at.number_input(key="audit.size").set_value(8)
    at.button(key="audit.draw.submit").click().run()
    assert not at.exception, at.exception[0].value
    made = newest(space)
    assert made.id != first.id and made.recipe["how"] == method and made.recipe["double"]["share"] == 0.1
    words = {"stratified": "stratified by category", "risk": "Every record had a chance", "high-stakes": "all of them are in it",
             "follow-up": "that nobody had read"}  # fmt: skip
    assert words[method] in said(at)
    at.button(key="audit.verify").click().run()
    assert not at.exception and f"the same {made.size} records in the same order" in at.success[0].value.replace(
        "\\", ""
    )


def test_a_second_reader_reads_the_share_and_sees_what_others_said_of_it_alone(space, start, monkeypatch):
    sample, _ = draw_audit(space, 50, 7, double=0.1)
    read(space, sample, "ada", "f" * 50)
    store = open_reviews(space)
    keep_person(store, Person("bea", "second"), "boss")
    at = open_as(start, "audit", "bea", monkeypatch)
    assert "Mine: 5 of 5 to read" in said(at) and "Verdicts of ada are hidden" in said(at)
    records = sample_records(store, sample.id)
    for n, position in enumerate(sample.recipe["double"]["positions"]):
        r = records[position]
        save_verdicts(store, [Verdict(f"b{n}", sample.id, r.record_id, r.record_digest, "bea", "fail")])
    at = open_as(start, "audit", "bea", monkeypatch)
    assert "You have read your 5 records" in said(at) and "5 of 5 judged records" in said(at)


def test_nothing_on_the_agreement_page_tells_a_blind_reader(space, start, monkeypatch):
    sample, _ = draw_audit(space, 50, 7)
    read(space, sample, "ada", "f" * 5 + "p" * 45)
    read(space, sample, "bea", "p" * 10)
    at = open_as(start, "agreement", "bea", monkeypatch)
    assert "Verdicts of ada are hidden" in said(at)
    assert not at.metric, "no agreement, which would tell how many of the own verdicts differ"
    assert not any("ada" in str(table.value.to_dict()) for table in [*at.dataframe, *at.table])
    button = next(one for one in at.button if one.label == "Show all verdicts")
    button.click().run()
    assert not at.exception and {m.label: m.value for m in at.metric}["Raw agreement"] == "50.0%"


def test_an_advisor_decides_blind_to_names_and_the_result_follows(space, start, monkeypatch):
    sample, ids = draw_audit(space, 50, 7)
    read(space, sample, "ada", "f" + "p" * 49)
    read(space, sample, "bea", "p" * 49 + "f")
    store = open_reviews(space)
    at = open_as(start, "audit", "dora", monkeypatch)
    assert "adjudicate" not in said(at), "how much is disputed would tell a reader how often they differ"
    at = open_as(start, "agreement", "ada", monkeypatch)
    assert "2 records are disputed" in said(at).replace("*", "") and "Nobody is entered as one yet" in said(at)
    keep_person(store, Person("cat", "advisor"), "boss")
    at = open_as(start, "audit", "cat", monkeypatch)
    assert "2 to adjudicate, 0 decided" in said(at) and "Reader A" in said(at) and "Reader B" in said(at)
    assert "**ada**" not in said(at)
    key = f"audit.decide.{sample.id[:8]}"
    case = next(one for one in at.radio if one.key.startswith(f"{key}.outcome")).key.rsplit(".", 1)[1]
    at.button(key=f"{key}.go.{case}").click().run()
    assert "Choose pass, fail or unsure" in said(at) and decided(store, sample) == {}
    at.radio(key=f"{key}.outcome.{case}").set_value("fail")
    at.text_area(key=f"{key}.reason.{case}").set_value("the dose is *ten* times too high")
    at.button(key=f"{key}.go.{case}").click().run()
    assert not at.exception, at.exception[0].value
    assert decided(store, sample)[case].outcome == "fail" and decided(store, sample)[case].adjudicator == "cat"
    told = said(at) + at.success[0].value
    assert "**ada**" in told and "Final verdict: **fail**" in told and "1 to adjudicate, 1 decided" in told
    at = open_as(start, "audit", "ada", monkeypatch)
    assert "1 with an issue" in said(at) or "1 of 50" in said(at)
    at = open_as(start, "agreement", "ada", monkeypatch)
    finals = next(d.value for d in at.dataframe if "decided" in d.value.columns)
    assert set(finals["decided"]) == {"1 of 1", "0 of 1"}
    assert any("records, as read" in d.value.columns for d in at.dataframe)


def test_people_and_rules_are_entered_on_the_agreement_page(space, start, monkeypatch):
    at = open_as(start, "agreement", "ada", monkeypatch)
    at.button_group(key="agreement.view").set_value("People").run()
    assert not at.exception and "no sign-in: names are picked, and anyone can pick any name" in said(at)
    at.text_input(key="agreement.person.name.0").set_value("Dr Cat")
    at.text_input(key="agreement.person.credential.0").set_value("MD")
    at.selectbox(key="agreement.person.role.0").set_value("advisor")
    at.button(key="agreement.person.keep.0").click().run()
    assert not at.exception and people(open_reviews(space))["Dr Cat"].role == "advisor"
    at.number_input(key="agreement.rules.mark").set_value(85)
    at.checkbox(key="agreement.rules.required").check()
    at.button(key="agreement.rules.keep").click().run()
    assert not at.exception and rules(space).mark == 0.85 and rules(space).required


def test_reading_waits_for_calibration_where_the_workspace_insists(home, space, start, tmp_path, monkeypatch):
    from core.dataset.importing import import_file
    from tests.app.conftest import rows, write_jsonl

    sample, _ = draw_audit(space, 50, 7)
    path = write_jsonl(
        tmp_path / "gold.jsonl", [{**row, "verdict": "fail" if n % 2 else "pass"} for n, row in enumerate(rows(10))]
    )
    space.add("gold", path.name, lambda folder: import_file(path, folder, "gold"))
    at = open_as(start, "audit", "ada", monkeypatch)
    assert "has not read the gold records yet" in said(at) and "You can read on" in said(at)
    mounted = f"audit.reviewer.{sample.id}.{hashlib.blake2b(b'ada', digest_size=6).hexdigest()}.whole"
    assert mounted in at.session_state
    set_rules(space, Rules(required=True))
    at = open_as(start, "audit", "ada", monkeypatch)
    assert "this workspace requires it" in said(at)
    assert mounted not in at.session_state


def test_a_reader_who_did_not_pass_reads_another_round(home, space, start, tmp_path, monkeypatch):
    from core.actions.readiness import current_round, readiness
    from core.dataset.importing import import_file
    from tests.app.conftest import rows, write_jsonl

    path = write_jsonl(tmp_path / "gold.jsonl", [{**row, "verdict": "fail"} for row in rows(10)])
    space.add("gold", path.name, lambda folder: import_file(path, folder, "gold"))
    first = current_round(space, "ada")
    read(space, first, "ada", "pp" + "f" * 8)
    at = open_as(start, "agreement", "ada", monkeypatch)
    at.button_group(key="agreement.view").set_value("Gold records").run()
    assert not at.exception, at.exception[0].value
    assert "Not passed" in said(at) and "8 of 10" in said(at) and "The pass mark is 90%" in said(at)
    at.button(key="agreement.gold.again").click().run()
    assert not at.exception and "10 of 10 are unread" in said(at)
    second = newest(space)
    assert second.recipe["round"] == 2 and second.id != first.id
    store = open_reviews(space)
    save_verdicts(store, [
        Verdict(f"second{n}", second.id, r.record_id, r.record_digest, "ada", "fail")
        for n, r in enumerate(sample_records(store, second.id))
    ])  # fmt: skip
    at.run()
    assert not at.exception and "Passed." in at.success[0].value and "This is round 2" in said(at)
    assert readiness(space, "ada").ready
