"""Reading a rubric strictly: each error is one sentence that names the file, the key and the rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import InputError
from core.review.rubrics import COUNTS, FORMAT, ID, MOST, RULES, Criterion, Detail, Option, Rubric

_KEYS = {
    "rubric": ({"quadrant_rubric", "id", "title", "criteria"},
               {"note", "options", "outcome", "error_types", "severity", "high_stakes", "correction", "guideline"}),
    "criterion": ({"id", "title"}, {"text", "options", "needed", "detail"}),
    "option": ({"id", "label", "counts"}, set()),
    "choice": ({"id", "label"}, set()),
    "detail": ({"text", "options"}, {"implied"}),
    "outcome": ({"rule"}, {"fails_allowed", "failing_severity"}),
}  # fmt: skip
"""What -> (keys that must be there, keys that may)."""


class Reader:
    """Checks the parsed content of one file, whose name every error begins with."""

    def __init__(self, name: str):
        self.name = name

    def bad(self, key: str, found: str, rule: str) -> InputError:
        return InputError(f"{self.name}: {key} {found}; {rule}.")

    def rubric(self, data: Any) -> Rubric:
        data = self.object(data, "the file", "rubric")
        if data["quadrant_rubric"] != FORMAT or isinstance(data["quadrant_rubric"], bool):
            raise self.bad("quadrant_rubric", f"is {data['quadrant_rubric']!r}", f"this version reads {FORMAT}")
        shared = self.options(data["options"], "options") if "options" in data else ()
        given = self.items(data["criteria"], "criteria", 1)
        criteria = tuple(self.criterion(one, f"criteria[{n}]", shared) for n, one in enumerate(given))
        self.unlike(criteria, "criteria")
        severity = self.choices(data.get("severity", []), "severity")
        outcome = self.object(data.get("outcome", {"rule": "reader"}), "outcome", "outcome")
        rule = outcome["rule"]
        if rule not in RULES:
            raise self.bad("outcome.rule", f"is {rule!r}", f"it must be {' or '.join(RULES)}")
        if rule == "needed" and not any(one.needed for one in criteria):
            raise self.bad("outcome.rule", "is 'needed'", "at least one criterion must then be needed")
        allowed = outcome.get("fails_allowed", 0)
        if not isinstance(allowed, int) or isinstance(allowed, bool) or not 0 <= allowed < len(criteria):
            raise self.bad(
                "outcome.fails_allowed", f"is {allowed!r}", f"it must be a whole number from 0 to {len(criteria) - 1}"
            )
        failing = outcome.get("failing_severity", [])
        if not isinstance(failing, list) or any(one not in {s.id for s in severity} for one in failing):
            raise self.bad("outcome.failing_severity", f"is {failing!r}", "it must be a list of ids of severity")
        flags = {name: data.get(name, False) for name in ("high_stakes", "correction", "guideline")}
        for name, value in flags.items():
            if not isinstance(value, bool):
                raise self.bad(name, f"is {value!r}", "it must be true or false")
        return Rubric(
            id=self.id(data["id"], "id"), title=self.text(data["title"], "title", 120, 1),
            note=self.text(data.get("note", ""), "note", 2000), criteria=criteria, rule=rule, fails_allowed=allowed,
            failing_severity=tuple(failing), error_types=self.choices(data.get("error_types", []), "error_types"),
            severity=severity, **flags, data=data,
        )  # fmt: skip

    def criterion(self, value: Any, key: str, shared: tuple[Option, ...]) -> Criterion:
        value = self.object(value, key, "criterion")
        options = self.options(value["options"], f"{key}.options") if "options" in value else shared
        if not options:
            raise self.bad(key, "has no options", "give it options, or the rubric options that all its criteria share")
        needed = value.get("needed", True)
        if not isinstance(needed, bool):
            raise self.bad(f"{key}.needed", f"is {needed!r}", "it must be true or false")
        detail = self.detail(value["detail"], f"{key}.detail", options) if "detail" in value else None
        return Criterion(
            self.id(value["id"], f"{key}.id"), self.text(value["title"], f"{key}.title", 200, 1),
            self.text(value.get("text", ""), f"{key}.text", 2000), options, needed, detail,
        )  # fmt: skip

    def detail(self, value: Any, key: str, answers: tuple[Option, ...]) -> Detail:
        value = self.object(value, key, "detail")
        options = self.choices(value["options"], f"{key}.options", 2)
        implied = value.get("implied", {})
        known, own = {one.id for one in answers}, {one.id for one in options}
        if not isinstance(implied, Mapping) or any(k not in known or v not in own for k, v in implied.items()):
            raise self.bad(
                f"{key}.implied",
                f"is {implied!r}",
                "it must name an answer of the criterion and a choice of the detail",
            )
        return Detail(self.text(value["text"], f"{key}.text", 200, 1), options, dict(implied))

    def options(self, value: Any, key: str) -> tuple[Option, ...]:
        found = []
        for n, one in enumerate(self.items(value, key, 2, MOST["options"])):
            one = self.object(one, f"{key}[{n}]", "option")
            if one["counts"] not in COUNTS:
                raise self.bad(
                    f"{key}[{n}].counts", f"is {one['counts']!r}", f"it must be {', '.join(COUNTS[:-1])} or none"
                )
            found.append(self.option(one, f"{key}[{n}]", one["counts"]))
        return self.unlike(tuple(found), key)

    def choices(self, value: Any, key: str, least: int = 0) -> tuple[Option, ...]:
        most = MOST.get(key, MOST["options"])
        found = (self.object(one, f"{key}[{n}]", "choice") for n, one in enumerate(self.items(value, key, least, most)))
        return self.unlike(tuple(self.option(one, f"{key}[{n}]", "none") for n, one in enumerate(found)), key)

    def option(self, value: Mapping, key: str, counts: str) -> Option:
        return Option(self.id(value["id"], f"{key}.id"), self.text(value["label"], f"{key}.label", 60, 1), counts)

    def unlike(self, found: tuple, key: str) -> tuple:
        ids = [one.id for one in found]
        twice = next((one for one in ids if ids.count(one) > 1), None)
        if twice:
            raise self.bad(key, f"has the id {twice!r} twice", "each id must be its own")
        return found

    def items(self, value: Any, key: str, least: int = 0, most: int | None = None) -> list:
        most = MOST.get(key, MOST["options"]) if most is None else most
        if not isinstance(value, list) or not least <= len(value) <= most:
            found = f"has {len(value)} entries" if isinstance(value, list) else f"is {_kind(value)}"
            raise self.bad(key, found, f"it must be a list of {least} to {most}")
        return value

    def object(self, value: Any, key: str, what: str) -> dict:
        must, may = _KEYS[what]
        if not isinstance(value, dict):
            raise self.bad(key, f"is {_kind(value)}", f"it must be an object with {', '.join(sorted(must))}")
        at = "" if key == "the file" else f"{key}."
        for name in sorted(must - set(value)):
            raise self.bad(f"{at}{name}", "is missing", f"a {what} must have {', '.join(sorted(must))}")
        for name in sorted(set(value) - must - may):
            raise self.bad(f"{at}{name[:60]}", "is not known", f"a {what} has {', '.join(sorted(must | may))}")
        return value

    def id(self, value: Any, key: str) -> str:
        if not isinstance(value, str) or not ID.fullmatch(value):
            raise self.bad(
                key, f"is {value!r}", "it must be 1 to 40 of a-z, 0-9, - and _, beginning with a letter or digit"
            )
        return value

    def text(self, value: Any, key: str, most: int, least: int = 0) -> str:
        if not isinstance(value, str) or not least <= len(value.strip()) or len(value) > most or "\x00" in value:
            found = f"is {_kind(value)}" if not isinstance(value, str) else f"has {len(value)} characters"
            raise self.bad(key, found, f"it must be text of {least} to {most:,} characters without NUL")
        return value


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}.get(
        type(value), "a number"
    )
