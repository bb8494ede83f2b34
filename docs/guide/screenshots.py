"""Take the pictures of the README and the guide from the running app on the sample data, analysed first where it is not yet.

`make screenshots`; QUADRANT_HOME names another home. Pictures go to docs/guide/images.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMAGES = Path(__file__).parent / "images"
SHOTS = {
    "overview": ("Overview", "light"), "coverage": ("Coverage", "light"), "coverage-dark": ("Coverage", "dark"),
    "distribution": ("Distribution", "light"), "quadrant": ("Quadrant", "light"), "quadrant-dark": ("Quadrant", "dark"),
    "audit": ("Audit", "light"), "duplicates": ("Duplicates", "light"), "formatting": ("Formatting", "light"),
    "labels": ("Labels", "light"), "export": ("Export", "light"), "data": ("Data", "light"),
}  # fmt: skip


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from playwright.sync_api import sync_playwright

    from core import jobs
    from core.workspace import open_workspace
    from tests.browser.conftest import CHROMIUM, CHROMIUM_FLAGS, start_server, wait_idle

    home = Path(os.environ.get("QUADRANT_HOME") or ROOT / "workspaces")
    IMAGES.mkdir(exist_ok=True)
    environment = {"QUADRANT_HOME": str(home), "QUADRANT_OPEN": "sample", "QUADRANT_DATA": ""}
    server, url = start_server(ROOT / "app.py", home.parent / "screenshots.log", env=environment)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
            page = browser.new_page()
            page.goto(url)
            wait_idle(page)
            while jobs.active(open_workspace(home / "sample")):
                time.sleep(2)
            for name, (title, scheme) in SHOTS.items():
                context = browser.new_context(viewport={"width": 1360, "height": 900}, color_scheme=scheme)
                page = context.new_page()
                page.goto(url)
                page.get_by_test_id("stSidebarNav").get_by_text(title, exact=True).click()
                page.get_by_test_id("stMain").get_by_role("heading", name=title, exact=True).first.wait_for()
                wait_idle(page)
                if title == "Audit" and (draw := page.get_by_role("button", name="Draw 50 and start reading")).count():
                    draw.click()
                time.sleep(3)
                page.screenshot(path=IMAGES / f"{name}.png")
                context.close()
            browser.close()
    finally:
        server.terminate()
    subprocess.run(["git", "-C", str(ROOT), "status", "--short", str(IMAGES)], check=False)


if __name__ == "__main__":
    main()
