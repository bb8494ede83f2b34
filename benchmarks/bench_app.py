"""The app as a user waits for it: server ready, first paint, a page switch, and the whole analysis of a file.

Prints a Markdown table; the analysis of 2,000 records is left out with --quick.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("Coverage", "Distribution", "Quadrant", "Audit", "Duplicates", "Overview")


def serve(home: Path, port: int) -> tuple[subprocess.Popen, float]:
    """A server on a home, and the seconds until its health check answers."""
    environment = {**os.environ, "QUADRANT_HOME": str(home), "QUADRANT_OPEN": "sample", "QUADRANT_DATA": ""}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"],
        cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1) as answer:
                if answer.status == 200:
                    return process, time.perf_counter() - began
        except OSError:
            time.sleep(0.02)


def analysed(home: Path, rows: list[dict], name: str) -> float:
    """Seconds of `analyze` on the rows, imports and compilation included."""
    source = home / f"{name}.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "core", "analyze", str(source), "--workspace", str(home / name)],
        cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import CHROMIUM, CHROMIUM_FLAGS, free_port, wait_idle

    sample = [json.loads(line) for line in (ROOT / "sample_data" / "training.jsonl").read_text("utf-8").splitlines()]
    lines = ["| what | seconds | target |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(folder)
        seconds = analysed(home, sample, "sample")
        lines.append(f"| analysis of the sample data ({len(sample)} records), from nothing | {seconds:.0f} | |")
        if not options.quick:
            many = [{**row, "id": f"{row['id']}-{n}", "messages": [{**m, "content": f"{m['content']} ({n})"} for m in row["messages"]]}
                    for n in range(3) for row in sample][:2000]  # fmt: skip
            lines.append(f"| `analyze` of 2,000 records | {analysed(home, many, 'many'):.0f} | 300 |")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        ready, paint, switch = [], [], {name: [] for name in PAGES}
        for _ in range(3):
            port = free_port()
            server, taken = serve(home, port)
            ready.append(taken)
            page = browser.new_context(viewport={"width": 1360, "height": 900}).new_page()
            began = time.perf_counter()
            page.goto(f"http://127.0.0.1:{port}")
            page.get_by_role("heading", name="Overview").wait_for()
            paint.append(time.perf_counter() - began)
            wait_idle(page)
            for name in [*PAGES, *PAGES]:  # the second round is warm
                began = time.perf_counter()
                page.get_by_test_id("stSidebarNav").get_by_text(name, exact=True).click()
                page.get_by_test_id("stMain").get_by_role("heading", name=name, exact=True).first.wait_for()
                switch[name].append(time.perf_counter() - began)
                wait_idle(page)
            server.terminate()
        browser.close()
    lines.append(f"| server ready | {statistics.median(ready):.2f} | 1.5 |")
    lines.append(f"| first paint of a new server (heading of the overview) | {statistics.median(paint):.2f} | 2 |")
    for name, times in switch.items():
        lines.append(f"| switch to {name}, to its heading | {statistics.median(times):.2f} | 0.5 |")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
