"""A name given to a cluster stays with its members, not with its number."""

import pytest

from core.errors import InputError
from core.review.cluster_names import SKETCH, keep_name, kept_names, likeness, members_of
from core.review.schema import open_store


def ids(first: int, last: int) -> list[str]:
    return [f"record-{n}" for n in range(first, last)]


def test_likeness_is_jaccard_exact_for_small_sets_and_close_for_large_ones():
    assert likeness(members_of(ids(0, 60)), members_of(ids(30, 90))) == pytest.approx(30 / 90)
    assert likeness(members_of(ids(0, 5000)), members_of(ids(1000, 6000))) == pytest.approx(4000 / 6000, abs=0.1)
    assert likeness(members_of(ids(0, 9)), members_of([])) == 0
    assert members_of(ids(0, 9)) == members_of(ids(0, 9)[::-1]) and len(members_of(ids(0, 999)).smallest) == SKETCH
    assert likeness(members_of(ids(0, 999)), members_of(ids(0, 999))) == 1


def test_names_are_kept_newest_first_and_long_ones_refused(tmp_path):
    store = open_store(tmp_path / "reviews.sqlite")
    assert keep_name(store, members_of(ids(0, 5)), "  Chest   pain ", "kso") == "Chest pain"
    keep_name(store, members_of(ids(0, 5)), "Angina", "abc")
    assert [k.name for k in kept_names(store)] == ["Angina", "Chest pain"]
    assert kept_names(store)[0].by == "abc" and kept_names(store)[0].members.size == 5
    with pytest.raises(InputError, match="121 characters"):
        keep_name(store, members_of(ids(0, 5)), "x" * 121, "kso")
    with pytest.raises(InputError, match="holds no record"):
        keep_name(store, members_of([]), "x", "kso")


@pytest.fixture
def space(tmp_path):
    """A workspace with a stored result of `clusters` whose labels the test writes."""
    import pyarrow as pa

    from core.steps import plan
    from core.workspace import Output
    from tests.embedding_data import dataset, workspace

    made = workspace(tmp_path / "ws")
    data = dataset(made, [f"prompt {n}" for n in range(40)])

    def store(labels, seed: int):
        from core.steps import set_params

        set_params(made, "clusters", {"seed": seed})
        table = pa.table(
            {"record_id": data.ids(), "cluster": pa.array(labels, pa.int32()), "fine": pa.array(labels, pa.int32())}
        )
        groups = [
            {"cluster": c, "size": labels.count(c), "share": 0.1, "name": f"terms {c}", "terms": [f"t{c}"]}
            for c in sorted({*labels} - {-1})
        ]
        info = {"clusters": groups, "levels": [{"level": "fine", "title": "Fine groups", "groups": groups}], "noise": 0}
        wanted = plan(made, "clusters")
        return made.compute("clusters", wanted.key, wanted.recipe(), lambda _: Output(table, None, info), {}, {})

    return made, store


def test_a_name_outlives_a_recomputation_where_the_cluster_is_essentially_the_same(space):
    from core.actions import naming

    made, store = space
    store([0] * 20 + [1] * 20, seed=1)
    assert naming.rename(made, "cluster", 0, "Sleep", "kso") == "Sleep"
    found = store([1] * 18 + [0] * 22, seed=2)  # numbers swapped, two records moved
    assert naming.names(made, found) == {0: "terms 0", 1: "Sleep"}
    found = store([0] * 8 + [1] * 8 + [2] * 24, seed=3)  # split: neither half is the same
    assert "Sleep" not in naming.names(made, found).values()


def test_an_empty_name_brings_the_terms_back_and_levels_and_numbers_are_checked(space):
    from core.actions import naming

    made, store = space
    found = store([0] * 20 + [1] * 20, seed=1)
    before = naming.version(made)
    naming.rename(made, "cluster", 1, "Skin", "kso")
    assert naming.version(made) != before and naming.names(made, found, "fine")[1] == "Skin"
    assert naming.rename(made, "cluster", 1, "", "kso") == "terms 1"
    with pytest.raises(InputError, match="no level"):
        naming.rename(made, "huge", 0, "x", "kso")
    with pytest.raises(InputError, match="no cluster 7"):
        naming.rename(made, "cluster", 7, "x", "kso")
