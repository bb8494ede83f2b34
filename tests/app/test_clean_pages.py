"""Duplicates, formatting and labels: what the pages say, and that what they do reaches the ledger, the settings and the selection."""

import pytest

from core.actions.decisions import open_reviews
from core.actions.summary import metrics
from core.review.ledger import ledger, removed_ids
from core.steps import current, params_of, run_step, set_params
from core.workspace import open_workspace
from tests.app.conftest import fine, metric


def selected(at):
    return list(at.session_state["selection"].ids)


def groups(start):
    at = start("duplicates")
    at.segmented_control(key="duplicates.part").set_value("groups").run()
    return fine(at)


def test_the_threshold_slides_without_a_job(space, start, launched):
    at = groups(start)
    before = metric(at, "To remove, of kept records").value
    at.slider(key="duplicates.threshold").set_value(1.0).run()
    fine(at)
    assert metric(at, "To remove, of kept records").value != before
    assert metric(at, "Groups").value == "1" and not launched  # the one exact copy
    at.switch_page("pages/labels.py").run()
    at.switch_page("pages/duplicates.py").run()
    assert metric(fine(at), "Groups").value == "1", "the threshold outlives a page change"


def test_a_threshold_for_all_pages_is_a_parameter_of_the_step(space, start, launched):
    at = groups(start)
    at.slider(key="duplicates.threshold").set_value(0.97).run()
    at.button(key="duplicates.everywhere").click().run()
    assert params_of(space, "duplicates")["threshold"] == 0.97
    assert launched == [["run", "duplicates", "contradictions"]]


def test_removal_names_the_count_reaches_the_ledger_and_is_undone(space, start):
    at = groups(start)
    at.slider(key="duplicates.threshold").set_value(1.0).run()
    at.button(key="duplicates.remove-all").click().run()
    fine(at)
    assert any("1 record" in m.value and "59 of 60 records" in m.value for m in at.markdown)
    assert not ledger(open_reviews(space)), "nothing goes before it is confirmed"
    at.button(key="removal.confirm").click().run()
    store = open_reviews(space)
    (gone,) = removed_ids(store)
    row = space.need().ids().index(gone)
    assert space.need().column("line").to_pylist()[row] in (3, 6)  # the copy or what it was copied from
    assert metric(fine(at), "To remove, of kept records").value == "0 of 59"
    at.button(key="removal.undo").click().run()
    assert not removed_ids(store) and metric(fine(at), "To remove, of kept records").value == "1 of 60"


def test_keepers_are_chosen_by_hand(space, start):
    at = groups(start)
    at.slider(key="duplicates.threshold").set_value(1.0).run()
    at.button(key="duplicates.select").click().run()
    (goes,) = selected(at)
    at.button(key=f"duplicates.instead.{goes}").click().run()
    at.button(key="duplicates.select").click().run()
    (other,) = selected(fine(at))
    assert other != goes
    at.button(key=f"duplicates.all.{goes}").click().run()
    assert metric(fine(at), "To remove, of kept records").value == "0 of 60"
    next(b for b in at.button if b.label == "Back to the rule").click().run()
    assert metric(fine(at), "To remove, of kept records").value == "1 of 60"


def test_one_of_a_contradicting_pair_is_removed(space, start):
    at = start("duplicates")
    count = int(metric(at, "Contradicting pairs").value)
    assert count > 0
    next(b for b in at.button if b.key.startswith("duplicates.remove.")).click().run()
    at.button(key="removal.confirm").click().run()
    assert len(removed_ids(open_reviews(space))) == 1
    left = int(metric(fine(at), "Contradicting pairs").value)
    assert left < count
    counted = {m.id: m.value for m in metrics(space)}
    assert counted["contradictions"] == left, "the scorecard counts the records that are kept"
    at.segmented_control(key="duplicates.part").set_value("groups").run()
    ratio = metric(at, "Near-duplicate ratio").value
    assert ratio == f"{100 * counted['duplicate_ratio']:.1f} %"
    at.switch_page("pages/formatting.py").run()
    assert metric(fine(at), "Compliance").value == f"{100 * counted['format_compliance']:.1f} %"


def test_an_own_rule_is_counted_before_it_is_saved(space, start, launched):
    at = start("formatting")
    at.toggle(key="formatting.own").set_value(True).run()
    at.selectbox(key="formatting.kind").set_value("forbids").run()
    at.text_input(key="formatting.forbids.pattern").set_value("(unclosed").run()
    assert "RE2" in fine(at).error[0].value and at.button(key="formatting.save").disabled
    at.text_input(key="formatting.forbids.pattern").set_value("in full").run()
    at.selectbox(key="formatting.applies").set_value("rash").run()
    said = next(m.value for m in fine(at).markdown if "break it now" in m.value)
    assert "18 of 20 records" in said
    at.text_input(key="formatting.title").set_value("Never *in full*").run()
    at.button(key="formatting.save").click().run()
    assert launched == [["run", "formats"]]
    run_step(space, "formats")
    rule = next(r for r in current(space, "formats").info["rules"] if r["origin"] == "own")
    assert (rule["title"], rule["violations"], rule["applies_to"]) == ("Never *in full*", 18, "rash")
    at = start("formatting")
    at.segmented_control(key="formatting.show").set_value("own").run()
    at.button(key="formatting.select").click().run()
    assert len(selected(fine(at))) == 18
    at.button(key=f"formatting.drop.{rule['id']}").click().run()
    assert [r for r in params_of(space, "formats")["rules"] if not isinstance(r, str)] == []


def test_a_rule_is_switched_off_and_stays_in_the_list(space, start, launched):
    at = start("formatting")
    at.segmented_control(key="formatting.show").set_value("broken").run()
    button = next(b for b in fine(at).button if b.key.startswith("formatting.switch."))
    rule = button.key.removeprefix("formatting.switch.")
    before = float(metric(at, "Compliance").value.split()[0])
    button.click().run()
    assert params_of(space, "formats")["off"] == [rule] and launched == [["run", "formats"]]
    run_step(space, "formats")
    at = start("formatting")
    assert float(metric(fine(at), "Compliance").value.split()[0]) >= before
    listed = next(d.value for d in at.dataframe if "on" in d.value.columns)
    assert (~listed["on"]).sum() == 1


def test_doubtful_labels_are_selected_by_pair_and_audited(space, start):
    set_params(space, "labels", {"column": "annotator"})  # which no text can tell: many are in doubt
    assert run_step(space, "labels").info["flagged"]
    at = fine(start("labels"))
    assert metric(at, "Estimated label accuracy").value == "cannot be told"
    pair = next(p for p in at.selectbox(key="labels.pair").options if "→" in p)
    at.selectbox(key="labels.pair").select(pair).run()
    at.button(key="labels.audit").click().run()
    assert selected(fine(at)) and at.title[0].value == "Audit"


def test_labels_of_another_column(space, start, launched):
    at = start("labels")
    at.selectbox(key="labels.column").set_value("annotator").run()
    assert params_of(space, "labels")["column"] == "annotator" and launched == [["run", "labels"]]
    run_step(space, "labels")
    assert metric(fine(start("labels")), "Labels in doubt")


def test_one_category_is_said_to_be_undefined(tmp_path, monkeypatch, start):
    from core.dataset.importing import import_file
    from tests.app.conftest import _use, rows, write_jsonl

    space = open_workspace(tmp_path / "home" / "one")
    path = write_jsonl(tmp_path / "one.jsonl", [r | {"category": "rash", "annotator": "a"} for r in rows(12)])
    space.add("training", path.name, lambda folder: import_file(path, folder, "training"))
    _use(monkeypatch, tmp_path / "home", "one")
    at = fine(start("labels"))
    said = " ".join(i.value for i in at.info)
    assert "undefined" in said or at.selectbox(key="labels.column")


@pytest.fixture
def doubted(space):
    """Labels that no text can tell, so that many are in doubt."""
    set_params(space, "labels", {"column": "annotator"})
    assert run_step(space, "labels").info["flagged"]
    return space


def test_a_rule_relabels_and_is_undone(doubted, start):
    from core.actions.relabelling import changes_in_force

    at = fine(start("labels"))
    before = metric(at, "Labels in doubt").value
    at.segmented_control(key="labels.view").set_value("Relabel by rule").run()
    at.toggle(key="labels.rule.near").set_value(False)
    at.slider(key="labels.rule.sure").set_value(0.5).run()
    at.button(key="labels.rule.apply").click().run()
    fine(at)
    changed = changes_in_force(doubted)
    assert changed and metric(at, "Labels in doubt").value != before
    entry = next(iter(changed.values())).entry
    at.button(key=f"labels.undo.{entry}").click().run()
    assert not changes_in_force(doubted) and metric(fine(at), "Labels in doubt").value == before


def test_a_queue_opens_in_the_reviewer(doubted, start):
    from core.actions.decisions import latest_sample, open_reviews
    from core.review.samples import samples

    at = fine(start("labels"))
    at.button(key="labels.queue").click().run()
    fine(at)
    found = samples(open_reviews(doubted))
    assert [s.recipe["how"] for s in found] == ["queue"] and latest_sample(
        open_reviews(doubted), doubted.need()
    ) is None


def test_drift_by_annotator_and_by_the_order_of_the_file(space, start):
    at = fine(start("labels"))
    at.segmented_control(key="labels.view").set_value("By annotator or time").run()
    fine(at)
    said = "\n".join(m.value for m in [*at.markdown, *at.caption])
    assert "stand" in said and "Holm" in said
    at.selectbox(key="labels.drift.by").set_value("").run()
    assert "Trend" in "\n".join(m.value for m in fine(at).markdown) or "No group" in said


def test_one_label_is_changed_and_labels_are_read_a_second_time(doubted, start):
    from core.actions.decisions import LABELS, latest_sample, open_reviews
    from core.actions.relabelling import changes_in_force
    from core.review.rubric_store import rubric_of

    at = fine(start("labels"))
    call = next(b for b in at.button if b.label.startswith("Call it "))
    before = int(metric(at, "Labels in doubt").value.split()[0])
    call.click().run()
    assert (
        len(changes_in_force(doubted)) == 1 and int(metric(fine(at), "Labels in doubt").value.split()[0]) == before - 1
    )
    at.button(key="labels.second").click().run()
    store, data = open_reviews(doubted), doubted.need()
    assert latest_sample(store, data) is None
    sample = latest_sample(store, data, labels=True)
    assert rubric_of(store, sample.id).id == LABELS and sample.size == 50


def test_a_contradicting_pair_may_stand_and_comes_back(space, start):
    at = fine(start("duplicates"))
    count = int(metric(at, "Contradicting pairs").value)
    assert count
    at.segmented_control(key="duplicates.part").set_value("contradictions").run()
    next(b for b in at.button if b.label == "Both may stand").click().run()
    assert int(metric(fine(at), "Contradicting pairs").value) == count - 1
    next(b for b in at.button if str(b.key).startswith("duplicates.unsettle")).click().run()
    assert int(metric(fine(at), "Contradicting pairs").value) == count
