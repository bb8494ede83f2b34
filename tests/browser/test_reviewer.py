"""The reviewer in a real browser: a burst of keys, undo, notes, a reload half-way, two tabs, a full disk, hostile text."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

APP = Path(__file__).parent / "apps" / "reviewer_app.py"
ROOT = Path(__file__).resolve().parents[2]
ENV = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture(scope="module")
def url(serve):
    return serve(APP)


@pytest.fixture
def audit(url, folder, new_page, wait_idle):
    """`audit(**query)` -> a page that shows the reviewer over a database of its own; again: another tab on it."""

    def tab(base=url, **query):
        page = new_page()
        page.goto(f"{base}/?dir={quote(str(folder))}" + "".join(f"&{name}={value}" for name, value in query.items()))
        page.wait_for_selector(".reviewer .outcome:not([disabled])", timeout=30_000)
        wait_idle(page)
        return page

    return tab


def stored(folder, sql="SELECT outcome, count(*) FROM verdicts GROUP BY outcome"):
    with sqlite3.connect(f"file:{folder / 'reviews.sqlite'}?mode=ro", uri=True) as connection:
        return connection.execute(sql).fetchall()


def saved(page, timeout=15_000):
    page.wait_for_selector(".reviewer .save[data-state=saved]", timeout=timeout)


def count(page):
    return page.locator(".reviewer .count").inner_text()


def test_fifty_records_by_keyboard_in_a_burst_are_fifty_rows(audit, folder):
    page = audit()
    keys = (["1"] * 9 + ["2"]) * 5
    started = time.monotonic()
    for key in keys:
        page.keyboard.press(key)
    burst = time.monotonic() - started
    saved(page)
    assert dict(stored(folder)) == {"pass": 45, "fail": 5}
    assert stored(folder, "SELECT count(DISTINCT record_id), count(DISTINCT client_id) FROM verdicts") == [(50, 50)]
    assert "All read · 45 pass" in page.locator(".reviewer .tally").inner_text()
    page.get_by_text("50 in the database").wait_for(timeout=10_000)
    runs = int(page.get_by_text("in the database").inner_text().rsplit(" ", 1)[1])
    assert burst < 10 and runs < 45, f"{burst:.1f} s for 50 keys, {runs} runs of the fragment"
    assert page.evaluate("Object.keys(localStorage).filter(k => k.includes('verdict.')).length") == 0


def test_undo_note_answers_and_revision_make_the_right_chain(audit, folder):
    page = audit()
    page.keyboard.press("q")  # yes
    page.keyboard.press("e")
    page.keyboard.press("e")  # no
    page.keyboard.press("n")
    page.keyboard.type("The dose, q1w2 ru: 10x too high?")  # keys typed into the note judge nothing
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    assert count(page) == "Record 2 of 50"
    saved(page)
    row = stored(folder, "SELECT outcome, answers, note, seconds FROM verdicts")[0]
    assert row[0] == "fail" and '"formatting": "no"' in row[1] and '"correct": "yes"' in row[1]
    assert row[2] == "The dose, q1w2 ru: 10x too high?" and row[3] >= 0
    page.keyboard.press("u")
    assert count(page) == "Record 1 of 50"
    assert page.locator(".reviewer #note").input_value() == row[2], "an undo throws no words away"
    saved(page)
    assert [r[0] for r in stored(folder, "SELECT outcome FROM verdicts ORDER BY received_at")] == ["fail", "withdrawn"]
    page.keyboard.press("1")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("w")  # a change of a given verdict is a verdict of its own, once the reviewer moves on
    page.keyboard.press("ArrowRight")
    saved(page)
    page.get_by_text("1 in the database").wait_for(timeout=10_000)
    last = stored(folder, "SELECT outcome, answers, supersedes FROM verdicts ORDER BY received_at, created_at DESC")
    assert len(last) == 4 and any('"satisfied": "yes"' in answers for _, answers, _ in last)


def test_mouse_does_all_of_it(audit, folder):
    page = audit()
    page.get_by_role("group", name="Is the output correct?").get_by_role("button", name="No", exact=True).click()
    page.locator(".reviewer .outcome.fail").click()
    page.locator(".reviewer .outcome.unsure").click()
    page.get_by_role("button", name="Record 1: fail").click()
    assert count(page) == "Record 1 of 50"
    assert page.locator(".reviewer .outcome.fail").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="First unread record").click()
    assert count(page) == "Record 3 of 50"
    page.get_by_role("button", name="Show the keys").click()
    page.get_by_role("dialog", name="Keys").wait_for()
    page.keyboard.press("1")  # not while the map of keys is open
    page.keyboard.press("Escape")
    saved(page)
    assert dict(stored(folder)) == {"fail": 1, "unsure": 1}


def test_a_reload_in_the_middle_of_slow_saves_keeps_everything(audit, folder):
    page = audit(speed=1.5)
    for key in "1121311":
        page.keyboard.press(key)
    assert page.evaluate("Object.keys(localStorage).filter(k => k.includes('verdict.')).length") >= 6
    page.reload()
    page.wait_for_selector(".reviewer .outcome:not([disabled])", timeout=30_000)
    page.keyboard.press("1")
    assert "8 read" in page.locator(".reviewer .tally").inner_text()
    saved(page, 30_000)
    assert dict(stored(folder)) == {"pass": 6, "fail": 1, "unsure": 1}
    assert stored(folder, "SELECT count(DISTINCT record_id) FROM verdicts") == [(8,)]


def test_a_draft_survives_a_reload(audit):
    page = audit()
    page.keyboard.press("n")
    page.keyboard.type("half a thought")
    page.keyboard.press("Escape")
    page.keyboard.press("w")
    page.reload()
    page.wait_for_selector(".reviewer .outcome:not([disabled])", timeout=30_000)
    assert page.locator(".reviewer #note").input_value() == "half a thought"
    question = page.get_by_role("group", name="Would I be satisfied")
    assert question.get_by_role("button", name="Yes").get_attribute("aria-pressed") == "true"


def test_a_full_disk_is_said_and_nothing_is_lost(audit, folder):
    page = audit()
    (folder / "broken").touch()
    for key in "112":
        page.keyboard.press(key)
    page.wait_for_selector(".reviewer .save[data-state=problem]", timeout=15_000)
    assert "3 verdicts kept in this browser" in page.locator(".reviewer .save").inner_text()
    assert "disk that holds reviews.sqlite is full" in page.locator(".reviewer .notice").inner_text()
    assert stored(folder) == []
    (folder / "broken").unlink()
    page.get_by_role("button", name="Try again now").click()
    saved(page)
    assert dict(stored(folder)) == {"pass": 2, "fail": 1}
    assert page.locator(".reviewer .notice").is_hidden()


def test_a_killed_server_loses_nothing_and_is_sent_the_verdicts_when_it_is_back(serve, audit, folder):
    """The reviewer goes on reading; the new server process knows nothing of the session and still gets every verdict."""
    base = serve(APP)
    page = audit(base)
    page.keyboard.press("1")
    saved(page)
    os.kill(int((folder / "server.pid").read_text()), signal.SIGKILL)
    for key in "212":
        page.keyboard.press(key)
    page.wait_for_selector(".reviewer .save[data-state=offline]", timeout=30_000)
    assert "3 verdicts kept in this browser" in page.locator(".reviewer .save").inner_text()
    assert count(page) == "Record 5 of 50"
    command = [sys.executable, "-m", "streamlit", "run", str(APP), f"--server.port={urlsplit(base).port}"]
    again = subprocess.Popen([*command, "--server.address=127.0.0.1", "--server.headless=true"], cwd=ROOT, env=ENV)
    try:
        saved(page, 90_000)
        assert dict(stored(folder)) == {"pass": 2, "fail": 2}
        assert stored(folder, "SELECT count(DISTINCT record_id) FROM verdicts") == [(4,)]
    finally:
        again.kill()
        again.wait()
    page.console_errors.clear()  # the browser reports the cut connection


def test_two_tabs_conflict_visibly_and_the_next_verdict_settles_it(audit, folder):
    one = audit()
    two = audit()
    one.keyboard.press("1")
    saved(one)
    one.get_by_text("1 in the database").wait_for(timeout=10_000)
    two.keyboard.press("2")
    saved(two)
    two.keyboard.press("ArrowLeft")
    two.get_by_text("Two windows gave verdicts on this record").wait_for(timeout=10_000)
    two.keyboard.press("3")
    saved(two)
    two.get_by_text("1 in the database").wait_for(timeout=10_000)
    two.keyboard.press("ArrowLeft")
    assert two.get_by_text("Two windows gave verdicts").count() == 0
    assert dict(stored(folder)) == {"pass": 1, "fail": 1, "unsure": 1}


def test_hostile_text_is_shown_literally_and_fetches_nothing(audit):
    page = audit()
    page.keyboard.press("ArrowRight")
    text = page.locator(".reviewer .record").inner_text()
    for part in (
        "<script>document.title",
        "![pic](http://evil.example/b.png)",
        "$\\href{javascript:alert(1)}",
        "<style>*",
    ):
        assert part in text
    assert [m for m in page.locator(".reviewer .record .text .mark").all_inner_texts()] == [
        "␀", "RLO", "PDF", "zero-width space", "line separator", "BOM",
    ]  # fmt: skip
    assert page.locator(".reviewer .fact .mark").all_inner_texts() == ["RLO"]
    assert "👩\u200d⚕️" in text and "می\u200cخواهم" in text
    assert page.locator(".reviewer .record img, .reviewer .record script, .reviewer .record style").count() == 0
    assert page.title() != "pwned"
    time.sleep(0.5)
    assert page.foreign == []


def test_json_is_laid_out_without_touching_a_value(audit):
    page = audit()
    page.get_by_role("button", name="Record 3: unread").click()
    code = page.locator(".reviewer .text.code").inner_text()
    assert '"mg": 1.250,' in code and '"id": 9007199254740993' in code and '"empty": {}' in code
    page.get_by_role("button", name="Show the JSON as it stands").click()
    assert '{"dose": {"mg": 1.250, "id"' in page.locator(".reviewer .text.code").inner_text()


def test_a_long_text_is_windowed_and_shown_whole_on_demand(audit):
    page = audit()
    page.get_by_role("button", name="Record 4: unread").click()
    assert len(page.locator(".reviewer .answer .text").first.inner_text()) < 9_000
    page.get_by_role("button", name="Show all 150,000 characters").click()
    page.wait_for_function(
        """() => {
          const all = [...document.querySelectorAll('*')].map(n => n.shadowRoot).filter(Boolean);
          const blocks = all.flatMap(r => [...r.querySelectorAll('.answer .block')]);
          const length = n => [...n.querySelectorAll('.text')].map(t => t.textContent.length).reduce((a, b) => a + b, 0);
          const more = blocks.flatMap(n => [...n.querySelectorAll('button')]).find(b => /^Show all/.test(b.textContent));
          if (more) more.click();
          return blocks.some(n => length(n) === 150000);
        }""",
        timeout=15_000,
    )


def test_turns_and_reasoning_are_set_apart(audit):
    page = audit()
    page.get_by_role("button", name="Record 5: unread").click()
    assert page.locator(".reviewer .turn .role").all_inner_texts() == [
        "SYSTEM",
        "USER",
        "ASSISTANT",
        "USER",
        "ASSISTANT",
    ]
    assert page.locator(".reviewer .turn.answer .text").inner_text() == "Yes, food makes no difference."
    page.keyboard.press("ArrowRight")
    fold = page.locator(".reviewer details.reasoning")
    assert fold.get_attribute("open") is None
    page.keyboard.press("f")
    assert fold.get_attribute("open") is not None
    page.keyboard.press("1")
    assert page.locator(".reviewer details.reasoning").first.get_attribute("open") is not None


def test_a_large_sample_is_walked_through_windows(audit, folder):
    page = audit(count=2000)
    assert count(page) == "Record 1 of 2,000"
    for _ in range(4):
        page.get_by_role("button", name="Fifty records on").click()
    assert count(page) == "Record 201 of 2,000"
    page.get_by_text("Question 200:").wait_for(timeout=10_000)
    page.keyboard.press("1")
    page.get_by_text("Question 201:").wait_for(timeout=10_000)
    saved(page)
    assert stored(folder, "SELECT record_id FROM verdicts") == [(f"{200:016x}-1",)]
    page.keyboard.press("g")
    assert count(page) == "Record 1 of 2,000"


@pytest.mark.skipif(not os.environ.get("QUADRANT_SHOTS"), reason="set QUADRANT_SHOTS to a folder to get screenshots")
def test_screenshots(audit, new_page):
    page = audit()
    for key in "111213111q":
        page.keyboard.press(key)
    saved(page)
    page.screenshot(path=f"{os.environ['QUADRANT_SHOTS']}/reviewer.png")
