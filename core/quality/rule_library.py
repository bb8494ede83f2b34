"""Format rules that are ready to use, and rules read off what the large majority of the records does."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc

from core.quality.json_kinds import parse_json
from core.quality.rules import Records, Rule
from core.quality.style_kinds import BULLETS, HEADINGS, NUMBERS, bullet_pattern, heading_pattern, number_pattern

READY: tuple[Rule, ...] = (
    Rule("empty_response", "The response is not empty", "not_empty", {"column": "response"}, origin="ready"),
    Rule("empty_turns", "No turn is empty", "empty_turns", origin="ready"),
    Rule("turn_order", "User and assistant take turns, and the assistant speaks last", "turn_order", origin="ready"),
    Rule(
        "stray_space",
        "No white space before or after prompt and response",
        "stray_space",
        severity="warning",
        origin="ready",
    ),
    Rule("complete", "The response is not cut off", "complete", origin="ready"),
    Rule(
        "template_tokens",
        "No tokens of a chat template in the text",
        "forbids",
        {
            "pattern": r"<\|(?:im_start|im_end|endoftext|eot_id|start_header_id|end_header_id|user|assistant|system)\|>"
            r"|\[/?INST\]|<</?SYS>>"
            r"|(?m)^### (?:Instruction|Response|Input):|^(?:Human|Assistant|User): ",
            "message": "the response holds a token of a chat template",
        },
        origin="ready",
    ),
    Rule(
        "placeholders",
        "No placeholders left in",
        "forbids",
        {
            "pattern": r"(?i)\{\{[^{}]{1,40}\}\}|\[(?:insert|your|name|date|patient name|todo|tbd|placeholder|x{2,})\b[^\]\n]{0,40}\]"
            r"|\blorem ipsum\b|\bTODO\b|\bTBD\b|<(?:insert|placeholder)[^>\n]{0,40}>",
            "message": "the response holds a placeholder",
        },
        origin="ready",
    ),
    Rule(
        "broken_characters",
        "No characters broken by a wrong encoding",
        "forbids",
        {
            "pattern": r"\x{FFFD}|Ã[\x{80}-\x{BF}©¨¼¶¤±]|â€[™œ\x{9d}“”˜¦]|Â[°·±]|[\x{00}-\x{08}\x{0B}\x{0E}-\x{1F}]",
            "message": "the response holds broken or control characters",
        },
        origin="ready",
    ),
    Rule(
        "model_talk",
        "The response does not speak of itself as a model",
        "forbids",
        {
            "pattern": r"(?i)\bas an? (?:AI|artificial intelligence|large language model|language model)\b"
            r"|\bI(?: a|')m (?:just )?an? AI\b"
            r"|\bmy (?:knowledge|training) cut-?off\b",
            "message": "the response speaks of itself as a model",
        },
        severity="warning",
        origin="ready",
    ),
    Rule("category_casing", "Categories are written one way", "label_casing", {"column": "category"}, origin="ready"),
    Rule(
        "language",
        "The response is in its declared language",
        "language",
        {"column": "response"},
        "all",
        "warning",
        "ready",
    ),
)
"""Rules for any set. The first match wins the eye of the reader, so what breaks training comes first."""

SAFETY = (
    r"(?i)\b(?:911|999|112|988)\b|\b(?:call|dial|ring|phone) (?:000|111|emergency|for help|us|your|the (?:ward|team|surgery|clinic))"
    r"|\bambulance\b|[a-z,] emergency\b|\bcasualty\b|\bA&E\b|same[- ]day|straight in\b|crisis (?:line|team|service|number|plan)"
    r"|poisons? (?:line|control|centre|center|information)|seek (?:urgent |immediate |medical )*(?:care|help|advice|attention)"
    r"|(?:consult|contact|speak (?:to|with)|talk to|see|ask|tell|phone) (?:a|an|your|the) (?:\w+ ){0,2}(?:doctor|clinician|physician"
    r"|GP|pharmacist|provider|nurse|midwife|specialist|professional|dentist|team|psychiatrist)"
    r"|return (?:precautions|immediately|at once|if)|safety.?net|red flags?|(?:go to|come back|straight) (?:the |to )*hospital"
    r"|not (?:a substitute for|medical advice)"
)
"""Language that sends the reader to help in time (English). A label "Urgency: Emergency" alone is none."""

SHELF: tuple[Rule, ...] = (
    Rule("safety", "The response says when to seek help", "matches",
         {"pattern": SAFETY, "message": "nothing says when or where to seek help"}),
    Rule("disclaimer", "The response says what it is no substitute for", "matches",
         {"pattern": r"(?i)not (?:a )?(?:substitute|replacement) for|not (?:medical|professional|legal|financial) advice",
          "message": "there is no such sentence"}),
    Rule("no_dose", "The response gives no dose", "forbids",
         {"pattern": r"(?i)\b\d+(?:[.,]\d+)?\s*(?:mg|mcg|µg|μg|g|ml|units?|iu)\b(?:\s*/\s*kg)?", "message": "a dose is given"}),
    Rule("reasons", "There is reasoning, and it says something", "reasoning", {"least": 20, "words": 8, "repeats": 5}),
    Rule("json_object", "The response is a JSON object", "json_schema", {"schema": {"type": "object", "minProperties": 1}}),
    Rule("icd10", "The response is JSON with an ICD-10 code", "json_schema",
         {"schema": {"type": "object", "required": ["code"], "properties": {"code": {
             "type": "string", "pattern": "^[A-Z][0-9][0-9A-Z](?:\\.[0-9A-Z]{1,4})?$"}}}}),
    Rule("dashes", "Lists open with “-” and “1.”", "list_style", {"bullet": "-", "number": "."}, severity="warning"),
    Rule("hashes", "Headings are written “## Heading”", "heading_style", {"style": "#"}, severity="warning"),
    Rule("no_headings", "The response has no headings", "heading_style", {"style": "none"}, severity="warning"),
    Rule("plain", "No Markdown", "forbids",
         {"pattern": r"(?m)^#{1,6} |\*\*[^*\n]+\*\*|^```|^\|.+\|$", "message": "there is Markdown"}, severity="warning"),
    Rule("no_links", "No web addresses", "forbids", {"pattern": r"(?i)\bhttps?://|\bwww\.", "message": "there is a web address"}),
    Rule("no_identifiers", "No e-mail addresses or telephone numbers", "forbids",
         {"pattern": r"(?i)\b[\w.+-]+@[\w-]+\.[a-z]{2,}\b|(?:\+\d{1,3}[ -]?)?\(?\d{3}\)?[ -]\d{3}[ -]\d{4}\b",
          "message": "there is an e-mail address or a telephone number"}),
    Rule("short", "The response has at most 2,000 characters", "length", {"high": 2000}, severity="warning"),
    Rule("prompt_language", "The prompt is in its declared language", "language", {"column": "prompt"}, severity="warning"),
)  # fmt: skip
"""Rules to take in where they fit; each is for some tasks, so none is in force unasked."""

_LABEL = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]*|[-*•][ \t]+|\d+[.)][ \t]+)?[*_]{0,3}([A-Z][A-Za-z][A-Za-z0-9 /&'-]{0,38}?)[*_]{0,3}"
    r"[ \t]*(?::|[*_]{1,3}:)",
    re.M,
)
_HEADING = re.compile(r"^#{1,6}[ \t]+([^\n#*:]{2,40}?)[ \t]*$", re.M)
_FIRST = re.compile(r"\s*[*_#]{0,3}[ \t]*([A-Z][A-Za-z][A-Za-z0-9 /&'-]{0,30}?)[*_]{0,3}:[*_]{0,3}[ \t]*([^\n]{0,80})")


def suggest(records: Records, share: float = 0.8, least: int = 10) -> list[Rule]:
    """Rules that at least `share` of a category's records follow, for categories of `least` records or more.

    A rule that every such category follows comes once, for all records. A set without categories counts as one. Each
    rule carries the share of the records it was read from that follow it.
    """
    names = [str(c) if c is not None else None for c in records.categories]
    count = Counter(names)
    large = sorted(c for c, n in count.items() if c is not None and n >= least)
    rows = {c: np.array([i for i, name in enumerate(names) if name == c]) for c in large}
    if not rows:
        if len(records) < least:
            return []
        rows = {"all": np.arange(len(records))}
    features = _features(records)
    rules: list[Rule] = []
    for key in sorted(features, key=lambda key: (_ORDER.index(key[0]), key[1])):
        held = features[key]
        shares = {c: float(held[index].mean()) for c, index in rows.items()}
        following = [c for c, value in shares.items() if value >= max(share, STRICTER.get(key[0], 0))]
        if not following:
            continue
        if len(following) == len(rows):
            everyone = np.concatenate(list(rows.values()))
            rules += _rule(key, "all", float(held[everyone].mean()), records, everyone[held[everyone]])
        else:
            for c in following:
                rules += _rule(key, c, shares[c], records, rows[c][held[rows[c]]])
    for c, index in rows.items():
        rules += _length_band(records, c if len(rows) > 1 else "all", index)
    rules += _styles(records, share)
    return _without_repeats(rules)


_ORDER = ("json", "first", "section", "reasoning", "safety", "closing", "stop")
STYLES = 20  # records with lists or headings that it takes to speak of a habit
STRICTER = {"reasoning": 0.9, "stop": 0.95}
"""Where a majority of 80 % is no habit yet: leaving reasoning out, or the last full stop, is often meant."""
Feature = tuple[str, str]


def _features(records: Records) -> dict[Feature, np.ndarray]:
    """For everything that a rule might ask for, which records do it: {(what, detail): (N,) bool}."""
    texts = records.texts("response")
    found: dict[Feature, np.ndarray] = {}

    def mark(key: Feature, row: int) -> None:
        if key not in found:
            found[key] = np.zeros(len(texts), dtype=bool)
        found[key][row] = True

    labels: Counter = Counter()
    of_row: list[set[str]] = []
    for row, text in enumerate(texts):
        first = _FIRST.match(text)
        if first:
            mark(("first", first[1].strip()), row)
        seen = {name.strip() for name in _LABEL.findall(text)} | {name.strip() for name in _HEADING.findall(text)}
        of_row.append(seen)
        labels.update(seen)
        if text.lstrip().startswith(("{", "[")):
            try:
                parse_json(text)
                mark(("json", ""), row)
            except ValueError:
                pass
        elif text.rstrip().endswith((".", "!", "?", "…", "。", "！", "？", ")", '"', "”")):
            mark(("stop", ""), row)
        closing = text.rstrip()[-200:].rsplit("\n", 1)[-1].strip()
        if 12 <= len(closing) <= 180:
            mark(("closing", closing), row)
    common = {name for name, n in labels.items() if n >= max(5, len(texts) // 400)}
    for row, seen in enumerate(of_row):
        for name in seen & common:
            mark(("section", name), row)
    found = {key: held for key, held in found.items() if key[0] not in ("first", "closing") or held.sum() >= 5}
    reasoning = pc.utf8_length(pc.utf8_trim_whitespace(records.text("reasoning"))).to_numpy(zero_copy_only=False)
    found["reasoning", ""] = reasoning > 0
    found["safety", ""] = pc.match_substring_regex(records.text("response"), SAFETY).to_numpy(zero_copy_only=False)
    return found


def _rule(feature: Feature, category: str, share: float, records: Records, followers: np.ndarray) -> list[Rule]:
    """The rule for a feature that `followers` (rows) have, or none where it would say too little."""
    what, detail = feature
    where = "" if category == "all" else f" ({category})"

    def rule(title: str, kind: str, params: dict, severity: str = "error") -> list[Rule]:
        name = f"{what}:{category}" + (f":{detail[:60]}" if detail else "")
        return [Rule(name, title + where, kind, params, category, severity, "suggested", round(share, 4))]

    if what == "json":
        values = [parse_json(records.texts("response")[row]) for row in followers]
        keys = Counter(key for value in values if isinstance(value, dict) for key in value)
        required = sorted(key for key, n in keys.items() if n >= 0.9 * len(values))
        return rule(
            "The response is JSON" + (f" with {', '.join(required)}" if required else ""),
            "json",
            {"required": required},
        )
    if what == "first":
        values = _values(records, detail, followers)
        title = f"The first line is “{detail}: {' | '.join(values) if values else '…'}”"
        params = {"label": detail, "values": values, "space": True}
        spaced = np.mean([f"{detail}: " in records.texts("response")[row][: 2 * len(detail) + 20] for row in followers])
        return rule(title, "first_label", {k: v for k, v in params.items() if v and (k != "space" or spaced >= 0.9)})
    if what == "section":
        return rule(f"The response has a section “{detail}”", "section", {"label": detail})
    if what == "reasoning":
        length = [len(records.texts("reasoning")[row].strip()) for row in followers]
        return rule("There is reasoning", "reasoning", {"least": max(1, min(20, int(np.quantile(length, 0.02)) // 2))})
    if what == "safety":
        return rule(
            "The response says when to seek help",
            "matches",
            {"pattern": SAFETY, "message": "nothing says when or where to seek help"},
        )
    if what == "closing":
        pattern = re.escape(detail) + r"\s*\z"
        return rule(
            f"The response closes with “{detail}”",
            "matches",
            {"pattern": pattern, "message": "the closing line is missing"},
        )
    if what == "stop":
        pattern = r"[.!?…。！？)\"”]\s*\z"
        message = "the response does not end in a full stop"
        return rule("The response ends in a full stop", "matches", {"pattern": pattern, "message": message}, "warning")
    return []


def _styles(records: Records, share: float) -> list[Rule]:
    """How the set opens list items and writes headings, where `share` of the records that have any do it one way only."""
    texts, found = records.text("response"), []

    def habit(patterns: dict[str, str]) -> tuple[str, float] | None:
        has = {name: pc.match_substring_regex(texts, p).to_numpy(zero_copy_only=False) for name, p in patterns.items()}
        every = np.logical_or.reduce(list(has.values()))
        if every.sum() < STYLES:
            return None
        name = max(has, key=lambda name: int(has[name].sum()))
        others = np.logical_or.reduce([held for other, held in has.items() if other != name])
        kept = float((~others)[every].mean())
        return (name, round(kept, 4)) if kept >= max(share, 0.8) else None

    def rule(name: str, title: str, kind: str, params: dict, kept: float) -> None:
        found.append(Rule(f"style:{name}", title, kind, params, "all", "warning", "suggested", kept))

    bullet = habit({sign: bullet_pattern([sign]) for sign in BULLETS})
    if bullet:
        rule("bullet", f"List items open with “{bullet[0]}”", "list_style", {"bullet": bullet[0]}, bullet[1])
    number = habit({sign: number_pattern([sign]) for sign in NUMBERS})
    if number:
        rule("number", f"Numbered items open with “1{number[0]}”", "list_style", {"number": number[0]}, number[1])
    heading = habit({style: heading_pattern(style) for style in HEADINGS})
    if heading:
        title = f"Headings are written “{HEADINGS[heading[0]]}”"
        rule("heading", title, "heading_style", {"style": heading[0]}, heading[1])
    return found


def _values(records: Records, label: str, followers: np.ndarray) -> list[str]:
    """The few values that nearly all first lines "Label: value" have; [] when the values are free text."""
    count: Counter = Counter()
    for row in followers:
        hit = _FIRST.match(records.texts("response")[row])
        if hit:
            count[hit[2].strip().rstrip(".").strip("*_ ")] += 1
    usual = [value for value, n in count.most_common() if n >= max(2, 0.02 * len(followers))]
    return sorted(usual) if 1 < len(usual) <= 8 and sum(count[v] for v in usual) >= 0.9 * len(followers) else []


def _length_band(records: Records, category: str, rows: np.ndarray) -> list[Rule]:
    """Five robust standard deviations of the log length around its median, and a factor of 4 at the least: only what is far out."""
    length = np.array([len(records.texts("response")[row]) for row in rows])
    log = np.log(length[length > 0])
    if len(log) < 20:
        return []
    middle = np.median(log)
    spread = max(np.log(4), 5 * 1.4826 * float(np.median(np.abs(log - middle))))
    low, high = int(np.exp(middle - spread)), int(np.ceil(np.exp(middle + spread)))
    where = "" if category == "all" else f" ({category})"
    title = f"The response has {low:,} to {high:,} characters{where}"
    inside = float(((length >= low) & (length <= high)).mean())
    params = {"column": "response", "low": low, "high": high}
    return [Rule(f"length:{category}", title, "length", params, category, "warning", "suggested", round(inside, 4))]


def _without_repeats(rules: Sequence[Rule]) -> list[Rule]:
    """A first line, or a closing line, is a section too: one rule for it is enough."""
    firsts = {(rule.applies_to, rule.params["label"]) for rule in rules if rule.kind == "first_label"}
    json_only = {rule.applies_to for rule in rules if rule.kind == "json"}
    closings = {rule.applies_to for rule in rules if rule.id.startswith("closing:")}
    kept = []
    for rule in rules:
        if rule.kind == "section" and (
            {(rule.applies_to, rule.params["label"]), ("all", rule.params["label"])} & firsts
        ):
            continue
        if rule.id.startswith("stop:") and (rule.applies_to in json_only or rule.applies_to in closings):
            continue
        kept.append(rule)
    return kept
