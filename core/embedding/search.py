"""Finding records: by meaning, by their literal text, or like another record."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.embedding import lexical
from core.embedding.encoders import engine_of, model_path, open_encoder, prompts_of
from core.embedding.light import light_encoder
from core.errors import InputError
from core.workspace import Dataset, Result

SEARCHED = ("prompt", "response", "reasoning", "system")
BLOCK = 65_536
SHARED_WORDS = 0.05  # lexical vectors below this share no word: their similarity is chance


def by_meaning(embed: Result, query: str, limit: int = 50) -> pa.Table:
    """table record_id, score: the records nearest in meaning, cosine similarity in -1..1, higher = nearer.

    The query goes through the encoder of the records. With the default model this needs no torch: about 0.3 s for the first query
    of a process and a few milliseconds after. Errors: InputError when the vectors were given by the user, for nothing can then
    place a query among them. See `meaning_note` for what a screen must say.
    """
    if not query.strip():
        return _hits(embed.table(["record_id"]), np.zeros(0, int), np.zeros(0, np.float32))
    return _nearest(embed, encode_query(embed, query), limit)


def by_example(embed: Result, record_id: str, limit: int = 50, source: Result | None = None) -> pa.Table:
    """table record_id, score: the records most like a record, itself left out.

    `source`: the embedding that the record is in, where that is another set (production) in the same space. Errors: InputError for
    an unknown id.
    """
    home = source or embed
    row = pc.index(home.table(["record_id"]).column(0), record_id).as_py()
    if row < 0:
        raise InputError(
            f"There is no record {record_id} among those that were embedded. Choose a record of this dataset."
        )
    return _nearest(embed, np.asarray(home.array()[row], np.float32), limit, row if source is None else None)


def by_text(
    dataset: Dataset, needle: str, columns: Sequence[str] = SEARCHED, limit: int | None = None, regex: bool = False
) -> pa.Table:
    """table record_id, score: the records that hold the text, upper and lower case alike; score = how often it occurs in them.

    Most occurrences first, then in file order. `regex`: `needle` is an RE2 expression. Errors: InputError for one that RE2 refuses.
    """
    total = np.zeros(dataset.count, np.int64)
    if needle:
        count = pc.count_substring_regex if regex else pc.count_substring
        for name in columns:
            values = dataset.column(name)
            if values.null_count == len(values):
                continue
            try:
                found = count(values.cast(pa.large_string()), needle, ignore_case=True)
            except pa.ArrowInvalid as error:
                raise InputError(
                    f"{needle!r} is no valid search expression: {error}. Search for it literally instead."
                ) from error
            total += pc.fill_null(found, 0).to_numpy().astype(np.int64)
    rows = np.argsort(-total, kind="stable")[: int((total > 0).sum())][:limit]
    ids = dataset.column("record_id").combine_chunks() if len(rows) else pa.array([], pa.string())
    return pa.table({"record_id": ids.take(pa.array(rows, pa.int64())), "score": pa.array(total[rows])})


def encode_query(embed: Result, query: str) -> np.ndarray:
    """(d,) unit vector of a query in the space of a result of `embed`; zero when it holds no known word (lexical)."""
    kind, model = embed.info["kind"], embed.info["model"]
    if kind == "given":
        raise InputError(
            "These vectors were given with the data, so a query cannot be placed among them. Search for the literal text, or embed "
            "with a model."
        )
    if kind == "lexical":
        return _lexical(embed.file("lexical.json"), embed.file("lexical.npz")).transform([query])[0]
    model = engine_of(model)[1]  # one query needs no speed
    folder = model_path(model)
    light = light_encoder(folder) if folder is not None else None
    if light is not None and prompts_of(model) == ("", ""):
        return light.encode(query)
    encoder = open_encoder(model, side="query")
    vector = encoder.vectors(encoder.tokenise([query]), np.zeros(1, int))[0]
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def meaning_note(embed: Result) -> str:
    """What must be said beside a search by meaning: "" for a model, that it compares words for the lexical fallback."""
    return {
        "lexical": lexical.NOTE,
        "given": "Vectors given with the data: only records like another can be found.",
    }.get(embed.info["kind"], "")


@lru_cache(maxsize=1)
def _lexical(words: Path, numbers: Path) -> lexical.Lexical:
    return lexical.load(words, numbers)


def _nearest(embed: Result, vector: np.ndarray, limit: int, leave_out: int | None = None) -> pa.Table:
    vectors = embed.array()
    score = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), BLOCK):
        score[start : start + BLOCK] = vectors[start : start + BLOCK] @ vector
    if leave_out is not None:
        score[leave_out] = -np.inf
    table = embed.table(["record_id", "empty"])
    score[table.column("empty").to_numpy(zero_copy_only=False).astype(bool)] = -np.inf
    if embed.info["kind"] == "lexical":
        score[score < SHARED_WORDS] = -np.inf
    rows = np.argsort(-score, kind="stable") if limit >= len(score) else _top(score, limit)
    rows = rows[np.isfinite(score[rows])]
    return _hits(table, rows, score[rows])


def _top(score: np.ndarray, limit: int) -> np.ndarray:
    rows = np.argpartition(-score, limit)[:limit]
    return rows[np.lexsort((rows, -score[rows]))]


def _hits(table: pa.Table, rows: np.ndarray, score: np.ndarray) -> pa.Table:
    ids = table.column("record_id").combine_chunks().cast(pa.string())
    return pa.table(
        {"record_id": ids.take(pa.array(rows, pa.int64())), "score": pa.array(np.clip(score, -1, 1), pa.float32())}
    )
