"""One row of a file as records: the canonical view that every later step reads."""

import math
import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from core.dataset.conversation import all_paths, is_conversation, is_message, is_tree, messages_of, text_of, transcript
from core.dataset.jsontext import Fault, Written, canonical, dumps, kind_of, parse
from core.dataset.mapping import MISSING, Mapping, value_at

_THINK = re.compile(r"\s*<think(?:ing)?>(.*?)</think(?:ing)?>\s*", re.DOTALL)


def digest_of_row(text: str) -> str:
    """16 hex digits that stand for the content of a row, given its canonical JSON. Raises Fault for a lone surrogate."""
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Fault("lone surrogate", f"\\u{ord(text[error.start]):04x} is half a character") from None
    return blake2b(data, digest_size=8).hexdigest()


def records_of(row: dict, mapping: Mapping, needs_response: bool) -> Iterator[tuple[str, dict, list[dict]]]:
    """(digest, canonical columns, messages) of each record of a row; one, unless the mapping unfolds it. Raises Fault.

    The digest depends on the parsed row alone. Where a row gives several records, each digest adds what sets its record apart.
    """
    text = canonical(row)
    digest = digest_of_row(text)
    if mapping.unfold is None:
        yield digest, *_record(row, mapping, needs_response)
        return
    variants = list(_unfolded(row, mapping.unfold))
    for position, variant in enumerate(variants):
        own = digest if len(variants) == 1 else digest_of_row(f"{text}\0{position}")
        yield own, *_record(variant, mapping, needs_response)


def _unfolded(row: dict, name: str) -> Iterator[dict]:
    value = row.get(name, MISSING)
    if is_tree(value):
        for path in all_paths(value):
            yield row | {name: [{**node, "replies": None} for node in path]}
    elif isinstance(value, list) and value:
        for item in value:
            yield row | {name: [item]}
    else:
        found = "nothing" if value is MISSING else kind_of(value)
        raise Fault("nothing to unfold", f"{name} holds {found}, a list or a tree of replies is expected")


def _record(row: dict, mapping: Mapping, needs_response: bool) -> tuple[dict, list[dict]]:
    messages = _conversation(row, mapping, needs_response)
    given = _reasoning(row, mapping)
    last = max((i for i, message in enumerate(messages) if message["role"] == "assistant"), default=None)
    if not needs_response and messages and messages[-1]["role"] == "user":
        last = None  # production that ends with a question: the whole of it is what the model is given
    response, reasoning, rejected = "", None, None
    if last is not None:
        answer = messages[last]
        response = text_of(answer)
        thought = _THINK.match(response)
        if thought:
            response, reasoning = response[thought.end() :], thought.group(1).strip() or None
        reasoning = answer.get("reasoning_content") or reasoning
        if given and "reasoning_content" not in answer and not thought:
            messages[last] = answer | {"reasoning_content": given}
    reasoning = given or reasoning
    asked = [message for message in messages[:last] if message["role"] != "system"]
    prompt = transcript(asked) if asked else ""
    if not prompt.strip() or not any(message["content"].strip() for message in asked):
        raise Fault("empty prompt", "there is no text before the response" if last is not None else "there is no text")
    if not response.strip():
        if needs_response:
            raise Fault(
                "empty response",
                "there is no assistant text" if last is None else "the response is empty or white space",
            )
        response = ""
    if mapping.rejected is not None:
        rejected = _rejected(row, mapping)
    system = "\n\n".join(message["content"] for message in messages if message["role"] == "system") or None
    columns = {
        "messages": dumps(messages),
        "system": system,
        "prompt": prompt,
        "response": response,
        "reasoning": reasoning,
        "rejected": rejected,
        "category": _label(row, mapping.category, "category"),
        "language": _label(row, mapping.language, "language"),
        "difficulty": _score(row, mapping.difficulty),
        "annotator": _label(row, mapping.annotator, "annotator"),
        "turns": sum(message["role"] != "system" for message in messages),
    }
    return columns, messages


def _conversation(row: dict, mapping: Mapping, needs_response: bool) -> list[dict]:
    messages: list[dict] = []
    if mapping.system is not None:
        system = _text(row, mapping.system, "system")
        if system:
            messages.append({"role": "system", "content": system})
    if mapping.history is not None:
        messages += _history(value_at(row, mapping.history))
    if mapping.messages is not None:
        value = _structure(value_at(row, mapping.messages))
        if value is MISSING:
            raise Fault("missing field", f"{mapping.messages} (messages)")
        if value == [] or value is None:
            raise Fault("empty messages", f"{mapping.messages} is {kind_of(value)}")
        turns = messages_of(value, "user", mapping.messages)
        told = "\n\n".join(turn["content"] for turn in turns if turn["role"] == "system")
        if messages and messages[0] == {"role": "system", "content": told}:
            messages.pop(0)  # said twice, in a field and in its turn, as in a file that was exported here
        messages += turns
    else:
        messages += _prompt(row, mapping.prompt)
    if mapping.response is not None:
        name = mapping.response
        value = value_at(row, name)
        if value is MISSING or value is None:
            if needs_response:
                raise (
                    Fault("missing field", f"{name} (response)")
                    if value is MISSING
                    else Fault("null response", f"{name} is null")
                )
            return messages
        if name == mapping.category and isinstance(value, (int, float)):
            value = text_of_scalar(value)  # a label that is the answer of a classification
        value = _structure(value)
        if isinstance(value, list) and is_conversation(value) and not mapping.messages and not mapping.prompt:
            return messages_of(value, "assistant", name)  # chosen holds the whole conversation
        messages += messages_of(value, "assistant", name) if value != [] else []
    return messages


def _structure(value: Any) -> Any:
    """A table's cell that holds a conversation as JSON text, parsed; anything else as it is."""
    if isinstance(value, str) and value[:2] in ("[{", "[ ", "[\n"):
        try:
            inner = parse(value)
        except Fault:
            return value
        return inner if is_conversation(inner) else value
    return value


def _prompt(row: dict, names: tuple[str, ...]) -> list[dict]:
    parts: list[str] = []
    for position, name in enumerate(names):
        value = _structure(value_at(row, name))
        if value is MISSING:
            if position == 0:
                raise Fault("missing field", f"{name} (prompt)")
            continue
        if value is None:
            continue
        if is_message(value) or is_conversation(value) or is_tree(value):
            found = messages_of(value, "user", name)
            if len(names) == 1:
                return found
            parts.append(transcript(found))
        else:
            parts.append(_joined(value, name))
    return [{"role": "user", "content": "\n\n".join(part for part in parts if part.strip())}] if parts else []


def _joined(value: Any, name: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ("\n\n" if any(len(item) > 200 for item in value) else "\n").join(value)
    raise Fault(f"{name} is not text", f"{kind_of(value)} was found")


def _history(value: Any) -> list[dict]:
    if value is MISSING or not value:
        return []
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        raise Fault("malformed history", "a list of [user, assistant] pairs is expected")
    return [
        {"role": role, "content": _joined(text, "history")}
        for pair in value
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]


def _text(row: dict, name: str, what: str) -> str | None:
    value = value_at(row, name)
    if value is MISSING or value is None:
        return None
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return "\n\n".join(value)
    if not isinstance(value, str):
        raise Fault(f"{what} is not text", f"{name} holds {kind_of(value)}")
    return value


def _reasoning(row: dict, mapping: Mapping) -> str | None:
    if mapping.reasoning is None:
        return None
    text = _text(row, mapping.reasoning, "reasoning")
    return text if text and text.strip() else None


def _rejected(row: dict, mapping: Mapping) -> str | None:
    value = _structure(value_at(row, mapping.rejected))
    if value is MISSING or value is None or value == []:
        return None
    return text_of(messages_of(value, "assistant", mapping.rejected)[-1])


def _label(row: dict, name: str | None, what: str) -> str | None:
    if name is None:
        return None
    value = value_at(row, name)
    if value is MISSING or value is None or value == "":
        return None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, (dict, list)):
        raise Fault(f"{what} is not a label", f"{name} holds {kind_of(value)}")
    return text_of_scalar(value)


def _score(row: dict, name: str | None) -> float | None:
    if name is None:
        return None
    value = value_at(row, name)
    if value is MISSING or value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        if isinstance(value, (bool, list, dict)):
            raise ValueError
        number = float(value)
    except (ValueError, OverflowError):
        shown = repr(value[:40]) if isinstance(value, str) else kind_of(value)
        raise Fault("difficulty is not a number", f"{name} holds {shown}") from None
    if not math.isfinite(number):
        raise Fault("not a finite number", f"{name} (difficulty) holds {value}")
    return number


def text_of_scalar(value: Any) -> str | None:
    """A scalar exactly as it stood in the file; None for null and for what is no scalar."""
    if isinstance(value, str):
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, Written):
        return value.text
    return str(value) if isinstance(value, (int, float)) else None


def consumed(mapping: Mapping) -> frozenset[str]:
    """Source fields whose text a canonical column already holds as it stood."""
    single = mapping.prompt if len(mapping.prompt) == 1 else ()
    named = (
        mapping.response,
        mapping.system,
        mapping.reasoning,
        mapping.rejected,
        mapping.category,
        mapping.language,
        mapping.annotator,
    )
    return frozenset(single) | {name for name in (*named, mapping.messages) if name}


def further_fields(row: dict, skip: frozenset[str], tools: str | None) -> dict[str, str | None]:
    """{name: text} of the scalar fields that no canonical column holds, and of the tools and lists of numbers as JSON."""
    found: dict[str, str | None] = {}
    for name, value in row.items():
        if name in skip:
            continue
        if isinstance(value, (dict, list)):
            vector = isinstance(value, list) and value and type(value[0]) in (int, float, Written)
            if name == tools or vector:
                found[name] = dumps(value)
        else:
            found[name] = text_of_scalar(value)
    return found
