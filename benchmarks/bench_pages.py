"""Every page of a workspace as a user waits for it, in headless Chromium: `python -m benchmarks.bench_pages [HOME WORKSPACE]`.

For each page: opened by its address in a new browser session of a running server (first and second time), and its main reactions (a
filter, a tab, the next page of a table, a slider, a selection). Seconds from the press until the script has ended and what was waited
for stands. "script" is the server's part of an opening: from the first sign of a running script to the end of the last one; before it
lies the loading of Streamlit's own front end. `--cold` opens each page of a new server too, imports included (sqlalchemy,
plotly, pandas), and tells what these imports cost alone. `--shots FOLDER` keeps pictures. Reactions write to the workspace (a
selection, an audit): give it a copy of one that matters. "CPU" is what the server's process used meanwhile: on a
busy machine it tells more than the seconds.

Without a home a set of 20,000 records is made and analysed first. One of 200,000: `--records 200000`, or by the commands in
docs/million.md.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GOAL = 2.0
TITLES = {
    "overview": "Overview", "data": "Data", "versions": "Versions", "coverage": "Coverage", "distribution": "Distribution",
    "quadrant": "Quadrant", "proof": "Does it help here?", "export": "Export", "audit": "Audit", "agreement": "Agreement",
    "duplicates": "Duplicates", "formatting": "Formatting", "labels": "Labels",
}  # fmt: skip
AWAITED = {"coverage": ".scatter[data-ready]", "quadrant": ".scatter[data-ready]"}
"""What must stand on a page beside its heading; where a workspace lacks it, the end of the script is enough after a while."""
HEAVY = ("sqlalchemy", "plotly.graph_objects", "pandas", "pyarrow.compute", "scipy.stats")

# Notes every change of the app's script state, so that a time ends when the script did and not when somebody looked.
WATCH = """
window.__runs = [];
const seen = new MutationObserver(() => {
  const app = document.querySelector('[data-testid=stApp]');
  const now = app && app.getAttribute('data-test-script-state');
  const last = window.__runs[window.__runs.length - 1];
  if (now && (!last || last[1] !== now)) window.__runs.push([performance.now(), now]);
});
seen.observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ['data-test-script-state']});
"""


def settled(page, before: int, quiet: float = 0.25, timeout: float = 120) -> list:
    """Script states [ms, state] noted after the first `before` ones, once none has come for `quiet` seconds and none runs."""
    began = last = time.monotonic()
    known: list = []
    while time.monotonic() - began < timeout:
        runs = page.evaluate("window.__runs")[before:]
        if len(runs) != len(known):
            known, last = runs, time.monotonic()
        if time.monotonic() - last > quiet and (not known or known[-1][1] == "notRunning"):
            return known
        time.sleep(0.02)
    raise TimeoutError(f"the page was still running after {timeout:.0f} s")


def opened(page, url: str, name: str) -> tuple[float, float]:
    """(seconds from the address to the last end of the script, the part from its first start)."""
    page.goto(f"{url}/{'' if name == 'overview' else name}")
    page.get_by_test_id("stMain").get_by_role("heading", name=TITLES[name], exact=True).first.wait_for(timeout=120_000)
    runs = settled(page, 0, quiet=0.8)
    start = next((at for at, state in runs if state == "running"), runs[-1][0])
    end = runs[-1][0]
    if name in AWAITED and page.locator(".scatter").count():
        page.wait_for_selector(AWAITED[name], timeout=60_000)
        end = max(end, page.evaluate("performance.now()") if end < start else end)
    return end / 1000, (end - start) / 1000


def timed(page, act: Callable, awaited: Callable | None = None) -> float:
    """Seconds from `act(page)` until the script that it started has ended and `awaited(page)` has returned."""
    before = len(page.evaluate("window.__runs"))
    began = page.evaluate("performance.now()")
    act(page)
    if awaited:
        awaited(page)
    seen = page.evaluate("performance.now()") if awaited else 0
    runs = settled(page, before, quiet=0.4)
    return max(seen if awaited else 0, runs[-1][0] if runs else seen or began) / 1000 - began / 1000


# -- what a reader does on a page: (what, act); a reaction whose widget is not there is told as such --------------------------


def main_part(page):
    return page.get_by_test_id("stMain")


def press(name: str, exact: bool = False) -> Callable:
    """A button, tab or segment by its text."""
    words = re.compile(f"^{re.escape(name)}$" if exact else re.escape(name))
    return lambda page: main_part(page).get_by_role("button", name=words).first.click(timeout=4000)


def segment(name: str) -> Callable:
    """A choice of a segmented control, of pills or of a radio."""
    choices = "[data-testid=stButtonGroup] button, [data-testid=stRadio] label"
    return lambda page: main_part(page).locator(choices, has_text=name).first.click(timeout=4000)


def number(label: str, value: str) -> Callable:
    """A number typed into a field, such as the page of a table."""

    def act(page) -> None:
        field = main_part(page).get_by_label(re.compile(re.escape(label))).first
        field.fill(value, timeout=4000)
        field.press("Enter")

    return act


def slide(label: str, presses: int = -2) -> Callable:
    """A slider moved by the keyboard."""

    def act(page) -> None:
        box = main_part(page).get_by_test_id("stSlider").filter(has_text=label).first
        knob = box.get_by_role("slider").first
        knob.focus(timeout=4000)
        for _ in range(abs(presses)):
            knob.press("ArrowLeft" if presses < 0 else "ArrowRight")

    return act


def pick(label: str, option: int | str = 1) -> Callable:
    """An option of a select box, by its place or its text."""

    def act(page) -> None:
        main_part(page).get_by_role("combobox", name=label).first.click(timeout=4000)
        options = page.get_by_role("option")
        (options.nth(option) if isinstance(option, int) else options.filter(has_text=option).first).click(timeout=4000)

    return act


def tick(row: int = 1) -> Callable:
    """The tick at the left of a row of the first table that has ticks."""

    def act(page) -> None:
        table = main_part(page).get_by_test_id("stDataFrame").first
        table.scroll_into_view_if_needed(timeout=4000)
        box = table.bounding_box()
        page.mouse.click(box["x"] + 18, box["y"] + 35 + 35 * row + 17)

    return act


def switch(label: str) -> Callable:
    """A toggle or a check box."""
    return lambda page: (
        main_part(page).get_by_test_id("stCheckbox").filter(has_text=label).first.locator("label").click(timeout=4000)
    )


def fold(label: str) -> Callable:
    return lambda page: (
        main_part(page).locator("[data-testid=stExpander] summary", has_text=label).first.click(timeout=4000)
    )


def draw_fifty(page) -> None:
    """The first sample by one click; a further one by the form of "New sample"."""
    first = main_part(page).get_by_role("button", name="Draw 50 and start reading")
    if first.count():
        first.click(timeout=4000)
        return
    page.get_by_role("button", name="New sample").click(timeout=4000)
    page.get_by_role("button", name="Draw", exact=True).click(timeout=8000)


REACTIONS: dict[str, list[tuple[str, Callable]]] = {
    "overview": [],
    "data": [],
    "versions": [
        ("scorecard over time", segment("Scorecard over time")), ("look at one", segment("Look at one")),
        ("page 3,000 of its records", number("Page", "3000")),
    ],
    "coverage": [
        ("the table of clusters", segment("Clusters")), ("holes", segment("Holes")), ("diversity", segment("Diversity")),
        ("colour by category", pick("Colour by", "Category")),
    ],
    "distribution": [("another column", pick("Compare by", 1)), ("the plan: collect", segment("Collect only"))],
    "quadrant": [("select this quadrant", press("Select this quadrant"))],
    "proof": [],
    "export": [
        ("everything but the removed", segment("All but the removed")), ("TRL chat", pick("Format", "TRL")),
        ("OpenAI", pick("Format", "OpenAI")),
    ],
    "audit": [
        ("draw 50", draw_fifty), ("a pass by keyboard", lambda page: page.keyboard.press("1")),
        ("tab By group", segment("By group")), ("tab Issues", segment("Issues")), ("tab Report", segment("Report")),
    ],
    "agreement": [],
    "duplicates": [
        ("contradictions", segment("Contradictions")), ("near-duplicates", segment("Near-duplicates")),
        ("threshold", slide("Similarity from which two records")), ("page 2 of the groups", number("Page, 1 to", "2")),
        ("open a group", tick()), ("select the removable", press("Select these")), ("leakage", segment("Leakage")),
        ("responses that do not fit", segment("does not fit")),
    ],
    "formatting": [
        ("broken rules", segment("Broken ones")), ("open a rule", tick()), ("page 2 of its records", number("Page, 1 to", "2")),
        ("select its records", press("Select these")), ("fix-ups", switch("Fix-ups in bulk")),
    ],
    "labels": [
        ("a pair of categories", pick("Pair of categories", 2)), ("page 2 of the doubts", number("Page, 1 to", "2")),
        ("the estimated matrix", segment("Estimated for all")), ("select these", press("Select these")),
        ("relabel by rule", segment("Relabel by rule")), ("by annotator", segment("By annotator")),
    ],
}  # fmt: skip


class Server:
    """What a process holds, (own memory RssAnon, all resident pages VmRSS) in MiB, and the CPU seconds that it has used."""

    def __init__(self, pid: int):
        self.pid = pid

    @property
    def cpu(self) -> float:
        """Of all its threads; unlike a wall time it hardly depends on what else the machine does."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def read(self) -> tuple[int, int]:
        facts = dict(line.split(":", 1) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines())
        return tuple(int(facts[name].split()[0]) // 1024 for name in ("RssAnon", "VmRSS"))


STEPS = (
    "formats", "distribution", "duplicates", "contradictions", "leakage", "neighbours", "clusters", "coverage", "map", "labels",
)  # fmt: skip


def made(folder: Path, records: int) -> Path:
    """A home with the workspace "big": a set of benchmarks/large.py with its vectors, through the steps that need no model."""
    from benchmarks.large import make

    data, space = folder / "data", str(folder / "home" / "big")
    make(data, records, max(200, records // 50))
    vectors = {"embed.model": data / "training.npy", "embed.production_vectors": data / "production.npy"}
    commands = [["import", data / f"{role}.jsonl", "--role", role] for role in ("training", "production")]
    commands += [["run", "embed", *(word for name, path in vectors.items() for word in ("--set", f"{name}={path}"))]]
    for command in [*commands, ["run", *STEPS]]:
        call = [sys.executable, "-m", "core", *map(str, command), "-w", space]
        subprocess.run(call, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder / "home"


def mark(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"**{seconds:.2f}**" if seconds > GOAL else f"{seconds:.2f}"


def imports() -> str:
    """Seconds of the heavy imports, each in a process of its own."""
    told = []
    for name in HEAVY:
        code = f"import time; t = time.perf_counter(); import {name}; print(time.perf_counter() - t)"
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        told.append(f"{name} {float(found.stdout):.2f}" if found.returncode == 0 else f"{name} is not there")
    return ", ".join(told)


def shot(page, folder: Path | None, name: str) -> None:
    """A picture of the whole page, which scrolls inside itself: taken in a tall window."""
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        page.set_viewport_size({"width": 1360, "height": 2000})
        page.wait_for_timeout(700)
        page.screenshot(path=folder / f"{name}.png")
        page.set_viewport_size({"width": 1360, "height": 900})


def shown_error(page) -> str:
    found = page.locator("[data-testid=stException]")
    return f" — EXCEPTION {found.first.inner_text()[:160]}" if found.count() else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("home", type=Path, nargs="?", help="the folder of workspaces; a new set is made when absent")
    parser.add_argument("workspace", nargs="?", default="big")
    parser.add_argument("--records", type=int, default=20_000, help="of the set that is made")
    parser.add_argument("--only", nargs="*", default=list(TITLES), help="these pages alone, by file name")
    parser.add_argument("--cold", action="store_true", help="each page of a new server too")
    parser.add_argument("--shots", type=Path)
    options = parser.parse_args()
    from playwright.sync_api import Error, sync_playwright

    from tests.browser.conftest import CHROMIUM, CHROMIUM_FLAGS, start_server

    folder = Path(tempfile.mkdtemp())
    options.home = options.home or made(folder, options.records)
    environment = {"QUADRANT_HOME": str(options.home), "QUADRANT_OPEN": options.workspace, "QUADRANT_DATA": ""}
    rows, reactions = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)

        def new_page():
            page = browser.new_context(viewport={"width": 1360, "height": 900}, color_scheme="light").new_page()
            page.add_init_script(WATCH)
            return page

        cold: dict[str, float] = {}
        for name in options.only if options.cold else ():
            server, url = start_server(ROOT / "app.py", folder / "log", env=environment)
            page = new_page()
            cold[name] = opened(page, url, name)[1]
            page.context.close()
            server.terminate()
            server.wait()
        server, url = start_server(ROOT / "app.py", folder / "log", env=environment)
        process = Server(server.pid)
        page = new_page()
        opened(page, url, "data")  # Streamlit's own imports and the browser's cache of its front end
        page.context.close()
        empty = process.read()
        try:
            for name in options.only:
                page = new_page()
                cpu = process.cpu
                try:
                    whole, script = opened(page, url, name)
                except Error as error:
                    rows.append(
                        f"| {TITLES[name]}: {shown_error(page) or str(error).splitlines()[0]} | | | | | | | | | |"
                    )
                    print(rows[-1], flush=True)
                    continue
                own, first_cpu = process.read()[0], process.cpu - cpu
                page.context.close()
                page, cpu = new_page(), process.cpu
                second, again = opened(page, url, name)
                cpu = process.cpu - cpu
                fault = shown_error(page)
                load = os.getloadavg()[0]
                rows.append(
                    f"| {TITLES[name]}{fault} | {mark(cold.get(name))} | {mark(script)} | {first_cpu:.2f} | {whole:.2f} "
                    f"| {mark(again)} | {cpu:.2f} | {second:.2f} | {own:,} | {load:.1f} |"
                )
                print(rows[-1], flush=True)
                shot(page, options.shots, name)
                for what, act in REACTIONS[name]:
                    cpu = process.cpu
                    try:
                        seconds = timed(page, act)
                        said = f"{mark(seconds)}{shown_error(page)} | {process.cpu - cpu:.2f}"
                    except Error as error:
                        said = f"{'not there' if 'Timeout' in str(error) else str(error).splitlines()[0]} |"
                    reactions.append(f"| {TITLES[name]} | {what} | {said} | {os.getloadavg()[0]:.1f} |")
                    print(reactions[-1], flush=True)
                    shot(page, options.shots, f"{name}-{what.replace(' ', '-')}")
                page.context.close()
            full = process.read()
        finally:
            server.terminate()
            browser.close()
    print(
        "\n| page | new server s | first time: script s | CPU s | whole s | again: script s | CPU s | whole s | own MiB | load |"
        "\n|---|---|---|---|---|---|---|---|---|---|"
    )
    print("\n".join(rows))
    print("\n| page | reaction | s | CPU s | load |\n|---|---|---|---|---|")
    print("\n".join(reactions))
    print(f"\nServer: {empty[0]:,} MiB of its own before, {full[0]:,} after all pages ({full[1]:,} with mapped files).")
    print(f"Imports alone, s: {imports()}. Over {GOAL:g} s is bold.")


if __name__ == "__main__":
    main()
