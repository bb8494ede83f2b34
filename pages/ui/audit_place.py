"""Where a record stands among the others, for its reader: cluster, quadrant, influence, difficulty, and its near neighbours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from core.actions.frame import column, difficulty_sources
from core.influence.selection.quadrant import QUADRANTS, quadrants
from core.quality.pairs import Pairs
from core.steps import current
from core.workspace import Dataset, Workspace
from pages.ui import state
from pages.ui.diff.words import pieces
from pages.ui.duplicates_data import pairs_of
from pages.ui.records import ids_of, positions, rows_of
from pages.ui.reviewer import About, Near
from pages.ui.safe import short

STEPS = ("clusters", "influence", "difficulty", "duplicates", "contradictions")
MOST = 6  # neighbours that are compared, the nearest first
PARTS = ("prompt", "response", "reasoning")
LONG = 20_000  # characters of one text that are compared


@dataclass(frozen=True)
class Places:
    """What is known of N records in file order; None where a step has not run."""

    cluster: np.ndarray | None
    difficulty: np.ndarray | None
    influence: np.ndarray | None
    quadrant: np.ndarray | None  # (N,) int8 code of QUADRANTS, cuts at the medians
    source: str


def about(workspace: Workspace, data: Dataset) -> About:
    """More facts of the records of a window; read when the window is sent, not with every answer."""

    def facts(ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        places, at = _places(workspace, data), positions(data)
        rows = {one: at[one] for one in ids if one in at}
        counts = _counts(workspace, data, rows)
        return {one: {"facts": _facts(places, row), "near": counts.get(one)} for one, row in rows.items()}

    return facts


def _places(workspace: Workspace, data: Dataset) -> Places:
    found = [current(workspace, step) for step in STEPS[:3]]
    key = "/".join([data.digest, *[one.key if one else "-" for one in found]])
    return _read(str(workspace.path), key, workspace, data)


@st.cache_resource(max_entries=2, show_spinner=False)
def _read(path: str, key: str, _workspace: Workspace, _data: Dataset) -> Places:
    cluster = column(_workspace, _data, "cluster").values if current(_workspace, "clusters") else None
    influence = column(_workspace, _data, "influence").values if current(_workspace, "influence") else None
    sources = difficulty_sources(_workspace, _data)
    difficulty = column(_workspace, _data, sources[0][0]).values if sources else None
    codes = None
    if difficulty is not None and influence is not None and (np.isfinite(difficulty) & np.isfinite(influence)).any():
        codes = quadrants(difficulty, influence).codes
    return Places(cluster, difficulty, influence, codes, sources[0][1] if sources else "")


def _facts(places: Places, row: int) -> list[tuple[str, str]]:
    found = []
    if places.cluster is not None:
        found.append(("cluster", short(places.cluster[row], 60)))
    if places.quadrant is not None and places.quadrant[row]:
        found.append(("quadrant (medians)", QUADRANTS[int(places.quadrant[row])]))
    if places.influence is not None and np.isfinite(places.influence[row]):
        found.append(("influence", f"{places.influence[row]:+.3g}"))
    if places.difficulty is not None and np.isfinite(places.difficulty[row]) and places.source != "Difficulty rating":
        found.append((places.source.lower().removesuffix(" rating"), f"{places.difficulty[row]:.3g}"))
    return found


# -- neighbours --------------------------------------------------------------------------------------------------------


def _near(workspace: Workspace) -> Pairs | None:
    """The near-duplicates at the threshold of the Duplicates page."""
    result = current(workspace, "duplicates")
    if result is None:
        return None
    lowest = result.info["floor"]
    threshold = float(state.remembered("duplicates.threshold", max(lowest, result.params["threshold"])))
    return pairs_of(str(result.path), result.key, result).over(max(lowest, threshold))


@st.cache_resource(max_entries=2, show_spinner=False)
def _contradictions(path: str, _found: Any) -> dict[str, list[tuple[str, str, float]]]:
    told: dict[str, list[tuple[str, str, float]]] = {}
    for pair in _found.table(["left_id", "right_id", "reason", "similarity"]).to_pylist():
        for one, other in ((pair["left_id"], pair["right_id"]), (pair["right_id"], pair["left_id"])):
            told.setdefault(one, []).append((other, pair["reason"], pair["similarity"]))
    return told


def _against(workspace: Workspace) -> dict[str, list[tuple[str, str, float]]]:
    found = current(workspace, "contradictions")
    return _contradictions(str(found.path), found) if found else {}


def _counts(workspace: Workspace, data: Dataset, rows: Mapping[str, int]) -> dict[str, str]:
    """What stands on the fold: how many near-duplicates and contradictions; nothing where there is none."""
    near, against = _near(workspace), _against(workspace)
    similar: dict[int, int] = {}
    if near is not None and len(near):
        wanted = np.fromiter(rows.values(), np.int64, len(rows))
        for side in (near.left, near.right):
            found, many = np.unique(side[np.isin(side, wanted)], return_counts=True)
            for row, count in zip(found.tolist(), many.tolist(), strict=True):
                similar[row] = similar.get(row, 0) + count
    told = {}
    for one, row in rows.items():
        parts = [(similar.get(row, 0), "near-duplicate"), (len(against.get(one, ())), "contradiction")]
        said = ", ".join(f"{count:,} {name}{'' if count == 1 else 's'}" for count, name in parts if count)
        if said:
            told[one] = said
    return told


def near(workspace: Workspace, data: Dataset) -> Near:
    """The neighbours of one record with their differences, contradictions first, then by similarity; at most MOST, and said so."""

    def neighbours(record_id: str) -> list[dict[str, Any]]:
        titles: dict[str, str] = {}
        for other, reason, similarity in _against(workspace).get(record_id, ()):
            titles[other] = f"Contradicts: {reason}, similarity {similarity:.2f}"
        pairs, row, ids = _near(workspace), positions(data).get(record_id), ids_of(data)
        if pairs is not None and row is not None:
            for k in np.flatnonzero((pairs.left == row) | (pairs.right == row)).tolist():
                other = ids[int(pairs.right[k] if pairs.left[k] == row else pairs.left[k])]
                titles.setdefault(other, f"Near-duplicate, similarity {pairs.similarity[k]:.2f}")
        shown = list(titles)[:MOST]
        found = {
            one["record_id"]: one
            for one in rows_of(data, [record_id, *shown], (*PARTS, "category", "annotator", "line"))
        }
        mine = found.get(record_id)
        cards = [_card(mine, found[one], titles[one]) for one in shown if mine and one in found]
        if len(titles) > MOST:
            cards.append(
                {"title": f"{len(titles) - MOST:,} more are on the Duplicates page.", "facts": "", "parts": []}
            )
        return cards

    return neighbours


def _card(mine: Mapping[str, Any], other: Mapping[str, Any], title: str) -> dict[str, Any]:
    parts = []
    for name in PARTS:
        a, b = ((row.get(name) or "")[:LONG] for row in (mine, other))
        if not a and not b:
            continue
        ours, theirs, note = pieces(a, b)
        parts.append({"name": name, "note": note, "sides": [ours] if a == b else [ours, theirs]})
        if max(len(row.get(name) or "") for row in (mine, other)) > LONG:
            parts[-1]["note"] = (
                f"{note + '; ' if note else ''}of longer texts the first {LONG:,} characters are compared"
            )
    facts = [
        f"{name} {short(other[name], 60)}"
        for name in ("category", "annotator", "line")
        if other.get(name) not in (None, "")
    ]
    return {"title": title, "facts": " · ".join(facts), "parts": parts}
