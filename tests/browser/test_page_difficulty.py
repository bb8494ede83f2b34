"""Three records rated by keyboard in a real browser: on disk at once, the next one shown, the last one taken back."""

import json
import sqlite3

import pytest

from tests.browser.conftest import ROOT


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    from core.dataset.importing import import_file
    from core.workspace import open_workspace

    folder = tmp_path_factory.mktemp("home")
    space = open_workspace(folder / "small")
    path = folder / "train.jsonl"
    path.write_text(
        "".join(
            json.dumps({"prompt": f"Question {n}? <b>![x](http://evil/x.png)</b>", "response": f"Answer {n}."}) + "\n"
            for n in range(40)
        )
    )
    space.add("training", path.name, lambda part: import_file(path, part, "training"))
    return folder


def ratings(home):
    with sqlite3.connect(f"file:{home / 'small' / 'reviews.sqlite'}?mode=ro", uri=True) as connection:
        return connection.execute(
            "SELECT record_id, level, rater, picked FROM difficulty_ratings ORDER BY entry"
        ).fetchall()


def press(page, key, done, wait_idle):
    page.keyboard.press(key)
    page.get_by_text(f"{done} of 25 in this batch").wait_for()
    wait_idle(page)


def test_three_records_are_rated_by_keyboard_and_one_is_taken_back(home, serve, page, wait_idle):
    url = serve(
        ROOT / "app.py", env={"QUADRANT_HOME": str(home), "QUADRANT_DATA": "", "QUADRANT_OPEN": "small", "USER": "ada"}
    )
    page.goto(f"{url}/quadrant")
    wait_idle(page)
    page.get_by_text("Difficulty and ratings").first.click()
    page.get_by_role("button", name="Rate a first 25, drawn by chance").click()
    page.get_by_text("0 of 25 in this batch").wait_for()
    wait_idle(page)
    shown = [page.locator(".st-key-quadrant-rating_record").inner_text()]
    for done, key in enumerate("153", 1):
        press(page, key, done, wait_idle)
        shown.append(page.locator(".st-key-quadrant-rating_record").inner_text())
    assert len(set(shown)) == 4 and all("<b>" in text for text in shown), (
        "another record each time, its markup shown as text"
    )
    found = ratings(home)
    assert [level for _, level, _, _ in found] == [1, 5, 3] and len({record for record, *_ in found}) == 3
    assert {(rater, picked) for _, _, rater, picked in found} == {("ada", "random")}
    press(page, "u", 2, wait_idle)
    assert [level for _, level, _, _ in ratings(home)] == [1, 5, 3, 0], "taken back by a further row"
    assert page.locator(".st-key-quadrant-rating_record").inner_text() == shown[2]
    press(page, "4", 3, wait_idle)
    assert ratings(home)[-1][:2] == (found[2][0], 4)
