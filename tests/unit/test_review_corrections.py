"""Corrected responses from the reader's verdict to the export that applies them, and rubrics, on the command line."""

import json

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from core.actions.decisions import open_reviews
from core.actions.exporting import export_records
from core.cli.main import app
from core.dataset.importing import import_file
from core.errors import InputError
from core.review.edits import decide, edits, proposals
from core.review.rubrics import ready
from core.review.samples import sample_records, samples
from core.review.verdicts import Verdict, current_verdicts, save_verdicts
from core.workspace import open_workspace


def call(*args: str, code: int = 0) -> str:
    """The command line in this process; a refusal gives its sentence."""
    done = CliRunner().invoke(app, list(args))
    if code:
        assert isinstance(done.exception, InputError), done
        return str(done.exception)
    assert done.exit_code == 0, done
    return done.stdout


ROWS = [
    {"prompt": "Dose?", "response": "10 mg.", "reasoning": "Because."},
    {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nOld é."}]},
    {"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "first"},
                  {"role": "user", "content": "v"}, {"role": "assistant", "content": "last"}]},
    {"messages": [{"role": "user", "content": "call"}, {"role": "assistant", "content": "",
                  "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {}}}]}]},
]  # fmt: skip


@pytest.fixture
def space(tmp_path):
    """Workspace whose four records, one of each shape, have a correction that is accepted."""
    rows = [
        {"messages": [{"role": "user", "content": r["prompt"]}, {"role": "assistant", "content": r["response"]}]}
        if "prompt" in r
        else r
        for r in ROWS
    ]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    space = open_workspace(tmp_path / "ws")
    space.add("training", path.name, lambda folder: import_file(path, folder, "training"))
    call("audit", "--sample", "4", "--rubric", "clinical-sft", "-w", str(space.path))
    store = open_reviews(space)
    (sample,) = samples(store)
    rubric = ready()["clinical-sft"]
    answers = dict.fromkeys(rubric.questions, "pass") | {"accuracy": "fail"}
    for record in sample_records(store, sample.id):
        verdict = Verdict(
            f"c{record.position}", sample.id, record.record_id, record.record_digest, "Ada", "fail", answers, rubric=rubric.digest,
            correction=f"Right, {record.record_id[:4]} ü",
        )  # fmt: skip
        save_verdicts(store, [verdict])
    for one in proposals(current_verdicts(store, sample.id), edits(store)):
        decide(store, one, "accept", "Bo")
    return space


def exported(space, to, name, **options):
    out = space.path / name
    manifest = export_records(space, to, out, **options)
    return manifest, [json.loads(line) for line in out.read_text("utf-8").splitlines()]


def test_an_export_that_asks_for_it_writes_the_corrected_and_keeps_the_original_in_its_manifest(space):
    ids = space.need().ids()
    plain, before = exported(space, "jsonl", "plain.jsonl")
    assert "corrections" not in plain["subset"]
    manifest, after = exported(space, "jsonl", "right.jsonl", corrections=True)
    told = {one["record_id"]: one for one in manifest["subset"]["corrections"]}
    assert [told[i]["original"] for i in ids[:3]] == ["10 mg.", "Old é.", "last"]
    assert all((one["proposed_by"], one["accepted_by"]) == ("Ada", "Bo") for one in told.values())
    assert [one["record_id"] for one in manifest["subset"]["corrections_left_out"]] == [ids[3]]
    assert "tool call" in manifest["subset"]["corrections_left_out"][0]["why"]
    for i, (old, new) in enumerate(zip(before, after, strict=True)):
        text = f"Right, {ids[i][:4]} ü"
        if i == 3:
            assert new == old
            continue
        assert new["response"] == text and new["messages"][-1]["content"].endswith(text)
        assert new["messages"][:-1] == old["messages"][:-1]
    assert after[1]["messages"][-1]["content"] == f"<think>\nhm\n</think>\n\nRight, {ids[1][:4]} ü"
    again, _ = exported(space, "jsonl", "again.jsonl")
    assert again["sha256"] == plain["sha256"], "the imported records stay as they are"


def test_trainers_and_parquet_take_the_corrected_text_and_rows_as_imported_refuse_it(space):
    ids = space.need().ids()
    _, rows = exported(space, "trl", "t.jsonl", corrections=True)
    assert [row["messages"][-1]["content"][-12:] for row in rows[:3]] == [f"Right, {i[:4]} ü"[-12:] for i in ids[:3]]
    export_records(space, "parquet", space.path / "p.parquet", corrections=True)
    table = pq.read_table(space.path / "p.parquet")
    assert table["response"].to_pylist()[:3] == [f"Right, {i[:4]} ü" for i in ids[:3]]
    assert "10 mg." in table["raw"].to_pylist()[0]
    assert table.schema.field("response").type == space.need().table(["response"]).schema.field("response").type
    for to in ("original", "csv", "csv-safe"):
        with pytest.raises(InputError, match="as they were imported, so 3 corrected responses have no place"):
            export_records(space, to, space.path / "x", corrections=True)
    assert not (space.path / "x").exists()
    backwards, _ = exported(space, "jsonl", "b.jsonl", ids=ids[::-1], corrections=True)
    assert backwards["records"] == 4


def test_corrections_and_rubrics_on_the_command_line(space, tmp_path):
    where = ("-w", str(space.path))
    ids = space.need().ids()
    listed = json.loads(call("corrections", *where, "--json"))["corrections"]
    assert {one["state"] for one in listed} == {"accept"} and len(listed) == 4
    call("corrections", *where, "--withdraw", ids[0], "--reject", ids[1])
    assert "has no correction; list them first" in call("corrections", *where, "--accept", "none-1", code=2)
    out = call("export", "--to", "jsonl", "--out", str(tmp_path / "o.jsonl"), "--corrections", *where)
    assert "1 corrected responses; their originals are in the manifest" in out and "left as imported" in out
    assert "clinical-sft: Clinical SFT, five criteria (ready" in call("rubrics", *where)
    text = call("rubrics", "--show", "clinical-sft", *where)
    mine = tmp_path / "mine.json"
    mine.write_text(text.replace('"id": "clinical-sft"', '"id": "mine"', 1), "utf-8")
    assert "mine: Clinical SFT" in call("rubrics", "--add", str(mine), "--use", "mine", *where)
    mine.write_text(text.replace('"rule": "needed"', '"rule": "most"'), "utf-8")
    assert call("rubrics", "--add", str(mine), *where, code=2).startswith("mine.json: outcome.rule is 'most'")
    call("rubrics", "--remove", "mine", *where)
    assert "no file of its own" in call("rubrics", "--remove", "mine", *where, code=2)
    assert "There is no rubric 'gone'" in call("audit", "--rubric", "gone", *where, code=2)
