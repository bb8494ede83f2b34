"""Which words of two texts differ. Plain data, no Streamlit."""

import difflib
import re

MOST = 4_000
"""Words of one text that are compared; beyond that the marking would take longer than reading."""
LEAST = 0.5
"""Share of the shorter text's words in common under which nothing is marked."""
# A word with the white space before it, so that a changed space shows; scripts written without spaces go sign by sign.
_DENSE = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
_TOKEN = re.compile(rf"\s*(?:[{_DENSE}]|[^\s{_DENSE}]+)|\s+\Z")

Piece = tuple[bool, str]


def pieces(left: str, right: str) -> tuple[list[Piece], list[Piece], str]:
    """Both texts as runs (differs, text), whole and unchanged when joined; and what to say of it, "" where the marks say it.

    Nothing is marked where that would not help: equal texts, texts of more than MOST words, and texts so unlike that hardly a
    word would stay unmarked.
    """
    plain = [(False, left)], [(False, right)]
    if left == right:
        return *plain, "the same in both"
    a, b = (_TOKEN.findall(text) for text in (left, right))
    if max(len(a), len(b)) > MOST:
        return *plain, "different, and too long to compare word by word"
    blocks = difflib.SequenceMatcher(None, a, b, autojunk=len(a) > 500)
    shared, least = sum(block.size for block in blocks.get_matching_blocks()), min(len(a), len(b))
    if least > 12 and shared < LEAST * least:
        return *plain, f"different: {shared:,} of {least:,} words stand in both in the same order"
    sides: tuple[list[Piece], list[Piece]] = ([], [])
    for kind, a0, a1, b0, b1 in blocks.get_opcodes():
        for side, words in zip(sides, (a[a0:a1], b[b0:b1]), strict=True):
            if words:
                side.append((kind != "equal", "".join(words)))
    return *sides, ""
