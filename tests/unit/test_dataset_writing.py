"""Exports: the same bytes come back, spreadsheets run nothing, files are whole or not there."""

import csv
import datetime
import gzip
import hashlib
import io
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.dataset import store, tables, writing
from core.dataset.writing import FORMATS, suffix_of, write
from core.errors import InputError
from tests.dataset_files import GOOD, imported, lines, written

TURNS = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
CSV = 'question,answer,n\r\n"one, ""x""\r\nmore",=1+1,007\r\ntwo,b,-5\nthree,@c,1e5\n'


def parquet_bytes() -> bytes:
    out = io.BytesIO()
    table = pa.table({
        "prompt": ["a", "b"], "response": ["c", "d"], "when": pa.array([datetime.datetime(2024, 1, 2), None], pa.timestamp("ns")),
        "vector": pa.array([[0.5, 0.25], [1.0, 2.0]], pa.list_(pa.float32())), "n": pa.array([2**62, None], pa.int64()),
    })  # fmt: skip
    pq.write_table(table.replace_schema_metadata({"made": "by hand"}), out)
    return out.getvalue()


SOURCES = {
    "a.jsonl": lines(GOOD, GOOD | {"x": {"y": [1.50]}}, GOOD, {"output": 'é\u2028"', "instruction": "☃"}).encode(),
    "b.json": json.dumps([GOOD, GOOD | {"id": 7}], indent=3).encode(),
    "c.json": json.dumps({"11": GOOD, "a\u00e9": GOOD}).encode(),
    "d.json": json.dumps({"train": [["t", "l"]], "val": [["u", "l"], ["v", "m"]]}, indent=1).encode(),
    "e.csv": CSV.encode(),
    "f.tsv": b"question\tanswer\na, b\tc\n",
    "g.parquet": parquet_bytes(),
    "h.jsonl.gz": gzip.compress(lines(GOOD).encode()),
}


@pytest.mark.parametrize("name", SOURCES)
def test_original_comes_back_as_the_same_records_and_bytes(tmp_path, name):
    data = imported(written(tmp_path, name, SOURCES[name]), tmp_path)
    out = tmp_path / ("out" + suffix_of(data, "original"))
    write(data, data.ids, "original", out)
    again = imported(out, tmp_path, mapping=data.mapping)
    assert again.ids == data.ids and again.column("raw") == data.column("raw") and again.digest == data.digest
    assert again.report["format"] == data.report["format"]
    if name in ("a.jsonl", "e.csv", "f.tsv"):
        assert out.read_bytes() == SOURCES[name]


def test_excel_comes_back_with_its_types(tmp_path):
    import openpyxl

    book = openpyxl.Workbook()
    rows = [
        ["question", "answer", "n", "when", "mixed"],
        ["q", "=a", 7, datetime.datetime(2024, 1, 2), 1],
        [None] * 5,
        ["r", "b", None, None, "x"],
    ]
    for row in rows:
        book.active.append(row)
    book.active["B2"].data_type = "s"
    book.save(tmp_path / "a.xlsx")
    data = imported(tmp_path / "a.xlsx", tmp_path)
    assert data.column("line") == [2, 4]
    write(data, data.ids[::-1], "original", tmp_path / "b.xlsx")
    again = openpyxl.load_workbook(tmp_path / "b.xlsx").active
    assert [list(row) for row in again.iter_rows(values_only=True)] == [
        rows[0], ["r", "b", None, None, "x"], ["q", "=a", 7, datetime.datetime(2024, 1, 2), "1"],
    ]  # fmt: skip
    assert again["B3"].data_type == "s"


def test_parquet_keeps_the_schema_of_the_source(tmp_path):
    data = imported(written(tmp_path, "a.parquet", SOURCES["g.parquet"]), tmp_path)
    write(data, data.ids[1:], "original", tmp_path / "b.parquet")
    assert pq.read_schema(tmp_path / "b.parquet").equals(pq.read_schema(tmp_path / "a.parquet"), check_metadata=True)
    assert pq.read_table(tmp_path / "b.parquet").equals(pq.read_table(tmp_path / "a.parquet").slice(1))


def test_the_order_of_the_ids_is_the_order_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "GROUP_ROWS", 4)
    data = imported(written(tmp_path, "a.jsonl", lines(*(GOOD | {"n": n} for n in range(9)))), tmp_path)
    assert pq.ParquetFile(data.path / "records.parquet").num_row_groups == 3
    for chosen in ([5, 2], [2, 5], [8, 0, 4, 3, 7], [0, 1, 2, 3, 4, 5, 6, 7, 8]):
        write(data, [data.ids[n] for n in chosen], "original", tmp_path / "b.jsonl", overwrite=True)
        assert [json.loads(line)["n"] for line in (tmp_path / "b.jsonl").read_text().splitlines()] == chosen


def test_csv_is_exact_and_csv_safe_runs_nothing(tmp_path):
    data = imported(written(tmp_path, "a.csv", CSV), tmp_path)
    write(data, data.ids, "csv", tmp_path / "exact.csv")
    write(data, data.ids, "csv-safe", tmp_path / "safe.csv")
    assert (tmp_path / "exact.csv").read_bytes() == CSV.encode()
    with (tmp_path / "safe.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[1:] == [['one, "x"\r\nmore', "'=1+1", "007"], ["two", "b", "-5"], ["three", "'@c", "1e5"]]


@pytest.mark.parametrize("text", ["=1", "+x", "-x", "@x", "\tx", "\rx", "＝1", "＋1a", "＠x"])
def test_neutral(text):
    assert tables.neutral(text) == "'" + text and tables.neutral("a" + text) == "a" + text


def test_trainers(tmp_path):
    call = {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    rows = [
        {"messages": [{"role": "system", "content": "s"}, *TURNS]},
        {"messages": [TURNS[0], {"role": "assistant", "content": "", "tool_calls": [call]},
                      {"role": "tool", "content": "r"}, TURNS[1]],
         "tools": [{"name": "f", "description": "d", "parameters": {}}]},
        {"messages": [TURNS[0], {"role": "assistant", "content": "b", "reasoning_content": "why"}]},
    ]  # fmt: skip
    data = imported(written(tmp_path, "a.jsonl", lines(*rows)), tmp_path)

    def lines_of(to):
        manifest = write(data, data.ids, to, tmp_path / f"{to}.x")
        return [json.loads(line) for line in (tmp_path / f"{to}.x").open()], manifest

    trl, _ = lines_of("trl")
    nulls = {"name": None, "reasoning_content": None, "tool_calls": None}
    assert trl[0] == {"messages": [nulls | rows[0]["messages"][0], *TURNS], "tools": "null"}, (
        "the first turn names every key"
    )
    assert trl[2]["messages"][1]["reasoning_content"] == "why"
    assert json.loads(trl[1]["tools"]) == rows[1]["tools"] and trl[1]["messages"] == rows[1]["messages"]
    pairs, _ = lines_of("trl-prompt-completion")
    system, user, answer = rows[0]["messages"]
    assert pairs[0] == {"prompt": [nulls | system, user], "completion": [nulls | answer], "tools": "null"}
    plain = imported(written(tmp_path, "plain.jsonl", lines(rows[0])), tmp_path)
    write(plain, plain.ids, "trl", tmp_path / "plain.x")
    assert json.loads((tmp_path / "plain.x").read_text()) == rows[0], "nothing is added where nothing is optional"
    openai, manifest = lines_of("openai")
    assert openai[1]["messages"][1]["tool_calls"][0] == {
        "id": "call_0", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'},
    }  # fmt: skip
    assert openai[1]["messages"][2]["tool_call_id"] == "call_0" and openai[1]["tools"][0]["function"]["name"] == "f"
    assert openai[2]["messages"][1] == TURNS[1] and "reasoning of 1 records" in manifest["notes"][0]
    assert "chat_template" in (lines_of("axolotl") and (tmp_path / "axolotl.x.axolotl.yml").read_text())
    with pytest.raises(InputError, match="no rejected response"):
        lines_of("trl-preference")


def test_llamafactory_adds_to_its_dataset_info(tmp_path):
    rows = [{"instruction": "i", "output": "<think>t</think>o", "system": "s"}]
    data = imported(written(tmp_path, "a.jsonl", lines(*rows)), tmp_path)
    (tmp_path / "dataset_info.json").write_text('{"other": {"file_name": "other.json"}}')
    write(data, data.ids, "llamafactory", tmp_path / "mine.json")
    info = json.loads((tmp_path / "dataset_info.json").read_text())
    assert info["other"] == {"file_name": "other.json"}
    assert info["mine"] == {
        "file_name": "mine.json",
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system"},
        "tags": {
            "role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt", "observation_tag": "observation",
            "function_tag": "function_call", "system_tag": "system",
        },
    }  # fmt: skip
    (item,) = json.loads((tmp_path / "mine.json").read_text())
    assert item["system"] == "s" and item["conversations"][1] == {"from": "gpt", "value": "<think>t</think>o"}
    again = imported(tmp_path / "mine.json", tmp_path)
    assert again.column("reasoning") == ["t"] and again.column("response") == ["o"] and again.column("system") == ["s"]


def test_preference_pairs(tmp_path):
    data = imported(written(tmp_path, "a.jsonl", lines({"prompt": "p", "chosen": "c", "rejected": "r"})), tmp_path)
    write(data, data.ids, "trl-preference", tmp_path / "b.jsonl")
    (item,) = [json.loads(line) for line in (tmp_path / "b.jsonl").open()]
    assert [item[k][0]["content"] for k in ("prompt", "chosen", "rejected")] == ["p", "c", "r"]


def test_the_manifest_says_what_was_written(tmp_path):
    data = imported(written(tmp_path, "a.jsonl", SOURCES["a.jsonl"]), tmp_path)
    out = tmp_path / "b.jsonl.gz"
    manifest = write(
        data, data.ids[:2], "jsonl", out, subset={"name": "best", "strategy": "influence", "budget": "10%"}
    )
    assert json.loads((tmp_path / "b.jsonl.gz.manifest.json").read_text()) == manifest
    assert (
        manifest["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest() and manifest["bytes"] == out.stat().st_size
    )
    assert (
        manifest["records"] == 2
        and manifest["dataset"]["digest"] == data.digest
        and manifest["subset"]["strategy"] == "influence"
    )
    assert manifest["mapping"] == data.mapping
    items = [json.loads(line) for line in gzip.decompress(out.read_bytes()).splitlines()]
    assert [item["record_id"] for item in items] == data.ids[:2]


def test_every_format_writes_an_empty_selection(tmp_path):
    data = imported(written(tmp_path, "a.jsonl", lines(GOOD)), tmp_path)
    for to in FORMATS:
        assert write(data, [], to, tmp_path / f"{to}.out")["records"] == 0


def test_refusals_leave_nothing_behind(tmp_path, monkeypatch):
    data = imported(written(tmp_path, "a.jsonl", lines(GOOD)), tmp_path)
    folder = tmp_path / "out"
    folder.mkdir()
    out = written(folder, "x.jsonl", "before")
    with pytest.raises(InputError, match="exists"):
        write(data, data.ids, "jsonl", out)
    with pytest.raises(InputError, match="1 of 1 records are not in"):
        write(data, ["0" * 16 + "-1"], "jsonl", out, overwrite=True)
    with pytest.raises(InputError, match="more than once"):
        write(data, data.ids * 2, "jsonl", out, overwrite=True)
    with pytest.raises(InputError, match="is a folder"):
        write(data, data.ids, "jsonl", folder)
    with pytest.raises(InputError, match="does not exist"):
        write(data, data.ids, "jsonl", folder / "no" / "x.jsonl")
    with pytest.raises(InputError, match="Format 'xls' is not known"):
        write(data, data.ids, "xls", folder / "y")

    def full(chosen, stream):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(writing.FORMATS, "jsonl", writing.Format("", ".jsonl", full))
    with pytest.raises(InputError, match="No space left on device"):
        write(data, data.ids, "jsonl", out, overwrite=True)
    assert os.listdir(folder) == ["x.jsonl"] and out.read_text() == "before"
