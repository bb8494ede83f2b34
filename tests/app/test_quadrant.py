"""The Quadrant page: cards, cuts, a budget, and what a held-out record must never be part of."""

import numpy as np
import pytest

from core.actions.choosing import pick, selection_frame
from core.actions.decisions import open_reviews
from core.errors import MissingInput
from core.influence.selection.strategies import STRATEGIES
from core.review.subsets import subset_ids, subsets
from core.steps import current
from core.workspace import open_workspace


def space(home):
    return open_workspace(home / "small")


def held_out(workspace) -> set[str]:
    table = current(workspace, "influence").table(["record_id", "heldout"])
    return {i for i, h in zip(*(table.column(c).to_pylist() for c in (0, 1)), strict=True) if h}


def said(at) -> str:
    return " ".join([e.value for kind in (at.markdown, at.caption, at.error, at.warning) for e in kind])


def test_the_cards_select_their_quadrant_without_held_out_records(home, start):
    at = start("quadrant")
    seen: set[str] = set()
    for q in (1, 2, 3, 4):
        at.button(key=f"quadrant.select.{q}").click().run()
        chosen = at.session_state["selection"]
        assert chosen.title.startswith(f"Q{q} ")
        assert not seen & set(chosen.ids)
        seen |= set(chosen.ids)
    held = held_out(space(home))
    assert held, "the stand-in holds some out"
    assert seen == set(space(home).need().ids()) - held


def test_cuts_are_medians_until_typed_and_a_wrong_one_is_said(home, start):
    at = start("quadrant")
    assert at.text_input(key="quadrant.cut_influence").value == "median"
    at.text_input(key="quadrant.cut_difficulty").input("4").run()
    assert not at.exception
    at.button(key="quadrant.select.1").click().run()
    at.button(key="quadrant.select.3").click().run()
    data = space(home).need()
    rated = dict(zip(data.ids(), data.column("difficulty").to_pylist(), strict=True))
    assert {rated[i] for i in at.session_state["selection"].ids} <= {4.0, 5.0}
    at.text_input(key="quadrant.cut_influence").input("harder").run()
    assert not at.exception
    assert "median, a percentile such as p75" in said(at)


def test_a_budget_is_previewed_taken_and_saved(home, start):
    at = start("quadrant")
    at.text_input(key="quadrant.budget").input("7").run()
    assert "7 records" in said(at)
    at.button(key="quadrant.take").click().run()
    chosen = at.session_state["selection"]
    assert chosen.ids == pick(space(home), "diq", 7).record_ids
    at.text_input(key="quadrant.save_name").input("the best seven")
    at.button(key="FormSubmitter:quadrant.save-Save").click().run()
    store = open_reviews(space(home))
    assert [s.name for s in subsets(store)] == ["the best seven"]
    assert tuple(subset_ids(store, "the best seven")) == chosen.ids
    at.text_input(key="quadrant.budget").input("5000").run()
    assert not at.exception and "5,000" in said(at)


def test_every_strategy_draws_its_preview(home, start):
    at = start("quadrant")
    for name in at.selectbox(key="quadrant.strategy").options:
        assert name
    for strategy in STRATEGIES:
        if strategy == "holes":
            continue  # all of this production is covered
        at.selectbox(key="quadrant.strategy").set_value(strategy).run()
        assert not at.exception, at.exception[0].value
        at.button(key="quadrant.take").click().run()
        assert not set(at.session_state["selection"].ids) & held_out(space(home))


def test_the_settings_of_a_strategy_reach_its_pick(home, start):
    at = start("quadrant")
    at.text_input(key="quadrant.budget").input("12").run()
    at.selectbox(key="quadrant.strategy").set_value("diq caps").run()
    at.text_input(key="quadrant.cap").input("2").run()
    assert "at most 2 records of one cluster" in said(at)
    at.text_input(key="quadrant.cap").input("none").run()
    assert not at.exception and "Cap" in said(at)
    at.selectbox(key="quadrant.strategy").set_value("diq quotas").run()
    at.selectbox(key="quadrant.quotas").set_value("equal").run()
    at.button(key="quadrant.take").click().run()
    data = space(home).need()
    topics = dict(zip(data.ids(), data.column("category").to_pylist(), strict=True))
    counts = [[topics[i] for i in at.session_state["selection"].ids].count(t) for t in ("cough", "rash", "dose")]
    assert counts == [4, 4, 4]
    at.selectbox(key="quadrant.strategy").set_value("length-matched random").run()
    at.selectbox(key="quadrant.like").set_value("influence").run()
    assert "lengths of what influence picks" in said(at)


def test_every_strategy_is_compared_and_coverage_stands_beside_chance(home, start):
    at = start("quadrant")
    at.text_input(key="quadrant.budget").input("12").run()
    rivals = next(d for d in at.dataframe if "strategy" in d.value and "kl" in d.value).value
    assert len(rivals) == len(STRATEGIES) - 1 and rivals["overlap"].max() == 100  # without holes: all is covered
    frame = selection_frame(space(home), space(home).need())
    found = pick(space(home), "random", 12, frame=frame)
    assert rivals.set_index("strategy").loc["Random", "words"] == np.median(frame.length[found.rows])
    assert "random picks of this size" in said(at) and "overlap by" in said(at)


def test_a_heavy_strategy_is_offered_as_a_job_and_its_order_serves_smaller_budgets(home, start, monkeypatch):
    from core.influence.selection import strategies as selection

    workspace = space(home)
    whole = pick(workspace, "k-centre", 20)
    monkeypatch.setattr(selection, "HEAVY", 100)
    at = start("quadrant")
    assert at.button(key="quadrant.order.k-centre")
    at.selectbox(key="quadrant.strategy").set_value("k-centre").run()
    assert not at.exception and any("takes a job of its own" in e.value for e in at.info)
    assert pick(workspace, "k-centre", 20).record_ids == whole.record_ids, "computed and kept"
    smaller = pick(workspace, "k-centre", 7, compute=False)
    assert smaller.record_ids == whole.record_ids[:7] and "kept order of 20" in smaller.notes[0]
    with pytest.raises(MissingInput):
        pick(workspace, "k-centre", 21, compute=False)
    at.text_input(key="quadrant.budget").input("20").run()
    at.button(key="quadrant.take").click().run()
    assert at.session_state["selection"].ids == whole.record_ids


def test_other_axes_and_colours(home, start):
    at = start("quadrant")
    for source in ("nll", "ifd_ppl"):
        at.selectbox(key="quadrant.source").set_value(source).run()
        assert not at.exception, at.exception[0].value
        assert "heuristic" in said(at)
    for colour in ("category", "influence", "verdict", "heldout", "cluster"):
        at.selectbox(key="quadrant.colour").set_value(colour).run()
        assert not at.exception, at.exception[0].value


def test_without_influence_the_page_shows_difficulty_and_offers_the_rest(imported, start):
    at = start("quadrant")
    assert at.button(key="run.influence")
    assert "median" in said(at)
    at.text_input(key="quadrant.budget").input("3").run()
    at.button(key="quadrant.take").click().run()
    assert len(at.session_state["selection"].ids) == 3


def test_a_model_that_is_nowhere_is_refused_before_a_job_starts(home, start):
    at = start("quadrant")
    at.text_input(key="quadrant.model").input("/no/such/folder")
    at.button(key="FormSubmitter:quadrant.settings-Compute").click().run()
    assert "neither a folder" in said(at)
    assert space(home).settings() == {}


def test_the_frame_holds_neither_removed_nor_held_out_records(home):
    from core.review.ledger import remove_records

    workspace = space(home)
    data = workspace.need()
    gone = data.ids()[:3]
    remove_records(open_reviews(workspace), gone, reason="test", by="t")
    frame = selection_frame(workspace, data)
    assert set(frame.ids) == set(data.ids()) - set(gone) - held_out(workspace)
    assert len(frame.embeddings) == len(frame.influence) == len(frame.ids)


def test_both_ends_are_shown_and_only_a_negative_influence_is_called_harm(home, start):
    at = start("quadrant")
    frame = selection_frame(space(home), space(home).need())
    below = int((np.asarray(frame.influence) < 0).sum())
    assert f"{below:,} of {int(np.isfinite(frame.influence).sum()):,} records have an influence below 0" in said(at)
    assert "**Help most**" in said(at) and ("**Harm most**" if below else "**Help least**") in said(at)


def test_on_a_large_set_the_rivals_wait_until_they_are_asked_for(monkeypatch, home, start):
    from pages.ui import quadrant_budget

    monkeypatch.setattr(quadrant_budget, "MANY", 1)
    at = start("quadrant")
    table = "The same budget by every strategy"
    assert table not in said(at) and "then kept" in said(at)
    at.button(key="quadrant.compare").click().run()
    assert not at.exception and table in said(at)
    at.number_input(key="quadrant.seed").set_value(3).run()
    assert table in said(at), "asked for once, it stays"
