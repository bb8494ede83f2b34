"""How fast the scatter paints, hovers and reports a lasso, in headless Chromium with software WebGL; prints a Markdown table.

    python benchmarks/bench_scatter.py [100000 1000000] [--repeat 3]

paint: from the moment a page with a warm server is asked for until the points are on the canvas (navigation, script run, transfer
and upload included). again: the same points after a rerun, until the script has ended. lasso: from letting go of the mouse until
Python holds the ids. hover: from a move of the pointer to the tooltip. Medians of the repeats.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]

from conftest import CHROMIUM, CHROMIUM_FLAGS, start_server, wait_idle  # noqa: E402

APP = ROOT / "tests" / "browser" / "apps" / "scatter_app.py"
TARGETS = {100_000: (1.5, 0.3), 1_000_000: (3.0, 1.2)}  # seconds: paint, lasso
LOG = "JSON.parse(document.querySelector('[data-testid=log]').textContent)"
HOVER = """(plot) => new Promise((done) => {
  const root = plot.closest('.scatter'), pad = root.querySelector('.pad'), box = pad.getBoundingClientRect(), times = [];
  let k = 0;
  const step = () => {
    if (k === 40) return done(times);
    const x = box.left + box.width * (0.3 + 0.4 * ((k * 0.618) % 1)), y = box.top + box.height * (0.3 + 0.4 * ((k * 0.382) % 1));
    const began = performance.now();
    pad.dispatchEvent(new PointerEvent('pointermove', { clientX: x, clientY: y, pointerId: 1, bubbles: true }));
    times.push(performance.now() - began);
    k += 1;
    requestAnimationFrame(step);
  };
  step();
})"""


def measure(browser, url: str, count: int) -> dict[str, float]:
    """One visit: seconds by what was measured."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    began = time.time()
    page.goto(f"{url}/?n={count}", wait_until="commit")
    page.wait_for_selector(".scatter[data-ready]", timeout=120_000)
    root = page.locator(".scatter")
    told = {name: float(root.get_attribute(f"data-{name}")) / 1000 for name in ("painted-at", "paint-ms")}
    out = {"paint": told["painted-at"] - began, "draw": told["paint-ms"]}
    wait_idle(page)
    page.wait_for_timeout(1500)
    out["hover"] = sorted(root.locator(".plot").evaluate(HOVER))[37] / 1000
    began = time.perf_counter()
    page.get_by_role("button", name="run again").click()
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=running]", timeout=5000)
    wait_idle(page)
    out["again"] = time.perf_counter() - began
    page.locator("[data-do=lasso]").click()
    box = root.locator(".plot").bounding_box()
    corners = ((0.35, 0.2), (0.7, 0.3), (0.65, 0.6), (0.45, 0.55))
    at = [(box["x"] + box["width"] * u, box["y"] + box["height"] * v) for u, v in corners]
    page.mouse.move(*at[0])
    page.mouse.down()
    for x, y in at[1:]:
        page.mouse.move(x, y, steps=12)
    let_go = time.time()
    page.mouse.up()
    page.wait_for_function(f"() => {LOG}.length >= 1", timeout=60_000)
    event = page.evaluate(f"() => {LOG}.log.at(-1)")
    out["lasso"] = event["at"] - let_go
    out["selected"] = event["selected"]
    context.close()
    return out


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", nargs="*", type=int, default=[100_000, 1_000_000])
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        process, url = start_server(APP, Path(folder) / "log.txt")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        try:
            print(
                "| points | paint (target) | of it draw | run again | hover, 95th percentile | lasso to ids (target) | selected |"
            )
            print("|---|---|---|---|---|---|---|")
            for count in given.counts:
                measure(browser, url, count)  # the payload is made once, as a page keeps it
                runs = [measure(browser, url, count) for _ in range(given.repeat)]
                best = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
                paint, lasso = TARGETS.get(count, (float("nan"), float("nan")))
                print(
                    f"| {count:,} | {best['paint']:.2f} s ({paint}) | {best['draw']:.2f} s | {best['again']:.2f} s"
                    f" | {best['hover'] * 1000:.1f} ms | {best['lasso']:.2f} s ({lasso}) | {best['selected']:,.0f} |"
                )
        finally:
            browser.close()
            process.terminate()


if __name__ == "__main__":
    main()
