"""`fix` and `leakage` on the command line."""

import json

import pytest
from typer.testing import CliRunner

from core.actions.decisions import open_reviews
from core.cli.main import app
from core.review.edits import accepted
from core.review.ledger import removed_ids
from core.steps import set_params
from core.workspace import open_workspace


def call(*words) -> dict:
    done = CliRunner().invoke(app, [*map(str, words), "--json"], catch_exceptions=False)
    return json.loads(done.stdout)


@pytest.fixture
def folder(tmp_path):
    """A workspace with lexical vectors: 12 training records, of which two are in the validation set, one with stray space."""
    words = "heart liver lung skin bone nerve vein tooth ear eye hand foot".split()  # noqa: SIM905
    rows = [
        {"prompt": f"What helps a sore {w} today?", "response": f"Rest the {w}.{' ' * (w == 'skin')}"} for w in words
    ]
    files = {
        "training": rows,
        "validation": [rows[2], rows[5], {"prompt": "Something else entirely", "response": "No."}],
    }
    for role, some in files.items():
        path = tmp_path / f"{role}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in some), "utf-8")
        CliRunner().invoke(
            app, ["import", str(path), "-w", str(tmp_path / "w"), "--role", role], catch_exceptions=False
        )
    set_params(open_workspace(tmp_path / "w"), "embed", {"model": "lexical"})
    return tmp_path / "w"


def test_leaked_records_are_named_and_removed(folder, tmp_path):
    found = call("leakage", "-w", folder)
    assert found["records"] == 2 and found["sets"]["validation"]["exact"] == 2
    bench = tmp_path / "bench.jsonl"
    bench.write_text(json.dumps({"prompt": "what helps a sore FOOT today?"}) + "\n", "utf-8")
    assert call("leakage", "-w", folder, "--file", bench)["records"] == 3
    done = call("leakage", "-w", folder, "--remove", "--into", "bench.jsonl")
    assert (done["removed"], done["records"]) == (1, 2)
    assert call("leakage", "-w", folder, "--remove")["records"] == 0
    assert len(removed_ids(open_reviews(open_workspace(folder)))) == 3


def test_fix_ups_are_counted_accepted_and_taken_back(folder):
    CliRunner().invoke(app, ["run", "formats", "-w", str(folder)], catch_exceptions=False)
    space = open_workspace(folder)
    assert call("fix", "-w", folder)["rules"] == {"stray_space": 1}
    assert not accepted(open_reviews(space))
    done = call("fix", "-w", folder, "--rule", "stray_space", "--accept")
    assert [one.text for one in accepted(open_reviews(space)).values()] == ["Rest the skin."]
    assert call("fix", "-w", folder)["records"] == 0
    assert call("fix", "-w", folder, "--undo", done["batch"])["taken_back"] == 1
    assert not accepted(open_reviews(space))
