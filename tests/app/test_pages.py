"""Every page starts in every state of a workspace: nothing imported, imported, all steps done."""

import pytest

PAGES = (
    "overview", "data", "versions", "coverage", "distribution", "quadrant", "proof", "export", "audit", "agreement", "duplicates",
    "formatting", "labels",
)  # fmt: skip


def check(at) -> None:
    assert not at.exception, at.exception[0].value
    assert at.title, "a page says what it is"


@pytest.mark.parametrize("page", PAGES)
def test_page_of_a_finished_workspace(home, start, page):
    check(start(page))


@pytest.mark.parametrize("page", PAGES)
def test_page_of_an_empty_workspace(empty, start, page):
    check(start(page))


@pytest.mark.parametrize("page", PAGES)
def test_page_of_imported_data_without_results(imported, start, page):
    check(start(page))


def test_the_overview_offers_the_steps_that_were_not_run(imported, start, monkeypatch):
    at = start("overview")
    assert any(button.label == "Run the analysis" for button in at.button)


def test_the_overview_of_a_finished_workspace_offers_nothing(home, start):
    assert not any(button.label == "Run the analysis" for button in start("overview").button)


def test_a_workspace_whose_folder_went_is_told_and_not_made_anew(home, start):
    at = start()
    name = at.session_state["workspace"]
    (home / name).rename(home / "elsewhere")
    at.run()
    at.run()
    check(at)
    assert not (home / name).exists() and at.session_state["workspace"] == "elsewhere"
    assert "is gone" in at.session_state["kept.opening.fault"]  # drawn by pages.ui.opening.fault in the side bar
