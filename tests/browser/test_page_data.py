"""The Data page in a real browser: upload, a hostile file, a mapping by hand."""

import json
import re
from pathlib import Path

import pytest

from tests.browser.conftest import open_page

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT.parent / "shared" / "data" / "import_formats" / "llama_factory" / "alpaca_en_demo.json"
HOSTILE = [
    '{"prompt": "What is ![x](http://evil.example/p.png)?", "response": "<img src=http://evil.example/i.png>", '
    '"category": "![c](http://evil.example/c.png)", "![f](http://evil.example/f.png)": "[l](http://evil.example/l)"}',
    '{"prompt": "http://evil.example/q", "response": "", "category": "plain"}',
    '{"prompt": "broken ![b](http://evil.example/b.png)", "response": ',
]


@pytest.fixture(scope="module")
def app(serve, tmp_path_factory) -> str:
    """The app on an empty workspace."""
    from core.dataset.importing import import_file
    from core.workspace import open_workspace

    home = tmp_path_factory.mktemp("home")
    seed = home / "seed.jsonl"
    seed.write_text('{"prompt": "a", "response": "b", "category": "c"}\n', "utf-8")
    open_workspace(home / "sample").add("training", seed.name, lambda folder: import_file(seed, folder, "training"))
    return serve(ROOT / "app.py", env={"QUADRANT_HOME": str(home), "QUADRANT_DATA": ""})


def upload(page, wait_idle, url: str, path: Path) -> None:
    page.goto(f"{url}/data")
    wait_idle(page)
    page.set_input_files("[data-testid=stFileUploaderDropzoneInput]", str(path))
    page.get_by_role("button", name="Import as training").wait_for()
    wait_idle(page)


def bring_in(page, wait_idle, workspace: str) -> None:
    """Import without the analysis, and wait until the new workspace is shown."""
    page.get_by_text("Analyse afterwards").click()
    wait_idle(page)
    page.get_by_role("button", name="Import as training").click()
    page.wait_for_url(f"**w={workspace}*")
    wait_idle(page)
    page.get_by_text("Rows read").first.wait_for()


def metric(page, label: str, value: str) -> None:
    """Wait until the metric says so; the report of the workspace before may stand there for a moment."""
    box = page.locator("[data-testid=stMetric]").filter(has_text=label).first
    box.locator("[data-testid=stMetricValue]").filter(has_text=re.compile(f"^{value}$")).wait_for()


def choose(page, box, option: str) -> None:
    """Open a list and take an option; a run of the page that ends meanwhile may close the list, so it is tried again."""
    for _ in range(5):
        box.click()
        try:
            page.get_by_role("option", name=option).first.click(timeout=2_500)
            return
        except Exception as error:
            if "Timeout" not in type(error).__name__:
                raise
            page.wait_for_timeout(500)
    raise AssertionError(f"the list never showed {option}")


def test_an_upload_becomes_records(page, wait_idle, app):
    if not DEMO.exists():
        pytest.skip("the public import formats are not beside the checkout")
    upload(page, wait_idle, app, DEMO)
    assert page.get_by_text("Alpaca instruction/input/output").first.is_visible()
    bring_in(page, wait_idle, "alpaca_en_demo")
    metric(page, "Rows read", "999")
    assert page.get_by_text("999 records", exact=True).first.is_visible()


def test_a_hostile_file_is_shown_literally_and_fetches_nothing(page, wait_idle, app, tmp_path):
    path = tmp_path / "hostile.jsonl"
    path.write_text("\n".join(HOSTILE) + "\n", "utf-8")
    upload(page, wait_idle, app, path)
    assert page.get_by_text("2 of the first rows will be quarantined").is_visible()
    page.get_by_text("in full (choose a row above").click()
    texts = page.locator("[data-testid=stText]")
    texts.get_by_text("What is ![x](http://evil.example/p.png)?", exact=True).wait_for()
    texts.get_by_text("<img src=http://evil.example/i.png>", exact=True).wait_for()
    bring_in(page, wait_idle, "hostile")
    metric(page, "Rows read", "3")
    metric(page, "Rows quarantined", "2")
    page.get_by_text("The 2 rows").click()
    for name in ("Distribution", "Overview"):
        open_page(page, name)
        wait_idle(page)
    # The outside host is refused and listed by the fixture; a picture or a link of the data would show here.
    assert page.locator("img[src*=evil], a[href*=evil]").count() == 0


def test_a_mapping_by_hand_saves_a_file_with_odd_names(page, wait_idle, app, tmp_path):
    path = tmp_path / "odd.json"
    path.write_text(json.dumps([{"frage": f"q {n}", "antwort": f"a {n}"} for n in range(4)]), "utf-8")
    upload(page, wait_idle, app, path)
    assert page.get_by_text("No field could be recognised").is_visible()
    assert page.get_by_role("button", name="Import as training").is_disabled()
    for kind, label, field in (("MultiSelect", "Prompt", "frage"), ("Selectbox", "Response", "antwort")):
        box = page.locator(f"[data-testid=stMain] [data-testid=st{kind}]").filter(has_text=label).first
        choose(page, box.locator("input"), field)
        if kind == "MultiSelect":
            page.keyboard.press("Escape")  # its list stays open; in a select box the key would clear the choice
        wait_idle(page)
    page.get_by_text("The first records, as they will be read").wait_for()
    bring_in(page, wait_idle, "odd")
    metric(page, "Records", "4")
