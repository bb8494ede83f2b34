"""What clusters are called now: by the name somebody gave them, else by a language model's title, else by their terms."""

from functools import lru_cache

import numpy as np

from core.actions.decisions import open_reviews
from core.embedding.terms import titles
from core.errors import InputError, MissingInput
from core.review.cluster_names import SAME, Members, keep_name, kept_names, likeness, members_of
from core.steps import current
from core.workspace import Result, Workspace, digest_of

CLUSTER = "cluster"


def levels(found: Result) -> dict[str, tuple[str, list[dict]]]:
    """{column of the table: (title, [{cluster, size, name, terms …}])}, from broad to fine; "cluster" is always there."""
    more = {e["level"]: (e["title"], e["groups"]) for e in found.info.get("levels", [])}
    fine = {k: v for k, v in more.items() if k == "fine"}
    return {k: v for k, v in more.items() if k not in fine} | {CLUSTER: ("Clusters", found.info["clusters"])} | fine


def names(workspace: Workspace, found: Result, level: str = CLUSTER) -> dict[int, str]:
    """{cluster: what it is called}, all different. A given name goes to the cluster whose members are the most like those it was
    given to, if the two are essentially the same (Jaccard of at least one half)."""
    groups = levels(found)[level][1]
    called = {g["cluster"]: g["name"] for g in groups}
    told = current(workspace, "titles") if level == CLUSTER else None
    if told is not None:
        called |= {int(c): title for c, title in told.info["titles"].items() if int(c) in called}
    kept = kept_names(open_reviews(workspace))
    if not kept:
        return called
    settled: set[int] = set()
    members = _members(str(found.path), found.key, level, _Held(found))
    for one in kept:
        near = [(likeness(one.members, m), g) for g, m in members.items() if g not in settled]
        score, group = max(near, default=(0.0, -1), key=lambda e: (e[0], -e[1]))
        if score >= SAME:
            settled.add(group)
            called[group] = one.name or called[group]
    return titles({g: [name] for g, name in called.items()})


def version(workspace: Workspace) -> str:
    """Changes when a name is given or taken back, or titles came: for caches."""
    told = current(workspace, "titles")
    return digest_of(
        told.key if told else "", *(f"{k.members.digest} {k.name} {k.at}" for k in kept_names(open_reviews(workspace)))
    )


class _Held:
    """A result that a cache does not hash."""

    def __init__(self, result: Result) -> None:
        self.result = result

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return True


@lru_cache(maxsize=8)
def _members(path: str, key: str, level: str, held: _Held) -> dict[int, Members]:
    table = held.result.table(["record_id", level])
    ids, labels = table.column(0).to_numpy(zero_copy_only=False), table.column(1).to_numpy()
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(labels.max(initial=-1) + 2))
    return {g: members_of(ids[order[a:b]]) for g, (a, b) in enumerate(zip(starts[:-1], starts[1:], strict=True))}


def rename(workspace: Workspace, level: str, cluster: int, name: str, by: str) -> str:
    """Give a cluster a name, or with "" its terms again; returns what it is called now. Errors: MissingInput, InputError."""
    found = current(workspace, "clusters")
    if found is None:
        raise MissingInput("The clusters are not known yet. Run `clusters` first.")
    known = levels(found)
    if level not in known:
        raise InputError(f"There is no level {level!r} here; there is {', '.join(known)}.")
    if cluster not in {g["cluster"] for g in known[level][1]}:
        raise InputError(
            f"There is no cluster {cluster} at the level {level!r}; they are numbered from 0. Noise has no name."
        )
    keep_name(open_reviews(workspace), _members(str(found.path), found.key, level, _Held(found))[cluster], name, by)
    return names(workspace, found, level)[cluster]
