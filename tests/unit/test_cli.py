"""The command line: the whole way through it, and bad calls in one line with exit code 2."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_workspace import ROWS

ROOT = Path(__file__).resolve().parents[2]


def call(*args: str, code: int = 0) -> str:
    done = subprocess.run([sys.executable, "-m", "core", *args], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == code, (done.returncode, done.stdout[-500:], done.stderr[-1500:])
    if code == 2:
        assert "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
        return done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    source = folder / "a.jsonl"
    source.write_text("".join(json.dumps(r) + "\n" for r in ROWS))
    call("import", str(source), "--workspace", str(folder / "ws"))
    return folder


def test_import_says_what_came_in_as_json(made, tmp_path):
    facts = json.loads(call("import", str(made / "a.jsonl"), "--workspace", str(tmp_path / "w"), "--json"))
    assert facts["records"] == 20 and facts["role"] == "training" and facts["report"]["quarantined"] == 0


def test_fields_are_mapped_by_hand(tmp_path):
    source = tmp_path / "odd.jsonl"
    source.write_text("".join(json.dumps({"frage": f"f{n}", "antwort": f"a{n}"}) + "\n" for n in range(3)))
    out = call(
        "import",
        str(source),
        "-w",
        str(tmp_path / "w"),
        "--field",
        "prompt=frage",
        "--field",
        "response=antwort",
        "--json",
    )
    assert json.loads(out)["mapping"]["response"] == "antwort"


def test_production_as_shares(made, tmp_path):
    shares = tmp_path / "shares.csv"
    shares.write_text("category,share\na,0.7\nb,0.3\n")
    assert json.loads(call("import", str(shares), "-w", str(made / "ws"), "--role", "production", "--json")) == {
        "shares": {"a": 0.7, "b": 0.3},
        "total": None,  # shares alone do not say of how many records
    }
    assert json.loads(call("run", "distribution", "-w", str(made / "ws"), "--json")) == {
        "steps": {"distribution": "done"}
    }


def test_select_export_read_back(made):
    space = str(made / "ws")
    found = json.loads(
        call(
            "select", "-w", space, "--strategy", "random", "--budget", "25%", "--seed", "3", "--name", "five", "--json"
        )
    )
    assert len(found["record_ids"]) == 5
    call("export", "-w", space, "--subset", "five", "--to", "original", "--out", str(made / "five.jsonl"))
    lines = (made / "five.jsonl").read_bytes().splitlines()
    assert len(lines) == 5 and set(lines) <= set((made / "a.jsonl").read_bytes().splitlines())
    manifest = json.loads((made / "five.jsonl.manifest.json").read_text())
    assert manifest["records"] == 5 and manifest["subset"]["strategy"] == "random"
    assert "exists" in call("export", "-w", space, "--to", "original", "--out", str(made / "five.jsonl"), code=2)


def test_select_says_what_it_lacks_and_takes_a_strategy_s_settings(made):
    where = ("--workspace", str(made / "ws"))
    assert "needs" in call("select", *where, "--strategy", "diq caps", "--cap", "5", code=2)
    facts = json.loads(call("select", *where, "--strategy", "longest", "--budget", "3", "--json"))
    assert len(facts["record_ids"]) == 3 and "described" in facts
    assert "no parameter 'cap'" in call("select", *where, "--strategy", "random", "--cap", "5", code=2)


def test_proof_on_the_command_line_says_what_it_lacks(made):
    where = ("--workspace", str(made / "ws"))
    assert "Run `embed`" in call("proof", *where, "--estimate", code=2)
    assert "not understood" in call("proof", *where, "--budgets", "few", code=2)


def test_audit_is_drawn_again_by_its_seed(made):
    first = json.loads(call("audit", "-w", str(made / "ws"), "--sample", "8", "--seed", "7", "--json"))
    again = json.loads(call("audit", "-w", str(made / "ws"), "--sample", "8", "--seed", "7", "--json"))
    assert first["record_ids"] == again["record_ids"] and len(first["record_ids"]) == 8


def test_check_exits_by_its_gates(made, tmp_path):
    call("run", "formats", "-w", str(made / "ws"))
    gates = tmp_path / "gates.json"
    gates.write_text(json.dumps({"format_compliance": ">= 0"}))
    call("check", "-w", str(made / "ws"), "--gates", str(gates), "--junit", str(tmp_path / "j.xml"))
    assert "<testsuite" in (tmp_path / "j.xml").read_text()
    gates.write_text(json.dumps({"examples_per_class": ">= 1000"}))
    call("check", "-w", str(made / "ws"), "--gates", str(gates), code=1)
    gates.write_text("[")
    call("check", "-w", str(made / "ws"), "--gates", str(gates), code=2)


def test_status_and_diff(made, tmp_path):
    facts = json.loads(call("status", "-w", str(made / "ws"), "--json"))
    assert facts["datasets"]["training"]["records"] == 20 and "diversity" not in facts
    facts = json.loads(call("status", "-w", str(made / "ws"), "--diversity", "--json"))
    assert facts["diversity"]["measures"][0]["measure"] == "vendi"
    source = tmp_path / "b.jsonl"
    source.write_text("".join(json.dumps(r) + "\n" for r in ROWS[:15]))
    call("import", str(source), "-w", str(tmp_path / "w"))
    facts = json.loads(call("diff", str(made / "ws"), str(tmp_path / "w"), "--json"))
    assert (facts["kept"], len(facts["removed"]), facts["added"]) == (15, 5, [])


@pytest.mark.parametrize(
    "args",
    [
        ("import", "/nowhere/file.jsonl"),
        ("run", "mapp"),
        ("run",),
        ("run", "map", "--set", "map.sede=3"),
        ("select", "--strategy", "best"),
        ("select", "--strategy", "random", "--budget", "0"),
        ("select", "--strategy", "influence"),
        ("export", "--to", "word", "--out", "/tmp/x"),
        ("export", "--to", "jsonl"),
        ("audit", "--sample", "0"),
        ("status", "--workspace", "/nowhere"),
        ("unknown",),
    ],
    ids=" ".join,
)
def test_a_bad_call_is_one_line_and_exit_2(made, args):
    where = [] if "--workspace" in args or args[0] in ("unknown",) else ["--workspace", str(made / "ws")]
    call(*args, *where, code=2)
