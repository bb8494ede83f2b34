"""Before an export: which records a trainer would drop, cut or refuse, and why.

What a trainer does was read off the trainer itself: TRL 1.16, Axolotl 0.19, LLaMA-Factory 0.9.5, and OpenAI's fine-tuning guide.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.dataset.selected import Selected
from core.errors import InputError
from core.progress import Progress, silent

EFFECTS = {
    "refused": "cannot be written or stops the whole file",
    "dropped": "the trainer leaves it out, or learns nothing from it",
    "cut": "the end is cut off",
    "changed": "is written, but not with everything",
    "risk": "some models' chat templates refuse it",
}
"""What happens to a record, worst first."""
LOST = ("refused", "dropped")

# rule -> what was found, and what each format makes of it; a format that is not named has no trouble.
_MESSAGES = ("trl", "trl-prompt-completion", "axolotl")
_ALL = (*_MESSAGES, "trl-preference", "llamafactory", "openai")
RULES: dict[str, tuple[str, dict[str, str]]] = {
    "only_system": ("Only a system turn", dict.fromkeys(_ALL, "refused")),
    "no_response": ("No response, or an empty one", dict.fromkeys(_ALL, "refused")),
    "no_rejected": ("No rejected response", {"trl-preference": "refused"}),
    "bad_arguments": ("A tool call whose arguments are no JSON", {"axolotl": "refused", "openai": "refused", "trl": "risk"}),
    "tool_order": ("A tool result without its call, or a call without its result", {"openai": "refused"}),
    "bad_name": ("A name that is not 1–64 letters, digits, _ or -", {"openai": "refused"}),
    "turn_order": (
        "User and assistant do not take turns",
        {**dict.fromkeys((*_MESSAGES, "trl-preference"), "risk"), "llamafactory": "dropped"},
    ),
    "nothing_left": (
        "The prompt alone fills the length limit: nothing of the response is left",
        dict.fromkeys(_ALL, "dropped"),
    ),
    "too_long": (
        "Longer than the length limit",
        {**dict.fromkeys(("trl", "trl-prompt-completion", "trl-preference", "llamafactory", "openai"), "cut"), "axolotl": "dropped"},
    ),
    "empty_turn": (
        "A turn without text before the response",
        {**dict.fromkeys((*_MESSAGES, "llamafactory"), "risk"), "openai": "refused"},
    ),
    "late_system": (
        "A system turn that is not the first turn",
        {**dict.fromkeys((*_MESSAGES, "trl-preference"), "risk"), "llamafactory": "changed"},
    ),
    "after_response": ("Turns after the last response are not written", dict.fromkeys(_ALL, "changed")),
    "reasoning": ("Its reasoning has no place in the format", {"openai": "changed", "trl-preference": "risk"}),
    "beside_call": ("Text beside a tool call has no place in the format", {"llamafactory": "changed"}),
    "same_pair": ("The chosen and the rejected response are the same", {"trl-preference": "dropped"}),
}  # fmt: skip
LIMITS = {
    "trl": 1024,
    "trl-prompt-completion": 1024,
    "trl-preference": 1024,
    "axolotl": 2048,
    "llamafactory": 2048,
    "openai": 65_536,
}
"""Tokens that a record may have: each trainer's default, but for Axolotl, whose 512 nobody trains with."""
ESTIMATE = "estimated: a token for 4 letters, and one for about 1 sign of other scripts"
PER_TURN = 5  # tokens that a chat template puts around a turn, about
SHOWN = 20  # records of a finding that are told by name
EVERY = 1_000
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

Count = Callable[[list[str]], list[int]]


@dataclass(frozen=True)
class Finding:
    """One rule that some records break: `ids` all of them, `details` of the first SHOWN."""

    rule: str
    title: str
    effect: str
    ids: tuple[str, ...]
    details: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        first = [{"record_id": i, "detail": d} for i, d in zip(self.ids, self.details, strict=False)]
        return {"rule": self.rule, "title": self.title, "effect": self.effect, "records": len(self.ids), "first": first}


@dataclass(frozen=True)
class Preflight:
    """What a trainer would make of an export; worst first."""

    to: str
    records: int
    limit: int
    counted: str  # how tokens were counted
    findings: tuple[Finding, ...]
    longest: int  # tokens

    @property
    def lost(self) -> tuple[str, ...]:
        """The records that the trainer would not learn from, in file order: refused or dropped."""
        return tuple(dict.fromkeys(i for f in self.findings if f.effect in LOST for i in f.ids))

    def to_json(self) -> dict[str, Any]:
        return {
            "format": self.to, "records": self.records, "limit": self.limit, "counted": self.counted, "longest": self.longest,
            "lost": len(self.lost), "findings": [f.to_json() for f in self.findings],
        }  # fmt: skip


def checkable(to: str) -> bool:
    """Whether a format belongs to a trainer; the others carry every record."""
    return to in LIMITS


def estimated(texts: Sequence[str]) -> list[int]:
    """Tokens of each text, about: letters of the Latin script by four, other scripts by their bytes."""
    found = []
    for text in texts:
        signs, size = len(text), len(text.encode("utf-8", "surrogatepass"))
        found.append(-(-signs // 4) + (size - signs) // 2)
    return found


def counter(tokenizer: str | Path | None) -> tuple[Count, str]:
    """(count, how it counts): by a tokenizer.json on this machine, or its folder; an estimate without one."""
    if not tokenizer:
        return estimated, ESTIMATE
    path = Path(tokenizer).expanduser()
    path = path / "tokenizer.json" if path.is_dir() else path
    if not path.is_file():
        raise InputError(f"There is no tokenizer at {path}. Name a tokenizer.json or the folder that holds it.")
    from tokenizers import Tokenizer

    try:
        inner = Tokenizer.from_file(str(path))
    except Exception as error:
        raise InputError(f"{path} is no tokenizer that can be read: {error}. Name a tokenizer.json.") from None
    inner.no_truncation()
    inner.no_padding()
    name = path.parent.name if path.name == "tokenizer.json" else path.name

    def count(texts: list[str]) -> list[int]:
        return [len(one) for one in inner.encode_batch_fast(texts, add_special_tokens=False)]

    return count, f"counted by the tokenizer {name}, {PER_TURN} more for each turn"


def preflight(
    chosen: Selected,
    to: str,
    limit: int | None = None,
    tokenizer: str | Path | None = None,
    progress: Progress = silent,
) -> Preflight:
    """What the trainer of a format would make of these records, up to `limit` tokens each (its default when None)."""
    if not checkable(to):
        raise InputError(f"{to!r} is no trainer's format, so it drops nothing. Trainers' formats: {', '.join(LIMITS)}.")
    limit = LIMITS[to] if limit is None else limit
    if limit < 1:
        raise InputError(f"A length limit of {limit} tokens leaves nothing. Give at least 1.")
    count, how = counter(tokenizer)
    ids: dict[str, list[str]] = {}
    details: dict[str, list[str]] = {}
    longest = done = 0
    for rows in _batches(chosen):
        parsed = [json.loads(row["messages"]) for row in rows]
        lengths = _lengths(parsed, count)
        for row, messages, (before, whole) in zip(rows, parsed, lengths, strict=True):
            longest = max(longest, whole)
            for rule, detail in _found(row, messages, before, whole, limit):
                if to in RULES[rule][1]:
                    ids.setdefault(rule, []).append(row["record_id"])
                    if len(ids[rule]) <= SHOWN:
                        details.setdefault(rule, []).append(detail)
        done += len(rows)
        progress(done, len(chosen), f"{done:,} records checked for {to}")
    found = [
        Finding(rule, RULES[rule][0], RULES[rule][1][to], tuple(some), tuple(details[rule]))
        for rule, some in ids.items()
    ]
    found.sort(key=lambda one: (list(EFFECTS).index(one.effect), -len(one.ids)))
    return Preflight(to, len(chosen), limit, how, tuple(found), longest)


def _batches(chosen: Selected) -> Iterator[list[dict]]:
    columns = [name for name in ("record_id", "messages", "response", "rejected") if name in chosen.columns]
    for table in chosen.tables(columns):
        yield table.to_pylist()


def _lengths(parsed: list[list[dict]], count: Count) -> list[tuple[int, int]]:
    """(tokens before the last response, tokens with it) of each conversation."""
    texts, owners = [], []
    for n, messages in enumerate(parsed):
        last = _last(messages)
        for place, message in enumerate(messages if last is None else messages[: last + 1]):
            calls = json.dumps(message["tool_calls"], ensure_ascii=False) if message.get("tool_calls") else ""
            texts.append(f"{message.get('reasoning_content') or ''}{message.get('content') or ''}{calls}")
            owners.append((n, place == last))
    before, whole = [0] * len(parsed), [0] * len(parsed)
    for (n, is_last), tokens in zip(owners, count(texts) if texts else [], strict=True):
        whole[n] += tokens + PER_TURN
        before[n] += 0 if is_last else tokens + PER_TURN
    return list(zip(before, whole, strict=True))


def _last(messages: list[dict]) -> int | None:
    return max((i for i, m in enumerate(messages) if m["role"] == "assistant"), default=None)


def _found(row: dict, messages: list[dict], before: int, whole: int, limit: int) -> Iterator[tuple[str, str]]:
    """(rule, detail) of one record."""
    last = _last(messages)
    if messages and all(m["role"] == "system" for m in messages):
        yield "only_system", f"{len(messages)} system turns and nothing else"
        return
    if last is None or not (row["response"] or "").strip():
        yield "no_response", "no assistant turn" if last is None else "the response is empty"
        return
    turns = messages[: last + 1]
    if last + 1 < len(messages):
        yield "after_response", f"{len(messages) - last - 1} turns after the last response"
    if before >= limit:
        yield "nothing_left", f"about {before:,} tokens before the response, the limit is {limit:,}"
    elif whole > limit:
        yield "too_long", f"about {whole:,} tokens, the limit is {limit:,}"
    spoken = [m for m in turns if m["role"] != "system"]
    if any(m["role"] == "system" for m in turns[1:]):
        yield "late_system", "a system turn after another turn"
    order = _order(spoken)
    if order:
        yield "turn_order", order
    empty = next(
        (n for n, m in enumerate(turns[:-1], 1) if not (m.get("content") or "").strip() and not m.get("tool_calls")),
        None,
    )
    if empty:
        yield "empty_turn", f"turn {empty} of {len(turns)} ({turns[empty - 1]['role']}) has no text"
    if any(m.get("reasoning_content") for m in turns):
        yield "reasoning", "it has reasoning_content"
    yield from _calls(turns)
    rejected = row.get("rejected")
    if not rejected:
        yield "no_rejected", "no rejected response"
    elif rejected.strip() == (row["response"] or "").strip():
        yield "same_pair", "chosen and rejected are equal"


def _order(spoken: list[dict]) -> str:
    """Where the turns stop alternating between asking (user, tool) and answering (assistant); "" when they do not."""
    for place, message in enumerate(spoken):
        asks = message["role"] in ("user", "tool")
        if asks != (place % 2 == 0):
            return f"turn {place + 1} without the system turns is {message['role']}"
    return "" if len(spoken) % 2 == 0 else "the last turn is not an answer"


def _calls(turns: list[dict]) -> Iterator[tuple[str, str]]:
    waiting, orderly = 0, True
    for message in turns:
        calls = message.get("tool_calls") if isinstance(message.get("tool_calls"), list) else []
        if message["role"] == "tool":
            orderly, waiting = orderly and waiting > 0, waiting - 1
        else:
            orderly, waiting = orderly and waiting <= 0, len(calls)
        for call in calls:
            function = call.get("function") if isinstance(call, dict) else None
            arguments = function.get("arguments") if isinstance(function, dict) else None
            if isinstance(arguments, str) and not _is_json(arguments):
                yield "bad_arguments", f"arguments begin {arguments[:60]!r}"
        if calls and (message.get("reasoning_content") or (message.get("content") or "").strip()):
            yield "beside_call", "an assistant turn with text and a tool call"
        if isinstance(message.get("name"), str) and not _NAME.fullmatch(message["name"]):
            yield "bad_name", f"the name is {message['name'][:80]!r}"
    if not orderly:
        yield "tool_order", "tool calls and tool results do not pair up"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
