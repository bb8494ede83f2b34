"""Format rules as data, and what each kind of rule looks for.

A rule is a `Rule`; a kind is a function from (Records, params) to violations (row, message, position in the text). Patterns are RE2
(through Arrow): linear in the text whatever the pattern, so a rule that a user types cannot hang the check.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import InputError
from core.quality.json_kinds import check_schema, json_keys, json_schema
from core.quality.languages import language
from core.quality.records import Counts, Found, Records, Violation, rows_where, starts_of
from core.quality.style_kinds import BULLETS, HEADINGS, NUMBERS, heading_style, list_style, no_section, section_pattern

__all__ = ["KINDS", "Found", "Records", "Rule", "Violation", "check", "check_rule", "rule_from", "section_pattern"]

TEXTS = ("prompt", "response", "reasoning", "system", "category", "language", "annotator")
SEVERITIES = ("error", "warning")


@dataclass(frozen=True)
class Rule:
    """One format rule. `applies_to` is a category, or "all". Every violation counts against compliance, whatever its severity."""

    id: str
    title: str
    kind: str
    params: dict[str, Any] = field(default_factory=dict)
    applies_to: str = "all"
    severity: str = "error"
    origin: str = "own"  # "ready", "suggested", "own"
    share: float | None = None  # of a suggested rule: how many of the records it was read from follow it

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def rule_from(value: dict[str, Any]) -> Rule:
    """A rule from JSON, checked. Errors: unknown kind, parameter or severity, a pattern RE2 does not take."""
    known = set(Rule.__dataclass_fields__)
    unknown = sorted(set(value) - known)
    if unknown:
        raise InputError(f"A format rule has no field {unknown[0]!r}; it has {', '.join(Rule.__dataclass_fields__)}.")
    if not value.get("id") or not value.get("kind"):
        raise InputError("A format rule needs an `id` and a `kind`.")
    rule = Rule(**({"title": str(value["id"])} | value))
    check_rule(rule)
    return rule


def check_rule(rule: Rule) -> None:
    """Errors as `rule_from`; returns nothing when the rule can run."""
    if rule.kind not in KINDS:
        raise InputError(f"Rule {rule.id}: there is no kind {rule.kind!r}; the kinds are {', '.join(KINDS)}.")
    if rule.severity not in SEVERITIES:
        raise InputError(f"Rule {rule.id}: severity is {rule.severity!r}; it must be error or warning.")
    allowed = KINDS[rule.kind].params
    unknown = sorted(set(rule.params) - set(allowed))
    if unknown:
        takes = ", ".join(allowed) or "none"
        raise InputError(f"Rule {rule.id}: kind {rule.kind} has no parameter {unknown[0]!r}; it takes {takes}.")
    column = rule.params.get("column", "response")
    if column not in TEXTS and not str(column).startswith("field."):
        raise InputError(f"Rule {rule.id}: {column!r} is no text column; choose one of {', '.join(TEXTS)} or a field.")
    if "pattern" in allowed:
        if not rule.params.get("pattern"):
            raise InputError(f"Rule {rule.id}: kind {rule.kind} needs a `pattern`.")
        check_pattern(str(rule.params["pattern"]), rule.id)
    if rule.kind == "json_schema":
        check_schema(rule.params.get("schema"), rule.id)
    if "label" in allowed and not str(rule.params.get("label") or "").strip():
        raise InputError(f"Rule {rule.id}: kind {rule.kind} needs a `label`.")
    for name, known in _CHOICES.get(rule.kind, {}).items():
        if rule.params.get(name) is not None and rule.params[name] not in known:
            raise InputError(f"Rule {rule.id}: {name} is {rule.params[name]!r}; it must be one of {' '.join(known)}.")
    if rule.kind in _CHOICES and not any(rule.params.get(name) for name in _CHOICES[rule.kind]):
        raise InputError(f"Rule {rule.id}: kind {rule.kind} needs {' or '.join(_CHOICES[rule.kind])}.")


_CHOICES = {"list_style": {"bullet": BULLETS, "number": NUMBERS}, "heading_style": {"style": (*HEADINGS, "none")}}


def check_pattern(pattern: str, where: str) -> None:
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid as error:
        reason = str(error).removeprefix("Invalid regular expression: ")
        raise InputError(f"Rule {where}: RE2 does not take the pattern {pattern!r} ({reason}). Correct it.") from error


# -- kinds -------------------------------------------------------------------------------------------------------------


def _matches(records: Records, params: dict) -> Iterator[Found]:
    column = params.get("column", "response")
    hit = pc.match_substring_regex(records.text(column), params["pattern"])
    for row in rows_where(pc.invert(hit)):
        yield Found(row, params.get("message") or f"the {column} lacks what the rule asks for", column, 0)


def _forbids(records: Records, params: dict) -> Iterator[Found]:
    column = params.get("column", "response")
    texts = records.text(column)
    rows = rows_where(pc.match_substring_regex(texts, params["pattern"]))
    for row, at in zip(rows, starts_of(texts, rows, params["pattern"]) if rows else [], strict=True):
        yield Found(row, params.get("message") or f"the {column} holds what the rule forbids", column, at)


def _section(records: Records, params: dict) -> Iterator[Found]:
    column, label = params.get("column", "response"), params["label"]
    texts = records.text(column)
    missing = rows_where(pc.invert(pc.match_substring_regex(texts, section_pattern(label))))
    if not missing:
        return
    some = texts.take(pa.array(missing, pa.int64()))
    other_case = pc.match_substring_regex(some, "(?i)" + section_pattern(label)).to_pylist()
    for row, cased in zip(missing, other_case, strict=True):
        how = f"the section “{label}” is written in another case" if cased else f"the {column} has no section “{label}”"
        yield Found(row, how, column, 0)


def _first_label(records: Records, params: dict) -> Iterator[Found]:
    """The first line reads "Label: value", and the value is one of `values`, with a `space` before it, when given."""
    label, values = params["label"], params.get("values")
    pattern = re.compile(rf"\s*[*_#]{{0,3}}[ \t]*{re.escape(label)}[*_]{{0,3}}:[*_]{{0,3}}([ \t]*)([^\n]*)")
    folded = {value.casefold(): value for value in values or ()}
    for row, text in enumerate(records.texts("response")):
        hit = pattern.match(text)
        if hit is None:
            yield Found(row, f"the first line is not “{label}: …”")
        elif params.get("space") and not hit[1] and hit[2]:
            yield Found(row, f"there is no space after “{label}:”")
        elif values:
            value = hit[2].strip().rstrip(".").strip("*_ ")
            if value not in values:
                meant = folded.get(value.casefold())
                expected = f"write it “{meant}”" if meant else f"expected {' | '.join(values)}"
                yield Found(row, f"“{label}” has the value “{value[:40]}”; {expected}", "response", hit.start(2))


def _stray_space(records: Records, params: dict) -> Iterator[Found]:
    for column in params.get("columns", ["prompt", "response"]):
        texts = records.text(column)
        for pattern, what in ((r"[\s\x{a0}\x{200b}\x{feff}]\z", "ends"), (r"\A[\s\x{a0}\x{200b}\x{feff}]", "starts")):
            for row in rows_where(pc.match_substring_regex(texts, pattern)):
                length = len(texts[row].as_py())
                yield Found(row, f"the {column} {what} with white space", column, length if what == "ends" else 0)


def _length(records: Records, params: dict) -> Iterator[Found]:
    column, low, high = params.get("column", "response"), params.get("low", 0), params.get("high")
    length = pc.utf8_length(records.text(column)).to_numpy(zero_copy_only=False)
    for row in np.flatnonzero((length < low) | (length > (np.inf if high is None else high))).tolist():
        band = f"{low:,} to {high:,}" if high is not None else f"{low:,} or more"
        yield Found(row, f"the {column} has {length[row]:,} characters; {band} are usual", column, 0)


def _turn_order(records: Records, params: dict) -> Iterator[Found]:
    """user, assistant, user …, assistant; tool turns only after an assistant; a system turn only first."""
    for row, turns in enumerate(records.turns):
        names = [name for name, _ in turns]
        if names and names[0] in ("system", "developer"):
            names = names[1:]
        spoken = [name for name in names if name not in ("tool", "function")]
        if not names:
            yield Found(row, "there is no turn of a user or an assistant", "prompt", -1)
        elif any(name in ("system", "developer") for name in names):
            yield Found(row, "a system turn stands after the first turn", "prompt", -1)
        elif names[0] != "user":
            yield Found(row, f"the first turn is of the {names[0]}, not the user", "prompt", -1)
        elif names[-1] != "assistant":
            yield Found(row, f"the last turn is of the {names[-1]}, not the assistant", "prompt", -1)
        elif any(a == b for a, b in zip(spoken, spoken[1:], strict=False)) and len(spoken) == len(names):
            twice = next(a for a, b in zip(spoken, spoken[1:], strict=False) if a == b)
            yield Found(row, f"two turns of the {twice} follow each other", "prompt", -1)


def _empty_turns(records: Records, params: dict) -> Iterator[Found]:
    for row, turns in enumerate(records.turns):
        empty = [name for name, filled in turns if not filled]
        if empty:
            count = "a turn" if len(empty) == 1 else f"{len(empty)} turns"
            yield Found(row, f"{count} of the {empty[0]} {'is' if len(empty) == 1 else 'are'} empty", "prompt", -1)


def _reasoning(records: Records, params: dict) -> Iterator[Found]:
    """Reasoning that is absent, too short, or no reasoning: a copy of prompt or response, few words, or the same text many times."""
    least, words, repeats = params.get("least", 1), params.get("words", 0), params.get("repeats", 0)
    responses, prompts = records.texts("response"), records.texts("prompt")
    stripped = [text.strip() for text in records.texts("reasoning")]
    count = records.alike("reasoning") if repeats else None
    for row, text in enumerate(stripped):
        if not text:
            yield Found(row, "there is no reasoning", "reasoning", -1)
        elif len(text) < least:
            yield Found(row, f"the reasoning has {len(text)} characters; {least} at the least", "reasoning", 0)
        elif text == responses[row].strip():
            yield Found(row, "the reasoning only repeats the response", "reasoning", 0)
        elif text == prompts[row].strip():
            yield Found(row, "the reasoning only repeats the prompt", "reasoning", 0)
        elif words and len(set(text.casefold().split())) < words:
            yield Found(row, f"the reasoning has fewer than {words} different words", "reasoning", 0)
        elif repeats and count(text) >= repeats:
            yield Found(row, f"{count(text):,} records have this very reasoning", "reasoning", 0)


# The ends that a cut-off text has: a comma, a hyphen, an opening bracket, or a word that no sentence ends on.
_CUT = re.compile(
    r"(?:[,;({\[–—]|\s[-&]|\b(?:and|or|the|a|an|of|to|with|for|in|on|by|from|that|which|if|because|such as|is|are|was|be))\Z",
    re.I,
)
_ENDS = frozenset(".!?…:)]}\"'”’»*_`>|%0123456789")
_ITEM = re.compile(r"\s*(?:[-*•#>|]|\d+[.)]|[A-Za-z][\w /()-]{0,40}:)")


def looks_cut(text: str) -> str:
    """Why a text looks cut off, or "". A list item or a "Label: value" line may end without a full stop."""
    text = text.rstrip()
    if text.count("```") % 2:
        return "a code fence is not closed"
    if not text or text[0] in "{[":
        return ""
    last = text[text.rfind("\n") + 1 :]
    if _CUT.search(text[-24:]) and len(text) > 20:
        return f"it ends in “{text[-20:].strip()}”"
    # Beyond the Latin scripts (over U+024F) sentences end in signs of their own, or in none.
    if len(last) >= 60 and last[-1] not in _ENDS and ord(last[-1]) <= 0x24F and not _ITEM.match(last):
        return "its last sentence has no end"
    return ""


def _complete(records: Records, params: dict) -> Iterator[Found]:
    for row, text in enumerate(records.texts("response")):
        why = looks_cut(text)
        if why:
            yield Found(row, f"the response looks cut off: {why}", "response", len(text))


def _not_empty(records: Records, params: dict) -> Iterator[Found]:
    column = params.get("column", "response")
    for row in rows_where(pc.invert(pc.match_substring_regex(records.text(column), r"[^\s\x{a0}\x{200b}\x{feff}]"))):
        yield Found(row, f"the {column} is empty", column, -1)


def _label_casing(records: Records, params: dict) -> Iterator[Found]:
    """Values of a column that differ from a more frequent one only by case, spaces, hyphens or underscores."""
    column = params.get("column", "category")
    count = records.counts(column)
    usual: dict[str, str] = {}
    for text in sorted(count, key=lambda t: (-count[t], t)):
        usual.setdefault(re.sub(r"[\s_-]+", " ", text).strip().casefold(), text)
    meant = {text: usual[re.sub(r"[\s_-]+", " ", text).strip().casefold()] for text in count}
    for row, text in enumerate(records.texts(column)):
        if text != meant[text]:
            yield Found(row, f"the {column} is written “{text[:40]}”, elsewhere “{meant[text][:40]}”", column, -1)


class Kind(NamedTuple):
    find: Callable[[Records, dict], Iterator[Found]]
    params: tuple[str, ...]
    title: str


KINDS: dict[str, Kind] = {
    "matches": Kind(_matches, ("column", "pattern", "message"), "The text must match a pattern"),
    "forbids": Kind(_forbids, ("column", "pattern", "message"), "The text must not match a pattern"),
    "section": Kind(_section, ("column", "label"), "A section must be there"),
    "first_label": Kind(_first_label, ("label", "values", "space"), "The first line must be “Label: value”"),
    "no_section": Kind(no_section, ("column", "label"), "A section must not be there"),
    "json": Kind(json_keys, ("required", "types"), "The response must be JSON"),
    "json_schema": Kind(json_schema, ("schema",), "The response must hold to a JSON Schema"),
    "list_style": Kind(list_style, ("column", "bullet", "number"), "List items open with one sign"),
    "heading_style": Kind(heading_style, ("column", "style"), "Headings are written one way"),
    "language": Kind(language, ("column",), "The text is in its declared language"),
    "stray_space": Kind(_stray_space, ("columns",), "No white space at the ends"),
    "length": Kind(_length, ("column", "low", "high"), "The length must be in a band"),
    "turn_order": Kind(_turn_order, (), "User and assistant take turns"),
    "empty_turns": Kind(_empty_turns, (), "No turn is empty"),
    "not_empty": Kind(_not_empty, ("column",), "The text must not be empty"),
    "reasoning": Kind(_reasoning, ("least", "words", "repeats"), "The reasoning must be there"),
    "complete": Kind(_complete, (), "The response must not be cut off"),
    "label_casing": Kind(_label_casing, ("column",), "Labels are written one way"),
}
"""Every kind with the parameters it takes."""


def counted(blocks: Callable[[], Iterable[Records]], rules: Sequence[Rule]) -> Counts | None:
    """What the rules that compare records with each other need to know of the whole set; None where there is no such rule."""
    texts = {(r.applies_to, r.params.get("column", "category")) for r in rules if r.kind == "label_casing"}
    alike = {(r.applies_to, "reasoning") for r in rules if r.kind == "reasoning" and r.params.get("repeats")}
    return Counts.of(blocks(), texts, alike) if texts or alike else None


def check(records: Records, rule: Rule) -> list[Violation]:
    """The violations of one rule, by row. Rows outside `applies_to` are not looked at."""
    rows = None
    if rule.applies_to != "all":
        rows, records = records.of(rule.applies_to)
        if not len(rows):
            return []
    found = KINDS[rule.kind].find(records, rule.params)
    violations = [
        Violation(f.row if rows is None else int(rows[f.row]), f.message, _snippet(records, f)) for f in found
    ]
    return sorted(violations)


def _snippet(records: Records, found: Found, width: int = 80) -> str:
    if found.at < 0:
        return ""
    text = records.texts(found.column)[found.row]
    start = max(0, min(found.at - width // 4, len(text) - width))
    piece = text[start : start + width]
    return ("…" if start else "") + piece + ("…" if start + width < len(text) else "")
