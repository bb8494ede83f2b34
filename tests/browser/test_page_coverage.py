"""The map in the app: a lasso selects the records that the stored layout says, and the selection outlives pages and reloads."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.browser.conftest import open_page

ROOT = Path(__file__).resolve().parents[2]
COUNT, PRODUCTION = 240, 60
RING = [(-2.0, -1.5), (1.5, -2.0), (2.0, 1.0), (0.0, 0.2), (-1.5, 2.0)]


def inside(polygon, x, y):
    """Even-odd rule, one point against every edge."""
    polygon = np.asarray(polygon)
    found = np.zeros(len(x), bool)
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, 1, axis=0), strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            found ^= ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    return found


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """A workspace with vectors and a layout made here, so that the test knows where every record lies."""
    from core.dataset.importing import import_file
    from core.steps import plan
    from core.workspace import Output, open_workspace

    home = tmp_path_factory.mktemp("home")
    made = open_workspace(home / "mapped")
    random = np.random.default_rng(4)
    for role, count in (("training", COUNT), ("production", PRODUCTION)):
        rows = [
            {"prompt": f"{role} question {n} about {'ab'[n % 2]}", "response": f"answer {n}", "category": "ab"[n % 2]}
            for n in range(count)
        ]
        path = home / f"{role}.jsonl"
        path.write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
        made.add(role, path.name, lambda folder, path=path, role=role: import_file(path, folder, role))

    def store(step: str, output: Output) -> None:
        wanted = plan(made, step)
        results = {p.step: made.result(p.step, p.key) for p in wanted.upstream}
        made.compute(step, wanted.key, wanted.recipe(), lambda inputs: output, wanted.datasets, results)

    for role in ("training", "production"):
        ids = made.need(role).ids()
        vectors = random.normal(size=(len(ids), 8)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        nothing = pa.array([False] * len(ids))
        table = pa.table({
            "record_id": ids, "text_key": ids, "tokens": pa.array([5] * len(ids), pa.int32()), "truncated": nothing, "empty": nothing,
        })  # fmt: skip
        info = {"model": "stand-in", "kind": "given", "text": "prompt", "truncated": 0, "limit": None, "warnings": []}
        store("embed" if role == "training" else f"embed:{role}", Output(table, vectors, info))
    store("neighbours", Output(array=np.zeros((COUNT, 1), np.int32)))
    points = random.normal(size=(COUNT + PRODUCTION, 2)).astype(np.float32) * 1.5
    ids = made.need("training").ids() + made.need("production").ids()
    roles = ["training"] * COUNT + ["production"] * PRODUCTION
    table = pa.table({"role": roles, "record_id": ids, "x": points[:, 0], "y": points[:, 1]})
    info = {
        "method": "UMAP",
        "mode": "reproducible",
        "seed": 42,
        "trustworthiness": 0.9,
        "neighbour_overlap": 0.3,
        "warnings": [],
    }
    store("map", Output(table, info=info))
    yield made, np.array(ids), points.astype(float)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def app(serve, space):
    made = space[0]
    return serve(ROOT / "app.py", env={"QUADRANT_HOME": str(made.path.parent), "QUADRANT_DATA": "mapped.jsonl"})


def kept(made) -> list[str]:
    """The ids of the one selection that the workspace keeps."""
    (path,) = (made.path / "selections").glob("*.json")
    return json.loads(path.read_text("utf-8"))["ids"]


def lasso(page, corners) -> np.ndarray:
    """Draw a lasso along corners in data coordinates; returns the corners that the pointer really visited."""
    cx, cy, sx, sy, left, top, w, h = json.loads(page.locator(".scatter").get_attribute("data-view"))
    box = page.locator(".plot").bounding_box()
    page.locator(".tools [data-do=lasso]").click()
    at = [(box["x"] + left + w / 2 + (x - cx) * sx, box["y"] + top + h / 2 - (y - cy) * sy) for x, y in corners]
    page.mouse.move(*at[0])
    page.mouse.down()
    for spot in at[1:]:
        page.mouse.move(*spot, steps=8)
    page.mouse.up()
    return np.asarray(corners)


def forgive_probe(page) -> None:
    """Streamlit looks for its server under the page's path before it tries the right one."""
    page.console_errors[:] = [e for e in page.console_errors if "404 (Not Found)" not in e]


def test_a_new_server_asked_for_the_page_itself_runs_the_whole_app(page, app, wait_idle):
    page.goto(f"{app}/coverage")
    page.wait_for_selector(".scatter[data-ready]", timeout=60_000)
    wait_idle(page)
    assert page.get_by_role("link", name="Quadrant", exact=True).count() and page.get_by_text("Workspace").count()
    forgive_probe(page)


def test_lasso_selects_what_the_layout_says_and_outlives_page_and_reload(page, app, space, wait_idle):
    made, ids, points = space
    page.set_viewport_size({"width": 1360, "height": 1100})
    page.goto(app)
    wait_idle(page)
    open_page(page, "Coverage")
    page.wait_for_selector(".scatter[data-ready]", timeout=60_000)
    wait_idle(page)
    ring = lasso(page, RING)
    page.get_by_text("selected · Lasso on the map").wait_for(timeout=20_000)
    wait_idle(page)
    # The reference, but for points closer to the stroke than the pointer's rounding.
    expected = set(ids[:COUNT][inside(ring, *points[:COUNT].T)])
    edge = set(ids[:COUNT][near(ring, points[:COUNT], 0.03)])
    found = set(kept(made))
    assert 40 < len(expected) < COUNT - 40
    assert found ^ expected <= edge, "the lasso's records are those inside the polygon"
    assert not found & set(ids[COUNT:]), "a selection holds training records alone"
    said = f"{len(found):,} selected"

    open_page(page, "Distribution")
    page.get_by_role("heading", name="Distribution", exact=True).wait_for(timeout=30_000)
    wait_idle(page)
    page.get_by_test_id("stSidebarUserContent").get_by_text(said).wait_for(timeout=20_000)
    open_page(page, "Coverage")
    page.locator(f".scatter[data-selected='{len(found)}']").wait_for(timeout=30_000)
    page.reload()
    page.locator(f".scatter[data-selected='{len(found)}']").wait_for(timeout=60_000)
    wait_idle(page)
    forgive_probe(page)
    assert set(kept(made)) == found


def near(polygon, points, distance) -> np.ndarray:
    """Points closer than `distance` to an edge of the polygon."""
    out = np.zeros(len(points), bool)
    for a, b in zip(polygon, np.roll(polygon, 1, axis=0), strict=True):
        t = np.clip(((points - a) @ (b - a)) / ((b - a) @ (b - a)), 0, 1)
        out |= np.linalg.norm(points - a - t[:, None] * (b - a), axis=1) < distance
    return out


def test_keyboard_opens_the_record_nearest_to_the_centre(page, app, space, wait_idle):
    _, ids, points = space
    page.goto(app)
    wait_idle(page)
    open_page(page, "Coverage")
    page.wait_for_selector(".scatter[data-ready]", timeout=60_000)
    wait_idle(page)
    cx, cy = json.loads(page.locator(".scatter").get_attribute("data-view"))[:2]
    page.locator(".pad").focus()
    page.keyboard.press("Enter")
    nearest = ids[np.argmin(((points - [cx, cy]) ** 2).sum(1))]
    page.get_by_text(nearest).first.wait_for(timeout=20_000)


def test_a_copied_link_restores_the_view_in_another_browser(new_page, app, space, wait_idle):
    page = new_page(viewport={"width": 1360, "height": 1250})
    page.goto(f"{app}/coverage")
    page.wait_for_selector(".scatter[data-loaded]", timeout=60_000)
    wait_idle(page)
    page.locator(".facet[data-facet=category] .row").first.click()
    page.get_by_text("Select these").click()
    page.locator(f".scatter[data-selected='{COUNT // 2}']").wait_for()
    page.get_by_text("selected · Passing the filters").wait_for(timeout=20_000)
    wait_idle(page)
    pad = page.get_by_test_id("scatter-pad")
    pad.focus()
    for key in ("+", "+", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    page.get_by_role("button", name=re.compile("like this")).wait_for(timeout=20_000)
    wait_idle(page)
    pad.focus()
    page.keyboard.press("c")
    page.locator(".share input").wait_for(state="visible", timeout=20_000)
    wait_idle(page)
    link = page.locator(".share input").input_value()
    assert not any(word in link for word in ("category%3Aa", "category%3Ab", "question")), "digests, not values"

    def view(at):
        shown = at.locator(".scatter")
        names = ("filters", "selected", "opened", "view")
        found = {name: shown.get_attribute(f"data-{name}") for name in names}
        return [found[n] for n in names[:3]], np.array(json.loads(found["view"])[:4])

    said, box = view(page)
    assert said[0].startswith("category:") and said[1] == str(COUNT // 2) and int(said[2]) >= 0
    other = new_page(viewport={"width": 1360, "height": 1250})
    other.goto(link)
    other.locator(f".scatter[data-loaded][data-selected='{COUNT // 2}']").wait_for(timeout=60_000)
    wait_idle(other)
    assert view(other)[0] == said and np.allclose(view(other)[1], box, rtol=1e-3, atol=1e-3)
    other.get_by_role("button", name=re.compile("like this")).wait_for(timeout=20_000)
    assert "f=" not in other.url and "o=" not in other.url
    for at in (page, other):
        forgive_probe(at)
