"""A rival picks, and a tiny proof runs as a job: cost first, then the trainings, then the curves."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

ROOT = Path(__file__).resolve().parents[2]
COUNT = 60


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """60 training and 10 validation records with vectors given: what the head and the rivals by embedding need."""
    from core.dataset.importing import import_file
    from core.steps import plan
    from core.workspace import Output, open_workspace

    home = tmp_path_factory.mktemp("home")
    made = open_workspace(home / "tiny")
    for role, count in (("training", COUNT), ("validation", 10)):
        rows = [
            {"prompt": f"{role} case {n}?", "response": f"advice about {('cough', 'rash')[n % 2]} number {n}", "category": "ab"[n % 2],
             "difficulty": 1 + n % 5}
            for n in range(count)
        ]  # fmt: skip
        path = home / f"{role}.jsonl"
        path.write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
        made.add(role, path.name, lambda folder, path=path, role=role: import_file(path, folder, role))
        step = "embed" if role == "training" else f"embed:{role}"
        wanted = plan(made, step)
        vectors = np.random.default_rng(count).normal(size=(count, 8)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        data = made.need(role)
        table = pa.table(
            {"record_id": data.ids(), "text_key": data.ids(), "truncated": [False] * count, "empty": [False] * count}
        )
        info = {
            "model": "stand-in",
            "text": "prompt",
            "kind": "given",
            "dimension": 8,
            "records": count,
            "warnings": [],
        }
        upstream = {p.step: made.result(p.step, p.key) for p in wanted.upstream}
        made.compute(
            step,
            wanted.key,
            wanted.recipe(),
            lambda _, t=table, v=vectors, i=info: Output(t, v, i),
            wanted.datasets,
            upstream,
        )
    return made


@pytest.fixture(scope="module")
def app(serve, space):
    return serve(
        ROOT / "app.py",
        env={**os.environ, "QUADRANT_HOME": str(space.path.parent), "QUADRANT_OPEN": "tiny", "QUADRANT_DATA": ""},
    )


def test_a_rival_picks_its_records(page, app, space, wait_idle):
    from core.actions.choosing import pick

    page.goto(f"{app}/quadrant")
    wait_idle(page)
    page.get_by_label("Strategy", exact=True).click()
    page.get_by_role("option", name="k-centre: the most spread out").click()
    page.get_by_text("Greedy farthest-first").wait_for()
    page.get_by_role("button", name="Select these 6", exact=True).click()
    wait_idle(page)
    page.get_by_text("k-centre: the most spread out, 6 records").first.wait_for()
    kept = [json.loads(p.read_text("utf-8")) for p in (space.path / "selections").glob("*.json")]
    assert kept[-1]["ids"] == list(pick(space, "k-centre", "10%").record_ids)


def test_a_tiny_proof_runs_and_is_drawn(page, app, space, wait_idle):
    from core.actions.proving import standing

    page.goto(f"{app}/proof")
    wait_idle(page)
    page.get_by_role("textbox", name="Budgets, %").fill("20, 100")
    page.get_by_role("spinbutton", name="Seeds").fill("2")
    page.get_by_role("spinbutton", name="Steps").fill("4")
    page.get_by_role("button", name="Say how long it takes").click()
    page.get_by_text("trainings, about").wait_for()
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_text("What may be said").wait_for(timeout=120_000)
    page.locator("[data-testid=stPlotlyChart] .scatterlayer .trace").first.wait_for(timeout=60_000)
    page.get_by_role("button", name="Train", exact=True).wait_for(state="detached", timeout=60_000)
    page.get_by_text("paired by seed").first.wait_for()
    assert standing(space).finished
