"""What must hold for any input: the order of records does not matter, and thresholds act one way."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.quality import duplicates, mismatch
from core.quality.distribution import compare, rebalance
from core.quality.pairs import pairs_over

counts = st.lists(st.integers(0, 500), min_size=2, max_size=8).filter(lambda c: sum(c) > 0)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_divergences_are_bounded_and_zero_only_for_equal_shares(data):
    n = data.draw(counts)
    m = data.draw(st.lists(st.integers(0, 500), min_size=len(n), max_size=len(n)).filter(lambda c: sum(c) > 0))
    p, q = mismatch.smoothed(m), mismatch.smoothed(n)
    assert mismatch.kl(p, q) >= 0 and mismatch.kl(p, p) == 0
    assert -1e-12 <= mismatch.js_bits(p, q) <= 1 + 1e-12
    assert abs(mismatch.js_bits(p, q) - mismatch.js_bits(q, p)) < 1e-12
    assert 0 <= mismatch.total_variation(p, q) <= 1 + 1e-12
    assert mismatch.kl(p, q) >= 2 * mismatch.total_variation(p, q) ** 2 - 1e-9  # Pinsker
    assert np.isfinite(mismatch.kl(p, mismatch.smoothed(n, 0.5)))


@settings(max_examples=40, deadline=None)
@given(counts, st.randoms())
def test_names_and_order_of_categories_do_not_matter(n, random):
    production = {f"c{i}": v + 1 for i, v in enumerate(n)}
    training = {f"c{i}": v for i, v in enumerate(reversed(n))}
    items = list(training.items())
    random.shuffle(items)
    one, two = compare(training, production, draws=0), compare(dict(items), production, draws=0)
    assert one.categories == two.categories and one.kl == two.kl and one.flag == two.flag


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 500), min_size=2, max_size=6), st.data())
def test_rebalanced_sets_have_the_shares_of_production(n, data):
    weights = data.draw(st.lists(st.integers(1, 50), min_size=len(n), max_size=len(n)))
    total = sum(weights)
    found = compare({str(i): v for i, v in enumerate(n)}, {str(i): w / total for i, w in enumerate(weights)}, draws=0)
    plan = rebalance(found)
    assert (plan.downsample <= found.training).all() and (plan.add >= 0).all()
    size = (found.training + plan.add).sum()
    assert np.abs((found.training + plan.add) - size * found.production_share).max() <= len(n) + 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 120))
def test_groups_do_not_depend_on_order_and_grow_as_the_threshold_falls(seed, count):
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((count, 3))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    pairs, order = pairs_over(vectors, 0.8), random.permutation(count)
    shuffled = pairs_over(vectors[order], 0.8)
    # Another order of summation may move a similarity by an ulp, so take a threshold that no pair is near to.
    thresholds = [t for t in (0.8001, 0.9001, 0.9501, 0.9901) if not np.isclose(pairs.similarity, t, atol=1e-5).any()]
    before = None
    for threshold in thresholds:
        label, other = duplicates.groups(pairs, threshold, count), duplicates.groups(shuffled, threshold, count)
        same = (label[:, None] == label) & (label >= 0)
        assert (same[np.ix_(order, order)] == ((other[:, None] == other) & (other >= 0))).all()
        assert duplicates.summary(label)["ratio"] == duplicates.summary(other)["ratio"]
        assert before is None or (same <= before).all()  # a higher threshold only splits groups
        before = same
        keep = duplicates.keepers(label, random.integers(0, 5, count))
        assert all(keep[label == g].sum() == 1 for g in range(label.max() + 1)) and keep[label < 0].all()
