"""The scorecard of a workspace gathers second reviews, annotator columns, high stakes, and counts only records in force."""

from core.actions.decisions import open_reviews, seen_now
from core.actions.highstakes import set_rule
from core.actions.summary import metrics
from core.dataset.importing import import_file
from core.review.ledger import remove_records
from core.review.samples import add_sample
from core.review.sampling import Draw
from core.review.verdicts import Verdict, save_verdicts
from core.workspace import open_workspace
from tests.dataset_files import lines


def made(tmp_path, rows):
    (tmp_path / "a.jsonl").write_text(lines(*rows))
    space = open_workspace(tmp_path / "ws")
    space.add("training", "a.jsonl", lambda part: import_file(tmp_path / "a.jsonl", part, "training"))
    return space


def known(space):
    return {m.id: m for m in metrics(space)}


def test_agreement_of_two_readers_by_hand(tmp_path):
    space = made(tmp_path, [{"prompt": f"p{n}", "response": f"r{n}"} for n in range(10)])
    assert known(space)["agreement"].value is None
    data, store = space.need(), open_reviews(space)
    ids = data.ids()
    digests = seen_now(data, ids)
    draw = Draw(ids, [1.0] * 10, "simple", 0, 10, recipe={})
    sample = add_sample(store, draw, name="s", role="training", dataset_digest=data.digest, by="a", digests=digests)
    said = {"a": ["pass"] * 6 + ["fail"] * 4, "b": ["pass"] * 5 + ["fail"] * 5}
    save_verdicts(store, [
        Verdict(f"{who}{n}", sample.id, ids[n], digests[ids[n]], who, outcome)
        for who, outcomes in said.items() for n, outcome in enumerate(outcomes)
    ])  # fmt: skip
    found = known(space)
    # 9 of 10 agree; chance .6*.5 + .4*.5 = .5, so kappa = (.9 - .5) / (1 - .5) = .8
    assert abs(found["agreement"].value - 0.9) < 1e-9 and abs(found["kappa"].value - 0.8) < 1e-9
    assert found["kappa"].low < 0.8 < found["kappa"].high and "10 records with two reviews" in found["agreement"].note


def test_annotator_columns_stand_in_for_a_second_review(tmp_path):
    rows = [
        {"prompt": f"p{n}", "response": f"r{n}", "rater_1": "xy"[n % 2], "rater_2": "xy"[(n // 2) % 2]}
        for n in range(40)
    ]
    found = known(made(tmp_path, rows))
    assert found["agreement"].value == 0.5 and abs(found["kappa"].value) < 1e-9 and "rater_1" in found["agreement"].note


def test_high_stakes_and_counts_of_the_records_in_force(tmp_path):
    rows = [{"prompt": f"p{n}", "response": f"r{n}", "category": "ab"[n < 4]} for n in range(40)]
    space = made(tmp_path, rows)
    data, store = space.need(), open_reviews(space)
    assert known(space)["examples_per_class"].value == 4 and known(space)["high_stakes"].value is None
    set_rule(space, {"category": ["b"]}, data)
    assert known(space)["high_stakes"].note == "0 of 4 reviewed"
    remove_records(store, data.ids()[:1], reason="r", by="me")
    found = known(space)
    assert found["examples_per_class"].value == 3 and found["high_stakes"].note == "0 of 3 reviewed"
