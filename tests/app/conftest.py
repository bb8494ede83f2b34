"""A small finished workspace for tests of the app, and the app itself under AppTest."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

ROOT = Path(__file__).resolve().parents[2]
COUNT = 60
TOPICS = ("cough", "rash", "dose")


def rows(count: int = COUNT) -> list[dict]:
    """Clinical-looking records in three categories; the fifth repeats the first, every tenth breaks off."""
    out = []
    for n in range(count):
        topic = TOPICS[n % 3]
        prompt = f"Patient {n % 20} asks about {topic}: case {n // 3}, what now?"
        out.append(
            {
                "prompt": prompt if n != 5 else out[2]["prompt"],
                "response": f"About {topic}: advice number {n} is given here in full."
                if n % 10
                else f"About {topic} the",
                "reasoning": f"Because of {topic}." if n % 4 else "",
                "category": topic,
                "difficulty": 1 + n % 5,
                "annotator": f"a{n % 2}",
            }
        )
    return out


def write_jsonl(path: Path, records: list[dict]) -> Path:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), "utf-8")
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A home with the workspace "small": imported in three roles, every step done, the heavy ones by quick stand-ins."""
    from core.dataset.importing import import_file
    from core.steps import STEPS, plan, run_step
    from core.workspace import Output, open_workspace

    home = tmp_path_factory.mktemp("home")
    space = open_workspace(home / "small")
    source = tmp_path_factory.mktemp("source")
    files = {
        "training": write_jsonl(source / "train.jsonl", rows()),
        "production": write_jsonl(source / "production.jsonl", [r for r in rows(30) if r["category"] != "dose"]),
        "validation": write_jsonl(source / "validation.jsonl", rows(12)[3:]),
    }
    for role, path in files.items():
        space.add(role, path.name, lambda folder, path=path, role=role: import_file(path, folder, role))
    data = space.need()
    random = np.random.default_rng(0)

    def store(step: str, output: Output) -> None:
        wanted = plan(space, step)
        results = {p.step: space.result(p.step, p.key) for p in wanted.upstream}
        space.compute(step, wanted.key, wanted.recipe(), lambda inputs: output, wanted.datasets, results)

    for role in ("training", "production", "validation"):
        texts = space.need(role).column("prompt").to_pylist()
        vectors = np.stack([_vector(t) for t in texts])
        ids = pa.array(space.need(role).ids())
        table = pa.table({
            "record_id": ids, "text_key": pa.array(texts), "tokens": pa.array([9] * len(texts), pa.int32()),
            "truncated": pa.array([False] * len(texts)), "empty": pa.array([False] * len(texts)),
        })  # fmt: skip
        info = {
            "model": "stand-in",
            "kind": "given",
            "dimension": 16,
            "records": len(texts),
            "truncated": 0,
            "space": "stand-in",
            "warnings": [],
        }
        store("embed" if role == "training" else f"embed:{role}", Output(table, vectors, info))
    ids = pa.array(data.ids())
    scores = random.normal(size=len(data.ids()))
    store("proxy", Output(info={"proxy": "A stand-in for the proxy.", "warnings": []}))
    store("influence", Output(pa.table({
        "record_id": ids, "influence": scores, "nll": np.abs(scores), "response_tokens": pa.array([9] * len(ids), pa.int32()),
        "truncated": pa.array([False] * len(ids)), "heldout": pa.array([n % 30 == 7 for n in range(len(ids))]),
    }), info={"model": "proxy", "warnings": []}))  # fmt: skip
    store("difficulty", Output(pa.table({
        "record_id": ids, "nll": np.abs(scores), "perplexity": np.exp(np.abs(scores)), "ifd_loss": np.abs(scores) / 2,
        "ifd_ppl": np.abs(scores) / 3, "response_tokens": pa.array([9] * len(ids), pa.int32()),
        "truncated": pa.array([False] * len(ids)),
    }), info={"warnings": []}))  # fmt: skip
    for name, step in STEPS.items():
        if not step.asked:
            run_step(space, name)
    return home


def _vector(text: str) -> np.ndarray:
    """A unit vector of the words of a text, the same in every process."""
    import zlib

    words = np.zeros(16, np.float32)
    for word in text.split():
        words += np.random.default_rng(zlib.crc32(word.encode())).normal(size=16).astype(np.float32)
    return words / np.linalg.norm(words)


@pytest.fixture
def home(finished, tmp_path, monkeypatch) -> Path:
    """A copy of the finished home that a test may change; the app opens its workspace "small"."""
    copy = tmp_path / "home"
    shutil.copytree(finished, copy)
    _use(monkeypatch, copy, "small")
    return copy


@pytest.fixture
def empty(tmp_path, monkeypatch) -> Path:
    """A home whose workspace "bare" holds nothing."""
    from core.workspace import open_workspace

    open_workspace(tmp_path / "home" / "bare")
    _use(monkeypatch, tmp_path / "home", "bare")
    return tmp_path / "home"


@pytest.fixture
def imported(tmp_path, monkeypatch) -> Path:
    """A home whose workspace "raw" holds training records and no result."""
    from core.dataset.importing import import_file
    from core.workspace import open_workspace

    space = open_workspace(tmp_path / "home" / "raw")
    path = write_jsonl(tmp_path / "raw.jsonl", rows(12))
    space.add("training", path.name, lambda folder: import_file(path, folder, "training"))
    _use(monkeypatch, tmp_path / "home", "raw")
    return tmp_path / "home"


def _use(monkeypatch, home: Path, workspace: str) -> None:
    import streamlit as st

    monkeypatch.setenv("QUADRANT_HOME", str(home))
    monkeypatch.setenv("QUADRANT_DATA", "")
    st.cache_resource.clear()  # what it keeps is made of classes that are imported anew below
    st.cache_data.clear()
    for name in [m for m in sys.modules if m == "pages" or m.startswith("pages.")]:
        monkeypatch.delitem(sys.modules, name)  # pages.ui.state reads the home when it is imported
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("QUADRANT_OPEN", workspace)


@pytest.fixture
def start():
    """start(page=None) -> AppTest after its first run, or after switching to the page."""
    from streamlit.testing.v1 import AppTest

    def run(page: str | None = None) -> AppTest:
        at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
        at.run()
        if page:
            at.switch_page(f"pages/{page}.py").run()
        return at

    return run


@pytest.fixture
def space(home):
    """The workspace "small" of `home`."""
    from core.workspace import open_workspace

    return open_workspace(home / "small")


@pytest.fixture
def launched(monkeypatch) -> list:
    """Commands of the jobs that a page starts; none is run."""
    commands: list = []
    monkeypatch.setattr("core.jobs.start", lambda workspace, command, title: commands.append(command))
    return commands


def metric(at, label: str):
    return next(m for m in at.metric if m.label == label)


def fine(at):
    assert not at.exception, at.exception[0].value
    return at
