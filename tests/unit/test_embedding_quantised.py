"""Eight bits: the engine in a model's name, what is missing said, likeness by hand, and the step with a stand-in engine."""

import importlib.util

import numpy as np
import pytest

from core.embedding import encode, quantised
from core.embedding.encoders import DEFAULT_MODEL, engine_of, open_encoder
from core.errors import InputError
from tests.embedding_data import computed, dataset, workspace

TEXTS = [
    "chest pain after exercise",
    "a cough for three weeks",
    "knee pain when climbing stairs",
    "shortness of breath at night",
]


def test_the_engine_stands_before_the_model():
    assert engine_of("openvino-int8:some/model") == ("openvino-int8", "some/model")
    assert engine_of("column:vector") == ("", "column:vector") and engine_of("C:/models/x") == ("", "C:/models/x")
    assert engine_of(DEFAULT_MODEL) == ("", DEFAULT_MODEL)


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs openvino and nncf.*pip install openvino nncf"):
        quantised.check_installed("openvino-int8")


def test_likeness_by_hand():
    a = np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32)
    assert quantised.likeness(a, 2 * a) == {"sample": 3, "mean_cosine": 1.0, "min_cosine": 1.0, "overlap_at_10": 1.0}
    turned = np.array([[0.8, 0.6], [0.8, 0.6], [0, 1]], np.float32)
    found = quantised.likeness(a, turned)
    assert found["mean_cosine"] == pytest.approx(2.8 / 3, abs=1e-5) and found["min_cosine"] == pytest.approx(0.8)
    assert quantised.likeness(a[:0], a[:0])["sample"] == 0 and quantised.likeness(a[:1], a[:1])["overlap_at_10"] is None
    assert "0.9333 on average" in quantised.said(found | {"engine": "X"})


@pytest.fixture
def stand_in(monkeypatch):
    """An engine that runs the transformer itself and blurs what comes out: all but the compiled library."""
    made = []

    def make(encoder, path, tokens):
        made.append(len(tokens.kept))
        (path / "model.onnx").write_bytes(b"weights")

    def opened(path):
        import torch

        inner = open_encoder().model[0].auto_model
        random = np.random.default_rng(0)

        def run(given):
            with torch.inference_mode():
                states = inner(
                    **{name: torch.from_numpy(value) for name, value in given.items()}
                ).last_hidden_state.numpy()
            return states + 0.02 * random.standard_normal(states.shape).astype(np.float32)

        return run

    monkeypatch.setattr(quantised, "check_installed", lambda engine: None)
    monkeypatch.setitem(quantised.MAKE, "onnx-int8", make)
    monkeypatch.setitem(quantised.OPEN, "onnx-int8", opened)
    return made


def test_step_shows_its_fidelity_and_keeps_the_calibrated_model(tmp_path, stand_in):
    space = workspace(tmp_path)
    params = encode.DEFAULTS | {"model": f"onnx-int8:{DEFAULT_MODEL}"}
    data = dataset(space, [f"{text}, case {n}" for n in range(4) for text in TEXTS])
    result = computed(space, "embed", encode.run, params, [data])
    faith = result.info["fidelity"]
    assert (
        faith["sample"] == 16
        and 0.9 < faith["min_cosine"] <= faith["mean_cosine"] < 1
        and 0.5 < faith["overlap_at_10"] <= 1
    )
    assert "instead of the whole model" in " ".join(result.info["warnings"])
    assert "-onnx-int8-" in result.info["revision"] and np.allclose(
        np.linalg.norm(result.array(), axis=1), 1, atol=1e-5
    )
    more = dataset(space, [f"{text}, case {n}" for n in range(5) for text in TEXTS])
    later = computed(space, "embed", encode.run, params, [more])
    assert stand_in == [16]  # calibrated once
    assert (
        later.info["reused"] == 16 and later.info["embedded"] == 4 and later.info["revision"] == result.info["revision"]
    )


@pytest.mark.parametrize("engine", ["openvino-int8", "onnx-int8"])
def test_the_real_engine_comes_near_the_whole_model(tmp_path, engine):
    for package in quantised.ENGINES[engine][1]:
        pytest.importorskip(package)
    encoder = quantised.QuantisedEncoder(f"{engine}:{DEFAULT_MODEL}", tmp_path, TEXTS)
    assert quantised.fidelity(encoder, TEXTS)["min_cosine"] > 0.9
