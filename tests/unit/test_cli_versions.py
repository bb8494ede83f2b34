"""Versions, gates, recipes and splits on the command line."""

import json
from xml.etree import ElementTree

import pytest

from tests.dataset_files import lines
from tests.unit.test_cli import call


def row(n: int, **more) -> dict:
    return {"prompt": f"What of case {n}?", "response": f"Advice number {n}.", "category": "ab"[n % 2], **more}


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    folder = tmp_path_factory.mktemp("v")
    edited = [row(0, response="Edited."), *map(row, range(2, 42))]
    for name, rows in {"a.jsonl": [row(n) for n in range(40)], "b.jsonl": edited}.items():
        (folder / name).write_text(lines(*rows))
        call("import", str(folder / name), "-w", str(folder / "ws"))
    return folder


def test_versions_are_listed_compared_and_gone_back_to(space):
    where = ("-w", str(space / "ws"))
    known = json.loads(call("versions", *where, "--json"))
    assert [(one["number"], one["records"], one["current"]) for one in known] == [(1, 40, False), (2, 41, True)]
    found = json.loads(call("diff", "previous", "current", *where, "--json"))
    assert (found["kept"], len(found["removed"]), len(found["added"])) == (38, 1, 2)
    assert [(one["how"], one["parts"]) for one in found["edited"]] == [("prompt", "response")]
    text = call("diff", "1", "2", *where, "--text", "1")
    assert "-Advice number 0." in text and "+Edited." in text
    assert "Versions: 1 " in call("diff", "1", "9", *where, code=2)


def test_a_recipe_goes_to_another_workspace(space, tmp_path):
    from core.actions.decisions import open_reviews
    from core.review.ledger import remove_records
    from core.workspace import open_workspace

    here = open_workspace(space / "ws")
    remove_records(open_reviews(here), here.need().ids()[:3], reason="bad", by="Ann")
    call("recipe", "-w", str(space / "ws"), "--out", str(tmp_path / "r.yml"))
    call("import", str(space / "a.jsonl"), "-w", str(tmp_path / "ws"))
    text = call("replay", str(tmp_path / "r.yml"), "-w", str(tmp_path / "ws"), "--dry-run")
    assert "2 matched, 1 edited since" in text and "decide again" in text
    facts = json.loads(call("replay", str(tmp_path / "r.yml"), "-w", str(tmp_path / "ws"), "--json"))
    assert facts["outcomes"][0]["state"] == "done"
    (tmp_path / "bad.yml").write_text("a: [1")
    assert "no YAML" in call("replay", str(tmp_path / "bad.yml"), "-w", str(tmp_path / "ws"), code=2)


def test_check_writes_both_reports_and_takes_yaml(space, tmp_path):
    (tmp_path / "gates.yml").write_text('examples_per_class: ">= 5 on bound"\nkl: {"<=": 0.1, "on": "bound"}\n')
    args = ("check", "-w", str(space / "ws"), "--gates", str(tmp_path / "gates.yml"))
    call(*args, "--junit", str(tmp_path / "j.xml"), "--report", str(tmp_path / "r.json"), code=1)
    facts = json.loads((tmp_path / "r.json").read_text())
    assert [g["verdict"] for g in facts["gates"]] == ["pass", "unknown"] and facts["holds"] is False and facts["advice"]
    assert ElementTree.parse(tmp_path / "j.xml").getroot().find("testsuite").get("failures") == "1"


def test_splits_card_and_preflight(space, tmp_path):
    where = ("-w", str(space / "ws"))
    call(
        "export",
        *where,
        "--to",
        "trl",
        "--out",
        str(tmp_path / "o.jsonl"),
        "--split",
        "train=75,test=25",
        "--card",
        "--leave-out",
    )
    counts = [len((tmp_path / f"o-{name}.jsonl").read_text().splitlines()) for name in ("train", "test")]
    assert sum(counts) in (38, 41) and (tmp_path / "o.jsonl.card.md").exists()
    found = json.loads(call("preflight", *where, "--to", "llamafactory", "--limit", "12", "--json"))
    assert found["findings"][0]["rule"] in ("too_long", "nothing_left") and found["limit"] == 12
    assert "sum to 90" in call(
        "export", *where, "--to", "trl", "--out", str(tmp_path / "p.jsonl"), "--split", "a=50,b=40", code=2
    )
