"""A record as the reviewer shows it: its turns, the reasoning apart from the answer, and a few facts. Plain data, no Streamlit."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from core.review.seen import seen_digest

COLUMNS = (
    "record_id", "line", "messages", "prompt", "response", "reasoning", "rejected", "category", "language", "difficulty", "annotator",
)  # fmt: skip
"""What `shown` reads of a row of records.parquet."""
FACTS = ("category", "language", "difficulty", "annotator", "line")
SENT = 60_000
"""Characters of one text that travel to the browser before the reviewer asks for the whole."""
_THINK = re.compile(r"\A\s*<(think|thinking|reasoning)>(.*?)</\1>\s*", re.DOTALL)


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """The record for the screen: {record_id, digest, facts: [(name, text)], turns: [{role, text, reasoning?, calls?, answer?}]}.

    row: a row of records.parquet (COLUMNS; absent ones count as null). The last assistant turn shows the mapped response with its
    reasoning folded apart. Texts are whole and unchanged; making hidden characters visible is the screen's work.
    """
    turns = [_turn(message) for message in _messages(row)]
    answer = next((turn for turn in reversed(turns) if turn["role"] == "assistant"), None)
    if answer is not None and answer is turns[-1]:
        answer["answer"] = True
        if row.get("response") is not None:
            answer["text"] = row["response"]
        if row.get("reasoning"):
            answer["reasoning"] = row["reasoning"]
    elif row.get("response"):
        turns.append(
            {"role": "assistant", "text": row["response"], "reasoning": row.get("reasoning") or "", "answer": True}
        )
    for turn in turns:
        if turn["role"] in ("system", "developer") and len(turn["text"]) > 400:
            turn["folded"] = True
            turn["label"] = f"{len(turn['text']):,} characters"
    if row.get("rejected"):
        turns.append({"role": "assistant", "text": row["rejected"], "folded": True, "label": "rejected response"})
    facts = [(name, _fact(row[name])) for name in FACTS if row.get(name) not in (None, "")]
    return {"record_id": row["record_id"], "digest": seen_digest(row), "facts": facts, "turns": turns}


def bounded(record: Mapping[str, Any], limit: int = SENT) -> dict[str, Any]:
    """The record with each long text cut at `limit` characters and its whole length said, so that one giant text stalls nothing."""
    turns = []
    for turn in record["turns"]:
        turn = dict(turn)
        for name, whole in (("text", "whole"), ("reasoning", "reasoning_whole")):
            text = turn.get(name) or ""
            if len(text) > limit:
                turn[name], turn[whole] = text[:limit], len(text)
        turns.append(turn)
    return {**record, "turns": turns}


def size(record: Mapping[str, Any]) -> int:
    """Characters of text in a record, for the budget of a window."""
    return 200 + sum(len(turn.get("text") or "") + len(turn.get("reasoning") or "") for turn in record.get("turns", ()))


def _messages(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    given = row.get("messages")
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            given = None
    if isinstance(given, list) and given and all(isinstance(one, Mapping) for one in given):
        return given
    return [{"role": "user", "content": row.get("prompt") or ""}]


def _turn(message: Mapping[str, Any]) -> dict[str, Any]:
    text, calls = _text(message.get("content")), []
    reasoning = next(
        (message[k] for k in ("reasoning_content", "reasoning", "thinking") if isinstance(message.get(k), str)), ""
    )
    role = str(message.get("role") or "unknown")
    found = _THINK.match(text) if role == "assistant" and not reasoning else None
    if found:
        reasoning, text = found.group(2).strip(), text[found.end() :]
    for call in message.get("tool_calls") or ():
        calls.append(json.dumps(call, ensure_ascii=False))
    turn = {"role": role, "text": text, "reasoning": reasoning, "calls": calls}
    if message.get("name"):
        turn["label"] = str(message["name"])
    return turn


def _text(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(p, Mapping) and isinstance(p.get("text"), str) for p in content):
        return "\n\n".join(part["text"] for part in content)
    return json.dumps(content, ensure_ascii=False)


def _fact(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
