"""Draws with unequal chances, double-review shares, high stakes, follow-ups; and every draw repeated from its record."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.actions.auditing import draw_audit, redraw
from core.actions.decisions import chances_equal, final_by_record, latest_sample, open_reviews
from core.actions.highstakes import by_rule, columns_for, high_stakes_ids, set_rule, values_of
from core.actions.reporting import findings
from core.actions.risks import SIGNALS, extreme, risks
from core.dataset.importing import import_file
from core.errors import InputError
from core.review.queues import double_records
from core.review.samples import frame_of, sample_records
from core.review.sampling import double_positions
from core.review.schema import tables, writing
from core.review.stratified import unequal_rate
from core.review.unequal import draw_unequal, inclusion, systematic
from core.review.verdicts import Verdict, save_verdicts
from core.workspace import open_workspace

IDS = [f"{i:016x}-1" for i in range(200)]


def test_chances_are_proportional_add_up_and_a_giant_is_certain():
    """2 of weights 1, 1, 2 give 1/2, 1/2, 1; with 10, 1, 1, 1, 1 and 3 drawn the giant is certain and the rest share 2."""
    assert inclusion([1, 1, 2], 2).tolist() == [0.5, 0.5, 1.0]
    assert inclusion([10, 1, 1, 1, 1], 3).tolist() == [1.0, 0.5, 0.5, 0.5, 0.5]
    assert inclusion([100, 4, 1, 1], 3).tolist() == [
        1.0,
        1.0,
        0.5,
        0.5,
    ]  # the second passes 1 once the first is certain
    for bad in ([1, 0], [1, -1], [1, float("nan")]):
        with pytest.raises(InputError, match="above 0"):
            inclusion(bad, 1)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=60), st.floats(0, 1), st.integers(0, 10**6))
def test_a_draw_has_its_size_no_record_twice_and_nobody_without_a_chance(weights, share, seed):
    size = max(1, int(share * len(weights)))
    chances = inclusion(weights, size)
    assert chances.sum() == pytest.approx(size) and np.all(chances > 0) and np.all(chances <= 1)
    drawn = systematic(chances, np.random.default_rng(seed))
    assert len(set(drawn.tolist())) == len(drawn) == size
    assert set(np.flatnonzero(chances == 1)) <= set(drawn.tolist())


def test_exactly_its_chance_by_every_start_of_every_order():
    """Three records with chances 1/4, 3/4, 1: over all orders and all starts, each is taken for just that share of the starts."""
    chances = np.array([0.25, 0.75, 1.0])

    class Fixed:
        def __init__(self, order, start):
            self.order, self.start = order, start

        def permutation(self, n):
            return np.array(self.order)

        def random(self):
            return self.start

    steps = 400
    for order in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]):
        counts = np.zeros(3)
        for k in range(steps):
            counts[systematic(chances, Fixed(order, (k + 0.5) / steps))] += 1
        assert (counts / steps).tolist() == chances.tolist()


def test_inclusion_probabilities_by_simulation_and_a_fair_estimate():
    """6,000 draws of 20 from 120: every record as often as its chance says (4.5 standard errors), and the weighted rate right."""
    ids = IDS[:120]
    weight = {one: 1.0 + (n % 7) for n, one in enumerate(ids)}
    bad = {one: n % 7 >= 5 for n, one in enumerate(ids)}  # issues sit where the weight is: the raw share is far off
    chances = inclusion([weight[one] for one in ids], 20)
    generator = np.random.default_rng(11)
    counts, rates, inside = np.zeros(len(ids)), [], 0
    truth = sum(bad.values()) / len(ids)
    for n in range(6000):
        drawn = systematic(chances, generator)
        counts[drawn] += 1
        if n < 600:
            found = unequal_rate([(chances[i], bad[ids[i]]) for i in drawn], len(ids))
            rates.append(found.rate)
            inside += found.interval.low <= truth <= found.interval.high
    error = np.sqrt(chances * (1 - chances) / 6000)
    assert np.all(np.abs(counts / 6000 - chances) <= 4.5 * error + 1e-12)
    assert np.mean(rates) == pytest.approx(truth, abs=0.015)
    assert inside / 600 >= 0.93
    raw = np.mean([[bad[ids[i]] for i in systematic(chances, generator)] for _ in range(50)])
    assert abs(raw - truth) > 0.1, "the check sees a raw share that is off"


def test_a_risk_draw_does_not_depend_on_file_order_and_a_small_set_is_a_census():
    weight = {one: 1.0 + n % 3 for n, one in enumerate(IDS)}
    draw = draw_unequal(IDS, weight, 30, 5)
    assert draw.record_ids == draw_unequal(IDS[::-1], weight, 30, 5).record_ids and draw.method == "risk"
    assert draw.record_ids != draw_unequal(IDS, weight, 30, 6).record_ids
    total = sum(weight.values())
    assert list(draw.probabilities) == pytest.approx([30 * weight[one] / total for one in draw.record_ids])
    assert draw_unequal(IDS[:9], weight, 30, 5).method == "census"
    json.dumps(draw.recipe)


def test_the_double_review_share_is_rounded_up_reproducible_and_random():
    assert len(double_positions(50, 0.10, 7)) == 5 and len(double_positions(50, 0.05, 7)) == 3  # 2.5, rounded up
    assert double_positions(50, 0, 7) == [] and double_positions(5, 1, 7) == [0, 1, 2, 3, 4]
    assert double_positions(50, 0.1, 7) == double_positions(50, 0.1, 7) != double_positions(50, 0.1, 8)
    counts = np.zeros(20)
    for seed in range(4000):
        counts[double_positions(20, 0.1, seed)] += 1
    assert np.all(np.abs(counts / 4000 - 0.1) < 4.5 * np.sqrt(0.1 * 0.9 / 4000))
    with pytest.raises(InputError, match="share"):
        double_positions(50, 1.5, 7)


def test_the_highest_tenth_is_never_more_than_a_tenth():
    assert extreme(np.arange(20.0)).sum() == 2 and extreme(np.arange(20.0))[-2:].all()
    assert not extreme(np.ones(50)).any() and not extreme(np.array([1.0, np.nan])).any()
    ties = np.array([0.0] * 18 + [1.0] * 2 + [5.0])
    assert extreme(ties).tolist() == [False] * 20 + [True]


# -- over a workspace ------------------------------------------------------------------------------------------------------


@pytest.fixture
def space(tmp_path, monkeypatch):
    monkeypatch.delenv("QUADRANT_DATABASE_URL", raising=False)
    rows = [
        {"prompt": f"Question {n}?", "response": f"Answer {n}. " * (1 + (n % 40 == 0) * 50), "category": "abcd"[n % 4],
         "urgent": "yes" if n % 10 == 0 else "no"}
        for n in range(160)
    ]  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    space = open_workspace(tmp_path / "w")
    space.add("training", path.name, lambda folder: import_file(path, folder, "training"))
    return space


def read(space, sample, outcomes, who="ada", **marks):
    store = open_reviews(space)
    save_verdicts(store, [
        Verdict(f"{sample.id[:8]}{who}{n}", sample.id, r.record_id, r.record_digest, who, outcomes[n % len(outcomes)], **marks)
        for n, r in enumerate(sample_records(store, sample.id))
    ])  # fmt: skip


@pytest.mark.parametrize(
    "how",
    [
        {"method": "random"},
        {"method": "stratified"},
        {"method": "stratified", "group": "field.urgent"},
        {"method": "risk", "points": {"long": 5.0}},
        {"method": "random", "size": 500},
        {"method": "random", "ids": "few"},
    ],
)
def test_every_draw_comes_out_again_from_its_record(space, how):
    how = {"size": 20, **how}
    if how.get("ids"):
        how["ids"] = space.need().ids()[3:70]
    sample, ids = draw_audit(space, seed=3, double=0.1, by="ada", **how)
    found = redraw(space, sample)
    assert found.same is True and f"the same {len(ids):,} records" in found.told
    # what was removed later changes nothing
    from core.review.ledger import remove_records

    remove_records(open_reviews(space), ids[:5], reason="x", by="ada")
    assert redraw(space, sample).same is True


@pytest.mark.parametrize("change", ["record", "chance", "seed", "frame", "double"])
def test_a_tampered_record_is_found_out(space, change):
    sample, ids = draw_audit(space, 20, 3, method="risk", double=0.1)
    store, t = open_reviews(space), tables()
    with writing(store) as connection:
        here = t.sample_records.c.sample_id == sample.id
        if change == "record":
            other = next(one for one in space.need().ids() if one not in ids)
            connection.execute(
                t.sample_records.update().where(here, t.sample_records.c.position == 3).values(record_id=other)
            )
        if change == "chance":
            connection.execute(
                t.sample_records.update().where(here, t.sample_records.c.position == 3).values(probability=0.9)
            )
        if change == "frame":
            connection.execute(t.frames.update().where(t.frames.c.sample_id == sample.id).values(marks=None))
    from core.review import samples as module

    module._records.cache_clear()
    if change == "seed":
        sample = replace(sample, seed=4)
    if change == "double":
        sample = replace(sample, recipe={**sample.recipe, "double": {"share": 0.1, "positions": [0, 1]}})
    assert redraw(space, sample).same is False


def test_a_sample_from_before_and_one_of_lost_data_cannot_be_told(space):
    sample, _ = draw_audit(space, 20, 3)
    assert redraw(space, replace(sample, dataset_digest="gone")).same is None
    with writing(open_reviews(space)) as connection:
        connection.execute(tables().frames.delete())
    assert redraw(space, sample).same is None
    assert frame_of(open_reviews(space), sample.id, space.need().ids()) is None


def test_risks_are_stated_and_a_risk_sample_is_weighed(space):
    found = risks(space, space.need(), {"long": 4.0, "format": 0})
    assert set(found.missing) == {"label", "contradiction", "influence", "loss", "duplicate"}
    assert found.weights.min() == 1 and found.weights.max() == 5 and found.holds["long"].sum() == 4
    assert "format" not in found.holds and found.recipe()["records"]["long"] == 4
    with pytest.raises(InputError, match="no risk"):
        risks(space, space.need(), {"moon": 1})
    with pytest.raises(InputError, match="points"):
        risks(space, space.need(), {"long": -1})
    assert all(0 < signal.points <= 20 for signal in SIGNALS.values())
    sample, _ = draw_audit(space, 40, 3, method="risk", points={"long": 9.0})
    records = sample_records(open_reviews(space), sample.id)
    assert sample.recipe["risks"]["points"]["long"] == 9.0 and not chances_equal(sample, records)
    read(space, sample, ["pass", "pass", "fail"])
    result = findings(space, sample)
    assert result.design == "unequal" and result.estimate.interval and result.summary.decision == "no plan"


def test_every_high_stakes_record_is_a_sample_of_its_own(space):
    data, store = space.need(), open_reviews(space)
    with pytest.raises(InputError, match="No record is high stakes"):
        draw_audit(space, method="high-stakes")
    column = next(one for one in columns_for(data) if one.endswith("urgent"))
    assert values_of(data, column) == ["no", "yes"]
    with pytest.raises(InputError, match="no column"):
        set_rule(space, {"nope": ["x"]}, data)
    set_rule(space, {column: ["yes"], "category": ["d"]}, data)
    expected = {one for n, one in enumerate(data.ids()) if n % 10 == 0 or n % 4 == 3}
    assert by_rule(space, data) == expected
    sample, ids = draw_audit(space, method="high-stakes")
    assert set(ids) == expected and sample.method == "census" and redraw(space, sample).same is True
    assert latest_sample(store, data) is None, "it does not speak for the whole set"
    other, drawn = draw_audit(space, 10, 1)
    read(space, other, ["pass"], high_stakes=True)
    assert high_stakes_ids(space, data, store) == expected | set(drawn)
    assert high_stakes_ids(space, data, store, "bea") == expected, "marks of others are not told to a blind reader"
    assert latest_sample(store, data).id == other.id


def test_a_follow_up_reads_more_of_what_failed_and_nothing_twice(space):
    data, store = space.need(), open_reviews(space)
    category = dict(zip(data.ids(), data.column("category").to_pylist(), strict=True))
    sample, first = draw_audit(space, 30, 3)
    with pytest.raises(InputError, match="nothing to follow up|has failed"):
        draw_audit(space, 10, 3, method="follow-up", after=sample)
    bad = {one for one in first if category[one] == "b"}
    save_verdicts(store, [
        Verdict(f"v{n}", sample.id, r.record_id, r.record_digest, "ada", "fail" if r.record_id in bad else "pass")
        for n, r in enumerate(sample_records(store, sample.id))
    ])  # fmt: skip
    more, ids = draw_audit(space, 12, 5, method="follow-up", after=sample)
    assert len(ids) == 12 and not set(ids) & set(first) and {category[one] for one in ids} == {"b"}
    assert (
        more.population == 40 - len(bad) and more.recipe["groups"] == ["b"] and more.recipe["already_read"] == len(bad)
    )
    assert redraw(space, more).same is True and final_by_record(store, sample)[next(iter(bad))] == "fail"
    with pytest.raises(InputError, match="needs the sample"):
        draw_audit(space, 10, 3, method="follow-up")


def test_the_double_share_of_a_sample_is_what_its_record_says(space):
    sample, _ = draw_audit(space, 50, 7, double=0.1)
    records = sample_records(open_reviews(space), sample.id)
    assert [one.position for one in double_records(sample, records)] == double_positions(50, 0.1, 7)
    assert double_records(draw_audit(space, 50, 8)[0], records) == []
    with pytest.raises(InputError, match="no way to draw"):
        draw_audit(space, 10, method="magic")
    with pytest.raises(InputError, match="no column"):
        draw_audit(space, 10, method="stratified", group="nope")
