"""Names for groups of texts: the words and short phrases that set a group apart (class-based TF-IDF)."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from core.embedding.phrases import PER_TEXT, is_word, lists, terms_of
from core.embedding.words import is_spaceless

PER_GROUP = 400  # texts looked at in each group, evenly spaced
CANDIDATES = 40
COMMON = 0.5  # a word in more than half of all texts says nothing of a group
OFTEN = 0.08  # a word in fewer of the group's texts does not name it
SELDOM = 0.03  # the same, where too few words are that frequent
ENOUGH = 3  # terms to choose from, or rarer ones are taken too
POWER = 4  # or words that many groups share come first; chosen among 2, 3 and 4 by benchmarks/bench_names.py
MANY = 0.15  # a term as common as here in more than this share of the groups, and in more than two, names none of them
HALF = 0.5  # of the group hold a word such as "symptoms", or it says nothing of the group
JOINED = 0.3  # of the texts with its first word hold a phrase such as "shortness of breath", or it is none
WEAK = 0.3  # of a word that needs another beside it: "acute", "syndrome"
FLOOR = 0.1  # what is left of a word whose texts lie anywhere


def name_groups(
    groups: Mapping[int, Sequence[str]],
    background: Sequence[str] = (),
    count: int = 3,
    vectors: Mapping[int | None, np.ndarray] | None = None,
) -> dict[int, list[str]]:
    """Distinguishing terms of each group, best first; no two groups get the same list.

    Weight of term t in group c: p(t, c) * ln(1 + C / a)^4, with p the share of the group's texts that hold t, so that one long text
    cannot name a group, and a = sum over the C groups of min(1, p(t, c') / p(t, c)): in how many groups t is as common as here
    (class-based TF-IDF, Grootendorst 2022, eq. 1, on shares instead of counts, and with the spread relative to c instead of the sum,
    or a word that most of c and half of another hold would outweigh c's own). Where a is over 2 and over .15 C, t names
    none. Of words that name nothing alone ("symptoms", "syndrome") a name holds one at most, and that of half the group's texts.
    `background` counts as one more group: what is as common there names nothing. A phrase stands in for its words when it is about as
    frequent. With `vectors`, the embedding of each text by group (None: of the background), a term counts by how far the texts that
    hold it, anywhere, lie towards the group: "every" lies nowhere, "heart" lies somewhere, in any language and without a tagger.
    """
    every = {**groups, None: background} if len(background) else dict(groups)
    rows = {group: _evenly(len(texts)) for group, texts in every.items()}
    surfaces: dict[str, Counter] = {}
    said = {group: [terms_of(every[group][i], surfaces) for i in rows[group]] for group in every}
    held = {group: Counter(t for terms in found for t in terms) for group, found in said.items()}
    sizes = {group: max(1, len(found)) for group, found in said.items()}
    everywhere: Counter = Counter()
    for counter in held.values():
        everywhere.update(counter)
    for term in [t for t in everywhere if _loose(t, everywhere)]:
        for counter in held.values():
            counter.pop(term, None)
    common = {t for t, n in everywhere.items() if n > COMMON * sum(sizes.values())} if len(groups) > 2 else set()
    shares = _shares(held, sizes)
    weights = {group: _weights(held[group], sizes[group], shares, len(every), common) for group in groups}
    if vectors and groups:
        _aim(weights, said, {group: np.asarray(vectors[group], np.float32)[rows[group]] for group in every})
    names: dict[int, list[str]] = {}
    taken: set[tuple[str, ...]] = set()
    for group, weight in weights.items():
        ranked = sorted(weight, key=lambda t, w=weight: (-w[t], t))[: 5 * CANDIDATES]
        if any(is_spaceless(t[0]) for t in ranked):
            joined = "\n".join(every[group][i][: 12 * PER_TEXT].lower() for i in rows[group])
            ranked = [t for t in ranked if not is_spaceless(t[0]) or is_word(t, joined)]
        terms, spare = _own(_pick(ranked[:CANDIDATES], held[group], count + 6), held[group], sizes[group])
        size = min(count, len(terms))
        terms += spare
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


def _loose(term: str, everywhere: Counter) -> bool:
    """Whether a phrase only happens to be joined: "facts of gout", where "facts" are of many things; not "shortness of breath"."""
    head, *rest = term.split(" ")
    return not lists()["inside"].isdisjoint(rest) and everywhere[term] < JOINED * everywhere[head]


def _shares(held: Mapping[int | None, Counter], sizes: Mapping[int | None, int]) -> dict[str, np.ndarray]:
    """{term: share of the texts that hold it, of each group that has it}."""
    found: dict[str, list[float]] = {}
    for group, counter in held.items():
        for term, n in counter.items():
            found.setdefault(term, []).append(n / sizes[group])
    return {term: np.array(values) for term, values in found.items()}


def _weights(
    held: Counter, size: int, shares: Mapping[str, np.ndarray], groups: int, common: set[str]
) -> dict[str, float]:
    """{term: weight} of the terms that may name a group; rarer ones only where too few are frequent."""
    weak, alone = lists()["weak"], lists()["never alone"]
    least = 1 if size < 4 else 2
    found: dict[str, float] = {}
    for fewer in (max(least, OFTEN * size), max(least, SELDOM * size), least, 1):
        for term, n in held.items():
            if n < fewer or term in common or term in found:
                continue
            share = n / size
            alike = float(np.minimum(shares[term] / share, 1).sum())  # groups in which it is as common, itself included
            low = weak.issuperset(term.split())
            if term in alone or (alike > max(2.0, MANY * groups) and not (low and share >= HALF)):
                continue
            found[term] = share * float(np.log1p(groups / alike)) ** POWER * (WEAK if low else 1.0)
        if sum(not weak.issuperset(t.split()) for t in found) >= (ENOUGH if fewer > SELDOM * size else 1):
            break  # otherwise rarer words: some are better than none
    return found


def _pick(ranked: list[str], held: Counter, count: int) -> list[str]:
    place = {t: n for n, t in enumerate(ranked)}
    chosen: list[str] = []
    for term in ranked:
        # Never split a term: what nearly always comes with it belongs to it, however it ranks ("gamma heavy chain" disease).
        near = (t for t in held if held[t] >= (0.6 if t in place else 0.8) * held[term] and t != term and len(t) <= 40)
        longer = [t for t in near if _inside(term, t) and (t in place or f" {term} " in f" {t} ")]
        if longer:
            length = len if is_spaceless(term[0]) else lambda t: t.count(" ")
            term = max(longer, key=lambda t: (length(t), -place.get(t, len(place)), t))
        if any(_inside(term, c) or _inside(c, term) or _overlap(term, c) or _kin(term, c) for c in chosen):
            continue
        chosen.append(term)
        if len(chosen) == count:
            break
    return chosen


def _own(terms: list[str], held: Counter, size: int) -> tuple[list[str], list[str]]:
    """The terms, and those that only help to tell two groups apart: weak ones, but for the first that half of the group hold.

    Rare ones come last, for a group is not called after a few of its texts.
    """
    weak = lists()["weak"]
    low = [t for t in terms if weak.issuperset(t.split())]
    kept = next((t for t in low if held[t] >= HALF * size), None)
    rare = [t for t in terms if t not in low and held[t] < OFTEN * size]
    often = [t for t in terms if t not in rare and (t not in low or t == kept)]
    told = often + rare
    spare = [t for t in terms if t not in told]
    return (told, spare) if told else (spare[:1], spare[1:])


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
