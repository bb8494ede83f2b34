"""The proof's schedule, its intervals and what may be said of them: which trainings, on which records, and who beat random.

A run trains on `size` records that one strategy picked, with one seed. Runs of the same seed share start and order of chance, so
strategies are compared pair by pair: the difference to random of the same seed and budget, with a t-interval over the seeds.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from core.errors import InputError

BUDGETS = (1.0, 5.0, 10.0, 25.0, 50.0, 100.0)  # percent of the records that may be picked
MORE, LEAST = 100, 20  # records added for a marginal value; a category with fewer in reserve has none
CONFIDENCE = 0.95
ANY = "(any category)"


@dataclass(frozen=True)
class Settings:
    """What is compared with what."""

    learner: str = "head"  # "head", "proxy", a model folder or a hub id
    strategies: tuple[str, ...] = ()  # empty: those that suit; random is always among them
    budgets: tuple[float, ...] = BUDGETS
    seeds: int = 5
    compare: str = "steps"  # "steps": every subset gets as many optimiser steps; "epochs": every subset as many passes
    steps: int = 0  # 0: what suits the learner
    epochs: float = 3.0
    categories: bool = True  # also the marginal value of MORE records by category
    difficulty: str = ""

    def to_json(self) -> dict:
        return {**asdict(self), "strategies": list(self.strategies), "budgets": list(self.budgets)}


def settings_from(facts: Mapping) -> Settings:
    """Errors: InputError for a setting that is not known or out of range."""
    known = Settings.__dataclass_fields__
    unknown = sorted(set(facts) - set(known))
    if unknown:
        raise InputError(f"The proof has no setting {unknown[0]!r}; it has {', '.join(known)}.")
    made = Settings(
        **{**facts, "strategies": tuple(facts.get("strategies", ())), "budgets": tuple(facts.get("budgets", BUDGETS))}
    )
    if made.compare not in ("steps", "epochs"):
        raise InputError(f"compare={made.compare!r} is not known; choose steps or epochs.")
    if not 1 <= made.seeds <= 50 or made.steps < 0 or not 0 < made.epochs <= 100:
        raise InputError(
            "The proof needs 1 to 50 seeds, steps of at least 0 (0: by itself) and more than 0, at most 100 epochs."
        )
    if not made.budgets or any(not 0 < b <= 100 for b in made.budgets):
        raise InputError("Budgets are shares in percent, above 0 and at most 100, such as 1, 5, 10, 25, 50, 100.")
    return made


def parse_budgets(text: str) -> tuple[float, ...]:
    """\"1, 5, 10%\" -> (1.0, 5.0, 10.0), ascending, each once."""
    try:
        return tuple(
            sorted({float(part.strip(" %")) for part in re.split(r"[,;\s]+", text.strip(" ,;%")) if part.strip(" %")})
        )
    except ValueError as error:
        raise InputError(
            f"Budgets {text!r} are not understood. Write shares in percent such as 1, 5, 10, 25."
        ) from error


@dataclass(frozen=True)
class Run:
    """One training. `kind` is curve, base or more; `strategy` or `category` says what is special about it."""

    kind: str
    label: str  # strategy, or category of the added records
    budget: float  # percent; of a base and of more: of the base
    seed: int
    rows: np.ndarray  # of the pool
    added: int = 0  # records added to the base

    def facts(self) -> dict:
        return {
            "kind": self.kind, "label": self.label, "budget": self.budget, "seed": self.seed, "size": len(self.rows),
            "added": self.added,
        }  # fmt: skip


def marginal_runs(pool: np.ndarray, categories: Sequence[str], seeds: int, more: int = MORE) -> list[Run]:
    """For each seed a base of a random half of the pool, the base with `more` records of one category from the other half, and with
    as many from anywhere (ANY, the control). `categories` is indexed by the rows in `pool`.

    The same number is added for every category, so that they can be compared: `more`, or as many as the smallest category with at
    least LEAST in reserve has. Categories with fewer are passed over.
    """
    runs = []
    for seed in range(seeds):
        order = pool[np.random.default_rng([seed, 1]).permutation(len(pool))]
        base, rest = np.sort(order[: len(order) // 2]), order[len(order) // 2 :]
        names = np.array([categories[r] for r in rest], dtype=object)
        reserve = {n: rest[names == n] for n in sorted(set(names))}
        reserve = {n: rows for n, rows in reserve.items() if len(rows) >= LEAST} if len(reserve) > 1 else {}
        size = min([more, len(rest), *map(len, reserve.values())])
        runs.append(Run("base", "", 50.0, seed, base))
        for name, rows in [*reserve.items(), (ANY, rest)]:
            runs.append(Run("more", name, 50.0, seed, np.sort(np.concatenate([base, rows[:size]])), size))
    return runs


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its two-sided t-interval; low and high are NaN with fewer than two seeds."""

    mean: float
    low: float
    high: float
    n: int


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """mean +- t(n - 1) s / sqrt(n), s with n - 1 in its denominator."""
    given = np.asarray(values, float)
    n = len(given)
    if n < 2:
        return Interval(float(given.mean()) if n else math.nan, math.nan, math.nan, n)
    from scipy.special import stdtrit

    half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * float(given.std(ddof=1)) / math.sqrt(n)
    return Interval(float(given.mean()), float(given.mean()) - half, float(given.mean()) + half, n)


@dataclass(frozen=True)
class Point:
    """A strategy at a budget: its loss, and its difference to random of the same seeds (negative = better than random)."""

    strategy: str
    budget: float
    size: int
    loss: Interval
    gap: Interval  # of the strategy itself for random
    sure: Interval  # the same difference with a confidence that allows for all comparisons made (Bonferroni)


def points(done: Sequence[Mapping]) -> list[Point]:
    """The curve from what is finished: facts of runs with their "loss"."""
    curve = [r for r in done if r["kind"] == "curve" and r.get("loss") is not None]
    by: dict[tuple[str, float], dict[int, Mapping]] = {}
    for r in curve:
        by.setdefault((r["label"], r["budget"]), {})[r["seed"]] = r
    compared = sum(1 for (s, b) in by if s != "random" and b < 100)
    found = []
    for (strategy, budget), runs in by.items():
        random = by.get(("random", budget), {})
        gaps = [runs[s]["loss"] - random[s]["loss"] for s in sorted(runs) if s in random]
        found.append(
            Point(
                strategy, budget, max(r["size"] for r in runs.values()), t_interval([r["loss"] for r in runs.values()]),
                t_interval(gaps), t_interval(gaps, 1 - (1 - CONFIDENCE) / max(1, compared)),
            )
        )  # fmt: skip
    return sorted(found, key=lambda p: (p.strategy != "random", p.strategy, p.budget))


def verdicts(found: Sequence[Point], titles: Mapping[str, str]) -> list[str]:
    """What the points allow to be said, a sentence each; nothing that an interval does not carry."""
    rivals = [p for p in found if p.strategy != "random" and p.budget < 100]
    judged = [p for p in rivals if p.gap.n >= 2]
    if not judged:
        return ["Nothing can be said yet: no strategy has two seeds beside random at the same budget."]
    better = [p for p in judged if p.sure.high < 0]
    worse = [p for p in judged if p.sure.low > 0]
    lines = []
    if not better:
        lines.append(
            "No strategy beat random here: every interval of the difference reaches zero or lies on the wrong side of it."
        )
    for kind, points_ in (("beat random", better), ("did worse than random", worse)):
        for name in dict.fromkeys(p.strategy for p in points_):
            at = [p for p in points_ if p.strategy == name]
            listed = ", ".join(
                f"{p.budget:g} % ({p.gap.mean:+.3f}, {p.sure.low:+.3f} to {p.sure.high:+.3f})" for p in at
            )
            lines.append(f"{titles.get(name, name)} {kind} at {listed}.")
    level = 100 * (1 - (1 - CONFIDENCE) / len(rivals))
    lines.append(
        f"Differences are the loss minus that of random (above 0: worse), paired by seed, with t-intervals over "
        f"{judged[0].gap.n} seeds; these {len(rivals)} comparisons are "
        f"judged at {level:.2f} % each, so that all hold together at 95 % (Bonferroni). A strategy without chance picks the same "
        "records "
        "under every seed: its interval knows the chance of training, not that of another data set."
    )
    return lines


@dataclass(frozen=True)
class Marginal:
    """What `added` more records of a category change in the loss, over a random half of the pool (negative = they help)."""

    category: str
    added: int
    change: Interval
    beyond: Interval  # change less that of as many records of any category, same seed; NaN for ANY


def marginals(done: Sequence[Mapping]) -> list[Marginal]:
    """By category, the most helpful first; ANY, the control, at the end."""
    base = {r["seed"]: r["loss"] for r in done if r["kind"] == "base" and r.get("loss") is not None}
    by: dict[str, dict[int, Mapping]] = {}
    for r in done:
        if r["kind"] == "more" and r.get("loss") is not None and r["seed"] in base:
            by.setdefault(r["label"], {})[r["seed"]] = r
    control = {s: r["loss"] - base[s] for s, r in by.get(ANY, {}).items()}
    found = []
    for name, runs in by.items():
        changes = {s: r["loss"] - base[s] for s, r in runs.items()}
        beyond = [changes[s] - control[s] for s in sorted(changes) if s in control] if name != ANY else []
        added = round(float(np.mean([r["added"] for r in runs.values()])))
        found.append(Marginal(name, added, t_interval([changes[s] for s in sorted(changes)]), t_interval(beyond)))
    return sorted(found, key=lambda m: (m.category == ANY, m.change.mean, m.category))
