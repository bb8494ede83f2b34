"""A page of text, tables and drawings as plain data, and what it is written as: Markdown, or one HTML file that fetches nothing.

Every text of a page may come from people or data, so both writers escape all of it; drawings are made here, of numbers and such text.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~!$&@^])")
_ADDRESS = re.compile(r":(?=//)|(?<=www)\.", re.IGNORECASE)


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    text: str
    strong: bool = False
    small: bool = False


@dataclass(frozen=True)
class Points:
    items: Sequence[tuple[str, str]]
    """(name, what is said of it); an empty name for a plain point."""


@dataclass(frozen=True)
class Rows:
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[int] = ()
    """Columns that stand right-aligned."""


@dataclass(frozen=True)
class Drawing:
    svg: str
    """From core.review.drawing; safe as it is."""
    caption: str


@dataclass(frozen=True)
class Break:
    """A new page of paper; an appendix follows."""


Block = Heading | Text | Points | Rows | Drawing | Break


def plain(text: object) -> str:
    """One line without characters that cannot be seen or that turn the direction of reading."""
    line = "".join(
        char if char.isprintable() or char == "\u200d" else "" if unicodedata.category(char) == "Cf" else " "
        for char in str(text)
    )
    return " ".join(line.split())


def markdown_text(text: object) -> str:
    """Text with nothing left in it that Markdown reads, no address that becomes a link, on one line."""
    return _ADDRESS.sub(lambda hit: "\\" + hit[0], _MARKDOWN.sub(r"\\\1", plain(text)))


def as_markdown(blocks: Sequence[Block]) -> str:
    """The page as Markdown; drawings are left out, their captions stay."""
    safe, lines = markdown_text, []
    for block in blocks:
        if isinstance(block, Heading):
            lines += [f"{'#' * block.level} {safe(block.text)}", ""]
        elif isinstance(block, Text):
            lines += [f"**{safe(block.text)}**" if block.strong else safe(block.text), ""]
        elif isinstance(block, Points):
            lines += [f"- {safe(name)}: {safe(said)}" if name else f"- {safe(said)}" for name, said in block.items] + [
                ""
            ]
        elif isinstance(block, Rows):
            lines.append("| " + " | ".join(safe(one) for one in block.head) + " |")
            lines.append("|" + "|".join("---:" if i in block.numbers else "---" for i in range(len(block.head))) + "|")
            lines += ["| " + " | ".join(safe(one) for one in row) + " |" for row in block.rows] + [""]
        elif isinstance(block, Drawing):
            lines += [safe(block.caption), ""]
    return "\n".join(lines).rstrip() + "\n"


STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 13px/1.42 system-ui, "DejaVu Sans", sans-serif; color: #1c2024; background: #fff;
 margin: 0 auto; padding: 22px; max-width: 860px; }
h1 { font-size: 20px; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 14px; margin: 14px 0 5px; border-bottom: 1px solid #c9ced3; break-after: avoid; }
p { margin: 4px 0 7px; overflow-wrap: anywhere; }
p.strong { font-weight: 650; font-size: 14.5px; }
p.small, figcaption { font-size: 11.5px; color: #4b545c; }
ul { margin: 4px 0 7px; padding-left: 17px; } li { overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: 4px 0 8px; width: 100%; break-inside: avoid; }
table.long { break-inside: auto; } tr { break-inside: avoid; }
th, td { border-bottom: 1px solid #dfe3e6; padding: 2px 7px 2px 0; text-align: left; vertical-align: top; overflow-wrap: break-word; }
td { max-width: 26em; }
th { font-weight: 600; color: #3b444b; } .n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
figure { margin: 6px 0; break-inside: avoid; } svg { max-width: 100%; height: auto; display: block; }
.columns { columns: 2; column-gap: 26px; } .columns > h2:first-child { margin-top: 0; }
.break { break-before: page; margin-top: 22px; }
@media (max-width: 640px) { .columns { columns: 1; } }
@media print { @page { size: A4; margin: 11mm 12mm; } body { padding: 0; max-width: none; font-size: 9.6px; line-height: 1.32; }
 h1 { font-size: 15px; } h2 { font-size: 11px; margin: 8px 0 3px; }
 p.strong { font-size: 11.5px; } p.small, figcaption { font-size: 8.6px; }
 p, ul, table { margin: 2px 0 4px; } .columns { columns: 2; } }
"""


def as_html(blocks: Sequence[Block], title: str) -> str:
    """The page as one HTML file: no script, nothing fetched (its own policy forbids both), every text escaped; light, printable."""
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">\n'
        f"<title>{_escaped(title)}</title>\n<style>{STYLE}</style></head>\n<body>\n"
    )
    out, columns = [head], False
    for block in blocks:
        if isinstance(block, Heading) and block.level == 2 and not columns:
            out.append('<div class="columns">\n')
            columns = True
        if isinstance(block, Break):
            out.append('</div>\n<div class="break">\n' if columns else '<div class="break">\n')
            columns = True  # the appendix is one column: its <div> is closed at the end
            continue
        out.append(_html(block))
    out.append("</div>\n</body></html>\n" if columns else "</body></html>\n")
    return "".join(out)


def _html(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{_escaped(block.text)}</h{block.level}>\n"
    if isinstance(block, Text):
        kind = ' class="strong"' if block.strong else ' class="small"' if block.small else ""
        return f"<p{kind}>{_escaped(block.text)}</p>\n"
    if isinstance(block, Points):
        items = "".join(
            f"<li>{f'<b>{_escaped(name)}:</b> ' if name else ''}{_escaped(said)}</li>\n" for name, said in block.items
        )
        return f"<ul>\n{items}</ul>\n"
    if isinstance(block, Rows):
        kinds = [' class="n"' if i in block.numbers else "" for i in range(len(block.head))]
        head = "".join(f"<th{kind}>{_escaped(one)}</th>" for kind, one in zip(kinds, block.head, strict=True))
        rows = "".join(
            "<tr>"
            + "".join(f"<td{kind}>{_escaped(one)}</td>" for kind, one in zip(kinds, row, strict=True))
            + "</tr>\n"
            for row in block.rows
        )
        long = ' class="long"' if len(block.rows) > 15 else ""
        return f"<table{long}><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table>\n"
    if isinstance(block, Drawing):
        return f"<figure>{block.svg}<figcaption>{_escaped(block.caption)}</figcaption></figure>\n"
    return ""


def _escaped(text: object) -> str:
    return html.escape(plain(text), quote=True)
