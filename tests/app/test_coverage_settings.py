"""Settings of the map: laid out anew, one of several embeddings shown, and where the places come from said."""

import pytest

from core.steps import current, params_of
from core.workspace import open_workspace


def test_laid_out_anew_at_a_button(home, start, launched):
    at = start("coverage")
    at.button(key="coverage.anew").click().run()
    assert launched == [["run", "map"]]
    space = open_workspace(home / "small")
    assert params_of(space, "map")["edition"] == 2 and current(space, "map") is None


def test_one_of_several_embeddings_is_shown_and_a_new_model_is_not_undone(home, start, launched):
    from core.actions.embeddings import stored
    from core.steps import run_step, set_params

    space = open_workspace(home / "small")
    before = stored(space)
    at = start("coverage")
    assert len(before) == 1 and not [s for s in at.selectbox if s.label == "Embedding on the pages"]
    was = params_of(space, "embed")
    set_params(space, "embed", {"model": "lexical"})
    run_step(space, "embed")
    at = start("coverage")
    box = next(s for s in at.selectbox if s.label == "Embedding on the pages")
    assert len(box.options) == 2 and "lexical" in box.value or "lexical" in str(box.options[0])
    other = next(e.key for e in stored(space) if not e.active)
    box.set_value(other).run()
    assert params_of(space, "embed") == was
    set_params(space, "embed", {"model": "response-model"})  # not computed yet
    at.run()
    assert params_of(space, "embed")["model"] == "response-model"


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"kept": 900, "added": 100}, "**900** records where an earlier version had them, **100** placed"),
        ({"anew": "an earlier map stands for other records"}, "laid out anew"),
        ({"sample": 100_000}, "a sample of **100,000**"),
        ({"recall": 0.962, "recall_sample": 500}, "**96.2%** of the true ones"),
        ({"engine": "cuML"}, "GPU"),
    ],
)
def test_where_the_places_come_from(info, words):
    from pages.ui.coverage_map import _origin

    assert words in " ".join(_origin(info)) and _origin({"recall": 1.0, "engine": "own", "sample": 0}) == []


def test_titles_show_host_clusters_and_cost_before_anything_is_sent(space, start, launched):
    at = start("coverage")

    def said() -> str:
        return " ".join(str(e.value) for e in [*at.markdown, *at.caption, *at.error])

    assert "can turn terms and a few typical texts" in said()
    at.text_input(key="coverage.titles_url").input("http://api.example.com/v1")
    at.text_input(key="coverage.titles_model").input("m")
    at.button(key="FormSubmitter:coverage.titles_form-Count what would be sent").click().run()
    assert "use https" in said()
    at.text_input(key="coverage.titles_url").input("http://127.0.0.1:9/v1")
    at.text_input(key="coverage.titles_model").input("m")
    at.number_input(key="coverage.titles_in").set_value(2.5)
    at.button(key="FormSubmitter:coverage.titles_form-Count what would be sent").click().run()
    count = len(current(space, "clusters").info["clusters"])
    assert (
        f"**{count:,} clusters** would go to **127.0.0.1:9**" in said().replace("\\", "") and "at your prices" in said()
    )
    assert any("You give a group of similar requests a title" in t.value for t in at.text)
    assert at.button(key="coverage.titles_start").disabled and not launched
    (box,) = [c for c in at.checkbox if c.label.startswith("Send terms and texts")]
    box.check().run()
    at.button(key="coverage.titles_start").click().run()
    assert launched == [["run", "titles"]] and not at.exception
    assert params_of(space, "titles")["consent"].startswith(f"Send terms and texts of {count} clusters, about ")


def test_titles_that_came_are_shown_and_taken_back(space, start):
    from core.actions import naming
    from core.steps import plan, set_params
    from core.workspace import Output

    set_params(space, "titles", {"url": "http://127.0.0.1:9/v1", "model": "m"})
    wanted = plan(space, "titles")
    results = {p.step: space.result(p.step, p.key) for p in wanted.upstream}
    info = {"titles": {"0": "Chest complaints"}, "failed": {"1": "no"}, "host": "127.0.0.1:9", "model": "m", "asked": 2,
            "warnings": ["1 clusters got no title and keep their terms."]}  # fmt: skip
    space.compute("titles", wanted.key, wanted.recipe(), lambda _: Output(info=info), wanted.datasets, results)
    at = start("coverage")
    table = next(d.value for d in at.dataframe if "name" in d.value and "size" in d.value)
    assert "Chest complaints" in set(table["name"])
    at.button(key="coverage.titles_off").click().run()
    assert not at.exception and naming.names(space, current(space, "clusters"))[0] != "Chest complaints"
