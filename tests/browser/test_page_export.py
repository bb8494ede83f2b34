"""The end of the main job in a real browser: a quadrant selected by its button, exported as imported, and read back."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.browser.conftest import open_page

ROOT = Path(__file__).resolve().parents[2]
COUNT = 80


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A home whose workspace "small" has a rating in the file and influence from a stand-in."""
    from core.dataset.importing import import_file
    from core.steps import plan
    from core.workspace import Output, open_workspace

    home = tmp_path_factory.mktemp("home")
    lines = [
        # Spacing, escapes and key order that no writer of ours would choose.
        f'{{ "response":"Answer {n} \\u00e9",  "prompt" : "Question {n}?", "difficulty":{1 + n % 5}, "id":"00{n}"}}'
        for n in range(COUNT)
    ]
    source = home / "train.jsonl"
    source.write_text("\n".join(lines) + "\n", "utf-8")
    space = open_workspace(home / "small")
    data = space.add("training", source.name, lambda folder: import_file(source, folder, "training"))
    store_proxy = plan(space, "proxy")
    space.compute(
        "proxy", store_proxy.key, store_proxy.recipe(), lambda i: Output(info={"warnings": []}), {"training": data}, {}
    )
    wanted = plan(space, "influence")
    table = pa.table({
        "record_id": data.ids(), "influence": np.random.default_rng(1).normal(size=COUNT), "nll": np.ones(COUNT),
        "response_tokens": pa.array([5] * COUNT, pa.int32()), "truncated": [False] * COUNT, "heldout": [n < 4 for n in range(COUNT)],
    })  # fmt: skip
    info = {"model": "proxy", "warnings": [], "heldout": 4}
    space.compute("influence", wanted.key, wanted.recipe(), lambda i: Output(table, info=info), wanted.datasets, {})
    return home


def test_a_quadrant_is_selected_exported_and_read_back(home, serve, page, wait_idle):
    from core.actions.choosing import selection_frame
    from core.dataset.importing import import_file
    from core.influence.selection.quadrant import quadrants
    from core.workspace import open_workspace

    url = serve(ROOT / "app.py", env={"QUADRANT_HOME": str(home), "QUADRANT_DATA": "", "QUADRANT_OPEN": "small"})
    page.goto(url)
    wait_idle(page)
    open_page(page, "Quadrant")
    page.get_by_role("button", name="Select this quadrant").first.wait_for()
    wait_idle(page)
    page.get_by_role("button", name="Select this quadrant").first.click()
    page.get_by_text("selected").first.wait_for()
    wait_idle(page)
    open_page(page, "Export")
    page.get_by_role("textbox", name="File on this machine").wait_for()
    wait_idle(page)
    path = Path(page.get_by_role("textbox", name="File on this machine").input_value())
    assert path.parent == home / "small" / "exports"
    page.get_by_role("button", name="Export", exact=False).last.click()
    page.get_by_text("records written").wait_for()

    space = open_workspace(home / "small")
    data = space.need()
    frame = selection_frame(space, data)
    placed = quadrants(frame.difficulty, frame.influence)
    chosen = [i for i, code in zip(frame.ids, placed.codes, strict=True) if code == 1]
    raw = dict(zip(data.ids(), data.column("raw").to_pylist(), strict=True))
    assert 0 < len(chosen) < COUNT and not set(chosen) & set(data.ids()[:4]), "held-out records are in no quadrant"
    written = path.read_bytes()
    assert written.decode("utf-8").splitlines() == [raw[i] for i in chosen]
    source = set((home / "train.jsonl").read_text("utf-8").splitlines())
    assert set(written.decode("utf-8").splitlines()) <= source, "every line is one of the source, byte for byte"
    manifest = json.loads(path.with_name(f"{path.name}.manifest.json").read_text("utf-8"))
    assert manifest["sha256"] == hashlib.sha256(written).hexdigest() and manifest["records"] == len(chosen)
    with page.expect_download() as waiting:
        page.get_by_test_id("stDownloadButton").first.get_by_role("button").click()
    assert Path(waiting.value.path()).read_bytes() == written

    again = open_workspace(home / "again")
    assert again.add("training", path.name, lambda folder: import_file(path, folder, "training")).ids() == chosen
