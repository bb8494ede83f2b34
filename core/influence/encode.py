"""Records -> token ids and which of them are the response; batches by token budget, sorted by length.

The context (all turns before the last assistant turn) and the target (that last assistant turn) are tokenised apart and then
joined, so that the response consists of the same tokens with and without its context.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import InputError
from core.workspace import Dataset

TARGETS = ("reasoning+response", "response", "reasoning")
THINK = "<think>\n{}\n</think>\n\n{}"
SENTINEL = "\u2042quadrant\u2042"
PLAIN = {"system": "### System:\n", "user": "### User:\n", "assistant": "### Assistant:\n"}
"""Used when the tokenizer has no chat template: each turn is its heading, its text and an empty line; the target ends in EOS."""


@dataclass(frozen=True)
class Conversation:
    """What the model is given and what it should say."""

    context: tuple[tuple[str, str], ...]  # (role, text)
    target: str


@dataclass(frozen=True)
class Tokens:
    """N tokenised records; positions >= start are the response."""

    ids: list[np.ndarray]  # N arrays of int32
    start: np.ndarray  # (N,) int32, first response position; = length where there is no response
    truncated: np.ndarray  # (N,) bool
    template: str  # "chat template" or "plain template", for the screen
    fell_back: int  # records whose turns the chat template refused; they got the plain template

    @property
    def lengths(self) -> np.ndarray:
        return np.array([len(x) for x in self.ids], np.int32)

    @property
    def response_tokens(self) -> np.ndarray:
        """(N,) int32: tokens whose loss counts; the first token of a sequence has nothing before it and never counts."""
        return np.maximum(self.lengths - np.maximum(self.start, 1), 0).astype(np.int32)

    def keys(self) -> list[str]:
        """A digest of each record's tokens and start: equal keys give equal losses."""
        return [
            hashlib.blake2b(x.tobytes() + int(s).to_bytes(4, "little"), digest_size=8).hexdigest()
            for x, s in zip(self.ids, self.start, strict=True)
        ]

    def take(self, rows: Sequence[int] | np.ndarray) -> "Tokens":
        rows = np.asarray(rows, np.int64)
        return Tokens(
            [self.ids[i] for i in rows], self.start[rows], self.truncated[rows], self.template, self.fell_back
        )

    def without_context(self, header: np.ndarray) -> "Tokens":
        """The same response tokens after `header` alone (see `Encoder.header`): the unconditioned pass of IFD."""
        ids = [np.concatenate([header, x[s:]]) for x, s in zip(self.ids, self.start, strict=True)]
        start = np.full(len(ids), len(header), np.int32)
        return Tokens(ids, start, self.truncated, self.template, self.fell_back)


def conversations(dataset: Dataset, target: str = TARGETS[0]) -> list[Conversation]:
    """The records of a dataset as context and target, in order; target "" where the wanted part is absent."""
    if target not in TARGETS:
        raise InputError(f"target {target!r} is not known; choose {', '.join(TARGETS)}.")
    columns = ("messages", "response", "reasoning", "prompt")
    rows = zip(*(dataset.column(name).to_pylist() for name in columns), strict=True)
    return [_conversation(*row, target) for row in rows]


def _conversation(messages: str, response: str | None, reasoning: str | None, prompt: str, target: str) -> Conversation:
    turns = [(_role(m.get("role")), _text(m)) for m in json.loads(messages or "[]")]
    last = max((i for i, (role, _) in enumerate(turns) if role == "assistant"), default=len(turns))
    context = tuple(turns[:last]) or (("user", prompt or ""),)
    response, reasoning = response or "", reasoning or ""
    if target == "reasoning":
        return Conversation(context, reasoning)
    if target == "reasoning+response" and reasoning.strip():
        return Conversation(context, THINK.format(reasoning, response))
    return Conversation(context, response)


def _role(role: Any) -> str:
    return {"human": "user", "gpt": "assistant", "developer": "system"}.get(str(role), str(role))


def _text(message: dict) -> str:
    content = message.get("content")
    if isinstance(content, list):  # parts: the text ones, the others by their type
        content = "\n".join(
            p.get("text") or f"[{p.get('type', 'part')}]" if isinstance(p, dict) else str(p) for p in content
        )
    calls = message.get("tool_calls")
    return (content or "") + (json.dumps(calls, ensure_ascii=False) if calls else "")


class Encoder:
    """Turns conversations into tokens with one tokenizer and one maximum length."""

    def __init__(self, tokenizer: Any, max_length: int) -> None:
        self.tokenizer, self.max_length = tokenizer, max_length
        self.chat = bool(getattr(tokenizer, "chat_template", None))
        self.ending = self._ending() if self.chat else []
        if not self.ending and tokenizer.eos_token_id is not None:
            self.ending = [int(tokenizer.eos_token_id)]
        first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        self.first = [] if first is None else [int(first)]

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]

    def _render(self, turns: list[dict], generation: bool) -> str:
        return self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=generation)

    def _ending(self) -> list[int]:
        """The tokens with which the chat template closes an assistant turn (newlines after them left out)."""
        turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": SENTINEL}]
        try:
            return self._ids(self._render(turns, False).partition(SENTINEL)[2].rstrip("\n "))
        except Exception:  # a template is a program of strangers: it may refuse in any way
            return []

    @property
    def header(self) -> np.ndarray:
        """Tokens that open an assistant turn with nothing said before: the "no instruction" context of IFD."""
        if self.chat:
            try:
                marked = self._render([{"role": "user", "content": SENTINEL}], True)
                closed = self._render([{"role": "user", "content": SENTINEL}], False)
                opening = marked[len(closed) :] if marked.startswith(closed) else ""
                if opening:
                    return np.array(
                        self.first[: 1 if self.tokenizer.bos_token_id is not None else 0] + self._ids(opening), np.int32
                    )
            except Exception:  # as above
                pass
        return np.array(self.first + self._ids(PLAIN["assistant"]), np.int32)

    def context(self, turns: Sequence[tuple[str, str]]) -> tuple[str, bool]:
        """The rendered context, and whether the plain template had to be used although there is a chat template."""
        if self.chat:
            listed = [{"role": role, "content": text} for role, text in turns]
            merged = listed
            if len(listed) > 1 and listed[0]["role"] == "system" and listed[1]["role"] == "user":
                merged = [{"role": "user", "content": f"{listed[0]['content']}\n\n{listed[1]['content']}"}, *listed[2:]]
            for attempt in (
                listed,
                merged,
            ):  # some templates know no system role: its text then opens the first user turn
                try:
                    return self._render(attempt, True), False
                except Exception:  # as above
                    continue
        body = "".join(f"{PLAIN.get(role, f'### {role}:' + chr(10))}{text}\n\n" for role, text in turns)
        return body + PLAIN["assistant"], self.chat

    def encode(self, records: Sequence[Conversation]) -> Tokens:
        """Tokens of each record, at most `max_length` long.

        A record that is too long loses the beginning of its context down to half of `max_length`, then the end of its response;
        both set `truncated`. A record with an empty target keeps its context alone and has no response token.
        """
        rendered = [self.context(r.context) for r in records]
        bos = self.tokenizer.bos_token
        heads = self._batch([text for text, _ in rendered])
        tails = self._batch([r.target for r in records])
        ids, start, truncated = [], np.zeros(len(records), np.int32), np.zeros(len(records), bool)
        for i, (head, tail, record) in enumerate(zip(heads, tails, records, strict=True)):
            if not head or (not self.chat and bos is not None and head[0] != self.tokenizer.bos_token_id):
                head = self.first + head
            tail = tail + self.ending if record.target.strip() else []
            over = len(head) + len(tail) - self.max_length
            if over > 0:
                truncated[i] = True
                keep = max(len(head) - over, min(len(head), self.max_length // 2))
                head = head[len(head) - keep :]
                tail = tail[: self.max_length - len(head)]
            ids.append(np.array(head + tail, np.int32))
            start[i] = len(head)
        template = "the model's chat template" if self.chat else "the plain template (the model has no chat template)"
        return Tokens(ids, start, truncated, template, sum(fell for _, fell in rendered))

    def _batch(self, texts: list[str]) -> list[list[int]]:
        found: list[list[int]] = []
        for at in range(0, len(texts), 1000):
            found += self.tokenizer(texts[at : at + 1000], add_special_tokens=False, verbose=False)["input_ids"]
        return found


def plan_batches(lengths: np.ndarray, budget: int) -> list[np.ndarray]:
    """Row numbers by batch: longest first, ties by row, each batch at most `budget` tokens with padding (or one record).

    Depends on the lengths alone, so a resumed run meets the same batches. The longest come first: memory fails early or never.
    """
    order = np.lexsort((np.arange(len(lengths)), -np.asarray(lengths, np.int64)))
    batches, at = [], 0
    while at < len(order):
        size = max(1, budget // max(1, int(lengths[order[at]])))
        batches.append(order[at : at + size])
        at += size
    return batches


def padded(tokens: Tokens, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(B, T) int64 ids padded right with 0; flat positions (R,) whose *next* token is scored; that token (R,)."""
    width = max(len(tokens.ids[i]) for i in rows)
    ids = np.zeros((len(rows), width), np.int64)
    places, labels = [], []
    for b, i in enumerate(rows):
        x, s = tokens.ids[i], max(int(tokens.start[i]), 1)
        ids[b, : len(x)] = x
        places.append(b * width + np.arange(s - 1, len(x) - 1, dtype=np.int64))
        labels.append(x[s:].astype(np.int64))
    return ids, np.concatenate(places), np.concatenate(labels)


def iterate(tokens: Tokens, budget: int) -> Iterator[np.ndarray]:
    """Batches over the records that have a response."""
    able = np.flatnonzero(tokens.response_tokens > 0)
    for batch in plan_batches(tokens.lengths[able], budget):
        yield able[batch]
