"""Zoom levels of the clusters: broader groups of them, and the finer ones inside.

Broader groups join clusters whose centres are near in the embedding (Ward's linkage of the unit centres). HDBSCAN's own tree is not
used upwards: it sheds small clusters one by one from a large rest, so that of 8 groups of CLINC150 one holds 6,794 of 7,500 records
(adjusted Rand index with the 10 domains .011; Ward's groups .434). Downwards the leaves of that tree are the finer groups.
"""

from typing import Any

import numpy as np

BROADER = {"broad": 8, "middle": 25}  # groups at a level; a level with fewer than two clusters a group is left out
FINE = "fine"
TITLES = {"broad": "Broad groups", "middle": "Middle groups", "cluster": "Clusters", FINE: "Fine groups"}


def broader(labels: np.ndarray, vectors: np.ndarray, block: int = 65_536) -> dict[str, np.ndarray]:
    """{level: (N,) int32 group of each record, 0 = largest, -1 = noise}; each group is a union of whole clusters."""
    count = int(labels.max(initial=-1)) + 1
    wanted = {level: k for level, k in BROADER.items() if count >= 2 * k}
    if not wanted:
        return {}
    from scipy.cluster.hierarchy import fcluster, linkage

    sums = np.zeros((count, vectors.shape[1]))
    for start in range(0, len(labels), block):
        mine = labels[start : start + block]
        np.add.at(sums, mine[mine >= 0], vectors[start : start + block][mine >= 0])
    centres = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    tree = linkage(centres, "ward")
    return {level: _spread(fcluster(tree, k, "maxclust"), labels) for level, k in wanted.items()}


def _spread(groups: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """From a group of each cluster to a group of each record."""
    return by_size(np.where(labels >= 0, groups[labels], -1))


def leaves(tree: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,) int32 finer groups: the leaves of HDBSCAN's condensed tree (Campello et al. 2013), each inside one cluster; -1 = in none.

    `tree` has the fields parent, child, child_size; children below N are records. A cluster without a split is a leaf itself.
    """
    count = len(labels)
    inner = tree["child"] >= count
    split = set(tree["parent"][inner].tolist())
    points = ~inner
    leaf = ~np.isin(tree["parent"][points], list(split))
    out = np.full(count, -1, np.int64)
    out[tree["child"][points][leaf]] = tree["parent"][points][leaf]
    out[labels < 0] = -1  # a leaf that was too weak to be chosen, or to be part of a cluster
    return by_size(np.where(out >= 0, out - out.min(initial=0), -1))


def by_size(labels: np.ndarray) -> np.ndarray:
    """The same groups, numbered from the largest (ties: the one whose first record comes first); -1 stays."""
    known, first, sizes = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    number = np.empty(len(known), np.int32)
    number[order] = np.arange(len(known), dtype=np.int32)
    out = np.full(len(labels), -1, np.int32)
    if len(known):
        out[labels >= 0] = number[np.searchsorted(known, labels[labels >= 0])]
    return out


def parents(fine: np.ndarray, coarse: np.ndarray) -> dict[int, int]:
    """{fine group: the coarse group that holds most of it}; for nested levels that is all of it."""
    found: dict[int, int] = {}
    for group in range(int(fine.max(initial=-1)) + 1):
        inside = coarse[(fine == group) & (coarse >= 0)]
        if len(inside):
            found[group] = int(np.bincount(inside).argmax())
    return found


def listed(levels: dict[str, np.ndarray], describe) -> list[dict[str, Any]]:
    """[{level, title, groups}] for the info of a result; `describe(labels)` names the groups of one level."""
    return [{"level": name, "title": TITLES[name], "groups": describe(found)} for name, found in levels.items()]
