"""Columns as bars: which bar each record belongs to, worked out by hand."""

import numpy as np
import pytest

from pages.ui.scatter import Categories, category_facet, number_facet, read_event, scatter_payload
from pages.ui.scatter.facets import FACETS, MOST, NONE, value_key


def test_categories_keep_their_codes_and_none_is_its_own():
    made = category_facet("category", "Category", np.array([1, 0, -1, 1]), ["a", "b"], "noise")
    assert made.codes.tolist() == [1, 0, NONE, 1] and made.absent == "noise"
    assert made.described()["keys"] == [value_key("a"), value_key("b")]


def test_more_categories_than_bytes_share_the_last_bar_and_it_says_so():
    made = category_facet("cluster", "Cluster", np.arange(400), [f"c{k}" for k in range(400)])
    assert len(made.names) == MOST and made.names[-1] == f"{400 - MOST + 1} smaller ones"
    assert made.codes[: MOST - 1].tolist() == list(range(MOST - 1)) and set(made.codes[MOST - 1 :].tolist()) == {
        MOST - 1
    }


def test_few_whole_numbers_are_bars_of_their_own():
    made = number_facet("difficulty", "Difficulty", np.array([5, 1, np.nan, 2, 2]))
    assert made.levels == (1, 2, 5) and made.codes.tolist() == [2, 0, NONE, 1, 1]


@pytest.mark.parametrize(
    "values", [np.random.default_rng(1).normal(size=4000), np.arange(3000) ** 2.0, np.r_[1e9, np.linspace(0, 1, 999)]]
)
def test_every_number_lies_in_its_bar_and_the_ends_hold_what_is_beyond(values):
    made = number_facet("x", "X", values)
    edges = np.array(made.edges)
    low, high = edges[:-1].copy(), edges[1:].copy()
    low[0], high[-1] = -np.inf, np.inf
    assert ((values >= low[made.codes]) & (values < high[made.codes])).all()
    assert 8 <= len(edges) - 1 <= 40 and np.allclose(np.diff(edges), edges[1] - edges[0])


@pytest.mark.parametrize("values", [np.full(9, 0.5), np.full(9, np.nan), np.array([]), np.array([0.0, 1e-300])])
def test_degenerate_numbers_make_a_histogram_too(values):
    made = number_facet("x", "X", values)
    assert len(made.codes) == len(values) and len(made.edges) >= 2


def test_facets_travel_as_blocks_of_their_own_and_are_checked():
    x = np.linspace(0, 1, 30)
    made = scatter_payload(x, x, Categories(np.zeros(30, int), ["a"]))
    one, two = number_facet("x", "X", x), number_facet("y", "Y", -x)
    with_one, both = made.with_facets([one]), made.with_facets([one, two])
    assert both.blocks["facet.x"] == with_one.blocks["facet.x"] and both.digest == made.digest
    assert "facet.x" not in both.with_facets([two]).blocks
    assert len(made.with_facets([number_facet(f"c{k}", "C", x) for k in range(20)]).header["facets"]) == FACETS
    with pytest.raises(ValueError, match="must be 30 bytes"):
        made.with_facets([number_facet("x", "X", x[:5])])


def test_the_first_view_leaves_far_points_out_only_when_they_would_shrink_the_rest():
    random = np.random.default_rng(2)
    x, y = random.uniform(0, 10, (2, 3000))
    colour = Categories(np.zeros(3000, int), ["a"])
    assert scatter_payload(x, y, colour).header["home"] is None
    x[:3] = [200, -300, 90]
    x0, x1, y0, y1 = scatter_payload(x, y, colour).header["home"]
    assert -1 < x0 < 0.1 and 9.9 < x1 < 11 and y0 >= y.min() - 1e-5 and y1 <= y.max() + 1e-5


def test_only_actions_that_are_known_are_believed():
    made = scatter_payload(np.arange(3.0), np.arange(3.0), Categories(np.zeros(3, int), ["a"]))

    def heard(**said):
        return read_event(made, {"action": {"n": 7, "digest": made.digest, **said}}, {})

    assert (heard(do="like", index=2).action, heard(do="like", index=2).about) == ("like", 2)
    assert heard(do="like", index=3).about is None and heard(do="undo").action == "undo"
    assert heard(do="delete").action is None and heard(do="delete").dropped == 1


def test_a_selection_says_how_it_came_about_unless_it_is_no_known_way():
    made = scatter_payload(np.arange(3.0), np.arange(3.0), Categories(np.zeros(3, int), ["a"]))

    def how(way):
        return read_event(made, {"selected": {"n": 1, "digest": made.digest, "bits": "BQ==", "how": way}}, {})

    assert how("filter").how == "filter" and how("filter").selected.tolist() == [True, False, True]
    assert how("<b>").how is None and how(["x"]).how is None
