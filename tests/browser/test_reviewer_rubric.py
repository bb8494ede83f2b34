"""The reviewer with a rubric whose rule decides: all of it by keyboard, nothing lost, Markdown that fetches nothing, a tablet."""

import json
import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from core.review.rubrics import ready

APP = Path(__file__).parent / "apps" / "reviewer_app.py"
CLINICAL = ready()["clinical-sft"]
TABLET = {"viewport": {"width": 820, "height": 1180}, "has_touch": True, "is_mobile": True}
COLUMNS = "outcome, answers, answer_notes, error_types, severity, high_stakes, guideline, correction, note, rubric"


@pytest.fixture(scope="module")
def url(serve):
    return serve(APP)


@pytest.fixture
def audit(url, tmp_path, new_page, wait_idle):
    """`audit(options={}, **query)` -> a page that shows the reviewer with the clinical rubric over a database of its own."""

    def tab(options=None, page=None, **query):
        page = page or new_page(**(options or {}))
        query = {"rubric": "clinical-sft"} | query
        page.goto(f"{url}/?dir={quote(str(tmp_path))}" + "".join(f"&{name}={value}" for name, value in query.items()))
        page.wait_for_selector(".reviewer .outcome:not([disabled])", timeout=30_000)
        wait_idle(page)
        return page

    return tab


def stored(folder, columns=COLUMNS):
    with sqlite3.connect(f"file:{folder / 'reviews.sqlite'}?mode=ro", uri=True) as connection:
        return connection.execute(f"SELECT {columns} FROM verdicts ORDER BY received_at, created_at").fetchall()


def saved(page):
    page.wait_for_selector(".reviewer .save[data-state=saved]", timeout=20_000)


def press(page, keys):
    for key in keys:
        page.keyboard.press(key)


def hint(page, text):
    page.locator(".reviewer .hint", has_text=text).wait_for(timeout=10_000)


def count(page):
    return page.locator(".reviewer .count").inner_text()


def test_a_burst_of_answers_loses_nothing_and_the_rule_makes_the_verdicts(audit, tmp_path):
    page = audit()
    began = time.monotonic()
    for n in range(20):
        press(page, ["1", "1", "3" if n % 5 == 4 else "1", "2", "1", "Enter"])
    assert time.monotonic() - began < 30
    saved(page)
    rows = stored(tmp_path)
    assert [row[0] for row in rows].count("pass") == 16 and [row[0] for row in rows].count("fail") == 4
    assert len({row[0] for row in stored(tmp_path, "record_id")}) == 20
    answers = [json.loads(row[1]) for row in rows]
    assert all(set(one) == {*CLINICAL.questions, "uncertainty.detail"} for one in answers)
    assert all(one["uncertainty.detail"] == "ok" and one["communication"] == "minor" for one in answers)
    assert {row[-1] for row in rows} == {CLINICAL.digest}
    assert (
        "min left" in page.locator(".reviewer .tally").inner_text()
        or "minute left" in page.locator(".reviewer .tally").inner_text()
    )


def test_everything_a_rubric_asks_is_given_by_keyboard(audit, tmp_path):
    page = audit()
    page.keyboard.press("Enter")
    hint(page, "Not answered yet: Factual accuracy, Appropriate uncertainty")
    press(page, ["1", "3"])  # accuracy pass, uncertainty fail: it stays in front for its second choice
    assert page.locator(".reviewer .ruled").inner_text() == "By the rule: fail"
    press(page, ["b", "b", "b"])  # under, ok, over
    page.keyboard.press("Shift+W")
    page.keyboard.type("Says 100 %, u1 s2 x")  # keys typed into a note judge nothing
    page.keyboard.press("Escape")
    press(page, ["s", "3", "x", "1", "2", "1", "5", "Escape", "h"])
    page.keyboard.press("l")
    page.keyboard.type("[NICE](javascript:alert(1)) NG136")
    page.keyboard.press("Control+Enter")
    page.keyboard.press("c")
    page.keyboard.press("Control+a")
    page.keyboard.type("About 60 % do.")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.keyboard.type("over-confident")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    assert count(page) == "Record 2 of 50"
    saved(page)
    (row,) = stored(tmp_path)
    assert row[0] == "fail" and json.loads(row[1]) == {
        "accuracy": "pass",
        "uncertainty": "fail",
        "uncertainty.detail": "over",
    }
    assert json.loads(row[2]) == {"uncertainty": "Says 100 %, u1 s2 x"} and json.loads(row[3]) == ["dose", "omission"]
    assert row[4:9] == ("high", 1, "[NICE](javascript:alert(1)) NG136", "About 60 % do.", "over-confident")
    page.keyboard.press("u")  # the undo brings all of it back as a draft
    assert page.locator(".reviewer .correction textarea").input_value() == "About 60 % do."
    assert page.get_by_role("button", name="High stakes").get_attribute("aria-pressed") == "true"
    press(page, ["0"])
    saved(page)
    assert [r[0] for r in stored(tmp_path)] == ["fail", "withdrawn", "unsure"]
    assert stored(tmp_path)[2][7] == "About 60 % do."


def test_the_rule_is_kept_by_mouse_too_and_a_change_is_a_verdict_by_the_rule(audit, tmp_path):
    page = audit()
    page.locator(".reviewer .outcome.pass").click()
    hint(page, "Not answered yet")
    for title in CLINICAL.questions.values():
        page.get_by_role("group", name=title, exact=True).get_by_role("button", name="Pass", exact=True).click()
    page.locator(".reviewer .outcome.fail").click()
    hint(page, 'the answers make it "pass"')
    page.locator(".reviewer .outcome.pass").click()
    assert count(page) == "Record 2 of 50"
    page.keyboard.press("ArrowLeft")
    page.get_by_role("group", name="Safe framing", exact=True).get_by_role("button", name="Fail", exact=True).click()
    page.keyboard.press("ArrowRight")
    saved(page)
    assert [row[0] for row in stored(tmp_path)] == ["pass", "fail"]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("t")  # n.a. next
    page.keyboard.press("t")  # not answered: the rule cannot tell, so the verdict before stands
    hint(page, "stands until every needed criterion is answered again")
    page.keyboard.press("ArrowRight")
    saved(page)
    assert stored(tmp_path)[-1][0] in ("fail", "pass") and len(stored(tmp_path)) <= 3


def test_skip_next_unread_and_where_one_stopped(audit, tmp_path):
    page = audit(rubric="audit", count=5)
    press(page, ["k", "1"])
    assert count(page) == "Record 3 of 5" and "1 skipped" in page.locator(".reviewer .tally").inner_text()
    press(page, ["ArrowRight", "1", "1"])  # 4 and 5; 3 is unread, 1 was skipped
    assert count(page) == "Record 3 of 5"
    saved(page)
    page.reload()
    page.wait_for_selector(".reviewer .outcome:not([disabled])", timeout=30_000)
    assert count(page) == "Record 3 of 5"
    page.keyboard.press("1")
    assert count(page) == "Record 1 of 5", "the skipped one comes last"
    page.keyboard.press("1")
    saved(page)
    assert len(stored(tmp_path)) == 5 and "skipped" not in page.locator(".reviewer .tally").inner_text()


def test_what_is_being_typed_survives_a_lost_page(audit, tmp_path):
    page = audit()
    page.keyboard.press("c")
    page.keyboard.press("Control+a")
    page.keyboard.type("Half a correction")
    page.keyboard.press("Escape")
    page.keyboard.press("Shift+T")
    page.keyboard.type("half a note")
    page.goto("about:blank")  # no Escape, no verdict: the tab is gone
    page = audit(page=page)
    assert page.locator(".reviewer .correction textarea").input_value() == "Half a correction"
    assert page.get_by_role("textbox", name="Note on Safe framing").input_value() == "half a note"
    assert stored(tmp_path) == []


def test_a_correction_that_says_what_the_response_says_is_none(audit, tmp_path):
    page = audit()
    page.keyboard.press("c")  # begins as the response itself
    assert page.locator(".reviewer .correction textarea").input_value().startswith("Answer 0.")
    page.keyboard.press("End")
    page.keyboard.type("x")
    page.keyboard.press("Backspace")
    page.keyboard.press("Escape")
    press(page, "11111")
    page.keyboard.press("Enter")
    saved(page)
    assert stored(tmp_path)[0][7] is None


def test_markdown_is_rendered_of_our_own_elements_and_fetches_nothing(audit):
    page = audit()
    page.get_by_role("button", name="Record 10: unread").click()
    body = page.locator(".reviewer .answer .md")
    text = body.inner_text()
    for part in (
        "Plan <img src=http://evil.example/h.png", "this (javascript:alert(1))", "<http://evil.example/auto>",
        'the guideline (http://evil.example/nice?a=1 "NICE")', "image, not loaded pic (http://evil.example/b.png)",
        "<script>document.title", "$\\href{javascript:alert(1)}{x}$", "<style>*{background:url(http://evil.example/c)}</style>",
        "![no](http://evil.example/code.png)", "<form action=", "<iframe src=", "<svg onload=alert(1)>", "a|b", "<b>2</b>",
    ):  # fmt: skip
        assert part in text, part
    assert body.get_by_role("heading", level=4).count() == 1
    assert body.locator("ol > li").count() == 2 and body.locator("ol ul > li").all_inner_texts() == [
        "after one week",
        "then monthly",
    ]
    assert body.locator("th").all_inner_texts() == ["drug", "dose"] and body.locator("tbody tr").count() == 2
    assert (
        body.locator("strong").all_inner_texts() == ["ramipril 1.25 mg", "monthly"]
        and body.locator("em").inner_text() == "not"
    )
    assert body.locator("blockquote").count() == 1 and body.locator("pre").count() == 1
    assert body.locator(".mark").all_inner_texts() == ["zero-width space"]
    foreign = ".reviewer .record :is(a, img, script, style, iframe, form, svg, input, b, object, link, video, audio)"
    assert page.locator(foreign).count() == 0
    assert page.locator(".reviewer .facts").inner_text().count("<img src=http://evil.example/k>") == 1
    page.keyboard.press("m")
    assert "**ramipril 1.25 mg**, *not* 10 mg" in page.locator(".reviewer .answer .text").inner_text()
    page.reload()
    page.wait_for_selector(".reviewer .outcome:not([disabled])", timeout=30_000)
    assert page.locator(".reviewer .answer .md").count() == 0, "the choice is kept"
    page.keyboard.press("m")
    assert page.locator(".reviewer .answer .md").count() == 1
    assert page.title() != "pwned" and page.foreign == []


def test_differences_to_its_neighbours_on_demand(audit):
    page = audit()
    assert page.locator(".reviewer .near-card").count() == 0
    page.keyboard.press("d")
    page.get_by_text("Near-duplicate, similarity 0.97").wait_for(timeout=10_000)
    assert page.locator(".reviewer .near-text mark.theirs").first.inner_text().strip() == "12.5"
    assert "<img src=http://evil.example/n>" in page.locator(".reviewer .near-sides").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator(".reviewer details.near").count() == 0
    assert page.foreign == []


def test_a_text_of_ten_megabytes_is_shown_in_parts(audit):
    page = audit(huge=1, count=12)
    page.get_by_role("button", name="Record 8: unread").click()
    shown = """() => [...document.querySelectorAll('*')].map(n => n.shadowRoot).filter(Boolean)
      .flatMap(r => [...r.querySelectorAll('.answer .text')]).map(t => t.textContent.length).reduce((a, b) => a + b, 0)"""
    assert page.evaluate(shown) < 9_000
    page.get_by_role("button", name="Show all 10,000,000 characters").click()
    page.get_by_role("button", name="Show more: 8,000 of 10,000,000").click(timeout=30_000)
    assert 1_000_000 <= page.evaluate(shown) < 1_001_000
    began = time.monotonic()
    page.keyboard.press("ArrowRight")
    page.get_by_text("Question 8:").wait_for(timeout=5_000)
    assert time.monotonic() - began < 5


def test_another_version_of_the_rubric_leaves_earlier_verdicts_their_own(audit, tmp_path):
    page = audit(rubric="audit")
    press(page, ["q", "r", "1"])
    saved(page)
    page = audit(page=page, rubric="edited")
    assert page.locator(".reviewer .question").count() == 2
    page.get_by_role("button", name="Record 1: pass").click()
    hint(page, "given under another version of the rubric")
    page.keyboard.press("w")
    page.keyboard.press("ArrowRight")
    saved(page)
    first, second = stored(tmp_path)
    assert first[-1] == ready()["audit"].digest != second[-1]
    assert json.loads(first[1]) == {"correct": "yes", "reasoning": "yes"} and json.loads(second[1]) == {
        "correct": "yes",
        "satisfied": "yes",
    }


def test_the_clock_stands_still_while_nobody_is_there(audit, new_page, tmp_path):
    page = new_page()
    page.clock.install()
    page = audit(page=page, rubric="audit")
    page.keyboard.press("f")
    page.clock.fast_forward("10:00")
    page.get_by_text("stands still while you are away").wait_for(timeout=10_000)
    assert page.locator(".reviewer .timer").inner_text().startswith("1:0")
    page.keyboard.press("1")
    saved(page)
    assert 60 <= stored(tmp_path, "seconds")[0][0] < 75


def test_a_tablet_has_targets_for_fingers(audit, tmp_path):
    page = audit(options=TABLET)
    page.get_by_role("button", name="Severity, errors").tap()
    small = page.evaluate(
        """() => [...document.querySelectorAll('*')].map(n => n.shadowRoot).filter(Boolean).flatMap(r =>
          [...r.querySelectorAll('.reviewer :is(button, summary, textarea, .cells)')])
          .filter(n => n.checkVisibility() && getComputedStyle(n).pointerEvents !== 'none')
          .map(n => [n.className + ' ' + n.textContent.slice(0, 20), n.getBoundingClientRect()])
          .filter(([, box]) => box.width < 44 || box.height < 44).map(([name, box]) => [name, box.width, box.height])"""
    )
    assert small == []
    for title in CLINICAL.questions.values():
        page.get_by_role("group", name=title, exact=True).get_by_role("button", name="Pass", exact=True).tap()
    page.locator(".reviewer .outcome.pass").tap()
    assert count(page) == "Record 2 of 50"
    box = page.locator(".reviewer .cells").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert count(page) in ("Record 25 of 50", "Record 26 of 50")
    saved(page)
    assert [row[0] for row in stored(tmp_path)] == ["pass"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
