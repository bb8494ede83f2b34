"""Strategies that pick a budget of records, every one a baseline for the others, and the budget itself.

`select` never picks a record that lacks a value the strategy needs; it says how many those are.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.errors import InputError, MissingInput
from core.influence.quadrant import diq_order, quadrants, ranking, reduces_to

BUDGET = re.compile(r"\s*([0-9][0-9_, ]*(?:\.[0-9]+)?|\.[0-9]+)\s*(%?)\s*")


@dataclass(frozen=True)
class Frame:
    """Columns of the same N records, in one order. What a strategy needs and finds absent is a MissingInput."""

    ids: Sequence[str]
    influence: np.ndarray | None = None  # (N,) float, NaN = none
    difficulty: np.ndarray | None = None  # (N,) float, higher = harder
    length: np.ndarray | None = None  # (N,) response length, tokens or characters
    embeddings: np.ndarray | None = None  # (N, d) unit rows
    validation_embeddings: np.ndarray | None = None  # (M, d) unit rows
    category: Sequence[str | None] | None = None


@dataclass(frozen=True)
class Selection:
    """Records in the order in which they were picked, best first."""

    record_ids: tuple[str, ...]
    strategy: str
    params: dict[str, Any]
    notes: tuple[str, ...]
    rows: np.ndarray = field(repr=False, compare=False)


@dataclass(frozen=True)
class Strategy:
    title: str
    needs: tuple[str, ...]  # columns of the frame
    order: Callable[[Frame, int, dict[str, Any]], tuple[np.ndarray, list[str]]]  # (rows best first, notes)
    params: dict[str, Any] = field(default_factory=dict)


def parse_budget(text: str | int | float, count: int) -> int:
    """Number of records that "10%", "0.5 %", "200", "1,000" or 200 mean among `count`; a share is rounded, but is at least 1.

    Errors: InputError for zero, for more than there are, for more than 100 %, and for what is neither.
    """
    if isinstance(text, float) and not text.is_integer():
        raise InputError(
            f'Budget {text} is not clear. Write a share with its sign ("{text * 100:g}%") or a whole number of records.'
        )
    matched = BUDGET.fullmatch(f"{text:.0f}" if isinstance(text, float) else str(text))
    if matched is None:
        raise InputError(
            f"Budget {str(text)!r} is not known. Give a share such as 10% or a number of records such as 200."
        )
    number = float(re.sub(r"[_, ]", "", matched[1]))
    if matched[2]:
        if not 0 < number <= 100:
            raise InputError(f"Budget {str(text)!r} must be above 0 % and at most 100 %.")
        return max(1, round(count * number / 100)) if count else 0
    if not number.is_integer():
        raise InputError(f"Budget {str(text)!r} is no whole number of records. For a share write {number:g}%.")
    if number < 1:
        raise InputError("A budget of 0 records selects nothing. Give at least 1 record, or a share such as 10%.")
    if number > count:
        raise InputError(
            f"Budget {int(number):,} is more than the {count:,} records there are. Give at most {count:,}, or 100%."
        )
    return int(number)


def select(strategy: str, frame: Frame, budget: str | int, seed: int = 0, **params: Any) -> Selection:
    """Pick a budget of records. Deterministic: ties go by record_id, chance by the seed and the record_ids.

    `params`: diq takes `difficulty_cut` and `influence_cut` (median, p75, a number). Errors: InputError, MissingInput.
    """
    if strategy not in STRATEGIES:
        raise InputError(f"Strategy {strategy!r} is not known; choose {', '.join(STRATEGIES)}.")
    chosen = STRATEGIES[strategy]
    unknown = sorted(set(params) - set(chosen.params))
    if unknown:
        raise InputError(
            f"Strategy {strategy} has no parameter {unknown[0]!r}; it has {', '.join(chosen.params) or 'none'}."
        )
    for name in chosen.needs:
        if getattr(frame, name) is None:
            raise MissingInput(
                f"Strategy {strategy} needs {name.replace('_', ' ')}, which was not computed or mapped yet."
            )
    size = parse_budget(budget, len(frame.ids))
    complete = {**chosen.params, **params, "seed": seed}
    rows, notes = chosen.order(frame, size, complete)
    if len(rows) < size:
        lack = len(frame.ids) - len(rows)
        notes.append(
            f"Only {len(rows):,} of the {size:,} wanted were picked: {lack:,} records lack a value that this strategy needs."
        )
    rows = rows[:size]
    return Selection(tuple(frame.ids[r] for r in rows), strategy, {**complete, "budget": size}, tuple(notes), rows)


def able(strategy: str, frame: Frame) -> bool:
    """Whether the frame holds what the strategy needs."""
    return all(getattr(frame, name) is not None for name in STRATEGIES[strategy].needs)


def overlap(a: Selection, b: Selection) -> float:
    """Share of the smaller selection that is in the other as well; 0..1, NaN when one is empty."""
    small = min(len(a.record_ids), len(b.record_ids))
    return len(set(a.record_ids) & set(b.record_ids)) / small if small else float("nan")


def _known(*columns: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.logical_and.reduce([np.isfinite(np.asarray(c, float)) for c in columns]))


def _diq(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    placed = quadrants(frame.difficulty, frame.influence, params["difficulty_cut"], params["influence_cut"])
    return diq_order(frame.ids, frame.difficulty, frame.influence, placed), [reduces_to(placed, size), *placed.notes]


def _influence(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    return ranking(frame.ids, (frame.influence,), _known(frame.influence)), []


def _difficulty(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    return ranking(frame.ids, (frame.difficulty,), _known(frame.difficulty)), []


def _easy(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    return ranking(frame.ids, (-np.asarray(frame.difficulty, float),), _known(frame.difficulty)), []


def _longest(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    return ranking(frame.ids, (frame.length,), _known(frame.length)), []


def _shuffled(frame: Frame, seed: int) -> np.ndarray:
    """All rows by chance; the same for any order of the rows, and a larger budget only adds to a smaller one."""
    order = np.argsort(np.array(frame.ids, dtype=str), kind="stable")
    return order[np.random.default_rng(seed).permutation(len(order))]


def _random(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    return _shuffled(frame, params["seed"]), []


def _length_matched(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    """For each record that `like` would pick, in turn, a record by chance from its own twentieth of the lengths."""
    like = params["like"]
    if like not in STRATEGIES or like == "length-matched random":
        raise InputError(
            f"like={like!r} is no strategy whose lengths could be matched; choose diq, influence or difficulty."
        )
    for name in STRATEGIES[like].needs:
        if getattr(frame, name) is None:
            raise MissingInput(f"Matching the lengths of {like} needs {name}, which was not computed or mapped yet.")
    model, _ = STRATEGIES[like].order(frame, size, {**STRATEGIES[like].params, "seed": params["seed"]})
    length = np.asarray(frame.length, float)
    known = _known(length)
    if not len(known):
        return known, []
    edges = np.unique(np.percentile(length[known], np.linspace(0, 100, 21)[1:-1]))
    bins = np.where(np.isfinite(length), np.searchsorted(edges, length, side="right"), -1)
    pools: dict[int, list[int]] = {}
    for row in _shuffled(frame, params["seed"])[::-1]:
        pools.setdefault(int(bins[row]), []).append(int(row))
    picked = [pools[int(bins[r])].pop() for r in model[:size] if bins[r] >= 0]
    note = f"Random records with the lengths of what {like} picks (twentieths of the response lengths): the control for length."
    return np.array(picked, np.int64), [note]


def _similarity(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    """Mean cosine similarity to the validation records: with unit rows, the dot product with their mean."""
    given = np.asarray(frame.embeddings, np.float32)
    scores = given @ np.asarray(frame.validation_embeddings, np.float32).mean(0)
    empty = ~np.any(given != 0, axis=1)
    scores = np.where(empty, np.nan, scores.astype(float))
    return ranking(frame.ids, (scores,), _known(scores)), [
        "Ranked by mean cosine similarity to the validation records."
    ]


STRATEGIES: dict[str, Strategy] = {
    "diq": Strategy(
        "DIQ: hard and influential first",
        ("difficulty", "influence"),
        _diq,
        {"difficulty_cut": "median", "influence_cut": "median"},
    ),
    "influence": Strategy("Influence alone", ("influence",), _influence),
    "difficulty": Strategy("Difficulty alone, hardest first", ("difficulty",), _difficulty),
    "easy": Strategy("Difficulty alone, easiest first", ("difficulty",), _easy),
    "random": Strategy("Random", (), _random),
    "length-matched random": Strategy("Random with matched lengths", ("length",), _length_matched, {"like": "diq"}),
    "longest": Strategy("Longest responses", ("length",), _longest),
    "similarity": Strategy("Embedding similarity to validation", ("embeddings", "validation_embeddings"), _similarity),
}
