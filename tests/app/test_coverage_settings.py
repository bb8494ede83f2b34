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
