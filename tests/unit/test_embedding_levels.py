"""Zoom levels: broader groups are unions of clusters, finer ones parts of them."""

import numpy as np
import pytest

from core.embedding.levels import broader, by_size, leaves, parents


def _clusters(count: int, each: int = 6):
    """`count` clusters around two far-apart poles, and three records of noise."""
    random = np.random.default_rng(0)
    centres = np.zeros((count, 8))
    centres[: count // 2, 0] = centres[count // 2 :, 1] = 5
    centres += random.normal(0, 1, centres.shape)
    rows = np.repeat(centres, each, 0) + random.normal(0, 0.01, (count * each, 8))
    rows = np.vstack([rows, random.normal(0, 1, (3, 8))])
    labels = np.r_[np.repeat(np.arange(count), each), [-1] * 3]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), labels


def test_broader_groups_are_unions_of_whole_clusters_and_noise_stays_noise():
    vectors, labels = _clusters(50)
    levels = broader(labels, vectors, block=64)
    assert list(levels) == ["broad", "middle"]
    for found, count in ((levels["broad"], 8), (levels["middle"], 25)):
        assert found.max() + 1 == count and (found[labels < 0] == -1).all()
        assert all(len(set(found[labels == c])) == 1 for c in range(50))
    for group in range(8):  # no group reaches from one pole to the other
        assert len({c < 25 for c in labels[levels["broad"] == group]}) == 1


def test_middle_groups_nest_in_broad_ones_and_few_clusters_need_no_levels():
    vectors, labels = _clusters(50)
    levels = broader(labels, vectors)
    up = parents(levels["middle"], levels["broad"])
    assert all(up[m] == b for m, b in zip(levels["middle"], levels["broad"], strict=True) if m >= 0)
    vectors, labels = _clusters(15)
    assert broader(labels, vectors) == {}
    vectors, labels = _clusters(16)
    assert list(broader(labels, vectors)) == ["broad"]


def test_leaves_by_hand():
    """Root 10 -> 11 and 12; 11 -> 13 and 14. Cluster 0 is 11, cluster 1 is 12; record 0 left 11 before it split, 9 the root."""
    rows = [(10, 9, 1), (10, 11, 6), (10, 12, 3), (11, 0, 1), (11, 13, 3), (11, 14, 2)]
    rows += [(13, 1, 1), (13, 2, 1), (13, 3, 1), (14, 4, 1), (14, 5, 1), (12, 6, 1), (12, 7, 1), (12, 8, 1)]
    tree = np.array(rows, [("parent", int), ("child", int), ("child_size", int)])
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, -1])
    assert leaves(tree, labels).tolist() == [-1, 0, 0, 0, 2, 2, 1, 1, 1, -1]


def test_leaves_of_a_real_tree_lie_inside_one_cluster_each():
    hdbscan = pytest.importorskip("hdbscan")
    random = np.random.default_rng(1)
    points = np.concatenate([random.normal(c, 0.1, (60, 2)) for c in ((0, 0), (0, 0.9), (9, 9), (20, 0))])
    found = hdbscan.HDBSCAN(min_cluster_size=10, core_dist_n_jobs=1).fit(points)
    fine = leaves(found.condensed_tree_._raw_tree, found.labels_)
    for group in range(fine.max() + 1):
        assert len(set(found.labels_[fine == group])) == 1
    assert by_size(np.array([3, 3, -1, 7, 7, 7])).tolist() == [1, 1, -1, 0, 0, 0]
