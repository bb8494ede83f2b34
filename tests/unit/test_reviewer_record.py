"""What the reviewer is given and what it takes back: records as turns, windows of a large sample, a batch from the browser."""

import json

import pytest

from core.review.sampling import draw_random
from core.review.store import add_sample, all_verdicts, open_store, sample_records
from pages.ui import reviewer as component
from pages.ui.reviewer import bounded, rows_of, save_outbox, shown
from tests.quality_data import make_dataset

ROW = {
    "record_id": "abc-1",
    "line": 4,
    "prompt": "Q?",
    "response": "A.",
    "reasoning": None,
    "category": "renal",
    "difficulty": 2.0,
}


def test_the_answer_is_the_mapped_response_with_its_reasoning_apart():
    messages = [{"role": "system", "content": "S"}, {"role": "user", "content": "Q?"}]
    messages.append({"role": "assistant", "content": "<think>Because.</think>A."})
    record = shown({**ROW, "messages": json.dumps(messages), "reasoning": "Because."})
    assert [t["role"] for t in record["turns"]] == ["system", "user", "assistant"]
    answer = record["turns"][-1]
    assert (answer["answer"], answer["text"], answer["reasoning"]) == (True, "A.", "Because.")
    assert (
        record["digest"].startswith("seen-")
        and record["digest"] != shown({**ROW, "response": "other"})["digest"]
        and ("category", "renal") in record["facts"]
        and ("difficulty", "2") in record["facts"]
    )


def test_earlier_turns_tool_calls_and_parts_are_shown_too():
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "function": {"name": "dose", "arguments": "{}"}}],
        },
        {"role": "tool", "name": "dose", "content": {"mg": 5}},
        {"role": "assistant", "content": "<think>hm</think> fine", "name": "b"},
        {"role": "user", "content": "then?"},
    ]
    turns = shown({**ROW, "messages": messages, "response": "Last."})["turns"]
    assert turns[0]["text"] == "one\n\ntwo" and json.loads(turns[1]["calls"][0])["id"] == "1"
    assert (turns[2]["text"], turns[2]["label"]) == ('{"mg": 5}', "dose")
    assert (turns[3]["reasoning"], turns[3]["text"]) == ("hm", "fine")
    assert (turns[-1]["text"], turns[-1]["answer"]) == ("Last.", True), "a response that is no turn is added"


@pytest.mark.parametrize("messages", [None, "not json", "[]", "[1]"])
def test_unusable_messages_fall_back_to_the_prompt(messages):
    record = shown({**ROW, "messages": messages, "rejected": "Worse."})
    assert [(t["role"], t["text"]) for t in record["turns"]] == [
        ("user", "Q?"),
        ("assistant", "A."),
        ("assistant", "Worse."),
    ]
    assert record["turns"][-1]["folded"]


def test_a_giant_text_is_cut_for_the_way_and_says_so():
    record = shown({**ROW, "messages": None, "response": "x" * 100_000})
    turn = bounded(record)["turns"][-1]
    assert len(turn["text"]) == 60_000 and turn["whole"] == 100_000
    assert len(record["turns"][-1]["text"]) == 100_000, "the record itself is not changed"


def test_rows_come_by_id_and_missing_ones_are_left_out(tmp_path):
    made = make_dataset(tmp_path / "data", [ROW | {"record_id": f"{i:016x}-1"} for i in range(6)])
    rows = rows_of(made)([f"{4:016x}-1", "gone-1", f"{2:016x}-1"])
    assert list(rows) == [f"{4:016x}-1", f"{2:016x}-1"]


def test_a_window_of_a_large_sample_surrounds_the_record_and_covers_all(tmp_path):
    store = open_store(tmp_path)
    ids = [f"{i:016x}-1" for i in range(1000)]
    sample = add_sample(store, draw_random(ids, 1000, 1), name="n", role="training", dataset_digest="d", by="A")
    records = sample_records(store, sample.id)
    for at in (0, 49, 50, 151, 500, 999):
        window, first = component._window(records, at)
        assert len(window) == component.WINDOW and window[0].position == first <= at < first + len(window)
        assert min(at + 21, 999) < first + len(window), "the next records are held too"
    assert component._window(records[:150], 3) == (records[:150], 0)


def test_a_batch_is_saved_whoever_the_browser_claims_to_be_and_a_bad_one_does_not_block_the_rest(tmp_path):
    store = open_store(tmp_path)
    sample = add_sample(store, draw_random(["a-1", "b-1"], 5, 1), name="n", role="training", dataset_digest="d", by="A")
    good = {
        "client_id": "1",
        "record_id": "a-1",
        "record_digest": "a",
        "outcome": "pass",
        "created_at": "2026-03-01T09:30:00.000Z",
    }
    good |= {"reviewer": "Mallory", "sample_id": "other"}
    save = save_outbox(store, sample, "Ada")
    found = save([good, {**good, "client_id": "2", "outcome": "great"}, {"client_id": "3"}, "nonsense"])
    assert found.acked == ["1"] and set(found.refused) == {"2", "3"} and found.problem is None
    assert [(v.reviewer, v.sample_id) for v in all_verdicts(store, sample.id)] == [("Ada", sample.id)]
    again = save([{**good, "outcome": "fail"}])  # another verdict under a stored id
    assert again.acked == [] and "other content" in again.refused["1"]


def test_a_store_that_cannot_be_written_is_a_problem_and_not_a_refusal(tmp_path, monkeypatch):
    from core.errors import WorkspaceError

    store = open_store(tmp_path)
    sample = add_sample(store, draw_random(["a-1"], 5, 1), name="n", role="training", dataset_digest="d", by="A")
    good = {
        "client_id": "1",
        "record_id": "a-1",
        "record_digest": "a",
        "outcome": "pass",
        "created_at": "2026-03-01T09:30:00Z",
    }

    def full(*_):
        raise WorkspaceError("the disk is full")

    monkeypatch.setattr(component, "save_verdicts", full)
    found = save_outbox(store, sample, "Ada")([good])
    assert (list(found.acked), dict(found.refused), found.problem) == ([], {}, "the disk is full")


def test_the_script_is_one_module_without_imports():
    text = component.script()
    assert "import {" not in text and text.count("export ") == 1 and "export default function" in text
    assert "http://" not in text and "https://" not in text and "innerHTML" not in text
