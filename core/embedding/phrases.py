"""The words and short phrases of a text that could name it."""

import re
from collections import Counter
from functools import lru_cache
from pathlib import Path

from core.embedding.words import is_spaceless, marked_tokens, shingles

PER_TEXT = 150  # words looked at in each text
LONGEST = 4  # words of a phrase, those that join not counted
ASIDE = ("weak", "begins none", "ends none", "inside", "never alone")  # lists of stopwords.txt that are no stop words
NAMES = ("von", "van")  # begin a term: "von Willebrand disease"


@lru_cache(maxsize=1)
def stop_words() -> frozenset[str]:
    """The words that name nothing, all languages together."""
    return frozenset(word for name, words in lists().items() if name not in ASIDE for word in words)


@lru_cache(maxsize=1)
def lists() -> dict[str, frozenset[str]]:
    """The lists of stopwords.txt by name."""
    found: dict[str, list[str]] = {}
    for line in Path(__file__).with_name("stopwords.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            found[name := line.strip("[] ")] = []
        elif line and not line.startswith("#"):
            found[name] += line.split()
    return {name: frozenset(words) for name, words in found.items()}


_NUMBER = re.compile(
    r"[\d.,:/+–-]*\d[\d.,:/+–-]*(st|nd|rd|th|am|pm|mg|mcg|ml|kg|cm|mm|[xywhdfs])?"
)  # "17", "34+5", "70kg", "46f"
_CONTRACTION = re.compile(r"(n['’]t|['’](s|m|re|ve|ll|d))$")  # "he's" is "he"; "patient's" is "patient"


def terms_of(text: str, surfaces: dict[str, Counter]) -> set[str]:
    """Lower-case words, runs of up to LONGEST of them that no stop word breaks ("shortness of breath" is one), and 2–4 character
    pieces of scripts without spaces. `surfaces` counts how each word is written."""
    found: set[str] = set()
    run: list[tuple[str, str]] = []  # a word, after what joins it to the one before: "of ", "de la "
    stop, inside = stop_words(), lists()["inside"]
    join = ""
    starts = True  # of a sentence, where a capital says nothing
    for token, ends in marked_tokens(text[: 12 * PER_TEXT])[:PER_TEXT]:
        first, starts = starts, ends
        if is_spaceless(token):
            found.update(s for s in shingles(token, 2, 4) if len(s) > 1 and not _dull(s))
            run, join = [], ""
            continue
        word = _CONTRACTION.sub("", token.lower())
        token = token[: len(word)]
        if word in inside and not ends and (run or word in NAMES):
            join += word + " "
            continue
        if word in stop or len(word) < 2 or _NUMBER.fullmatch(word):
            run, join = [], ""
            continue
        told = not first or not token.istitle()
        surfaces.setdefault(word, Counter())[token if told else word] += 10 if told else 1
        run = [*run[1 - LONGEST :], (join, word)]
        found.update(filter(None, (_phrase(run[n:]) for n in range(len(run)))))
        join = ""
        if ends:
            run = []
    return found


def _phrase(run: list[tuple[str, str]]) -> str:
    """The words of a run as one term; "" where it begins or ends with a word that leaves it open: "related", "type"."""
    first, last = run[0][1], run[-1][1]
    joined = " ".join(join + word for join, word in run)[len(run[0][0]) :]
    if run[0][0].strip() in NAMES:
        joined = run[0][0] + joined
    open_ended = first in lists()["begins none"] or last in lists()["ends none"]
    return "" if " " in joined and open_ended else joined


def _dull(piece: str) -> bool:
    """A piece that is a function word, or begins or ends with one: cut in the wrong place."""
    stop = stop_words()
    return any(cut in stop for cut in (piece, piece[0], piece[-1], piece[:2], piece[-2:]))


def is_word(piece: str, text: str) -> bool:
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
