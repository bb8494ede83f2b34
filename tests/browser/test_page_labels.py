"""Labels in the app: a cell of the matrix gives its records, a rule relabels them and is undone, a queue opens in the reviewer."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.browser.conftest import open_page

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """Two clouds of 20 records; three of the first carry the label of the second."""
    from core.dataset.importing import import_file
    from core.steps import plan, run_step
    from core.workspace import Output, open_workspace

    home = tmp_path_factory.mktemp("home")
    made = open_workspace(home / "mixed")
    path = home / "mixed.jsonl"
    rows = [
        {"prompt": f"case {n}", "response": "An answer.", "category": "rash" if n >= 20 or n < 3 else "cough"}
        for n in range(40)
    ]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    made.add("training", path.name, lambda folder: import_file(path, folder, "training"))
    wanted = plan(made, "embed")
    vectors = np.repeat(np.eye(4)[:2], 20, axis=0) + 0.05 * np.random.default_rng(0).standard_normal((40, 4))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    table = pa.table({"record_id": made.need().ids(), "truncated": [False] * 40})
    info = {"model": "stand-in", "text": "prompt", "warnings": []}
    made.compute("embed", wanted.key, wanted.recipe(), lambda _: Output(table, vectors, info), wanted.datasets, {})
    assert run_step(made, "labels").info["flagged"] == 3
    return made


@pytest.fixture(scope="module")
def app(serve, space):
    return serve(ROOT / "app.py", env={"QUADRANT_HOME": str(space.path.parent), "QUADRANT_DATA": "mixed.jsonl"})


def test_from_a_cell_to_a_rule_and_to_the_reviewer(page, app, space, wait_idle):
    from core.actions.decisions import open_reviews
    from core.actions.relabelling import changes_in_force
    from core.review.samples import samples

    page.goto(app)
    wait_idle(page)
    open_page(page, "Labels")
    cell = page.locator(".js-plotly-plot .point").first
    cell.wait_for(state="attached", timeout=60_000)
    box = cell.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.get_by_role("button", name="Select these 3").wait_for()
    page.wait_for_function("[...document.querySelectorAll('input')].some(i => i.value.includes('rash → cough (3)'))")
    page.get_by_text("Relabel by rule").click()
    page.get_by_role("slider").press("Home")  # any probability from one half on: 40 records make nobody sure
    page.get_by_role("button", name="Relabel 3 records").click()
    page.get_by_text("3 labels were changed since").wait_for()
    assert {c.after for c in changes_in_force(space).values()} == {"cough"}
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Relabel 3 records").wait_for()
    assert not changes_in_force(space)
    page.get_by_text("Doubtful labels", exact=True).click()
    page.get_by_role("button", name="Read the 3 most doubtful").click()
    page.get_by_role("heading", name="Audit").wait_for()
    wait_idle(page)
    assert [s.size for s in samples(open_reviews(space))] == [3]
