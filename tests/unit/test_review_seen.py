"""A verdict is stale when the record would now read otherwise: by an edit, and by another column mapped to what is read."""

import json

from core.actions.auditing import draw_audit
from core.actions.decisions import open_reviews, seen_now
from core.dataset.importing import import_file
from core.review.samples import sample_records
from core.review.seen import COLUMNS, is_stale, seen_digest
from core.workspace import open_workspace

ROWS = [
    {"q": f"Question {n}?", "a": f"Answer {n}.", "b": f"Other {n}." if n < 3 else f"Answer {n}.", "topic": "x"}
    for n in range(8)
]


def imported(space, path, rows=ROWS, response="a", **more):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    mapping = {"prompt": "q", "response": response, **more}
    return space.add("training", path.name, lambda folder: import_file(path, folder, "training", mapping=mapping))


def stale(space, sample, data):
    records = sample_records(open_reviews(space), sample.id)
    now = seen_now(data, [record.record_id for record in records])
    return {r.record_id for r in records if is_stale(r.record_digest, r.record_id, now.get(r.record_id))}


def test_another_column_as_the_response_makes_the_changed_records_stale(tmp_path):
    space = open_workspace(tmp_path / "ws")
    data = imported(space, tmp_path / "a.jsonl")
    sample, ids = draw_audit(space)
    assert stale(space, sample, data) == set()
    other = imported(space, tmp_path / "a.jsonl", response="b")
    assert set(other.ids()) == set(ids), "the rows of the file are the same, so the ids are"
    changed = set(other.ids()[:3])
    assert stale(space, sample, other) == changed, "of five records both columns hold the same text"
    assert stale(space, sample, imported(space, tmp_path / "a.jsonl", category="topic")) == set(), (
        "nothing read changed"
    )


def test_an_edited_and_a_missing_record_are_stale(tmp_path):
    space = open_workspace(tmp_path / "ws")
    imported(space, tmp_path / "a.jsonl")
    sample, ids = draw_audit(space)
    edited = imported(space, tmp_path / "a.jsonl", [{**ROWS[0], "a": "Edited."}, *ROWS[1:7]])
    assert len(stale(space, sample, edited)) == 2, "the first was edited, the last is gone"


def test_every_text_that_is_read_counts_and_nothing_else():
    row = dict.fromkeys(COLUMNS, "x") | {"category": "c", "line": 3}
    seen = seen_digest(row)
    for name in COLUMNS:
        assert seen_digest({**row, name: "y"}) != seen != seen_digest({**row, name: None})
    assert seen_digest({**row, "category": "d", "line": 9}) == seen
    assert seen_digest({"prompt": "ab", "response": "c"}) != seen_digest({"prompt": "a", "response": "bc"})
    assert seen_digest({"prompt": "\ud800"}).startswith("seen-")


def test_digests_of_old_say_nothing_of_a_change():
    assert not is_stale("0123456789abcdef", "0123456789abcdef-1", "seen-1") and is_stale(
        "0123456789abcdef", "x-1", None
    )
    assert is_stale("seen-1", "x-1", "seen-2") and not is_stale("seen-1", "x-1", "seen-1")
