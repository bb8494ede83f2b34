"""Every page of the whole app on hostile data: shown literally, nothing fetched, nothing in the console, no exception."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TITLES = (
    "Data", "Coverage", "Distribution", "Quadrant", "Export", "Audit", "Agreement", "Duplicates", "Formatting", "Labels",
    "Versions", "Overview",
)  # fmt: skip
HOSTILE = (
    "<script>window.owned = 1</script>",
    "<img src=https://example.invalid/a.png onerror=window.owned=1>",
    "![x](https://example.invalid/b.png)",
    "[link](javascript:window.owned=1) $\\href{javascript:alert(1)}{x}$",
    '<b style="background:url(https://example.invalid/c.png)">bold</b>',
    ":red[colour] :material/home: https://example.invalid/d",
)


def test_every_page_shows_hostile_text_literally_and_fetches_nothing(serve, page, wait_idle, tmp_path):
    from core.dataset.importing import import_file
    from core.steps import run_step
    from core.workspace import open_workspace

    rows = [
        {"prompt": f"{text} {n}", "response": f"{text} answer {n}.", "category": HOSTILE[n % 3], "annotator": text}
        for n, text in enumerate(HOSTILE * 6)
    ]
    source = tmp_path / "![x](https:example.invalid).jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    space = open_workspace(tmp_path / "home" / "hostile")
    for role in ("training", "production"):
        space.add(role, source.name, lambda folder, role=role: import_file(source, folder, role))
    for step in ("formats", "distribution"):
        run_step(space, step)
    url = serve(
        ROOT / "app.py", env={"QUADRANT_HOME": str(tmp_path / "home"), "QUADRANT_OPEN": "hostile", "QUADRANT_DATA": ""}
    )
    page.goto(url)
    wait_idle(page)
    for title in TITLES:
        page.get_by_test_id("stSidebarNav").get_by_text(title, exact=True).click()
        page.get_by_test_id("stMain").get_by_role("heading", name=title, exact=True).first.wait_for()
        wait_idle(page)
        assert page.locator("[data-testid=stException]").count() == 0, title
        assert page.evaluate("window.owned") is None, title
        assert (
            page.locator("[data-testid=stMain] img[src*=invalid], [data-testid=stMain] a[href*=invalid]").count() == 0
        ), title
    assert page.foreign == []
