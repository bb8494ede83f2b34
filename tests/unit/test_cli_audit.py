"""Audits on the command line: every way to draw, repeating a draw, people, high stakes and the final verdicts."""

import json

import pytest
from typer.testing import CliRunner

from core.actions.decisions import open_reviews
from core.cli.main import app
from core.dataset.importing import import_file
from core.errors import InputError
from core.review.samples import sample_records, samples
from core.review.schema import tables, writing
from core.review.verdicts import Verdict, save_verdicts
from core.workspace import open_workspace


@pytest.fixture
def space(tmp_path, monkeypatch, database):
    monkeypatch.setenv("QUADRANT_DATABASE_URL", database if "://" in database else f"sqlite:///{database}")
    rows = [
        {
            "prompt": f"Question {n}?",
            "response": f"Answer {n}.",
            "category": "abc"[n % 3],
            "urgent": "yes" if n % 9 == 0 else "no",
        }
        for n in range(90)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    space = open_workspace(tmp_path / "w")
    space.add("training", path.name, lambda folder: import_file(path, folder, "training"))
    return space


def call(space, *args, code=0):
    done = CliRunner().invoke(app, [*args, "-w", str(space.path), "--json"])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return json.loads(done.output)


def test_every_way_to_draw_is_there_and_comes_out_again(space):
    call(space, "high-stakes", "--where", "urgent=yes", "--where", "category=b")
    for args, size in (
        (("--method", "random"), 20),
        (("--method", "stratified", "--group", "field.urgent"), 20),
        (("--method", "risk", "--risk", "high_stakes=5", "--risk", "long=0"), 20),
        (("--method", "high-stakes"), 40),
    ):
        found = call(space, "audit", "--sample", "20", "--seed", "4", "--double", "10", *args)
        assert len(found["record_ids"]) == size == len(found["probabilities"]) and len(found["double"]) == -(
            -size // 10
        )
        assert call(space, "audit", "--verify", "--after", found["sample"])["same"] is True
        if "risk" in args:
            assert found["recipe"]["risks"]["points"]["high_stakes"] == 5
            assert max(found["probabilities"]) > 2 * min(found["probabilities"])
    store = open_reviews(space)
    newest = samples(store)[-1]
    with writing(store) as connection:
        c = tables().samples
        connection.execute(c.update().where(c.c.id == newest.id).values(seed=99))
    assert call(space, "audit", "--verify", "--after", newest.id, code=1)["same"] is False
    for args, why in (
        (("--method", "magic"), "no way to draw"), (("--method", "risk", "--risk", "long"), "names no points"),
        (("--method", "risk", "--risk", "moon=1"), "no risk"), (("--double", "120"), "share"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=why):
            call(space, "audit", *args)
    assert call(space, "high-stakes", "--clear")["record_ids"] == []
    with pytest.raises(InputError, match="says no column"):
        call(space, "high-stakes", "--where", "urgent")


def test_people_decide_and_a_follow_up_reads_on(space):
    drawn = call(space, "audit", "--sample", "12", "--seed", "4")
    store = open_reviews(space)
    records = sample_records(store, drawn["sample"])
    for who, said in (("ada", ["fail"] + ["pass"] * 11), ("bea", ["pass"] * 12)):
        save_verdicts(store, [
            Verdict(f"{who}{n}", drawn["sample"], r.record_id, r.record_digest, who, one)
            for n, (r, one) in enumerate(zip(records, said, strict=True))
        ])  # fmt: skip
    first = records[0].record_id
    assert call(space, "adjudicate")["open"] == [first]
    decide = ("adjudicate", "--record", first, "--verdict", "fail", "--reason", "the dose is wrong")
    with pytest.raises(InputError, match="entered as annotator"):
        call(space, *decide, "--by", "cat")
    listed = call(
        space, "people", "--add", "cat", "--role", "advisor", "--credential", "MD", "--email", "cat@clinic.org"
    )["people"]
    assert [(one["name"], one["role"], one["calibration"]) for one in listed] == [("cat", "advisor", "no gold")]
    found = call(space, *decide, "--by", "cat")
    assert found["open"] == [] and found["decided"][0]["outcome"] == "fail"
    assert {one["reader"]: (one["agreed"], one["decided"], one["settled"]) for one in found["readers"]} == {
        "ada": (1, 1, 12), "bea": (0, 1, 12),
    }  # fmt: skip
    more = call(space, "audit", "--method", "follow-up", "--after", drawn["sample"], "--sample", "5")
    assert len(more["record_ids"]) == 5 and not set(more["record_ids"]) & set(drawn["record_ids"])
    assert call(space, "people", "--remove", "cat")["people"] == []
    with pytest.raises(InputError, match="needs --record"):
        call(space, "adjudicate", "--verdict", "fail")
