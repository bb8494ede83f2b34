"""Features of a record that a person can check by eye: lengths, numbers, negations, rare words, what kind of question it is.

They stand beside the embedding in the difficulty model that is learned from ratings, so that its page can show what it looks at. The
word lists are English: on other languages those features are zero, and the lengths and counts still work.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
SENTENCE = re.compile(r"[.!?。！？]+(?:\s|$)")
OPTION = re.compile(r"^\s*\(?[A-H1-8][.):]\s+\S", re.MULTILINE)
UNIT = re.compile(
    r"\d\s?(?:%|°|mg|µg|mcg|kg|g|ml|mmol|mmHg|cm|mm|bpm|IU|l|dl|years?|months?|weeks?|days?|hours?)\b", re.IGNORECASE
)
NEGATION = re.compile(
    r"\b(?:no|not|never|none|neither|nor|without|cannot|except|least|false|incorrect|unlikely|\w+n['’]t)\b",
    re.IGNORECASE,
)
EXCEPTION = re.compile(r"\b(?:except|not true|least likely|incorrect|false|is not|are not|NOT)\b")
ALL_OR_NONE = re.compile(r"\b(?:all|none|both|neither) of (?:the|these|them|above)", re.IGNORECASE)
SUPERLATIVE = re.compile(r"\b(?:most|best|first|next|initial|main|primary|likely)\b", re.IGNORECASE)
REASONS = re.compile(
    r"\b(?:because|therefore|hence|thus|however|although|whereas|due to|since|if|unless)\b", re.IGNORECASE
)
HEDGES = re.compile(r"\b(?:may|might|could|possibly|usually|often|sometimes|typically|rarely)\b", re.IGNORECASE)
VIGNETTE = re.compile(r"\b(?:year|month|week|day)s?[- ]old\b|\bpresents? (?:with|to)\b|\bhistory of\b", re.IGNORECASE)
CODE = re.compile(r"[{}\[\]<>=^\\$|]")
QUESTIONS = {
    "asks which": re.compile(r"\bwhich\b", re.IGNORECASE),
    "asks what": re.compile(r"\bwhat\b", re.IGNORECASE),
    "asks how": re.compile(r"\bhow\b", re.IGNORECASE),
    "asks why": re.compile(r"\bwhy\b", re.IGNORECASE),
    "asks for a list or comparison": re.compile(
        r"\b(?:list|compare|contrast|differentiate|classify|steps)\b", re.IGNORECASE
    ),
}
PER_TEXT = (
    "words", "words a sentence", "letters a word", "share of long words", "numbers", "measured values", "negations",
    "capitals in a row", "share of different words", "mean rarity of its words", "rarity of its rarest words", "symbols",
)  # fmt: skip
OF_PROMPT = (
    "answer options", "asks for the exception", "all or none of the above", "asks for the best or first", "case vignette",
    "ends in a question mark", *QUESTIONS,
)  # fmt: skip
OF_RESPONSE = ("reasons given", "hedges")
NAMES: tuple[str, ...] = (
    *(f"{name} (prompt)" for name in PER_TEXT),
    *(f"{name} (prompt)" for name in OF_PROMPT),
    *(f"{name} (response)" for name in PER_TEXT),
    *(f"{name} (response)" for name in OF_RESPONSE),
    "words of the reasoning",
    "share of the prompt's words found in the response",
)
"""What each column of `text_features` holds. Counts and lengths are taken as log(1 + x), which their names leave out."""
SURFACE = re.compile(r"[A-Z]{2,}")
RAREST = 5


def rarity(texts: Sequence[Sequence[str]]) -> dict[str, float]:
    """{word: -log2 of the share of these texts that hold it}; higher = rarer. Rarity is relative to the data set itself."""
    held = Counter(word for words in texts for word in set(words))
    return {word: -math.log2(count / len(texts)) for word, count in held.items()}


def words_of(text: str) -> list[str]:
    return [w.lower() for w in WORD.findall(text)]


def text_features(prompts: Sequence[str], responses: Sequence[str], reasonings: Sequence[str]) -> np.ndarray:
    """(N, F) float32, a row a record in the order of NAMES; finite everywhere, not standardised.

    Only `mean rarity` and `rarity of its rarest words` depend on the other records, through the share of them that hold a word.
    """
    asked, said = [words_of(t) for t in prompts], [words_of(t) for t in responses]
    rare = (rarity(asked), rarity(said))
    rows = np.zeros((len(prompts), len(NAMES)), np.float32)
    for i, (prompt, response, reasoning) in enumerate(zip(prompts, responses, reasonings, strict=True)):
        shared = len(set(asked[i]) & set(said[i])) / max(1, len(set(asked[i])))
        rows[i] = (
            *_of_text(prompt, asked[i], rare[0]), *_of_prompt(prompt),
            *_of_text(response, said[i], rare[1]), *_of_response(response),
            math.log1p(len(words_of(reasoning))), shared,
        )  # fmt: skip
    return rows


def _of_text(text: str, words: list[str], rare: dict[str, float]) -> tuple[float, ...]:
    count = max(1, len(words))
    scores = sorted((rare[w] for w in set(words)), reverse=True)
    return (
        math.log1p(len(words)),
        math.log1p(len(words) / max(1, len(SENTENCE.findall(text)))),
        sum(map(len, words)) / count,
        sum(len(w) > 8 for w in words) / count,
        math.log1p(len(NUMBER.findall(text))),
        math.log1p(len(UNIT.findall(text))),
        math.log1p(len(NEGATION.findall(text))),
        math.log1p(len(SURFACE.findall(text))),
        len(scores) / count,
        sum(scores) / max(1, len(scores)),
        sum(scores[:RAREST]) / max(1, len(scores[:RAREST])),
        math.log1p(len(CODE.findall(text))),
    )


def _of_prompt(text: str) -> tuple[float, ...]:
    return (
        math.log1p(len(OPTION.findall(text))),
        float(bool(EXCEPTION.search(text))),
        float(bool(ALL_OR_NONE.search(text))),
        math.log1p(len(SUPERLATIVE.findall(text))),
        float(bool(VIGNETTE.search(text))),
        float(text.rstrip().endswith("?")),
        *(float(bool(pattern.search(text))) for pattern in QUESTIONS.values()),
    )


def _of_response(text: str) -> tuple[float, ...]:
    return math.log1p(len(REASONS.findall(text))), math.log1p(len(HEDGES.findall(text)))
