"""The text of each record that is embedded, and the instruction that most prompts share."""

import hashlib
import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import pyarrow.compute as pc

from core.errors import InputError
from core.workspace import Dataset

CHOICES = ("prompt", "response", "both")
LEAD_SHARE = 0.8
LEAD_MIN_RECORDS = 10
LEAD_MAX_CHARS = 4000
_BOUNDARY = re.compile(r"\n+\s*|[.!?:;]\s+|[。！？：；]\s*")


def texts_of(dataset: Dataset, choice: str, strip_lead: bool = True) -> tuple[list[str], str]:
    """The text of every record in order, and the shared instruction that was left out ("" when none was).

    `choice`: prompt, response, or both (prompt, a blank line, response). Errors: InputError for another choice.
    """
    if choice not in CHOICES:
        raise InputError(f"text={choice!r} is not known; choose one of {', '.join(CHOICES)}.")
    if choice == "response":
        return _strings(dataset, "response"), ""
    prompts = _strings(dataset, "prompt")
    lead = common_lead(prompts) if strip_lead else ""
    if lead:
        prompts = [without_lead(text, lead) for text in prompts]
    if choice == "prompt":
        return prompts, lead
    responses = _strings(dataset, "response")
    return ["\n\n".join(filter(None, pair)) for pair in zip(prompts, responses, strict=True)], lead


def _strings(dataset: Dataset, name: str) -> list[str]:
    return pc.fill_null(dataset.column(name), "").to_pylist()


def common_lead(texts: Sequence[str], share: float = LEAD_SHARE) -> str:
    """The longest beginning that at least `share` of the texts have in common, cut back to the end of a line or sentence.

    A constant instruction makes all texts alike to an encoder. "What is the dose of" is part of the question and no
    instruction: without a line or sentence end there is no lead. "" when there is none, or fewer than ten texts.
    """
    need = math.ceil(share * len(texts))
    if len(texts) < LEAD_MIN_RECORDS:
        return ""
    heads = sorted(text[:LEAD_MAX_CHARS] for text in texts)
    # Texts with a common beginning stand side by side when sorted, and so many of them must include the middle one.
    middle = heads[len(heads) // 2]

    def holders(length: int) -> int:
        lead = middle[:length]
        return bisect_right(heads, lead + "\U0010ffff") - bisect_left(heads, lead)

    low, high = 0, len(middle)
    while low < high:  # the number of holders never rises with the length
        length = (low + high + 1) // 2
        low, high = (length, high) if holders(length) >= need else (low, length - 1)
    ends = [match.end() for match in _BOUNDARY.finditer(middle[:low])]
    lead = middle[: ends[-1]] if ends else ""
    # Most texts must still say something of their own, or they are just copies of one another.
    if lead and sum(bool(without_lead(t, lead) != t) for t in texts) < need:
        return ""
    return lead


def without_lead(text: str, lead: str) -> str:
    """The text without the shared instruction; unchanged when it does not begin with it or is nothing else."""
    rest = text[len(lead) :] if text.startswith(lead) else ""
    return rest if rest.strip() else text


def text_key(text: str) -> str:
    """24 hex digits of BLAKE2b: equal texts, equal keys."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
