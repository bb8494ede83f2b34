"""Production's shares predicted from a classifier, by hand and by simulation."""

import json

import numpy as np
import pytest

from core.errors import MissingInput
from core.quality import distribution, prevalence
from tests.quality_data import embedded, make_dataset, make_inputs


def test_shares_by_hand():
    """Rates .9/.1 and .2/.8; counts 620 and 380 are .6 * .9 + .4 * .2 = .62: shares .6 and .4."""
    rate = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert prevalence.mixture_shares(np.array([620, 380]), rate) == pytest.approx([0.6, 0.4], abs=1e-4)
    assert prevalence.mixture_shares(np.array([1000, 0]), rate) == pytest.approx([1, 0], abs=1e-3), (
        "stays within 0 and 1"
    )


def test_prior_shift_finds_the_shares_of_known_densities():
    """Two normal densities at -1 and 1, learnt at equal shares, production .8 and .2: the exact probabilities are given."""
    random = np.random.default_rng(0)
    x = np.concatenate([random.normal(-1, 1, 4000), random.normal(1, 1, 1000)])
    first = np.exp(-((x + 1) ** 2) / 2)
    both = np.stack([first, np.exp(-((x - 1) ** 2) / 2)], axis=1)
    found = prevalence.prior_shift(both / both.sum(1, keepdims=True), np.array([0.5, 0.5]))
    assert found == pytest.approx([0.8, 0.2], abs=0.02)


def test_intervals_hold_the_true_shares_and_plain_counts_do_not():
    """300 sets: training 60 a class, production 400, a classifier right in 60 to 80 of 100. Nominal 95."""
    random = np.random.default_rng(1)
    truth, rate = np.array([0.6, 0.3, 0.1]), np.array([[0.7, 0.2, 0.1], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8]])
    hits, error, plain = np.zeros(3), 0.0, 0.0
    for n in range(300):
        counts = np.stack([random.multinomial(60, row) for row in rate]).astype(float)
        counted = random.multinomial(400, truth @ rate)
        shares = prevalence.mixture_shares(counted, prevalence.rates(counts))
        low, high = prevalence.intervals(shares, prevalence.redrawn(counts, counted, 120, seed=n))
        hits += (low <= truth) & (truth <= high)
        error += np.abs(shares - truth).sum() / 300
        plain += np.abs(counted / 400 - truth).sum() / 300
    assert (hits / 300 > 0.9).all(), hits / 300
    assert error < plain, "the correction costs variance and still wins"


def sets(tmp_path, shares=(0.7, 0.2, 0.1), spread=1.3):
    """Three overlapping clouds: training 100 each, production 600 by `shares`, without labels."""
    random = np.random.default_rng(0)
    centres = np.eye(6)[:3] * 2.5
    train = np.repeat(np.arange(3), 100)
    asked = np.repeat(np.arange(3), (600 * np.array(shares)).astype(int))
    make = {"training": train, "production": asked}
    datasets, vectors = {}, {}
    for role, labels in make.items():
        records = [
            {"prompt": f"{role} {n}"} | ({"category": "abc"[k]} if role == "training" else {})
            for n, k in enumerate(labels)
        ]
        datasets[role] = make_dataset(tmp_path / role, records, role)
        rows = centres[labels] + spread * random.standard_normal((len(labels), 6)) + 0.2
        vectors[role] = embedded(tmp_path / f"e-{role}", datasets[role], rows)
    return datasets, {"embed": vectors["training"], "embed:production": vectors["production"]}


def test_step_predicts_production(tmp_path):
    datasets, results = sets(tmp_path)
    output = prevalence.run(make_inputs(tmp_path, datasets, results, draws=100))
    rows = {row["category"]: row for row in output.table.to_pylist()}
    assert [rows[k]["low"] <= s <= rows[k]["high"] for k, s in zip("abc", (0.7, 0.2, 0.1), strict=True)] == [True] * 3
    assert abs(rows["a"]["share"] - 0.7) < abs(rows["a"]["counted"] - 0.7)
    assert output.array.shape == (100, 3) and output.array.sum(1) == pytest.approx(np.ones(100), abs=1e-5)
    assert output.info["agreement"] < 0.98 and "predicted by a classifier" in output.info["warnings"][0]
    json.dumps(output.info, allow_nan=False)


def test_the_error_of_prediction_widens_the_interval_of_kl(tmp_path):
    datasets, results = sets(tmp_path)
    output = prevalence.run(make_inputs(tmp_path, datasets, results, draws=200))
    names = output.table["category"].to_pylist()
    shares = dict(zip(names, output.table["share"].to_pylist(), strict=True))
    drawn = dict(zip(names, np.asarray(output.array).T, strict=True))
    training = {"a": 100, "b": 100, "c": 100}
    known = distribution.compare(training, shares, sampled=False)
    guessed = distribution.compare(training, shares, sampled=False, drawn=drawn)
    assert guessed.kl == known.kl and guessed.high - guessed.low > known.high - known.low


def test_one_category_cannot_be_predicted(tmp_path):
    datasets, results = sets(tmp_path)
    one = make_dataset(tmp_path / "one", [{"prompt": str(n), "category": "a"} for n in range(300)])
    with pytest.raises(MissingInput, match="cannot be predicted"):
        prevalence.run(make_inputs(tmp_path, datasets | {"training": one}, results))
