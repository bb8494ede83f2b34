"""Relabelling by rule and the queue of doubtful labels, on a small workspace with a stand-in for the labels step."""

import json

import numpy as np
import pyarrow as pa
import pytest

from core.actions.decisions import latest_sample, open_reviews
from core.actions.exporting import export_records
from core.actions.relabelling import Rule, apply_rule, changes_in_force, preview, queue, relabelled_column
from core.dataset.importing import import_file
from core.errors import InputError
from core.review.ledger import ledger, pin_records, pinned_ids, remove_records, removed_ids, undo
from core.review.relabels import rule_of
from core.review.samples import sample_records
from core.steps import plan
from core.workspace import Output, open_workspace


@pytest.fixture
def space(tmp_path):
    """Eight records: 0..2 are labelled a and suggested b, with falling probability; 3 the other way round; the rest as given."""
    rows = [{"prompt": f"question {n}", "response": f"answer {n}", "category": "ab"[n % 2]} for n in range(8)]
    for n in range(3):
        rows[n]["category"] = "a"
    rows[3]["category"] = "b"
    rows[0]["response"], rows[1]["response"] = "a", "it is a, surely"
    file = tmp_path / "d.jsonl"
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    space = open_workspace(tmp_path / "w")
    space.add("training", "d", lambda folder: import_file(file, folder, "training"))
    data = space.need()
    given = data.column("category").to_pylist()
    suggested = ["b", "b", "b", "a", *given[4:]]
    table = pa.table({
        "record_id": data.ids(), "given": given, "suggested": suggested,
        "self_confidence": np.linspace(0, 0.7, 8), "suggested_confidence": [0.95, 0.9, 0.6, 0.99, 0.9, 0.9, 0.9, 0.9],
        "flagged": [True] * 4 + [False] * 4, "knn_agreement": np.full(8, 0.5), "knn_label": ["b", "a", "b", "a", *given[4:]],
    })  # fmt: skip
    wanted = plan(space, "labels")
    info = {"column": "category", "names": ["a", "b"], "warnings": []}
    space.compute("embed", wanted.upstream[0].key, wanted.upstream[0].recipe(), lambda _: Output(), {}, {})
    space.compute("labels", wanted.key, wanted.recipe(), lambda _: Output(table=table, info=info), {}, {})
    return space


def test_a_rule_takes_its_pair_at_and_over_the_probability(space):
    ids = space.need().ids()
    seen = preview(space, Rule("a", "b", 0.9))
    assert seen.changes == ((ids[0], "a", "b"), (ids[1], "a", "b")) and seen.confidence == (0.95, 0.9)
    assert (seen.answers, seen.named, seen.pairs) == (1, 1, [("a", "b", 2)])
    assert [c[0] for c in preview(space, Rule(None, None, 0.0)).changes] == [ids[3], ids[0], ids[1], ids[2]]
    assert [c[0] for c in preview(space, Rule("a", "b", 0.0, neighbours=True)).changes] == [ids[0], ids[2]]
    for bad in (Rule("a", "a"), Rule("a", "b", 1.5), Rule("nothing", "b")):
        with pytest.raises(InputError):
            preview(space, bad)


def test_applied_undone_and_brought_back_through_the_ledger(space):
    store, ids = open_reviews(space), space.need().ids()
    remove_records(store, [ids[0]], reason="test", by="me")
    seen = preview(space, Rule("a", "b", 0.5))
    assert [c[0] for c in seen.changes] == [ids[1], ids[2]], "a removed record is not relabelled"
    entry = apply_rule(space, seen, "me", token="click")
    assert apply_rule(space, seen, "me", token="click").entry == entry.entry, "a second click changes nothing"
    assert removed_ids(store) == {ids[0]}, "relabelling puts nothing back"
    assert {i: c.after for i, c in changes_in_force(space).items()} == {ids[1]: "b", ids[2]: "b"}
    assert preview(space, Rule("a", "b", 0.5)).already == 2
    assert rule_of(store, entry.entry)["rule"]["confidence"] == 0.5
    taken = undo(store, entry.entry, by="me")
    assert changes_in_force(space) == {}
    undo(store, taken.entry, by="me")
    assert len(changes_in_force(space)) == 2
    assert [e.action for e in ledger(store)] == ["remove", "relabel", "undo", "undo"]


def test_an_export_of_corrections_writes_the_new_label_and_keeps_the_old_one_in_its_manifest(space, tmp_path):
    ids = space.need().ids()
    apply_rule(space, preview(space, Rule("a", "b", 0.9)), "me")
    export_records(space, "jsonl", tmp_path / "plain.jsonl")
    manifest = export_records(space, "jsonl", tmp_path / "new.jsonl", corrections=True)
    plain, new = (
        [json.loads(x) for x in (tmp_path / n).read_text().splitlines()] for n in ("plain.jsonl", "new.jsonl")
    )
    assert [r["category"] for r in plain[:3]] == ["a", "a", "a"] and [r["category"] for r in new[:3]] == ["b", "b", "a"]
    assert [r["response"] for r in new[:3]] == ["b", "it is a, surely", "answer 2"]
    told = {one["record_id"]: one for one in manifest["subset"]["labels"]}
    assert set(told) == set(ids[:2]) and told[ids[0]]["original"] == "a" and told[ids[0]]["response_too"]
    with pytest.raises(InputError, match="changed labels|corrected responses"):
        export_records(space, "original", tmp_path / "raw.jsonl", corrections=True)


def test_a_column_as_it_stands_ignores_a_change_made_from_another_label(space):
    data = space.need()
    apply_rule(space, preview(space, Rule("a", "b", 0.9)), "me")
    now = relabelled_column(data.column("category"), data.ids(), changes_in_force(space)).to_pylist()
    assert now[:4] == ["b", "b", "a", "b"]
    other = pa.chunked_array([pa.array(["c"] * 8)])
    assert relabelled_column(other, data.ids(), changes_in_force(space)).to_pylist() == ["c"] * 8


def test_a_queue_is_read_in_its_order_and_says_nothing_of_the_set(space):
    store, data = open_reviews(space), space.need()
    ids = data.ids()
    remove_records(store, [ids[1]], reason="test", by="me")
    found = queue(space, [ids[3], ids[1], ids[0], ids[2]], "Doubts", "me", most=2)
    assert [r.record_id for r in sample_records(store, found.id)] == [ids[3], ids[0]]
    assert (found.size, found.population) == (2, 2)
    assert latest_sample(store, data) is None, "the scorecard does not read it"
    with pytest.raises(InputError, match="no record to read"):
        queue(space, [ids[1]], "Doubts", "me")


def test_pins_hold_until_undone(space):
    store, ids = open_reviews(space), space.need().ids()
    entry = pin_records(store, ids[:2], reason="rare", by="me")
    assert pinned_ids(store) == set(ids[:2]) and removed_ids(store) == set()
    undo(store, entry.entry, by="me")
    assert pinned_ids(store) == set()
