"""Several queries of the validation set on the Quadrant page: which one is on the axis, and what is picked by it."""

import numpy as np
import pyarrow as pa

from core.actions.choosing import pick, selection_frame
from core.actions.frame import available, column, influence_sources
from core.steps import params_of, plan, set_params
from core.workspace import Output, open_workspace

NAMES = ["cough", "![x](http://evil.example/a.png)"]


def asked(home):
    """The finished workspace with influence by category: one query ranks the records backwards."""
    space = open_workspace(home / "small")
    data = space.need()
    set_params(space, "influence", {"queries": "category"})
    wanted = plan(space, "influence")
    results = {p.step: space.result(p.step, p.key) for p in wanted.upstream}
    rank, ids = np.linspace(-1, 1, data.count), pa.array(data.ids())
    table = pa.table({
        "record_id": ids, "influence": np.zeros(data.count), "influence_max": np.abs(rank), f"influence:{NAMES[0]}": rank,
        f"influence:{NAMES[1]}": -rank, "nll": np.abs(rank), "response_tokens": pa.array([9] * len(ids), pa.int32()),
        "truncated": pa.array([False] * len(ids)), "heldout": pa.array([False] * len(ids)),
    })  # fmt: skip
    info = {"model": "proxy", "warnings": [], "queries": NAMES, "queries_by": "category"}
    space.compute(
        "influence", wanted.key, wanted.recipe(), lambda inputs: Output(table, info=info), wanted.datasets, results
    )
    return space, data


def test_every_query_is_a_column_and_a_pick_follows_the_one_it_names(home):
    space, data = asked(home)
    assert [n for n, _ in influence_sources(space)] == [
        "influence",
        "influence_max",
        *(f"influence:{n}" for n in NAMES),
    ]
    assert set(dict(influence_sources(space))) <= set(available(space, data))
    assert column(space, data, f"influence:{NAMES[1]}").values[0] == 1
    first, last = (pick(space, "influence", 5, influence=f"influence:{n}") for n in NAMES)
    assert list(last.record_ids) == data.ids()[:5] and set(first.record_ids) == set(data.ids()[-5:])
    assert first.params["influence"] == "influence:cough" and "influence" not in pick(space, "influence", 5).params
    assert not np.any(selection_frame(space, data).influence)


def test_one_query_can_be_put_on_the_axis(home, start):
    asked(home)
    at = start("quadrant")
    box = at.selectbox(key="quadrant.query")
    assert len(box.options) == 4 and box.value == "influence"
    box.select(f"influence:{NAMES[0]}").run()
    assert not at.exception and at.selectbox(key="quadrant.query").value == "influence:cough"
    at.button(key="quadrant.select.1").click().run()
    ids = open_workspace(home / "small").need().ids()
    assert set(at.session_state["selection"].ids) <= set(ids[len(ids) // 2 :])
    shown = " ".join(e.value for kind in (at.markdown, at.caption) for e in kind)
    assert "one for each category of the validation records" in shown and "evil.example/a.png)" not in shown


def test_without_several_queries_there_is_nothing_to_choose(home, start):
    at = start("quadrant")
    assert not [b for b in at.selectbox if b.key == "quadrant.query"]


def test_the_settings_are_kept_and_a_job_starts(home, start, monkeypatch):
    from pages.ui import jobs

    launched = []
    monkeypatch.setattr(jobs, "launch", lambda *a: launched.append(a))
    at = start("quadrant")
    at.text_input(key="quadrant.model").input("proxy")
    at.selectbox(key="quadrant.direction").select("ggn")
    at.selectbox(key="quadrant.queries").select("category")
    at.selectbox(key="quadrant.loss").select("sum")
    at.number_input(key="quadrant.warmup").set_value(5.0)
    at.button(key="FormSubmitter:quadrant.settings-Compute").click().run()
    assert not at.exception and launched
    params = params_of(open_workspace(home / "small"), "influence")
    assert (params["direction"], params["queries"], params["loss"], params["warmup"]) == (
        "ggn",
        "category",
        "sum",
        0.05,
    )
    assert params["checkpoints"] == ""
    at = start("quadrant")
    at.number_input(key="quadrant.warmup").set_value(0.0)
    at.text_input(key="quadrant.model").input("proxy")
    at.text_area(key="quadrant.checkpoints").input("kept")
    at.button(key="FormSubmitter:quadrant.settings-Compute").click().run()
    space = open_workspace(home / "small")
    assert params_of(space, "influence")["checkpoints"] == "kept" and params_of(space, "proxy")["checkpoints"] == 3
