"""Words that help or harm, in a real browser: on a record of the quadrant, toggled in the reviewer, told by more than colour."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOPICS = ("cough", "rash", "dose")
HOSTILE = "<img src=https://example.invalid/a.png onerror=window.owned=1> 👩‍⚕️ \u202eabc"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A workspace of 40 records with a tiny proxy, its influence, token shares and sketches."""
    from core.dataset.importing import import_file
    from core.steps import run_step, set_params
    from core.workspace import open_workspace

    folder = tmp_path_factory.mktemp("home")
    space = open_workspace(folder / "small")
    rows = [
        {
            "prompt": f"Patient {n} asks about {TOPICS[n % 3]}. What now?",
            "response": f"About {TOPICS[n % 3]}: advice number {n} is given in full. {HOSTILE}",
            "reasoning": f"Because of {TOPICS[n % 3]}.", "category": TOPICS[n % 3], "difficulty": 1 + n % 5,
        }
        for n in range(40)
    ]  # fmt: skip
    for role, some in (("training", rows), ("validation", rows[:9])):
        path = folder / f"{role}.jsonl"
        path.write_text("".join(json.dumps(r) + "\n" for r in some), "utf-8")
        space.add(role, path.name, lambda f, path=path, role=role: import_file(path, f, role))
    set_params(space, "proxy", {"vocabulary": 400, "width": 64, "blocks": 2, "epochs": 2, "batch_tokens": 512})
    set_params(space, "influence", {"model": "proxy"})
    for step in ("influence:tokens", "influence:sketch", "influence:sketch:validation"):
        run_step(space, step)
    return folder


@pytest.fixture(scope="module")
def url(serve, home):
    return serve(ROOT / "app.py", env={"QUADRANT_HOME": str(home), "QUADRANT_OPEN": "small", "QUADRANT_DATA": ""})


def test_a_record_of_the_quadrant_shows_the_heat_and_the_toggle_takes_it_away(url, page, wait_idle):
    page.goto(f"{url}/quadrant")
    page.locator("button").filter(has_text="open_in_full").first.wait_for(timeout=60_000)
    wait_idle(page)
    page.locator("button").filter(has_text="open_in_full").first.click()
    key = page.locator("[role=dialog] .heat-key")
    key.wait_for(timeout=30_000)
    assert "harms validation loss" in key.inner_text() and "helps" in key.inner_text() and "rounded" in key.inner_text()
    runs = page.locator("[role=dialog] .heat-view", has=page.locator(".heat-key")).locator(".run")
    said = runs.evaluate_all("nodes => nodes.map(n => n.title)")
    assert said and all(t.startswith(("helps +", "harms −", "neither")) for t in said)
    text = "".join(runs.all_text_contents())
    assert "is given in full." in text and "<img src=" in text and "👩‍⚕️" in text, (
        "every character of the answer, literally"
    )
    assert "U+202E" in text or "RLO" in text, "what cannot be seen is marked"
    assert page.evaluate("window.owned") is None
    tints = page.locator("[role=dialog] .run.helps, [role=dialog] .run.harms").evaluate_all(
        "nodes => new Set(nodes.map(n => getComputedStyle(n).backgroundColor)).size"
    )
    assert tints > 2
    lined = page.locator("[role=dialog] .run.lined.harms").first
    if lined.count():
        assert "dashed" in lined.evaluate("n => getComputedStyle(n).textDecorationStyle")
    page.locator("[role=dialog]").get_by_text("Words that help or harm").click()
    key.wait_for(state="detached", timeout=30_000)
    assert page.locator("[role=dialog] .run").count() == 0


def test_the_reviewer_tints_on_request_and_remembers(url, home, page, wait_idle):
    from core.actions.auditing import draw_audit
    from core.workspace import open_workspace

    draw_audit(open_workspace(home / "small"), 5, 7, by="test")
    page.goto(f"{url}/audit")
    page.wait_for_selector(".reviewer .outcome:not([disabled])", timeout=60_000)
    wait_idle(page)
    assert page.locator(".reviewer .run").count() == 0, "off until it is asked for"
    page.keyboard.press("z")
    page.wait_for_selector(".reviewer .heat-key", timeout=10_000)
    assert page.locator(".reviewer .tints").get_attribute("aria-pressed") == "true"
    answer = page.locator(".reviewer .turn.answer > .block .text")
    assert "is given in full." in answer.inner_text() and answer.locator(".run").count() > 5
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".reviewer .heat-key", timeout=10_000)
    page.locator(".reviewer .tints").click()
    page.wait_for_selector(".reviewer .heat-key", state="detached", timeout=10_000)
    assert page.locator(".reviewer .run").count() == 0
    assert page.evaluate("window.owned") is None


def test_another_validation_set_goes_on_the_axis_and_says_that_it_is_approximate(url, page, wait_idle):
    page.goto(f"{url}/quadrant")
    page.get_by_role("button", name="Another validation set").wait_for(timeout=60_000)
    wait_idle(page)
    page.get_by_role("button", name="Another validation set").click()
    page.get_by_role("button", name="Re-rank", exact=True).click()
    page.get_by_text("Approximate: estimated from sketches of 2,048 numbers a record").first.wait_for(timeout=30_000)
    wait_idle(page)
    assert page.get_by_text("rank correlation with the exact scores").count()
    assert page.locator("[data-testid=stException]").count() == 0
