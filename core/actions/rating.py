"""Difficulty ratings by people as actions of a workspace: what to rate next, what was rated, and learning from it."""

import csv
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.actions.decisions import kept_ids, open_reviews
from core.errors import InputError, MissingInput
from core.influence.difficulty import ordinal, rated
from core.review.ratings import Rating, agreed, all_ratings, in_force, save_ratings
from core.steps import current, params_of, plan, set_params
from core.workspace import Dataset, Result, Workspace

BATCH = 25
POOL = 2_000
FIRST = "Drawn by chance: these teach the model, and it is judged on them too, so they must be like all the others."
USEFUL = (
    "Picked one after the other, each because its rating would lower the model's uncertainty about all records the most: unlike "
    "what is rated, like many that are not, and unlike the picks before it. Such records are not typical: they teach the model "
    "and never judge it."
)
RANDOM = "Drawn by chance: these teach the model and judge it."


@dataclass(frozen=True)
class Batch:
    """Records to rate next, in order. `picked` goes into each rating: "random" or "useful"."""

    ids: tuple[str, ...]
    picked: str
    note: str


def ratings_here(workspace: Workspace, data: Dataset) -> dict[str, tuple[int, str]]:
    """{record_id: (level 1..5, why it was picked)} of the records of this dataset, over all raters (the median of their levels)."""
    known = set(data.ids())
    return {record: given for record, given in agreed(all_ratings(open_reviews(workspace))).items() if record in known}


def mine(workspace: Workspace, rater: str) -> dict[str, Rating]:
    """{record_id: rating in force} of one person."""
    return {r.record_id: r for r in in_force(all_ratings(open_reviews(workspace))) if r.rater == rater}


def next_to_rate(workspace: Workspace, data: Dataset, count: int = BATCH, how: str = "auto", seed: int = 0) -> Batch:
    """The records to rate next. how: "random", "useful", or "auto": by chance until the first batch is rated, then useful ones.

    Removed and rated records are left out. Useful ones are picked among at most POOL records drawn by chance, which the note says.
    Errors: MissingInput (useful without embeddings), InputError.
    """
    if how not in ("auto", "random", "useful"):
        raise InputError(f"how={how!r} is not known; it is auto, random or useful.")
    given = ratings_here(workspace, data)
    chance = sum(picked == "random" for _, picked in given.values())
    if how == "auto":
        how = "random" if chance < BATCH else "useful"
    left = [i for i in kept_ids(workspace, data) if i not in given]
    if how == "random" or not given:
        ids = sorted(left, key=lambda i: hashlib.blake2b(f"{seed}/{i}".encode(), digest_size=8).digest())[:count]
        return Batch(tuple(ids), "random", FIRST if chance < BATCH else RANDOM)
    embed = current(workspace, "embed")
    if embed is None:
        raise MissingInput(
            "Picking the most useful records needs embeddings. Run `embed` first, or rate records drawn by chance."
        )
    features, _ = rated.design(embed.array(), data)
    at = {record: row for row, record in enumerate(data.ids())}
    rows = np.array([at[i] for i in left], np.int64)
    note = USEFUL
    if len(rows) > POOL:
        rows = np.sort(np.random.default_rng(seed + len(given)).choice(rows, POOL, replace=False))
        note += f" They were looked for among {POOL:,} of {len(left):,} unrated records, drawn by chance."
    done = np.array([at[i] for i in given], np.int64)
    levels = np.array([given[i][0] for i in given], float)
    strength = ordinal.fit_ridge(features[done], levels).strength if len(done) > 2 else float(features.shape[1])
    ids_of, middle = data.ids(), features.mean(0)
    picks = ordinal.most_useful(features - middle, done, rows, strength, count)
    return Batch(tuple(ids_of[r] for r in picks), "useful", note)


def rate(workspace: Workspace, record_id: str, level: int, rater: str, picked: str, token: str = "") -> None:
    """Keep one rating; level 0 takes the rater's last one of this record back. The same token again changes nothing."""
    save_ratings(open_reviews(workspace), [Rating(record_id, level, rater, picked, token or uuid.uuid4().hex)])


def read_ratings(workspace: Workspace, data: Dataset, path: Path, rater: str) -> int:
    """Keep the ratings of a CSV file with the columns record_id and level (1..5), and picked if it has one; returns how many.

    Reading the same file again changes nothing. Errors: InputError, with nothing kept, for an unknown record or level.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path} cannot be read as CSV ({error}). Give a file with the columns record_id and level."
        ) from error
    if not rows or not {"record_id", "level"} <= set(rows[0]):
        raise InputError(f"{path} lacks the columns record_id and level, or has no rows. Write one row a rating.")
    known, digest = set(data.ids()), hashlib.blake2b(path.read_bytes(), digest_size=12).hexdigest()
    ratings = []
    for line, row in enumerate(rows, 2):
        if row["record_id"] not in known:
            raise InputError(
                f"{path} line {line}: {str(row['record_id'])[:60]!r} is no record of the training data. Nothing was kept."
            )
        level = (row["level"] or "").strip()
        if level not in ("1", "2", "3", "4", "5"):
            raise InputError(f"{path} line {line}: the level {level[:20]!r} is not 1, 2, 3, 4 or 5. Nothing was kept.")
        picked = (row.get("picked") or "given").strip()
        ratings.append(Rating(row["record_id"], int(level), rater, picked, f"{digest}{line}"))
    return save_ratings(open_reviews(workspace), ratings)


def prepare_training(workspace: Workspace, data: Dataset, source: str = "people", dimension: str = "overall") -> int:
    """Set the step `rated_difficulty` to learn from what is rated now; returns how many ratings people have given (0: another source).

    Errors: MissingInput, in one sentence, when there is too little to learn from.
    """
    values: dict[str, Any] = {"source": source}
    if source == "llm":
        values["dimension"] = dimension
    if source == "people":
        given = ratings_here(workspace, data)
        if len(given) < rated.LEAST:
            raise MissingInput(
                f"{len(given)} rated records are too few to learn from: {rated.LEAST} are needed. Rate more first."
            )
        if len({level for level, _ in given.values()}) < 2:
            raise MissingInput(
                f"All {len(given)} ratings are the same, so there is nothing to tell apart. Rate other records too."
            )
        values["ratings"] = {record: list(given[record]) for record in sorted(given)}
    if source == "llm" and current(workspace, "llm_difficulty") is None:
        raise MissingInput("No language model has rated these records yet. Run `llm_difficulty` first.")
    if source == "column" and not np.isfinite(_column(data)).sum() >= rated.LEAST:
        raise MissingInput(
            f"Fewer than {rated.LEAST} records have a difficulty in the file. Map a column, or rate some."
        )
    set_params(workspace, "rated_difficulty", values)
    plan(workspace, "rated_difficulty")
    return len(values.get("ratings", {}))


def _column(data: Dataset) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in data.column("difficulty").to_pylist()], float)


def learned(workspace: Workspace) -> Result | None:
    """What was learned last for the data of now, or None."""
    return current(workspace, "rated_difficulty")


def since(workspace: Workspace, given: Mapping[str, tuple[int, str]]) -> int:
    """How many of people's ratings are new or changed since the model learned from them."""
    used = params_of(workspace, "rated_difficulty")["ratings"]
    return sum(used.get(record) != list(level) for record, level in given.items()) + sum(r not in given for r in used)
