"""Rubrics as data: what a reader answers of a record, and the rule that makes a verdict of the answers.

A rubric is a JSON file. Two are ready (`core/review/ready`); a workspace adds its own, or its own form of a ready one, in the
folder `rubrics`. A rubric's digest is its version: it is kept with every sample and verdict, and its text in the database, so
an edited rubric is a new version and what was said under the old one keeps the old one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.dataset.jsontext import Fault, canonical, parse
from core.errors import InputError

FORMAT = 1
COUNTS = ("pass", "fail", "unsure", "none")
"""What an option counts as: none is for "does not apply"."""
RULES = ("reader", "needed")
READY = Path(__file__).parent / "ready"
DEFAULT = "audit"
MOST = {"criteria": 12, "options": 6, "error_types": 24, "severity": 6}
LARGEST = 200_000
"""Bytes of a rubric file."""
ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class Option:
    """One answer that can be given."""

    id: str
    label: str
    counts: str = "none"


@dataclass(frozen=True)
class Detail:
    """A second choice within a criterion, as which way it is off; stored as `<criterion>.detail`."""

    text: str
    options: tuple[Option, ...]
    implied: Mapping[str, str]
    """Answer -> the choice that goes without saying with it."""


@dataclass(frozen=True)
class Criterion:
    """One question of a rubric; `needed`: the rule looks at it."""

    id: str
    title: str
    text: str
    options: tuple[Option, ...]
    needed: bool = True
    detail: Detail | None = None


@dataclass(frozen=True)
class Rubric:
    """A checked rubric; `data` is its file's content and all that its digest is made of."""

    id: str
    title: str
    note: str
    criteria: tuple[Criterion, ...]
    rule: str
    fails_allowed: int
    failing_severity: tuple[str, ...]
    error_types: tuple[Option, ...]
    severity: tuple[Option, ...]
    high_stakes: bool
    correction: bool
    guideline: bool
    data: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """64 hex characters: the version."""
        return hashlib.sha256(canonical(self.data).encode()).hexdigest()

    @property
    def questions(self) -> dict[str, str]:
        """Criterion -> its title, in order."""
        return {one.id: one.title for one in self.criteria}

    def choices(self) -> dict[str, tuple[Option, ...]]:
        """Every answer key, `<criterion>` and `<criterion>.detail`, with its options."""
        found: dict[str, tuple[Option, ...]] = {}
        for one in self.criteria:
            found[one.id] = one.options
            if one.detail:
                found[f"{one.id}.detail"] = one.detail.options
        return found


def outcome_of(rubric: Rubric, answers: Mapping[str, str], severity: str = "") -> str | None:
    """pass, fail or unsure by the rubric's rule; None while the rule cannot tell, and always where the reader decides.

    Rule "needed": more than `fails_allowed` needed criteria counting as fail, or a failing severity, is a fail at once. Otherwise
    every needed criterion must be answered; one that counts as unsure, or none that counts at all, is unsure; else pass.
    """
    if rubric.rule == "reader":
        return None
    needed = [one for one in rubric.criteria if one.needed]
    said = [next((o.counts for o in one.options if o.id == answers.get(one.id)), None) for one in needed]
    if said.count("fail") > rubric.fails_allowed or severity in rubric.failing_severity:
        return "fail"
    if None in said:
        return None
    if "unsure" in said or not {"pass", "fail"} & set(said):
        return "unsure"
    return "pass"


def refusal(rubric: Rubric, verdict: Any) -> str | None:
    """Why a verdict cannot stand under this rubric, as the end of a sentence; None when it can.

    verdict: has outcome, answers, answer_notes, error_types, severity, high_stakes, correction and guideline
    (`core.review.verdicts.Verdict`). "unsure" may always be given: a reader who cannot tell says so.
    """
    choices = rubric.choices()
    for key, answer in verdict.answers.items():
        if key not in choices:
            return f"answers {key!r}, which the rubric {rubric.title!r} does not ask"
        if answer not in {one.id for one in choices[key]}:
            return f"answers {key!r} with {answer!r}; an answer is one of {', '.join(one.id for one in choices[key])}"
    for key in verdict.answer_notes:
        if key not in rubric.questions:
            return f"has a note on {key!r}, which the rubric {rubric.title!r} does not ask"
    for kind in verdict.error_types:
        if kind not in {one.id for one in rubric.error_types}:
            return f"names the error type {kind!r}, which the rubric {rubric.title!r} does not list"
    if verdict.severity and verdict.severity not in {one.id for one in rubric.severity}:
        return f"has the severity {verdict.severity!r}, which the rubric {rubric.title!r} does not list"
    for name, allowed in (
        ("high_stakes", rubric.high_stakes), ("correction", rubric.correction), ("guideline", rubric.guideline),
    ):  # fmt: skip
        if getattr(verdict, name) and not allowed:
            return f"gives {name.replace('_', ' ')}, which the rubric {rubric.title!r} does not ask"
    if rubric.rule == "needed" and verdict.outcome in ("pass", "fail"):
        said = outcome_of(rubric, verdict.answers, verdict.severity)
        if said != verdict.outcome:
            tells = f"makes it {said}" if said else "cannot tell before every needed criterion is answered"
            return f"has the outcome {verdict.outcome!r}, but the rule of the rubric {rubric.title!r} {tells}"
    return None


# -- reading -----------------------------------------------------------------------------------------------------------


def rubric_from(text: str, name: str) -> Rubric:
    """The rubric in a JSON text. InputError names the file (`name`), the key and the rule it breaks."""
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST:
        raise InputError(f"{name}: the file is over {LARGEST:,} bytes; a rubric is a page of questions. Shorten it.")
    try:
        data = parse(text)
    except Fault as error:
        raise InputError(
            f"{name}: it is no JSON that can be used ({error.kind}: {error.detail}). Correct it."
        ) from None
    return checked(data, name)


def checked(data: Any, name: str) -> Rubric:
    """The rubric of a parsed file; every key and value is checked, and an unknown key is an error."""
    from core.review.rubric_reading import Reader

    return Reader(name).rubric(data)


def json_of(rubric: Rubric) -> str:
    """The rubric as the text of a file."""
    import json

    return json.dumps(rubric.data, indent=2, ensure_ascii=False) + "\n"


@lru_cache(maxsize=1)
def ready() -> dict[str, Rubric]:
    """The rubrics that come with Quadrant, by id, the default first."""
    found = [rubric_from(path.read_text("utf-8"), path.name) for path in sorted(READY.glob("*.json"))]
    return {one.id: one for one in sorted(found, key=lambda one: one.id != DEFAULT)}


def rubrics(folder: Path | None) -> tuple[dict[str, Rubric], list[str]]:
    """(the rubrics that can be used, by id: the ready ones and those of a workspace folder; why a file cannot be used).

    A file of the workspace takes the place of the ready rubric with its id. One that breaks a rule is left out and said.
    """
    found, problems = dict(ready()), []
    for path in sorted((folder / "rubrics").glob("*.json")) if folder else []:
        try:
            one = rubric_from(path.read_text("utf-8"), path.name)
            if one.id != path.stem:
                raise InputError(f"{path.name}: id is {one.id!r}; it must be the file's name, {path.stem!r}.")
            found[one.id] = one
        except UnicodeDecodeError:
            problems.append(f"{path.name}: it is no text in UTF-8. Save it as that.")
        except OSError as error:
            problems.append(f"{path.name}: it cannot be read ({error.strerror}).")
        except InputError as error:
            problems.append(str(error))
    return found, problems


def rubric_named(folder: Path | None, name: str) -> Rubric:
    """The rubric with this id. InputError: there is none, or its file cannot be used."""
    found, problems = rubrics(folder)
    broken = [text for text in problems if text.startswith(f"{name}.json:")]
    if broken:
        raise InputError(broken[0])
    if name not in found:
        raise InputError(f"There is no rubric {name!r}; there are {', '.join(found)}. Add its file, or name another.")
    return found[name]


def keep_rubric(folder: Path, rubric: Rubric) -> Path:
    """The file the rubric was written to, in the workspace's folder `rubrics`; an earlier version of it is replaced."""
    from core.workspace import write_atomically

    path = folder / "rubrics" / f"{rubric.id}.json"
    try:
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, json_of(rubric))
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror}. Free space or make the folder writable."
        ) from error
    return path


def forget_rubric(folder: Path, name: str) -> bool:
    """Whether a file of the workspace was taken away; the ready rubric of that id, if any, is in force again.

    What was read with it keeps it: its text is in the database.
    """
    path = folder / "rubrics" / f"{name}.json"
    if not ID.fullmatch(name) or not path.is_file():
        return False
    path.unlink()
    return True


def labels(options: Sequence[Option]) -> dict[str, str]:
    """id -> label."""
    return {one.id: one.label for one in options}
