"""How fast the scatter paints, hovers and reports a lasso, in headless Chromium with software WebGL; prints a Markdown table.

    python benchmarks/bench_scatter.py [100000 1000000] [--repeat 3]

paint: from the moment a page with a warm server is asked for until the points are on the canvas (navigation, script run, transfer
and upload included; the columns to filter by follow them). filter: from a press on a bar, and while sweeping over a histogram, until
points, bars, legend and counts of eight columns are drawn. again: the same points after a rerun, until the script has ended. lasso:
from letting go of the mouse until Python holds the ids. hover: from a move of the pointer to the tooltip and the detail pane. Medians
of the repeats. The second table: search by meaning over vectors of 384 numbers, memory-mapped from a file that was read before, the
query encoded by the built-in model.
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
TARGETS = {100_000: (1.5, 0.3, 0.3), 1_000_000: (3.0, 1.2, 1.0)}  # seconds: paint, lasso, filter
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


FILTER = """(root) => {
  const times = [], timed = (act) => { const began = performance.now(); act(); times.push(performance.now() - began); };
  const rows = root.querySelectorAll('[data-facet=category] .row');
  for (const k of [0, 1, 0, 1]) timed(() => rows[k].click());
  const svg = root.querySelector('[data-testid=facet-length]'), box = svg.getBoundingClientRect();
  const spot = (x) => ({ clientX: box.left + box.width * x, clientY: box.top + 5, pointerId: 1, bubbles: true });
  const at = (name, x) => new PointerEvent(name, spot(x));
  svg.setPointerCapture = () => {};
  svg.dispatchEvent(at('pointerdown', 0.1));
  for (const x of [0.2, 0.35, 0.5]) timed(() => svg.dispatchEvent(at('pointermove', x)));
  svg.dispatchEvent(at('pointerup', 0.5));
  root.querySelector('[data-do=unfilter]').click();
  return times;
}"""  # a filter draws before it returns, and waits for the pixels


def measure(browser, url: str, count: int) -> dict[str, float]:
    """One visit: seconds by what was measured."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    began = time.time()
    page.goto(f"{url}/?n={count}&facets=1", wait_until="commit")
    page.wait_for_selector(".scatter[data-ready]", timeout=120_000)
    root = page.locator(".scatter")
    told = {name: float(root.get_attribute(f"data-{name}")) / 1000 for name in ("painted-at", "paint-ms")}
    out = {"paint": told["painted-at"] - began, "draw": told["paint-ms"]}
    wait_idle(page)
    page.wait_for_selector(".scatter[data-loaded]", timeout=120_000)
    out["columns"] = time.time() - began
    page.wait_for_timeout(1500)
    times = root.evaluate(FILTER)
    out["filter"], out["slowest"] = statistics.median(times) / 1000, max(times) / 1000
    page.wait_for_timeout(500)
    out["hover"] = sorted(root.locator(".plot").evaluate(HOVER))[37] / 1000
    runs = page.evaluate(f"() => {LOG}.run")
    began = time.perf_counter()
    page.get_by_role("button", name="run again").click()
    page.wait_for_function(f"() => {LOG}.run > {runs}", timeout=60_000)
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


def search(count: int, repeat: int) -> None:
    """Print how long a search by meaning over `count` vectors takes."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from core.embedding.search import by_example, by_meaning

    class Stored:
        """A result of `embed` as a workspace keeps it, without the workspace."""

        info = {"kind": "model", "model": "all-MiniLM-L6-v2"}

        def __init__(self, folder: Path) -> None:
            self.folder, random = folder, np.random.default_rng(0)
            vectors = np.lib.format.open_memmap(folder / "array.npy", "w+", np.float32, (count, 384))
            for start in range(0, count, 50_000):
                part = random.standard_normal((min(50_000, count - start), 384), dtype=np.float32)
                vectors[start : start + len(part)] = part / np.linalg.norm(part, axis=1, keepdims=True)
            ids = [f"{n:016x}-1" for n in range(count)]
            pq.write_table(pa.table({"record_id": ids, "empty": np.zeros(count, bool)}), folder / "table.parquet")

        def table(self, columns: list[str]) -> pa.Table:
            return pq.read_table(self.folder / "table.parquet", columns=columns)

        def array(self) -> np.ndarray:
            return np.load(self.folder / "array.npy", mmap_mode="r")

    with tempfile.TemporaryDirectory() as folder:
        stored = Stored(Path(folder))
        asked = [
            "chest pain at rest",
            "interactions of warfarin",
            "rash after amoxicillin",
            "paediatric dose",
            "reading an ECG",
        ]
        times: dict[str, list[float]] = {"first": [], "meaning": [], "like": []}
        for number, query in enumerate(asked[: repeat + 2]):
            began = time.perf_counter()
            by_meaning(stored, query)
            times["meaning" if number else "first"].append(time.perf_counter() - began)
            began = time.perf_counter()
            by_example(stored, f"{number:016x}-1")
            times["like"].append(time.perf_counter() - began)
    print("| vectors | first search by meaning | search by meaning (target) | more like this |")
    print("|---|---|---|---|")
    first, meaning, like = (statistics.median(times[name]) for name in ("first", "meaning", "like"))
    print(f"| {count:,} | {first:.2f} s | {meaning:.2f} s (1.0) | {like:.2f} s |\n", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", nargs="*", type=int, default=[100_000, 1_000_000])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--vectors", type=int, default=1_000_000, help="for the search by meaning; 0 = leave it out")
    given = parser.parse_args()
    if given.vectors:
        search(given.vectors, given.repeat)
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        process, url = start_server(APP, Path(folder) / "log.txt")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        try:
            print(
                "| points | paint (target) | of it draw | columns there | filter, median and slowest (target) | run again "
                "| hover, 95th percentile (0.05) | lasso to ids (target) | selected |"
            )
            print("|---|---|---|---|---|---|---|---|---|")
            for count in given.counts:
                measure(browser, url, count)  # the payload is made once, as a page keeps it
                runs = [measure(browser, url, count) for _ in range(given.repeat)]
                best = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
                paint, lasso, filtered = TARGETS.get(count, (float("nan"),) * 3)
                print(
                    f"| {count:,} | {best['paint']:.2f} s ({paint}) | {best['draw']:.2f} s | {best['columns']:.2f} s"
                    f" | {best['filter']:.2f} s, {best['slowest']:.2f} s ({filtered}) | {best['again']:.2f} s"
                    f" | {best['hover'] * 1000:.1f} ms | {best['lasso']:.2f} s ({lasso}) | {best['selected']:,.0f} |"
                )
        finally:
            browser.close()
            process.terminate()


if __name__ == "__main__":
    main()
