"""The audit and the agreement page over a small workspace: drawing, the live result, who may see what, columns that came along."""

import pytest

from core.actions.auditing import draw_audit
from core.actions.decisions import open_reviews
from core.review.samples import sample_records
from core.review.verdicts import Verdict, save_verdicts
from core.workspace import open_workspace


@pytest.fixture
def space(home):
    return open_workspace(home / "small")


def read(space, sample, who, outcomes):
    """Verdicts of `who` on the first records of a sample; p, f and u stand for the outcomes."""
    word = {"p": "pass", "f": "fail", "u": "unsure"}
    store = open_reviews(space)
    records = sample_records(store, sample.id)
    save_verdicts(store, [
        Verdict(f"{who}{n}", sample.id, r.record_id, r.record_digest, who, word[one], note="dose *wrong*" if one == "f" else "")
        for n, (r, one) in enumerate(zip(records, outcomes, strict=False))
    ])  # fmt: skip


def said(at):
    blocks = [*at.info, *at.warning, *at.error, *at.caption, *at.markdown]
    return "\n".join(block.value.replace("\\", "") for block in blocks)


def open_as(start, page, who, monkeypatch):
    monkeypatch.setenv("USER", who)
    at = start(page)
    assert not at.exception, at.exception[0].value
    return at


def test_one_click_draws_fifty(space, start):
    at = start("audit")
    at.button(key="audit.start").click().run()
    assert not at.exception
    assert "50 of 60 records, seed 7" in said(at) and "None of the 50 records has been read yet" in said(at)


def test_one_click_draws_from_the_selection(space, start, monkeypatch):
    ids = space.need().ids()[:12]
    draw_audit(space)
    space.keep_selection("abc", ids, "a dozen *things*")
    at = open_as(start, "audit", "ada", monkeypatch)
    at.query_params["s"] = "abc"
    del at.session_state["selection"]
    at.run()
    at.button(key="audit.selected").click().run()
    assert not at.exception and "All: 12 of 12 records" in said(at)
    store = open_reviews(space)
    from core.review.samples import samples

    newest = samples(store)[0]
    assert {r.record_id for r in sample_records(store, newest.id)} == set(ids) and "a dozen" in newest.name


def test_the_result_follows_the_verdicts_and_every_view_works(space, start, monkeypatch):
    sample, _ = draw_audit(space, stratify=True)
    read(space, sample, "ada", "f" * 3 + "p" * 46 + "u")
    at = open_as(start, "audit", "ada", monkeypatch)
    assert "Open: 3 of 50 have an issue and 1 are not settled" in said(at) and "Weighted by category" in said(at)
    for view in ("By group", "Issues", "Report"):
        at.button_group(key="audit.view").set_value(view).run()
        assert not at.exception and at.button_group(key="audit.view").value == view, (view, at.exception)


def test_an_earlier_version_and_unequal_chances_are_said(space, start, monkeypatch):
    from core.review.samples import add_sample
    from core.review.sampling import Draw

    ids = [*space.need().ids()[:9], "0123456789abcdef-1"]
    strata = [{"name": "a", "population": 10, "drawn": 9}, {"name": "b", "population": 50, "drawn": 1}]
    draw = Draw(ids, [0.9] * 9 + [0.02], "stratified", 1, 60, strata, ["a"] * 9 + ["b"])
    sample = add_sample(
        open_reviews(space), draw, name="Old <b>one</b>", role="training", dataset_digest="other", by="x"
    )
    read(space, sample, "ada", "p" * 10)
    at = open_as(start, "audit", "ada", monkeypatch)
    assert "9 of its 10 records are unchanged" in said(at) and "1 have changed or are gone" in said(at)
    assert "unequal chances" in said(at) and "does not apply" in said(at)


def test_a_second_reader_sees_the_own_verdicts_alone_until_all_are_read(space, start, monkeypatch):
    sample, _ = draw_audit(space)
    read(space, sample, "ada", "f" * 5 + "p" * 45)
    read(space, sample, "bea", "p" * 10)
    at = open_as(start, "audit", "bea", monkeypatch)
    assert "Verdicts of ada are hidden" in said(at) and "10 of 50 read, 0 with an issue so far" in said(at)
    read(space, sample, "bea", "p" * 50)
    at = open_as(start, "audit", "bea", monkeypatch)
    assert "hidden" not in said(at) and "5 are not settled" in said(at)


def test_agreement_of_two_readers_and_of_none(space, start, monkeypatch):
    at = open_as(start, "agreement", "ada", monkeypatch)
    assert "Nobody has read an audit sample yet" in said(at)
    sample, _ = draw_audit(space)
    read(space, sample, "ada", "p" * 50)
    at = open_as(start, "agreement", "ada", monkeypatch)
    assert "With one it is undefined" in said(at)
    read(space, sample, "bea", "p" * 50)
    at = open_as(start, "agreement", "ada", monkeypatch)
    values = {metric.label: metric.value for metric in at.metric}
    assert values["Raw agreement"] == "100.0%" and values["Cohen's kappa"] == values["Gwet's AC1"] == "undefined"
    assert "neither 0 nor 1" in said(at)


def test_columns_that_came_with_the_data_are_compared_by_themselves(home, start, tmp_path, monkeypatch):
    from core.dataset.importing import import_file
    from tests.app.conftest import rows, write_jsonl

    given = [
        {**row, "first": "yn"[n % 2], "second": "yn"[n % 2] if n % 10 else "y?"[n % 20 == 10]}
        for n, row in enumerate(rows())
    ]
    path = write_jsonl(tmp_path / "rated.jsonl", given)
    open_workspace(home / "small").add("training", path.name, lambda folder: import_file(path, folder, "training"))
    at = open_as(start, "agreement", "ada", monkeypatch)
    values = {metric.label: metric.value for metric in at.metric}
    assert values["Records rated twice"] == "60" and values["Raw agreement"] == "95.0%"
    at.button_group(key="agreement.view").set_value("Gold records").run()
    assert not at.exception and "There are no gold records" in said(at)


def test_three_of_fifty_shows_the_lines_that_disagree_and_never_a_low_rate(space, start, monkeypatch):
    sample, _ = draw_audit(space)
    read(space, sample, "ada", "f" * 3 + "p" * 47)
    at = open_as(start, "audit", "ada", monkeypatch)
    told = said(at)
    assert "No systemic problem found: 3 of 50" in told and "not proof of a low rate" in told
    assert "practice's lines disagree at 3 of 50" in told and "at most 6" not in told and "producer's risk" in told
    tables = [list(table.value.iloc[:, 1]) for table in at.table]
    assert ["kept", "not kept", "not kept"] in tables
    assert any("153 records" in column for column in tables)
    assert any("anytime-valid" in list(table.value.iloc[:, 0]) for table in at.table)


def test_a_sequential_plan_is_chosen_with_the_draw_kept_and_stops_validly(space, start, monkeypatch):
    at = open_as(start, "audit", "ada", monkeypatch)
    at.selectbox(key="audit.plan").set_value("sequential")
    at.button(key="audit.draw.submit").click().run()
    assert not at.exception, at.exception[0].value
    from core.review.samples import samples

    (sample,) = samples(open_reviews(space))
    assert sample.recipe["plan"]["kind"] == "sequential"
    read(space, sample, "ada", "p" * 30)
    at = open_as(start, "audit", "ada", monkeypatch)
    told = said(at)
    assert "the sequential plan stopped at record 27 with 0" in told and "a biased estimate" in told
    labels = [metric.label for metric in at.metric]
    assert "Rate, anytime interval · biased" in labels and "Clopper" not in told


def test_a_bad_plan_is_refused_in_a_sentence(space, start, monkeypatch):
    at = open_as(start, "audit", "ada", monkeypatch)
    at.selectbox(key="audit.plan").set_value("exact")
    at.number_input(key="audit.good").set_value(20.0)
    at.button(key="audit.draw.submit").click().run()
    assert not at.exception and "good rate below the bad one" in said(at)


def test_unequal_chances_are_weighted_on_screen(space, start, monkeypatch):
    from core.review.samples import add_sample
    from core.review.sampling import Draw

    ids = space.need().ids()[:20]
    draw = Draw(ids, [0.9] * 5 + [0.3] * 15, "risk", 1, 60, recipe={})
    sample = add_sample(
        open_reviews(space), draw, name="R", role="training", dataset_digest=space.need().digest, by="x"
    )
    read(space, sample, "ada", "ff" + "p" * 18)
    at = open_as(start, "audit", "ada", monkeypatch)
    told = said(at)
    assert "unequal chances of being chosen, 30.0% to 90.0%" in told and "Hájek" in told and "no curve to draw" in told
    value = {metric.label: metric.value for metric in at.metric}["Weighted rate, 95 % interval"]
    assert value.startswith(f"{(2 / 0.9) / (5 / 0.9 + 15 / 0.3):.1%}")


def test_another_mapping_makes_verdicts_stale_and_says_so(space, start, tmp_path, monkeypatch):
    from core.dataset.importing import import_file
    from tests.app.conftest import rows, write_jsonl

    path = write_jsonl(tmp_path / "again.jsonl", [{**row, "other": row["response"] + "!"} for row in rows()])
    for response in ("response", "other"):
        mapping = {"prompt": "prompt", "response": response, "category": "category"}
        space.add("training", path.name, lambda folder, m=mapping: import_file(path, folder, "training", mapping=m))
        if response == "response":
            sample, _ = draw_audit(space)
            read(space, sample, "ada", "p" * 50)
    at = open_as(start, "audit", "ada", monkeypatch)
    assert "0 of its 50 records are unchanged" in said(at) and "other columns are mapped" in said(at)
