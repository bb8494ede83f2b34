"""Figures of a proof: what stands where, and other people's names shown literally."""

import pytest

from core.figures.proof import gap_by_budget, loss_by_budget, marginal_values
from core.influence.proof.proof import Interval, Marginal, points


def done() -> list[dict]:
    base = {"kind": "curve", "size": 10, "added": 0}
    random = [
        base | {"label": "random", "budget": b, "seed": s, "loss": 3 - b / 100} for b in (1.0, 100.0) for s in range(2)
    ]
    rival = [
        base | {"label": "diq", "budget": b, "seed": s, "loss": 2.5 + s / 10 - b / 100}
        for b in (1.0, 100.0)
        for s in range(2)
    ]
    return random + rival


def test_the_difference_is_drawn_without_random_and_without_everything():
    figure = gap_by_budget(points(done()), {"diq": "DIQ"}, 1000)
    (line,) = figure.data
    assert line.name == "DIQ" and line.y == pytest.approx([-0.45]) and line.x[0] == pytest.approx(1, rel=0.1)
    # 2.49 - 2.99 = -.5 and 2.59 - 2.99 = -.4: s = .0707, t(1; .975) = 12.706, half width .6353
    assert line.error_y.array[0] == pytest.approx(0.6353, rel=1e-3)


def test_the_loss_is_drawn_for_all():
    figure = loss_by_budget(points(done()), {"diq": "<b>DIQ</b>", "random": "Random"}, 1000, 3.2)
    assert [t.name for t in figure.data] == ["Random", "&lt;b&gt;DIQ&lt;/b&gt;"]
    assert figure.data[0].y == pytest.approx([2.99, 2.0]) and figure.layout.shapes[0].y0 == 3.2


def test_marginal_values_without_an_interval_are_points():
    nan = float("nan")
    found = [Marginal("<img src=x>", 30, Interval(-0.1, -0.2, 0.0, 5), Interval(nan, nan, nan, 0)),
             Marginal("b", 30, Interval(0.1, nan, nan, 1), Interval(nan, nan, nan, 0))]  # fmt: skip
    figure = marginal_values(found)
    (dots,) = figure.data
    assert dots.error_x.array == pytest.approx([0.1, 0]) and "<img" not in figure.to_json().replace("\\u003c", "<")
