"""The scatter in a real Chromium: what is drawn, hovered, clicked and selected is what Python hears, by the payload's rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

APP = Path(__file__).parent / "apps" / "scatter_app.py"


@pytest.fixture(scope="module")
def app(serve) -> str:
    return serve(APP)


@pytest.fixture
def points():
    """The test app's coordinates: (x, y, codes), as its page makes them."""
    import ast

    source = ast.parse(APP.read_text())
    keep = [
        n
        for n in source.body
        if isinstance(n, ast.FunctionDef)
        and n.name == "points"
        or isinstance(n, ast.Assign)
        and getattr(n.targets[0], "id", "") == "NAMES"
    ]  # noqa: E501
    for node in keep:
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
    space: dict = {"np": np}
    exec(compile(ast.Module(keep, []), str(APP), "exec"), space)
    return lambda n=2000, seed=0, kind="normal": space["points"](n, seed, kind)[:3]


class Plot:
    """A page with the test app, and hands for it."""

    def __init__(self, page, app, wait_idle, query="n=2000"):
        self.page, self.idle = page, lambda: wait_idle(page)
        page.goto(f"{app}/?{query}")
        page.wait_for_selector(".scatter[data-ready]", timeout=60_000)
        self.idle()

    def data(self, name):
        return self.page.locator(".scatter").get_attribute(f"data-{name}")

    def log(self, length=None):
        """The app's log of events; with `length`, once it has so many."""
        get = "JSON.parse(document.querySelector('[data-testid=log]').textContent)"
        if length is not None:
            self.page.wait_for_function(f"() => {get}.length >= {length}", timeout=20_000)
            self.idle()
        return self.page.evaluate(f"() => {get}")

    def view(self):
        return json.loads(self.data("view"))

    def at(self, x, y):
        """Page coordinates of a point of the data."""
        cx, cy, sx, sy, left, top, w, h = self.view()
        box = self.page.locator(".plot").bounding_box()
        return box["x"] + left + w / 2 + (x - cx) * sx, box["y"] + top + h / 2 - (y - cy) * sy

    def stroke(self, corners, modifier=None):
        """Drag along corners in data coordinates."""
        mouse = self.page.mouse
        path = [self.at(*c) for c in corners]
        if modifier:
            self.page.keyboard.down(modifier)
        mouse.move(*path[0])
        mouse.down()
        for x, y in path[1:]:
            mouse.move(x, y, steps=8)
        mouse.up()
        if modifier:
            self.page.keyboard.up(modifier)

    def tool(self, name):
        self.page.locator(f".tools [data-do={name}]").click()


@pytest.fixture
def plot(page, app, wait_idle):
    return lambda query="n=2000": Plot(page, app, wait_idle, query)


def inside(polygon, x, y):
    """Even-odd rule, one point against every edge: the reference for the lasso."""
    polygon = np.asarray(polygon)
    found = np.zeros(len(x), bool)
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, 1, axis=0), strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            found ^= ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    return found


RING = [(-3, -2), (2, -3), (4, 1), (1, 3), (-2, 2)]
OTHER = [(3, -4), (7, -4), (7, 3), (3, 3)]


def test_draws_points_and_says_how_many(plot):
    shown = plot("n=2000&nan=12")
    assert "12 without a position" in shown.page.get_by_test_id("scatter-foot").text_content()
    picture = shown.page.locator(".plot").screenshot()
    assert len(picture) > 20_000  # an empty plot compresses to a few kilobytes


def test_lasso_selects_exactly_the_points_in_it(plot, points):
    shown, (x, y, _) = plot(), points()
    shown.tool("lasso")
    shown.stroke(RING)
    event = shown.log(1)["log"][-1]
    expected = np.flatnonzero(inside(event["polygon"], x.astype(float), y.astype(float)))
    assert 100 < len(expected) < 1900
    assert event["ids"] == expected.tolist()
    assert np.abs(np.asarray(event["polygon"])[0] - RING[0]).max() < 0.2  # where the pointer went
    assert shown.data("selected") == str(len(expected))


def test_shift_adds_and_alt_removes(plot, points):
    shown, (x, y, _) = plot(), points()

    def covered(event):
        return set(np.flatnonzero(inside(event["polygon"], x.astype(float), y.astype(float))).tolist())

    shown.tool("lasso")
    shown.stroke(RING)
    first = shown.log(1)["log"][-1]
    shown.stroke(OTHER, "Shift")
    second = shown.log(2)["log"][-1]
    assert set(second["ids"]) == set(first["ids"]) | covered(second) > set(first["ids"])
    shown.stroke(OTHER, "Alt")
    third = shown.log(3)["log"][-1]
    assert set(third["ids"]) == set(second["ids"]) - covered(third) < set(second["ids"])


def test_shift_drag_draws_a_lasso_in_the_moving_mode_too(plot, points):
    shown, (x, y, _) = plot(), points()
    shown.stroke(RING, "Shift")
    event = shown.log(1)["log"][-1]
    assert event["ids"] == np.flatnonzero(inside(event["polygon"], x.astype(float), y.astype(float))).tolist()


def test_rectangle_invert_and_clear(plot, points):
    shown, (x, y, _) = plot(), points()
    shown.tool("box")
    shown.stroke([(-2, -2), (3, 1)])
    event = shown.log(1)["log"][-1]
    (x0, y0), (x1, y1) = np.min(event["polygon"], axis=0), np.max(event["polygon"], axis=0)
    expected = np.flatnonzero((x > x0) & (x < x1) & (y > y0) & (y < y1))
    assert event["ids"] == expected.tolist()
    shown.tool("invert")
    assert shown.log(2)["log"][-1]["ids"] == sorted(set(range(2000)) - set(expected.tolist()))
    shown.page.get_by_test_id("scatter-pad").focus()
    shown.page.keyboard.press("Escape")
    assert shown.log(3)["log"][-1]["ids"] == []


def test_a_lasso_around_nothing_selects_nothing(plot):
    shown = plot()
    shown.tool("lasso")
    far = shown.view()
    x = far[0] - far[6] / 2 / far[2]
    y = far[1] - far[7] / 2 / far[3]
    shown.stroke([(x + 0.1, y + 0.1), (x + 0.6, y + 0.1), (x + 0.6, y + 0.6)])
    assert shown.log(1)["log"][-1]["ids"] == []


def test_hidden_categories_are_not_selected(plot, points):
    shown, (x, y, codes) = plot(), points()
    entry = shown.page.locator(".entry", has_text="Medication safety")
    entry.click()
    assert entry.get_attribute("aria-pressed") == "false"
    shown.tool("lasso")
    shown.stroke(RING)
    event = shown.log(1)["log"][-1]
    expected = np.flatnonzero(inside(event["polygon"], x.astype(float), y.astype(float)) & (codes != 0))
    assert event["ids"] == expected.tolist()
    entry.dblclick()  # only this one
    pressed = shown.page.locator(".entries .entry").evaluate_all("all => all.map(e => e.getAttribute('aria-pressed'))")
    assert pressed.count("true") == 1 and entry.get_attribute("aria-pressed") == "true"
    shown.page.get_by_test_id("scatter-pad").focus()
    shown.page.keyboard.press("a")
    assert shown.log(2)["log"][-1]["ids"] == np.flatnonzero(codes == 0).tolist()


def test_click_tells_the_index_and_hover_shows_the_text_literally(plot, points):
    shown, (x, y, _) = plot(), points()
    lonely = int(np.argmax(np.hypot(x, y)))
    shown.page.get_by_test_id("scatter-pad").focus()
    shown.page.keyboard.press("9")  # the first view leaves the farthest out
    shown.page.wait_for_timeout(200)
    shown.page.mouse.move(*shown.at(float(x[lonely]), float(y[lonely])))
    tip = shown.page.get_by_test_id("scatter-tip")
    tip.wait_for(state="visible")
    assert f"Record {lonely}: a patient asks whether ibuprofen <b>may</b> be taken" in tip.text_content()
    assert shown.data("hover") == str(lonely)
    shown.page.mouse.down()
    shown.page.mouse.up()
    assert shown.log(1)["log"][-1] == {"clicked": lonely}


def test_keyboard_alone_reads_a_point_and_selects_a_category(plot, points):
    shown, (_, _, codes) = plot(), points()
    pad = shown.page.get_by_test_id("scatter-pad")
    pad.focus()
    before = shown.view()
    for key in ("ArrowRight", "+", "-", "ArrowDown"):
        shown.page.keyboard.press(key)
    shown.page.wait_for_timeout(200)
    assert shown.view() != before
    shown.page.keyboard.press("0")
    shown.page.keyboard.press("Enter")
    assert "clicked" in shown.log(1)["log"][-1]
    shown.page.keyboard.press("?")
    assert shown.page.get_by_test_id("scatter-help").is_visible()
    shown.page.keyboard.press("Escape")
    assert shown.page.get_by_test_id("scatter-help").is_hidden()
    shown.page.locator(".entry", has_text="Paediatrics").focus()
    shown.page.keyboard.press("s")
    assert shown.log(2)["log"][-1]["ids"] == np.flatnonzero(codes == 4).tolist()


def test_an_event_is_handled_once(plot):
    shown = plot()
    shown.tool("lasso")
    shown.stroke(RING)
    shown.log(1)
    for _ in range(3):
        shown.page.get_by_role("button", name="run again").click()
        shown.idle()
    assert shown.log()["length"] == 1


def test_the_page_owns_the_selection_when_it_passes_one(plot):
    shown = plot("n=2000&control=1")
    shown.tool("lasso")
    shown.stroke(RING)
    own = shown.log(1)["log"][-1]["selected"]
    shown.page.get_by_role("button", name="run again").click()
    shown.idle()
    assert shown.data("selected") == str(own)
    shown.page.get_by_role("button", name="select the first ten").click()
    shown.page.wait_for_selector(".scatter[data-selected='10']")
    # strokes faster than the page answers: the last one stands, on the screen and in Python
    for corners in (RING, OTHER, RING, OTHER):
        shown.stroke(corners)
    shown.page.wait_for_timeout(1500)
    shown.idle()
    assert shown.data("selected") == str(shown.log()["log"][-1]["selected"])


def test_events_of_another_dataset_are_dropped(plot, points):
    shown = plot()
    shown.tool("lasso")
    shown.stroke(RING)
    shown.log(1)
    first = shown.data("ready")
    shown.page.get_by_role("button", name="other dataset").click()
    shown.page.wait_for_function(
        "old => { const log = document.querySelector('[data-testid=log]'); "
        "return log && JSON.parse(log.textContent).digest !== old }",
        arg=first,
    )
    shown.idle()
    assert shown.data("selected") == "0"
    shown.page.wait_for_timeout(300)
    x, y, _ = points(seed=1)
    shown.stroke(RING)
    event = shown.log(2)["log"][-1]
    assert event["ids"] == np.flatnonzero(inside(event["polygon"], x.astype(float), y.astype(float))).tolist()


def test_cuts_are_dragged_moved_by_keys_and_set_from_python(plot, points):
    shown = plot("n=2000&mode=axes")
    total = [int(c) for c in shown.data("quadrants").split(",")]
    assert sum(total) == 2000
    handle = shown.page.get_by_test_id("scatter-cut-x")
    box = handle.bounding_box()
    shown.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    shown.page.mouse.down()
    shown.page.mouse.move(box["x"] + 106, box["y"] + 60, steps=5)
    shown.page.mouse.up()
    cut = shown.log(1)["log"][-1]["cuts"]
    view = shown.view()
    plot_box = shown.page.locator(".plot").bounding_box()
    assert cut[0] == pytest.approx(
        view[0] + (box["x"] + 106 - plot_box["x"] - view[4] - view[6] / 2) / view[2], abs=2 / view[2]
    )
    assert [int(c) for c in shown.data("quadrants").split(",")] != total
    handle.focus()
    shown.page.keyboard.press("ArrowLeft")
    moved = shown.log(2)["log"][-1]["cuts"]
    assert moved[0] < cut[0] and moved[1] == cut[1]
    shown.page.get_by_role("button", name="cut in the middle").click()
    shown.page.wait_for_selector(".cut-x[aria-valuenow='1.5']")


@pytest.mark.parametrize("kind", ["empty", "one", "equal"])
def test_degenerate_data_is_drawn_without_errors(plot, kind):
    shown = plot(f"n=300&data={kind}")
    shown.page.get_by_test_id("scatter-pad").focus()
    for key in ("a", "i", "Enter", "+", "0", "Escape"):
        shown.page.keyboard.press(key)
    expected = {"empty": "0 points", "one": "1 point", "equal": "300 points"}[kind]
    assert expected in shown.page.get_by_test_id("scatter-foot").text_content()


def test_follows_the_theme_and_the_width(new_page, app, wait_idle):
    page = new_page(color_scheme="light")
    shown = Plot(page, app, wait_idle)
    assert shown.data("theme") == "light"
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector(".scatter[data-theme=dark]", timeout=5000)
    page.set_viewport_size({"width": 420, "height": 800})
    page.wait_for_selector(".scatter.narrow")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 420


def test_survives_the_loss_of_the_graphics_context(plot):
    shown = plot()
    shown.page.locator("canvas.points").evaluate(
        "c => { window.__lost = c.getContext('webgl2').getExtension('WEBGL_lose_context'); window.__lost.loseContext(); }"
    )
    shown.page.wait_for_selector(".scatter[data-context=lost]")
    shown.page.evaluate("() => window.__lost.restoreContext()")
    shown.page.wait_for_selector(".scatter:not([data-context])")
    shown.page.wait_for_timeout(300)
    assert len(shown.page.locator(".plot").screenshot()) > 20_000


def test_gives_its_graphics_context_back_and_comes_back_with_the_selection(plot):
    shown = plot("n=2000&control=1")
    shown.tool("lasso")
    shown.stroke(RING)
    own = shown.log(1)["log"][-1]["selected"]
    shown.page.locator("canvas.points").evaluate("c => { window.__old = c.getContext('webgl2'); }")
    shown.page.get_by_role("button", name="go away").click()
    shown.page.get_by_role("button", name="come back").wait_for()
    shown.page.wait_for_function("() => window.__old.isContextLost()")
    shown.page.get_by_role("button", name="come back").click()
    shown.page.wait_for_selector(f".scatter[data-ready][data-selected='{own}']")
    shown.idle()
    assert shown.log()["length"] == 1  # the old event is not told again
    shown.tool("lasso")
    shown.stroke(OTHER)
    assert shown.log(2)["log"][-1]["selected"] != own


def test_without_webgl2_a_plainer_plot_follows(new_page, app, wait_idle):
    page = new_page()
    page.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext; HTMLCanvasElement.prototype.getContext = "
        "function (kind, ...rest) { return kind === 'webgl2' ? null : get.call(this, kind, ...rest); };"
    )
    page.goto(f"{app}/?n=2000")
    page.get_by_text("this browser has no WebGL2").wait_for(timeout=30_000)
    page.locator(".js-plotly-plot .drag").first.wait_for(timeout=30_000)
    wait_idle(page)
    box = page.locator(".js-plotly-plot").bounding_box()
    at = [
        (box["x"] + box["width"] * u, box["y"] + box["height"] * v)
        for u, v in [(0.3, 0.3), (0.6, 0.32), (0.6, 0.6), (0.32, 0.6)]
    ]
    page.mouse.move(*at[0])
    page.mouse.down()
    for x, y in at[1:]:
        page.mouse.move(x, y, steps=8)
    page.mouse.up()
    get = "JSON.parse(document.querySelector('[data-testid=log]').textContent)"
    page.wait_for_function(f"() => {get}.length === 1", timeout=20_000)
    assert 100 < page.evaluate(f"() => {get}.log[0].selected") < 1900


def test_unchanged_points_do_not_travel_again(new_page, app, wait_idle):
    page = new_page()
    sizes: list[int] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: sizes.append(len(frame))))
    shown = Plot(page, app, wait_idle, "n=30000")
    assert max(sizes) >= 30_000 * 8
    sizes.clear()
    shown.page.get_by_role("button", name="run again").click()
    shown.page.wait_for_timeout(500)
    shown.idle()
    assert sum(sizes) < 60_000
