"""The plan with the fewest changes, by hand and against every possible plan."""

from itertools import product

import numpy as np
import pytest

from core.errors import InputError
from core.quality.balance import in_band, wished

FIVE = np.array([0.45, 0.25, 0.15, 0.10, 0.05])


def within(counts, shares, ratio=2.0):
    share = counts / counts.sum()
    return all(1 / ratio - 1e-9 <= a / b <= ratio + 1e-9 for a, b in zip(share, shares, strict=True))


def brute(counts, shares, most, remove=True, add=True):
    """The fewest changes over every count from 0 to `most` of each category."""
    best = None
    for x in product(range(most + 1), repeat=len(counts)):
        x = np.array(x)
        if x.sum() and within(x, shares) and (add or (x <= counts).all()) and (remove or (x >= counts).all()):
            cost = int(np.abs(x - counts).sum())
            best = cost if best is None else min(best, cost)
    return best


def test_five_categories_against_even_training():
    """200 each against 45/25/15/10/5: to leave only the smallest, 4x over, and the largest, 2.25x under, for the band to take in."""
    found = in_band(np.full(5, 200), FIVE)
    assert within(found.counts, FIVE) and found.changes == np.abs(found.counts - 200).sum()
    assert found.changes < 889 - 200, "far less than downsampling to the very shares"
    assert in_band(np.array([90, 50, 30, 20, 10]), FIVE).changes == 0


@pytest.mark.parametrize("seed", range(8))
def test_no_plan_has_fewer_changes(seed):
    random = np.random.default_rng(seed)
    counts, shares = random.integers(0, 9, 3), random.dirichlet(np.ones(3) * 2)
    counts[0] += 1
    for ways in ({}, {"add": False}, {"remove": False}):
        expected = brute(counts, shares, 26, **ways)
        try:
            found = in_band(counts, shares, **ways)
        except InputError:
            assert expected is None
            continue
        if expected is None:
            assert found.counts.max() > 26
        else:
            assert found.changes == expected and within(found.counts, shares)


def test_pins_minimums_and_what_production_never_asks_for():
    counts, shares = np.array([100, 100, 40]), np.array([0.9, 0.1, 0.0])
    found = in_band(counts, shares)
    assert found.counts[2] == 0 and within(found.counts[:2], shares[:2])
    kept = in_band(counts, shares, floor=np.array([0, 90, 10]))
    assert kept.counts[1] >= 90 and kept.counts[2] == 10, "what is pinned stays, band or not"
    assert in_band(np.array([50, 3]), np.array([0.95, 0.05]), least=np.array([0, 30])).counts[1] == 30
    with pytest.raises(InputError, match="over 1"):
        in_band(counts, shares, ratio=1)
    with pytest.raises(InputError, match="collecting"):
        in_band(np.array([5, 0]), np.array([0.5, 0.5]), add=False)


def test_large_sets_are_quick_and_in_the_band():
    random = np.random.default_rng(0)
    shares = random.dirichlet(np.ones(150))
    counts = random.multinomial(200_000, random.dirichlet(np.ones(150)))
    found = in_band(counts, shares)
    assert within(found.counts, shares)
    best = np.inf
    for total in range(20_000, 400_000, 497):
        low, high = np.ceil(total * shares / 2 - 1e-9), np.floor(total * shares * 2 + 1e-9)
        nearest = np.clip(counts, low, high)
        if (low <= high).all() and low.sum() <= total <= high.sum():
            best = min(best, np.abs(nearest - counts).sum() + abs(nearest.sum() - total))
    assert found.changes <= best


def test_deliberate_oversampling_moves_the_shares_aimed_at():
    assert wished(np.array([0.8, 0.2]), np.array([1, 4])) == pytest.approx([0.5, 0.5])
    with pytest.raises(InputError):
        wished(np.array([0.8, 0.2]), np.array([1, -1]))
