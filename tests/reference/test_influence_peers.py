"""Our scores against those of other tools, each in its own environment; skipped where none was built.

python -m benchmarks.peers.install bergson
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
from benchmarks.peers import compare, install, task  # noqa: E402
from core.influence.spaces import Space, factors  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("peers") / "task"
    task.write_task(made, **compare.SIZES["tiny"])
    return made


@pytest.mark.parametrize("space", ["linear", "lora-qkv"])
@pytest.mark.parametrize("tool", ["bergson", "less"])
def test_agrees_with_our_scores(folder, tmp_path, tool, space):
    """bergson: linear layers, sum loss: relative L2 difference <= 1e-5 in float32."""
    reason = install.absent(tool)
    if reason:
        pytest.skip(f"{tool}: {reason}")
    ours = compare.ask("quadrant", folder, space, tmp_path / "ours", 1)["scores"]
    theirs = compare.ask(tool, folder, space, tmp_path / tool, 1)
    assert "absent" not in theirs, theirs
    assert np.linalg.norm(theirs["scores"] - ours) <= compare.AGREE * np.linalg.norm(ours)


def test_the_adapters_of_the_task_are_those_of_lora_space():
    for name, rank, d_in, d_out in (("model.layers.0.self_attn.q_proj.weight", 8, 64, 32), ("x.weight", 2, 5, 7)):
        space = Space("lora", (name,), rank, 0, 0)
        for a, b in zip(task.adapters(name, rank, d_in, d_out), factors(space, name, d_in, d_out), strict=True):
            assert (a == b).all()


def test_an_absent_tool_is_told_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("QUADRANT_PEERS", str(tmp_path))
    assert "not installed" in install.absent("bergson")
    (tmp_path / "bergson").mkdir()
    (tmp_path / "bergson" / "failed.txt").write_text("did not install: no such version\n")
    assert install.absent("bergson") == "did not install: no such version"
    told = compare.ask("bergson", tmp_path, "linear", tmp_path / "out", 1)
    assert told == {"absent": "did not install: no such version"}


def test_the_task_is_read_without_the_app(folder):
    """The peers' environments have neither the core's packages nor its paths."""
    code = "import sys; from benchmarks.peers import task; print([m for m in sys.modules if m.startswith('core')])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[]", done.stderr
