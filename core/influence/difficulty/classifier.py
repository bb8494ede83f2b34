"""The step `classifier`: difficulty as a sequence classifier of the user's own sees it, for example DIQ's fine-tuned BiomedBERT.

Levels come from the label names (`id2label`): each must hold one number ("3", "level 3", "LABEL_2"), be a word of WORDS, or be mapped
by the parameter `levels`. The score is the expected level; a model with a single output gives that output itself.
"""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import InputError, MissingInput
from core.influence import models
from core.influence.chunks import run_batches
from core.workspace import Inputs, Output, digest_of

DEFAULTS: dict[str, Any] = {
    "model": "",  # folder with config.json, safetensors and a tokenizer
    "levels": {},  # {label: level}; {} = from the names of the labels
    "text": "prompt",  # prompt, response or both
    "max_length": 512,
    "batch_tokens": 4096,
    "device": "auto",
    "dtype": "auto",
}
NUMBER = re.compile(r"(?:(?<![A-Za-z])-)?\d+(?:\.\d+)?")
WORDS = {
    "very easy": 1,
    "easy": 2,
    "medium": 3,
    "moderate": 3,
    "hard": 4,
    "difficult": 4,
    "very hard": 5,
    "very difficult": 5,
}


def fingerprint(params: Mapping[str, Any]) -> str:
    """Changes with the files of the folder; MissingInput where no folder is named."""
    if not params["model"]:
        raise MissingInput(
            "No classifier is named. Give the folder of a sequence classifier (parameter classifier.model)."
        )
    return models.fingerprint(params["model"])


def level_values(labels: Mapping[int, str], given: Mapping[str, Any]) -> np.ndarray:
    """(K,) level of each output, in its order. Errors: InputError when a label tells no level, or two have the same."""
    found = []
    for k in range(len(labels)):
        name = str(labels[k])
        if given:
            if name not in given:
                raise InputError(
                    f"The label {name!r} of the classifier has no level. Map each of {', '.join(map(str, labels.values()))}."
                )
            value = given[name]
        else:
            numbers = NUMBER.findall(name)
            value = WORDS.get(name.strip().lower().replace("_", " "), numbers[0] if len(numbers) == 1 else None)
        try:
            found.append(float(value))
        except (TypeError, ValueError):
            raise InputError(
                f"The label {name!r} of the classifier tells no level. Map every label to one (parameter classifier.levels)."
            ) from None
    if len(set(found)) < len(found) or not np.isfinite(found).all():
        raise InputError(
            f"The labels of the classifier give the levels {found}: each needs one of its own. Map them by hand."
        )
    return np.array(found)


def load(folder: str, device: str, dtype: str) -> tuple[Any, Any, str, str]:
    """(model, tokenizer, device, dtype) from a local folder of safetensors, none of whose code is run. Errors: InputError."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    models.hush()
    place = Path(folder).expanduser()
    if not (place / "config.json").is_file():
        raise InputError(
            f"{place} holds no config.json, so it is no transformers model. Give the folder that holds it."
        )
    if not list(place.glob("*.safetensors")):
        raise InputError(
            f"{place} holds no .safetensors weights (other formats can run code). Convert the model first."
        )
    device, dtype = models.choose_device(device, dtype)
    try:
        module, report = AutoModelForSequenceClassification.from_pretrained(
            str(place), dtype=getattr(torch, dtype), use_safetensors=True, local_files_only=True, trust_remote_code=False,
            output_loading_info=True,
        )  # fmt: skip
        tokenizer = AutoTokenizer.from_pretrained(str(place), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, ImportError, RuntimeError, KeyError, TypeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"{place} cannot be loaded as a sequence classifier ({reason}). Check its files.") from error
    missing = sorted(report.get("missing_keys") or ())
    if missing:
        raise InputError(
            f"{place} lacks {len(missing)} weights of a classifier (first: {missing[0]}); they would be random. Give a fine-tuned one."
        )
    return module.requires_grad_(False).eval().to(device), tokenizer, device, dtype


def run(inputs: Inputs) -> Output:
    """table: record_id, level (expected, higher = harder; the raw output of a model with one), sd (in levels), tokens, truncated."""
    params, data, started = inputs.params, inputs.datasets["training"], time.monotonic()
    if params["text"] not in ("prompt", "response", "both"):
        raise InputError(f"text={params['text']!r} is not known; choose prompt, response or both.")
    inputs.progress(0, 0, "loading the classifier")
    module, tokenizer, device, dtype = load(params["model"], params["device"], params["dtype"])
    labels = {int(k): v for k, v in module.config.id2label.items()}
    single = len(labels) == 1
    levels = np.zeros(1) if single else level_values(labels, params["levels"])
    limit = min(int(params["max_length"]), models.positions(module.config))
    prompts, responses = (pc.fill_null(data.column(c), "").to_pylist() for c in ("prompt", "response"))
    first = responses if params["text"] == "response" else prompts
    second = responses if params["text"] == "both" else None
    encoded = tokenizer(first, second, truncation=True, max_length=limit, verbose=False)
    lengths = np.array([len(i) for i in encoded["input_ids"]], np.int64)
    full = np.array([len(i) for i in tokenizer(first, second, truncation=False, verbose=False)["input_ids"]], np.int64)
    order = np.argsort(lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * lengths[order[stop]] <= int(params["batch_tokens"]):
            stop += 1
        batches.append(order[start:stop])
        start = stop
    label = digest_of(
        models.weights_digest(Path(params["model"]).expanduser()), str(batches and len(batches)), data.digest, dtype
    )[:12]

    def work(rows: np.ndarray) -> dict[str, np.ndarray]:
        return _scores(module, tokenizer, encoded, rows, levels, single, device)

    values, rate = run_batches(inputs.scratch, label, batches, lengths, work, ("level", "sd"), inputs.progress)
    cut = int((full > lengths).sum())
    table = pa.table(
        {
            "record_id": data.ids(),
            "level": values["level"],
            "sd": values["sd"],
            "tokens": full.astype(np.int32),
            "truncated": full > lengths,
        }
    )
    info = {
        "model": params["model"], "revision": models.weights_digest(Path(params["model"]).expanduser()),
        "architecture": type(module).__name__, "labels": {str(labels[k]): float(levels[k]) for k in range(len(levels))},
        "score": "the model's single output" if single else "expected level", "text": params["text"], "device": device, "dtype": dtype,
        "truncated": cut, "tokens_per_second": round(rate), "seconds": round(time.monotonic() - started, 1),
        "warnings": [f"{cut:,} of {data.count:,} texts were cut at {limit} tokens."] if cut else [],
        "note": f"{'output' if single else 'expected level'} of {Path(params['model']).name}",
    }  # fmt: skip
    return Output(table=table, info=info)


def _scores(
    module: Any, tokenizer: Any, encoded: Any, rows: np.ndarray, levels: np.ndarray, single: bool, device: str
) -> dict[str, np.ndarray]:
    import torch

    some = {name: [encoded[name][i] for i in rows] for name in encoded}
    batch = tokenizer.pad(some, padding=True, return_tensors="pt").to(device)
    with torch.inference_mode():
        logits = module(**batch).logits.double().cpu().numpy()
    if single:
        return {"level": logits[:, 0], "sd": np.zeros(len(rows))}
    chances = np.exp(logits - logits.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    expected = chances @ levels
    return {"level": expected, "sd": np.sqrt(np.maximum(chances @ levels**2 - expected**2, 0))}
