"""The rubric of a sample on the audit page, the form that edits it, and corrections that are accepted and exported."""

import json

import pytest

from core.actions.auditing import draw_audit
from core.actions.decisions import open_reviews
from core.review.edits import accepted
from core.review.rubric_store import rubric_of, use_rubric
from core.review.rubrics import ready, rubrics
from core.review.samples import sample_records
from core.review.verdicts import Verdict, save_verdicts
from core.workspace import open_workspace
from tests.app.test_audit import open_as

CLINICAL = ready()["clinical-sft"]


@pytest.fixture
def space(home):
    return open_workspace(home / "small")


@pytest.fixture
def sample(space):
    return draw_audit(space, 10, 7, by="Ada")[0]


def test_a_sample_is_read_with_the_rubric_that_is_chosen_for_it(space, sample, start, monkeypatch):
    at = open_as(start, "audit", "Bo", monkeypatch)
    at.selectbox(key="audit.rubric.pick").select("clinical-sft").run()
    at.button(key="audit.rubric.use").click().run()
    assert not at.exception
    assert rubric_of(open_reviews(space), sample.id) == CLINICAL


def test_the_form_makes_of_an_unchanged_rubric_the_same_version_and_of_a_changed_one_a_new(
    space, sample, start, monkeypatch
):
    at = open_as(start, "audit", "Bo", monkeypatch)
    at.selectbox(key="audit.rubric.pick").select("clinical-sft").run()
    at.button(key="audit.rubric.edit").click().run()
    stamp = CLINICAL.digest[:8]
    at.button(key="audit.rubric.save").click().run()
    assert not at.exception and rubrics(space.path)[0]["clinical-sft"].digest == CLINICAL.digest
    at.button(key="audit.rubric.edit").click().run()
    at.text_input(key=f"audit.rubric.title.{stamp}").set_value("Ours")
    at.button(key="audit.rubric.save").click().run()
    assert not at.exception
    now = rubrics(space.path)[0]["clinical-sft"]
    assert now.title == "Ours" and now.digest != CLINICAL.digest
    assert now.criteria == CLINICAL.criteria and now.failing_severity == ("critical",), "only the title has changed"


def test_a_bad_edit_is_refused_and_an_earlier_version_is_offered_anew(space, sample, start, monkeypatch):
    store = open_reviews(space)
    use_rubric(store, sample.id, CLINICAL, "Ada")
    at = open_as(start, "audit", "Bo", monkeypatch)
    at.button(key="audit.rubric.edit").click().run()
    at.segmented_control(key="audit.rubric.how").set_value("JSON").run()
    key = f"audit.rubric.json.{CLINICAL.digest[:8]}"
    at.text_area(key=key).set_value(json.dumps({**CLINICAL.data, "title": ""}))
    at.button(key="audit.rubric.save").click().run()
    assert "title has 0 characters" in at.error[0].value
    at.text_area(key=key).set_value(json.dumps({**CLINICAL.data, "title": "Second"}))
    at.button(key="audit.rubric.save").click().run()
    assert rubric_of(store, sample.id) == CLINICAL, "what is being read stays"
    at = open_as(start, "audit", "Bo", monkeypatch)
    at.button(key="audit.rubric.newer").click().run()
    assert rubric_of(store, sample.id).title == "Second"


def test_a_correction_is_compared_accepted_and_offered_at_the_export(space, sample, start, monkeypatch):
    store = open_reviews(space)
    use_rubric(store, sample.id, CLINICAL, "Ada")
    record = sample_records(store, sample.id)[0]
    answers = {"accuracy": "fail"}
    verdict = Verdict(
        "c",
        sample.id,
        record.record_id,
        record.record_digest,
        "Bo",
        "fail",
        answers,
        rubric=CLINICAL.digest,
        correction="Right.",
    )
    save_verdicts(store, [verdict])
    at = open_as(start, "audit", "Bo", monkeypatch)
    at.segmented_control(key="audit.view").set_value("Corrections").run()
    assert not at.exception
    at.button(key="audit.edit.accept.c").click().run()
    assert not at.exception and accepted(store)[record.record_id].text == "Right."
    at = open_as(start, "export", "Bo", monkeypatch)
    at.selectbox(key="export.format").select("jsonl").run()
    assert at.checkbox(key="export.corrections").value is True
    at.button(key="export.write").click().run()
    assert not at.exception
    (manifest,) = (space.path / "exports").glob("*.manifest.json")
    (told,) = json.loads(manifest.read_text("utf-8"))["subset"]["corrections"]
    assert told["record_id"] == record.record_id and told["proposed_by"] == "Bo"


def test_a_record_tells_its_place_and_shows_how_it_differs_from_its_neighbours(space):
    from core.influence.selection.quadrant import QUADRANTS
    from core.quality.duplicates import load_pairs
    from core.steps import current
    from pages.ui import audit_place

    data = space.need()
    ids = data.ids()
    told = audit_place.about(space, data)([*ids, "gone-1"])
    assert set(told) == set(ids)
    facts = dict(told[ids[0]]["facts"])
    influence = current(space, "influence").table(["influence"]).column(0).to_pylist()
    assert facts["influence"] == f"{influence[0]:+.3g}" and facts["quadrant (medians)"] in QUADRANTS.values()
    result = current(space, "duplicates")
    pairs = load_pairs(result).over(max(result.info["floor"], result.params["threshold"]))
    counts = {i: 0 for i in ids}
    for a, b in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True):
        counts[ids[a]] += 1
        counts[ids[b]] += 1
    assert any(counts.values())
    for one in ids:
        said = told[one]["near"] or ""
        assert ("near-duplicate" in said) == bool(counts[one])
        assert not counts[one] or said.startswith(f"{counts[one]} near-duplicate")
    one = max(ids, key=lambda i: counts[i])
    cards = audit_place.near(space, data)(one)
    assert 0 < len(cards) <= audit_place.MOST + 1
    assert all(card["parts"] for card in cards if "more are" not in card["title"])
    whole = data.table(["record_id", "response"]).to_pylist()
    mine = next(row["response"] for row in whole if row["record_id"] == one)
    part = next(part for part in cards[0]["parts"] if part["name"] == "response")
    assert "".join(text for _, text in part["sides"][0]) == mine
    assert audit_place.near(space, data)("gone-1") == []
