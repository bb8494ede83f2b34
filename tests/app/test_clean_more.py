"""Leakage, misfits, duplicates by words and fix-ups on their pages."""

import json

from core.actions.decisions import open_reviews
from core.actions.exporting import export_records
from core.actions.summary import metrics
from core.review.edits import accepted
from core.review.ledger import removed_ids
from core.review.samples import samples
from core.steps import current, params_of, run_step, set_params
from tests.app.conftest import fine, metric


def part(start, name):
    at = start("duplicates")
    at.segmented_control(key="duplicates.part").set_value(name).run()
    return fine(at)


def test_leaked_records_are_removed_and_the_metric_moves(space, start):
    before = next(m for m in metrics(space) if m.id == "leakage")
    assert before.verdict == "fail" and before.value > 0  # the validation rows are rows of training
    at = part(start, "leakage")
    button = at.button(key="duplicates.leak.remove")
    assert f"{int(before.value)} from training" in button.label
    button.click().run()
    fine(at).button(key="removal.confirm").click().run()
    fine(at)
    assert len(removed_ids(open_reviews(space))) == before.value
    after = next(m for m in metrics(space) if m.id == "leakage")
    assert (after.value, after.verdict) == (0, "pass")
    assert any("No kept training record leaks" in one.value for one in at.success)


def test_a_benchmark_file_is_named_and_compared(space, start, launched, tmp_path):
    at = part(start, "leakage")
    at.text_input(key="duplicates.leak.path").set_value(str(tmp_path / "none.jsonl")).run()
    at.button(key="duplicates.leak.add").click().run()
    assert any("no file" in one.value for one in fine(at).error) and not launched
    file = tmp_path / "bench.jsonl"
    file.write_text(json.dumps({"prompt": space.need().column("prompt")[0].as_py()}) + "\n", "utf-8")
    at.text_input(key="duplicates.leak.path").set_value(str(file)).run()
    at.button(key="duplicates.leak.add").click().run()
    fine(at)
    assert params_of(space, "leakage")["files"] == [str(file)] and launched == [["run", "leakage"]]
    run_step(space, "leakage")
    assert current(space, "leakage").info["sets"]["bench.jsonl"]["exact"] >= 1


def test_the_measure_of_leakage_slides_without_a_job(space, start, launched):
    at = part(start, "leakage")
    at.segmented_control(key="duplicates.leak.by").set_value("words").run()
    at.slider(key="duplicates.leak.words").set_value(1.0).run()
    fine(at)
    at.button(key="duplicates.leak.everywhere").click().run()
    assert params_of(space, "leakage")["by"] == "words" and launched == [["run", "leakage"]]


def test_groups_by_words_have_a_threshold_of_their_own(space, start, launched):
    at = part(start, "groups")
    at.segmented_control(key="duplicates.by").set_value("words").run()
    fine(at)
    assert any("By words" in one.value for one in at.caption)
    at.slider(key="duplicates.words_threshold").set_value(1.0).run()
    assert any("1 of 60 records to remove, 1 groups" in one.value for one in fine(at).caption)
    at.button(key="duplicates.everywhere").click().run()
    assert params_of(space, "word_duplicates")["threshold"] == 1.0 and launched == [["run", "word_duplicates"]]


def test_too_few_responses_are_said(space, start):
    at = part(start, "misfit")
    assert any("60 records have a response" in one.value for one in at.info)


def test_misfits_go_into_a_queue(space, start, monkeypatch):
    import numpy as np

    from core.quality import misfit

    ids = space.need().ids()
    score = np.zeros(len(ids))
    score[[4, 9]] = 0.4, 0.7
    info = {"threshold": 0.1, "judged": 60, "limit": misfit.LIMIT, "warnings": [], "flagged": 2, "encoder": "stand-in"}
    better = [ids[9] if n == 4 else None for n in range(len(ids))]
    from core.steps import plan
    from core.workspace import Output

    set_params(space, "misfit", {"seed": 7})
    wanted = plan(space, "misfit")
    results = {p.step: space.result(p.step, p.key) for p in wanted.upstream}
    output = Output(misfit._table(ids, score, score, score > 0.1, better), info=info)
    space.compute("misfit", wanted.key, wanted.recipe(), lambda inputs: output, wanted.datasets, results)
    at = part(start, "misfit")
    assert any("70 %" in one.value for one in at.markdown)
    assert any("wrong answer on the right subject" in one.value for one in at.caption), "what it cannot find is said"
    at.button(key="duplicates.misfit.select").click().run()
    assert list(fine(at).session_state["selection"].ids) == [ids[9], ids[4]]
    at.button(key="duplicates.misfit.queue").click().run()
    fine(at)
    found = samples(open_reviews(space))
    assert any("do not fit" in one.name and one.size == 2 for one in found)


def test_fix_ups_are_accepted_applied_and_taken_back(space, start):
    """Twenty answers about cough, two of them without a colon: eighteen labels get the casing that the rule has."""
    rule = {
        "id": "own:head",
        "kind": "first_label",
        "title": "Head",
        "params": {"label": "About Cough"},
        "applies_to": "cough",
    }
    set_params(space, "formats", {"rules": [rule]})
    run_step(space, "formats")
    at = fine(start("formatting"))
    assert metric(at, "Records that break a rule").value == "20 of 60"
    at.toggle(key="formatting.fixes").set_value(True).run()
    button = fine(at).button(key="formatting.fixes.accept")
    assert "these 18 " in button.label
    button.click().run()
    fine(at)
    found = accepted(open_reviews(space))
    assert len(found) == 18 and all(one.text.startswith("About Cough: advice") for one in found.values())
    assert metric(at, "Records that break a rule").value == "2 of 60" and metric(at, "Compliance").value == "96.7 %"
    assert any("18 fewer break a rule" in one.value and "66.7 %" in one.value for one in at.caption)
    out = space.path / "out.jsonl"
    manifest = export_records(space, "jsonl", out, corrections=True)
    assert len(manifest["subset"]["corrections"]) == 18 and "About Cough: advice" in out.read_text("utf-8")
    next(b for b in at.button if b.label == "Take back").click().run()
    assert not accepted(open_reviews(space)) and not fine(at).exception
    assert metric(at, "Records that break a rule").value == "20 of 60"


def test_a_rule_is_taken_from_the_shelf(space, start, launched):
    at = fine(start("formatting"))
    at.toggle(key="formatting.own").set_value(True).run()
    at.selectbox(key="formatting.shelf").set_value("no_links").run()
    assert any("0 of 60 records" in one.value for one in fine(at).markdown)
    at.button(key="formatting.save").click().run()
    fine(at)
    assert [one["kind"] for one in params_of(space, "formats")["rules"] if isinstance(one, dict)] == ["forbids"]


def test_a_schema_is_written_and_previewed(space, start):
    at = fine(start("formatting"))
    at.toggle(key="formatting.own").set_value(True).run()
    at.selectbox(key="formatting.kind").set_value("json_schema").run()
    at.text_area(key="formatting.json_schema.schema").set_value('{"$ref": "http://a"}').run()
    assert any("places in itself only" in one.value for one in fine(at).error)
    at.text_area(key="formatting.json_schema.schema").set_value('{"type": "object"}').run()
    assert any("60 of 60 records" in one.value for one in fine(at).markdown)
    at.text_area(key="formatting.json_schema.schema").set_value("{").run()
    assert any("no JSON" in one.value for one in fine(at).error)
