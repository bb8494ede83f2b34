"""Two records side by side, the words that differ marked. A component of our own that writes text nodes only, never HTML."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from pages.ui.diff.words import pieces
from pages.ui.safe import visible

HERE = Path(__file__).parent
PARTS = ("prompt", "response", "reasoning")
LONG = 20_000  # characters of one text that are compared and sent


def side_by_side(
    left: Mapping[str, Any], right: Mapping[str, Any], heads: tuple[Sequence[str], Sequence[str]], key: str
) -> None:
    """Two rows of a dataset, part under part. heads: the title of each side and a line of facts under it."""
    parts, cut = [], False
    for name in PARTS:
        a, b = (row.get(name) or "" for row in (left, right))
        if not a and not b:
            continue
        cut = cut or max(len(a), len(b)) > LONG
        marked = pieces(a[:LONG], b[:LONG])
        sides = [[[differs, _shown(text)] for differs, text in side] for side in marked[: 1 if a == b else 2]]
        parts.append({"name": name, "sides": sides, "note": marked[2]})
    _component()(key=key, data={"heads": [list(head) for head in heads], "parts": parts})
    if cut:
        st.caption(f"Of longer texts the first {LONG:,} characters are compared.")


def _shown(text: str) -> str:
    return "\n".join(visible(line) for line in text.split("\n"))


@lru_cache(maxsize=1)
def _component() -> Callable[..., Any]:
    css, js = ((HERE / name).read_text("utf-8") for name in ("diff.css", "diff.js"))
    return st.components.v2.component("quadrant_diff", css=css, js=js)
