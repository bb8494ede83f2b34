"""The default model in plain NumPy, for one query at a time: ready in a quarter of a second where torch takes four."""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np


@lru_cache(maxsize=1)
def light_encoder(folder: Path) -> "LightBert | None":
    """A NumPy encoder for a BERT model with mean pooling and unit vectors (as the default is); None for any other model."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        modules = [m["type"].rsplit(".", 1)[-1] for m in json.loads((folder / "modules.json").read_text("utf-8"))]
        pooling = json.loads((folder / "1_Pooling" / "config.json").read_text("utf-8"))
        limit = json.loads((folder / "sentence_bert_config.json").read_text("utf-8"))["max_seq_length"]
    except (OSError, ValueError, KeyError):
        return None
    mean_only = (
        pooling.get("pooling_mode_mean_tokens") and sum(v is True for k, v in pooling.items() if "mode" in k) == 1
    )
    plain = config.get("model_type") == "bert" and config.get("hidden_act") == "gelu"
    if not (mean_only and plain and modules == ["Transformer", "Pooling", "Normalize"] and limit):
        return None
    return LightBert(folder, config, limit)


class LightBert:
    def __init__(self, folder: Path, config: dict, limit: int):
        from safetensors.numpy import load_file
        from threadpoolctl import ThreadpoolController
        from tokenizers import Tokenizer

        self.threads = ThreadpoolController()
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(limit)
        self.tokenizer.no_padding()
        weights = load_file(folder / "model.safetensors")
        self.weights = {name.removeprefix("bert."): value for name, value in weights.items()}
        self.layers, self.heads = config["num_hidden_layers"], config["num_attention_heads"]
        self.eps = config["layer_norm_eps"]

    def encode(self, text: str) -> np.ndarray:
        """(d,) float32 unit vector, equal to the model's own to rounding."""
        # So small a product is quickest on one core, and a second thread may wait long for a core on a busy machine.
        with self.threads.limit(limits=1, user_api="blas"):
            return self._encode(text)

    def _encode(self, text: str) -> np.ndarray:
        from scipy.special import erf

        ids = self.tokenizer.encode(text).ids
        w = self.weights

        def linear(x: np.ndarray, name: str) -> np.ndarray:
            return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

        def norm(x: np.ndarray, name: str) -> np.ndarray:
            x = x - x.mean(1, keepdims=True)
            return x / np.sqrt((x * x).mean(1, keepdims=True) + self.eps) * w[f"{name}.weight"] + w[f"{name}.bias"]

        x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
        x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for n in range(self.layers):
            name = f"encoder.layer.{n}"
            q, k, v = (
                linear(x, f"{name}.attention.self.{part}").reshape(len(ids), self.heads, -1).swapaxes(0, 1)
                for part in ("query", "key", "value")
            )
            scores = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[2])
            scores = np.exp(scores - scores.max(2, keepdims=True))
            mixed = (scores / scores.sum(2, keepdims=True)) @ v
            mixed = linear(mixed.swapaxes(0, 1).reshape(len(ids), -1), f"{name}.attention.output.dense")
            x = norm(x + mixed, f"{name}.attention.output.LayerNorm")
            inner = linear(x, f"{name}.intermediate.dense")
            inner = inner * 0.5 * (1 + erf(inner / np.float32(np.sqrt(2))))
            x = norm(x + linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        mean = x.mean(0)
        return (mean / np.linalg.norm(mean)).astype(np.float32)
