"""A new version keeps the old map: unchanged records to the bit, new ones among their like; and a large set by its sample."""

import numpy as np
import pytest

from core.embedding import clusters, keeping, layout, neighbours
from tests.embedding_data import computed, dataset, given, workspace
from tests.unit.test_embedding_map import blobs, xy


def mapped(space, tmp_path, vectors, names, near=None, **params):
    """The map of records by name; the same name is the same record in every version."""
    data = dataset(space, [f"record {n}" for n in names])
    results = [given(space, data, vectors, tmp_path)]
    results.append(computed(space, "neighbours", neighbours.run, neighbours.DEFAULTS | (near or {}), [], results))
    # The path of the vectors is a parameter of `embed`, so only the map's own parameters make two maps comparable.
    return computed(space, "map", layout.run, layout.DEFAULTS | params, [data], results), results, data


def test_a_new_version_keeps_the_places_and_sets_new_records_among_their_like(tmp_path):
    space = workspace(tmp_path / "w")
    vectors, truth = blobs(150)
    first, *_ = mapped(space, tmp_path, vectors[:120], range(120))
    # ten records gone, thirty new ones, in another order
    names = np.random.default_rng(1).permutation(np.arange(10, 150))
    second, *_ = mapped(space, tmp_path, vectors[names], names)
    assert (second.info["kept"], second.info["added"]) == (110, 30) and second.info["kept_from"]
    before, after = xy(first.table()), xy(second.table())
    old = names < 120
    assert np.array_equal(after[old], before[names[old]])  # to the bit
    centres = np.stack([before[truth[:120] == g].mean(0) for g in range(3)])
    assert (np.linalg.norm(after[:, None] - centres, axis=2).argmin(1) == truth[names]).all()
    third, *_ = mapped(space, tmp_path, vectors, range(150))  # keeps to the one that holds the most of it
    assert third.info["kept"] == 140 and np.array_equal(xy(third.table())[names], after)
    anew, *_ = mapped(space, tmp_path, vectors, range(150), edition=2)
    assert "kept" not in anew.info and not np.array_equal(xy(anew.table())[:120], before)


def test_another_embedding_or_other_records_are_laid_out_anew(tmp_path):
    space = workspace(tmp_path / "w")
    vectors, _ = blobs(90)
    mapped(space, tmp_path, vectors[:40], range(40))
    turned, *_ = mapped(space, tmp_path, -vectors[:41], range(41))
    assert "kept" not in turned.info and "another embedding" in turned.info["anew"]
    other, *_ = mapped(space, tmp_path, vectors, range(90))
    assert "other records" in other.info["anew"] and "40 shared" in other.info["anew"]


def test_a_record_that_had_no_vector_gets_a_place_when_it_has_one(tmp_path):
    space = workspace(tmp_path / "w")
    vectors, _ = blobs(60)
    without = vectors.copy()
    without[[5, 6]] = 0
    first, *_ = mapped(space, tmp_path, without, range(60))
    second, *_ = mapped(space, tmp_path, vectors, range(60))
    assert (second.info["kept"], second.info["added"]) == (58, 2)
    assert not np.array_equal(xy(second.table())[5], xy(first.table())[5])


def test_a_large_set_is_fitted_on_a_sample_and_says_so(tmp_path):
    space = workspace(tmp_path / "w")
    vectors, truth = blobs(900)
    vectors[7] = 0
    result, results, data = mapped(space, tmp_path, vectors, range(900), {"sample": 300})
    assert result.info["sample"] == 300 and results[1].info["sample"] == 300 and result.info["without_vector"] == 1
    assert result.info["recall"] == 1.0
    points = xy(result.table())
    assert np.isfinite(points).all()
    rows = np.delete(np.arange(900), 7)
    centres = np.stack([points[rows][truth[rows] == g].mean(0) for g in range(3)])
    assert (np.linalg.norm(points[rows][:, None] - centres, axis=2).argmin(1) == truth[rows]).all()
    assert result.info["trustworthiness"] > 0.8
    params = clusters.DEFAULTS | {"min_cluster_size": 60}
    found = computed(space, "clusters", clusters.run, params, [data], results)
    labels = found.table()["cluster"].to_numpy()
    assert found.info["sample"] == 300 and labels[7] == -1
    assert all(len(set(truth[labels == c])) == 1 for c in range(3)) and (labels[rows] >= 0).mean() > 0.9


@pytest.mark.parametrize("change", ["revision", "text", "lead", "dimension"])
def test_a_space_is_known_by_its_model_text_and_vectors(tmp_path, change):
    space = workspace(tmp_path / "w")
    vectors, _ = blobs(20)
    data = dataset(space, [f"record {n}" for n in range(20)])
    embed = given(space, data, vectors, tmp_path)
    ids = embed.table(["record_id"]).column(0)
    known = keeping.space_of(embed, ids)
    where = {name: row for row, name in enumerate(ids.to_pylist())}
    assert keeping.same_space(known, embed, where) and not keeping.same_space(known, embed, {})
    assert not keeping.same_space(known | {change: "another"}, embed, where)
