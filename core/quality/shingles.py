"""All pairs of texts that share most of their shingles, exactly: Jaccard similarity of the sets of neighbouring words.

A shingle is a pair of neighbouring words (a text begins and ends with a mark of its own), in scripts without spaces a pair of
neighbouring characters; case and white space do not count. J(A, B) = |A and B| / |A or B|. Two sets with J >= t share at least
one of the rarest |A| - ceil(t |A|) + 1 shingles of each (Chaudhuri et al. 2006, prefix filter), so only texts that share a rare
shingle are compared: nothing is sampled or hashed into buckets, as MinHash does, and no pair is missed.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from core.embedding.words import is_spaceless, tokens
from core.errors import InputError
from core.progress import Progress, silent
from core.quality.pairs import Pairs

FLOORS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
"""Where the floor goes when there are more pairs than `limit`: up to the next of these, and the result says so."""
ROWS = 2_000
CANDIDATES = 4_000_000  # pairs that are compared at once


def shingles(text: str) -> list[str]:
    """The distinct shingles of a text, in the order in which they appear; none for a text without a word."""
    words: list[str] = []
    for token in tokens(text.casefold()):
        words += token if is_spaceless(token) else (token,)
    if not words:
        return []
    return list(dict.fromkeys(f"{a}\0{b}" for a, b in zip(["", *words], [*words, ""], strict=True)))


def jaccard(left: str, right: str) -> float:
    """|A and B| / |A or B| of the shingles of two texts, 0..1; 0 when one has none."""
    a, b = set(shingles(left)), set(shingles(right))
    return len(a & b) / len(a | b) if a and b else 0.0


def shingle_pairs(
    texts: Sequence[str], floor: float = 0.5, limit: int = 5_000_000, progress: Progress = silent
) -> Pairs:
    """All pairs i < j of texts with J >= floor; `Pairs.similarity` is J. Read `Pairs.floor`: it is raised over `limit` pairs."""
    return _collect(texts, None, floor, limit, progress)


def cross_shingle_pairs(
    left: Sequence[str],
    right: Sequence[str],
    floor: float = 0.5,
    limit: int = 5_000_000,
    progress: Progress = silent,
) -> Pairs:
    """All pairs (row of `left`, row of `right`) with J >= floor."""
    return _collect(left, right, floor, limit, progress)


def _collect(left: Sequence[str], right: Sequence[str] | None, floor: float, limit: int, progress: Progress) -> Pairs:
    count = len(left)
    b, numbers, rank = _matrix(left if right is None else right)
    known = {} if right is None else {shingle: int(rank[n]) for shingle, n in numbers.items()}
    del numbers
    size_b = np.diff(b.indptr)
    turned = _prefixes(b, size_b, size_b, floor).T.tocsr()
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    held, asked = 0, floor
    for start in range(0, count, ROWS):
        progress(start, count, f"comparing words, {held:,} pairs so far")
        if right is None:
            a, size_a = b[start : start + ROWS], size_b[start : start + ROWS]
        else:
            a, size_a = _known_of(left[start : start + ROWS], known)
        block = (_prefixes(a, np.diff(a.indptr), size_a, asked) @ turned).tocoo()
        i, j = block.row.astype(np.int64) + start, block.col.astype(np.int64)
        one, two = size_a[i - start], size_b[j]
        near = (np.minimum(one, two) >= floor * np.maximum(one, two) - 1e-9) & ((j > i) if right is None else True)
        i, j = i[near], j[near]
        for at in range(0, len(i), CANDIDATES // 20):
            some = slice(at, at + CANDIDATES // 20)
            shared = np.asarray(a[i[some] - start].multiply(b[j[some]]).sum(1)).ravel()
            similarity = (shared / (size_a[i[some] - start] + size_b[j[some]] - shared)).astype(np.float32)
            keep = similarity >= np.float32(floor)
            found.append((i[some][keep], j[some][keep], similarity[keep]))
            held += int(keep.sum())
        while held > limit:
            higher = next((f for f in FLOORS if f > floor + 1e-9), None)
            if higher is None:
                raise InputError(f"More than {limit:,} pairs of texts have the same words. Deduplicate the set first.")
            floor = higher
            found = [tuple(part[s >= np.float32(floor)] for part in (i, j, s)) for i, j, s in found]
            held = sum(len(i) for i, _, _ in found)
    progress(count, count, f"{held:,} pairs")
    if not found:
        found = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))]
    i, j, s = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((j, i, -s))
    return Pairs(i[order].astype(np.int32), j[order].astype(np.int32), s[order], floor)


def _matrix(texts: Sequence[str]):
    """(N, V) sparse 0/1 int32 matrix of the shingles of each text, columns from the rarest shingle to the most common;
    {shingle: number}; and (V,) the column of each number."""
    from scipy.sparse import csr_array

    known: dict[str, int] = {}
    columns: list[np.ndarray] = []
    starts = np.zeros(len(texts) + 1, np.int64)
    for row, text in enumerate(texts):
        part = [known.setdefault(shingle, len(known)) for shingle in shingles(text)]
        columns.append(np.array(part, np.int32))
        starts[row + 1] = starts[row] + len(part)
    indices = np.concatenate(columns) if columns else np.zeros(0, np.int32)
    held = np.bincount(indices, minlength=len(known))
    rank = np.empty(len(known), np.int32)
    rank[np.argsort(held, kind="stable")] = np.arange(len(known), dtype=np.int32)
    made = csr_array((np.ones(len(indices), np.int32), rank[indices], starts), shape=(len(texts), max(1, len(known))))
    made.sort_indices()
    return made, known, rank


def _known_of(texts: Sequence[str], known: Mapping[str, int]):
    """As `_matrix`, of the shingles that are in `known` alone; and (N,) how many each text has in all.

    What the other side never says is shared with nothing: it counts as rarer than all, and needs no column.
    """
    from scipy.sparse import csr_array

    columns, starts, sizes = [], np.zeros(len(texts) + 1, np.int64), np.zeros(len(texts), np.int64)
    for row, text in enumerate(texts):
        every = shingles(text)
        part = [known[shingle] for shingle in every if shingle in known]
        columns.append(np.array(part, np.int32))
        starts[row + 1], sizes[row] = starts[row] + len(part), len(every)
    indices = np.concatenate(columns) if columns else np.zeros(0, np.int32)
    made = csr_array((np.ones(len(indices), np.int32), indices, starts), shape=(len(texts), max(1, len(known))))
    made.sort_indices()
    return made, sizes


def _prefixes(whole, held: np.ndarray, sizes: np.ndarray, floor: float):
    """The rarest |A| - ceil(floor |A|) + 1 shingles of each row, |A| its `sizes`; those without a column come first."""
    from scipy.sparse import csr_array

    length = np.where(sizes > 0, sizes - np.ceil(floor * sizes - 1e-9).astype(np.int64) + 1, 0)
    length = np.clip(length - (sizes - held), 0, held)
    keep = np.arange(len(whole.indices)) - np.repeat(whole.indptr[:-1], held) < np.repeat(length, held)
    starts = np.concatenate([[0], np.cumsum(length)])
    return csr_array((np.ones(int(length.sum()), np.int32), whole.indices[keep], starts), shape=whole.shape)
