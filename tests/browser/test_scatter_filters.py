"""Filters beside the points, in a real Chromium: what is counted, drawn and selected is what the columns say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

APP = Path(__file__).parent / "apps" / "scatter_app.py"
HELPERS = Path(__file__).parent / "test_scatter.py"


def _helpers():
    spec = importlib.util.spec_from_file_location("scatter_helpers", HELPERS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


helpers = _helpers()
points = helpers.points
Plot = helpers.Plot


@pytest.fixture(scope="module")
def app(serve) -> str:
    return serve(APP)


@pytest.fixture
def plot(page, app, wait_idle):
    def opened(query="n=2000&facets=1&control=1") -> Plot:
        shown = Plot(page, app, wait_idle, query)
        page.wait_for_selector(".scatter[data-loaded]")
        return shown

    return opened


@pytest.fixture
def columns(points):
    """The test app's numbers behind the bars: {name: (N,) values}."""
    codes = points()[2]
    random = np.random.default_rng(0)  # as the app draws them: `extra` is what its last call gives
    n = 2000
    random.choice(14, n, p=(w := np.arange(14, 0, -1) ** 1.3) / w.sum())
    random.normal(0, 0.62, (14, 3, 2))
    random.gamma(4, 0.1, (14, 3, 1))
    random.integers(0, 3, n)
    random.normal(0, 1, (n, 2))
    noise = random.random(n) < 0.08
    random.normal(0, 4, (int(noise.sum()), 2))
    extra = random.random(n)
    return {"category": codes, "language": (extra * 1777 % 3).astype(int), "length": np.exp(extra * 4 + 2)}


def card(shown, name):
    return shown.page.locator(f".facet[data-facet={name}]")


def row(shown, name, text):
    return card(shown, name).locator(".row", has_text=text).first


def test_two_columns_filter_points_and_each_other_and_the_result_is_selected(plot, columns):
    shown = plot()
    row(shown, "category", "Medication safety").click()
    row(shown, "category", "Paediatrics").click()
    row(shown, "language", "de").click()
    kept = np.isin(columns["category"], [0, 4]) & (columns["language"] == 1)
    assert f"{kept.sum():,} of 2,000 pass" in shown.page.get_by_test_id("scatter-passing").text_content()
    # a column's own bars are not narrowed by its own filter: they say what else could be added
    for k, name in enumerate(("en", "de", "fr")):
        expected = (np.isin(columns["category"], [0, 4]) & (columns["language"] == k)).sum()
        assert row(shown, "language", name).locator("b").text_content() == f"{expected:,}"
    assert shown.page.locator(".entry", has_text="Paediatrics").locator("b").text_content() == str(
        ((columns["category"] == 4) & kept).sum()
    )
    shown.page.get_by_text("Select these").click()
    assert shown.log(1)["log"][-1]["ids"] == np.flatnonzero(kept).tolist()
    shown.page.get_by_test_id("scatter-pad").focus()
    shown.page.keyboard.press("x")
    assert shown.data("filters") == ""
    shown.page.get_by_test_id("scatter-pad").focus()
    shown.page.keyboard.press("a")
    assert shown.log(2)["log"][-1]["selected"] == 2000


def test_a_lasso_takes_only_what_passes(plot, points, columns):
    shown, (x, y, _) = plot(), points()
    row(shown, "language", "fr").click()
    shown.tool("lasso")
    shown.stroke(helpers.RING)
    event = shown.log(1)["log"][-1]
    inside = helpers.inside(event["polygon"], x.astype(float), y.astype(float))
    assert event["ids"] == np.flatnonzero(inside & (columns["language"] == 2)).tolist()


def test_a_histogram_is_swept_and_moved_by_keys(plot, columns):
    shown = plot()
    svg = shown.page.get_by_test_id("facet-length")
    box = svg.bounding_box()
    shown.page.mouse.move(box["x"] + box["width"] * 0.11, box["y"] + 20)
    shown.page.mouse.down()
    shown.page.mouse.move(box["x"] + box["width"] * 0.48, box["y"] + 20, steps=6)
    shown.page.mouse.up()
    name, _, span = shown.data("filters").partition(":")
    low, high = (float(v) for v in span.split("~"))
    assert name == "length"
    expected = ((columns["length"] >= low) & (columns["length"] < high)).sum()
    assert f"{expected:,} of 2,000 pass" in shown.page.get_by_test_id("scatter-passing").text_content()
    svg.focus()
    shown.page.keyboard.press("ArrowRight")
    moved = [float(v) for v in shown.data("filters").partition(":")[2].split("~")]
    assert moved[0] > low and moved[1] > high and np.isclose(moved[1] - moved[0], high - low)
    shown.page.keyboard.press("Shift+ArrowLeft")
    assert float(shown.data("filters").partition("~")[2]) == pytest.approx(high)
    assert "records" in svg.get_attribute("aria-label")
    shown.page.keyboard.press("Escape")
    assert shown.data("filters") == ""


def test_filters_by_keyboard_alone(plot, columns):
    shown = plot()
    shown.page.get_by_test_id("scatter-pad").focus()
    shown.page.keyboard.press("f")
    for key in ("ArrowDown", "Enter"):
        shown.page.keyboard.press(key)
    assert card(shown, "category").get_attribute("data-allowed") == "1"
    outline = shown.page.locator(".row:focus").evaluate("row => getComputedStyle(row).outlineStyle")
    assert outline == "solid", "the focused bar is seen"
    shown.page.keyboard.press("k")
    assert shown.log(1)["log"][-1]["ids"] == np.flatnonzero(columns["category"] == 1).tolist()
    shown.page.keyboard.press("Escape")
    assert shown.data("filters") == ""


def test_filters_and_view_outlive_the_element_and_a_reload(plot):
    shown = plot("n=2000&facets=1&slot=here")
    row(shown, "language", "de").click()
    shown.page.get_by_test_id("scatter-pad").focus()
    shown.page.keyboard.press("+")
    shown.page.wait_for_function("() => JSON.parse(sessionStorage['quadrant.view.here'] || '{}').box")
    before, view = shown.data("filters"), shown.view()[:4]
    shown.page.get_by_role("button", name="go away").click()
    shown.page.get_by_role("button", name="come back").click()
    for again in (lambda: None, shown.page.reload):
        again()
        shown.page.wait_for_selector(".scatter[data-loaded]")
        shown.page.wait_for_selector(".scatter[data-filters*=language]")
        assert shown.data("filters") == before and np.allclose(shown.view()[:4], view, rtol=1e-4)


def test_undo_and_like_reach_the_page_with_what_they_are_about(plot, points):
    shown, (x, y, _) = plot(), points()
    shown.page.get_by_test_id("scatter-pad").focus()
    shown.page.keyboard.press("z")
    assert shown.log(1)["log"][-1] == {"action": "undo", "about": None}
    home = int(np.argmin(np.hypot(x - shown.view()[0], y - shown.view()[1])))
    shown.page.mouse.move(*shown.at(float(x[home]), float(y[home])))
    shown.page.wait_for_selector(f".scatter[data-hover='{home}']")
    assert shown.data("detail") == str(home)
    assert f"Record {home}:" in shown.page.get_by_test_id("scatter-detail").text_content()
    shown.page.keyboard.press("m")
    assert shown.log(2)["log"][-1] == {"action": "like", "about": home}


def test_far_points_do_not_shrink_the_first_view(plot):
    shown = plot("n=2000&facets=1&far=1")
    first = shown.view()[2]
    assert "outside the first view" in shown.page.get_by_test_id("scatter-foot").text_content()
    shown.page.get_by_test_id("scatter-pad").focus()
    shown.page.keyboard.press("9")
    shown.page.wait_for_timeout(200)
    assert shown.view()[2] < first / 3
    shown.page.keyboard.press("0")
    shown.page.wait_for_timeout(200)
    assert shown.view()[2] == pytest.approx(first)


def test_names_do_not_overlap(page, plot):
    """The placing itself: many names at nearly one spot, none of the boxes that it returns touch."""
    source = (Path(__file__).parents[2] / "pages/ui/scatter/names.js").read_text("utf-8")
    plot()
    placed = page.evaluate(
        source
        + "; placeNames([...Array(40).keys()].map(k => ['name ' + k, 300 + k * 7 % 50, 200 + k * 11 % 60]), 640, 400,"
        " (t, s) => t.length * s * 0.55, [[0, 0, 100, 40]])"
    )
    assert len(placed) >= 5
    boxes = [
        (p["x"] - w, p["y"] - 10, p["x"] + w, p["y"] + 10)
        for p in placed
        for w in [len(p["text"]) * p["size"] * 0.275 + 5]
    ]
    for k, a in enumerate(boxes):
        for b in boxes[:k]:
            assert a[0] >= b[2] or a[2] <= b[0] or a[1] >= b[3] or a[3] <= b[1]
