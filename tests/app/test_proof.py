"""The page "Does it help here?": the cost before anything, a proof as it stands, and what it must not claim."""

import pytest

from core.actions import proving
from core.influence.proof.proof import Settings, settings_from
from core.workspace import open_workspace


def said(at) -> str:
    return " ".join(
        [e.value for kind in (at.markdown, at.caption, at.error, at.warning, at.info) for e in kind]
    ).replace("\\", "")


@pytest.fixture
def asked() -> Settings:
    return settings_from({"budgets": (20.0, 100.0), "seeds": 2, "strategies": ("diq",), "steps": 3})


def test_the_cost_is_said_before_anything_is_trained(home, start, monkeypatch):
    started = []
    at = start("proof")
    assert not at.exception
    at.text_input(key="proof.budgets").input("20, 100")
    at.number_input(key="proof.seeds").set_value(2)
    at.number_input(key="proof.steps").set_value(2)
    at.multiselect(key="proof.strategies").set_value(["diq", "similarity"])
    at.button(key="FormSubmitter:proof.ask-Say how long it takes").click().run()
    assert not at.exception, at.exception[0].value
    stood = proving.standing(open_workspace(home / "small"))
    assert stood.done == 0 and stood.settings.strategies == ("random", "diq", "similarity")
    assert f"**{stood.total} trainings**, about" in said(at)
    monkeypatch.setattr("core.jobs.start", lambda space, command, title: started.append(command))
    at.button(key="proof.start").click().run()
    assert started[0][:3] == ["proof", "--learner", "head"] and "--no-categories" not in started[0]


def test_a_proof_is_shown_as_it_stands(home, start, asked):
    workspace = open_workspace(home / "small")
    stood = proving.prove(workspace, asked)
    at = start("proof")
    assert not at.exception, at.exception[0].value
    assert "What may be said" in [s.value for s in at.subheader]
    assert "paired by seed" in said(at) and "Equal steps: 3" in said(at) and "never trained on" in said(at)
    assert stood.finished and "proof.start" not in {b.key for b in at.button}
    next((proving.folder(workspace) / "runs").glob("*.json")).unlink()
    at = start("proof")
    assert "not the last word" in said(at) and at.button(key="proof.start").label == "Go on"


def test_wrong_settings_and_other_data_are_said(home, start, asked):
    workspace = open_workspace(home / "small")
    at = start("proof")
    at.text_input(key="proof.budgets").input("0, 10")
    at.button(key="FormSubmitter:proof.ask-Say how long it takes").click().run()
    assert not at.exception and "above 0" in said(at)
    at.selectbox(key="proof.learner").set_value("own")
    at.button(key="FormSubmitter:proof.ask-Say how long it takes").click().run()
    assert not at.exception and "Name the folder" in said(at)
    proving.prove(workspace, asked)
    plan = proving.folder(workspace) / "plan.json"
    plan.write_text(plan.read_text("utf-8").replace(workspace.need().digest, "0" * 32), "utf-8")
    assert "other training records" in said(start("proof"))


def test_where_no_category_could_be_measured_nothing_is_said_of_categories():
    from types import SimpleNamespace

    from core.influence.proof.proof import ANY, Interval, Marginal
    from pages.ui.proof_view import _marginal_words

    nothing = Interval(float("nan"), float("nan"), float("nan"), 0)
    alone = SimpleNamespace(marginals=[Marginal(ANY, 20, Interval(-0.01, -0.03, 0.01, 5), nothing)])
    assert "No category has enough records" in _marginal_words(alone, 20) and "none less" not in _marginal_words(
        alone, 20
    )
