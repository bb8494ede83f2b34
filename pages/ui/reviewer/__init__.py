"""The reviewer: one record at a time with its verdict beside it, by keyboard or by hand, saved as it is given.

A component of our own that holds the records (all of a small sample, a window of a large one), so that the next shows at once.
A verdict goes into the component's outbox (and the browser's localStorage), travels in a batch, is saved by `on_outbox`, and leaves
the outbox only when its client id comes back as acknowledged. So a burst of keys, a rerun, a reload or a lost connection loses
nothing, and a retry doubles nothing. Put the call into an `st.fragment`, so that a batch reruns that fragment alone:

    @st.fragment
    def reading():
        standings = current_verdicts(store, sample.id, who)
        reviewer(
            sample, sample_records(store, sample.id), rows_of(dataset),
            who=who, standings=standings, on_outbox=save_outbox(store, sample, who), key="audit.reviewer",
        )
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from core.dataset.selected import Selected
from core.errors import InputError, QuadrantError
from core.review.rubrics import DEFAULT, Option, Rubric, ready
from core.review.samples import Sample, SampleRecord
from core.review.schema import Store
from core.review.verdicts import Standing, Verdict, save_verdicts
from pages.ui.reviewer.record import COLUMNS, bounded, shown, size

HERE = Path(__file__).parent
WINDOW = 150
"""Records a window holds; a sample of up to this many is held as a whole."""
WINDOW_CHARACTERS = 3_000_000
_LETTER = {"pass": "p", "fail": "f", "unsure": "u"}
Rows = Callable[[Sequence[str]], Mapping[str, Mapping[str, Any]]]
About = Callable[[Sequence[str]], Mapping[str, Mapping[str, Any]]]
"""Record ids -> {record_id: {"facts": [(name, text)], "near": what stands on the fold of its neighbours}}."""
Tints = tuple[str, Callable[[Sequence[str], Mapping[str, Mapping[str, Any]]], Mapping[str, Any]]]
"""(what changes with them, (record ids, rows) -> {record_id: the words that help or harm}); see pages.ui.heat.tints."""
Near = Callable[[str], list[dict[str, Any]]]
"""A record id -> its neighbours: [{"title", "facts", "parts": [{"name", "note", "sides"}]}]."""


@dataclass(frozen=True)
class Saved:
    """What became of a batch of verdicts."""

    acked: Sequence[str] = ()
    """Client ids that are on disk now."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Client id -> why it can never be saved."""
    problem: str | None = None
    """Why nothing could be saved for now; the browser keeps the verdicts and tries again."""


def save_outbox(store: Store, sample: Sample, who: str) -> Callable[[list[Any]], Saved]:
    """The `on_outbox` that saves a batch in `store` as the verdicts of `who` on `sample`, whatever the browser claims of either."""

    def save(items: list[Any]) -> Saved:
        verdicts, refused = [], {}
        for item in items:
            try:
                verdicts.append(_verdict(item, sample.id, who))
            except InputError as error:
                if isinstance(item, Mapping) and isinstance(item.get("client_id"), str):
                    refused[item["client_id"]] = str(error)
        try:
            return Saved(save_verdicts(store, verdicts), refused)
        except InputError:
            return _one_by_one(store, verdicts, refused)
        except QuadrantError as error:
            return Saved((), refused, str(error))

    return save


def _one_by_one(store: Store, verdicts: Sequence[Verdict], refused: dict[str, str]) -> Saved:
    """A batch with a bad verdict in it: the good ones are saved all the same."""
    acked: list[str] = []
    for verdict in verdicts:
        try:
            acked += save_verdicts(store, [verdict])
        except InputError as error:
            refused[verdict.client_id] = str(error)
        except QuadrantError as error:
            return Saved(acked, refused, str(error))
    return Saved(acked, refused)


def _verdict(item: Any, sample_id: str, who: str) -> Verdict:
    """A verdict from what the browser sent; InputError when it is none."""
    try:
        return Verdict(
            client_id=item["client_id"],
            sample_id=sample_id,
            record_id=item["record_id"],
            record_digest=item["record_digest"],
            reviewer=who,
            outcome=item["outcome"],
            answers=dict(item.get("answers") or {}),
            note=item.get("note") or "",
            seconds=item.get("seconds"),
            created_at=item["created_at"],
            supersedes=tuple(str(one) for one in item.get("supersedes") or ()),
            rubric=str(item.get("rubric") or ""),
            answer_notes={str(key): note for key, note in (item.get("answer_notes") or {}).items() if note},
            error_types=tuple(str(one) for one in item.get("error_types") or ()),
            severity=item.get("severity") or "",
            high_stakes=bool(item.get("high_stakes")),
            guideline=item.get("guideline") or "",
            correction=item.get("correction") or None,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError("The browser sent a verdict that cannot be read. Reload the page.") from None


def rows_of(dataset: Any) -> Rows:
    """The `rows` of a dataset (core.workspace.Dataset): records by id as the reviewer shows them, read once a window."""

    def rows(record_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        return _read(dataset.digest, tuple(record_ids), dataset)

    return rows


@st.cache_resource(max_entries=8, show_spinner=False)
def _read(_digest_for_key: str, record_ids: tuple[str, ...], _dataset: Any) -> Mapping[str, Mapping[str, Any]]:
    rows = Selected(_dataset, np.sort(_dataset.index.known(record_ids))).rows(COLUMNS)
    found = {row["record_id"]: shown(row) for row in rows}
    return {one: found[one] for one in record_ids if one in found}


def reviewer(
    sample: Sample,
    records: Sequence[SampleRecord],
    rows: Rows,
    *,
    who: str,
    standings: Sequence[Standing],
    on_outbox: Callable[[list[Any]], Saved],
    key: str,
    rubric: Rubric | None = None,
    about: About | None = None,
    near: Near | None = None,
    tints: Tints | None = None,
    go_to: tuple[str, str] | None = None,
) -> Saved:
    """Mounts the reviewer for one sample and one reviewer; gives back what became of the last batch.

    records: the sample's records in reading order. rows: record ids -> {record_id: what `shown` makes of a row}; asked for the
    window alone; an id that is missing from the answer is said to be gone from the dataset. standings: what stands of `who`'s own
    verdicts (never of others: a second reader reads blind). on_outbox: saves a batch before this run goes on; see `save_outbox`.
    rubric: what is asked (`core.review.rubric_store.rubric_of`); None: the default. about: more facts of the records of a window,
    as their place on the map; near: the neighbours of the one record whose reader asks for them.
    tints: the words that help or harm, of the records of a window.
    go_to: (record id, a text of its own for each time it is asked): the record to show now; None leaves the reader where they are.
    """
    inbox = f"{key}.answer"
    state = st.session_state.get(key) or {}

    def receive() -> None:
        payload = _mapping(st.session_state.get(key), "outbox")
        if isinstance(payload.get("items"), list):
            st.session_state[inbox] = (payload.get("nonce"), on_outbox(payload["items"]))

    before = st.session_state.get(inbox)
    payload = _mapping(state, "outbox")
    if payload and (before is None or before[0] != payload.get("nonce")):
        receive()  # a new session that was handed the old session's batch: no callback ran for it
    nonce, saved = st.session_state.get(inbox) or (None, Saved())
    known = {entry.verdict.record_id: entry for entry in standings}
    start = next((record.position for record in records if record.record_id not in known), 0)
    want = _mapping(state, "want")
    at = want.get("position")
    asked = next((record.position for record in records if go_to and record.record_id == go_to[0]), None)
    at = at if asked is None else asked
    at = at if isinstance(at, int) and 0 <= at < len(records) else start
    window, first = _window(records, at)
    # A whole giant text travels once for each time it is asked for, not with every answer after it.
    whole = want.get("whole") if st.session_state.get(f"{key}.whole") != want.get("nonce") else None
    st.session_state[f"{key}.whole"] = want.get("nonce")
    rubric = rubric or ready()[DEFAULT]
    token = f"{sample.id}:{rubric.digest[:16]}:{first}:{len(window)}:{tints[0] if tints else ''}"
    last = max(want, _mapping(state, "outbox"), key=lambda told: told.get("at") or 0)
    held = None if last.get("has") == token and whole is None else _records(window, rows, whole, about, tints)
    data = {
        "sample": {"id": sample.id, "name": sample.name, "count": len(records), "reviewer": who, "start": start},
        "rubric": _rubric(rubric),  # always: a component that was mounted anew begins with it
        # Records that the browser says it holds are not sent again with each acknowledgement.
        "window": {"start": first, "end": first + len(window), "token": token, "records": held},
        "outcomes": "".join(_letter(known.get(record.record_id)) for record in records),
        "verdicts": {one.record_id: _said(known[one.record_id]) for one in window if one.record_id in known},
        "near": _near(want, window, near, f"{key}.near"),
        "goto": None if asked is None else {"position": asked, "nonce": go_to[1]},
        "answered": nonce,
        "acked": list(saved.acked),
        "refused": dict(saved.refused),
        "problem": saved.problem,
    }
    _component()(key=key, data=data, on_outbox_change=receive, on_want_change=_nothing)
    return saved


def _window(records: Sequence[SampleRecord], at: int) -> tuple[Sequence[SampleRecord], int]:
    """(records to send, position of the first): everything when that is little, else the ones around `at`, mostly ahead."""
    if len(records) <= WINDOW:
        return records, 0
    # On a grid, so that walking through a window asks for the same rows and hits the cache.
    step = WINDOW // 3
    first = max(0, min(at // step * step - step, len(records) - WINDOW))
    return records[first : first + WINDOW], first


def _rubric(rubric: Rubric) -> dict[str, Any]:
    """A rubric for the screen."""

    def options(given: Sequence[Option]) -> list[dict[str, str]]:
        return [{"id": one.id, "label": one.label, "counts": one.counts} for one in given]

    return {
        "digest": rubric.digest, "id": rubric.id, "title": rubric.title, "rule": rubric.rule,
        "fails_allowed": rubric.fails_allowed, "failing_severity": list(rubric.failing_severity),
        "error_types": options(rubric.error_types), "severity": options(rubric.severity), "high_stakes": rubric.high_stakes,
        "correction": rubric.correction, "guideline": rubric.guideline,
        "criteria": [
            {
                "id": one.id, "title": one.title, "text": one.text, "needed": one.needed, "options": options(one.options),
                "detail": {
                    "text": one.detail.text, "options": options(one.detail.options), "implied": dict(one.detail.implied)
                } if one.detail else None,
            }
            for one in rubric.criteria
        ],
    }  # fmt: skip


def _near(
    want: Mapping[str, Any], window: Sequence[SampleRecord], near: Near | None, key: str
) -> dict[str, Any] | None:
    """The neighbours that were asked for, once for each time: comparing texts takes a moment."""
    asked = want.get("near")
    if near is None or not asked or st.session_state.get(key) == want.get("nonce"):
        return None
    st.session_state[key] = want.get("nonce")
    if asked not in {record.record_id for record in window}:
        return None
    return {"record_id": asked, "items": near(asked)}


def _records(
    window: Sequence[SampleRecord], rows: Rows, whole: Any, about: About | None = None, tints: Tints | None = None
) -> list[dict[str, Any]]:
    ids = [record.record_id for record in window]
    found = rows(ids)
    more = about(ids) if about else {}
    colours = tints[1](ids, found) if tints else {}
    found = {
        one: {
            **row,
            "facts": [*row["facts"], *more.get(one, {}).get("facts", ())],
            "near": more.get(one, {}).get("near"),
            "heat": colours.get(one),
        }
        for one, row in found.items()
    }
    result, budget = [], WINDOW_CHARACTERS
    for record in window:
        row = found.get(record.record_id)
        if row is None:
            result.append({"record_id": record.record_id, "digest": record.record_digest, "missing": True})
        elif record.record_id == whole:
            result.append({**row, "whole_text": True})
        else:
            cut = bounded(row)
            budget -= size(cut)
            # Past the budget a record sends its beginning alone; "show all" fetches the rest.
            result.append(cut if budget > 0 else bounded(row, 2_000))
    return result


def _letter(entry: Standing | None) -> str:
    if entry is None:
        return "."
    return "d" if entry.conflict else _LETTER.get(entry.verdict.outcome, "d")


def _said(entry: Standing) -> dict[str, Any]:
    """A standing verdict for the screen."""
    others = entry.others if entry.conflict else ()
    return {**_brief(entry.verdict), "conflict": [_brief(other) for other in others]}


def _brief(verdict: Verdict) -> dict[str, Any]:
    return {
        "client_id": verdict.client_id,
        "record_digest": verdict.record_digest,
        "outcome": verdict.outcome,
        "answers": dict(verdict.answers),
        "note": verdict.note,
        "created_at": verdict.created_at,
        "rubric": verdict.rubric,
        "answer_notes": dict(verdict.answer_notes),
        "error_types": list(verdict.error_types),
        "severity": verdict.severity,
        "high_stakes": verdict.high_stakes,
        "guideline": verdict.guideline,
        "correction": verdict.correction,
    }


def _mapping(state: Any, name: str) -> Mapping[str, Any]:
    """What the browser last told under a name; empty when that was nothing, or no mapping."""
    told = state.get(name) if isinstance(state, Mapping) else None
    return told if isinstance(told, Mapping) else {}


def _nothing() -> None:
    """A window was asked for: the rerun itself answers."""


@lru_cache(maxsize=1)
def _component() -> Callable[..., Any]:
    css = "".join((HERE / name).read_text("utf-8") for name in ("reviewer.css", "heat.css"))
    return st.components.v2.component("quadrant_reviewer", css=css, js=script())


def script() -> str:
    """The component's JavaScript as the one module that Streamlit takes: the files in order, their imports resolved."""
    parts = [
        (HERE / name).read_text("utf-8")
        for name in (
            "text.js",
            "heat.js",
            "outbox.js",
            "markdown.js",
            "panel.js",
            "paper.js",
            "strip.js",
            "keymap.js",
            "reviewer.js",
        )
    ]
    joined = re.sub(r'^import \{[^}]*\} from "\./[a-z]+\.js";\n', "", "\n".join(parts), flags=re.MULTILINE)
    return re.sub(r"^export (?=function|class|const)", "", joined, flags=re.MULTILINE)


__all__ = ["COLUMNS", "Saved", "bounded", "reviewer", "rows_of", "save_outbox", "script", "shown"]
