"""Which fields a schema takes, what the canonical record then is, and editing a mapping by hand."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.dataset.importing import import_file
from core.dataset.mapping import Mapping, edited, mapping_from
from core.dataset.preview import preview
from core.dataset.schemas import recognise
from core.errors import InputError
from tests.dataset_files import GOOD, imported, lines, written

USER, ASSISTANT = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
HUMAN, GPT = {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}

# (row, schema, mapped fields, prompt, response)
SHAPES = [
    ({"messages": [USER, ASSISTANT]}, "messages", {"messages": "messages"}, "a", "b"),
    ({"chat": json.dumps([USER, ASSISTANT])}, "messages", {"messages": "chat"}, "a", "b"),
    ({"conversations": [HUMAN, GPT]}, "sharegpt", {"messages": "conversations"}, "a", "b"),
    ({"instruction": "i", "input": "", "output": "o"}, "alpaca", {"prompt": "instruction + input", "response": "output"}, "i", "o"),
    ({"instruction": "i", "input": "x", "output": "o"}, "alpaca",
     {"prompt": "instruction + input", "response": "output"}, "i\n\nx", "o"),
    ({"prompt": "p", "completion": "c"}, "prompt-completion", {"prompt": "prompt", "response": "completion"}, "p", "c"),
    ({"prompt": [USER], "completion": [ASSISTANT]}, "prompt-completion", {"prompt": "prompt", "response": "completion"}, "a", "b"),
    ({"Question": "q", "Answer": "a"}, "question-answer", {"prompt": "Question", "response": "Answer"}, "q", "a"),
    ({"prompt": "p", "chosen": "c", "rejected": "r"}, "preference",
     {"prompt": "prompt", "response": "chosen", "rejected": "rejected"}, "p", "c"),
    ({"chosen": [USER, ASSISTANT], "rejected": [USER, {"role": "assistant", "content": "r"}]}, "preference",
     {"response": "chosen", "rejected": "rejected"}, "a", "b"),
    ({"conversations": [HUMAN], "chosen": GPT, "rejected": {"from": "gpt", "value": "r"}}, "preference",
     {"messages": "conversations", "response": "chosen", "rejected": "rejected"}, "a", "b"),
    ({"messages": [USER, ASSISTANT], "label": True}, "kto", {"messages": "messages"}, "a", "b"),
    ({"instruction": "i", "instances": [{"input": "x", "output": "o"}]}, "instances",
     {"prompt": "instruction + instances.0.input", "response": "instances.0.output"}, "i\n\nx", "o"),
    ({"text": "t", "label": "l"}, "text-label", {"prompt": "text", "response": "label", "category": "label"}, "t", "l"),
    (["t", "l"], "text-label", {"prompt": "0", "response": "1", "category": "1"}, "t", "l"),
    ({"User Query": "q", "Doctor": "d"}, "question-answer", {"prompt": "User Query", "response": "Doctor"}, "q", "d"),
    ({"patient": "p", "doctor": "d"}, "columns", {"prompt": "patient", "response": "doctor"}, "p", "d"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "schema", "fields", "prompt", "response"), SHAPES, ids=[f"{i}-{s[1]}" for i, s in enumerate(SHAPES)]
)
def test_recognised(tmp_path, row, schema, fields, prompt, response):
    data = imported(written(tmp_path, "a.jsonl", lines(row, row)), tmp_path)
    assert (data.report["schema"], data.report["fields"]) == (schema, fields)
    assert data.column("prompt") == [prompt] * 2 and data.column("response") == [response] * 2
    messages = json.loads(data.column("messages")[0])
    assert [m["role"] for m in messages] == ["user", "assistant"] and data.column("turns") == [2, 2]
    first, second = data.ids
    assert first[:16] == second[:16] and (first[16:], second[16:]) == ("-1", "-2")


def test_usual_columns_are_taken_and_named_in_the_report(tmp_path):
    row = GOOD | {
        "system": "s",
        "rationale": "why",
        "specialty": "Cardiology",
        "lang": "en",
        "difficulty": "4",
        "annotator": "A. B.",
        "id": 1,
    }
    data = imported(written(tmp_path, "a.jsonl", lines(row)), tmp_path)
    assert data.report["fields"] == {
        "prompt": "instruction", "response": "output", "system": "system", "reasoning": "rationale",
        "category": "specialty", "language": "lang",
        "difficulty": "difficulty", "annotator": "annotator", "id": "id",
    }  # fmt: skip
    (record,) = data.table.to_pylist()
    assert (record["system"], record["reasoning"], record["category"], record["language"]) == (
        "s",
        "why",
        "Cardiology",
        "en",
    )
    assert record["difficulty"] == 4.0 and record["annotator"] == "A. B." and record["field.id"] == "1"
    assert json.loads(record["messages"])[-1]["reasoning_content"] == "why"


def test_thinking_at_the_start_of_a_response_goes_to_reasoning(tmp_path):
    row = {"prompt": "p", "response": "<think>\nfirst, then\n</think>\n\nThe answer."}
    data = imported(written(tmp_path, "a.jsonl", lines(row)), tmp_path)
    assert data.column("reasoning") == ["first, then"] and data.column("response") == ["The answer."]
    assert json.loads(data.column("raw")[0]) == row


def test_tool_calls_and_tools_are_kept(tmp_path):
    call = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"drug": "x"}'}}
    turns = [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "10 mg"},
    ]
    tools = [{"type": "function", "function": {"name": "look_up"}}]
    path = written(
        tmp_path,
        "a.jsonl",
        lines({"messages": [*turns, ASSISTANT], "tools": tools}, {"messages": turns[:2], "tools": tools}),
    )
    data = imported(path, tmp_path)
    messages = json.loads(data.column("messages")[0])
    assert messages[1]["tool_calls"] == [call] and messages[2]["tool_call_id"] == "c1"
    assert json.loads(data.column("field.tools")[0]) == tools
    assert "look_up" in data.column("response")[1]  # a record may end with a call


def test_several_turns_become_one_prompt_with_the_speakers(tmp_path):
    turns = [
        {"role": "system", "content": "s"},
        USER,
        ASSISTANT,
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
    ]
    data = imported(written(tmp_path, "a.jsonl", lines({"messages": turns})), tmp_path)
    (record,) = data.table.to_pylist()
    assert record["prompt"] == "user: a\n\nassistant: b\n\nuser: c" and record["response"] == "d"
    assert record["system"] == "s" and record["turns"] == 4


def tree(*replies: dict, text: str = "q", role: str = "prompter", **more) -> dict:
    return {"text": text, "role": role, "replies": list(replies), **more}


def test_a_tree_gives_its_best_ranked_path_or_every_path(tmp_path):
    worse, best = (
        tree(text="worse", role="assistant", rank=1),
        tree(tree(text="thanks"), text="best", role="assistant", rank=0),
    )
    path = written(tmp_path, "a.jsonl", lines({"message_tree_id": "t", "prompt": tree(worse, best)}))
    data = imported(path, tmp_path)
    assert data.column("response") == ["best"] and data.column("prompt") == ["q"]
    everything = imported(path, tmp_path, mapping=data.mapping | {"unfold": "prompt"})
    assert everything.column("response") == ["worse", "best"]
    assert len({i[:16] for i in everything.ids}) == 2 and everything.column("line") == [1, 1]


def test_production_may_lack_responses_and_end_with_a_question(tmp_path):
    rows = lines({"prompt": "p", "category": "x"})
    data = imported(written(tmp_path, "a.jsonl", rows), tmp_path, role="production")
    assert data.column("response") == [""] and data.column("category") == ["x"]
    with pytest.raises(InputError, match="no field could be recognised as the response.*import the file as production"):
        imported(written(tmp_path, "b.jsonl", rows), tmp_path)
    chat = lines({"messages": [USER, ASSISTANT, {"role": "user", "content": "c"}]})
    data = imported(written(tmp_path, "c.jsonl", chat), tmp_path, role="production")
    assert data.column("prompt") == ["user: a\n\nassistant: b\n\nuser: c"] and data.column("response") == [""]


def test_a_mapping_by_hand(tmp_path):
    path = written(tmp_path, "a.csv", "Raw Question,Raw Answer,note\nq,a,n\n")
    with pytest.raises(InputError, match="no field could be recognised.*Raw Question, Raw Answer, note"):
        imported(path, tmp_path)
    mapping = edited(Mapping(), ["prompt=Raw Question + note", "response=Raw Answer", "category=note", "category="])
    data = imported(path, tmp_path, mapping=mapping)
    assert data.column("prompt") == ["q\n\nn"] and data.mapping == {
        "schema": "fields", "prompt": ["Raw Question", "note"], "response": "Raw Answer",
    }  # fmt: skip
    assert mapping_from(json.loads(json.dumps(data.mapping))) == mapping
    with pytest.raises(InputError, match="response from 'answer', which no row has"):
        imported(path, tmp_path, mapping=edited(mapping, ["response=answer"]))
    with pytest.raises(InputError, match="ROLE=FIELD"):
        edited(mapping, ["answer"])
    with pytest.raises(InputError, match="no 'output'"):
        mapping_from({"output": "x"})
    with pytest.raises(InputError, match="Schema 'x' is not known"):
        recognise([GOOD], "x")


def test_a_schema_asked_for_is_taken_or_refused():
    row = {"messages": [USER, ASSISTANT], "question": "q", "answer": "a"}
    assert recognise([row]).messages == "messages"
    assert recognise([row], "question-answer").response == "answer"
    with pytest.raises(InputError, match="do not look like alpaca"):
        recognise([row], "alpaca")


def test_lists_and_sheets_can_be_chosen(tmp_path):
    import openpyxl

    path = written(tmp_path, "a.json", json.dumps({"train": [["t", "l"]], "val": [["u", "l"], ["v", "l"]]}))
    assert preview(path).choices == {"lists": ["train", "val"]}
    assert imported(path, tmp_path).column("field.list") == ["train", "val", "val"]
    mapping = edited(preview(path).mapping, ["lists=val"])
    assert imported(path, tmp_path, mapping=mapping).column("prompt") == ["u", "v"]
    book = openpyxl.Workbook()
    for sheet, word in ((book.active, "one"), (book.create_sheet("Second"), "two")):
        sheet.append(["question", "answer", "n"])
        sheet.append([word, "a", 7])
    book.save(tmp_path / "a.xlsx")
    seen = preview(tmp_path / "a.xlsx")
    assert seen.choices == {"sheets": ["Sheet", "Second"]} and "the workbook also has 'Second'" in seen.notes[0]
    second = imported(tmp_path / "a.xlsx", tmp_path, mapping=edited(seen.mapping, ["sheet=Second"]))
    assert second.column("prompt") == ["two"] and second.column("field.n") == ["7"]
    with pytest.raises(InputError, match="no sheet 'Third'"):
        imported(tmp_path / "a.xlsx", tmp_path, mapping=edited(seen.mapping, ["sheet=Third"]))


def test_preview_shows_fields_records_and_problems(tmp_path):
    path = written(tmp_path, "a.jsonl", lines(GOOD, GOOD | {"output": ""}, GOOD | {"tags": ["x"]}) + "{bad\n")
    seen = preview(path)
    assert (seen.kind, seen.schema, seen.error) == ("jsonl", "alpaca", "")
    assert [(f.name, f.kind, f.present, f.filled) for f in seen.fields] == [
        ("instruction", "text", 3, 3), ("output", "text", 3, 2), ("tags", "list", 1, 1),
    ]  # fmt: skip
    assert [r["response"] for r in seen.records] == [GOOD["output"]] * 2
    assert [(p["line"], p["reason"].split(":")[0]) for p in seen.problems] == [
        (2, "empty response"),
        (4, "invalid JSON"),
    ]
    unknown = preview(written(tmp_path, "b.jsonl", lines({"x": 1, "y": 2}, {"x": 1, "y": 3})))
    assert unknown.schema is None and "No field could be recognised" in unknown.error
    wrong = preview(path, mapping=Mapping(prompt=("nothing",), response="output"))
    assert "'nothing', which no row has" in wrong.error
    assert preview(written(tmp_path, "c.csv", "category,share\nA,0.5\nB,0.5\n")).kind == "shares"


def test_late_fields_and_vectors_get_columns(tmp_path):
    rows = [GOOD | {"n": i} for i in range(300)] + [GOOD | {"late": "x", "vector": [0.5, 1e-3]}]
    data = imported(written(tmp_path, "a.jsonl", lines(*rows)), tmp_path)
    assert data.column("field.late") == [None] * 300 + ["x"] and data.column("field.n")[299:] == ["299", None]
    assert data.column("field.vector")[-1] == "[0.5, 0.001]"


def test_shards_are_one_table_and_their_source_is_kept(tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    for name, word in (("b.parquet", "second"), ("a.parquet", "first")):
        pq.write_table(
            pa.table({"prompt": [word], "response": ["r"], "n": pa.array([2**60], pa.int64())}), folder / name
        )
    data = imported(folder, tmp_path)
    assert data.column("prompt") == ["first", "second"] and data.column("field.n") == [str(2**60)] * 2
    assert pq.read_table(data.path / "source.parquet")["prompt"].to_pylist() == ["first", "second"]


def test_a_system_text_that_is_also_a_turn_is_said_once(tmp_path):
    turns = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a"},
    ]
    text = lines({"messages": turns, "system": "be kind"}, {"messages": turns[1:], "system": "be kind"})
    (tmp_path / "out").mkdir()
    import_file(written(tmp_path, "a.jsonl", text), tmp_path / "out", "training")
    table = pq.read_table(tmp_path / "out" / "records.parquet")
    assert [json.loads(one) for one in table["messages"].to_pylist()] == [turns, turns]
    assert table["system"].to_pylist() == ["be kind", "be kind"]
