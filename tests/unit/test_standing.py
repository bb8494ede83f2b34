"""The scorecard follows every decision by the hand-counted amount, and an undo brings it back exactly: the six steps one by one."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from core.actions.decisions import open_reviews, seen_now
from core.actions.exporting import export_records, first_written
from core.actions.inforce import in_force
from core.actions.mix import labels_now, mix
from core.actions.relabelling import Rule, apply_rule, preview
from core.actions.standing import NOTHING, contradictions_now
from core.actions.summary import metrics
from core.actions.version_history import cards, keep_card
from core.cli.main import app
from core.dataset.importing import import_file
from core.dataset.writing import FORMATS, RAW
from core.quality.gates import Gate, check_gates
from core.review.edits import accept_all, undo_batch
from core.review.ledger import keep_records, remove_records, undo
from core.review.samples import add_sample
from core.review.sampling import Draw
from core.review.verdicts import Verdict, save_verdicts
from core.steps import current, plan, run_step, set_params
from core.workspace import Output, open_workspace
from tests.dataset_files import lines

SPACE = {"id": "space", "kind": "stray_space", "params": {"columns": ["response"]}}
CASING = {"id": "casing", "kind": "label_casing", "params": {"column": "category"}, "severity": "warning"}


def record(n: int) -> dict:
    """Twenty records: 14 of category a, 6 of b. 0 and 1 ask the same (a copy) and contradict; so do 2 and 3 by category. The
    responses of 4 and 5 end in white space. 6..9 are labelled a and would be b."""
    row = {
        "prompt": f"question number {'abcdefghijklmnopqrst'[n]}",
        "response": f"plain answer {'abcdefghijklmnopqrst'[n]}",
    }
    row |= {"category": "a" if n < 14 else "b", "reasoning": "" if n == 19 else "because"}
    row |= {
        0: {"prompt": "may I take it", "response": "Yes, take 5 mg daily with water."},
        1: {"prompt": "may I take it", "response": "Yes, take 50 mg daily with water."},
        2: {"prompt": "what is it", "response": "the same", "category": "a"},
        3: {"prompt": "what is it", "response": "the same", "category": "b"},
        4: {"response": "mended four "}, 5: {"response": "mended five\n"},
    }.get(n, {})  # fmt: skip
    return row


@pytest.fixture
def space(tmp_path):
    """The records as a workspace; vectors by hand, every step that counts run on them. Production: 30 a, 70 b."""
    file = tmp_path / "d.jsonl"
    file.write_text(lines(*(record(n) for n in range(20))))
    space = open_workspace(tmp_path / "w")
    space.add("training", "d", lambda folder: import_file(file, folder, "training"))
    space.set_shares({"a": 0.3, "b": 0.7})
    set_params(space, "formats", {"rules": [SPACE, CASING]})
    data = space.need()
    prompts = data.column("prompt").to_pylist()
    order = list(dict.fromkeys(prompts))
    store_step(space, "embed", Output(
        table=pa.table({"record_id": data.ids()}), array=np.eye(20, dtype=np.float32)[[order.index(p) for p in prompts]],
        info={"warnings": []},
    ))  # fmt: skip
    given = data.column("category").to_pylist()
    sure = ["b" if n in (6, 7, 8, 9) else label for n, label in enumerate(given)]
    doubted = [a != b for a, b in zip(given, sure, strict=True)]
    store_step(space, "labels", Output(table=pa.table({
        "record_id": data.ids(), "given": given, "suggested": sure, "self_confidence": [0.1 if one else 0.9 for one in doubted],
        "suggested_confidence": [0.95] * 20, "flagged": doubted, "knn_agreement": [0.5] * 20, "knn_label": sure, "confident": sure,
    }), info={
        "column": "category", "names": ["a", "b"], "warnings": [], "judged": 20, "flagged": 4, "accuracy": 0.8, "noise": 0.2,
        "reliable": True, "agreement": 0.8, "small": [],
    }))  # fmt: skip
    for step in ("duplicates", "contradictions", "formats", "distribution"):
        run_step(space, step)
    return space


def store_step(space, name: str, output: Output) -> None:
    wanted = plan(space, name)
    space.compute(name, wanted.key, wanted.recipe(), lambda _: output, {}, {})


def card(space) -> dict:
    return {m.id: m for m in metrics(space)}


def kl(a: int, b: int) -> float:
    """D(production || training) at counts a, b."""
    return 0.3 * math.log(0.3 * (a + b) / a) + 0.7 * math.log(0.7 * (a + b) / b)


def test_before_any_decision(space):
    """13 a and 7 b: 3 is b. Two contradictions, one by number and one by category; 2 of 20 break a rule; two copies could go."""
    found = card(space)
    assert found["kl"].value == pytest.approx(kl(13, 7)) and found["examples_per_class"].value == 7
    assert found["contradictions"].value == 2 and found["format_compliance"].value == 0.9
    assert (
        found["duplicate_ratio"].value == 0.1
        and found["reasoning"].value == 0.95
        and found["label_accuracy"].value == 0.8
    )
    assert all(m.imported is None for m in found.values())
    # Clopper-Pearson of 2 of 20: 1.23 % to 31.70 % break a rule.
    assert found["format_compliance"].low == pytest.approx(0.6830, abs=1e-4)
    assert found["format_compliance"].high == pytest.approx(0.9877, abs=1e-4)


def test_a_bulk_relabel_moves_accuracy_kl_and_minimums_and_its_undo_brings_them_back(space):
    before, ids = card(space), space.need().ids()
    entry = apply_rule(space, preview(space, Rule("a", "b", 0.9)), "me")
    found = card(space)
    # Four of 13 a become b: 9 and 11. All 20 are now called what confident learning counts them as.
    assert found["kl"].value == pytest.approx(kl(9, 11)) and found["kl"].imported == pytest.approx(kl(13, 7))
    assert found["label_accuracy"].value == pytest.approx(1.0) and found["label_accuracy"].imported == 0.8
    assert (
        "0 of 20 labels in doubt" in found["label_accuracy"].note and "4 labels changed" in found["label_accuracy"].note
    )
    assert found["examples_per_class"].value == 9 and found["examples_per_class"].imported == 7
    assert found["kl"].low < mix(space, space.need(), "category").info["kl_smoothed"] < found["kl"].high
    assert mix(space, space.need(), "category", NOTHING).info["kl"] == pytest.approx(kl(13, 7)), "as imported"
    assert (
        labels_now(space, space.need(), "category")[6] == "b"
        and labels_now(space, space.need(), "category", NOTHING)[6] == "a"
    )
    gate = check_gates(list(found.values()), [Gate("kl", "<", (kl(9, 11) + kl(13, 7)) / 2)])[0]
    assert gate.verdict == "pass" and "as imported" in gate.text
    assert (
        keep_card(space)
        and cards(space)[-1].relabelled == 4
        and cards(space)[-1].metrics["kl"]["value"] == found["kl"].value
    )
    # Removing one that was relabelled: 9 and 10 are left.
    remove_records(open_reviews(space), [ids[6]], reason="r", by="me")
    assert card(space)["kl"].value == pytest.approx(kl(9, 10))
    undo(open_reviews(space), entry.entry, by="me")
    assert card(space)["kl"].value == pytest.approx(kl(12, 7))
    undo(open_reviews(space), entry.entry + 1, by="me")
    assert card(space) == before


def test_accepted_corrections_move_compliance_and_settle_a_contradiction(space):
    before, ids, store = card(space), space.need().ids(), open_reviews(space)
    accept_all(store, {ids[4]: "mended four", ids[5]: "mended five "}, "me", "batch", "me")
    found = card(space)
    assert found["format_compliance"].value == 0.95, "one is mended, the other breaks the rule still"
    assert (
        found["format_compliance"].imported == 0.9 and "1 of 20 records break a rule" in found["format_compliance"].note
    )
    accept_all(store, {ids[1]: "Yes, take 5 mg daily with water."}, "me", "more", "me")
    found = card(space)
    assert found["contradictions"].value == 1 and found["contradictions"].note == "1 by category"
    accept_all(store, {ids[4]: "mended four "}, "me", "worse", "me")
    assert card(space)["format_compliance"].value == 0.9
    for batch in ("worse", "more", "batch"):
        undo_batch(store, batch, "me")
    assert card(space) == before


def test_contradictions_are_settled_by_relabelling_removing_or_keeping_both_and_may_arise(space):
    before, ids, store = card(space), space.need().ids(), open_reviews(space)

    def count() -> float:
        return card(space)["contradictions"].value

    from core.review.relabels import relabel

    entry = relabel(store, [(ids[3], "b", "a")], field="category", rule={}, reason="as its copy", by="me")
    assert count() == 1, "both copies have one label now"
    undo(store, entry.entry, by="me")
    entry = relabel(store, [(ids[0], "a", "b")], field="category", rule={}, reason="wrong", by="me")
    assert count() == 2, "the pair by number clashes by category too, and stays one pair"
    kinds = contradictions_now(
        current(space, "contradictions"), space.need(), in_force(space, space.need()), current(space, "duplicates")
    )
    assert {tuple(k) for k in kinds["kinds"].to_pylist()} == {("category", "number"), ("category",)}
    undo(store, entry.entry, by="me")
    entry = keep_records(store, [ids[0], ids[1]], reason="both stand", by="me")
    assert count() == 1 and in_force(space, space.need()).sentence() == "1 pair settled"
    more = remove_records(store, [ids[2]], reason="r", by="me")
    assert count() == 0
    undo(store, more.entry, by="me")
    undo(store, entry.entry, by="me")
    assert card(space) == before


def test_another_copy_takes_the_place_of_a_removed_one(tmp_path):
    """Three copies of a prompt, two with the same wrong answer: one of these removed, the other still contradicts."""
    rows = [{"prompt": "how much", "response": r} for r in ("Take 5 mg.", "Take 50 mg.", "Take 50 mg. ")]
    file = tmp_path / "d.jsonl"
    file.write_text(lines(*rows))
    space = open_workspace(tmp_path / "w")
    space.add("training", "d", lambda folder: import_file(file, folder, "training"))
    data, store = space.need(), open_reviews(space)
    array = np.tile(np.eye(3, dtype=np.float32)[:1], (3, 1))
    store_step(space, "embed", Output(table=pa.table({"record_id": data.ids()}), array=array, info={"warnings": []}))
    run_step(space, "contradictions")
    assert card(space)["contradictions"].value == 1
    remove_records(store, [data.ids()[1]], reason="r", by="me")
    assert card(space)["contradictions"].value == 1
    remove_records(store, [data.ids()[2]], reason="r", by="me")
    assert card(space)["contradictions"].value == 0


def test_removals_move_duplicates_reasoning_and_the_plan(space):
    before, ids, store = card(space), space.need().ids(), open_reviews(space)
    entry = remove_records(store, [ids[1], ids[3], ids[19]], reason="r", by="me")
    found = card(space)
    assert found["duplicate_ratio"].value == 0 and found["duplicate_ratio"].imported == 0.1
    assert found["reasoning"].value == 1.0 and found["kl"].value == pytest.approx(kl(12, 5))
    table = mix(space, space.need(), "category").table
    assert dict(zip(table["category"], table["training"], strict=True)) == {"a": 12, "b": 5}
    undo(store, entry.entry, by="me")
    assert card(space) == before


def test_an_audit_moves_with_its_verdicts(space):
    data, store = space.need(), open_reviews(space)
    ids = data.ids()
    digests = seen_now(data, ids)
    draw = Draw(ids, [1.0] * 20, "simple", 0, 20, recipe={})
    sample = add_sample(store, draw, name="s", role="training", dataset_digest=data.digest, by="a", digests=digests)
    said = ["fail"] * 4 + ["pass"] * 16
    save_verdicts(
        store,
        [Verdict(f"v{n}", sample.id, i, digests[i], "a", o) for n, (i, o) in enumerate(zip(ids, said, strict=True))],
    )
    found = card(space)["audit"]
    assert found.value == 0.2 and found.verdict == "fail"


def test_the_casing_of_changed_labels_is_counted_over_the_whole_column(space):
    from core.review.relabels import relabel

    ids, store = space.need().ids(), open_reviews(space)
    relabel(store, [(ids[6], "a", "A")], field="category", rule={}, reason="x", by="me")
    assert card(space)["format_compliance"].value == 0.85, "A is written unlike the twelve a"
    relabel(store, [(ids[6], "a", "b")], field="category", rule={}, reason="x", by="me")
    assert card(space)["format_compliance"].value == 0.9


@pytest.mark.parametrize("to", sorted(FORMATS))
def test_the_preview_is_what_is_written(space, tmp_path, to):
    ids, store, data = space.need().ids(), open_reviews(space), space.need()
    apply_rule(space, preview(space, Rule("a", "b", 0.9)), "me")
    accept_all(store, {ids[6]: "another answer"}, "me", "batch", "me")
    edits = to not in RAW
    rows = np.array([6, 0, 19])
    chosen = [ids[n] for n in rows]
    if to == "trl-preference":
        return
    skipped, content = first_written(data, store, rows, to, edits)
    assert skipped == 0
    export_records(space, to, tmp_path / "one", ids=chosen[:1], corrections=edits)
    assert (tmp_path / "one").read_bytes() == content
    manifest = export_records(space, to, tmp_path / "all", ids=chosen, corrections=edits)
    assert manifest["rows"] == manifest["records"] == 3
    if to in ("jsonl", "trl", "openai", "axolotl", "trl-prompt-completion"):
        assert (tmp_path / "all").read_bytes().startswith(content) and b"another answer" in content
    if to == "jsonl":
        assert json.loads(content)["category"] == "b"


def test_the_preview_begins_with_the_first_record_that_a_trainer_takes(space, tmp_path):
    ids, data, store = space.need().ids(), space.need(), open_reviews(space)
    accept_all(store, {ids[0]: "long " * 4000}, "me", "batch", "me")
    rows = np.arange(20)
    skipped, content = first_written(data, store, rows, "openai", True, True, 1000)
    manifest = export_records(space, "openai", tmp_path / "o.jsonl", corrections=True, leave_out=True, limit=1000)
    lost = len(manifest["subset"]["preflight"]["left_out"])
    assert manifest["records"] == 20 - lost and (tmp_path / "o.jsonl").read_bytes().startswith(content)
    assert skipped == min(lost, 1)


@pytest.fixture
def unlabelled(space, tmp_path):
    """The same, with 40 production records without a category in place of the shares; its shares are predicted: .25 a, .75 b."""
    file = tmp_path / "p.jsonl"
    file.write_text(lines(*({"prompt": f"asked {n}"} for n in range(40))))
    space.add("production", "p", lambda folder: import_file(file, folder, "production"))
    array = np.repeat(np.array([[0.2, 0.8], [0.25, 0.75], [0.3, 0.7]], dtype=np.float32), 100, axis=0)
    table = pa.table({"category": ["a", "b"], "share": [0.25, 0.75], "low": [0.2, 0.7], "high": [0.3, 0.8]})
    ids = pa.array(space.need("production").ids())
    store_step(space, "embed:production", Output(pa.table({"record_id": ids}), np.ones((40, 20)), {}))
    store_step(
        space, "prevalence", Output(table=table, array=array, info={"warnings": ["Predicted."], "agreement": 0.87})
    )
    return space


def test_unlabelled_production_is_compared_by_its_predicted_shares(unlabelled):
    space = unlabelled
    found = card(space)["kl"]
    expected = 0.25 * math.log(0.25 * 20 / 13) + 0.75 * math.log(0.75 * 20 / 7)
    assert found.value == pytest.approx(expected) and found.low < found.value < found.high
    assert (
        "predicted by a classifier, right on 87% of the labels" in found.note
        and "its error is in the interval" in found.note
    )
    assert "predicted shares" in card(space)["category_balance"].note
    apply_rule(space, preview(space, Rule("a", "b", 0.9)), "me")
    now = card(space)["kl"]
    assert now.value == pytest.approx(0.25 * math.log(0.25 * 20 / 9) + 0.75 * math.log(0.75 * 20 / 11))
    assert now.imported == pytest.approx(expected)
    # With the predicted shares taken for exact the interval is narrower.
    from core.quality.distribution import compare

    exact = compare({"a": 9, "b": 11}, {"a": 0.25, "b": 0.75})
    assert now.high - now.low > exact.high - exact.low


def test_an_analysis_predicts_categories_only_where_production_has_none(unlabelled, tmp_path):
    from core.steps import analysis

    assert "prevalence" in analysis(unlabelled)[0]
    file = tmp_path / "q.jsonl"
    file.write_text(lines({"prompt": "asked", "category": "a"}))
    unlabelled.add("production", "q", lambda folder: import_file(file, folder, "production"))
    assert "prevalence" not in analysis(unlabelled)[0]
    assert "prevalence" in analysis(unlabelled, everything=True)[0]


def test_the_command_line_plans_for_the_set_as_it_stands(space):
    apply_rule(space, preview(space, Rule("a", "b", 0.9)), "me")

    def said(*words: str) -> dict:
        done = CliRunner().invoke(app, ["rebalance", "-w", str(space.path), "--json", *words], catch_exceptions=False)
        return json.loads(done.stdout)

    found = said("--plan", "remove")
    assert [(r["category"], r["now"], r["then"]) for r in found["categories"]] == [("b", 11, 11), ("a", 9, 4)]
    assert found["of"] == "the set as it stands"
    found = said("--plan", "remove", "--imported")
    assert [(r["category"], r["now"]) for r in found["categories"]] == [("b", 7), ("a", 13)] and found[
        "of"
    ] == "the set as imported"
    # In a band of 2x nothing is off; four b for each a is asked for on purpose, at least 10 of each.
    found = said("--plan", "band", "--per-class", "0")
    assert (found["removed"], found["added"]) == (0, 0)
    found = said("--plan", "band", "--per-class", "10")
    assert (found["removed"], found["added"]) == (0, 1)
    found = said("--plan", "band", "--per-class", "0", "--more", "b", "--weight", "4")
    # Aimed at .7 * 4 to .3, so a at most at 2 * .3 / 3.1 = .1935 of the whole: 2 of 13 stay.
    assert (found["removed"], found["added"]) == (7, 0) and found["categories"][1]["then"] == 2


def test_a_recipe_carries_plans_high_stakes_and_keepers_by_hand(space, tmp_path):
    from core.actions.highstakes import rule, set_rule
    from core.actions.rebalancing import balance_settings, set_balance
    from core.actions.recipes import recipe_from, recipe_of, replay, yaml_of
    from core.quality.duplicates import HAND

    ids = space.need().ids()
    assert balance_settings(space)["per_class"] == 30
    space.set_setting("targets", {"examples_per_class": [">=", 40]})
    assert balance_settings(space)["per_class"] == 40, "one minimum for scorecard and plan"
    set_balance(space, per_class=5, more={"category": ["a"]})
    set_rule(space, {"category": ["b"]}, space.need())
    space.set_setting(HAND, [ids[1], "0000000000000000-1"])
    keep_records(open_reviews(space), [ids[0], ids[1]], reason="both stand", by="me")
    recipe = recipe_from(yaml_of(recipe_of(space)))
    other = open_workspace(tmp_path / "other")
    file = tmp_path / "d.jsonl"
    other.add("training", "d", lambda folder: import_file(file, folder, "training"))
    replay(other, recipe, "ci", dry_run=True)
    assert other.settings() == {} and balance_settings(other)["per_class"] == 30
    told = replay(other, recipe, "ci")
    assert {one.state for one in told} == {"done"}
    assert balance_settings(other)["per_class"] == 5 and balance_settings(other)["more"] == {"category": ["a"]}
    assert rule(other) == {"category": ["b"]} and other.settings()[HAND] == [ids[1]]
    assert in_force(other, other.need()).settled == {frozenset(ids[:2])}
    recipe["settings"]["balance"] = {"ratio": 0.5}
    assert [one.state for one in replay(other, recipe, "ci") if one.what.startswith("plans")] == ["refused"]


def test_oversampling_on_purpose_is_no_error(space):
    from core.actions.rebalancing import set_balance

    found = card(space)["category_balance"]
    assert found.value == 1 and found.note == "1 over-represented", "half of production's share is not beyond 2x"
    set_balance(space, more={"category": ["a"]})
    found = card(space)["category_balance"]
    assert found.value == 0 and found.note == "None of 2 is off by more than 2x; 1 over-represented on purpose"


def test_a_second_reading_of_labels_gives_label_accuracy_and_is_no_audit(tmp_path):
    from core.actions.auditing import draw_audit

    file = tmp_path / "d.jsonl"
    file.write_text(lines(*({"prompt": f"p{n}", "response": f"r{n}", "category": "a"} for n in range(80))))
    space = open_workspace(tmp_path / "w")
    space.add("training", "d", lambda folder: import_file(file, folder, "training"))
    data, store = space.need(), open_reviews(space)

    def read(sample, ids, fails: int, count: int) -> None:
        digests = seen_now(data, ids)
        save_verdicts(store, [
            Verdict(f"{sample.id}{n}", sample.id, one, digests[one], "a", "fail" if n < fails else "pass")
            for n, one in enumerate(ids[:count])
        ])  # fmt: skip

    sample, ids = draw_audit(space, 50, rubric="labels", by="a")
    read(sample, ids, 2, 20)
    assert card(space)["label_accuracy"].verdict == "unknown" and card(space)["audit"].value is None
    read(sample, ids, 2, 50)
    found = card(space)["label_accuracy"]
    assert (
        found.value == 0.96
        and found.verdict == "fail"
        and found.note.startswith("Second reviewer: 48 of 50 labels right")
    )
    assert 0.8 < found.low < 0.96 < found.high and card(space)["audit"].value is None
    # A sample of a selection says nothing of the set either.
    part, ids = draw_audit(space, 10, ids=data.ids()[:10], by="a")
    read(part, ids, 10, 10)
    assert card(space)["audit"].value is None
    whole, ids = draw_audit(space, 50, by="a", seed=9)
    read(whole, ids, 1, 50)
    assert card(space)["audit"].value == 0.02 and card(space)["label_accuracy"].value == 0.96


def test_one_record_and_one_pair_on_the_command_line(space):
    ids = space.need().ids()

    def said(*words: str) -> dict:
        done = CliRunner().invoke(app, [*words, "-w", str(space.path), "--json"])
        return json.loads(done.stdout) if done.exit_code == 0 else {"error": str(done.exception)}

    assert len(said("settle")["pairs"]) == 2
    found = said("settle", ids[0], ids[1])
    assert len(found["pairs"]) == 1 and found["settled"] == 1 and card(space)["contradictions"].value == 1
    assert "no contradicting pair" in said("settle", ids[0], ids[1])["error"]
    assert len(said("settle", "--undo", str(found["entry"]))["pairs"]) == 2
    assert said("relabel", "--record", ids[3], "--label", "a")["label"] == "a" and card(space)[
        "kl"
    ].value == pytest.approx(kl(14, 6))
    assert "already" in said("relabel", "--record", ids[3], "--label", "b")["error"]
    assert "no record" in said("relabel", "--record", "x-1", "--label", "b")["error"]
