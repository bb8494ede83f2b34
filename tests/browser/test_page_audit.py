"""The audit of the sample data in a real browser, by keyboard: every verdict in SQL, the decision right, a reload goes on."""

import re
import sqlite3
import time

import pytest

from tests.browser.conftest import ROOT, open_page


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home whose workspace "sample" holds the sample files and no result."""
    from core.dataset.importing import import_file
    from core.workspace import open_workspace

    folder = tmp_path_factory.mktemp("home")
    space = open_workspace(folder / "sample")
    for role in ("training", "gold"):
        path = ROOT / "sample_data" / f"{role}.jsonl"
        space.add(role, path.name, lambda part, path=path, role=role: import_file(path, part, role))
    return folder


@pytest.fixture(scope="module")
def url(serve, home):
    return serve(ROOT / "app.py", env={"QUADRANT_HOME": str(home), "QUADRANT_DATA": "", "USER": "ada"})


@pytest.fixture
def fresh(home):
    """No sample and no verdict: what an earlier test decided is put aside."""
    path = home / "sample" / "reviews.sqlite"
    if path.exists():
        with sqlite3.connect(path) as connection:
            for table in ("verdicts", "sample_records", "samples", "ledger"):
                connection.execute(f"DELETE FROM {table}")
    return path


def rows(path, sql):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        return connection.execute(sql).fetchall()


def ready(page, wait_idle):
    page.wait_for_selector(".reviewer .outcome:not([disabled])", timeout=60_000)
    wait_idle(page)


def saved(page, wait_idle):
    page.wait_for_selector(".reviewer .save[data-state=saved]", timeout=20_000)
    wait_idle(page)


def start(page, url, wait_idle):
    page.goto(f"{url}/audit")
    page.get_by_role("button", name="Draw 50 and start reading").click(timeout=60_000)
    ready(page, wait_idle)


def view(page, name, wait_idle):
    page.locator("[data-testid=stMain] [data-testid=stButtonGroup] button", has_text=name).click()
    wait_idle(page)


def test_fifty_verdicts_in_a_burst_and_a_decision_that_claims_no_more_than_is_true(url, fresh, page, wait_idle):
    start(page, url, wait_idle)
    assert page.get_by_role("link", name="Agreement").count(), "a link straight to the page has the side bar too"
    began = time.monotonic()
    for key in (["1"] * 16 + ["2"]) * 2 + ["1"] * 15 + ["2"]:
        page.keyboard.press(key)
    burst = time.monotonic() - began
    saved(page, wait_idle)
    assert burst < 10
    assert dict(rows(fresh, "SELECT outcome, count(*) FROM verdicts GROUP BY outcome")) == {"pass": 47, "fail": 3}
    found = rows(fresh, "SELECT count(*), count(DISTINCT record_id), count(DISTINCT client_id) FROM verdicts")
    assert found == [(50, 50, 50)] and rows(fresh, "SELECT DISTINCT reviewer FROM verdicts") == [("ada",)]
    page.get_by_text("No systemic problem found: 3 of 50 have an issue, not more than 3").wait_for()
    told = page.locator("[data-testid=stMain]").inner_text()
    assert "1.3% and 16.5%" in told and "54%" in told and "153 records" in told
    assert "at most 6 %" not in told and not re.search(r"rate (is|of) (at most|below|under) 6", told)

    page.keyboard.press("ArrowLeft")
    page.keyboard.press("2")  # a fourth one: the mind is changed, not a record added
    saved(page, wait_idle)
    page.get_by_text("Systemic problem: 4 of 50 have an issue, more than 3").wait_for()

    page.reload()
    ready(page, wait_idle)
    assert "All read · 46 pass · 4 fail" in page.locator(".reviewer .tally").inner_text()
    page.get_by_text("Systemic problem: 4 of 50").wait_for()


def test_a_reload_half_way_goes_on_at_the_first_unread_record_under_the_same_name(url, fresh, page, wait_idle):
    page.goto(f"{url}/audit?r=Dr%20B")
    page.get_by_role("button", name="Draw 50 and start reading").click(timeout=60_000)
    ready(page, wait_idle)
    for _ in range(20):
        page.keyboard.press("1")
    saved(page, wait_idle)
    page.reload()
    ready(page, wait_idle)
    assert page.locator(".reviewer .count").inner_text() == "Record 21 of 50"
    assert rows(fresh, "SELECT DISTINCT reviewer FROM verdicts") == [("Dr B",)]
    open_page(page, "Agreement")  # a page change and back loses nothing either
    wait_idle(page)
    open_page(page, "Audit")
    ready(page, wait_idle)
    page.keyboard.press("2")  # the link that was clicked last still has the focus
    saved(page, wait_idle)
    assert rows(fresh, "SELECT count(*) FROM verdicts") == [(21,)]


def test_failed_records_are_listed_read_and_removed_with_their_number_named(url, fresh, page, wait_idle):
    start(page, url, wait_idle)
    for key in ("1", "2", "1", "2", "3"):
        page.keyboard.press(key)
    saved(page, wait_idle)
    view(page, "Issues", wait_idle)
    page.locator("[data-testid=stDataFrame]").click(position={"x": 18, "y": 52})
    page.locator(".reviewer .count", has_text="Record 2 of 50").wait_for()
    page.get_by_role("button", name="Remove 2 failed from training").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("2 records").first.wait_for()
    dialog.get_by_role("button", name="Remove 2").click()
    page.get_by_text("2 removed as entry").wait_for()
    failed = {row[0] for row in rows(fresh, "SELECT record_id FROM verdicts WHERE outcome = 'fail'")}
    from core.review.ledger import removed_ids
    from core.review.schema import open_store

    assert removed_ids(open_store(fresh)) == failed and len(failed) == 2
    page.get_by_role("button", name="Undo", exact=True).last.click()
    page.get_by_role("button", name="Remove 2 failed from training").wait_for()
    assert removed_ids(open_store(fresh)) == set()


def test_two_windows_that_differ_are_shown_and_settled(url, fresh, new_page, wait_idle):
    first, second = new_page(), new_page()
    start(first, url, wait_idle)
    second.goto(f"{url}/audit")
    ready(second, wait_idle)
    first.keyboard.press("1")
    saved(first, wait_idle)
    second.keyboard.press("2")
    saved(second, wait_idle)
    view(second, "Issues", wait_idle)
    second.get_by_text("Two windows gave verdicts").first.wait_for()
    second.get_by_role("button", name="Settle: fail").click()
    second.get_by_role("button", name="Settle: fail").wait_for(state="detached")
    last = rows(fresh, "SELECT outcome, supersedes FROM verdicts ORDER BY received_at DESC LIMIT 1")[0]
    assert last[0] == "fail" and last[1].count('"') == 4, "the settling verdict names both"


def test_a_second_reader_is_blind_and_their_agreement_is_shown(url, fresh, page, wait_idle):
    start(page, url, wait_idle)
    for key in (["1"] * 4 + ["2"]) * 10:
        page.keyboard.press(key)
    saved(page, wait_idle)
    open_page(page, "Agreement")
    page.get_by_role("button", name="Start a second reading").click(timeout=30_000)
    page.get_by_label("Name of the second reader").fill("Bea")
    page.get_by_role("button", name="Read the same records").click()
    page.get_by_text("Verdicts of ada are hidden").wait_for(timeout=30_000)
    ready(page, wait_idle)
    assert page.locator(".reviewer .count").inner_text() == "Record 1 of 5", "the double-review share first"
    page.get_by_role("radio", name="All records").click()
    page.locator(".reviewer .count", has_text="Record 1 of 50").wait_for()
    ready(page, wait_idle)
    assert page.locator(".reviewer .tally").inner_text().startswith("0 read")
    for key in ["1"] * 45 + (["1"] * 4 + ["2"]):
        page.keyboard.press(key)
    saved(page, wait_idle)
    assert rows(fresh, "SELECT reviewer, count(*) FROM verdicts GROUP BY 1 ORDER BY 1") == [("Bea", 50), ("ada", 50)]
    page.get_by_text("Verdicts of ada are hidden").wait_for(state="detached")
    open_page(page, "Agreement")
    page.get_by_text("9 in all.").wait_for(timeout=30_000)
    told = page.locator("[data-testid=stMain]").inner_text()
    assert "82.0%" in told and "41 of 50" in told
