"""What the duplicates page shows, computed once for each result, threshold and state of the ledger."""

from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
import streamlit as st

from core.quality.duplicates import HAND, among, by_hand, groups, keepers, load_pairs, ranked, summary
from core.quality.pairs import Pairs
from core.steps import current
from core.workspace import Dataset, Result, Workspace
from pages.ui.records import ids_of, kept_mask, rows_of

RULES = {"longest": "The longest reasoning and response", "first": "The first in the file"}
MEASURES = {"embedding": "Meaning (embedding)", "words": "Words (shingles)"}
STEP_OF = {"embedding": "duplicates", "words": "word_duplicates"}


@dataclass(frozen=True)
class View:
    """The groups at a threshold among the records that the ledger keeps; rows are of the training dataset."""

    threshold: float
    label: np.ndarray  # (N,) group, -1 none
    keeper: np.ndarray  # (N,) bool
    members: list[np.ndarray]  # rows of each group, the largest group first
    least: np.ndarray  # (groups,) lowest and highest similarity that links its records, in the order of `members`
    most: np.ndarray
    decided: np.ndarray  # (groups,) bool: keepers were chosen by hand
    kept: int  # records that the ledger keeps
    facts: dict  # core.quality.duplicates.summary
    removable: np.ndarray  # rows that go when the keepers alone stay


@st.cache_resource(max_entries=4, show_spinner=False)
def pairs_of(path: str, key: str, _result: Result) -> Pairs:
    return load_pairs(_result)


def chosen_by_hand(workspace: Workspace) -> tuple[str, ...]:
    """Ids of the keepers that readers chose, kept with the workspace."""
    return tuple(workspace.settings().get(HAND, ()))


def choose(workspace: Workspace, group: list[str], stay: list[str]) -> None:
    """Let exactly `stay` stay of a group; none: back to the rule."""
    inside = set(group)
    workspace.set_setting(HAND, [i for i in chosen_by_hand(workspace) if i not in inside] + list(stay))


def view(workspace: Workspace, data: Dataset, result: Result, threshold: float, rule: str) -> View:
    kept = kept_mask(workspace, data)
    hand = chosen_by_hand(workspace)
    return _view(str(result.path), threshold, rule, kept.tobytes(), hand, result, data)


@st.cache_resource(max_entries=12, show_spinner=False)
def _view(
    path: str, threshold: float, rule: str, mask: bytes, hand: tuple[str, ...], _result: Result, _data: Dataset
) -> View:
    pairs, kept = pairs_of(path, _result.key, _result), np.frombuffer(mask, dtype=bool)
    label = among(groups(pairs, threshold, len(kept)), kept)
    table = _result.table(["length", "rating"])
    length = table["length"].to_numpy() if rule == "longest" else np.zeros(len(kept))
    keep = keepers(label, length, table["rating"].to_numpy() if rule == "longest" else None)
    chosen = np.zeros(len(kept), dtype=bool)
    chosen[_data.index.known(hand)] = True
    keep = by_hand(label, keep, chosen) & kept
    members = ranked(label)
    place = np.full(int(label.max(initial=-1)) + 1, -1)
    place[[label[rows[0]] for rows in members]] = np.arange(len(members))
    least, most = np.ones(len(members), np.float32), np.zeros(len(members), np.float32)
    near = pairs.over(threshold)
    both = (label[near.left] >= 0) & (label[near.right] >= 0)
    group = place[label[near.left[both]]]
    np.minimum.at(least, group, near.similarity[both])
    np.maximum.at(most, group, near.similarity[both])
    decided = np.array([bool(chosen[rows].any()) for rows in members], dtype=bool)
    facts = summary(label[kept])
    removable = np.flatnonzero((label >= 0) & ~keep)
    facts |= {"removable": len(removable), "ratio": len(removable) / max(1, int(kept.sum()))}
    return View(threshold, label, keep, members, least, most, decided, int(kept.sum()), facts, removable)


def ids_at(data: Dataset, rows: np.ndarray) -> list[str]:
    return ids_of(data).at(rows)


def similarity_to(
    workspace: Workspace, data: Dataset, result: Result, keeper: int, rows: np.ndarray
) -> list[float | None]:
    """Similarity of the compared texts of some records to that of the keeper: cosine, or Jaccard where words were compared; None
    when the vectors are gone."""
    if result.step == "word_duplicates":
        from core.quality.shingles import jaccard

        columns = ("prompt", "response") if result.info["text"] == "both" else (result.info["text"],)
        found = rows_of(data, [ids_of(data)[keeper], *ids_at(data, rows)], columns)
        texts = {row["record_id"]: "\n\n".join(row[name] or "" for name in columns) for row in found}
        own = texts[ids_of(data)[keeper]]
        return [jaccard(own, texts[i]) for i in ids_at(data, rows)]
    embed = current(workspace, "embed")
    if embed is None:
        return [None] * len(rows)
    vectors = embed.glance()
    return [float(np.dot(vectors[keeper], vectors[row])) for row in rows]


def taken_of(workspace: Workspace, result: Result) -> str:
    """One sentence: which text was compared, and how."""
    what = {"prompt": "prompts", "response": "responses", "both": "prompts with their responses"}[result.info["text"]]
    every = "every pair was compared, not a list of nearest neighbours."
    if result.step == "word_duplicates":
        return f"Similarity is the share of neighbouring word pairs that two {what} have in common (Jaccard); {every}"
    embed = current(workspace, "embed")
    name = PurePath(str(embed.info["model"]) if embed else "")
    model = (
        f", embedded with {name.name if name.is_absolute() else name}" if embed else ""
    )  # a file or folder by its name
    return f"Similarity is the cosine of the {what}{model}; {every}"
