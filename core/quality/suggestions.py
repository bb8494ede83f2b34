"""Format rules read off what the large majority of the records does, a block of them at a time.

The first pass counts, by category, how many records do each thing that a rule might ask for; the second reads what some rules need
to know of the records that do it: the keys of JSON, the values of a first line, the length of reasoning.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow.compute as pc

from core.quality.json_kinds import parse_json
from core.quality.records import Records
from core.quality.rule_library import SAFETY
from core.quality.rules import Rule
from core.quality.style_kinds import BULLETS, HEADINGS, NUMBERS, bullet_pattern, heading_pattern, number_pattern

_LABEL = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]*|[-*•][ \t]+|\d+[.)][ \t]+)?[*_]{0,3}([A-Z][A-Za-z][A-Za-z0-9 /&'-]{0,38}?)[*_]{0,3}"
    r"[ \t]*(?::|[*_]{1,3}:)",
    re.M,
)
_HEADING = re.compile(r"^#{1,6}[ \t]+([^\n#*:]{2,40}?)[ \t]*$", re.M)
_FIRST = re.compile(r"\s*[*_#]{0,3}[ \t]*([A-Z][A-Za-z][A-Za-z0-9 /&'-]{0,30}?)[*_]{0,3}:[*_]{0,3}[ \t]*([^\n]{0,80})")


Feature = tuple[str, str]
Blocks = Callable[[], Iterable[Records]]
"""The records in order, a block at a time; gone through twice."""
_ORDER = ("json", "first", "section", "reasoning", "safety", "closing", "stop")
STYLES = 20  # records with lists or headings that it takes to speak of a habit
STRICTER = {"reasoning": 0.9, "stop": 0.95}
"""Where a majority of 80 % is no habit yet: leaving reasoning out, or the last full stop, is often meant."""


def suggest(records: Records, share: float = 0.8, least: int = 10) -> list[Rule]:
    """Rules that at least `share` of a category's records follow, for categories of `least` records or more.

    A rule that every such category follows comes once, for all records. A set without categories counts as one. Each
    rule carries the share of the records it was read from that follow it.
    """
    return suggest_from(lambda: [records], share, least)


def suggest_from(blocks: Blocks, share: float = 0.8, least: int = 10) -> list[Rule]:
    """As `suggest`, of records that are read a block at a time."""
    seen = _Seen()
    for records in blocks():
        seen.add(records)
    names, scope = seen.scopes(least)
    if not names:
        return []
    size = np.bincount(scope[scope >= 0], minlength=len(names))
    chosen: list[tuple[Feature, str, float]] = []
    for key, held in sorted(
        seen.features(scope, len(names), blocks, share).items(), key=lambda x: (_ORDER.index(x[0][0]), x[0][1])
    ):
        shares = held / size
        following = np.flatnonzero(shares >= max(share, STRICTER.get(key[0], 0))).tolist()
        if len(following) == len(names):
            chosen.append((key, "all", float(held.sum() / size.sum())))
        else:
            chosen += [(key, names[c], float(shares[c])) for c in following]
    told = _followers(blocks, chosen, scope, names)
    rules: list[Rule] = []
    for key, category, kept in chosen:
        rules += _rule(key, category, kept, told.get((key, category)))
    length = np.concatenate(seen.lengths)
    for c, name in enumerate(names):
        rules += _length_band(name if len(names) > 1 else "all", length[scope == c])
    return _without_repeats(rules + _styles(seen.styles, share))


_STYLES = {
    "bullet": {sign: bullet_pattern([sign]) for sign in BULLETS},
    "number": {sign: number_pattern([sign]) for sign in NUMBERS},
    "heading": {style: heading_pattern(style) for style in HEADINGS},
}


@dataclass
class _Seen:
    """What the first pass keeps: numbers, and each name of a section or first line once."""

    categories: dict[str | None, int] = field(default_factory=dict)
    numbers: dict[Feature, int] = field(default_factory=dict)  # of the features that records are marked with
    codes: list[np.ndarray] = field(default_factory=list)  # (B,) number of each record's category
    rows: list[np.ndarray] = field(default_factory=list)  # of each mark, and beside it
    marks: list[np.ndarray] = field(default_factory=list)  # its number
    closings: list[np.ndarray] = field(default_factory=list)  # (B,) hash of each record's last line, 0 for none
    lengths: list[np.ndarray] = field(default_factory=list)  # (B,) characters of the response
    styles: Counter = field(default_factory=Counter)  # (kind, way, "has" | "only"), (kind, "", "any") -> records
    count: int = 0

    def add(self, records: Records) -> None:
        texts, rows, marks = records.texts("response"), [], []
        numbers, closings = self.numbers, np.zeros(len(texts), dtype=np.int64)

        def note(key: Feature, row: int) -> None:
            rows.append(row)
            marks.append(numbers.setdefault(key, len(numbers)))

        for row, text in enumerate(texts):
            for key in _features_of(text):
                note(key, row)
            closing = _closing(text)
            if closing:
                closings[row] = hash(closing) or 1
        reasoning = pc.utf8_length(pc.utf8_trim_whitespace(records.text("reasoning"))).to_numpy(zero_copy_only=False)
        safe = pc.match_substring_regex(records.text("response"), SAFETY).to_numpy(zero_copy_only=False)
        for key, held in ((("reasoning", ""), reasoning > 0), (("safety", ""), safe)):
            number = numbers.setdefault(key, len(numbers))
            rows += (found := np.flatnonzero(held).tolist())
            marks += [number] * len(found)
        self.rows.append(np.array(rows, dtype=np.int32) + np.int32(self.count))
        self.marks.append(np.array(marks, dtype=np.int32))
        self.closings.append(closings)
        self.lengths.append(pc.utf8_length(records.text("response")).to_numpy(zero_copy_only=False).astype(np.int32))
        names = [str(c) if c is not None else None for c in records.categories]
        self.codes.append(
            np.array([self.categories.setdefault(n, len(self.categories)) for n in names], dtype=np.int32)
        )
        self._style(records)
        self.count += len(texts)

    def _style(self, records: Records) -> None:
        for kind, ways in _STYLES.items():
            has = np.array(
                [
                    pc.match_substring_regex(records.text("response"), p).to_numpy(zero_copy_only=False)
                    for p in ways.values()
                ]
            )
            many = has.sum(axis=0)
            self.styles[kind, "", "any"] += int((many > 0).sum())
            for way, held in zip(ways, has, strict=True):
                self.styles[kind, way, "has"] += int(held.sum())
                self.styles[kind, way, "only"] += int((held & (many == 1)).sum())

    def scopes(self, least: int) -> tuple[list[str], np.ndarray]:
        """The categories of `least` records or more, by name, and (N,) the number of each record's among these, -1 for none."""
        codes = np.concatenate(self.codes) if self.codes else np.zeros(0, np.int32)
        size = np.bincount(codes, minlength=len(self.categories))
        large = sorted(name for name, code in self.categories.items() if name is not None and size[code] >= least)
        if not large:
            return (["all"] if self.count >= least else []), np.zeros(self.count, dtype=np.int32)
        place = np.full(len(self.categories), -1, dtype=np.int32)
        place[[self.categories[name] for name in large]] = np.arange(len(large))
        return large, place[codes]

    def features(self, scope: np.ndarray, scopes: int, blocks: Blocks, share: float) -> dict[Feature, np.ndarray]:
        """{feature: (S,) records of each category that have it}, of the features that enough records have to speak of."""
        rows, marks = np.concatenate(self.rows), np.concatenate(self.marks)
        total = np.bincount(marks, minlength=len(self.numbers))
        few = {"first": 5, "section": max(5, self.count // 400)}
        known = [
            key
            for key, n in self.numbers.items()
            if total[n] >= few.get(key[0], 1) or key[0] in ("reasoning", "safety")
        ]
        place = np.full(len(self.numbers), -1, dtype=np.int64)
        place[[self.numbers[key] for key in known]] = np.arange(len(known))
        inside = (scope[rows] >= 0) & (place[marks] >= 0)
        held = np.bincount(place[marks[inside]] * scopes + scope[rows[inside]], minlength=len(known) * scopes)
        found = dict(zip(known, held.reshape(len(known), scopes), strict=True))
        # Last lines are mostly all different: they are counted by hash, and the text of the few that recur is read again.
        hashes = np.concatenate(self.closings)
        distinct, first, own, many = np.unique(hashes, return_index=True, return_inverse=True, return_counts=True)
        wanted = np.flatnonzero((many >= 5) & (distinct != 0))
        place = np.full(len(distinct), -1, dtype=np.int64)
        place[wanted] = np.arange(len(wanted))
        inside = (scope >= 0) & (place[own] >= 0)
        held = np.bincount(place[own[inside]] * scopes + scope[inside], minlength=len(wanted) * scopes).reshape(
            -1, scopes
        )
        size = np.maximum(np.bincount(scope[scope >= 0], minlength=scopes), 1)
        most = [(int(first[n]), held[i]) for i, n in enumerate(wanted) if (held[i] / size).max() >= share]
        texts = _texts_at(blocks, [row for row, _ in most])
        return found | {("closing", _closing(texts[row])): counts for row, counts in most}


def _features_of(text: str) -> list[Feature]:
    """What a response does that a rule might ask for, each thing once; its last line aside."""
    found: list[Feature] = []
    first = _FIRST.match(text)
    if first:
        found.append(("first", first[1].strip()))
    names = {name.strip() for name in _LABEL.findall(text)} | {name.strip() for name in _HEADING.findall(text)}
    found += [("section", name) for name in names]
    if text.lstrip().startswith(("{", "[")):
        try:
            parse_json(text)
            found.append(("json", ""))
        except ValueError:
            pass
    elif text.rstrip().endswith((".", "!", "?", "…", "。", "！", "？", ")", '"', "”")):
        found.append(("stop", ""))
    return found


def _closing(text: str) -> str:
    """The last line of a response, where it has the length of one sentence; "" otherwise."""
    closing = text.rstrip()[-200:].rsplit("\n", 1)[-1].strip()
    return closing if 12 <= len(closing) <= 180 else ""


def _texts_at(blocks: Blocks, rows: list[int]) -> dict[int, str]:
    wanted, found, start = sorted(rows), {}, 0
    if wanted:
        for records in blocks():
            for row in wanted:
                if start <= row < start + len(records):
                    found[row] = records.texts("response")[row - start]
            start += len(records)
    return found


@dataclass
class _Told:
    """What the second pass keeps of the records that follow one rule."""

    followers: int = 0
    spaced: int = 0
    keys: Counter = field(default_factory=Counter)
    values: Counter = field(default_factory=Counter)
    lengths: list[int] = field(default_factory=list)


def _followers(
    blocks: Blocks, chosen: list[tuple[Feature, str, float]], scope: np.ndarray, names: list[str]
) -> dict[tuple[Feature, str], _Told]:
    told = {(key, category): _Told() for key, category, _ in chosen if key[0] in ("json", "first", "reasoning")}
    if not told:
        return told
    start = 0
    for records in blocks():
        texts, reasons = records.texts("response"), records.texts("reasoning")
        trimmed = pc.utf8_length(pc.utf8_trim_whitespace(records.text("reasoning"))).to_numpy(zero_copy_only=False)
        for row, place in enumerate(scope[start : start + len(records)].tolist()):
            if place < 0:
                continue
            text, first = texts[row], None
            for (key, category), one in told.items():
                if category not in ("all", names[place]):
                    continue
                if key[0] == "reasoning" and trimmed[row] > 0:
                    one.followers += 1
                    one.lengths.append(len(reasons[row].strip()))
                elif key[0] == "json" and text.lstrip().startswith(("{", "[")):
                    try:
                        value = parse_json(text)
                    except ValueError:
                        continue
                    one.followers += 1
                    one.keys.update(list(value) if isinstance(value, dict) else [])
                elif key[0] == "first":
                    first = first or _FIRST.match(text)
                    if first and first[1].strip() == key[1]:
                        one.followers += 1
                        one.spaced += f"{key[1]}: " in text[: 2 * len(key[1]) + 20]
                        one.values[first[2].strip().rstrip(".").strip("*_ ")] += 1
        start += len(records)
    return told


def _rule(feature: Feature, category: str, share: float, told: _Told | None) -> list[Rule]:
    """The rule for a feature, or none where it would say too little; `told`: what its followers do."""
    what, detail = feature
    where = "" if category == "all" else f" ({category})"

    def rule(title: str, kind: str, params: dict, severity: str = "error") -> list[Rule]:
        name = f"{what}:{category}" + (f":{detail[:60]}" if detail else "")
        return [Rule(name, title + where, kind, params, category, severity, "suggested", round(share, 4))]

    if what == "json":
        required = sorted(key for key, n in told.keys.items() if n >= 0.9 * told.followers)
        return rule(
            "The response is JSON" + (f" with {', '.join(required)}" if required else ""),
            "json",
            {"required": required},
        )
    if what == "first":
        values = _usual(told.values, told.followers)
        title = f"The first line is “{detail}: {' | '.join(values) if values else '…'}”"
        params = {"label": detail, "values": values, "space": True}
        spaced = told.spaced / told.followers
        return rule(title, "first_label", {k: v for k, v in params.items() if v and (k != "space" or spaced >= 0.9)})
    if what == "section":
        return rule(f"The response has a section “{detail}”", "section", {"label": detail})
    if what == "reasoning":
        least = max(1, min(20, int(np.quantile(told.lengths, 0.02)) // 2))
        return rule("There is reasoning", "reasoning", {"least": least})
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


def _styles(counted: Counter, share: float) -> list[Rule]:
    """How the set opens list items and writes headings, where `share` of the records that have any do it one way only."""
    found = []

    def habit(kind: str) -> tuple[str, float] | None:
        every = counted[kind, "", "any"]
        if every < STYLES:
            return None
        name = max(_STYLES[kind], key=lambda name: counted[kind, name, "has"])
        kept = counted[kind, name, "only"] / every
        return (name, round(kept, 4)) if kept >= max(share, 0.8) else None

    def rule(name: str, title: str, kind: str, params: dict, kept: float) -> None:
        found.append(Rule(f"style:{name}", title, kind, params, "all", "warning", "suggested", kept))

    bullet, number, heading = habit("bullet"), habit("number"), habit("heading")
    if bullet:
        rule("bullet", f"List items open with “{bullet[0]}”", "list_style", {"bullet": bullet[0]}, bullet[1])
    if number:
        rule("number", f"Numbered items open with “1{number[0]}”", "list_style", {"number": number[0]}, number[1])
    if heading:
        title = f"Headings are written “{HEADINGS[heading[0]]}”"
        rule("heading", title, "heading_style", {"style": heading[0]}, heading[1])
    return found


def _usual(count: Counter, followers: int) -> list[str]:
    """The few values that nearly all first lines "Label: value" have; [] when the values are free text."""
    usual = [value for value, n in count.items() if n >= max(2, 0.02 * followers)]
    return sorted(usual) if 1 < len(usual) <= 8 and sum(count[v] for v in usual) >= 0.9 * followers else []


def _length_band(category: str, length: np.ndarray) -> list[Rule]:
    """Five robust standard deviations of the log length around its median, and a factor of 4 at the least: only what is far out."""
    log = np.log(length[length > 0].astype(np.int64))
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
