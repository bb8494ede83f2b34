"""Exact and near-duplicates, by embedding and by words, in groups whose threshold can slide without computing anything again.

A near-duplicate is a pair with cosine similarity at or over the threshold. Groups are by linkage: A like B and B like C puts all
three in one group, also when A and C are less alike. Exact duplicates (equal canonical text) always share a group: the first
stands for its copies in the search, and each copy is paired with it at similarity 1.
"""

import unicodedata
from array import array
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.embedding.texts import texts_of
from core.errors import InputError
from core.progress import part
from core.quality.columns import room, slices
from core.quality.pairs import Pairs, pairs_over, read
from core.quality.shingles import shingle_pairs
from core.workspace import Dataset, Inputs, Output, Result

DEFAULTS = {"threshold": 0.92, "floor": 0.80, "limit": 5_000_000, "rating": None}
WORDS_DEFAULTS = {"threshold": 0.6, "floor": 0.4, "limit": 5_000_000, "rating": None, "text": "prompt"}
PAIRS = "pairs.parquet"
HAND = "duplicates.keepers"  # setting of the workspace: ids of the records that readers chose to keep


def canonical_text(text: str) -> str:
    """Text with composed characters, single spaces and no case: equal canonical text is an exact duplicate."""
    return " ".join(unicodedata.normalize("NFC", text).split()).casefold()


def digests(texts: Iterable[str | None]) -> list[bytes]:
    """16 bytes for each text, equal where the canonical texts are equal; none for a text without a sign."""
    return list(map(_digest, texts))


def _digest(text: str | None) -> bytes:
    key = canonical_text(text or "").encode("utf-8", "surrogatepass")
    return blake2b(key, digest_size=16).digest() if key else b""


def first_copies(texts: Iterable[str | None]) -> np.ndarray:
    """(N,) position of the first text with the same canonical text; its own position where the text is new or empty."""
    seen: dict[bytes, int] = {}
    first = array("q")
    for i, text in enumerate(texts):
        key = _digest(text)  # the texts themselves would together be as large as the file
        first.append(seen.setdefault(key, i) if key else i)
    return np.array(first, dtype=np.int64)


def groups(pairs: Pairs, threshold: float, count: int) -> np.ndarray:
    """(count,) int32 group of each record at the threshold, -1 for none; numbered by first member. Errors: under the floor."""
    label = np.full(count, -1, dtype=np.int32)
    near = pairs.over(threshold)
    if not len(near):
        return label
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    members = np.unique(np.concatenate([near.left, near.right]))
    left, right = np.searchsorted(members, near.left), np.searchsorted(members, near.right)
    graph = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(len(members),) * 2)
    component = connected_components(graph, directed=False)[1]
    first = np.unique(component, return_index=True)[1]
    rank = np.empty(len(first), dtype=np.int32)
    rank[np.argsort(first)] = np.arange(len(first))
    label[members] = rank[component]
    return label


def keepers(label: np.ndarray, length: np.ndarray, rating: np.ndarray | None = None) -> np.ndarray:
    """(N,) True for the records that stay: all outside groups, and of each group the one with the longest reasoning and
    response; among equals the highest rated (an absent rating, nan, is the lowest); among equals the first."""
    rated = np.zeros(len(label)) if rating is None else np.nan_to_num(rating, nan=-np.inf)
    order = np.lexsort((np.arange(len(label)), -rated, -length, label))
    best = np.ones(len(label), dtype=bool)
    best[1:] = label[order][1:] != label[order][:-1]
    keep = np.zeros(len(label), dtype=bool)
    keep[order[best]] = True
    return keep | (label < 0)


def summary(label: np.ndarray) -> dict:
    """Counts of a grouping: groups, members, the largest group, removable records and their share of all (`ratio`)."""
    sizes = np.unique(label[label >= 0], return_counts=True)[1]
    removable = int(sizes.sum() - len(sizes))
    return {
        "groups": len(sizes),
        "members": int(sizes.sum()),
        "largest": int(sizes.max(initial=0)),
        "removable": removable,
        "ratio": removable / len(label) if len(label) else 0.0,
    }


def load_pairs(result: Result) -> Pairs:
    """The pairs of a stored `duplicates` result, for the live threshold."""
    return read(result.file(PAIRS))


def regroup(
    result: Result, pairs: Pairs, threshold: float, kept: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(group, keeper) of each record of a stored `duplicates` result at another threshold, without computing pairs again.

    `kept` (N,) bool, the records still in the data; the others are in no group, and are not kept.
    """
    table = result.table(["length", "rating"])
    label = groups(pairs, threshold, table.num_rows)
    if kept is not None:
        label = among(label, kept)
    keep = keepers(label, table["length"].to_numpy(), table["rating"].to_numpy())
    return label, keep if kept is None else keep & kept


def among(label: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """(N,) the groups that are left among the kept records: two members or more, their numbers unchanged.

    What a removed record linked stays in one group, or the copies of a text would part when the first of them is removed.
    """
    left = np.where(kept, label, -1)
    size = np.bincount(left[left >= 0], minlength=1)
    return np.where((left >= 0) & (size[left] >= 2), left, -1).astype(np.int32)


def by_hand(label: np.ndarray, keeper: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(N,) keepers where a reader's choice stands: of a group with any `chosen` (N,) bool record, exactly those stay."""
    decided = (label >= 0) & np.isin(label, label[chosen & (label >= 0)])
    return np.where(decided, chosen, keeper)


def ranked(label: np.ndarray) -> list[np.ndarray]:
    """The members (rows) of each group, the largest group first; equal sizes by first member."""
    inside = np.flatnonzero(label >= 0)
    order = inside[np.argsort(label[inside], kind="stable")]
    found = np.split(order, np.flatnonzero(np.diff(label[order])) + 1) if len(order) else []
    return sorted(found, key=len, reverse=True)


def find_pairs(
    vectors: np.ndarray, texts: Iterable[str], floor: float, limit: int, progress, scratch: Path | None = None
) -> tuple[Pairs, np.ndarray]:
    """All pairs among distinct texts, each copy paired with its first at 1; and `first_copies`."""
    first = first_copies(texts)
    distinct = np.flatnonzero(first == np.arange(len(first)))
    some = np.asarray(vectors)
    if len(distinct) < len(first):
        some = room((len(distinct), vectors.shape[1]), scratch, "distinct", vectors.dtype)
        for rows in slices(len(distinct)):
            some[rows] = vectors[distinct[rows]]
    return _with_copies(pairs_over(some, floor, limit, progress), first, distinct), first


def _with_copies(found: Pairs, first: np.ndarray, distinct: np.ndarray) -> Pairs:
    """Pairs among the distinct texts as pairs of records, and each copy with its first at 1."""
    copies = np.flatnonzero(first != np.arange(len(first)))
    left = np.concatenate([first[copies], distinct[found.left]]).astype(np.int32)
    right = np.concatenate([copies, distinct[found.right]]).astype(np.int32)
    similarity = np.concatenate([np.ones(len(copies), np.float32), found.similarity])
    order = np.lexsort((right, left, -similarity))
    return Pairs(left[order], right[order], similarity[order], found.floor)


def _nearest(pairs: Pairs, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(count,) position of the most similar other record (-1: none over the floor) and the similarity (nan)."""
    nearest, similarity = np.full(count, -1, dtype=np.int64), np.full(count, np.nan, dtype=np.float32)
    who = np.stack([pairs.left, pairs.right], axis=1).ravel()
    other = np.stack([pairs.right, pairs.left], axis=1).ravel()
    found, at = np.unique(who, return_index=True)  # the first occurrence is the highest similarity
    nearest[found], similarity[found] = other[at], pairs.similarity[at // 2]
    return nearest, similarity


def embedded_texts(dataset: Dataset, what: str) -> Iterator[str]:
    """The text that an embedding with the parameter text = prompt | response | both stands for, of each record in order."""
    if what in ("prompt", "response"):
        for table in dataset.blocks([what]):
            yield from (text or "" for text in table.column(0).to_pylist())
        return
    for table in dataset.blocks(["prompt", "response"]):
        prompts, responses = (table.column(n).to_pylist() for n in range(2))
        yield from (f"{p or ''}\n{r or ''}".strip() for p, r in zip(prompts, responses, strict=True))


def embedded_text(dataset: Dataset, what: str) -> list[str]:
    """All of `embedded_texts`."""
    return list(embedded_texts(dataset, what))


def _ratings(dataset: Dataset, column: str | None) -> np.ndarray:
    if column is None:
        return np.full(dataset.count, np.nan)
    if column not in dataset.columns:
        raise InputError(
            f"The {dataset.role} data holds no column {column!r} to rate records by; choose one of its columns."
        )
    try:
        return np.asarray(pc.cast(dataset.column(column), pa.float64()).fill_null(np.nan), dtype=np.float64)
    except pa.ArrowInvalid as error:
        raise InputError(
            f"Column {column!r} does not hold numbers throughout ({error}); choose another rating."
        ) from error


def run(inputs: Inputs) -> Output:
    """Step `duplicates`: for each record its group, whether it stays, and its most similar other record.

    `pairs.parquet` beside it holds every pair at or over the floor; `regroup` slides the threshold over it.
    """
    params = DEFAULTS | dict(inputs.params)
    dataset, embed = inputs.datasets["training"], inputs.results["embed"]
    what = str(embed.params.get("text", "prompt"))
    search = part(inputs.progress, 0.05, 0.95)
    pairs, first = find_pairs(
        embed.array(), embedded_texts(dataset, what), params["floor"], params["limit"], search, inputs.scratch
    )
    threshold = max(float(params["threshold"]), pairs.floor)
    warnings = _warnings(params, pairs, threshold) + _cut_warnings(pairs, threshold, embed, what)
    return _grouped(inputs, params, pairs, first, threshold, what, warnings)


def words(inputs: Inputs) -> Output:
    """Step `word_duplicates`: the same by the words of the texts; similarity is the Jaccard similarity of their shingles, 0..1.

    Finds what shares its wording, in any language and with no model; a rewording in other words is for `duplicates` to find.
    """
    params = WORDS_DEFAULTS | dict(inputs.params)
    dataset, what = inputs.datasets["training"], str(params["text"])
    texts = texts_of(dataset, what)[0]
    first = first_copies(embedded_texts(dataset, what))
    distinct = np.flatnonzero(first == np.arange(len(texts)))
    search = part(inputs.progress, 0.05, 0.95)
    found = shingle_pairs([texts[row] for row in distinct], float(params["floor"]), int(params["limit"]), search)
    pairs = _with_copies(found, first, distinct)
    threshold = max(float(params["threshold"]), pairs.floor)
    return _grouped(inputs, params, pairs, first, threshold, what, _warnings(params, pairs, threshold))


def _grouped(
    inputs: Inputs, params: dict, pairs: Pairs, first: np.ndarray, threshold: float, what: str, warnings: list[str]
) -> Output:
    """The output of both steps: pairs into a file, groups at the threshold, and a row a record."""
    dataset = inputs.datasets["training"]
    rating = _ratings(dataset, params["rating"])
    pairs.write(Path(inputs.files) / PAIRS)
    label = groups(pairs, threshold, dataset.count)
    written = [pc.fill_null(pc.utf8_length(dataset.column(name)), 0) for name in ("reasoning", "response")]
    length = pc.add(written[0], written[1]).to_numpy().astype(np.int64)
    nearest, similarity = _nearest(pairs, dataset.count)
    ids = dataset.index.names.array
    whole = first_copies(embedded_texts(dataset, "both"))
    positions = np.arange(dataset.count)
    copy = np.where(whole != positions, "record", np.where(first != positions, "text", None))
    table = pa.table(
        {
            "record_id": ids.cast(pa.string()),
            "group": label,
            "keeper": keepers(label, length, rating),
            "nearest_id": ids.take(pa.array(nearest, mask=nearest < 0)).cast(pa.string()),
            "similarity": pa.array(similarity, from_pandas=True),
            "copy": pa.array(
                copy, pa.string()
            ),  # of an earlier record: "record" (response too), "text" (what was compared)
            "length": length,
            "rating": rating,
        }
    )
    info = summary(label) | {
        "threshold": threshold,
        "floor": pairs.floor,
        "text": what,
        "pairs": len(pairs.over(threshold)),
        "pairs_over_floor": len(pairs),
        "exact_text": int((first != positions).sum()),
        "exact_records": int((whole != positions).sum()),
        "warnings": warnings,
    }
    inputs.progress(1, 1, f"{info['groups']:,} groups")
    return Output(table=table, info=info)


def _warnings(params: dict, pairs: Pairs, threshold: float) -> list[str]:
    said = []
    if pairs.floor > params["floor"] + 1e-9:
        said.append(
            f"There are more than {params['limit']:,} pairs at {params['floor']:g}: pairs are complete from {pairs.floor:g} "
            "upwards, and the threshold goes no lower."
        )
    if threshold > params["threshold"] + 1e-9:
        said.append(f"The threshold asked for, {params['threshold']:g}, is under that; groups are at {threshold:g}.")
    return said


def _cut_warnings(pairs: Pairs, threshold: float, embed: Result, what: str) -> list[str]:
    said = []
    if "truncated" in embed.table().column_names:
        cut = np.asarray(embed.table(["truncated"])["truncated"].fill_null(False))
        near = pairs.over(threshold)
        among = int((cut[near.left] & cut[near.right]).sum())
        if among:
            said.append(
                f"{among:,} pairs are between {what}s that were both cut before embedding: they may differ further on."
            )
    return said
