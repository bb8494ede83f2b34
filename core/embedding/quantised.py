"""A model run faster on a CPU in eight bits, by OpenVINO or ONNX Runtime, and how far its vectors are from the whole model's.

Written before the model's name: `openvino-int8:all-MiniLM-L6-v2`. Both are optional packages. Only the transformer is replaced;
tokens, pooling and scaling stay those of sentence-transformers. OpenVINO's int8 is calibrated on texts of the data, once for a
workspace: the calibrated model is kept, so that later versions get vectors of the same space.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.embedding.encoders import ENGINES, SentenceEncoder, Tokens, engine_of
from core.errors import InputError

CALIBRATION, SAMPLE, NEAREST = 200, 300, 10


def check_installed(engine: str) -> None:
    """Errors: InputError that names the packages which are missing."""
    import importlib.util

    missing = [name for name in ENGINES[engine][1] if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"{ENGINES[engine][0]} needs {' and '.join(missing)}, not installed here. Run `pip install {' '.join(missing)}`, or "
            "name the model without it."
        )


class QuantisedEncoder(SentenceEncoder):
    """As SentenceEncoder, its transformer replaced by a compiled one from `folder`, made there from `texts` when it is not yet."""

    def __init__(self, name: str, folder: Path, texts: Sequence[str]):
        engine, base = engine_of(name)
        check_installed(engine)
        super().__init__(base, "cpu")
        if self._tokenizer is None:
            raise InputError(
                f"{base} is no plain transformer with a fast tokenizer, which {ENGINES[engine][0]} needs here."
            )
        self.whole = SentenceEncoder.vectors  # the model as it is, for the comparison
        path = folder / f"{engine}-{self.revision}"
        if not (path / "done").is_file():
            path.mkdir(parents=True, exist_ok=True)
            some = _spaced(texts, CALIBRATION)
            MAKE[engine](self, path, self.tokenise(some or ["empty"]))
            (path / "done").write_text(name, "utf-8")
        digest = hashlib.blake2b(digest_size=4)
        for file in sorted(p for p in path.iterdir() if p.suffix in (".bin", ".onnx", ".xml")):
            digest.update(file.read_bytes())
        self._transformer: Callable[[dict[str, np.ndarray]], np.ndarray] = OPEN[engine](path)
        self.name, self.revision = name, f"{self.revision}-{engine}-{digest.hexdigest()}"

    def vectors(self, tokens: Tokens, rows: np.ndarray) -> np.ndarray:
        import torch

        features = self._features(tokens, rows)
        given = {
            name: features[name].numpy()
            for name in ("input_ids", "attention_mask", "token_type_ids")
            if name in features
        }
        features["token_embeddings"] = torch.from_numpy(np.array(self._transformer(given), np.float32))
        with torch.inference_mode():
            for module in list(self.model)[1:]:
                features = module(features)
        return features["sentence_embedding"].numpy()


def fidelity(encoder: QuantisedEncoder, texts: Sequence[str]) -> dict[str, Any]:
    """How near the vectors are to the whole model's, on up to 300 of these texts: engine, sample, mean_cosine, min_cosine, and
    overlap_at_10, the share of each text's 10 nearest in the sample that are the same (1 = all).
    """
    some = _spaced(texts, SAMPLE)
    tokens = encoder.tokenise(some)
    order = np.argsort(-tokens.kept, kind="stable")
    parts = [order[start : start + 8] for start in range(0, len(order), 8)]
    ours, theirs = np.zeros((2, len(some), encoder.dimension), np.float32)
    for part in parts:
        ours[part] = encoder.vectors(tokens, part)
        theirs[part] = encoder.whole(encoder, tokens, part)
    return {"engine": ENGINES[engine_of(encoder.name)[0]][0]} | likeness(ours, theirs)


def _spaced(texts: Sequence[str], count: int) -> list[str]:
    """Up to `count` of the texts, evenly spaced."""
    places = np.unique(np.linspace(0, len(texts) - 1, min(count, len(texts))).astype(int)) if texts else []
    return [texts[int(place)] for place in places]


def likeness(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """mean_cosine, min_cosine and overlap_at_10 of two sets of vectors of the same texts (N, d)."""
    if not len(ours):
        return {"sample": 0, "mean_cosine": None, "min_cosine": None, "overlap_at_10": None}
    a, b = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) for rows in (ours, theirs))
    cosine = (a * b).sum(1)
    k = min(NEAREST, len(a) - 1)
    overlap = None
    if k > 0:
        near = []
        for rows in (a, b):
            alike = rows @ rows.T
            np.fill_diagonal(alike, -np.inf)
            near.append(np.argsort(-alike, axis=1, kind="stable")[:, :k])
        overlap = round(float(np.mean([len(set(x) & set(y)) / k for x, y in zip(*near, strict=True)])), 4)
    return {
        "sample": len(a), "mean_cosine": round(float(cosine.mean()), 5), "min_cosine": round(float(cosine.min()), 5),
        "overlap_at_10": overlap,
    }  # fmt: skip


def said(facts: dict[str, Any]) -> str:
    """The fidelity in one sentence, for the screen."""
    return (
        f"Vectors by {facts['engine']} instead of the whole model: cosine with it {facts['mean_cosine']:.4f} on average, "
        f"{facts['min_cosine']:.4f} at least, {facts['overlap_at_10'] or 0:.0%} of the 10 nearest the same (measured on "
        f"{facts['sample']} of these texts)."
    )


def _traced(encoder: SentenceEncoder, tokens: Tokens) -> tuple[Any, dict[str, Any]]:
    """The transformer as a function of token ids, mask and types alone, and an example of them."""
    import torch

    example = {
        name: value for name, value in encoder._features(tokens, np.arange(min(2, len(tokens.kept)))).items()
        if name in ("input_ids", "attention_mask", "token_type_ids")
    }  # fmt: skip
    names = list(example)

    class States(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, *given):
            return self.inner(**dict(zip(names, given, strict=True)), return_dict=True).last_hidden_state

    inner = encoder.model[0].auto_model
    if hasattr(inner, "set_attn_implementation"):
        inner.set_attn_implementation("eager")
    return States(inner).eval(), example


def _make_openvino(encoder: SentenceEncoder, path: Path, tokens: Tokens, eight: bool = False) -> None:
    import openvino as ov
    import torch

    states, example = _traced(encoder, tokens)
    with torch.inference_mode():
        made = ov.convert_model(states, example_input=tuple(example.values()))
    for port, name in zip(made.inputs, example, strict=True):
        port.get_tensor().set_names({name})
        port.get_node().set_partial_shape(ov.PartialShape([-1, -1]))
    made.validate_nodes_and_infer_types()
    if eight:
        import nncf

        def given(row: int) -> dict[str, np.ndarray]:
            found = encoder._features(tokens, np.array([row]))
            return {name: found[name].numpy() for name in example}

        rows = nncf.Dataset(range(len(tokens.kept)), given)
        made = nncf.quantize(made, rows, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(tokens.kept))
    ov.save_model(made, path / "model.xml", compress_to_fp16=False)


def _open_openvino(path: Path) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    import openvino as ov

    compiled = ov.Core().compile_model(path / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda given: compiled(given)[0]


def _make_onnx(encoder: SentenceEncoder, path: Path, tokens: Tokens) -> None:
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    states, example = _traced(encoder, tokens)
    names = list(example)
    axes = {name: {0: "texts", 1: "tokens"} for name in [*names, "states"]}
    torch.onnx.export(
        states, tuple(example.values()), str(path / "whole.onnx.part"), input_names=names, output_names=["states"],
        dynamic_axes=axes, dynamo=False, opset_version=17,
    )  # fmt: skip
    quantize_dynamic(path / "whole.onnx.part", path / "model.onnx", weight_type=QuantType.QInt8, per_channel=True)
    (path / "whole.onnx.part").unlink()


def _open_onnx(path: Path) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path / "model.onnx"), providers=["CPUExecutionProvider"])
    return lambda given: session.run(["states"], given)[0]


MAKE: dict[str, Callable[..., None]] = {
    "openvino": _make_openvino,
    "openvino-int8": lambda encoder, path, tokens: _make_openvino(encoder, path, tokens, eight=True),
    "onnx-int8": _make_onnx,
}
OPEN = {"openvino": _open_openvino, "openvino-int8": _open_openvino, "onnx-int8": _open_onnx}
