"""Batches on several workers: the same numbers to the last bit, also when a worker is killed. Ray runs for real here."""

import json
import shutil
import sys

import numpy as np
import pytest

from core import cluster
from core.cluster import Compute
from core.errors import InputError
from tests import embedding_data
from tests.unit import test_influence_steps as steps

TWO = Compute(2)


@pytest.fixture(scope="module")
def one_thread():
    """A worker of two has a thread on a machine of two cores; sums are compared to the last bit, so this process takes one too."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(cluster.threads_each(2))
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def workers(one_thread):
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    yield ray
    ray.shutdown()


@pytest.fixture
def killing(monkeypatch, tmp_path, workers):
    """Every spread loses a worker in the middle of its batch number 1."""
    flag, real = tmp_path / "killed", cluster.spread

    def spread(compute, make, settings, unit, numbers, scratch):
        more = {"make": make, "flag": str(flag), "dies_at": 1}
        return real(compute, "tests.cluster_makers:killed_once", settings | more, unit, numbers, scratch)

    monkeypatch.setattr(cluster, "spread", spread)
    return flag


def test_a_killed_workers_shard_is_done_again(workers, killing, tmp_path):
    units = {n: np.arange(n + 1) for n in range(9)}
    found = dict(
        cluster.spread(TWO, "tests.cluster_makers:thirds", {}, lambda n: {"x": units[n]}, list(units), tmp_path)
    )
    assert sorted(found) == list(units)
    assert all(np.array_equal(found[n]["thirds"], units[n] / 3) for n in units)
    dead = int(killing.read_text())
    assert dead not in {int(v["process"][0]) for n, v in found.items() if n == 1}
    assert not (tmp_path / "shards").exists()


def test_a_workers_error_is_its_sentence(workers, tmp_path):
    with pytest.raises(InputError, match=r"^Batch 3 is bad. Mend it.$"):
        list(cluster.spread(TWO, "tests.cluster_makers:thirds", {"fails": 3}, lambda n: {"x": [1]}, range(6), tmp_path))


def test_influence_is_bit_for_bit_that_of_one_process(tmp_path_factory, killing):
    workspace = steps.open_workspace(tmp_path_factory.mktemp("w") / "w")
    steps.add(workspace, "training", steps.rows())
    results = {"proxy": steps.compute(workspace, steps.proxy, steps.SMALL)}
    params = steps.influence.DEFAULTS | {"model": "proxy", "batch_tokens": 256}
    result = steps.compute(workspace, steps.influence, params, results, key="1" * 16)
    alone, info = result.table(), result.info
    shutil.rmtree(result.path)
    workspace.set_setting("compute", TWO.facts())
    spread = steps.compute(workspace, steps.influence, params, results, key="2" * 16)
    assert killing.read_text(), "a worker was killed"
    assert spread.table().equals(alone)
    assert info["compute"] == {"workers": 1, "ray": ""} and spread.info["compute"] == {"workers": 2, "ray": ""}


def test_every_way_of_influence_and_difficulty_is_the_same_on_a_worker(tmp_path_factory, monkeypatch, one_thread):
    """As above for other settings, the worker's function called in this process."""
    workspace = steps.open_workspace(tmp_path_factory.mktemp("w") / "w")
    steps.add(workspace, "training", steps.rows())
    results = {"proxy": steps.compute(workspace, steps.proxy, steps.SMALL)}
    seen = []

    def spread(compute, make, settings, unit, numbers, scratch):
        work = cluster.made(make, json.loads(json.dumps(settings)))
        paths = cluster.shards_of(unit, numbers, 2, scratch / "shards")
        for path in reversed(paths):
            for row in cluster.pq.read_table(path).to_pylist():
                seen.append(make)
                yield row["batch"], work(row)

    monkeypatch.setattr(cluster, "spread", spread)
    ways = [
        (steps.influence, {"space": "all", "direction": "adam", "queries": "category"}),
        (steps.influence, {"score": "cosine", "loss": "sum"}),
        (steps.influence, {"warmup": 0.5}),
        (steps.difficulty, {}),
    ]
    for module, settings in ways:
        params = module.DEFAULTS | {"model": "proxy", "batch_tokens": 256} | settings
        tables = []
        for compute in (Compute(), TWO):
            workspace.set_setting("compute", compute.facts())
            result = steps.compute(workspace, module, params, results, key=str(len(tables)) * 16)
            tables.append(result.table())
            shutil.rmtree(result.path)
        assert tables[0].equals(tables[1]), settings
    assert {make.partition(":")[2] for make in seen} == {"scorer", "reader"}


def test_vectors_are_bit_for_bit_those_of_one_process(tmp_path, killing):
    from core.embedding import encode

    if encode.FALLBACK:
        pytest.skip("the embedded model is not installed")
    params = encode.DEFAULTS | {"model": encode.DEFAULT_MODEL}
    texts = [f"patient {i} with a cough since {i * 7 % 11} days " * (1 + i % 9) for i in range(60)]
    found = []
    for compute in (Compute(), TWO):
        space = embedding_data.workspace(tmp_path / str(compute.workers))
        space.set_setting("compute", compute.facts())
        data = embedding_data.dataset(space, texts)
        found.append(embedding_data.computed(space, "embed", encode.run, params, [data]))
    assert killing.is_file() and found[1].info["compute"]["workers"] == 2
    assert np.array_equal(found[0].array(), found[1].array()) and found[0].table().equals(found[1].table())


def test_shards_hold_every_batch_once(tmp_path):
    import pyarrow.parquet as pq

    paths = cluster.shards_of(lambda n: {"x": np.arange(n)}, [4, 2, 7, 1, 3], 2, tmp_path / "s")
    rows = [r for p in paths for r in pq.read_table(p).to_pylist()]
    assert [r["batch"] for r in rows] == [4, 2, 7, 1, 3] and all(r["x"] == list(range(r["batch"])) for r in rows)


def test_values_travel_to_the_last_bit():
    for values in (np.array([np.nan, np.pi, -0.0]), np.array([1 / 3], np.float32), np.array([], np.int64)):
        back = cluster.unpacked(cluster.packed(values))
        assert back.dtype == values.dtype and back.tobytes() == values.tobytes()


def test_what_cannot_be_is_refused_in_one_sentence(monkeypatch):
    with pytest.raises(InputError, match="0 workers were asked for; between 1 and 4,096 are possible"):
        Compute(0).checked()
    assert Compute.of({}).here and Compute.of({"compute": None}).here
    assert Compute.of(json.loads(json.dumps({"compute": TWO.facts()}))) == TWO
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        InputError, match="Several workers need Ray, which is not installed. Install it with: pip install"
    ):
        TWO.checked()
    assert Compute(1).checked().here


def test_the_command_line_keeps_where_to_compute(tmp_path, monkeypatch):
    from core.cli.main import keep_compute
    from core.workspace import open_workspace

    space = open_workspace(tmp_path / "w")
    monkeypatch.setattr(cluster, "need_ray", lambda: None)
    keep_compute(space, None, None)
    assert Compute.of(space.settings()).here
    keep_compute(space, 3, None)
    assert Compute.of(space.settings()) == Compute(3)
    keep_compute(space, None, "auto")
    assert Compute.of(space.settings()) == Compute(0, "auto"), "all that the cluster has"
    keep_compute(space, 1, None)
    assert Compute.of(space.settings()).here
    with pytest.raises(InputError, match="0 workers"):
        keep_compute(space, 0, None)


def test_a_cluster_that_is_not_there_is_refused_in_one_sentence(workers):
    workers.shutdown()
    with pytest.raises(InputError, match="The Ray cluster at 'nonsense://x' cannot be reached"):
        cluster.connected(Compute(0, "nonsense://x"))
