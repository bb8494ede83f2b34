"""The Versions page in a browser: two imports compared, the words of an edited record marked, an export in splits written."""

import json
from pathlib import Path

import pytest

from tests.browser.conftest import open_page

ROOT = Path(__file__).resolve().parents[2]


def row(n: int, **more) -> dict:
    prompt = f"What of case {n}, a patient of {20 + n}?"
    return {"prompt": prompt, "response": f"Advice number {n} in full.", "category": "ab"[n % 2], **more}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    from core.dataset.importing import import_file
    from core.workspace import open_workspace

    home = tmp_path_factory.mktemp("home")
    space = open_workspace(home / "two")
    edited = [row(0), row(1, response="Advice number 1 in short."), *map(row, range(3, 32))]
    for name, rows in {"first.jsonl": [row(n) for n in range(30)], "second.jsonl": edited}.items():
        (home / name).write_text("".join(json.dumps(one) + "\n" for one in rows))
        space.add("training", name, lambda folder, name=name: import_file(home / name, folder, "training"))
    return home


def test_an_edit_is_found_and_read_then_the_set_is_written_in_splits(home, serve, page, wait_idle):
    url = serve(ROOT / "app.py", env={"QUADRANT_HOME": str(home), "QUADRANT_DATA": "", "QUADRANT_OPEN": "two"})
    page.set_default_timeout(90_000)
    page.goto(url)
    wait_idle(page)
    open_page(page, "Versions")
    page.get_by_text("Metrics side by side").wait_for()
    wait_idle(page)
    page.get_by_text("Paired by the same prompt").wait_for()
    for count in ("Edited (1)", "Added (2)", "Removed (1)"):
        page.get_by_text(count).wait_for()
    page.get_by_text("before", exact=True).wait_for()
    page.get_by_text("after", exact=True).wait_for()
    open_page(page, "Export")
    page.get_by_text("Splits", exact=True).first.wait_for()
    wait_idle(page)
    page.get_by_text("Splits", exact=True).first.click()
    page.get_by_text("A file for each split").click()
    page.get_by_label("Shares, in percent").wait_for()
    wait_idle(page)
    path = Path(page.get_by_role("textbox", name="File on this machine").input_value())
    page.get_by_role("button", name="Export", exact=False).last.click()
    page.get_by_text("in 3 splits").wait_for()
    counts = [len(one.read_text().splitlines()) for one in sorted(path.parent.glob(f"{path.stem}-*.jsonl"))]
    assert len(counts) == 3 and sum(counts) == 31
