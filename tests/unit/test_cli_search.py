"""Searching and combining selections without a browser."""

import json

import pytest

from core.errors import InputError, MissingInput
from core.review.combining import combined
from tests.unit.test_cli import call


@pytest.fixture
def workspace(tmp_path):
    source = tmp_path / "a.jsonl"
    texts = ["chest pain", "Pain and pain again", "a rash", "cough 12 mg", "cough"]
    source.write_text("".join(json.dumps({"prompt": t, "response": f"answer {k}"}) + "\n" for k, t in enumerate(texts)))
    from core.dataset.importing import import_file
    from core.workspace import open_workspace

    space = open_workspace(tmp_path / "ws")
    space.add("training", "a", lambda folder: import_file(source, folder, "training"))
    return space


def test_search_by_text_and_expression_and_combine(workspace):
    ids, where = workspace.need().ids(), ("-w", str(workspace.path))
    found = json.loads(call("search", "pain", *where, "--by", "text", "--name", "pain", "--json"))
    assert found["record_ids"] == [ids[1], ids[0]] and found["scores"] == [2, 1]
    found = json.loads(call("search", r"\d+ mg|rash", *where, "--by", "regex", "--name", "dose or rash", "--json"))
    assert set(found["record_ids"]) == {ids[2], ids[3]}
    call("search", "chest", *where, "--by", "text", "--name", "chest")
    either = json.loads(
        call("combine", "either", *where, "--any", "pain", "--any", "dose or rash", "--none", "chest", "--json")
    )
    assert either["record_ids"] == [ids[1], *found["record_ids"]]


def test_bad_calls_say_what_to_do(workspace):
    where = ("-w", str(workspace.path))
    assert "no search by 'magic'" in call("search", "x", *where, "--by", "magic", code=2)
    assert "needs the embedding" in call("search", "x", *where, code=2)
    assert "no valid search expression" in call("search", "(", *where, "--by", "regex", code=2)
    assert "There is no subset 'nowhere'" in call("combine", "new", *where, "--any", "nowhere", code=2)


def test_combining_is_or_and_not(workspace):
    from core.actions.decisions import open_reviews
    from core.review.subsets import add_subset

    store = open_reviews(workspace)
    for name, ids in (("a", "1234"), ("b", "3456"), ("c", "4")):
        add_subset(store, name, list(ids), by="t", strategy="t", dataset_digest="d")
    assert combined(store, ["a", "b"]) == list("123456") and combined(store, all_of=["a", "b"]) == list("34")
    assert combined(store, ["a"], ["b"], ["c"]) == ["3"] and combined(store, ["c"], ["c"], ["c"]) == []
    with pytest.raises(InputError, match="Name one with --any or --all"):
        combined(store, none_of=["a"])
    with pytest.raises(MissingInput):
        combined(store, ["z"])
