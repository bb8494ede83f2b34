"""Recipes: what was decided, as YAML, replayed on another version of the file; strictly read."""

import json

import pytest

from core.actions.decisions import open_reviews
from core.actions.recipes import recipe_from, recipe_of, replay, yaml_of
from core.dataset.importing import import_file
from core.errors import InputError
from core.review.edits import accept_all, accepted
from core.review.ledger import keep_records, ledger, remove_records, removed_ids, undo
from core.review.relabels import relabel, relabelled
from core.review.subsets import add_subset, subset_ids, subsets
from core.steps import params_of, set_params
from core.workspace import open_workspace
from tests.dataset_files import lines


def row(n: int, **more) -> dict:
    return {"prompt": f"What of case {n}?", "response": f"Advice number {n}.", "category": "ab"[n % 2], **more}


def space_of(folder, rows, name):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.jsonl").write_text(lines(*rows))
    made = open_workspace(folder / name)
    made.add("training", "a.jsonl", lambda part: import_file(folder / "a.jsonl", part, "training"))
    return made


@pytest.fixture
def decided(tmp_path):
    """A workspace with a decision of every kind."""
    space = space_of(tmp_path / "one", [row(n) for n in range(12)], "ws")
    store, data = open_reviews(space), space.need()
    ids = data.ids()
    remove_records(store, ids[:4], reason='near-duplicates: "quoted" # and\nsigns', by="Ann")
    taken_back = remove_records(store, ids[5:7], reason="a mistake", by="Ann")
    undo(store, taken_back.entry, by="Ann")
    keep_records(store, ids[1:2], reason="not so near", by="Bob")
    relabel(store, [(ids[8], "a", "b")], field="category", rule={"confidence": 0.9}, reason="wrong", by="Ann")
    accept_all(store, {ids[9]: "Better advice.\nOn two lines. "}, "Ann", "batch", "Bob")
    add_subset(store, "by hand", ids[5:9], by="Ann", strategy="selection", dataset_digest=data.digest)
    add_subset(
        store,
        "longest",
        ids[10:],
        by="Ann",
        strategy="longest",
        dataset_digest=data.digest,
        params={"budget": 3, "seed": 0},
    )
    set_params(space, "formats", {"off": ["some"]})
    space.set_setting("targets", {"kl": ["<", 0.2]})
    return space


def test_a_recipe_comes_back_from_its_yaml_and_does_the_same_again(decided, tmp_path):
    recipe = recipe_from(yaml_of(recipe_of(decided)))
    assert recipe == recipe_of(decided) | {"made": recipe["made"]}
    other = space_of(tmp_path / "two", [row(n) for n in range(12)], "ws")
    told = replay(other, recipe, "Cay")
    assert {one.state for one in told} == {"done"}, [one for one in told if one.state != "done"]
    a, b = open_reviews(decided), open_reviews(other)
    assert removed_ids(b) == removed_ids(a) and len(removed_ids(b)) == 3
    assert relabelled(b, "category").keys() == relabelled(a, "category").keys()
    assert {i: e.text for i, e in accepted(b).items()} == {i: e.text for i, e in accepted(a).items()}
    assert {s.name for s in subsets(b)} == {"by hand", "longest"} and len(subset_ids(b, "longest")) == 3
    assert params_of(other, "formats")["off"] == ["some"] and other.settings()["targets"] == {"kl": ["<", 0.2]}
    entries = ledger(b)
    assert (
        all(e.created_by == "Cay" for e in entries) and "by Ann" in entries[0].reason and "mistake" not in str(entries)
    )


def test_replaying_twice_changes_nothing_more(decided, tmp_path):
    recipe = recipe_of(decided)
    other = space_of(tmp_path / "two", [row(n) for n in range(12)], "ws")
    replay(other, recipe, "Cay")
    count, removed = len(ledger(open_reviews(other))), removed_ids(open_reviews(other))
    replay(other, recipe, "Cay")
    assert (len(ledger(open_reviews(other))), removed_ids(open_reviews(other))) == (count, removed)
    assert len(subsets(open_reviews(other))) == 2


def test_on_a_new_version_it_says_what_matches_what_was_edited_and_what_is_gone(decided, tmp_path):
    rows = [row(n) for n in range(12)]
    rows[1]["response"] = "Edited since."
    del rows[2]
    other = space_of(tmp_path / "two", rows, "ws")
    old, new = decided.need().ids(), other.need().ids()
    told = {
        one.what.split()[0] + str(n): one
        for n, one in enumerate(replay(other, recipe_of(decided), "Cay", dry_run=True))
    }
    removal = next(one for key, one in told.items() if key.startswith("remove"))
    assert removal.matched == (old[0], old[3]) and removal.changed == ((old[1], new[1]),) and removal.gone == (old[2],)
    assert removal.state == "ready"
    kept = next(one for key, one in told.items() if key.startswith("keep"))
    assert kept.state == "nothing" and kept.changed == ((old[1], new[1]),)
    assert not ledger(open_reviews(other)) and not subsets(open_reviews(other)) and other.settings() == {}, (
        "a dry run writes nothing"
    )
    replay(other, recipe_of(decided), "Cay")
    assert removed_ids(open_reviews(other)) == {old[0], old[3]}, "an edited record is decided by a person"


def test_a_label_that_changed_meanwhile_is_left_alone(decided, tmp_path):
    rows = [row(n) for n in range(12)]
    other = space_of(tmp_path / "two", rows, "ws")
    recipe = recipe_of(decided)
    recipe["relabels"][0]["changes"][0]["was"] = "c"
    outcome = next(one for one in replay(other, recipe, "Cay") if one.what.startswith("relabel"))
    assert outcome.state == "nothing" and not relabelled(open_reviews(other), "category")


def test_what_cannot_be_done_is_told_and_the_rest_is_done(decided, tmp_path):
    recipe = recipe_of(decided)
    recipe["settings"]["params"]["warp"] = {"x": 1}
    recipe["settings"]["targets"]["speed"] = [">", 1]
    recipe["subsets"][1]["strategy"] = "influence"
    other = space_of(tmp_path / "two", [row(n) for n in range(12)], "ws")
    told = replay(other, recipe, "Cay")
    refused = [one for one in told if one.state == "refused"]
    assert (
        len(refused) == 3
        and any("no step 'warp'" in one.why for one in refused)
        and any("influence" in one.why for one in refused)
    )
    assert len(removed_ids(open_reviews(other))) == 3


GOOD = {"quadrant_recipe": 1, "ledger": [{"action": "remove", "reason": "r", "records": "0123456789abcdef-1 -\n"}]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a recipe"),
        ("- 1", "not a recipe"),
        ("{", "no YAML"),
        ("quadrant_recipe: 2", "format 2"),
        ("made: x", "lacks 'quadrant_recipe'"),
        ("quadrant_recipe: 1\nextra: 1", "unknown key 'extra'"),
        ("quadrant_recipe: 1\nquadrant_recipe: 1", "given twice"),
        ("a: &x [1]\nb: *x", "alias"),
        ("!!python/object/apply:os.system ['true']", "no YAML"),
        ("quadrant_recipe: 1\nsettings: {jobs: 1}", "a recipe carries params, targets"),
        (json.dumps(GOOD | {"ledger": [GOOD["ledger"][0] | {"action": "burn"}]}), "action is 'burn'"),
        (
            json.dumps(GOOD | {"ledger": [GOOD["ledger"][0] | {"records": "../../etc/passwd -"}]}),
            "line 1 of its records",
        ),
        (json.dumps(GOOD | {"ledger": [GOOD["ledger"][0] | {"why": 1}]}), "unknown key 'why'"),
        (json.dumps(GOOD | {"ledger": [{"action": "remove"}]}), "lacks"),
        (json.dumps(GOOD | {"ledger": [GOOD["ledger"][0] | {"reason": 3}]}), "must be of the kind str"),
        (json.dumps(GOOD | {"ledger": {}}), "must be of the kind list"),
    ],
)
def test_a_recipe_is_read_strictly(text, said):
    with pytest.raises(InputError, match=said):
        recipe_from(text)
    assert recipe_from(json.dumps(GOOD))["ledger"][0]["action"] == "remove"
