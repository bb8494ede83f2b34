"""Take the pictures of the README and the guide from the running app on the sample data, analysed first where it is not yet.

`make screenshots`; QUADRANT_HOME names another home. Pictures go to docs/guide/images. Of another, analysed workspace:
`python docs/guide/screenshots.py --workspace NAME --only coverage coverage-dark --suffix=-1m`.
"""

import argparse
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", default="sample")
    parser.add_argument("--only", nargs="*", choices=list(SHOTS), default=list(SHOTS))
    parser.add_argument("--suffix", default="", help="after the name of each picture")
    asked = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from playwright.sync_api import sync_playwright

    from core import jobs
    from core.workspace import open_workspace
    from tests.browser.conftest import CHROMIUM, CHROMIUM_FLAGS, open_page, start_server, wait_idle

    home = Path(os.environ.get("QUADRANT_HOME") or ROOT / "workspaces")
    IMAGES.mkdir(exist_ok=True)
    environment = {"QUADRANT_HOME": str(home), "QUADRANT_OPEN": asked.workspace, "QUADRANT_DATA": ""}
    server, url = start_server(ROOT / "app.py", home.parent / "screenshots.log", env=environment)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
            page = browser.new_page()
            page.goto(url)
            wait_idle(page)
            while jobs.active(open_workspace(home / asked.workspace)):
                time.sleep(2)
            for name in asked.only:
                title, scheme = SHOTS[name]
                context = browser.new_context(viewport={"width": 1360, "height": 900}, color_scheme=scheme)
                page = context.new_page()
                page.goto(url)
                open_page(page, title)
                if title == "Audit" and (draw := page.get_by_role("button", name="Draw 50 and start reading")).count():
                    draw.click()
                if title in ("Coverage", "Quadrant"):
                    page.wait_for_selector(".scatter[data-ready]", timeout=120_000)
                    wait_idle(page)
                time.sleep(3)
                page.screenshot(path=IMAGES / f"{name}{asked.suffix}.png")
                context.close()
            browser.close()
    finally:
        server.terminate()
    subprocess.run(["git", "-C", str(ROOT), "status", "--short", str(IMAGES)], check=False)


if __name__ == "__main__":
    main()
