"""Out-of-fold probabilities: equal to scikit-learn fold by fold, and their edge cases."""

import numpy as np
import pytest

from core.quality.softmax import PATH, out_of_fold


def blobs(count: int = 240, classes: int = 4, width: int = 6, spread: float = 1.0):
    random = np.random.default_rng(0)
    labels = np.arange(count) % classes
    centres = random.standard_normal((classes, width))
    vectors = centres[labels] + spread * random.standard_normal((count, width))
    return vectors.astype(np.float32), labels, random.permutation(count) % 5


@pytest.mark.parametrize("penalty", [0.3, 10.0])
def test_equal_to_fitting_one_fold_after_the_other(penalty):
    from sklearn.linear_model import LogisticRegression

    vectors, labels, fold = blobs()
    found = out_of_fold(vectors, labels, fold, penalty, steps=500)
    for held in range(5):
        model = LogisticRegression(C=penalty, tol=1e-9, max_iter=5000).fit(vectors[fold != held], labels[fold != held])
        assert np.abs(found.probabilities[fold == held] - model.predict_proba(vectors[fold == held])).max() < 1e-3
    own = found.probabilities[np.arange(240), labels]
    assert found.log_loss == pytest.approx(-np.log(own.astype(np.float64)).mean(), rel=1e-5)


def test_small_blocks_give_what_one_gives(monkeypatch):
    vectors, labels, fold = blobs()
    whole = out_of_fold(vectors, labels, fold, 1.0).probabilities
    monkeypatch.setattr("core.quality.softmax.BLOCK", 20 * 7)
    assert np.allclose(out_of_fold(vectors, labels, fold, 1.0).probabilities, whole, atol=1e-3)


def test_the_penalty_is_chosen_strong_where_labels_are_chance_and_weak_where_they_are_clear():
    vectors, labels, fold = blobs(spread=0.05)
    assert out_of_fold(vectors, labels, fold).inverse_penalty >= 10
    noise = np.random.default_rng(1).permutation(labels)
    assert out_of_fold(vectors, noise, fold).inverse_penalty == PATH[0]


def test_a_label_that_lives_in_one_fold_has_probability_zero_there():
    vectors, labels, fold = blobs()
    fold[labels == 3] = 2
    found = out_of_fold(vectors, labels, fold, 1.0).probabilities
    assert (found[fold == 2][:, 3] == 0).all() and (found[fold != 2][:, 3] > 0).all()
    assert np.allclose(found.sum(1), 1, atol=1e-5) and np.isfinite(found).all()


def test_one_label_left_to_learn_from_is_certain():
    vectors, labels = np.eye(4, dtype=np.float32), np.array([0, 0, 1, 1])
    found = out_of_fold(vectors, labels, np.array([0, 0, 1, 1]), 1.0).probabilities
    assert found.tolist() == [[0, 1], [0, 1], [1, 0], [1, 0]]
