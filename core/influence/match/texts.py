"""The texts that the matching head reads, and their vectors: taken over by text from `embed` and from earlier results, or embedded."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.embedding import lexical
from core.embedding.encode import Known, embed_texts
from core.embedding.encoders import DEFAULT_MODEL, default_model_path, open_encoder
from core.embedding.texts import text_key, without_lead
from core.errors import InputError, QuadrantError
from core.influence.encode import TARGETS
from core.influence.match import matching
from core.progress import Progress
from core.workspace import Dataset, Inputs


@dataclass(frozen=True)
class Side:
    """The texts of some records: prompt (shared instruction left out), what the response has to fit, the response."""

    prompts: list[str]
    contexts: list[str]
    responses: list[str]

    @property
    def able(self) -> np.ndarray:
        return np.array([bool(r.strip()) for r in self.responses], bool)


def side(dataset: Dataset, target: str, lead: str) -> Side:
    """The texts of a dataset. target "reasoning+response": the response has to fit prompt and reasoning; "response": the prompt
    alone; "reasoning": the reasoning takes the place of the response."""
    if target not in TARGETS:
        raise InputError(f"target {target!r} is not known; choose {', '.join(TARGETS)}.")
    columns = ([v or "" for v in dataset.column(c).to_pylist()] for c in ("prompt", "reasoning", "response"))
    prompts, reasonings, responses = columns
    prompts = [without_lead(p, lead) for p in prompts] if lead else prompts
    contexts = prompts
    if target == "reasoning+response":
        contexts = [f"{p}\n{t}" if t.strip() else p for p, t in zip(prompts, reasonings, strict=True)]
    return Side(prompts, contexts, reasonings if target == "reasoning" else responses)


def vectors(
    inputs: Inputs, own: Side, other: Side, progress: Progress, keep: bool = True
) -> tuple[tuple[tuple, tuple], dict[str, Any]]:
    """((e, x, r) of training and of validation, facts). With `keep` vectors are stored with the result, for the next run."""
    lists = [own.prompts, own.contexts, own.responses, other.prompts, other.contexts, other.responses]
    texts = [t for one in lists for t in one]
    ends = np.cumsum([len(one) for one in lists])[:-1]
    warnings: list[str] = []
    if default_model_path() is None:
        progress(0, 0, "comparing words")
        space = lexical.fit([*own.prompts, *own.responses])
        found = space.transform(texts)
        tokens = kept = np.array([len(t.split()) for t in texts], np.int32)
        facts = {
            "encoder": "words alone (TF-IDF and SVD)",
            "revision": "lexical-2",
            "max_length": None,
            "reused": 0,
            "resumed": 0,
        }
        warnings.append(
            f"{DEFAULT_MODEL} is not installed, so responses are matched by their words, not their meaning."
        )
        together = None
    else:
        encoder = open_encoder()
        keys = [text_key(t) for t in texts]
        found = np.zeros((len(texts), encoder.dimension), np.float32)
        tokens, kept, counts = embed_texts(
            encoder, texts, keys, found, _known(inputs, encoder.revision), inputs.scratch, progress
        )
        together = _alone(encoder, texts, found)
        if keep:
            _keep(inputs, encoder.revision, keys, found, tokens, kept)
        facts = {"encoder": DEFAULT_MODEL, "revision": encoder.revision, "max_length": encoder.limit} | counts
    read = np.split(tokens, ends)
    lost = [a > b for a, b in zip(read, np.split(kept, ends), strict=True)]
    cut = lost[1] | lost[2]
    if cut.any():
        warnings.append(
            f"{int(cut.sum()):,} of {len(cut):,} records are longer than the {facts['max_length']} tokens that are read of a text."
        )
    parts = np.split(found, ends)
    facts |= {
        "truncated": int(cut.sum()), "cut": cut, "response_tokens": read[2], "together": together, "warnings": warnings,
        "truncation": f"{int(cut.sum()):,} of {len(cut):,} records have a text that was cut at {facts['max_length']} tokens",
        "validation_truncated": int((lost[4] | lost[5]).sum()),
    }  # fmt: skip
    return (tuple(parts[:3]), tuple(parts[3:])), facts


def _alone(encoder: Any, texts: list[str], found: np.ndarray) -> float | None:
    """Largest distance of the vectors of three texts embedded alone from those that were embedded in batches."""
    some = [i for i in np.linspace(0, len(texts) - 1, 9).astype(int) if texts[i].strip()][:3]
    if not some:
        return None
    made = encoder.tokenise([texts[i] for i in some])
    again = np.concatenate([np.asarray(encoder.vectors(made, np.array([k])), np.float64) for k in range(len(some))])
    return float(np.linalg.norm(matching.unit(again) - found[some], axis=1).max())


def _known(inputs: Inputs, revision: str) -> Known:
    """Vectors by text from `embed` and from earlier results of this step."""
    rows: dict[str, tuple[int, int, int, int]] = {}
    arrays: list[np.ndarray] = []
    embedded = [r for n, r in inputs.results.items() if n.startswith("embed") and r.info.get("revision") == revision]
    base = Known.of(embedded)
    rows, arrays = dict(base.rows), list(base.arrays)
    places: list[Callable[[str], Path]] = [r.file for r in inputs.earlier if r.info.get("revision") == revision]
    places += [r.file for n, r in inputs.results.items() if n == "influence" and r.info.get("revision") == revision]
    if inputs.kept is not None:  # earlier results are of the same parameters; vectors do not depend on most of them
        places.append((inputs.kept / revision).joinpath)
    for place in places:
        try:
            table = pq.read_table(place("texts.parquet")).to_pydict()
            array = np.load(place("texts.npy"), mmap_mode="r", allow_pickle=False)
        except (QuadrantError, OSError, ValueError, pa.ArrowInvalid):
            continue
        if len(array) != len(table["key"]):
            continue  # killed between the two files
        for row, key in enumerate(table["key"]):
            rows.setdefault(key, (len(arrays), row, table["tokens"][row], table["kept"][row]))
        arrays.append(array)
    return Known(rows, arrays)


def _keep(
    inputs: Inputs, revision: str, keys: list[str], found: np.ndarray, tokens: np.ndarray, kept: np.ndarray
) -> None:
    """The vectors of all distinct texts, with the result and in the folder that outlives it (one copy, replaced each time)."""
    first = list(dict(zip(reversed(keys), reversed(range(len(keys))), strict=True)).values())
    table = pa.table({"key": [keys[i] for i in first], "tokens": tokens[first], "kept": kept[first]})
    pq.write_table(table, inputs.files / "texts.parquet")
    np.save(inputs.files / "texts.npy", found[first], allow_pickle=False)
    if inputs.kept is not None:
        folder = inputs.kept / revision
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "texts.parquet").unlink(missing_ok=True)  # never the keys of one run beside the vectors of another
        for name in ("texts.npy", "texts.parquet"):
            part = folder / f"{name}.part"
            shutil.copyfile(inputs.files / name, part)
            part.replace(folder / name)
