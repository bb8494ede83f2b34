"""The scatter's Python side: what is packed into a payload, and which events of the browser are believed."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from pages.ui.scatter import Categories, Values, centroid_names, read_event, scatter_payload

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, 20))
COLOUR = Categories(np.arange(20) % 3 - 1, ["a", "b"], "Kind")


def payload(**more):
    return scatter_payload(X, Y, COLOUR, **more)


def said(mask, made, n=1):
    bits = np.packbits(np.asarray(mask, bool), bitorder="little").tobytes()
    return {"n": n, "digest": made.digest, "bits": base64.b64encode(bits).decode(), "polygon": None}


def test_digest_names_the_positions_and_their_identity_alone():
    made = payload()
    assert (
        made.digest
        == payload(selected=X > 0).digest
        == made.with_colour(Values(X)).digest
        == made.with_visible(Y > 0).digest
    )
    assert made.digest != payload(identity="another dataset").digest
    assert made.digest != scatter_payload(X[::-1], Y, COLOUR).digest


def test_only_what_changed_has_another_digest():
    made = payload(labels=["t"] * 20)
    other = made.with_selected(X > 0)
    assert {k for k in other.blocks if other.blocks[k] != made.blocks.get(k)} == {"selected"}
    assert {k for k in made.blocks if made.with_colour(Values(X)).blocks[k] != made.blocks[k]} == {"colour"}
    assert "selected" not in other.with_selected(None).blocks


def test_negative_codes_become_the_grey_noise_entry():
    described = payload().header["colour"]
    assert described["names"] == ["a", "b", "noise"] and described["noise"] == 2
    assert payload().blocks["colour"][1] == bytes([2, 0, 1] * 6 + [2, 0])


def test_many_categories_need_two_bytes():
    made = scatter_payload(X, Y, Categories(np.full(20, 299), [str(k) for k in range(300)]))
    assert np.frombuffer(made.blocks["colour"][1], "<u2").tolist() == [299] * 20
    assert len(made.header["colour"]["light"]) == 300


def test_coordinates_far_from_zero_keep_their_differences():
    made = scatter_payload(1e9 + np.arange(20.0), Y, COLOUR)
    x, _ = made.xy()
    assert np.diff(x).tolist() == [1.0] * 19 and made.header["origin"][0] + float(x[0]) == 1e9


def test_values_have_limits_and_count_the_missing():
    described = scatter_payload(X, Y, Values(np.where(X > 1, np.nan, X), scale="diverging")).header["colour"]
    low, high = described["limits"]
    assert low == -high < 0 and described["missing"] == int((X > 1).sum())
    assert scatter_payload(X, Y, Values(np.full(20, np.nan))).header["colour"]["limits"] == [0.0, 1.0]
    json.dumps(described, allow_nan=False)


def test_labels_are_one_line_cut_and_survive_broken_text():
    made = payload(labels=["x" * 500, "two\nlines", "\ud800 lone", *[""] * 17])
    content = made.blocks["labels"][1]
    ends = np.frombuffer(content[: 4 * 21], "<u4")
    texts = [content[4 * 21 :][a:b].decode() for a, b in zip(ends[:-1], ends[1:], strict=True)]
    assert texts[:3] == ["x" * 120, "two lines", "? lone"]
    assert (
        "labels"
        not in scatter_payload(
            np.zeros(200_001), np.zeros(200_001), Values(np.zeros(200_001)), labels=["a"] * 200_001
        ).blocks
    )


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: scatter_payload(X, Y[:-1], COLOUR),
        lambda: scatter_payload(X, Y, Categories(np.zeros(20), ["a"])),
        lambda: scatter_payload(X, Y, Categories(np.full(20, 2), ["a", "b"])),
        lambda: payload(selected=np.zeros(20)),
        lambda: payload(visible=np.zeros(19, bool)),
        lambda: payload(layer=np.full(20, 2)),
        lambda: payload(labels=["a"]),
    ],
)
def test_what_does_not_fit_together_is_refused(wrong):
    with pytest.raises(ValueError):
        wrong()


def test_no_points_at_all():
    made = scatter_payload(np.empty(0), np.empty(0), Categories(np.empty(0, int), []), selected=np.empty(0, bool))
    assert made.count == 0 and read_event(made, {"selected": said([], made)}, {}).selected.tolist() == []


def test_a_selection_comes_back_bit_for_bit_and_once():
    made, handled = payload(), {}
    mask = X > 0.3
    event = read_event(made, {"selected": said(mask, made, 7)}, handled)
    assert event.selected.dtype == bool and event.selected.tolist() == mask.tolist() and event.counter == 7
    again = read_event(made, {"selected": said(mask, made, 7)}, handled)
    assert again.selected is None and again.counter == 0
    assert read_event(made, {"selected": said(~mask, made, 8)}, handled).selected.tolist() == (~mask).tolist()


def test_an_event_of_another_payload_is_dropped_for_good():
    old, new, handled = payload(), payload(identity="new"), {}
    state = {"selected": said(X > 0, old), "clicked": {"n": 2, "digest": old.digest, "index": 3}}
    event = read_event(new, state, handled)
    assert event.selected is None and event.clicked is None and event.dropped == 2
    assert read_event(old, state, handled).selected is None  # not even when the old one is back


@pytest.mark.parametrize(
    "nonsense",
    [
        {"selected": {"n": 1, "bits": "AA=="}}, {"selected": {"n": 1, "bits": "###"}}, {"selected": {"n": 1}}, {"selected": "x"},
        {"clicked": {"n": 1, "index": 20}}, {"clicked": {"n": 1, "index": -1}}, {"clicked": {"n": 1, "index": "3"}},
        {"cuts": {"n": 1, "cuts": [1]}}, {"cuts": {"n": 1, "cuts": [1, None]}}, {"cuts": {"n": 1, "cuts": [float("nan"), 1]}},
    ],
)  # fmt: skip
def test_nonsense_from_the_browser_is_no_event(nonsense):
    made = payload()
    state = {k: {**v, "digest": made.digest} if isinstance(v, dict) else v for k, v in nonsense.items()}
    event = read_event(made, state, {})
    assert (event.selected, event.clicked, event.cuts) == (None, None, None)


def test_a_million_bits_are_read_in_under_50_ms():
    import time

    count = 1_000_000
    made = scatter_payload(np.zeros(count), np.zeros(count), Values(np.zeros(count)))
    state = {"selected": said(RNG.random(count) < 0.5, made)}
    seconds = []
    for _ in range(3):  # the best of three: other work on the machine is not the question
        began = time.perf_counter()
        assert len(read_event(made, state, {}).selected) == count
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.05


def test_names_stand_at_the_medians_and_noise_has_none():
    names = centroid_names(
        np.array([0.0, 1, 2, 9, np.nan]), np.array([0.0, 1, 5, 9, 0]), np.array([0, 0, 0, -1, 1]), ["a", "b"]
    )
    assert [(n.text, n.x, n.y, n.weight) for n in names] == [("a", 1.0, 1.0, 3.0)]
