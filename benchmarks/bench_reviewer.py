"""How fast the reviewer is: key to the next record on screen, and key to verdict on disk; prints the spreads.

    python benchmarks/bench_reviewer.py [--json] [--only TEXT]

A real Chromium without a graphics card, against a real server and SQLite. Key to paint is the browser's own Event Timing (from the
time stamp of the keydown to the next paint, in steps of 8 ms; under 16 ms counts as 16). Key to disk runs from the same stamp to the
moment the browser knows that the database has the verdict. Main thread is its processor time per key, saving included, which does
not depend on what else the machine is doing; the load average says how far to trust the other two.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]

PROBE = """
() => {
  const find = () => [...document.querySelectorAll('*')].map(n => n.shadowRoot).filter(Boolean)
    .map(r => r.querySelector('.reviewer')).find(Boolean);
  const root = find();
  window.painted = []; window.kept = []; window.waiting = [];
  window.addEventListener('keydown', e => window.waiting.push(e.timeStamp), true);
  new PerformanceObserver(list => {
    for (const entry of list.getEntries()) if (entry.name === 'keydown') window.painted.push(entry.duration);
  }).observe({ type: 'event', durationThreshold: 16 });
  const line = root.querySelector('.save');
  new MutationObserver(() => {
    if (line.dataset.state !== 'saved') return;
    for (const stamp of window.waiting) window.kept.push(performance.now() - stamp);
    window.waiting = [];
  }).observe(line, { attributes: true, childList: true, subtree: true });
}
"""


def spread(values: list[float]) -> dict[str, float]:
    """Median, 95th percentile and maximum, in milliseconds."""
    values = sorted(values)
    return {
        "n": len(values),
        "p50": round(values[len(values) // 2], 1),
        "p95": round(values[min(len(values) - 1, int(len(values) * 0.95))], 1),
        "max": round(values[-1], 1),
    }


def busy(session) -> float:
    """Seconds of processor time that the page's main thread has used."""
    found = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    return found["TaskDuration"]


def heap(session) -> float:
    """Bytes of JavaScript objects that the page holds, Streamlit's own included, after a collection."""
    session.send("HeapProfiler.collectGarbage")
    return {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}["JSHeapUsedSize"]


def measure(
    browser, url: str, count: int, text: int, verdicts: int, pause: float, rubric: str = "audit", read: int = 0
) -> dict[str, object]:
    """What was measured for `verdicts`, a key each `pause` seconds, on a sample of `count` records of which `read` are read already.

    With the five criteria a verdict is six keys: five answers, and Enter for what the rule makes of them.
    """
    with tempfile.TemporaryDirectory() as folder:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{url}/?dir={folder}&count={count}&text={text}&rubric={rubric}&read={read}")
        page.wait_for_selector(".reviewer .outcome:not([disabled])", timeout=60_000)
        time.sleep(1.0)
        page.evaluate(PROBE)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = busy(session)
        keys = 0
        for i in range(verdicts):
            last = "3" if i % 10 == 9 else "1"
            for key in (
                ["1", "1", "2", "1", last, "Enter"] if rubric == "clinical-sft" else ["2" if i % 10 == 9 else "1"]
            ):
                page.keyboard.press(key)
                keys += 1
                if pause:
                    time.sleep(pause)
        page.wait_for_function("() => !window.waiting.length", timeout=60_000)
        time.sleep(0.5)
        painted = page.evaluate("painted")
        result = {
            "key_to_paint_ms": spread(painted + [16.0] * (keys - len(painted))),
            "key_to_disk_ms": spread(page.evaluate("kept")),
            "main_thread_ms_per_key": round((busy(session) - before) * 1000 / keys, 1),
            "heap_mb": round(heap(session) / 2**20, 1),
            "load_average": round(os.getloadavg()[0], 1),
        }
        page.close()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    arguments = parser.parse_args()
    from conftest import CHROMIUM, CHROMIUM_FLAGS, start_server
    from playwright.sync_api import sync_playwright

    five = "clinical-sft"
    cases = {
        "50 records of 2 kB, a steady reader": (50, 2_000, 50, 0.25),
        "50 records of 2 kB, a burst": (50, 2_000, 50, 0.0),
        "50 records of 20 kB, a steady reader": (50, 20_000, 50, 0.25),
        "10,000 records of 2 kB, a steady reader": (10_000, 2_000, 80, 0.25),
        "10,000 records of 2 kB, a burst": (10_000, 2_000, 80, 0.0),
        "10,000 records of 2 kB, 9,000 of them read, a steady reader": (10_000, 2_000, 40, 0.25, "audit", 9_000),
        "five criteria, 50 records of 2 kB, a burst": (50, 2_000, 30, 0.0, five),
        "five criteria, 10,000 records of 2 kB, a steady reader": (10_000, 2_000, 30, 0.1, five),
        "five criteria, 10,000 records of 2 kB, 9,000 of them read, a burst": (10_000, 2_000, 30, 0.0, five, 9_000),
    }
    results = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        process, url = start_server(ROOT / "tests/browser/apps/reviewer_app.py", Path(folder) / "log.txt")
        try:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=CHROMIUM_FLAGS)
            for name, case in cases.items():
                if arguments.only not in name:
                    continue
                results[name] = measure(browser, url, *case)
                if not arguments.json:
                    print(name, results[name], flush=True)
            browser.close()
        finally:
            process.terminate()
            process.wait(10)
    if arguments.json:
        print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
