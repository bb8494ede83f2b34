"""Strategies that pick a budget of records, every one a baseline for the others, and the budget itself.

`select` never picks a record that lacks a value the strategy needs; it says how many those are.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.errors import InputError, MissingInput
from core.influence.difficulty.candidates import Frame, known
from core.influence.selection import by_embedding
from core.influence.selection.quadrant import diq_order, quadrants, reduces_to
from core.influence.selection.spending import capped, quotas

BUDGET = re.compile(r"\s*([0-9][0-9_, ]*(?:\.[0-9]+)?|\.[0-9]+)\s*(%?)\s*")
HEAVY = 2e10  # floating-point operations: above, a pick takes about a second or more and belongs into a job

__all__ = [
    "Frame",
    "STRATEGIES",
    "Selection",
    "Strategy",
    "able",
    "heavy",
    "lacks",
    "overlap",
    "parse_budget",
    "select",
    "wanted",
]


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
    by_default: tuple[str, ...] = ()  # columns that its parameters, as they are by default, need besides
    nested: bool = True  # a larger budget only adds to a smaller one
    work: Callable[[Frame, int], float] = lambda frame, size: 0.0  # floating-point operations beyond a sort


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

    `params`: the kinds of diq take `difficulty_cut` and `influence_cut` (median, p75, a number), diq caps `cap` (a share of the budget
    such as 10%, or a number), diq quotas `quotas` (production, equal, or {category: share}), length-matched random `like` (a
    strategy). Errors: InputError, MissingInput.
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
                f"Strategy {strategy} needs {wanted([name])}, which was not computed, mapped or imported yet."
            )
    size = parse_budget(budget, len(frame.ids))
    if not size:
        raise InputError("There is no record to pick from. Import training records, or take some back from the ledger.")
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
    return not lacks(strategy, frame)


WORDS = {
    "influence": "influence",
    "difficulty": "a difficulty",
    "like": "influence or a difficulty to match",
    "cluster": "clusters",
    "category": "categories",
    "embeddings": "the embedding",
    "validation_embeddings": "a validation set that is embedded",
    "uncovered_embeddings": "the holes against production (step coverage)",
    "production_shares": "production's categories",
}
"""Columns of the frame as a reader calls them."""


def wanted(columns: Sequence[str]) -> str:
    """Columns of the frame, in words."""
    return " and ".join(dict.fromkeys(WORDS.get(name, name.replace("_", " ")) for name in columns))


def lacks(strategy: str, frame: Frame) -> tuple[str, ...]:
    """The columns of the frame that the strategy needs and that are not there; () = it can pick."""
    chosen = STRATEGIES[strategy]
    return tuple(name for name in (*chosen.needs, *chosen.by_default) if getattr(frame, name) is None)


def heavy(strategy: str, frame: Frame, size: int) -> bool:
    """Whether this pick takes seconds rather than an instant; False where the frame lacks what it needs, which `select` says."""
    chosen = STRATEGIES[strategy]
    return all(getattr(frame, name) is not None for name in chosen.needs) and chosen.work(frame, size) > HEAVY


def overlap(a: Selection, b: Selection) -> float:
    """Share of the smaller selection that is in the other as well; 0..1, NaN when one is empty."""
    small = min(len(a.record_ids), len(b.record_ids))
    return len(set(a.record_ids) & set(b.record_ids)) / small if small else float("nan")


def _placed(frame: Frame, params: dict[str, Any]):
    return quadrants(frame.difficulty, frame.influence, params["difficulty_cut"], params["influence_cut"])


def _diq(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    placed = _placed(frame, params)
    return diq_order(frame.rank, frame.difficulty, frame.influence, placed), [reduces_to(placed, size), *placed.notes]


def _diq_caps(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    """DIQ's order, but at most `cap` records of one cluster."""
    placed = _placed(frame, params)
    order = diq_order(frame.rank, frame.difficulty, frame.influence, placed)
    try:
        cap = parse_budget(params["cap"], size)
    except InputError as error:
        raise InputError(
            f"Cap {str(params['cap'])!r} is not known. Give a share of the budget such as 10%, or at most {size:,} records."
        ) from error
    groups = np.asarray(frame.cluster, np.int64)
    rows, lifted = capped(order, groups, cap, size)
    plain = order[:size]
    most = Counter(groups[plain][groups[plain] >= 0].tolist()).most_common(1)
    notes = [f"DIQ's order with at most {cap:,} records of one cluster; noise belongs to no cluster and has no cap."]
    if most:
        notes.append(f"Without caps one cluster would give {most[0][1]:,} of {len(plain):,}.")
    if lifted:
        notes.append(f"The caps alone leave {lifted:,} of the budget unspent; the next best beyond them fill it.")
    return rows, [*notes, *placed.notes]


def _diq_quotas(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    """DIQ's order inside each category, categories by their shares of production."""
    placed = _placed(frame, params)
    order = diq_order(frame.rank, frame.difficulty, frame.influence, placed)
    names = [c or "" for c in frame.category]
    have = Counter(names[r] for r in order)
    shares, said = _wanted_shares(frame, params["quotas"], have)
    take, short = quotas(shares, have, size)
    counts: Counter[str] = Counter()
    rows = []
    for row in order:
        name = names[row]
        if counts[name] < take.get(name, 0):
            counts[name] += 1
            rows.append(int(row))
    reached = sum(1 for n, s in shares.items() if s > 0 and counts[n])
    asked = sum(1 for s in shares.values() if s > 0)
    notes = [
        f"DIQ's order inside each category, {said} by largest remainder: {reached} of the {asked} categories with a share are reached."
    ]
    if short:
        worst = sorted(short.items(), key=lambda e: (-e[1], e[0]))
        listed = ", ".join(f"{n or '(none)'} {k:,}" for n, k in worst[:4]) + (", …" if len(worst) > 4 else "")
        notes.append(
            f"{sum(short.values()):,} records of the quotas cannot be met, for want of records ({listed}); the others share them."
        )
    return np.array(rows, np.int64), [*notes, *placed.notes]


def _wanted_shares(frame: Frame, wanted: Any, have: Counter) -> tuple[Mapping[str, float], str]:
    if wanted == "production":
        if not frame.production_shares:
            raise MissingInput(
                "Quotas by production need production's categories. Import a production sample or its shares."
            )
        return frame.production_shares, "in production's shares"
    if wanted == "equal":
        return dict.fromkeys(have, 1.0), "in equal shares"
    if isinstance(wanted, Mapping) and wanted:
        values = {str(k): float(v) for k, v in wanted.items()}
        if all(np.isfinite(v) and v >= 0 for v in values.values()) and sum(values.values()) > 0:
            return values, "in the shares given"
    raise InputError(
        f"Quotas {str(wanted)[:80]!r} are not known. Give production, equal, or shares of at least 0 by category."
    )


def _influence(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    return frame.by(frame.influence), []


def _difficulty(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    return frame.by(frame.difficulty), []


def _easy(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    return frame.by(-np.asarray(frame.difficulty, float)), []


def _longest(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    return frame.by(frame.length), []


def _random(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    return frame.shuffled(params["seed"]), []


def _length_matched(frame: Frame, size: int, params: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    """For each record that `like` would pick, in turn, a record by chance from its own twentieth of the lengths."""
    like = params["like"]
    if like not in STRATEGIES or like == "length-matched random":
        raise InputError(
            f"like={like!r} is no strategy whose lengths could be matched; choose diq, influence or difficulty."
        )
    for name in STRATEGIES[like].needs:
        if getattr(frame, name) is None:
            raise MissingInput(
                f"Matching the lengths of {like} needs {wanted([name])}, which was not computed, mapped or imported yet."
            )
    model, _ = STRATEGIES[like].order(frame, size, {**STRATEGIES[like].params, "seed": params["seed"]})
    length = np.asarray(frame.length, float)
    there = known(length)
    if not len(there):
        return there, []
    edges = np.unique(np.percentile(length[there], np.linspace(0, 100, 21)[1:-1]))
    bins = np.where(np.isfinite(length), np.searchsorted(edges, length, side="right"), -1)
    pools: dict[int, list[int]] = {}
    for row in frame.shuffled(params["seed"])[::-1]:
        pools.setdefault(int(bins[row]), []).append(int(row))
    picked = [pools[int(bins[r])].pop() for r in model[:size] if bins[r] >= 0]
    note = f"Random records with the lengths of what {like} picks (twentieths of the response lengths): the control for length."
    return np.array(picked, np.int64), [note]


CUTS = {"difficulty_cut": "median", "influence_cut": "median"}
AXES = ("difficulty", "influence")

STRATEGIES: dict[str, Strategy] = {
    "diq": Strategy("DIQ: hard and influential first", AXES, _diq, CUTS),
    "diq caps": Strategy(
        "DIQ with a cap per cluster", (*AXES, "cluster"), _diq_caps, CUTS | {"cap": "10%"}, nested=False
    ),
    "diq quotas": Strategy(
        "DIQ with quotas per category", (*AXES, "category"), _diq_quotas, CUTS | {"quotas": "production"},
        by_default=("production_shares",), nested=False,
    ),
    "influence": Strategy("Influence alone", ("influence",), _influence),
    "difficulty": Strategy("Difficulty alone, hardest first", ("difficulty",), _difficulty),
    "easy": Strategy("Difficulty alone, easiest first", ("difficulty",), _easy),
    "random": Strategy("Random", (), _random),
    "length-matched random": Strategy("Random with matched lengths", ("length",), _length_matched, {"like": "diq"}),
    "longest": Strategy("Longest responses", ("length",), _longest),
    "similarity": Strategy("Embedding similarity to validation", ("embeddings", "validation_embeddings"), by_embedding.similarity),
    "rds": Strategy(
        "Similarity to each validation record in turn", ("embeddings", "validation_embeddings"), by_embedding.rds,
        work=lambda f, size: by_embedding.turns_work(f, len(f.validation_embeddings)),
    ),
    "holes": Strategy(
        "Similarity to uncovered production in turn", ("embeddings", "uncovered_embeddings"), by_embedding.holes,
        work=lambda f, size: by_embedding.turns_work(f, len(f.uncovered_embeddings)),
    ),
    "k-centre": Strategy("k-centre: the most spread out", ("embeddings",), by_embedding.k_centre, work=by_embedding.pairs),
    "facility location": Strategy(
        "Facility location: the most typical of everything", ("embeddings",), by_embedding.facility,
        work=by_embedding.facility_work,
    ),
}  # fmt: skip
