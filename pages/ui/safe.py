"""The one way for text that comes from data onto the screen.

Streamlit's Markdown (also in captions, metrics and every widget label) renders images, links and formulas, so text from a file
could fetch or pretend. `literal` escapes it for Markdown; where a whole block is data, use st.text, st.code or st.dataframe.
"""

import re
import unicodedata

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|$~:&^=@/\"'])")
# Addresses are made links after Markdown is read, escaped or not; an invisible word joiner inside breaks them up.
_LINK = re.compile(r"\\:(?=\\/\\/)|www(?=\\\.)|\\@", re.IGNORECASE)
_VISIBLE = {"\x00": "␀", "\u2028": "⏎", "\u2029": "¶", "\n": " ", "\r": " ", "\t": " "}


def visible(text: str) -> str:
    """The same text with characters that cannot be seen, or that turn the reading direction, replaced by marks."""
    out = []
    for char in text:
        if char in _VISIBLE:
            out.append(_VISIBLE[char])
        elif unicodedata.category(char) in ("Cf", "Cc") and char != "\u200d":
            out.append(f"⟨U+{ord(char):04X}⟩")
        else:
            out.append(char)
    return "".join(out)


def literal(text: object, limit: int = 200) -> str:
    """Text from data for a Markdown context: shown as it stands, cut at `limit` characters with an ellipsis.

    Every character that Markdown, Streamlit's colour and icon directives or its LaTeX could read is escaped; a backslash before
    punctuation is shown by no renderer, so the reader sees the plain text.
    """
    plain = visible(str(text))
    if len(plain) > limit:
        plain = plain[: limit - 1] + "…"
    return _LINK.sub(lambda hit: hit[0] + "\u2060", _MARKDOWN.sub(r"\\\1", plain))


def short(text: object, limit: int = 90) -> str:
    """One line of text for places that render no Markdown (st.text, tables, selectbox options, components)."""
    plain = visible(" ".join(str(text).split()))
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"
