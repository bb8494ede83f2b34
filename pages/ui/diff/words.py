"""Which words of two texts differ. Plain data, no Streamlit."""

import difflib
import re

MOST = 4_000
"""Words of one text that are compared; beyond that the marking would take longer than reading."""
# A word with the white space before it, so that a changed space shows; scripts written without spaces go sign by sign.
_DENSE = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
_TOKEN = re.compile(rf"\s*(?:[{_DENSE}]|[^\s{_DENSE}]+)|\s+\Z")

Piece = tuple[bool, str]


def pieces(left: str, right: str) -> tuple[list[Piece], list[Piece], bool]:
    """Both texts as runs (differs, text), whole and unchanged when joined; and whether they were compared word by word.

    Texts of more than MOST words come as one run each, marked when the texts are not equal.
    """
    if left == right:
        return [(False, left)], [(False, right)], True
    a, b = (_TOKEN.findall(text) for text in (left, right))
    if max(len(a), len(b)) > MOST:
        return [(True, left)], [(True, right)], False
    sides: tuple[list[Piece], list[Piece]] = ([], [])
    for kind, a0, a1, b0, b1 in difflib.SequenceMatcher(None, a, b, autojunk=len(a) > 500).get_opcodes():
        for side, words in zip(sides, (a[a0:a1], b[b0:b1]), strict=True):
            if words:
                side.append((kind != "equal", "".join(words)))
    return *sides, True
