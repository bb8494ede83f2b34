"""Picks of the strategies and what they look like, kept under the keys of what they come from."""

import numpy as np
import streamlit as st

from core.actions.choosing import pick, production_reach
from core.actions.picks import Reach, coverage_by_chance, describe, overlaps
from core.errors import QuadrantError
from core.influence.selection.strategies import STRATEGIES, Frame, Selection, able, heavy
from core.steps import current
from core.workspace import Workspace
from pages.ui.quadrant_data import View

OPTIONS = ("cap", "quotas", "like")
Chosen = tuple[tuple[str, str], ...]  # ((parameter, value), …) of a strategy, beside its cuts


def strategies(frame: Frame) -> list[str]:
    """The strategies for which everything is there."""
    return [name for name in STRATEGIES if able(name, frame) and (name != "length-matched random" or _like(frame))]


def _like(frame: Frame) -> str | None:
    return next((name for name in ("diq", "influence", "difficulty") if able(name, frame)), None)


def picked(
    workspace: Workspace, seen: View, strategy: str, budget: int, seed: int, cuts: tuple[str, str], options: Chosen = ()
) -> Selection:
    """What a strategy picks; kept, because every strategy is compared with every other.

    Errors: InputError; MissingInput, also when it takes so long that a job must compute it first.
    """
    own = cuts if "difficulty_cut" in STRATEGIES[strategy].params else ("", "")
    if strategy == "length-matched random" and not options:
        options = (("like", _like(seen.frame)),)
    if heavy(strategy, seen.frame, budget):  # what a job stored may be there the next time: nothing of it is kept here
        return _pick(workspace, seen, strategy, budget, seed, own, options)
    return _picked(seen.key, strategy, budget, seed, own, options, workspace, seen)


@st.cache_resource(max_entries=96, show_spinner=False)
def _picked(
    key: str, strategy: str, budget: int, seed: int, cuts: tuple[str, str], options: Chosen, _workspace, _seen
) -> Selection:
    return _pick(_workspace, _seen, strategy, budget, seed, cuts, options)


def _pick(
    workspace: Workspace, seen: View, strategy: str, budget: int, seed: int, cuts: tuple[str, str], options: Chosen
) -> Selection:
    params = {"difficulty_cut": cuts[0], "influence_cut": cuts[1]} if cuts[0] else {}
    return pick(
        workspace, strategy, budget, seed, seen.source or None, seen.frame, compute=False, influence=seen.query,
        **params, **dict(options),
    )  # fmt: skip


def tried(
    workspace: Workspace, seen: View, names: list[str], budget: int, seed: int, cuts: tuple[str, str]
) -> tuple[dict[str, Selection], list[str]]:
    """({strategy: pick}, those that wait for a job) of the other strategies at the same budget, with their own settings."""
    found, waiting = {}, []
    for name in names:
        try:
            found[name] = picked(workspace, seen, name, budget, seed, cuts)
        except QuadrantError:
            if heavy(name, seen.frame, budget):
                waiting.append(name)
    return found, waiting


# -- what they look like ---------------------------------------------------------------------------------------------------


def reached(workspace: Workspace, seen: View) -> Reach | None:
    embed = current(workspace, "embed:production")
    return _reached(seen.key, embed.key if embed else "", workspace, seen)


@st.cache_resource(max_entries=2, show_spinner=False)
def _reached(key: str, production: str, _workspace: Workspace, _seen: View) -> Reach | None:
    return production_reach(_workspace, _seen.frame)


def by_chance(workspace: Workspace, seen: View, size: int) -> tuple[float, float, float] | None:
    """(expected, low, high) coverage of production by random picks of the size."""
    reach = reached(workspace, seen)
    return _by_chance(seen.key, size, reach) if reach is not None else None


@st.cache_data(max_entries=16, show_spinner=False)
def _by_chance(key: str, size: int, _reach: Reach) -> tuple[float, float, float]:
    return coverage_by_chance(_reach, size)


def described(workspace: Workspace, seen: View, found: Selection) -> dict:
    """core.actions.picks.describe, kept by pick."""
    rows = np.asarray(found.rows)
    mark = (len(rows), int(rows.sum()), hash(rows.tobytes()))
    return _described(seen.key, mark, workspace, seen, found)


@st.cache_data(max_entries=96, show_spinner=False)
def _described(key: str, mark: tuple, _workspace: Workspace, _seen: View, _found: Selection) -> dict:
    names = np.array(_seen.categories, dtype=object)[_seen.category]
    frame = _seen.frame
    return describe(_found, names, frame.embeddings, frame.production_shares, reached(_workspace, _seen))


def overlap_table(seen: View, picks: dict[str, Selection]) -> np.ndarray:
    marks = tuple((n, hash(np.asarray(p.rows).tobytes())) for n, p in picks.items())
    return _overlaps(seen.key, marks, picks)


@st.cache_data(max_entries=8, show_spinner=False)
def _overlaps(key: str, marks: tuple, _picks: dict[str, Selection]) -> np.ndarray:
    return overlaps(_picks)
