"""Lists that are longer than a page of a table: counted whole, read a page at a time, and every row can be reached."""

import pytest

from core.actions.decisions import open_reviews
from core.review.ledger import remove_records
from core.steps import current, run_step, set_params
from core.workspace import Workspace
from tests.app.conftest import fine, metric


@pytest.fixture
def rows_of_a_page(space, monkeypatch):
    """rows_of_a_page(n): tables of n rows. The pages are imported here, after `space` has made them forget another home."""
    from pages.ui import tables

    return lambda count: monkeypatch.setattr(tables.pager, "__defaults__", (count, "", ""))


def page_of(at, start: str):
    return next(one for one in at.number_input if (one.key or "").startswith(start))


def listed(at, column: str) -> list:
    """The values of a column in the table that has it."""
    return next(list(one.value[column]) for one in at.dataframe if column in one.value.columns)


def test_every_record_that_breaks_a_rule_is_on_one_page(space: Workspace, start, rows_of_a_page):
    rows_of_a_page(7)
    rule = {
        "id": "own:end",
        "kind": "forbids",
        "title": "No advice",
        "params": {"pattern": "advice"},
        "applies_to": "all",
    }
    set_params(space, "formats", {"rules": [rule]})
    found = run_step(space, "formats").table()
    broken = len(set(found["record_id"].to_pylist()))
    assert broken > 14
    at = fine(start("formatting"))
    assert metric(at, "Records that break a rule").value == f"{broken} of 60"
    pages = -(-broken // 7)
    seen: list[str] = []
    for number in range(1, pages + 1):
        page_of(at, "formatting.page.").set_value(number).run()
        seen += listed(fine(at), "prompt")
    assert len(seen) == broken and any(
        f"{7 * (pages - 1) + 1} to {broken} of {broken}" in one.value for one in at.caption
    )
    # Fewer records than the page that is open: the last page there is.
    gone = list(dict.fromkeys(found["record_id"].to_pylist()))[8:]
    remove_records(open_reviews(space), gone, reason="test", by="ada")
    at.run()
    assert page_of(fine(at), "formatting.page.").value == 2 and listed(at, "what is wrong")


def test_contradictions_are_told_a_page_at_a_time(space: Workspace, start, rows_of_a_page):
    rows_of_a_page(1)
    pairs = current(space, "contradictions").table()
    at = fine(start("duplicates"))
    at.segmented_control(key="duplicates.part").set_value("contradictions").run()
    reasons = []
    for number in range(1, pairs.num_rows + 1):
        if pairs.num_rows > 1:
            page_of(at, "duplicates.contradictions.page").set_value(number).run()
        reasons += listed(fine(at), "why")
    assert reasons == pairs["reason"].to_pylist()


def test_many_fix_ups_are_worked_out_by_the_page_and_accepted_by_a_job(
    space: Workspace, start, launched, monkeypatch, rows_of_a_page
):
    from pages.ui import formatting_fixes

    rows_of_a_page(7)
    monkeypatch.setattr(formatting_fixes, "AT_ONCE", 3)
    params = {"label": "About Cough"}
    rule = {"id": "own:head", "kind": "first_label", "title": "Head", "params": params, "applies_to": "cough"}
    set_params(space, "formats", {"rules": [rule]})
    run_step(space, "formats")
    at = fine(start("formatting"))
    at.toggle(key="formatting.fixes").set_value(True).run()
    assert any("20 records break a rule chosen here" in one.value for one in fine(at).caption)
    count = 0
    for number in (1, 2, 3):
        page_of(at, "formatting.fixes.page.").set_value(number).run()
        count += len(listed(fine(at), "mends"))
    assert count == 18, "two of the twenty have no colon and no safe fix-up"
    at.button(key="formatting.fixes.accept_all").click().run()
    assert launched[-1][:2] == ["fix", "--accept"]
