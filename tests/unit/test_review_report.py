"""The report of a sample: complete, true, and with nothing in it that a note could inject, as Markdown and as HTML."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from core.actions.auditing import draw_audit, gold_sample
from core.actions.decisions import open_reviews
from core.actions.reporting import calibrations, findings, gold_verdicts, grouping, sample_named
from core.dataset.importing import import_file
from core.review.acceptance import sequential_plan
from core.review.findings import Findings, readers_of, weighted
from core.review.page import markdown_text
from core.review.plan import plan_of
from core.review.report import report
from core.review.sampling import Draw, draw_random
from core.review.store import Verdict, add_sample, sample_records, save_verdicts
from core.workspace import open_workspace

ROOT = Path(__file__).resolve().parents[2]
EVIL = 'dose | *10x* ![x](http://evil.example/a.png) <script>alert(1)</script> <img src=x onerror=1> "\u202eabc\nsecond'
DAYS = [f"2026-0{1 + n % 3}-1{n % 9}" for n in range(200)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A workspace of 200 records with categories, sources, dates, annotators, and 12 gold records with settled verdicts."""
    folder = tmp_path_factory.mktemp("report")
    rows = [
        {"prompt": f"Question {n}?", "response": f"Answer {n}.", "category": ["renal", "<b>skin</b>"][n % 2], "source": f"s{n % 3}",
         "date": DAYS[n], "annotator": f"a{n % 2}"}
        for n in range(200)
    ]  # fmt: skip
    gold = [
        {"prompt": f"Gold {n}?", "response": f"G {n}.", "verdict": "fail" if n % 3 == 0 else "pass"} for n in range(30)
    ]
    space = open_workspace(folder / "ws")
    for role, some in (("training", rows), ("gold", gold)):
        path = folder / f"{role}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in some))
        space.add(role, path.name, lambda part, path=path, role=role: import_file(path, part, role))
    return space


def read(space, sample, who, fails, count=50, note=EVIL):
    store = open_reviews(space)
    given = []
    for i, record in enumerate(sample_records(store, sample.id)[:count]):
        verdict = Verdict(
            f"{sample.id[:8]}{who}{i}", sample.id, record.record_id, record.record_digest, who, "pass", {"correct": "yes"},
            created_at="2026-03-01T09:30:00Z", seconds=20.0,
        )  # fmt: skip
        given.append(replace(verdict, outcome="fail", note=note) if i in fails else verdict)
    save_verdicts(store, given)


@pytest.fixture(scope="module")
def audited(made):
    sample, _ = draw_audit(made, 50, 7, name="March *audit*", by="Ada")
    read(made, sample, "Dr. <b>Ada</b>", {0, 1, 2})
    return made, sample


def plain(page):
    return page.replace("\\", "")


class Tags(HTMLParser):
    """The tags, attributes and text of an HTML file, as a browser would find them."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_says_what_was_drawn_found_and_not_shown(audited):
    page = plain(report(findings(*audited)))
    for part in (
        "# Audit: March *audit*", "No systemic problem found: 3 of 50", "50 of 200 training records", "Seed: 7", "PCG64",
        "| pass | 47 |", "| fail | 3 |", "| unread | 0 |", "| Clopper–Pearson | 1.3% | 16.5% |", "| Wilson | 2.1% | 16.2% |",
        "| Jeffreys | 1.7% | 15.2% |", "| anytime-valid |", "| one-sided upper bound |  | 14.8% |", "median 20 s",
        "| Is the output correct? | Yes 50,", "not proof of a low rate", "(hypergeometric)", "producer's risk", "consumer's risk",
        "| up to 6 % with an issue; more is a systemic problem | kept |",
        "| up to 5 % with an issue, a second reader's line | not kept |",
        "| over 96 % without, the target for labels | not kept |",
        "153 random records must be read", "Source (source)", "Period (date)",
        "Read by: Dr. <b>Ada</b> (50)", "P(true rate > 6%) = 54%", "## Appendix: issues and notes", "by Ada",
    ):  # fmt: skip
        assert part in page, part
    assert "at most 6" not in page and "under 6 %" not in page


def test_nothing_from_people_or_data_is_read_as_markdown(audited):
    page = report(findings(*audited))
    assert "<" not in re.sub(r"\\<", "", page) and "![" not in page and "*10x*" not in page
    assert "http://" not in page and "\u202e" not in page, "no address becomes a link, nothing turns the text around"
    assert "\nsecond" not in page, "a note stays on its line"
    assert markdown_text("www.evil.example a@b.c https://x") == "www\\.evil.example a\\@b.c https\\://x"


def test_the_html_is_one_file_without_script_or_fetching_and_every_text_is_escaped(audited):
    page = report(findings(*audited), "html")
    found = Tags(page)
    assert found.tags <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "ul", "li", "b", "div", "table", "thead", "tbody", "tr",
        "th", "td", "figure", "figcaption", "svg", "line", "polyline", "circle", "text", "rect",
    }  # fmt: skip
    assert not {
        name for name in found.attributes if name.startswith("on") or name in ("src", "href", "srcset", "style")
    }
    assert "default-src 'none'" in page and "url(" not in page and "@import" not in page and "@media print" in page
    text = "".join(found.text)
    assert "<script>alert(1)</script>" in text and "Dr. <b>Ada</b>" in text and "<b>skin</b>" in text
    assert page.count("<svg") == 2 and "3.0" not in found.tags


def test_two_readers_agreement_calibration_and_correction(made):
    sample, _ = draw_audit(made, 40, 11)
    read(made, sample, "Ada", {0, 1, 2, 3})
    read(made, sample, "Bea", {0, 1, 9})
    gold = gold_sample(made)
    store = open_reviews(made)
    truth = gold_verdicts(made.dataset("gold"))
    given = [
        Verdict(f"g{n}", gold.id, r.record_id, r.record_digest, "Ada", truth[r.record_id] if n else "unsure")
        for n, r in enumerate(sample_records(store, gold.id))
    ]
    save_verdicts(store, given)
    known = calibrations(made, {"Ada", "Bea"})
    assert set(known) == {"Ada"} and known["Ada"].unsure == 1
    assert (known["Ada"].caught, known["Ada"].kept) == (known["Ada"].bad, known["Ada"].good)
    page = plain(report(findings(made, sample)))
    assert "Cohen's kappa" in page and "bootstrap by record" in page and "disputed | 3" in page
    assert "found 10 of 10 bad gold records and passed 19 of 19" in page or "found 9 of 9" in page
    assert "Rogan–Gladen" in page


def test_a_sequential_audit_has_its_walk(made):
    sample, _ = draw_audit(made, 60, 13, plan=sequential_plan(60))
    read(made, sample, "Ada", set(), 30)
    found = findings(made, sample)
    assert found.plan.kind == "sequential" and found.summary.walk.stopped == 27
    page = plain(report(found))
    assert (
        "the sequential plan stopped at record 27 with 0" in page and "biased" in page and "Clopper–Pearson" not in page
    )
    assert report(found, "html").count("<svg") == 3


def test_unequal_chances_are_weighted_and_have_no_plan(made):
    store, ids = open_reviews(made), made.need().ids()
    chance = [0.9 if n < 20 else 0.1 for n in range(40)]
    draw = Draw(ids[:40], chance, "risk", 3, 200, recipe={"generator": "by hand"})
    sample = add_sample(store, draw, name="Risky", role="training", dataset_digest=made.need().digest, by="x")
    read(made, sample, "Ada", {0, 1, 2, 3, 30}, 40)
    found = findings(made, sample)
    assert not found.equal and found.design == "unequal" and found.summary.decision == "no plan"
    assert found.estimate.rate == pytest.approx((4 / 0.9 + 1 / 0.1) / (20 / 0.9 + 20 / 0.1))
    page = plain(report(found))
    assert "does not apply to this sample" in page and "Hájek" in page and "Horvitz–Thompson" in page
    assert "Clopper–Pearson |" not in page and all(
        g.weighted is not None for some in found.groups.values() for g in some
    )


def test_a_stratified_sample_has_its_weighted_rate(made):
    sample, _ = draw_audit(made, 40, 3, stratify=True)
    read(made, sample, "A", {0, 1}, 40)
    page = plain(report(findings(made, sample)))
    assert "| renal | 100 | 20 | 20 |" in page and "Weighted by category" in page and "standard error" in page


def test_an_unread_sample_and_a_census(made):
    sample, _ = draw_audit(made, 20, 1, ids=made.need().ids()[:20])
    page = plain(report(findings(made, sample)))
    assert "None of the 20 records has been read yet" in page and "census" in page and "nobody yet" in page
    assert "Appendix" not in page
    read(made, sample, "A", {1}, 20)
    assert "a count and not an estimate" in report(findings(made, sample))


def test_groups_are_found_in_every_column_that_sets_records_apart(made):
    found = grouping(made.need(), made.need().ids()[:90])
    assert list(found) == ["Category", "Annotator", "Source (source)", "Period (date)"]
    assert set(found["Period (date)"].values()) == {"2026-01", "2026-02", "2026-03"}


def test_the_command_writes_it(audited, tmp_path):
    space, sample = audited
    assert sample_named(open_reviews(space), sample.id[:8]).id == sample.id
    done = subprocess.run(
        [sys.executable, "-m", "core", "report", "-w", str(space.path), "--sample", sample.id, "--to", "html", "--out",
         str(tmp_path / "a.html"), "--json"],
        capture_output=True, text=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["decision"], facts["failed"], facts["judged"]) == ("not shown", 3, 50)
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")


def test_the_pieces_work_on_their_own(tmp_path):
    """A store without a workspace: no groups, no calibration; the page is still whole."""
    from core.review.acceptance import summarise
    from core.review.store import current_verdicts, open_store

    store = open_store(tmp_path)
    ids = [f"{i:016x}-1" for i in range(60)]
    sample = add_sample(store, draw_random(ids, 50, 7), name="A", role="training", dataset_digest="d", by="A")
    records, standings = sample_records(store, sample.id), current_verdicts(store, sample.id)
    found = Findings(
        sample, records, plan_of(sample.recipe, 50), summarise({}, 50, population=60), standings, True,
        *weighted(sample, records, standings, True), readers_of(standings, {}),
    )  # fmt: skip
    assert "None of the 50 records" in report(found) and "<svg" in report(found, "html")


def test_the_scorecard_takes_the_decision_of_the_plan_and_the_estimate_that_fits_the_draw(made):
    from core.actions.summary import metrics

    def card():
        return next(metric for metric in metrics(made) if metric.id == "audit")

    sample, _ = draw_audit(made, 90, 17, plan=sequential_plan(90))
    read(made, sample, "Ada", set(), 20)
    assert card().verdict == "unknown" and "still to review" in card().note
    read(made, sample, "Ada", set(), 30)
    assert card().verdict == "pass" and "sequential plan, the share is biased" in card().note
    ids = made.need().ids()
    draw = Draw(ids[:40], [0.9 if n < 20 else 0.1 for n in range(40)], "risk", 3, 200, recipe={})
    sample = add_sample(open_reviews(made), draw, name="R", role="training", dataset_digest=made.need().digest, by="x")
    read(made, sample, "Ada", {0, 1, 2, 3}, 40)
    assert card().value == pytest.approx((4 / 0.9) / (20 / 0.9 + 20 / 0.1)) and "weighted" in card().note
