"""Coverage: the planted hole found, named and ranked; covered by threshold; copies; nothing to compare."""

import numpy as np
import pytest

from core.embedding import clusters, coverage, linking, neighbours
from core.embedding.chance import intervals, thin_cut
from core.embedding.coverage import link, own_quantile, usual_link, wilson
from core.embedding.radii import coverage_density
from core.embedding.relative_density import relative_density
from core.errors import InputError
from core.progress import silent
from tests.embedding_data import computed, dataset, given, workspace

TOPICS = ("asthma inhaler", "knee fracture", "insulin pump", "skin rash")


def built(tmp_path, train_topics, prod_topics, seed=0):
    random = np.random.default_rng(seed)
    centres = random.standard_normal((len(TOPICS), 24)) * 3
    space = workspace(tmp_path / "w")

    def side(topics, role):
        vectors = centres[topics] + random.standard_normal((len(topics), 24)) * 0.5
        prompts = [f"{role} question {n} about {TOPICS[t]}" for n, t in enumerate(topics)]
        data = dataset(space, prompts, role=role)
        return data, given(space, data, vectors.reshape(-1, 24), tmp_path)

    train, embed = side(np.asarray(train_topics, int), "training")
    prod, other = side(np.asarray(prod_topics, int), "production")
    near = computed(space, "neighbours", neighbours.run, neighbours.DEFAULTS, [], [embed])
    groups = computed(space, "clusters", clusters.run, clusters.DEFAULTS, [train], [embed, near])
    return (
        train,
        prod,
        computed(space, "coverage", coverage.run, coverage.DEFAULTS, [train, prod], [embed, other, groups]),
    )


def test_planted_holes_are_found_named_and_ranked_by_production(tmp_path):
    train, prod, result = built(tmp_path, [0] * 60 + [1] * 60, [0] * 30 + [1] * 30 + [2] * 10 + [3] * 25)
    table, info = result.table(), result.info
    covered, hole = np.array(table["covered"].to_pylist()), table["hole"].to_numpy()
    assert table["record_id"].to_pylist() == prod.ids() and set(table["nearest_id"].to_pylist()) <= set(train.ids())
    assert not covered[60:].any() and covered[:60].mean() > 0.85
    first, second = info["holes"][:2]
    assert 25 <= first["size"] <= 27 and second["size"] == 10  # a far-off record of another topic may join
    assert "skin rash" in first["name"] and "insulin pump" in second["name"]
    assert (hole[70:] == 0).all() and (hole[60:70] == 1).all() and (hole[covered] == -1).all()
    assert set(first["examples"]) <= set(prod.ids()[70:]) and set(first["nearest"]) <= set(train.ids())
    assert first["share"] == pytest.approx(first["size"] / 95) and first["collect"] == -(-first["size"] * 120 // 95)
    assert first["chance"] == 1 / 100 and second["chance"] <= 0.05 and info["hole_draws"] == 99
    assert first["texts"] == first["size"]
    assert sum(h["size"] for h in info["holes"]) + info["scattered"] == (~covered).sum()
    assert (
        info["covered_low"] < info["covered_share"] < info["covered_high"]
        and 0 < info["coverage"] < info["expected_coverage"]
    )
    assert sum(r["production"] for r in info["regions"]) == covered.sum()
    assert sum(r["training"] for r in info["regions"]) == 120


@pytest.mark.parametrize(("train", "prod"), [([], [0, 1]), ([0], [0, 1, 2]), ([0] * 20, []), ([0, 1], [2])])
def test_tiny_sets_have_an_answer(tmp_path, train, prod):
    _, data, result = built(tmp_path, train, prod)
    assert result.table().num_rows == data.count and isinstance(result.info["holes"], list)


def test_copies_do_not_raise_the_threshold():
    vectors = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    keys = np.array([f"k{n}" for n in range(50)], object)
    alone, _ = own_quantile(vectors, keys, 0.05, silent)
    copied, _ = own_quantile(np.repeat(vectors, 4, 0), np.repeat(keys, 4), 0.05, silent)
    assert copied == alone < 0.9


def test_of_many_texts_a_sample_is_compared_with_all():
    vectors = np.random.default_rng(1).standard_normal((3000, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    keys = np.array([f"k{n}" for n in range(3000)], object)
    every, none = own_quantile(vectors, keys, 0.05, silent)
    some, looked = own_quantile(vectors, keys, 0.05, silent, sample=2000)
    assert (none, looked) == (0, 2000)
    similarity = np.sort(vectors @ vectors.T, axis=1)[:, -2]
    assert every == pytest.approx(np.quantile(similarity, 0.05), abs=1e-4)
    # The sample's quantile lies where the level is within four standard errors of .05.
    error = 4 * (0.05 * 0.95 / 2000) ** 0.5
    assert np.quantile(similarity, 0.05 - error) <= some <= np.quantile(similarity, 0.05 + error)


def test_a_point_counts_by_its_weight():
    reference = np.array([[0.0], [1], [2], [10], [11], [12]])
    sample = np.array([[1.0]])
    assert coverage_density(reference, sample, 2)["coverage"] == 0.5
    assert coverage_density(reference, sample, 2, np.array([1, 1, 1, 3, 3, 3]))["coverage"] == 0.25


def test_more_training_never_lowers_coverage():
    random = np.random.default_rng(0)
    reference, sample = random.standard_normal((80, 4)), random.standard_normal((60, 4)) + 1
    found = [coverage_density(reference, sample[:n])["coverage"] for n in (10, 20, 40, 60)]
    assert found == sorted(found) and 0 <= found[0] <= found[-1] <= 1


def test_link_joins_by_mean_similarity_and_assigns_the_rest(monkeypatch):
    random = np.random.default_rng(0)
    vectors = np.repeat(np.eye(3, 12), 20, 0) + random.standard_normal((60, 12)) * 0.05
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    assert len(set(link(vectors, 0.5))) == 3
    monkeypatch.setattr(linking, "LINKED", 30)
    groups = link(vectors, 0.5)
    assert all(len(set(groups[s : s + 20])) == 1 for s in (0, 20, 40)) and len(set(groups)) == 3


def test_wilson_interval():
    """Newcombe 1998: 81 of 263 gives .2553–.3662."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5) and wilson(0, 0) == (None, None)


def test_vectors_of_another_model_are_refused(tmp_path):
    space = workspace(tmp_path / "w")
    train, prod = dataset(space, ["a", "b"]), dataset(space, ["c"], role="production")
    results = [given(space, train, np.ones((2, 3)), tmp_path), given(space, prod, np.ones((1, 4)), tmp_path)]
    with pytest.raises(InputError, match="same model"):
        computed(space, "coverage", coverage.run, coverage.DEFAULTS, [train, prod], results)


def test_alike_sets_are_rarely_thin_and_a_missing_region_still_is():
    """Cliques make densities noisy: half as dense flags many records of two equal draws, the calibrated cut at most the level."""
    random = np.random.default_rng(3)
    centres = random.normal(0, 1, (60, 16))
    rows = centres[random.integers(0, 60, 1200)] + random.normal(0, 0.15, (1200, 16))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    prod, train = rows[:600], rows[600:]
    cut = thin_cut(prod, train, 0.02, 0.5)
    density = relative_density(prod, train)
    assert (density < 0.5).mean() > 0.04 and (density < cut["cut"]).mean() <= 0.03
    assert cut["cut"] < 0.5 and cut["by_chance"] <= 0.02 + 1e-9 and cut["draws"] > 1 and cut["sampled"] == 0
    side = prod @ centres[0] > np.quantile(rows @ centres[0], 0.8)
    lacking = train[train @ centres[0] < np.quantile(rows @ centres[0], 0.8)]
    found = relative_density(prod, lacking) < thin_cut(prod, lacking, 0.02, 0.5)["cut"]
    assert found[side].mean() > 0.6 and found[~side].mean() < 0.05


def test_thin_cut_of_too_few_flags_nothing():
    few = np.eye(4, dtype=np.float32)
    assert np.isnan(thin_cut(few, few, 0.02, 0.5)["cut"]) and thin_cut(few, few[:0], 0.02, 0.5)["draws"] == 0


def test_bootstrap_intervals_against_the_normal_approximation_and_by_groups():
    hits = np.r_[np.ones(60), np.zeros(140)]
    low, high = intervals(np.arange(200), hits[:, None])[:, 0]
    half = 1.96 * (0.3 * 0.7 / 200) ** 0.5
    assert abs(low - (0.3 - half)) < 0.012 and abs(high - (0.3 + half)) < 0.012
    low, high = intervals(np.repeat(np.arange(40), 5), np.repeat(np.r_[np.ones(12), np.zeros(28)], 5)[:, None])[:, 0]
    half = 1.96 * (0.3 * 0.7 / 40) ** 0.5  # five copies of a text are one draw
    assert abs(low - (0.3 - half)) < 0.03 and abs(high - (0.3 + half)) < 0.03
    assert np.isnan(intervals(np.arange(0), np.zeros((0, 2)))).all()


def test_linking_follows_the_similarities_of_the_model():
    random = np.random.default_rng(0)
    topics = np.repeat(random.normal(0, 1, (2, 32)), 20, 0) + random.normal(0, 0.4, (40, 32))
    for shift in (0.0, 3.0):  # the same texts under a model whose similarities are all high
        rows = np.column_stack([topics, np.full(40, shift * 5.6)]).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        groups = link(rows, usual_link(rows))
        assert len(set(groups[:20])) == len(set(groups[20:])) == 1 and groups[0] != groups[-1]
