"""Rules of style: how headings are written, which signs open list items, sections that must not be there."""

import re
from collections.abc import Iterator

import pyarrow.compute as pc

from core.quality.records import Found, Records, rows_where, starts_of

BULLETS = ("-", "*", "•", "+")
NUMBERS = (".", ")")
HEADINGS = {"#": "## Heading", "**": "**Heading**"}
"""Ways to write a heading that stands on its own line."""

_BULLET = r"(?m)^[ \t]*{}[ \t]+\S"
_NUMBER = r"(?m)^[ \t]*\d{{1,3}}{}[ \t]+\S"
_HEADING = {"#": r"(?m)^#{1,6}[ \t]+\S", "**": r"(?m)^(?:\*\*[^*\n]{1,80}\*\*|__[^_\n]{1,80}__):?[ \t]*$"}


def bullet_pattern(signs: tuple[str, ...] | list[str]) -> str:
    """RE2: a line that opens with one of these bullets."""
    return _BULLET.format("(?:" + "|".join(re.escape(sign) for sign in signs) + ")")


def number_pattern(signs: tuple[str, ...] | list[str]) -> str:
    """RE2: a line that opens with a number and one of these signs."""
    return _NUMBER.format("(?:" + "|".join(re.escape(sign) for sign in signs) + ")")


def heading_pattern(style: str) -> str:
    """RE2: a line that is a heading of this style, one of HEADINGS."""
    return _HEADING[style]


def list_style(records: Records, params: dict) -> Iterator[Found]:
    """Responses with list items that open with another `bullet`, or another sign after the `number`, than the rule has."""
    column = params.get("column", "response")
    patterns = []
    if params.get("bullet"):
        patterns.append((bullet_pattern([s for s in BULLETS if s != params["bullet"]]), f"“{params['bullet']}”"))
    if params.get("number"):
        patterns.append((number_pattern([s for s in NUMBERS if s != params["number"]]), f"“1{params['number']}”"))
    yield from _unlike(records, column, patterns, "a list item does not open with {}")


def heading_style(records: Records, params: dict) -> Iterator[Found]:
    """Responses with headings of another style than `style`; "none": with any heading."""
    column, style = params.get("column", "response"), params["style"]
    others = [heading_pattern(name) for name in HEADINGS if name != style]
    how = "a heading is not written {}" if style != "none" else "there is a heading{}"
    yield from _unlike(records, column, [(p, "" if style == "none" else f"“{HEADINGS[style]}”") for p in others], how)


def _unlike(records: Records, column: str, patterns: list[tuple[str, str]], said: str) -> Iterator[Found]:
    texts = records.text(column)
    for pattern, wanted in patterns:
        rows = rows_where(pc.match_substring_regex(texts, pattern))
        for row, at in zip(rows, starts_of(texts, rows, pattern) if rows else [], strict=True):
            yield Found(row, said.format(wanted), column, at)


def section_pattern(label: str) -> str:
    """A line that opens a section: "Label:", "**Label:**", "## Label", "- Label:", "1. Label:" …, the case as in `label`."""
    opening = r"(?m)^[ \t]*(?:#{1,6}[ \t]*|[-*•][ \t]+|\d+[.)][ \t]+)?[*_]{0,3}"
    return opening + re.escape(label) + r"[*_]{0,3}[ \t]*(?::|$|[*_]{1,3}:)"


def no_section(records: Records, params: dict) -> Iterator[Found]:
    """Responses that have the section `label`, however it is cased."""
    column, label = params.get("column", "response"), params["label"]
    texts, pattern = records.text(column), "(?i)" + section_pattern(label)
    rows = rows_where(pc.match_substring_regex(texts, pattern))
    for row, at in zip(rows, starts_of(texts, rows, pattern) if rows else [], strict=True):
        yield Found(row, f"the {column} has a section “{label}”, which must not be there", column, at)
