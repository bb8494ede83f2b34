"""The Versions page: the difference of two imports, the scorecard over time, a look back, recipes."""

import json

from core.actions.decisions import open_reviews
from core.actions.recipes import recipe_of, yaml_of
from core.actions.version_history import cards
from core.dataset.importing import import_file
from core.review.ledger import ledger, remove_records, removed_ids, undo
from core.workspace import open_workspace
from tests.app.conftest import rows, write_jsonl


def said(at) -> str:
    return " ".join([e.value for kind in (at.markdown, at.caption, at.error, at.warning, at.info) for e in kind])


def second_version(home, tmp_path):
    """The workspace with a second import: one record edited, two taken out, one added."""
    space = open_workspace(home / "small")
    old = space.need()
    new = rows()
    new[4]["response"] = "Edited words are here."
    new = new[:20] + new[22:] + [{**new[0], "prompt": "A new question?", "response": "A new answer."}]
    path = write_jsonl(tmp_path / "second.jsonl", new)
    return space, old, space.add("training", path.name, lambda folder: import_file(path, folder, "training"))


def test_one_version_has_nothing_to_compare(home, start):
    at = start("versions")
    assert not at.exception and "becomes version 2" in said(at)


def test_two_versions_are_compared_and_the_changed_records_selected(home, start, tmp_path):
    _, old, new = second_version(home, tmp_path)
    at = start("versions")
    assert not at.exception, at.exception[0].value
    assert {m.label: m.value for m in at.metric} == {"Unchanged": "57", "Edited": "1", "Added": "1", "Removed": "2"}
    assert "1 by the same prompt" in said(at) and "response 1" in said(at).replace("\\", "")
    table = at.dataframe[1].value
    assert "Near-duplicate ratio" in set(table["metric"]) and table["reads as"].str.contains("one side unknown").any()
    at.button(key="versions.select.edited").click().run()
    (edited,) = at.session_state["selection"].ids
    assert edited in new.ids() and edited not in old.ids()
    kind = f"versions.kind.{old.digest[:8]}.{new.digest[:8]}"
    for name in ("added", "removed"):
        at.segmented_control(key=kind).set_value(name).run()
        assert not at.exception, at.exception[0].value


def test_history_and_a_look_back_change_nothing(home, start, tmp_path):
    space, old, new = second_version(home, tmp_path)
    start("overview")
    assert [one.digest for one in cards(space)] == [new.digest]
    at = start("versions")
    at.segmented_control(key="versions.view").set_value("history").run()
    assert not at.exception, at.exception[0].value
    at.segmented_control(key="versions.view").set_value("look").run()
    at.selectbox(key="versions.look.2").set_value(old.digest).run()
    assert not at.exception, at.exception[0].value
    assert "Near-duplicate ratio" in set(at.dataframe[1].value["metric"]), "the results of the old version are found"
    assert space.dataset().digest == new.digest
    at.button(key=f"versions.use.{old.digest[:12]}").click().run()
    assert space.dataset().digest == old.digest


def test_a_recipe_is_shown_then_replayed(home, start, tmp_path):
    space, old, _ = second_version(home, tmp_path)
    store = open_reviews(space)
    entry = remove_records(store, old.ids()[:5], reason="by recipe", by="Ann")
    recipe = yaml_of(recipe_of(space))
    undo(store, entry.entry, by="Ann")
    at = start("versions")
    at.segmented_control(key="versions.view").set_value("recipe").run()
    at.file_uploader(key="versions.recipe_upload").set_value(("r.yml", recipe.encode(), "application/yaml")).run()
    assert not at.exception, at.exception[0].value
    assert not removed_ids(store), "looked at, not done"
    at.button(key="versions.replay").click().run()
    assert len(removed_ids(store)) == 4 and ledger(store)[-1].reason.startswith("by recipe"), (
        "the edited one is left to a person"
    )
    at.file_uploader(key="versions.recipe_upload").set_value(("r.yml", b"quadrant_recipe: 9", "application/yaml")).run()
    assert "format 9" in said(at).replace("\\", "")


def test_everything_kept_is_json(home, start):
    start("overview")
    json.loads((home / "small" / "versions" / "scorecards.json").read_text())
