"""The difficulty columns of a workspace beside each other: what each owes to length, and how it agrees with people's ratings."""

from typing import Any

import numpy as np

from core.actions.frame import HEURISTICS, axis_title, column, difficulty_sources
from core.actions.rating import learned, ratings_here
from core.influence.difficulty.rank_measures import interval, length_matched_spearman, spearman
from core.workspace import Dataset, Workspace

LEAST = 10
TRAINED_ON_THEM = "rated_difficulty"


def compare(workspace: Workspace, data: Dataset) -> list[dict[str, Any]]:
    """One row a source: name, title, heuristic, records (with a value), rated (of those), and rank correlations, None where under ten.

    length: with the words of the response. ratings, low, high: with people's ratings, 95 % bootstrap interval. matched: the same
    inside tenths of the response length. A difficulty learned from these ratings has seen them: its row carries its cross-validated
    figures instead.
    """
    words = column(workspace, data, "response_words").values
    given = ratings_here(workspace, data)
    rated = np.array([given[i][0] if i in given else np.nan for i in data.ids()], float)
    return [_row(workspace, data, name, words, rated) for name, _ in difficulty_sources(workspace, data)]


def _row(workspace: Workspace, data: Dataset, name: str, words: np.ndarray, rated: np.ndarray) -> dict[str, Any]:
    values = column(workspace, data, name).values
    known = np.isfinite(values)
    both = known & np.isfinite(rated)
    row: dict[str, Any] = {
        "name": name, "title": axis_title(name), "heuristic": name in HEURISTICS, "records": int(known.sum()),
        "rated": int(both.sum()), "length": _told(spearman(values[known], words[known])) if known.sum() >= LEAST else None,
        "ratings": None, "low": None, "high": None, "matched": None, "unseen": False,
    }  # fmt: skip
    info = learned(workspace).info if name == TRAINED_ON_THEM else {}
    if info.get("source") == "people":
        (rho, low, high), matched = info["spearman"], info["length_matched"][0]
        return row | {
            "rated": info["judged"],
            "ratings": rho,
            "low": low,
            "high": high,
            "matched": matched,
            "unseen": True,
        }
    if both.sum() >= LEAST:
        a, b = values[both], rated[both]
        low, high = interval(spearman, (a, b))
        row |= {"ratings": _told(spearman(a, b)), "low": _told(low), "high": _told(high)}
        row["matched"] = _told(length_matched_spearman(a, b, words[both]))
    return row


def _told(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
