"""Fix-ups of responses that change their form and none of their words, for many records at once.

A fix is made by the rules that can say how a text should be written, one after another, and is proposed only when it is safe: the
letters and digits of the response stay the same and in the same order, the rules that asked for it hold afterwards, and no other
rule that held before is broken. What a person has to decide (an absent section, another language, a cut-off sentence) has no fix-up.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from core.quality.records import Records, Violation
from core.quality.rules import Rule, check
from core.quality.style_kinds import section_pattern

LABEL = "[ \t]*[*_#]{0,3}[ \t]*"
_EDGES = re.compile(r"\A[\s\u00a0\u200b\ufeff]+|[\s\u00a0\u200b\ufeff]+\Z")
_FENCE = re.compile(r"\A\s*```[A-Za-z]*[ \t]*\n(.*?)\n?[ \t]*```\s*\Z", re.S)
_FENCES = re.compile(r"^[ \t]*(?:```|~~~)")
_BULLET = re.compile(r"^([ \t]*)[-*•+]([ \t]+)(?=\S)")
_NUMBER = re.compile(r"^([ \t]*\d{1,3})[.)]([ \t]+)(?=\S)")
_HASH = re.compile(r"^(#{1,6})[ \t]+(.*?)[ \t]*#*$")
_BOLD = re.compile(r"^(?:\*\*([^*\n]{1,80})\*\*|__([^_\n]{1,80})__)(:?)[ \t]*$")


@dataclass(frozen=True)
class Fix:
    """One proposed response: the row, the text before and after, and the ids of the rules that asked for it."""

    row: int
    before: str
    after: str
    rules: tuple[str, ...]


def _stray_space(text: str, params: Mapping) -> str:
    return _EDGES.sub("", text) if "response" in params.get("columns", ["prompt", "response"]) else text


def _first_label(text: str, params: Mapping) -> str:
    label, values = params["label"], params.get("values") or ()
    hit = re.match(
        rf"(\s*[*_#]{{0,3}}[ \t]*)({re.escape(label)})([*_]{{0,3}}:[*_]{{0,3}})([ \t]*)([^\n]*)", text, re.IGNORECASE
    )
    if hit is None:
        return text
    space = " " if params.get("space") and hit[5] and not hit[4] else hit[4]
    bare = hit[5].strip().rstrip(".").strip("*_ ")
    meant = next((value for value in values if value.casefold() == bare.casefold()), bare)
    value = hit[5].replace(bare, meant, 1) if bare else hit[5]
    return f"{hit[1]}{label}{hit[3]}{space}{value}{text[hit.end() :]}"


def _section(text: str, params: Mapping) -> str:
    if params.get("column", "response") != "response":
        return text
    label = params["label"]
    line = re.compile(section_pattern(label).replace("(?m)", "", 1), re.M | re.I)
    return line.sub(lambda hit: re.sub(re.escape(label), lambda _: label, hit[0], count=1, flags=re.I), text, count=1)


def _json(text: str, params: Mapping) -> str:
    hit = _FENCE.match(text)
    return hit[1].strip() if hit else text


def _lines(text: str, change: Callable[[str], str]) -> str:
    """Every line changed, those inside a code fence left as they are."""
    lines, fenced = text.split("\n"), False
    for i, line in enumerate(lines):
        if _FENCES.match(line):
            fenced = not fenced
        elif not fenced:
            lines[i] = change(line)
    return "\n".join(lines)


def _list_style(text: str, params: Mapping) -> str:
    bullet, number = params.get("bullet"), params.get("number")

    def change(line: str) -> str:
        if bullet:
            line = _BULLET.sub(lambda hit: f"{hit[1]}{bullet}{hit[2]}", line)
        return _NUMBER.sub(lambda hit: f"{hit[1]}{number}{hit[2]}", line) if number else line

    return _lines(text, change) if params.get("column", "response") == "response" else text


def _heading_style(text: str, params: Mapping) -> str:
    style = params["style"]

    def change(line: str) -> str:
        hash_, bold = _HASH.match(line), _BOLD.match(line)
        if style == "**" and hash_ and "*" not in hash_[2]:
            return f"**{hash_[2]}**"
        if style == "#" and bold:
            return f"## {bold[1] or bold[2]}{bold[3]}"
        return line

    return _lines(text, change) if params.get("column", "response") == "response" else text


FIXES: dict[str, Callable[[str, Mapping], str]] = {
    "json": _json, "json_schema": _json, "first_label": _first_label, "section": _section, "list_style": _list_style,
    "heading_style": _heading_style, "stray_space": _stray_space,
}  # fmt: skip
"""Kind of rule -> how it would have a response written; applied in this order."""

_SIGNS = re.compile(r"[\W_]+")
_NUMBERING = re.compile(r"^```[A-Za-z]*[ \t]*$", re.M)


def same_words(before: str, after: str) -> bool:
    """Whether two texts have the same letters and digits in the same order, case and the name of a code fence aside."""
    one, two = (_SIGNS.sub("", _NUMBERING.sub("", text)).casefold() for text in (before, after))
    return one == two


def fixable(rule: Rule) -> bool:
    """Whether a fix-up of the response can come of a rule."""
    return rule.kind in FIXES and rule.params.get("column", "response") == "response"


def propose(
    records: Records, rules: Sequence[Rule], broken: Mapping[str, Iterable[int]], wanted: Iterable[str] | None = None
) -> list[Fix]:
    """The safe fix-ups of some records, by row. `broken`: rule id -> the rows that break it, as `check` found them.

    `wanted`: ids of the rules to fix for; all that can be when absent. A response that would break a rule it kept before, or would
    still break the one it is fixed for, is fixed for fewer rules or left as it is.
    """
    chosen = None if wanted is None else set(wanted)
    order = {kind: i for i, kind in enumerate(FIXES)}
    able = sorted(
        (rule for rule in rules if fixable(rule) and (chosen is None or rule.id in chosen)), key=lambda r: order[r.kind]
    )
    asked: dict[int, list[Rule]] = {}
    for rule in able:
        for row in set(broken.get(rule.id, ())):
            asked.setdefault(row, []).append(rule)
    if not asked:
        return []
    rows = sorted(asked)
    texts = records.texts("response")
    before = {row: {rule_id for rule_id, found in broken.items() if row in found} for row in rows} if rows else {}
    after: dict[int, tuple[str, tuple[Rule, ...]]] = {}
    for row in rows:
        text, by = texts[row], []
        for rule in asked[row]:
            made = FIXES[rule.kind](text, rule.params)
            if made != text and same_words(text, made):
                text, by = made, [*by, rule]
        if by:
            after[row] = text, tuple(by)
    still = recheck(records, rules, {row: text for row, (text, _) in after.items()})
    found = []
    for row, (text, by) in after.items():
        held = tuple(rule.id for rule in by if rule.id not in still[row])
        if held and not still[row] - before[row] and len(held) == len(by):
            found.append(Fix(row, texts[row], text, held))
        elif held and len(by) > 1:
            found += _one_by_one(records, rules, row, by, before[row])
    return sorted(found, key=lambda fix: fix.row)


def _one_by_one(records: Records, rules: Sequence[Rule], row: int, by: Sequence[Rule], before: set[str]) -> list[Fix]:
    """The fix of a record by those of its rules that are safe one after another."""
    start = text = records.texts("response")[row]
    held: tuple[str, ...] = ()
    for rule in by:
        made = FIXES[rule.kind](text, rule.params)
        if made == text or not same_words(text, made):
            continue
        still = recheck(records, rules, {row: made})[row]
        if rule.id not in still and not still - before and not still & set(held):
            text, held = made, (*held, rule.id)
    return [Fix(row, start, text, held)] if held else []


def recheck(records: Records, rules: Sequence[Rule], texts: Mapping[int, str]) -> dict[int, set[str]]:
    """row -> the ids of the rules that the record breaks with this response in place of its own.

    Rules that compare records with each other (casing of a column, reasoning that repeats) do not read the response: left out.
    """
    rows = sorted(texts)
    if not rows:
        return {}
    table = records.table.take(pa.array(rows, pa.int64()))
    place = table.column_names.index("response")
    table = table.set_column(place, "response", pa.array([texts[row] for row in rows], pa.large_string()))
    some = Records(table)
    broken: dict[int, set[str]] = {row: set() for row in rows}
    for rule in rules:
        if rule.kind == "label_casing" or rule.params.get("repeats"):
            continue
        found: list[Violation] = check(some, rule)
        for violation in found:
            broken[rows[violation.row]].add(rule.id)
    return broken
