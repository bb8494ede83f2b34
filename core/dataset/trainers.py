"""Exports for trainers: TRL, OpenAI, Axolotl, LLaMA-Factory. Each line says who reads it and what it cannot carry.

TRL and Axolotl read JSON Lines through Hugging Face's `datasets`, which takes the schema of a file from its first ten megabytes. What
only some records have must therefore show in the first one: `Shape` says what there is, the first message of a file names every key.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from core.dataset.jsontext import dumps
from core.dataset.selected import Selected
from core.errors import InputError

_OPENAI_KEYS = ("role", "content", "name", "tool_calls", "tool_call_id", "weight", "refusal")
_SPEAKER = {"user": "human", "assistant": "gpt", "tool": "observation"}


def _lines(out: BinaryIO, items: Iterator[dict]) -> None:
    for item in items:
        out.write(dumps(item).encode("utf-8") + b"\n")


def _shaped(messages: list[dict], chosen: Selected, first: bool) -> list[dict]:
    """The same turns; the first of a file has a null for each key that only other turns have.

    Turns with unequal keys make `datasets` (5 and later) read every turn as free JSON. A file whose first ten megabytes are plain
    turns, and whose later ones have reasoning or tool calls, could not be loaded at all.
    """
    if not first or not chosen.shape.keys or not messages:
        return messages
    # `name` makes the first turn differ from every other one, also where each of them has all the other keys.
    return [dict.fromkeys(("name", *chosen.shape.keys)) | messages[0], *messages[1:]]


def _tools(tools: list | None, chosen: Selected) -> dict[str, str]:
    """Tools as JSON text, "null" for none, in every record once one has some: a column of one type, which TRL and Axolotl parse."""
    return {"tools": dumps(tools)} if chosen.shape.tools else {}


def _conversations(chosen: Selected) -> Iterator[tuple[dict, list[dict], list | None]]:
    """(row, messages up to the last assistant turn, tools) of every record; refuses a record without a response."""
    for row in chosen.rows(chosen.conversation_columns):
        messages = json.loads(row["messages"])
        last = max((i for i, m in enumerate(messages) if m["role"] == "assistant"), default=None)
        if last is None or not row["response"].strip():
            raise InputError(
                f"Record {row['record_id']} has no response, so it cannot be trained on. Export it as jsonl or original."
            )
        yield row, messages[: last + 1], chosen.tools(row)


def write_trl(chosen: Selected, out: BinaryIO) -> None:
    """{"messages", "tools"?} a line, for TRL's SFTTrainer; reasoning stands in reasoning_content."""
    _lines(
        out,
        (
            {"messages": _shaped(_arguments(m, as_text=False), chosen, not n)} | _tools(t, chosen)
            for n, (_, m, t) in enumerate(_conversations(chosen))
        ),
    )


def write_trl_pairs(chosen: Selected, out: BinaryIO) -> None:
    """{"prompt": messages, "completion": [message]} a line: TRL then computes the loss on the completion alone."""

    def items() -> Iterator[dict]:
        for n, (_, messages, tools) in enumerate(_conversations(chosen)):
            messages = _arguments(messages, as_text=False)
            prompt, completion = (_shaped(part, chosen, not n) for part in (messages[:-1], messages[-1:]))
            yield {"prompt": prompt, "completion": completion} | _tools(tools, chosen)

    _lines(out, items())


def write_trl_preference(chosen: Selected, out: BinaryIO) -> None:
    """{"prompt", "chosen", "rejected", "tools"?} a line, for TRL's DPOTrainer; every record needs a rejected response."""

    def items() -> Iterator[dict]:
        for n, (row, messages, tools) in enumerate(_conversations(chosen)):
            if not row.get("rejected"):
                raise InputError(
                    f"Record {row['record_id']} has no rejected response. Export preference pairs only, or use trl."
                )
            messages = _arguments(messages, as_text=False)
            prompt, preferred = (_shaped(part, chosen, not n) for part in (messages[:-1], messages[-1:]))
            rejected = [{"role": "assistant", "content": row["rejected"]}]
            yield {"prompt": prompt, "chosen": preferred, "rejected": rejected} | _tools(tools, chosen)

    _lines(out, items())


def write_openai(chosen: Selected, out: BinaryIO) -> dict[str, Any]:
    """{"messages", "tools"?} a line with the keys that OpenAI's fine-tuning takes; reasoning_content is left out."""

    without = 0

    def items() -> Iterator[dict]:
        nonlocal without
        for _, messages, tools in _conversations(chosen):
            without += any("reasoning_content" in m for m in messages)
            kept = [
                {k: v for k, v in m.items() if k in _OPENAI_KEYS} for m in _numbered(_arguments(messages, as_text=True))
            ]
            yield {"messages": kept} | ({"tools": [_function(t) for t in tools]} if tools else {})

    _lines(out, items())
    return (
        {"notes": [f"The reasoning of {without} records was left out: the format has no place for it."]}
        if without
        else {}
    )


def write_axolotl(chosen: Selected, out: BinaryIO) -> dict[str, str]:
    """{"messages", "tools"?} a line, for `type: chat_template`; the dataset's entry of the configuration stands beside it."""
    write_trl(chosen, out)
    return {
        ".axolotl.yml": "datasets:\n  - path: {name}\n    ds_type: json\n    type: chat_template\n    field_messages: messages\n"
        "    message_property_mappings:\n      role: role\n      content: content\n"
        + ("    field_tools: tools\n" if chosen.shape.tools else "")
    }


def write_llamafactory(chosen: Selected, out: BinaryIO) -> dict[str, Any]:
    """A ShareGPT array (conversations, system, tools) with its entry of dataset_info.json; reasoning as <think>…</think>."""
    columns, without = {"messages": "conversations"}, 0
    tags = {
        "role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt", "observation_tag": "observation",
        "function_tag": "function_call", "system_tag": "system",
    }  # fmt: skip
    out.write(b"[")
    for number, (_, messages, tools) in enumerate(_conversations(chosen)):
        item: dict[str, Any] = {"conversations": [_turn(m) for m in messages if m["role"] != "system"]}
        without += any(m.get("tool_calls") and (m.get("reasoning_content") or m["content"].strip()) for m in messages)
        system = "\n\n".join(m["content"] for m in messages if m["role"] == "system")
        if system:
            item["system"], columns["system"] = system, "system"
        if tools:
            item["tools"], columns["tools"] = dumps(tools), "tools"
        out.write((",\n" if number else "\n").encode() + dumps(item).encode("utf-8"))
    out.write(b"\n]\n")
    notes = [f"{without} records lost the text beside their tool calls: a function_call turn has no place for it."]
    return {"dataset_info.json": {"formatting": "sharegpt", "columns": columns, "tags": tags}} | (
        {"notes": notes} if without else {}
    )


def _turn(message: dict) -> dict:
    calls = message.get("tool_calls")
    if calls:
        plain = [{k: c.get("function", c).get(k) for k in ("name", "arguments")} for c in calls]
        return {"from": "function_call", "value": dumps(plain[0] if len(plain) == 1 else plain)}
    thought, text = message.get("reasoning_content"), message["content"]
    return {"from": _SPEAKER[message["role"]], "value": f"<think>\n{thought}\n</think>\n\n{text}" if thought else text}


def _arguments(messages: list[dict], as_text: bool) -> list[dict]:
    """Tool calls with their arguments as JSON text (OpenAI) or as an object (chat templates)."""

    def call(value: Any) -> Any:
        function = value.get("function") if isinstance(value, dict) else None
        if not isinstance(function, dict) or "arguments" not in function:
            return value
        arguments = function["arguments"]
        if as_text and not isinstance(arguments, str):
            arguments = dumps(arguments)
        elif not as_text and isinstance(arguments, str):
            try:
                arguments = json.loads(arguments)
            except ValueError:
                return value
        return value | {"function": function | {"arguments": arguments}}

    return [
        m | {"tool_calls": [call(c) for c in m["tool_calls"]]} if isinstance(m.get("tool_calls"), list) else m
        for m in messages
    ]


def _numbered(messages: list[dict]) -> list[dict]:
    """Tool calls and their answers with ids, which OpenAI needs, where the source has none."""
    made, open_calls, count = [], [], 0
    for message in messages:
        if isinstance(message.get("tool_calls"), list):
            calls = []
            for call in message["tool_calls"]:
                if isinstance(call, dict) and not call.get("id"):
                    call, count = {"id": f"call_{count}", **call}, count + 1
                calls.append(call)
            message = message | {"tool_calls": calls}
            open_calls = [call["id"] for call in calls if isinstance(call, dict)]
        elif message["role"] == "tool" and not message.get("tool_call_id") and open_calls:
            message = message | {"tool_call_id": open_calls.pop(0)}
        made.append(message)
    return made


def _function(tool: Any) -> Any:
    return (
        {"type": "function", "function": tool}
        if isinstance(tool, dict) and "name" in tool and "function" not in tool
        else tool
    )


Writer = Callable[[Selected, BinaryIO], Any]
