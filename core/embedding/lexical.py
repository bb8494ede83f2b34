"""The lexical fallback: TF-IDF and a truncated SVD. It compares words, not meanings, and is named as such wherever it is used."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.embedding.words import features

MODEL = "lexical"
DIMENSION = 256
SKETCH = 128  # dimensions that hold what the axes leave out
VOCABULARY = 30_000
NOTE = "Lexical vectors (TF-IDF and SVD): they compare words, not meanings."


@dataclass(frozen=True)
class Lexical:
    """A fitted space; new texts are placed in it by `transform`."""

    vocabulary: list[str]
    idf: np.ndarray  # (V,) float32
    components: np.ndarray  # (d, V) float32

    def transform(self, texts: Sequence[str]) -> np.ndarray:
        """(n, d + 128) float32 unit rows; a text without a word has a zero row.

        The axes alone would call a text of unknown words similar to whatever shares its few known ones. So what they leave out,
        unknown words included, is kept as a count sketch (Charikar et al. 2002): cosines stay near those of the full TF-IDF.
        """
        from scipy.sparse import hstack
        from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer

        known = set(self.vocabulary)
        counts = CountVectorizer(analyzer=features, vocabulary=self.vocabulary, dtype=np.float32).transform(texts)

        def rare(text: str) -> list[str]:
            return [f for f in features(text) if f not in known]

        def sketch(analyzer) -> HashingVectorizer:
            return HashingVectorizer(analyzer=analyzer, n_features=SKETCH, norm=None, dtype=np.float32)

        unknown = sketch(rare).transform(texts)
        weighted = _tfidf(hstack([counts, unknown]).tocsr(), np.concatenate([self.idf, np.full(SKETCH, self.rarest)]))
        inside, outside = weighted[:, : len(self.idf)], weighted[:, len(self.idf) :]
        placed = np.asarray(inside @ self.components.T, np.float32)
        buckets = sketch(lambda feature: [feature]).transform(self.vocabulary)
        left = np.asarray((inside @ buckets).toarray() - placed @ (buckets.T @ self.components.T).T + outside.toarray())
        return _unit(np.hstack([placed, left]).astype(np.float32))

    @property
    def rarest(self) -> float:
        """Weight of a feature that the vocabulary lacks: that of its rarest."""
        return float(self.idf.max(initial=1))

    def save(self, folder: Path) -> None:
        (folder / "lexical.json").write_text(json.dumps(self.vocabulary, ensure_ascii=False), "utf-8")
        np.savez(folder / "lexical.npz", idf=self.idf, components=self.components)


def load(words: Path, numbers: Path) -> Lexical:
    """A space saved with a result (lexical.json and lexical.npz)."""
    with np.load(numbers, allow_pickle=False) as arrays:
        return Lexical(json.loads(words.read_text("utf-8")), arrays["idf"], arrays["components"])


def fit(texts: Sequence[str], seed: int = 0) -> Lexical:
    """Learn vocabulary, weights and axes from texts: features seen in two texts at least (in one when there are few texts).

    Term counts are damped (1 + ln n) and weighted by smoothed inverse document frequency; axes are the leading right singular
    vectors, fewer than 256 when the texts span fewer.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.utils.extmath import randomized_svd

    vectorizer = CountVectorizer(
        analyzer=features, min_df=2 if len(texts) >= 50 else 1, max_features=VOCABULARY, dtype=np.float32
    )
    try:
        counts = vectorizer.fit_transform(texts)
    except ValueError:  # no feature at all: every text is empty
        return Lexical(["\0"], np.ones(1, np.float32), np.zeros((1, 1), np.float32))
    held = np.bincount(counts.indices, minlength=counts.shape[1])
    idf = (np.log((1 + len(texts)) / (1 + held)) + 1).astype(np.float32)
    weighted = _tfidf(counts, idf)
    rank = min(DIMENSION, *weighted.shape)
    _, _, axes = randomized_svd(weighted, rank, n_iter=4, random_state=seed)
    return Lexical(vectorizer.get_feature_names_out().tolist(), idf, np.ascontiguousarray(axes, np.float32))


def _tfidf(counts, idf: np.ndarray):
    from scipy.sparse import diags_array

    weighted = counts.tocsr(copy=True).astype(np.float32)
    # Signs stand only in sketched columns; counts are damped alike on both sides.
    weighted.data = np.sign(weighted.data) * (1 + np.log(np.maximum(np.abs(weighted.data), 1)))
    weighted = (weighted @ diags_array(idf)).tocsr()
    norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(1)).ravel())
    scale = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
    return (diags_array(scale) @ weighted).astype(np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 1e-9)
