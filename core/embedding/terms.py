"""Names for groups of texts: the words and short phrases that set a group apart (class-based TF-IDF)."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from core.embedding.words import is_spaceless, marked_tokens, shingles

PER_GROUP = 400  # texts looked at in each group, evenly spaced
PER_TEXT = 150  # words looked at in each text
CANDIDATES = 40
COMMON = 0.5  # a word in more than half of all texts says nothing of a group
OFTEN = 0.08  # a word in fewer of the group's texts does not name it
ENOUGH = 3  # terms to choose from, or rarer ones are taken too
SMOOTH = 0.1  # share of texts added to what a word has in all groups together
WEAK = 0.3  # of a word that needs another beside it: "acute", "syndrome"
FLOOR = 0.1  # what is left of a word whose texts lie anywhere


@lru_cache(maxsize=1)
def stop_words() -> frozenset[str]:
    """The words of stopwords.txt, all languages together."""
    return frozenset(word for name, words in _lists().items() if name != "weak" for word in words)


@lru_cache(maxsize=1)
def _lists() -> dict[str, frozenset[str]]:
    found: dict[str, list[str]] = {}
    for line in Path(__file__).with_name("stopwords.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            found[name := line.strip("[] ")] = []
        elif line and not line.startswith("#"):
            found[name] += line.split()
    return {name: frozenset(words) for name, words in found.items()}


def name_groups(
    groups: Mapping[int, Sequence[str]],
    background: Sequence[str] = (),
    count: int = 3,
    vectors: Mapping[int | None, np.ndarray] | None = None,
) -> dict[int, list[str]]:
    """Distinguishing terms of each group, best first; no two groups get the same list.

    Weight of term t in group c: p(t, c) * ln(1 + C / (s + sum_c' p(t, c')))^2, with p the share of the group's texts that hold t, so
    that one long text cannot name a group (class-based TF-IDF, Grootendorst 2022, eq. 1, on shares instead of counts; squared, or
    words that many groups share come first; s = 0.1, or two texts of a small group outweigh a word that most of it holds).
    `background` counts as one more group: what is as common there names nothing. A phrase stands in for its words when it is about as
    frequent. With `vectors`, the embedding of each text by group (None: of the background), a term counts by how far the texts that
    hold it, anywhere, lie towards the group: "every" lies nowhere, "heart" lies somewhere, in any language and without a tagger.
    """
    every = {**groups, None: background} if len(background) else dict(groups)
    rows = {group: _evenly(len(texts)) for group, texts in every.items()}
    surfaces: dict[str, Counter] = {}
    said = {group: [_terms(every[group][i], surfaces) for i in rows[group]] for group in every}
    held = {group: Counter(t for terms in found for t in terms) for group, found in said.items()}
    sizes = {group: max(1, len(found)) for group, found in said.items()}
    total, everywhere = Counter(), Counter()
    for group, counter in held.items():
        for term, n in counter.items():
            total[term] += n / sizes[group]
            everywhere[term] += n
    common = {t for t, n in everywhere.items() if n > COMMON * sum(sizes.values())} if len(groups) > 2 else set()
    weights = {group: _weights(held[group], sizes[group], total, len(every), common) for group in groups}
    if vectors and groups:
        _aim(weights, said, {group: np.asarray(vectors[group], np.float32)[rows[group]] for group in every})
    names: dict[int, list[str]] = {}
    taken: set[tuple[str, ...]] = set()
    for group, weight in weights.items():
        ranked = sorted(weight, key=lambda t, w=weight: (-w[t], t))[: 5 * CANDIDATES]
        if any(is_spaceless(t[0]) for t in ranked):
            joined = "\n".join(every[group][i][: 12 * PER_TEXT].lower() for i in rows[group])
            ranked = [t for t in ranked if not is_spaceless(t[0]) or _is_word(t, joined)]
        terms = _pick(ranked[:CANDIDATES], held[group], count + 6)
        size = min(count, len(terms))
        while size < len(terms) and tuple(sorted(terms[:size])) in taken:
            size += 1
        shown = terms[:size]
        taken.add(tuple(sorted(shown)))
        names[group] = [_surface(t, surfaces) for t in shown]
    return names


def name_rows(
    groups: Mapping[int, np.ndarray], background: np.ndarray, texts: Sequence[str], vectors: np.ndarray
) -> dict[int, list[str]]:
    """As `name_groups`, of rows of one set of texts and their (N, d) vectors; reads only the rows it looks at."""
    some = {g: rows[_evenly(len(rows))] for g, rows in {**groups, None: background}.items()}
    said = {g: [texts[i] for i in rows] for g, rows in some.items()}
    near = {g: np.asarray(vectors[rows], np.float32) for g, rows in some.items()}
    rest = said.pop(None)
    return name_groups(said, rest, vectors=near)


def _evenly(count: int) -> np.ndarray:
    """Up to PER_GROUP rows of `count`, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, PER_GROUP)).astype(int)) if count else np.zeros(0, int)


def _aim(weights: dict[int, dict[str, float]], said: Mapping, vectors: Mapping[int | None, np.ndarray]) -> None:
    """Multiply each weight in place by FLOOR + the cosine of two centred means: of the texts that hold the term, and of the group."""
    best = {g: sorted(w, key=lambda t, w=w: (-w[t], t))[: 5 * CANDIDATES] for g, w in weights.items()}
    number = {t: n for n, t in enumerate(sorted({t for terms in best.values() for t in terms}))}
    width = next(iter(vectors.values())).shape[1]
    sums, counts = np.zeros((len(number), width), np.float32), np.zeros(len(number))
    whole = np.concatenate(list(vectors.values()))
    middle = whole.mean(0) if len(whole) else np.zeros(width, np.float32)
    for group, found in said.items():
        for terms, vector in zip(found, vectors[group], strict=True):
            at = [number[t] for t in terms if t in number]
            sums[at] += vector
            counts[at] += 1
    means = _unit(sums / np.maximum(counts, 1)[:, None] - middle)
    for group, weight in weights.items():
        centre = _unit(vectors[group].mean(0, keepdims=True) - middle)[0] if len(vectors[group]) else middle * 0
        for term in list(weight):
            towards = float(means[number[term]] @ centre) if term in number else 0.0
            weight[term] *= FLOOR + max(0.0, towards)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def titles(terms: Mapping[int, Sequence[str]], otherwise: str = "group") -> dict[int, str]:
    """One distinct title for each group: its terms, or a number where it has none or another group has the same."""
    seen: Counter = Counter()
    found = {}
    for group, words in terms.items():
        title = ", ".join(words) or f"{otherwise} {group}"
        seen[title] += 1
        found[group] = title if seen[title] == 1 else f"{title} ({seen[title]})"
    return found


_NUMBER = re.compile(
    r"[\d.,:/+–-]*\d[\d.,:/+–-]*(st|nd|rd|th|am|pm|mg|mcg|ml|kg|cm|mm|[xywhdfs])?"
)  # "17", "34+5", "70kg", "46f"
_CONTRACTION = re.compile(r"(n['’]t|['’](s|m|re|ve|ll|d))$")  # "he's" is "he"; "patient's" is "patient"


def _terms(text: str, surfaces: dict[str, Counter]) -> set[str]:
    """Lower-case words, runs of two and three of them without stop words, and 2–4 character pieces of scripts without spaces."""
    found: set[str] = set()
    run: list[str] = []
    stop = stop_words()
    starts = True  # of a sentence, where a capital says nothing
    for token, ends in marked_tokens(text[: 12 * PER_TEXT])[:PER_TEXT]:
        first, starts = starts, ends
        if is_spaceless(token):
            found.update(s for s in shingles(token, 2, 4) if len(s) > 1 and not _dull(s))
            run = []
            continue
        word = _CONTRACTION.sub("", token.lower())
        token = token[: len(word)]
        if word in stop or len(word) < 2 or _NUMBER.fullmatch(word):
            run = []
            continue
        told = not first or not token.istitle()
        surfaces.setdefault(word, Counter())[token if told else word] += 10 if told else 1
        run = [*run[-2:], word]
        found.update(" ".join(run[n:]) for n in range(len(run)))
        if ends:
            run = []
    return found


def _dull(piece: str) -> bool:
    """A piece that is a function word, or begins or ends with one: cut in the wrong place."""
    stop = stop_words()
    return any(cut in stop for cut in (piece, piece[0], piece[-1], piece[:2], piece[-2:]))


def _is_word(piece: str, text: str) -> bool:
    """Whether a piece of a script without spaces stands free: what comes before it, and after it, varies.

    "女性患" is always followed by "者" and is cut in the wrong place; "高血压" is followed by many things.
    """
    before, after, count, at = Counter(), Counter(), 0, text.find(piece)
    while at >= 0:
        left, right = text[at - 1 : at], text[at + len(piece) : at + len(piece) + 1]
        before[left if left and is_spaceless(left) else f"edge {count}"] += 1  # an edge is as good as any other letter
        after[right if right and is_spaceless(right) else f"edge {count}"] += 1
        count += 1
        at = text.find(piece, at + 1)
    return count > 0 and (count < 3 or max(before.most_common(1)[0][1], after.most_common(1)[0][1]) <= 0.6 * count)


def _weights(held: Counter, size: int, total: Counter, groups: int, common: set[str]) -> dict[str, float]:
    fewest = 1 if size < 4 else max(2, OFTEN * size)
    for fewer in (
        fewest,
        min(2, fewest),
        1,
    ):  # texts that share few words or none: some of their words are better than none
        fewest = fewer
        if sum(n >= fewest and term not in common for term, n in held.items()) >= ENOUGH:
            break
    weak = _lists()["weak"]
    return {
        term: float(n / size * np.log1p(groups / (SMOOTH + total[term])) ** 2)
        * (WEAK if weak.issuperset(term.split()) else 1.0)
        for term, n in held.items()
        if n >= fewest and term not in common
    }


def _pick(ranked: list[str], held: Counter, count: int) -> list[str]:
    chosen: list[str] = []
    for term in ranked:
        longer = [t for t in ranked if t != term and _inside(term, t) and held[t] >= 0.6 * held[term]]
        longer = [t for t in longer if len(t) <= 40]
        if longer:
            length = len if is_spaceless(term[0]) else lambda t: t.count(" ")
            term = max(longer, key=lambda t: (length(t), -ranked.index(t)))
        if any(_inside(term, c) or _inside(c, term) or _overlap(term, c) or _kin(term, c) for c in chosen):
            continue
        chosen.append(term)
        if len(chosen) == count:
            break
    return chosen


def _inside(short: str, long: str) -> bool:
    """Whether a term is part of a longer one: a word of a phrase, or a piece of a run without spaces."""
    if is_spaceless(short[0]):
        return short in long
    return set(map(_stem, short.split())) <= set(map(_stem, long.split()))


def _overlap(left: str, right: str) -> bool:
    """Two pieces cut from one run ("高血压病", "血压病人"), or two phrases that share a word."""
    if is_spaceless(left[0]) or is_spaceless(right[0]):
        return any(left[i : i + 2] in right for i in range(len(left) - 1))
    return " " in left and " " in right and bool(set(map(_stem, left.split())) & set(map(_stem, right.split())))


def _stem(word: str) -> str:
    """Plural and singular alike; nothing cleverer, for medical terms bear no stemming."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _kin(left: str, right: str) -> bool:
    """One word in two forms: reminder and remind, diabetes and diabetic; not pneumonia and pneumonitis."""
    same = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        same += 1
    return same >= 5 and max(len(left), len(right)) - same <= 2


def _surface(term: str, surfaces: dict[str, Counter]) -> str:
    """As it is mostly written: COPD and HbA1c keep their capitals; a title's capitals give way to small letters seen elsewhere."""
    return " ".join(_written(word, surfaces[word]) if word in surfaces else word for word in term.split(" "))


def _written(word: str, seen: Counter) -> str:
    most = max(seen.items(), key=lambda kv: (kv[1], kv[0]))[0]
    return word if most.istitle() and 4 * seen[word] >= seen.total() else most
