"""A hole that chance could have made is said to be one: by hand, by simulation, and for a planted one."""

import numpy as np
import pytest

from core.actions.holes import described
from core.embedding import hole_chance
from core.embedding.brief import brief_csv, brief_markdown, by_chance, gaps
from core.embedding.chance import thin_cut
from core.embedding.hole_chance import Rules, _best, chance_holes, unlikely
from core.embedding.linking import link, usual_link
from core.embedding.relative_density import relative_density

CENTRES = np.random.default_rng(5).standard_normal((12, 16))


def drawn(count: int, random: np.random.Generator, topics=range(12)) -> np.ndarray:
    rows = CENTRES[random.choice(list(topics), count)] + 0.45 * random.standard_normal((count, 16))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def judged(production: np.ndarray, training: np.ndarray, seed: int) -> float:
    """p of the largest hole of two sets; 1 without one."""
    cut, least = thin_cut(production, training, 0.02, 0.5)["cut"], usual_link(production)
    rules = Rules(cut, 0.05, least, 3, 5)
    far = _best(production, training) < np.quantile(_best(training, training, np.arange(len(training))), 0.05)
    rows = np.flatnonzero(far | (relative_density(production, training) < cut))
    groups = link(production[rows], least)
    sizes = np.bincount(groups, minlength=1)
    holes = np.full(len(production), -1)
    if sizes.max() >= 3:
        holes[rows[groups == sizes.argmax()]] = 0
    return (chance_holes(production, training, holes, rules, seed).chance or [1.0])[0]


def test_how_unlikely_a_hole_is_by_hand():
    """Three of production around the centre and no training: (1/2)^3; a ball that takes in training is worth less."""
    here, there = np.eye(2, dtype=np.float32)
    production, training = np.array([here] * 3 + [there]), np.array([there] * 4)
    assert unlikely(production, training, np.arange(3)) == pytest.approx(np.log10(1 / 8))
    mixed = np.array([here, there, there, there])  # P(Bin(4, 1/2) >= 3) = 5/16
    assert unlikely(production, mixed, np.arange(3)) == pytest.approx(np.log10(5 / 16))


def test_alike_sets_have_holes_and_these_are_rarely_called_more_than_chance(monkeypatch):
    """A valid test at .05 calls more than 4 of 24 alike pairs a hole with probability .006."""
    monkeypatch.setattr(hole_chance, "DRAWS", 19)
    random = np.random.default_rng(1)
    found = [judged(drawn(80, random), drawn(160, random), n) for n in range(24)]
    assert sum(p <= 0.05 for p in found) <= 4 and np.median(found) > 0.2


def test_a_topic_that_training_lacks_is_no_chance():
    random = np.random.default_rng(2)
    production = np.concatenate([drawn(70, random, range(11)), drawn(20, random, [11])])
    assert judged(production, drawn(180, random, range(11)), 0) == 1 / 100


def test_thinned_sets_are_said_to_be_and_too_few_tell_nothing(monkeypatch):
    monkeypatch.setattr(hole_chance, "MOST_PRODUCTION", 40)
    monkeypatch.setattr(hole_chance, "DRAWS", 19)
    random, rules = np.random.default_rng(3), Rules(0.3, 0.05, 0.5, 3, 5)
    holes = np.repeat([0, 1, -1], [30, 3, 57])
    told = chance_holes(drawn(90, random), drawn(100, random), holes, rules)
    assert told.sampled and told.production == 40 and told.draws == 19
    assert told.chance[0] is not None and told.chance[1] is None  # fewer than three of its texts were drawn
    assert chance_holes(drawn(5, random), drawn(100, random), np.zeros(5, int), rules).chance == [None]
    assert chance_holes(drawn(90, random), drawn(100, random), np.full(90, -1), rules).chance == []


@pytest.mark.parametrize(("chance", "words"), [(0.34, "Could be chance"), (0.005, "Hardly chance"), (None, "")])
def test_the_brief_and_the_list_say_it(chance, words):
    hole = {"hole": 0, "name": "stitches", "terms": ["stitches"], "size": 3, "share": 0.01, "low": 0.0, "high": 0.02, 
            "similarity": 0.4, "collect": 9, "examples": [], "nearest": [], "texts": 3, "chance": chance}  # fmt: skip
    info = {
        "training": 900,
        "production": 300,
        "covered_share": 0.9,
        "threshold": 0.5,
        "threshold_rule": "rule",
        "holes": [hole],
    }
    (gap,) = gaps(info)
    assert gap.doubtful == (words == "Could be chance") and by_chance(gap).strip("*").startswith(words)
    assert (
        words in brief_markdown([gap], {}, {}, info, "set")
        and ("could be chance" in described([gap])[0]) == gap.doubtful
    )
    header, row = (line.split(",") for line in brief_csv([gap], {}).splitlines())
    assert row[header.index("chance")] == ("" if chance is None else f"{chance:.3f}")
