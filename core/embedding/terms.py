"""Names for groups of texts: the words and short phrases that set a group apart (class-based TF-IDF)."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from core.embedding.words import is_spaceless, shingles, tokens

PER_GROUP = 400  # texts looked at in each group, evenly spaced
PER_TEXT = 150  # words looked at in each text
CANDIDATES = 40
COMMON = 0.5  # a word in more than half of all texts says nothing of a group


@lru_cache(maxsize=1)
def stop_words() -> frozenset[str]:
    """The words of stopwords.txt, all languages together."""
    lines = Path(__file__).with_name("stopwords.txt").read_text("utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith(("#", "[")) for word in line.split())


def name_groups(
    groups: Mapping[int, Sequence[str]], background: Sequence[str] = (), count: int = 3
) -> dict[int, list[str]]:
    """Distinguishing terms of each group, best first; no two groups get the same list.

    Weight of term t in group c: p(t, c) * ln(1 + C / sum_c' p(t, c'))^2, with p the share of the group's texts that hold t, so that
    one long text cannot name a group (class-based TF-IDF, Grootendorst 2022,
    eq. 1, on shares instead of counts; squared, or words that many groups share come first). `background` counts as
    one more group: what is as common there names nothing. A phrase stands in for its words when it is about as frequent.
    """
    held: dict[int | None, Counter] = {}
    joined: dict[int | None, str] = {}
    surfaces: dict[str, Counter] = {}
    sizes: dict[int | None, int] = {}
    every = {**groups, None: background} if len(background) else dict(groups)
    for group, texts in every.items():
        chosen = (
            [texts[i] for i in np.unique(np.linspace(0, len(texts) - 1, min(len(texts), PER_GROUP)).astype(int))]
            if len(texts)
            else []
        )
        counter: Counter = Counter()
        for text in chosen:
            counter.update(_terms(text, surfaces))
        held[group], sizes[group] = counter, max(1, len(chosen))
        joined[group] = "\n".join(text[: 12 * PER_TEXT].lower() for text in chosen)
    total, texts_seen = Counter(), sum(sizes.values())
    everywhere: Counter = Counter()
    for group, counter in held.items():
        for term, n in counter.items():
            total[term] += n / sizes[group]
            everywhere[term] += n
    common = {t for t, n in everywhere.items() if n > COMMON * texts_seen} if len(groups) > 2 else set()
    names: dict[int, list[str]] = {}
    taken: set[tuple[str, ...]] = set()
    for group in groups:
        ranked = _ranked(held[group], sizes[group], total, len(every), common)
        ranked = [t for t in ranked if not is_spaceless(t[0]) or _is_word(t, joined[group])][:CANDIDATES]
        terms = _pick(ranked, held[group], count + 6)
        size = min(count, len(terms))
        while size < len(terms) and tuple(sorted(terms[:size])) in taken:
            size += 1
        shown = terms[:size]
        taken.add(tuple(sorted(shown)))
        names[group] = [_surface(t, surfaces) for t in shown]
    return names


def titles(terms: Mapping[int, Sequence[str]], otherwise: str = "group") -> dict[int, str]:
    """One distinct title for each group: its terms, or a number where it has none or another group has the same."""
    seen: Counter = Counter()
    found = {}
    for group, words in terms.items():
        title = ", ".join(words) or f"{otherwise} {group}"
        seen[title] += 1
        found[group] = title if seen[title] == 1 else f"{title} ({seen[title]})"
    return found


_CONTRACTION = re.compile(r"(n['’]t|['’](s|m|re|ve|ll|d))$")  # "he's" is "he"; "patient's" is "patient"


def _terms(text: str, surfaces: dict[str, Counter]) -> set[str]:
    """Lower-case words and pairs without stop words, and 2–4 character pieces of scripts without spaces."""
    found: set[str] = set()
    before = ""
    for token in tokens(text[: 12 * PER_TEXT])[:PER_TEXT]:
        if is_spaceless(token):
            found.update(s for s in shingles(token, 2, 4) if len(s) > 1 and not _dull(s))
            before = ""
            continue
        word = _CONTRACTION.sub("", token.lower())
        token = token[: len(word)]
        if word in stop_words() or len(word) < 2 or word.replace(".", "").replace(",", "").isdigit():
            before = ""
            continue
        surfaces.setdefault(word, Counter())[token] += 1
        found.add(word)
        if before:
            found.add(f"{before} {word}")
        before = word
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


def _ranked(held: Counter, size: int, total: Counter, groups: int, common: set[str]) -> list[str]:
    fewest = 1 if size < 4 else max(2, 0.05 * size)
    if not any(n >= fewest and term not in common for term, n in held.items()):
        fewest = 1  # texts that share no word: some of their words are better than none
    weights = {
        term: n / size * np.log1p(groups / total[term]) ** 2
        for term, n in held.items()
        if n >= fewest and term not in common
    }
    return sorted(weights, key=lambda t: (-weights[t], t))[: 5 * CANDIDATES]


def _pick(ranked: list[str], held: Counter, count: int) -> list[str]:
    chosen: list[str] = []
    for term in ranked:
        longer = [t for t in ranked if t != term and _inside(term, t) and held[t] >= 0.6 * held[term]]
        if longer and len(longer[0]) <= 40:
            term = max(longer, key=lambda t: (len(t), -ranked.index(t))) if is_spaceless(term[0]) else longer[0]
        if any(_inside(term, c) or _inside(c, term) or _overlap(term, c) or _stem(term) == _stem(c) for c in chosen):
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


def _surface(term: str, surfaces: dict[str, Counter]) -> str:
    """As it is mostly written: COPD and HbA1c keep their capitals."""
    return " ".join(
        max(surfaces[w].items(), key=lambda kv: (kv[1], kv[0]))[0] if w in surfaces else w for w in term.split(" ")
    )
