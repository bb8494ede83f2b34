"""Relative density of training around production, by hand on a circle, and its invariants."""

import numpy as np

from core.embedding.relative_density import relative_density


def circle(degrees):
    turn = np.radians(np.asarray(degrees, float))
    return np.stack([np.cos(turn), np.sin(turn)], 1).astype(np.float32)


def test_by_hand_on_a_circle():
    """Production at 0, 1, 2.1, 3.1 degrees, k = 1: each ball reaches 1 degree. Training at 0.2 and 0.8 (in the balls of
    0 and 1) and twice at 90. Expected in a ball if alike: k * M / N = 1 * 4 / 4 = 1. Counts 2, 2, 0, 0; smooth = 1 averages
    the logs of a record and its nearest one (0-1, 1-0, 2.1-3.1, 3.1-2.1), so the values are 2 + 0.05 and 0 + 0.05."""
    found = relative_density(circle([0, 1, 2.1, 3.1]), circle([0.2, 0.8, 90, 91]), k=1, smooth=1)
    assert np.allclose(found, [2.05, 2.05, 0.05, 0.05], atol=1e-6)


def test_about_one_for_one_distribution_and_low_in_a_planted_hole():
    random = np.random.default_rng(0)
    centres = random.normal(size=(4, 16))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)

    def draw(which, count):
        points = centres[which] + 0.1 * random.normal(size=(count, 16))
        return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)

    production = np.concatenate([draw(c, 60) for c in range(4)])
    training = np.concatenate([draw(c, 200) for c in range(3)])  # none of the fourth topic
    found = relative_density(production, training)
    assert 0.8 < np.median(found[:180]) < 1.8  # 4/3: three topics hold all of training
    assert (found[180:] < 0.5).mean() > 0.95 and (found[:180] < 0.5).mean() < 0.1


def test_order_of_training_and_production_does_not_matter():
    random = np.random.default_rng(1)
    production, training = (
        a / np.linalg.norm(a, axis=1, keepdims=True) for a in (random.normal(size=(50, 8)), random.normal(size=(90, 8)))
    )
    found = relative_density(production, training)
    mixed = random.permutation(50)
    assert np.allclose(relative_density(production[mixed], training[::-1]), found[mixed])


def test_too_few_to_say():
    assert np.isnan(relative_density(circle([0, 1]), circle([0]), k=5)).all()
    assert np.isnan(relative_density(circle(range(9)), circle([])[:0], k=5)).all()
