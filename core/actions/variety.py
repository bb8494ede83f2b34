"""How varied a set, a selection, another version or production is, each number beside random samples of equal size."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.actions.frame import words
from core.dataset.selected import Selected
from core.embedding.diversity import vendi
from core.embedding.neighbours import has_vector
from core.embedding.words import tokens
from core.errors import InputError
from core.steps import complete, params_of
from core.workspace import Dataset, Result, Workspace

CAP = 2000  # records of a sample whose vectors are compared; larger sets are measured on so many drawn ones
TEXTS = 1000  # the same for words and styles
DRAWS = 20
MEASURES = {
    "vendi": ("Vendi score", "So many wholly different records would be as varied; 1 = all alike."),
    "nearest": ("Mean distance to the nearest", "1 − cosine similarity to the nearest other record."),
    "clusters": ("Effective clusters", "So many clusters of equal size would be as mixed; noise left out."),
    "unique": ("Records after near-duplicates", "Every group of near-duplicates counts as one record."),
    "prompt_length": ("Spread of prompt length", "90th over 10th percentile of words; 1 = all equally long."),
    "response_length": ("Spread of response length", "90th over 10th percentile of words; 1 = all equally long."),
    "prompt_words": ("Effective vocabulary of prompts", "So many words, all equally frequent, would be as varied."),
    "response_words": ("Effective vocabulary of responses", "So many words, all equally frequent, would be as varied."),
    "styles": (
        "Effective styles of response",
        "So many ways to build it (lists, tables …), equally frequent.",
    ),
    "languages": ("Effective languages", "So many languages, all equally frequent, as declared; 1 = one language."),
}  # fmt: skip
BY_TEXT = ("prompt_words", "response_words", "styles")
"""MEASURES: name -> (title, what it says); higher = more varied, everywhere. "So many …, all equally frequent" is the exp of the
entropy in nats (Hill number of order 1); Vendi the same of the eigenvalues of cosine similarity (Friedman and Dieng 2023)."""


@dataclass(frozen=True)
class Row:
    """One measure of some records, at most CAP (or TEXTS) of them, and of random samples of the same number; None: not known."""

    name: str
    value: float | None
    mean: float | None  # of the random samples
    low: float | None  # their 2.5 % and 97.5 % quantiles
    high: float | None
    measured: int  # records it was measured on
    of: int  # records there are

    @property
    def verdict(self) -> str:
        """more, less or as varied than random samples are in 95 of 100."""
        if self.value is None or self.low is None or self.high is None:
            return ""
        return "more" if self.value > self.high else "less" if self.value < self.low else "as"


@dataclass(frozen=True)
class Material:
    """A dataset with what is known of its records; what was not computed is None. Made by `material`."""

    data: Dataset
    vectors: np.ndarray | None = None
    cluster: np.ndarray | None = None
    group: np.ndarray | None = None  # near-duplicates; -1 = in none
    _texts: dict[int, tuple[Counter, Counter, tuple | None]] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def lengths(self) -> dict[str, np.ndarray]:
        return {f"{name}_length": words(self.data.column(name)) for name in ("prompt", "response")}

    def lengths_of(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The lengths of some rows; of few of many the texts of these alone are read, unless all lengths are known."""
        if "lengths" in self.__dict__ or 4 * len(rows) > self.data.count:
            return {name: every[rows] for name, every in self.lengths.items()}
        order = np.sort(rows)  # the file is read in its order, and only the spread of the lengths is asked for
        table = pa.concat_tables(list(Selected(self.data, order).tables(["prompt", "response"])))
        return {f"{name}_length": words(table[name]) for name in ("prompt", "response")}

    @cached_property
    def language(self) -> np.ndarray | None:
        column = self.data.column("language") if "language" in self.data.columns else None
        if column is None or column.null_count == len(column):
            return None
        return pc.fill_null(column.cast(pa.large_string()), "").to_numpy(zero_copy_only=False)

    def read(self, rows: np.ndarray) -> list[tuple[Counter, Counter, tuple | None]]:
        """Words of prompt and response, and style (None without a response), of some records, each read once."""
        missing = np.array(sorted(r for r in set(rows.tolist()) if r not in self._texts), np.int64)
        if len(missing):
            for row, one in zip(
                missing.tolist(), Selected(self.data, missing).rows(["prompt", "response"]), strict=True
            ):
                prompt, response = one["prompt"], one["response"]
                said = (Counter(w.lower() for w in tokens((text or "")[:20_000])) for text in (prompt, response))
                self._texts[row] = (*said, style(response) if response else None)
        return [self._texts[r] for r in rows.tolist()]


def material(workspace: Workspace, data: Dataset) -> Material:
    """What the workspace has computed for a dataset, also for an earlier version, with the parameters of now."""
    role = data.role
    embed = _result(workspace, "embed" if role == "training" else f"embed:{role}", data)
    clusters, duplicates = (
        _result(workspace, s, data) if role == "training" else None for s in ("clusters", "duplicates")
    )
    return Material(
        data,
        embed.array() if embed else None,
        clusters.table(["cluster"]).column(0).to_numpy() if clusters else None,
        duplicates.table(["group"]).column(0).to_numpy() if duplicates else None,
    )


def _result(workspace: Workspace, step: str, data: Dataset) -> Result | None:
    """The newest result of a step for this very dataset, with the parameters of now."""
    params = params_of(workspace, step)
    for found in workspace.results(step):
        if complete(step, found.params) == params and found.manifest["inputs"].get(data.role) == data.digest:
            return found
    return None


_STYLE = {
    "list": r"^\s*[-*•]\s+\S", "numbered": r"^\s*\d+[.)]\s+\S", "heading": r"^#{1,6}\s", "code": r"```|^ {4}\S", "bold": r"\*\*\S",
    "table": r"^\s*\|.*\|", "label": r"^[A-Z][\w ]{1,30}:",
}  # fmt: skip
_STYLES = [re.compile(pattern, re.MULTILINE) for pattern in _STYLE.values()]


def style(text: str) -> tuple:
    """How a response is built: which of list, numbers, heading, code, bold, table, label it has; its paragraphs up to 3; whether it
    ends in a question."""
    paragraphs = min(3, len([p for p in re.split(r"\n\s*\n", text) if p.strip()]))
    return (*(p.search(text) is not None for p in _STYLES), paragraphs, text.rstrip().endswith(("?", "？")))


def effective(counts: Sequence[float] | np.ndarray) -> float | None:
    """exp of the entropy (nats) of shares: how many equal parts would be as mixed (Hill number of order 1). None of nothing."""
    counts = np.asarray(counts, np.float64)
    counts = counts[counts > 0]
    if not len(counts):
        return None
    shares = counts / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def nearest_distance(vectors: np.ndarray) -> float | None:
    """Mean of 1 - cosine similarity to the nearest other of unit rows (n, d), n a few thousand at most; None of fewer than two."""
    vectors = vectors[has_vector(vectors)]
    if len(vectors) < 2:
        return None
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -2)
    return float(1 - np.clip(similarity.max(1), -1, 1).mean())


def _numbers(of: Material, rows: np.ndarray, some: np.ndarray) -> dict[str, float | None]:
    """Every measure of `rows`; words and styles of `some` of them."""
    found: dict[str, float | None] = dict.fromkeys(MEASURES)
    if not len(rows):
        return found
    if of.vectors is not None:
        vectors = np.asarray(of.vectors[rows], np.float32)
        found["vendi"] = vendi(vectors) or None
        found["nearest"] = nearest_distance(vectors)
    if of.cluster is not None:
        mine = of.cluster[rows]
        found["clusters"] = effective(np.bincount(mine[mine >= 0])) if (mine >= 0).any() else None
    if of.group is not None:
        mine = of.group[rows]
        found["unique"] = float((mine < 0).sum() + len(np.unique(mine[mine >= 0])))
    for name, lengths in of.lengths_of(rows).items():
        there = lengths[lengths > 0]
        if len(there):
            low, high = np.quantile(there, (0.1, 0.9))
            found[name] = float(high / max(low, 1))
    if of.language is not None:
        said = [v for v in of.language[rows] if v]
        found["languages"] = effective(list(Counter(said).values()))
    asked, answered, styles = Counter(), Counter(), Counter()
    for prompt, response, built in of.read(some):
        asked.update(prompt)
        answered.update(response)
        if built is not None:
            styles[built] += 1
    for name, counts in (("prompt_words", asked), ("response_words", answered), ("styles", styles)):
        found[name] = effective(list(counts.values()))
    return found


def compare(
    subject: Material,
    rows: np.ndarray | None = None,
    against: Material | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[Row]:
    """One row a measure of `rows` of the subject (all by default), beside `draws` random samples of as many records of `against`.

    `against` None: no comparison. More than CAP records are measured on CAP drawn ones (TEXTS for words and styles), and so are
    the random samples: sizes are always equal. Where `against` has fewer records than the subject, both are measured at its size.
    """
    random = np.random.default_rng(seed)
    rows = np.arange(subject.data.count) if rows is None else np.asarray(rows, np.int64)
    size = min(len(rows), CAP, against.data.count if against else CAP)
    few = min(size, TEXTS)
    mine = rows if size == len(rows) else np.sort(random.choice(rows, size, replace=False))
    value = _numbers(subject, mine, mine if few == size else np.sort(random.choice(mine, few, replace=False)))
    drawn = []
    if against is not None and size:
        pool = random.permutation(against.data.count)[: max(3 * few, few)]  # whose texts are read
        _ = against.lengths  # of all, once, for every draw
        if few < size:
            against.read(pool)  # at once: each reading goes through the file
        for _ in range(draws):
            other = np.sort(random.choice(against.data.count, size, replace=False))
            drawn.append(
                _numbers(against, other, np.sort(random.choice(pool, few, replace=False)) if few < size else other)
            )
    out = []
    for name in MEASURES:
        seen = [d[name] for d in drawn if d[name] is not None]
        low, high = np.quantile(seen, (0.025, 0.975)).tolist() if seen else (None, None)
        measured = few if name in BY_TEXT else size
        mean = float(np.mean(seen)) if seen else None
        out.append(Row(name, value[name], mean, low, high, measured, len(rows)))
    return out


def whole_vendi(of: Material, rows: np.ndarray | None = None) -> float | None:
    """Vendi score of all rows, exact at any size: for the linear kernel the (d, d) matrix has the same eigenvalues (the dual form)."""
    if of.vectors is None:
        return None
    return vendi(of.vectors if rows is None else np.asarray(of.vectors[rows])) or None


def facts(rows: Sequence[Row]) -> list[dict]:
    """The rows for JSON."""
    return [
        {"measure": r.name, "title": MEASURES[r.name][0], "value": r.value, "random_mean": r.mean, "random_low": r.low,
         "random_high": r.high, "measured": r.measured, "of": r.of, "verdict": r.verdict}
        for r in rows
    ]  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What was compared, in words, and how it came out; `vendi` is exact over all records of the subject."""

    subject: str
    baseline: str
    rows: list[Row]
    vendi: float | None

    def said(self) -> str:
        """The numbers that are known, in one line."""
        whole = [] if self.vendi is None else [f"Vendi score {self.vendi:.2f}"]
        return ", ".join(
            [*whole, *(f"{MEASURES[r.name][0].lower()} {r.value:.3g}" for r in self.rows[1:] if r.value is not None)]
        )

    def facts(self) -> dict:
        return {
            "subject": self.subject,
            "baseline": self.baseline,
            "vendi_of_all": self.vendi,
            "measures": facts(self.rows),
        }


def of_set(workspace: Workspace, data: Dataset) -> Answer:
    """The training set by itself: it has no random sample of equal size but itself."""
    whole = material(workspace, data)
    return Answer(f"{data.count:,} training records", "", compare(whole), whole_vendi(whole))


def of_records(workspace: Workspace, data: Dataset, ids: Sequence[str], title: str, seed: int = 0) -> Answer:
    """Some training records beside random ones of the same number. Errors: InputError when none of them is in the data."""
    wanted = set(ids)
    rows = np.flatnonzero(data.index.mask(wanted))
    if not len(rows):
        raise InputError(
            f"None of the {len(wanted):,} records of {title} is in {data.name}. Choose records of this version."
        )
    whole = material(workspace, data)
    return Answer(
        f"{title}: {len(rows):,} records",
        "random training records",
        compare(whole, rows, whole, seed=seed),
        whole_vendi(whole, rows),
    )


def of_dataset(workspace: Workspace, data: Dataset, other: Dataset, seed: int = 0) -> Answer:
    """Production, or another version, beside random records of the training set; both at the smaller one's size."""
    theirs = material(workspace, other)
    told = f"{other.name}, {other.count:,} {other.role} records"
    return Answer(
        told,
        "random training records",
        compare(theirs, None, material(workspace, data), seed=seed),
        whole_vendi(theirs),
    )
