"""Several embeddings of one dataset: listed, chosen without computing, kept by gc, removed when not in use."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from core.actions.embeddings import all_live_keys, choose, named, remove, stored
from core.cli.main import app
from core.errors import InputError
from core.steps import current, run_step, set_params
from tests.embedding_data import dataset, workspace

WHERE = ("knee", "hand", "ear", "eye", "back", "hip")
TEXTS = [f"{what} of the {where}" for what in ("pain", "fracture", "infection") for where in WHERE]


@pytest.fixture
def space(tmp_path):
    made = workspace(tmp_path / "w")
    dataset(made, TEXTS)
    set_params(made, "embed", {"model": "lexical"})
    run_step(made, "neighbours")
    random = np.random.default_rng(0)
    np.save(tmp_path / "own.npy", random.standard_normal((len(TEXTS), 12)).astype(np.float32))
    set_params(made, "embed", {"model": str(tmp_path / "own.npy")})
    run_step(made, "neighbours")
    return made


def test_both_are_there_and_either_can_be_shown(space):
    known = stored(space)
    assert len(known) == 2 and [e.active for e in known].count(True) == 1
    assert {e.title.split(" · ")[0] for e in known} == {"own.npy", "lexical"} and {e.dimension for e in known} >= {12}
    assert current(space, "neighbours").array().shape == (18, 17)
    ours = current(space, "neighbours").key
    assert choose(space, "lexical").params["model"] == "lexical"
    assert current(space, "neighbours").key != ours and named(space, "lexical").active
    with pytest.raises(InputError, match="0 stored embeddings fit 'x'.*1: "):
        named(space, "x")


def test_gc_keeps_what_belongs_to_each_and_remove_spares_the_one_in_use(space):
    assert space.gc(all_live_keys(space)) == []
    assert len(space.results("neighbours")) == 2
    lexical, own = named(space, "lexical"), next(e for e in stored(space) if e.active)
    with pytest.raises(InputError, match="in use"):
        remove(space, own)
    remove(space, lexical)
    assert [e.key for e in stored(space)] == [own.key]
    assert len(space.gc(all_live_keys(space))) == 1 and len(space.results("neighbours")) == 1


def test_on_the_command_line(space):
    told = CliRunner().invoke(app, ["embeddings", "-w", str(space.path), "--use", "lexical", "--json"])
    found = json.loads(told.stdout)
    assert [e["params"]["model"] for e in found if e["active"]] == ["lexical"]
    assert "* " in CliRunner().invoke(app, ["embeddings", "-w", str(space.path)]).stdout


def test_an_embedding_whose_file_changed_is_not_offered(space, tmp_path):
    np.save(tmp_path / "own.npy", np.ones((len(TEXTS), 5), np.float32))
    assert [e.params["model"] for e in stored(space)] == ["lexical"]
