"""Conversations in any of the usual shapes, as one list of messages {"role", "content", …}.

Read are OpenAI messages (text or parts, tool_calls kept), ShareGPT turns (from/value, with LLaMA-Factory's function_call and
observation), and trees of replies as OASST writes them.
"""

from collections.abc import Iterator
from typing import Any

from core.dataset.jsontext import Fault, dumps, kind_of, parse

_ROLES = {
    "user": "user", "human": "user", "prompter": "user", "usr": "user", "customer": "user", "patient": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "chatgpt": "assistant", "model": "assistant", "ai": "assistant",
    "doctor": "assistant", "chatbot": "assistant", "bing": "assistant", "bard": "assistant", "claude": "assistant",
    "system": "system", "developer": "system",
    "tool": "tool", "function": "tool", "observation": "tool", "ipython": "tool", "function_response": "tool", "tool_response": "tool",
    "function_call": "function_call", "tool_call": "function_call",
}  # fmt: skip
_KEPT = ("name", "tool_calls", "tool_call_id", "function_call", "weight", "refusal")
_REASONING = ("reasoning_content", "reasoning", "thinking", "thought")


def is_message(value: Any) -> bool:
    """Whether a value has the shape of one message."""
    return isinstance(value, dict) and (
        ("role" in value and ("content" in value or "tool_calls" in value or "text" in value))
        or ("from" in value and "value" in value)
    )


def is_conversation(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(is_message(item) for item in value[:3])


def is_tree(value: Any) -> bool:
    """Whether a value is a message with replies, each a message with replies."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("replies"), list)
        and "role" in value
        and ("text" in value or "content" in value)
    )


def messages_of(value: Any, role: str, what: str) -> list[dict]:
    """The messages a field holds: a text becomes one of `role`; a list of texts is one text. Raises Fault."""
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    if is_tree(value):
        return [_message(node, what) for node in best_path(value)]
    if isinstance(value, dict):
        return [_message(value, what)]
    if isinstance(value, list):
        if all(isinstance(item, str) for item in value) and value:
            return [{"role": role, "content": "\n\n".join(value)}]
        return [_message(item, what) for item in value]
    raise Fault(f"{what} is not text", f"{kind_of(value)} was found")


def _message(value: Any, what: str) -> dict:
    if not isinstance(value, dict):
        raise Fault(
            "malformed message", f"a message of {what} is {kind_of(value)}, an object with role and content is expected"
        )
    given = value["role"] if "role" in value else value.get("from")
    role = _ROLES.get(given.casefold()) if isinstance(given, str) else None
    if role is None:
        raise Fault(
            "unknown role", f"{given!r}" if isinstance(given, str) else f"the role of a message is {kind_of(given)}"
        )
    content = value.get("content", value.get("value", value.get("text")))
    if role == "function_call":
        return _called(content)
    message: dict[str, Any] = {"role": role, "content": ""}
    if isinstance(content, str):
        message["content"] = content
    elif isinstance(content, list):
        _add_parts(message, content)
    elif content is not None or not (value.get("tool_calls") or value.get("function_call")):
        raise Fault("message without text", f"the content of a {role} message is {kind_of(content)}")
    for name in _KEPT:
        if value.get(name) is not None:
            message[name] = value[name]
    for name in _REASONING:
        if isinstance(value.get(name), str) and value[name].strip():
            message["reasoning_content"] = value[name]
    return message


def _add_parts(message: dict, parts: list) -> None:
    """Content given as typed parts: texts are joined, reasoning and tool calls go to their own keys, other parts are named."""
    texts, reasoning, calls = [], [], []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        if not isinstance(part, dict):
            raise Fault("malformed message", f"a part of a message is {kind_of(part)}")
        kind, inner = part.get("type"), part.get("text", part.get("value", part.get("content")))
        if kind in ("text", "input_text", "output_text", None) and isinstance(inner, str):
            texts.append(inner)
        elif kind in ("reasoning", "thinking") and isinstance(inner or part.get("thinking"), str):
            reasoning.append(inner or part["thinking"])
        elif kind in ("tool_call", "tool_calls", "function_call"):
            calls += _calls(inner) or [inner]
        elif isinstance(kind, str):
            texts.append(f"[{kind}]")  # an image or a sound: what it is stays in the raw row
        else:
            raise Fault("malformed message", "a part of a message has neither a type nor a text")
    message["content"] = "\n\n".join(texts)
    if reasoning:
        message["reasoning_content"] = "\n\n".join(reasoning)
    if calls:
        message["tool_calls"] = calls


def _called(content: Any) -> dict:
    """A function_call turn as an assistant message with tool_calls; a call that is not JSON stays as its text."""
    calls = _calls(content)
    if calls:
        return {"role": "assistant", "content": "", "tool_calls": calls}
    if isinstance(content, str):
        return {"role": "assistant", "content": content}
    raise Fault("message without text", f"a function_call is {kind_of(content)}")


def _calls(content: Any) -> list[dict]:
    if isinstance(content, str):
        try:
            content = parse(content)
        except Fault:
            return []
    found = content if isinstance(content, list) else [content]
    if not found or not all(isinstance(call, dict) and isinstance(call.get("name"), str) for call in found):
        return []
    return [
        {
            "type": "function",
            "function": {"name": call["name"], "arguments": call.get("arguments", call.get("parameters", {}))},
        }
        for call in found
    ]


def text_of(message: dict) -> str:
    """What a message says: its text, or its tool calls as JSON when it has no text."""
    content, calls = message["content"], message.get("tool_calls") or message.get("function_call")
    if calls:
        shown = dumps(calls)
        return f"{content}\n\n{shown}" if content.strip() else shown
    return content


def transcript(messages: list[dict]) -> str:
    """Messages as one text: a lone user message as it is, several with the speaker before each."""
    if len(messages) == 1 and messages[0]["role"] == "user":
        return text_of(messages[0])
    return "\n\n".join(f"{message['role']}: {text_of(message)}" for message in messages)


# -- trees of replies ----------------------------------------------------------------------------------------------------
def _rank(node: dict) -> float:
    rank = node.get("rank")
    return float(rank) if isinstance(rank, (int, float)) and not isinstance(rank, bool) else float("inf")


def best_path(tree: dict) -> list[dict]:
    """Root to leaf, at each fork the reply of the lowest rank (unranked last, then the first), cut after the last assistant turn."""
    path, node = [tree], tree
    while node.get("replies"):
        node = min(node["replies"], key=_rank)
        path.append(node)
    return _to_assistant(path)


def all_paths(tree: dict) -> Iterator[list[dict]]:
    """Every path from the root to a leaf, cut after its last assistant turn, each once, in the order of the file."""
    seen: set[tuple[int, ...]] = set()
    stack = [[tree]]
    while stack:
        path = stack.pop()
        replies = path[-1].get("replies") or []
        stack.extend(path + [reply] for reply in reversed(replies))
        if not replies:
            cut = _to_assistant(path)
            identity = tuple(map(id, cut))
            if identity not in seen:
                seen.add(identity)
                yield cut


def _to_assistant(path: list[dict]) -> list[dict]:
    last = max(
        (i for i, node in enumerate(path) if _ROLES.get(str(node.get("role")).casefold()) == "assistant"),
        default=len(path) - 1,
    )
    return path[: last + 1]
