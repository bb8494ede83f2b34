"""Which characters of a record's own text each scored token stands for.

The target that the model reads is the response, or a template around reasoning and response (encode.THINK). A segment is a run of
characters of one of the two texts with the tokens that end in it. Segments tile each text from its start as far as its tokens were
scored: a space that the tokenizer leaves out of its offsets belongs to the token after it, and tokens that share one character (the
bytes of an emoji in byte-level BPE) are one segment whose share is their sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import InputError
from core.influence.encode import THINK

PARTS = ("reasoning", "response")


@dataclass(frozen=True)
class Segments:
    """Of one record: `length` characters (code points) of `part` (index into PARTS) carry `share`; in the order of the text."""

    part: np.ndarray  # (S,) uint8
    length: np.ndarray  # (S,) int64, >= 1
    share: np.ndarray  # (S,) float64
    elsewhere: float  # share of tokens outside both texts: the template's and the end of the turn


def offsets(tokenizer: Any, targets: Sequence[str]) -> list[np.ndarray]:
    """For each target the ends (n,) int64 of its n tokens, in characters, never falling.

    Errors: InputError for a tokenizer without offsets (the slow Python ones).
    """
    if not getattr(tokenizer, "is_fast", False):
        raise InputError(
            "This model's tokenizer does not say which characters a token stands for (it has no tokenizer.json). "
            "Token shares need one; save the model with a fast tokenizer."
        )
    found: list[np.ndarray] = []
    for at in range(0, len(targets), 1000):
        told = tokenizer(
            list(targets[at : at + 1000]), add_special_tokens=False, verbose=False, return_offsets_mapping=True
        )["offset_mapping"]
        found += [np.maximum.accumulate(np.array([end for _, end in one] or [0], np.int64)) for one in told]
    return found


def parts_of(target: str, reasoning: str, response: str, kind: str) -> list[tuple[int, int, int]]:
    """(part, start, stop) of the texts inside the target, in characters; `kind` as encode.TARGETS."""
    if kind == "reasoning":
        return [(0, 0, len(target))] if target else []
    if kind == "reasoning+response" and reasoning.strip():
        before, between = THINK.split("{}")[:2]
        inner = len(before) + len(reasoning)
        spans = [(0, len(before), inner), (1, inner + len(between), inner + len(between) + len(response))]
        return [s for s in spans if s[2] > s[1]]
    return [(1, 0, len(target))] if target else []


def segments(ends: np.ndarray, shares: np.ndarray, parts: Sequence[tuple[int, int, int]], skipped: int = 0) -> Segments:
    """The shares of a record's scored tokens laid on its texts.

    ends: as `offsets` gives them for the whole target. shares: of the scored tokens, in order; the first `skipped` tokens of the
    target were not scored (a first token with nothing before it), and shares beyond the target's tokens are the template's ending.
    A token belongs to the text that holds its last character.
    """
    kept = min(len(ends), skipped + len(shares))
    elsewhere = float(shares[kept - skipped :].sum())
    every = np.zeros(kept)
    every[skipped:] = shares[: kept - skipped]
    part, length, share = [], [], []
    placed = np.zeros(kept, bool)
    for which, start, stop in parts:
        inside = (ends[:kept] > start) & (ends[:kept] <= stop)
        placed |= inside
        if not inside.any():
            continue
        stops, group = np.unique(ends[:kept][inside], return_inverse=True)
        part.append(np.full(len(stops), which, np.uint8))
        length.append(np.diff(stops, prepend=start))
        share.append(np.bincount(group, every[inside], len(stops)))
    elsewhere += float(every[~placed].sum())
    if not part:
        return Segments(np.zeros(0, np.uint8), np.zeros(0, np.int64), np.zeros(0), elsewhere)
    return Segments(np.concatenate(part), np.concatenate(length), np.concatenate(share), elsewhere)
