"""Versions: the difference by record, a look back without going back, the scorecard over time."""

import json

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.actions.summary import metrics
from core.actions.version_history import cards, keep_card, latest_of
from core.actions.versions import as_of, difference, keep_difference, stored_difference, version_named
from core.dataset.importing import import_file
from core.errors import InputError, MissingInput
from core.steps import current, run_step
from core.workspace import open_workspace
from tests.dataset_files import lines


def row(n: int, **more) -> dict:
    return {
        "prompt": f"What of case {n}?",
        "response": f"Advice number {n} for this very case.",
        "category": "ab"[n % 2],
        **more,
    }


def add(space, folder, rows, name="a.jsonl", mapping=None):
    path = folder / name
    path.write_text(lines(*rows))
    return space.add("training", name, lambda part: import_file(path, part, "training", mapping))


@pytest.fixture
def space(tmp_path):
    return open_workspace(tmp_path / "ws")


def test_every_kind_of_change_is_told_apart(space, tmp_path):
    old = [row(n) for n in range(10)]
    new = [row(n) for n in (1, 2, 3, 4, 0, 6, 8, 9)]  # 5 and 7 are taken out, 0 stands elsewhere
    new[1] = row(2, response="Wholly new words stand here.")  # the same prompt
    new[2] = row(3) | {"prompt": "Asked in another way"}  # the same response
    new[6] = {
        "prompt": "What of the case 8 ?!",
        "response": "Advice number 8 for this case.",
        "category": "a",
    }  # the same place
    new += [row(50), row(51)]
    a, b = add(space, tmp_path, old), add(space, tmp_path, new)
    found = difference(a, b)
    assert found.facts() == {
        "kept": 5, "moved": 1, "added": 2, "removed": 2, "edited": 3, "edited_by": {"prompt": 1, "response": 1, "place": 1},
        "parts": {"response": 2, "prompt": 2},
    }  # fmt: skip
    assert found.ids("removed", "before") == [a.ids()[5], a.ids()[7]] and found.ids("added", "after") == b.ids()[8:]
    pairs = dict(zip(found.ids("edited", "before"), found.ids("edited", "after"), strict=True))
    assert pairs == {a.ids()[2]: b.ids()[1], a.ids()[3]: b.ids()[2], a.ids()[8]: b.ids()[6]}


def test_a_mapped_id_pairs_whatever_else_changed(space, tmp_path):
    rows = [row(n, id=f"r{n}") for n in range(4)]
    mapping = {"prompt": ["prompt"], "response": "response", "category": "category", "id": "id"}
    a = add(space, tmp_path, rows, mapping=mapping)
    rows[2] = {"prompt": "all", "response": "is new", "category": "z", "id": "r2"}
    b = add(space, tmp_path, rows[::-1], mapping=mapping)
    found = difference(a, b)
    assert found.facts()["edited_by"] == {"id": 1} and found.changes["parts"].to_pylist() == [
        "prompt, response, category"
    ]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=15), st.lists(st.integers(0, 12), max_size=15))
def test_counts_add_up_and_nothing_differs_from_itself(tmp_path_factory, old, new):
    folder = tmp_path_factory.mktemp("v")
    space = open_workspace(folder / "ws")
    a, b = (add(space, folder, [row(0), *(row(n) for n in some)]) for some in (old, new))
    found = difference(a, b).facts()
    assert found["kept"] + found["removed"] + found["edited"] == a.count
    assert found["kept"] + found["added"] + found["edited"] == b.count
    same = difference(a, a).facts()
    assert (same["kept"], same["added"], same["removed"], same["edited"], same["moved"]) == (a.count, 0, 0, 0, 0)


def test_a_difference_is_kept_and_found_again(space, tmp_path):
    a, b = add(space, tmp_path, [row(n) for n in range(4)]), add(space, tmp_path, [row(n) for n in range(1, 6)])
    assert stored_difference(space, a, b) is None
    keep_difference(space, difference(a, b))
    found = stored_difference(space, a, b)
    assert found.facts() == difference(a, b).facts() and found.changes.equals(difference(a, b).changes)


def test_versions_are_named_by_number_digest_and_word(space, tmp_path):
    a, b = add(space, tmp_path, [row(1)]), add(space, tmp_path, [row(2)])
    named = {name: version_named(space, name).digest for name in ("1", "2", "current", "previous", a.digest[:8])}
    assert named == {"1": a.digest, "2": b.digest, "current": b.digest, "previous": a.digest, a.digest[:8]: a.digest}
    with pytest.raises(MissingInput, match="Versions: 1 "):
        version_named(space, "7")


def test_an_earlier_version_is_looked_at_and_nothing_can_be_written(space, tmp_path):
    a = add(space, tmp_path, [row(n) for n in range(6)])
    run_step(space, "formats")
    before = {m.id: m.value for m in metrics(space)}
    b = add(space, tmp_path, [row(n) for n in range(9)])
    view = as_of(space, a)
    assert view.dataset().digest == a.digest and space.dataset().digest == b.digest
    assert current(view, "formats") is not None and current(space, "formats") is None
    assert {m.id: m.value for m in metrics(view, a)} == before
    for act in (
        lambda: view.set_setting("x", 1),
        lambda: view.use(b),
        lambda: run_step(view, "formats", {"off": ["x"]}),
    ):
        with pytest.raises(InputError):
            act()
    assert space.settings() == {} and space.dataset().digest == b.digest


def test_the_scorecard_is_kept_once_for_each_thing_it_says(space, tmp_path):
    assert keep_card(space) is False
    a = add(space, tmp_path, [row(n) for n in range(6)])
    assert keep_card(space) and not keep_card(space)
    run_step(space, "formats")
    assert keep_card(space)
    b = add(space, tmp_path, [row(n) for n in range(9)])
    assert keep_card(space)
    every = cards(space)
    assert [one.digest for one in every] == [a.digest, a.digest, b.digest] and latest_of(every, a) == every[1]
    assert "format_compliance" in every[1].metrics and "format_compliance" not in every[2].metrics
    json.loads((space.path / "versions" / "scorecards.json").read_text())


def test_verdicts_follow_the_records_that_did_not_change(space, tmp_path):
    from core.actions.decisions import open_reviews, verdict_by_record
    from core.actions.versions import verdicts_that_stay
    from core.review.samples import add_sample
    from core.review.sampling import Draw
    from core.review.verdicts import Verdict, save_verdicts

    a = add(space, tmp_path, [row(n) for n in range(5)])
    store, ids = open_reviews(space), a.ids()
    from core.actions.decisions import seen_now

    draw = Draw(ids[:3], [1.0] * 3, "census", None, 3, recipe={})
    sample = add_sample(
        store, draw, name="s", role="training", dataset_digest=a.digest, by="me", digests=seen_now(a, ids[:3])
    )
    digests = seen_now(a, ids)
    save_verdicts(store, [Verdict(f"c{n}", sample.id, ids[n], digests[ids[n]], "me", "pass") for n in range(3)])
    b = add(space, tmp_path, [row(0), row(1, response="edited"), row(3), row(4), row(2)])
    assert set(verdict_by_record(store)) & set(b.ids()) == {ids[0], ids[2]}
    assert verdicts_that_stay(space, difference(a, b)) == (2, 3)


def test_column_reading_keeps_to_the_columns(space, tmp_path):
    """A table of some columns is what pyarrow would read, in less memory."""
    a = add(space, tmp_path, [row(n) for n in range(50)])
    wanted = ["response", "record_id"]
    assert a.table(wanted).equals(pq.read_table(a.path / "records.parquet", columns=wanted))
    assert a.table().equals(pq.read_table(a.path / "records.parquet"))
