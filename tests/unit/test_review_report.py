"""The report of a sample: complete, true, and with nothing in it that a note could inject."""

from dataclasses import replace

from core.review.report import report
from core.review.sampling import draw_random, draw_stratified
from core.review.store import Verdict, add_sample, current_verdicts, open_store, sample_records, save_verdicts

IDS = [f"{i:016x}-1" for i in range(200)]


def read(store, sample, fails, count=50):
    given = []
    for i, record in enumerate(sample_records(store, sample.id)[:count]):
        verdict = Verdict(
            f"v{i}", sample.id, record.record_id, record.record_digest, "Dr. <b>Ada</b>", "pass", {"correct": "yes"}
        )
        given.append(
            replace(verdict, outcome="fail", note="dose | *10x* ![x](http://evil)\nsecond line")
            if i < fails
            else verdict
        )
    save_verdicts(store, [replace(one, seconds=20.0, created_at="2026-03-01T09:30:00Z") for one in given])


def test_the_page_says_what_was_drawn_found_and_not_shown(tmp_path):
    store = open_store(tmp_path)
    sample = add_sample(
        store, draw_random(IDS, 50, 7), name="March audit", role="training", dataset_digest="d1", by="Ada"
    )
    read(store, sample, 3)
    page = report(sample, current_verdicts(store, sample.id))
    for part in (
        "# March audit", "No systemic problem found: 3 of 50", "50 of 200 training records", "Seed 7", "PCG64",
        "| pass | 47 |", "| fail | 3 |", "| unread | 0 |", "| Clopper–Pearson | 1.3% | 16.5% |", "| Wilson | 2.1% | 16.2% |",
        "| one-sided upper bound | | 14.8% |", "median 20 s", "| Is the output correct? | 50 | 0 | 0 | 0 |", "not proof of a low rate",
    ):  # fmt: skip
        assert part in page, part
    assert "at most 6" not in page
    assert "<b>" not in page and "![x](" not in page and "*10x*" not in page.replace("\\*", "")
    assert len(page.split("\n")) < 90


def test_a_stratified_sample_has_its_weighted_rate(tmp_path):
    store = open_store(tmp_path)
    names = ["a"] * 150 + ["b"] * 50
    sample = add_sample(
        store, draw_stratified(IDS, names, 40, 3), name="S", role="training", dataset_digest="d", by="A"
    )
    read(store, sample, 2, 40)
    strata = {r.record_id: r.stratum for r in sample_records(store, sample.id)}
    page = report(sample, current_verdicts(store, sample.id), stratum_of=strata)
    assert "| a | 150 | 30 |" in page and "Weighted by stratum: " in page and "standard error" in page


def test_an_unread_sample_and_a_census(tmp_path):
    store = open_store(tmp_path)
    sample = add_sample(store, draw_random(IDS[:20], 50, 1), name="All", role="training", dataset_digest="d", by="A")
    page = report(sample, [])
    assert "None of the 20 records has been read yet" in page and "census" in page and "nobody yet" in page
    read(store, sample, 1)
    assert "a count and not an estimate" in report(sample, current_verdicts(store, sample.id))
