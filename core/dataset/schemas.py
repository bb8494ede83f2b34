"""Recognising what the fields of a file are: one literal table of schemas, the first that fits is taken.

Nothing is guessed in silence: the mapping names each field taken, is shown before and after the import, and can be edited.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.dataset import names
from core.dataset.conversation import is_conversation, is_message, is_tree
from core.dataset.jsontext import Fault, parse
from core.dataset.mapping import Mapping
from core.errors import InputError


@dataclass(frozen=True)
class Fields:
    """The fields of some rows: the values seen under each name, and the names by their usual form."""

    seen: dict[str, list[Any]]
    by_key: dict[str, str]

    def named(
        self, usual: Sequence[str], fits: Callable[[Any], bool] = lambda value: True, most: float = 0.5
    ) -> str | None:
        """The first field with one of these usual names whose values, null and empty aside, mostly fit; the rows whose values
        do not are then quarantined by name, instead of the field being passed over for a few of them."""
        for name in usual:
            found = self.by_key.get(name)
            if found is not None and self._fits(found, fits, most):
                return found
        return None

    def first(self, fits: Callable[[Any], bool]) -> str | None:
        return next(
            (name for name in self.seen if any(map(fits, self.seen[name])) and self._fits(name, fits, 0.5)), None
        )

    def _fits(self, name: str, fits: Callable[[Any], bool], most: float) -> bool:
        filled = [value for value in self.seen[name] if value is not None and value != ""]
        return sum(map(fits, filled)) >= most * len(filled)


def fields_of(rows: Sequence[dict]) -> Fields:
    seen: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            seen.setdefault(name, []).append(value)
    by_key: dict[str, str] = {}
    for name in seen:
        by_key.setdefault(names.key(name), name)
    return Fields(seen, by_key)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _said(value: Any) -> bool:
    """A text, a message or a conversation."""
    return isinstance(value, str) or is_message(value) or is_conversation(value)


def _label(value: Any) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _short_label(value: Any) -> bool:
    return _label(value) and len(str(value)) <= 80


def _number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False
    try:
        float(value)
    except (ValueError, OverflowError):
        return False
    return True


def _conversation(value: Any) -> bool:
    if isinstance(value, str) and value[:1] == "[":  # a cell of a table that holds the conversation as JSON
        try:
            value = parse(value)
        except Fault:
            return False
    return is_conversation(value)


# -- the schemas ---------------------------------------------------------------------------------------------------------
def _tree(f: Fields) -> Mapping | None:
    field = f.first(is_tree)
    return Mapping(messages=field) if field else None


def _preference(f: Fields) -> Mapping | None:
    chosen, rejected = f.named(names.CHOSEN, _said), f.named(names.REJECTED, _said)
    if not chosen or not rejected:
        return None
    conversation = f.named(names.CONVERSATION, _conversation)
    if conversation:
        return Mapping(messages=conversation, response=chosen, rejected=rejected)
    prompt = f.named((*names.QUESTION, *names.PROMPT), _said)
    if prompt:
        more = f.named(("input",), _text) if names.key(prompt) == "instruction" else None
        return Mapping(prompt=(prompt, more) if more else (prompt,), response=chosen, rejected=rejected)
    return Mapping(response=chosen, rejected=rejected)  # the conversations begin with what they answer


def _dialogue(f: Fields) -> Mapping | None:
    field = f.named(names.CONVERSATION, _conversation)
    if field is None and not _completion(f):
        field = f.first(is_conversation)
    return Mapping(messages=field) if field else None


def _kto(f: Fields) -> Mapping | None:
    label = f.named(("label", "ktotag", "desirable"), lambda value: isinstance(value, bool))
    found = label and (_dialogue(f) or _completion(f))
    return found or None


def _sharegpt(f: Fields) -> Mapping | None:
    found = _dialogue(f)
    if not found:
        return None
    turns = next(value for value in f.seen[found.messages] if _conversation(value) and value)
    first = (parse(turns) if isinstance(turns, str) else turns)[0]
    return found if "role" not in first else None


def _instances(f: Fields) -> Mapping | None:
    instruction = f.named(("instruction",), _text)
    field = f.first(lambda v: isinstance(v, list) and bool(v) and all(isinstance(x, dict) and "output" in x for x in v))
    if not instruction or not field:
        return None
    return Mapping(prompt=(instruction, f"{field}.0.input"), response=f"{field}.0.output", unfold=field)


def _alpaca(f: Fields) -> Mapping | None:
    instruction = f.named(("instruction",), _text)
    output = f.named(("output", "response", "completion", "answer"), _text)
    if not instruction or not output:
        return None
    more = f.named(names.INPUT, _texts)
    history = f.named(("history",), lambda value: isinstance(value, list))
    return Mapping(prompt=(instruction, more) if more else (instruction,), response=output, history=history)


def _completion(f: Fields) -> Mapping | None:
    prompt, completion = (
        f.named(("prompt",), _said),
        f.named(("completion", "response", "output", "answer", "chosen"), _said),
    )
    return Mapping(prompt=(prompt,), response=completion) if prompt and completion else None


def _question(f: Fields) -> Mapping | None:
    question = f.named(names.QUESTION, _text)
    answer = f.named(("longanswer", "answer", "answers", *names.RESPONSE), _text)
    if not question or not answer:
        return None
    more = [f.named(("contexts", "context", "passage"), _texts), f.named(names.OPTIONS, _texts)]
    return Mapping(prompt=(question, *(name for name in more if name)), response=answer)


def _compared(f: Fields) -> Mapping | None:
    first, second = f.by_key.get("response1"), f.by_key.get("response2")
    prompt = f.named(("instruction", "prompt", "question"), _text)
    if not first or not second or not prompt:
        return None
    more = f.named(names.INPUT, _texts)
    return Mapping(prompt=(prompt, more) if more else (prompt,), response=first)


def _labelled(f: Fields) -> Mapping | None:
    text = f.named(("text", "sentence", "utterance", "medicalabstract", "abstract", "document", "0"), _text)
    label = f.named((*names.LABEL, "1"), _short_label)
    return Mapping(prompt=(text,), response=label, category=label) if text and label and text != label else None


def _plain(f: Fields) -> Mapping | None:
    prompt = f.named(names.PROMPT, _said)
    if not prompt:
        return None
    return Mapping(
        prompt=(prompt,), response=f.named(tuple(n for n in names.RESPONSE if n != names.key(prompt)), _said)
    )


@dataclass(frozen=True)
class Schema:
    title: str
    recognise: Callable[[Fields], Mapping | None]


SCHEMAS: dict[str, Schema] = {
    "tree": Schema("Trees of replies (OASST): the best-ranked path of each", _tree),
    "preference": Schema("Preference pairs: chosen is the response, rejected is kept", _preference),
    "kto": Schema("KTO: a conversation and whether its answer is desirable", _kto),
    "sharegpt": Schema("ShareGPT conversations (from/value)", _sharegpt),
    "messages": Schema("OpenAI messages (role/content)", _dialogue),
    "instances": Schema("Self-instruct tasks: each instance is a record", _instances),
    "compared": Schema("Two responses compared: the first is the response", _compared),
    "alpaca": Schema("Alpaca instruction/input/output", _alpaca),
    "prompt-completion": Schema("Prompt and completion", _completion),
    "question-answer": Schema("Question and answer", _question),
    "text-label": Schema("Text and label: the label is the category and the response", _labelled),
    "columns": Schema("Columns by their usual names", _plain),
}

NOTES = {
    "compared": "response1 was taken as the response; response2 and who preferred which stay fields of their own.",
    "kto": "The field label says which responses are undesirable; leave those out before you train on the responses.",
    "text-label": "The label was taken as the category and as the response. Map another field as the response to change it.",
    "tree": "Of each tree the best-ranked path is the record. unfold={messages} makes every path a record.",
}


def recognise(rows: Sequence[dict], schema: str = "auto", role: str = "training") -> Mapping | None:
    """The mapping of the first schema that fits these rows, or of the one asked for; None when none does.

    In the role production a label is a category only: what users asked has no response yet.
    """
    if schema != "auto" and schema not in SCHEMAS:
        raise InputError(f"Schema {schema!r} is not known; the schemas are auto, {', '.join(SCHEMAS)}.")
    fields = fields_of(rows)
    for name, candidate in SCHEMAS.items():
        if schema not in ("auto", name):
            continue
        mapping = candidate.recognise(fields)
        if mapping is not None:
            if name == "text-label" and role == "production":
                mapping = replace(mapping, response=None)
            return _with_usual_columns(replace(mapping, schema=name), fields)
    if schema != "auto":
        raise InputError(
            f"These rows do not look like {schema}: their fields are {', '.join(list(fields.seen)[:30])}. Map fields by hand."
        )
    return None


def _with_usual_columns(mapping: Mapping, fields: Fields) -> Mapping:
    """The mapping with the columns that any schema may have, by their usual names."""
    taken = {
        name
        for name in (*mapping.prompt, mapping.response, mapping.messages, mapping.rejected, mapping.history)
        if name
    }

    def free(usual: Sequence[str], fits: Callable[[Any], bool], most: float = 0.5) -> str | None:
        return fields.named(tuple(n for n in usual if fields.by_key.get(n) not in taken), fits, most)

    tools = free(names.TOOLS, lambda value: isinstance(value, (str, list)))
    return replace(
        mapping,
        system=free(names.SYSTEM, _text),
        reasoning=free(names.REASONING, _text),
        tools=tools,
        category=mapping.category or free(names.CATEGORY, _short_label),
        language=free(names.LANGUAGE, _text),
        difficulty=free(names.DIFFICULTY, _number, 0.9),
        annotator=free(names.ANNOTATOR, _label),
        id=free(names.ID, _label),
    )
