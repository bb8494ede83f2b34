"""Leakage: training records that stand, exactly or nearly, in what a model is judged by: validation, gold, a benchmark file.

A training record leaks into a set when its text is equal to one there (canonical text), or at or over the threshold similar to one:
by embedding (cosine), by words (Jaccard of shingles), as `by` says. Every pair is compared; kept is, of each record on either side,
the nearest on the other, so both thresholds can slide over the stored result. Production is compared too, but not counted as leakage
unless `counted` names it: training on prompts like those of production is the aim, judging by the same ones is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.embedding import lexical
from core.embedding.encode import Known, embed_texts
from core.embedding.encoders import open_encoder
from core.embedding.texts import text_key, texts_of
from core.errors import InputError, MissingInput
from core.progress import part, silent
from core.quality.duplicates import digests, embedded_texts
from core.quality.pairs import Pairs, cross_pairs_over
from core.quality.shingles import cross_shingle_pairs
from core.workspace import Dataset, Inputs, Output, Result

BY = ("embedding", "words", "both")
ROLES = ("validation", "gold", "production")
DEFAULTS: dict[str, Any] = {
    "threshold": 0.92,
    "floor": 0.80,
    "words": 0.6,
    "words_floor": 0.4,
    "limit": 5_000_000,
    "by": "embedding",
    "files": [],  # benchmark files, by path
    "counted": ["validation", "gold", "files"],
}
OTHERS = "others.parquet"


@dataclass(frozen=True)
class Other:
    """A set that training is held against."""

    name: str  # the role, or the name of the file
    role: str
    data: Dataset


def fingerprint(params: Mapping[str, Any]) -> str:
    """What the benchmark files are now, by size and time of change."""
    found = [Path(file).expanduser() for file in params["files"]]
    return " ".join(f"{p}:{p.stat().st_size}:{p.stat().st_mtime_ns}" for p in found if p.is_file())


def run(inputs: Inputs) -> Output:
    """Step `leakage`: side ("training", "other"), set, record_id, nearest_id, similarity, word_id, words, exact; a row for each
    record and set with anything over a floor on the other side. similarity: cosine to `nearest_id`, words: Jaccard to `word_id`
    (NaN: under the floor or not compared).

    others.parquet: set, record_id, line, prompt, response of those that occur.
    """
    params = DEFAULTS | dict(inputs.params)
    if params["by"] not in BY:
        raise InputError(f"Leakage is looked for by {', '.join(BY)}, not by {params['by']!r}.")
    training, embed = inputs.datasets["training"], inputs.results["embed"]
    what = str(embed.params.get("text", "prompt"))
    strip = bool(embed.params.get("strip_lead", True))
    own_texts, own_ids = texts_of(training, what, strip)[0], training.ids()
    own_keys = digests(embedded_texts(training, what))
    vectors = np.asarray(embed.array())
    others = _others(inputs, params["files"])
    if not others:
        raise MissingInput(
            "There is nothing that training could leak into. Import a validation, gold or production set, or name a benchmark file."
        )
    tables, kept_texts, sets, warnings = [], [], {}, []
    for number, other in enumerate(others):
        here = part(inputs.progress, number / len(others), (number + 1) / len(others))
        texts, ids = texts_of(other.data, what, strip)[0], other.data.ids()
        keys = digests(embedded_texts(other.data, what))
        theirs, why = _vectors(inputs, embed, other, texts, part(here, 0, 0.5))
        if why:
            warnings.append(f"{other.name}: {why}")
        none = Pairs(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), params["floor"])
        near = none
        if theirs is not None:
            near = cross_pairs_over(vectors, theirs, params["floor"], params["limit"], part(here, 0.5, 0.8))
        words = cross_shingle_pairs(own_texts, texts, params["words_floor"], params["limit"], part(here, 0.8, 1.0))
        for pairs, asked, name in ((near, params["floor"], "embedding"), (words, params["words_floor"], "words")):
            if pairs.floor > asked + 1e-9:
                warnings.append(
                    f"{other.name}: so many pairs by {name} that they are known from {pairs.floor:g} upwards only."
                )
        equal = _equal(own_keys, keys)
        left = _side(
            "training", other.name, own_ids, ids, equal, near.left, near.right, near, words.left, words.right, words
        )
        back = {j: i for i, j in reversed(equal.items())} | _equal(keys, own_keys)
        right = _side(
            "other", other.name, ids, own_ids, back, near.right, near.left, near, words.right, words.left, words
        )
        tables += [left, right]
        kept_texts.append(_texts(other, {*right["record_id"].to_pylist(), *left["nearest_id"].to_pylist(),
                                         *left["word_id"].to_pylist()}))  # fmt: skip
        sets[other.name] = {
            "role": other.role, "records": other.data.count, "exact": int(pc.sum(right["exact"]).as_py() or 0),
            "floor": near.floor, "words_floor": words.floor,
            "counted": other.role in params["counted"], "compared": theirs is not None,
        }  # fmt: skip
    table = pa.concat_tables(tables)
    pq.write_table(pa.concat_tables(kept_texts), Path(inputs.files) / OTHERS, compression="zstd")
    info = {
        "sets": sets, "threshold": float(params["threshold"]), "words": float(params["words"]), "by": params["by"], "text": what,
        "warnings": warnings,
    }  # fmt: skip
    info |= counts(table, info)
    inputs.progress(1, 1, f"{info['records']:,} training records leak")
    return Output(table=table, info=info)


def counts(table: pa.Table, info: Mapping[str, Any], gone: set[str] | frozenset[str] = frozenset()) -> dict[str, Any]:
    """{"records": training records that leak into a counted set, "by_set": {set: {"training", "others"}}} at the info's thresholds.

    `gone`: training records that were removed; the records of the other sets they alone touched are still counted as touched when
    another training record that is left touches that set.
    """
    hit = table.filter(pa.array(leaking(table, info["threshold"], info["words"], info["by"])))
    if gone:
        out = pc.and_(
            pc.equal(hit["side"], "training"), pc.is_in(hit["record_id"], pa.array(sorted(gone), pa.string()))
        )
        hit = hit.filter(pc.invert(out))
    sides, names, ids = (hit[c].to_pylist() for c in ("side", "set", "record_id"))
    by_set = {name: {"training": 0, "others": 0} for name in info["sets"]}
    counted: set[str] = set()
    for side, name, record_id in zip(sides, names, ids, strict=True):
        by_set[name]["training" if side == "training" else "others"] += 1
        if side == "training" and info["sets"][name]["counted"]:
            counted.add(record_id)
    for found in by_set.values():
        found["others"] = found["others"] if found["training"] else 0
    return {"records": len(counted), "by_set": by_set}


def leaking(table: pa.Table, threshold: float, words: float, by: str) -> np.ndarray:
    """(rows,) bool: exact, or at or over the threshold of the measure, or of either one (`by` "both")."""
    exact = table["exact"].to_numpy()
    near = np.nan_to_num(table["similarity"].to_numpy(), nan=-1) >= np.float32(threshold)
    alike = np.nan_to_num(table["words"].to_numpy(), nan=-1) >= np.float32(words)
    return exact | (near & (by != "words")) | (alike & (by != "embedding"))


def leaked_ids(result: Result, sets: Sequence[str] | None = None) -> list[str]:
    """The training records that leak into the named sets, or into the counted ones, at the thresholds of a stored result."""
    info, table = result.info, result.table()
    unknown = [name for name in sets or () if name not in info["sets"]]
    if unknown:
        raise InputError(f"Training was not held against {unknown[0]!r}; it was against {', '.join(info['sets'])}.")
    chosen = list(sets) if sets else [name for name, one in info["sets"].items() if one["counted"]]
    hit = leaking(table, info["threshold"], info["words"], info["by"])
    mine = pc.and_(pc.equal(table["side"], "training"), pc.is_in(table["set"], pa.array(chosen, pa.string())))
    return list(dict.fromkeys(table["record_id"].filter(pc.and_(mine, pa.array(hit))).to_pylist()))


def _others(inputs: Inputs, files: Sequence[str]) -> list[Other]:
    found = [Other(role, role, inputs.datasets[role]) for role in ROLES if role in inputs.datasets]
    names = set(ROLES)
    for number, file in enumerate(files):
        from core.dataset.importing import import_file

        path = Path(file).expanduser()
        if not path.is_file():
            raise InputError(f"The benchmark file {file} is not there. Correct the path, or take it out of `files`.")
        folder = Path(inputs.scratch) / f"file-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        facts = import_file(path, folder, "production", progress=silent)
        name = path.name if path.name not in names else f"{path.name} ({number + 1})"
        names.add(name)
        data = Dataset(
            folder, "production", path.name, facts["digest"], facts["count"], facts["mapping"], facts["report"], ""
        )
        found.append(Other(name, "files", data))
    return [other for other in found if other.data.count]


def _vectors(inputs: Inputs, embed: Result, other: Other, texts: list[str], progress) -> tuple[np.ndarray | None, str]:
    """The unit rows of another set in the space of training, or None and why there are none."""
    known = inputs.results.get(f"embed:{other.role}")
    if known is not None:
        theirs = np.asarray(known.array())
        same = known.info.get("revision") == embed.info.get("revision") and known.info.get("text") == embed.info.get(
            "text"
        )
        return (theirs, "") if same else (None, "embedded in another way than training, so only words were compared.")
    kind = embed.info.get("kind")
    if kind == "lexical":
        space = lexical.load(embed.file("lexical.json"), embed.file("lexical.npz"))
        return space.transform(texts), ""
    if kind != "model":
        return (
            None,
            "the vectors of training were given with it, so nothing can be placed among them: only words were compared.",
        )
    encoder = open_encoder(str(embed.params["model"]))
    keys, out = [text_key(text) for text in texts], np.zeros((len(texts), encoder.dimension), np.float32)
    scratch = Path(inputs.scratch) / text_key(other.name)
    scratch.mkdir(parents=True, exist_ok=True)
    embed_texts(encoder, texts, keys, out, Known.of([embed]), scratch, progress, inputs.compute)
    return out, ""


def _equal(left: Sequence[bytes], right: Sequence[bytes]) -> dict[int, int]:
    """Row of `left` -> the first row of `right` with the same digest of its canonical text; texts without a sign are no copies."""
    first: dict[bytes, int] = {}
    for row, key in enumerate(right):
        if key:
            first.setdefault(key, row)
    return {row: first[key] for row, key in enumerate(left) if key in first}


def _side(
    side: str, name: str, ids: list[str], others: list[str], equal: dict[int, int], near: np.ndarray, near_to: np.ndarray,
    pairs: Pairs, word: np.ndarray, word_to: np.ndarray, words: Pairs,
) -> pa.Table:  # fmt: skip
    """A row for each record of one side with a partner over a floor: the nearest by each measure, an equal text first."""
    best: list[dict[int, tuple[int, float]]] = []
    for rows, partners, found in ((near, near_to, pairs), (word, word_to, words)):
        who, at = np.unique(rows, return_index=True)  # pairs fall in similarity: the first of a row is its nearest
        best.append(
            dict(zip(who.tolist(), zip(partners[at].tolist(), found.similarity[at].tolist(), strict=True), strict=True))
        )
    rows = sorted({*best[0], *best[1], *equal})
    for row, partner in equal.items():
        for one in best:
            one[row] = (partner, 1.0)

    def column(which: int) -> tuple[pa.Array, pa.Array]:
        found = [best[which].get(row) for row in rows]
        return (
            pa.array([None if one is None else others[one[0]] for one in found], pa.string()),
            pa.array([np.nan if one is None else one[1] for one in found], pa.float32()),
        )

    (nearest, similarity), (word_id, shared) = column(0), column(1)
    return pa.table(
        {
            "side": pa.array([side] * len(rows), pa.string()), "set": pa.array([name] * len(rows), pa.string()),
            "record_id": pa.array([ids[row] for row in rows], pa.string()), "nearest_id": nearest, "similarity": similarity,
            "word_id": word_id, "words": shared, "exact": pa.array([row in equal for row in rows], pa.bool_()),
        }
    )  # fmt: skip


def _texts(other: Other, ids: set[str | None]) -> pa.Table:
    table = other.data.table(["record_id", "line", "prompt", "response"])
    table = table.filter(pc.is_in(table["record_id"], pa.array(sorted(i for i in ids if i), pa.string())))
    return table.add_column(0, "set", pa.array([other.name] * table.num_rows, pa.string()))
