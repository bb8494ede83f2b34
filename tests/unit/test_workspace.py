"""The workspace folder: whole or not at all, kept by SHA-256, found by key."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from core.errors import Cancelled, Corrupt, InputError, MissingInput, WorkspaceError
from core.steps import STEPS, analysis, current, params_of, plan, run_step, set_params
from core.workspace import Output, open_workspace

ROOT = Path(__file__).resolve().parents[2]
ROWS = [{"prompt": f"question {n}", "response": f"answer {n}.", "category": "ab"[n % 2]} for n in range(20)]


def training(space, rows=ROWS, name="a.jsonl", role="training"):
    from core.dataset.importing import import_file

    path = space.path.parent / name
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return space.add(role, name, lambda folder: import_file(path, folder, role))


@pytest.fixture
def space(tmp_path):
    return open_workspace(tmp_path / "ws")


def store(space, run, key="k" * 32, step="formats"):
    return space.compute(step, key, {"version": 1, "params": {}, "inputs": {}}, run, {}, {})


def test_a_result_comes_back_as_it_was(space):
    table, array = pa.table({"record_id": ["a", "b"]}), np.arange(6, dtype=np.float32).reshape(2, 3)

    def run(inputs):
        (inputs.files / "extra.txt").write_text("more")
        return Output(table, array, {"n": 2})

    made = store(space, run)
    again = space.result("formats", "k" * 32)
    assert again.manifest == made.manifest and again.info == {"n": 2}
    assert again.table() == table and np.array_equal(again.array(), array)
    assert again.file("extra.txt").read_text() == "more"
    with pytest.raises(MissingInput, match="holds no other.bin"):
        again.file("other.bin")


def test_a_failed_step_leaves_nothing_but_its_scratch(space):
    def run(inputs):
        (inputs.scratch / "half").write_text("work")
        (inputs.files / "broken").write_text("x")
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        store(space, run)
    assert not list((space.path / "results").iterdir())
    seen = []
    store(space, lambda inputs: seen.append((inputs.scratch / "half").read_text()) or Output())
    assert seen == ["work"], "the next run of the same key resumes"
    assert not list((space.path / "scratch").iterdir())


def test_one_flipped_bit_is_seen_and_computed_again(space):
    store(space, lambda inputs: Output(array=np.zeros(1000)))
    path = space.result("formats", "k" * 32).path / "array.npy"
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 1
    path.write_bytes(raw)
    os.utime(path, ns=(1, 1))
    with pytest.raises(Corrupt, match="SHA-256"):
        space.result("formats", "k" * 32).array()
    again = store(space, lambda inputs: Output(array=np.ones(1000)))
    assert again.array().sum() == 1000


def test_a_manifest_that_is_no_manifest_counts_as_absent(space):
    made = store(space, lambda inputs: Output())
    (made.path / "manifest.json").write_text('{"step": "for')
    assert space.result("formats", "k" * 32) is None and space.results("formats") == []


def test_an_import_that_fails_changes_nothing(space):
    first = training(space)
    bad = space.path.parent / "bad.jsonl"
    bad.write_text("")
    from core.dataset.importing import import_file

    with pytest.raises(InputError):
        space.add("training", "bad.jsonl", lambda folder: import_file(bad, folder, "training"))
    assert space.dataset().digest == first.digest
    assert [p.name for p in (space.path / "datasets").iterdir()] == [first.path.name]


def test_the_same_records_once_more_bring_their_own_report(space):
    first = training(space, name="a.jsonl")
    again = training(space, [*ROWS, {"prompt": "", "response": "x"}], "b.jsonl")
    assert again.digest == first.digest and len(space.versions()) == 1
    assert (again.name, again.report["quarantined"], again.quarantine().num_rows) == ("b.jsonl", 1, 1)


def test_versions_are_kept_in_order_and_the_newest_is_current(space):
    one, two = training(space), training(space, ROWS[:10], "b.jsonl")
    assert [d.digest for d in space.versions()] == [one.digest, two.digest]
    assert space.dataset().count == 10
    assert set(two.ids()) < set(one.ids()), "an unchanged record keeps its id"


def test_shares_and_a_production_sample_exclude_each_other(space):
    training(space)
    space.set_shares({"a": 0.25, "b": 0.75})
    assert space.shares() == {"a": 0.25, "b": 0.75}
    training(space, name="p.jsonl", role="production")
    assert space.shares() is None
    with pytest.raises(InputError, match="sum to 0.9"):
        space.set_shares({"a": 0.5, "b": 0.4})
    with pytest.raises(InputError):
        space.set_shares({"a": 1.5, "b": -0.5})


def test_a_newer_format_and_a_file_in_the_way_are_refused(tmp_path):
    open_workspace(tmp_path / "ws")
    state = tmp_path / "ws" / "workspace.json"
    state.write_text(json.dumps({"format": 99}))
    with pytest.raises(WorkspaceError, match="newer Quadrant"):
        open_workspace(tmp_path / "ws")
    state.write_text("{")
    with pytest.raises(WorkspaceError, match="cannot be read"):
        open_workspace(tmp_path / "ws")
    with pytest.raises(WorkspaceError, match="not a Quadrant workspace"):
        open_workspace(tmp_path / "nothing", create=False)
    (tmp_path / "file").write_text("x")
    with pytest.raises(WorkspaceError, match="Cannot make a workspace"):
        open_workspace(tmp_path / "file")


def test_keys_follow_data_parameters_and_upstream(space):
    training(space)
    before = plan(space, "map").key
    assert plan(space, "map").key == before
    assert plan(space, "map", {"seed": 7}).key != before
    set_params(space, "embed", {"text": "response"})
    changed = plan(space, "map").key
    assert changed != before, "another text embedded is another map"
    set_params(space, "embed", {"text": "prompt"})
    assert plan(space, "map").key == before
    training(space, ROWS[:10], "b.jsonl")
    assert plan(space, "map").key != before
    with pytest.raises(InputError, match="no parameter"):
        params_of(space, "map", {"sede": 1})
    with pytest.raises(InputError, match="no step"):
        plan(space, "mpa")


def test_production_is_embedded_as_training_is(space):
    training(space)
    training(space, name="p.jsonl", role="production")
    set_params(space, "embed", {"text": "response"})
    assert params_of(space, "embed:production")["text"] == "response"


def test_what_cannot_run_says_what_is_missing(space):
    training(space)
    able, unable = analysis(space)
    assert "formats" in able and "coverage" in unable and "--role production" in unable["coverage"]
    assert set(able) | set(unable) == {name for name, step in STEPS.items() if not step.asked}
    able, unable = analysis(space, everything=True)
    assert set(able) | set(unable) == set(STEPS)
    assert current(space, "coverage") is None


def test_a_step_is_computed_once(space):
    training(space)
    first = run_step(space, "formats")
    stamp = (first.path / "manifest.json").stat().st_mtime_ns
    assert run_step(space, "formats").path == first.path
    assert (first.path / "manifest.json").stat().st_mtime_ns == stamp


def test_gc_removes_what_nothing_refers_to_and_no_decision(space):
    from core.actions.decisions import open_reviews
    from core.steps import live_keys

    training(space)
    open_reviews(space)
    kept = run_step(space, "formats")
    store(space, lambda inputs: Output(), key="z" * 32)
    assert space.gc(live_keys(space)) == ["formats-zzzzzzzzzzzz"]
    assert kept.path.exists() and (space.path / "reviews.sqlite").exists()


def test_selections_of_two_browsers_are_apart(space):
    space.keep_selection("aaa", ["1"], "one")
    space.keep_selection("bbb", ["2"], "two")
    assert space.selection("aaa")["ids"] == ["1"] and space.selection("ccc") is None
    with pytest.raises(InputError):
        space.selection("../../etc")


def test_kill_in_the_middle_of_a_step_leaves_no_half_result(tmp_path):
    code = f"""
import sys, os, signal
sys.path.insert(0, {str(ROOT)!r})
from core.workspace import *
space = open_workspace({str(tmp_path / "ws")!r})
def run(inputs):
    (inputs.scratch / "chunk").write_text("1")
    (inputs.files / "big").write_text("x" * 1000)
    os.kill(os.getpid(), signal.SIGKILL)
space.compute("formats", "k" * 32, {{"version": 1, "params": {{}}, "inputs": {{}}}}, run, {{}}, {{}})
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    space = open_workspace(tmp_path / "ws")
    assert space.result("formats", "k" * 32) is None
    found = store(space, lambda inputs: Output(info={"chunk": (inputs.scratch / "chunk").exists()}))
    assert found.info == {"chunk": True}
