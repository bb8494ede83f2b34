"""Error rates by group, and when the chances of a draw count as equal."""

from core.review.acceptance import plan_accept
from core.review.groups import NONE, error_by
from core.review.samples import Sample, chances, equal_chances


def drawn(strata, size=50, population=500):
    return Sample("s", "S", "training", "stratified", 7, size, population, "d", strata, {}, "", "A")


def test_unsure_and_disputed_records_are_in_no_group():
    said = {"1": "pass", "2": "fail", "3": "unsure", "4": "disputed", "5": "fail", "6": "pass"}
    groups = error_by(said, {"1": "a", "2": "a", "3": "a", "4": "b", "5": None})
    assert [(g.name, g.failed, g.judged) for g in groups] == [(NONE, 1, 2), ("a", 1, 2)]
    assert groups[1].rate == 0.5 and 0 < groups[0].interval.low < 0.5 < groups[0].interval.high < 1


def test_whole_records_may_round_but_an_empty_stratum_cannot_speak():
    assert equal_chances(drawn([])) and chances(drawn([])) == (0.1, 0.1)
    assert equal_chances(drawn([{"population": 40, "drawn": 4}, {"population": 70, "drawn": 8}]))
    assert not equal_chances(drawn([{"population": 40, "drawn": 4}, {"population": 3, "drawn": 0}]))
    assert not equal_chances(drawn([{"population": 40, "drawn": 4}, {"population": 5, "drawn": 1}]))


def test_the_plan_keeps_its_share_at_other_sizes():
    assert [plan_accept(n) for n in (10, 16, 17, 50, 100, 150)] == [0, 0, 1, 3, 6, 9]
