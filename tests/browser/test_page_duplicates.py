"""Duplicates in the app: two records side by side as they stand, all but the keepers removed, and the removal undone."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.browser.conftest import open_page

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "Is <img src=x onerror=alert(1)> ![x](http://elsewhere.invalid/a.png) safe at 5 mg?"
ROWS = [
    {"prompt": HOSTILE, "response": "Yes, 5 mg is the usual dose for most adults."},
    {"prompt": HOSTILE, "response": "Yes, 5 mg is the usual dose for many adults."},
    {"prompt": "Something else entirely", "response": "An answer of its own."},
]


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    from core.dataset.importing import import_file
    from core.steps import plan, run_step
    from core.workspace import Output, open_workspace

    home = tmp_path_factory.mktemp("home")
    made = open_workspace(home / "twins")
    path = home / "twins.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in ROWS), "utf-8")
    made.add("training", path.name, lambda folder: import_file(path, folder, "training"))
    wanted = plan(made, "embed")
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    table = pa.table({"record_id": made.need().ids(), "truncated": [False] * 3})
    info = {"model": "stand-in", "text": "prompt", "warnings": []}
    made.compute("embed", wanted.key, wanted.recipe(), lambda _: Output(table, vectors, info), wanted.datasets, {})
    run_step(made, "contradictions")
    return made


@pytest.fixture(scope="module")
def app(serve, space):
    return serve(ROOT / "app.py", env={"QUADRANT_HOME": str(space.path.parent), "QUADRANT_DATA": "twins.jsonl"})


def test_copies_are_compared_removed_and_brought_back(page, app, space, wait_idle):
    from core.actions.decisions import open_reviews
    from core.review.ledger import removed_ids

    page.goto(app)
    wait_idle(page)
    open_page(page, "Duplicates")
    diff = page.locator(".diff")
    diff.wait_for(timeout=60_000)
    assert HOSTILE in diff.inner_text() and not diff.locator("img").count()
    assert [diff.locator(tag).all_inner_texts() for tag in ("del", "ins")] == [[" most"], [" many"]]
    page.get_by_role("button", name="Remove all but the keepers (1)").click()
    dialog = page.get_by_role("dialog")
    assert "2 of 3 records" in dialog.inner_text()
    dialog.get_by_role("button", name="Remove 1 record").click()
    page.get_by_text("1 record removed").wait_for()
    assert len(removed_ids(open_reviews(space))) == 1
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("1 record removed").wait_for(
        state="hidden"
    )  # the button below may still be that of before the removal
    page.get_by_role("button", name="Remove all but the keepers (1)").wait_for()
    assert not removed_ids(open_reviews(space))
    page.console_errors[:] = [e for e in page.console_errors if "404 (Not Found)" not in e]
