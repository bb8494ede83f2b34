"""What the classifier of the step `labels` reads: folds that keep copies together, and the words of prompt and answer."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from core.quality.columns import drawn, room
from core.quality.duplicates import canonical_text, embedded_texts
from core.workspace import Dataset

READ = 50_000  # records, at most, that the words and their axes are taken from
AT_ONCE = 8192


@dataclass(frozen=True)
class Texts:
    """The texts of some rows of a dataset, in order, read from disk whenever they are gone through."""

    dataset: Dataset
    what: str  # prompt, response or both
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[str]:
        wanted = np.zeros(self.dataset.count, dtype=bool)
        wanted[self.rows] = True
        for text, asked in zip(embedded_texts(self.dataset, self.what), wanted.tolist(), strict=True):
            if asked:
                yield text


def folds_of(texts: list[str] | Texts, labels: np.ndarray, folds: int = 5, seed: int = 0) -> np.ndarray:
    """(N,) fold of each record, stratified by label; equal canonical texts share one. Independent of the order of the records."""
    key = np.fromiter(
        (
            int.from_bytes(
                hashlib.blake2b(f"{seed}\0{canonical_text(t)}".encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big"
            )
            for t in texts
        ),
        dtype=np.uint64,
        count=len(texts),
    )  # fmt: skip
    distinct, own = np.unique(key, return_inverse=True)
    label = np.full(len(distinct), np.iinfo(np.int64).max)
    np.minimum.at(label, own, labels)
    fold = np.empty(len(distinct), dtype=np.int64)
    fold[np.lexsort((distinct, label))] = np.arange(len(distinct)) % folds  # consecutive texts of one label go round
    return fold[own]


def word_vectors(
    texts: list[str] | Texts, width: int = 100, seed: int = 0, scratch: Path | None = None, read: int = READ
) -> np.ndarray:
    """(N, <= width) float32 unit rows of the words of texts: TF-IDF of the 20,000 most frequent, then SVD; no label is used.

    Beside an embedding of the prompt it lets the classifier see the answer, and words that the embedding blurs. Of more than
    `read` texts the words and their axes are taken from as many, drawn by chance. A large array
    is a file in `scratch`, when it is given.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    every, chosen = len(texts) <= read, set(drawn(len(texts), read, seed).tolist())
    vectoriser = TfidfVectorizer(sublinear_tf=True, min_df=2, max_features=20_000, dtype=np.float32)
    try:
        counts = vectoriser.fit_transform(text for n, text in enumerate(texts) if n in chosen)
    except ValueError:  # no word occurs twice
        return np.zeros((len(texts), 0), dtype=np.float32)
    width = min(width, counts.shape[1] - 1, counts.shape[0] - 1)
    if width < 1:
        return np.zeros((len(texts), 0), dtype=np.float32)
    axes = TruncatedSVD(width, random_state=seed).fit(counts).components_.T.astype(np.float32)
    found, start, left = room((len(texts), width), scratch, "words"), 0, iter(texts)
    while start < len(texts):
        rows = (counts if every else vectoriser.transform(islice(left, AT_ONCE))) @ axes
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        found[start : start + len(rows)] = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 1e-9)
        start += len(rows)
    return found


def names_label(labels: list[str], answers: list[str | None], most: int = 2_000) -> bool:
    """Whether more than half of the answers hold their own label as a word, as in a set made for classification.

    Of more than `most` records, every n-th is looked at.
    """
    step = -(-len(labels) // most)
    some = list(zip(labels, answers, strict=True))[:: max(step, 1)]
    named = sum(
        re.search(rf"(?<!\w){re.escape(canonical_text(label))}(?!\w)", canonical_text(answer or "")) is not None
        for label, answer in some
    )
    return named > len(some) / 2
