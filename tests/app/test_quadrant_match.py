"""What the quadrant page says of the matching proxy."""

from core.influence.influence import DEFAULTS
from core.influence.match.step import MATCH_LIMIT
from pages.ui.quadrant_how import facts, limits


def test_the_page_names_the_head_its_space_and_its_loss():
    info = {
        "model": DEFAULTS["model"], "sentence": "A proxy: a matching head.", "parameter_space": "all 385 parameters of the head",
        "loss": "half the squared distance", "truncation": "3 of 9 records have a text that was cut at 256 tokens",
        "target": "reasoning+response", "seconds": 2.5, "scored": 9, "score": "dot product",
    }  # fmt: skip
    said = "\n".join(facts(info))
    assert "all 385 parameters of the head" in said and "half the squared distance; 3 of 9" in said
    assert "tokens per second" not in said and "over the tokens of" not in said


def test_the_default_is_the_matching_proxy_and_says_what_it_cannot_do():
    assert DEFAULTS["model"] == "match" and "wrong ones hardly better than chance" in MATCH_LIMIT


def test_the_advice_follows_the_trials():
    cheap = {
        "model": "some/model",
        "space": "lora",
        "direction_kind": "mean",
        "score": "dot product",
        "warnings": ["A warning."],
    }
    first, advice = limits(cheap)
    assert first == "A warning." and "gradients in LoRA space and held against the mean gradient" in advice
    assert limits(cheap | {"space": "all", "direction_kind": "ggn"}) == ["A warning."]
    assert "LoRA" not in limits(cheap | {"space": "all"})[1], (
        "all parameters against the mean gradient: only that is said"
    )
    assert limits(cheap | {"model": DEFAULTS["model"]}) == ["A warning."], "the matching proxy has no such choice"
