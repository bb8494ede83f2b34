"""What is to be proved: the learner, the strategies and the budgets; what it will cost; the start."""

import streamlit as st

from core import jobs as running
from core.actions.proving import SUITED, Standing, prepare, spoken, standing
from core.errors import QuadrantError
from core.influence.models import HUB_ID, PROXY
from core.influence.proof.proof import Settings, parse_budgets, settings_from
from core.influence.selection.strategies import STRATEGIES
from core.workspace import Dataset, Workspace
from pages.ui import jobs, state
from pages.ui.quadrant_data import view
from pages.ui.quadrant_picks import strategies
from pages.ui.safe import literal

LEARNERS = {
    "head": "A quick head on frozen embeddings: about a minute",
    "proxy": "The proxy's causal language model, from nothing: long",
    "own": "A local model with LoRA adapters: the real thing, longer still",
}
COMPARE = {"steps": "Equal optimiser steps", "epochs": "Equal epochs"}
TITLE = "Train to see what helps"


def panel(workspace: Workspace, data: Dataset, stood: Standing | None) -> None:
    """The form, then the cost of what was asked, then the button that spends it."""
    seen = view(
        workspace, data, state.remembered("quadrant.source", None), state.remembered("quadrant.query", "influence")
    )
    able = [n for n in strategies(seen.frame) if n != "random"]
    before = stood.settings if stood else Settings(strategies=SUITED)
    kind = before.learner if before.learner in LEARNERS else "own"
    kinds, ways = list(LEARNERS), list(COMPARE)
    with st.form("proof.ask"):
        first, second = st.columns([2, 3])
        learner = first.selectbox("Learner", kinds, kinds.index(kind), format_func=LEARNERS.get, key="proof.learner")
        chosen = second.multiselect(
            "Strategies beside random", able, [n for n in before.strategies if n in able], key="proof.strategies",
            format_func=lambda n: STRATEGIES[n].title,
        )  # fmt: skip
        own = st.text_input(
            "Folder or hub id of the local model", before.learner if kind == "own" else "", key="proof.model",
            placeholder="only for a local model: a folder, or owner/name",
        )  # fmt: skip
        left, middle, right, last = st.columns([3, 1.4, 2.2, 1.4], vertical_alignment="bottom")
        budgets = left.text_input("Budgets, %", ", ".join(f"{b:g}" for b in before.budgets), key="proof.budgets")
        seeds = middle.number_input(
            "Seeds", 2, 50, max(2, before.seeds), key="proof.seeds", help="Trainings of each strategy and budget.",
        )  # fmt: skip
        compare = right.selectbox(
            "Compared at", ways, ways.index(before.compare), format_func=COMPARE.get, key="proof.compare",
        )  # fmt: skip
        steps = last.number_input(
            "Steps", 0, 100_000, before.steps, key="proof.steps", help="Optimiser steps of a training; 0: what suits the learner.",
        )  # fmt: skip
        categories = st.checkbox(
            "Also: what are 100 more records of each category worth?", before.categories, key="proof.categories"
        )
        if st.form_submit_button("Say how long it takes"):
            _prepare(
                workspace,
                learner,
                own.strip(),
                chosen,
                budgets,
                int(seeds),
                compare,
                int(steps),
                categories,
                seen.source,
            )
    stood = standing(workspace)
    if stood is not None and not stood.finished and stood.current:
        _start(workspace, stood)


def _prepare(
    workspace: Workspace, learner: str, own: str, chosen: list[str], budgets: str, seeds: int, compare: str, steps: int,
    categories: bool, source: str,
) -> None:  # fmt: skip
    from pathlib import Path

    if running.active(workspace):
        st.warning(
            "A job is under way; wait for it or cancel it, so that the measured speed is that of a quiet machine."
        )
        return
    if learner == "own" and (own == PROXY or not own or not (Path(own).expanduser().is_dir() or HUB_ID.fullmatch(own))):
        st.error("Name the folder of a local model, or a hub id such as owner/name, or choose another learner.")
        return
    try:
        asked = settings_from({
            "learner": own if learner == "own" else learner, "strategies": chosen, "budgets": parse_budgets(budgets), "seeds": seeds,
            "compare": compare, "steps": steps, "categories": categories, "difficulty": source,
        })  # fmt: skip
        with st.spinner("Picking the subsets and measuring the speed of this machine…"):
            prepare(workspace, asked)
    except QuadrantError as error:
        st.error(literal(error, 400))


def command(asked: Settings) -> list[str]:
    """The same question on the command line."""
    words = ["proof", "--learner", asked.learner, "--strategies", ",".join(asked.strategies), "--budgets"]
    words += [",".join(f"{b:g}" for b in asked.budgets), "--seeds", str(asked.seeds), "--compare", asked.compare]
    words += [
        "--steps",
        str(asked.steps),
        "--epochs",
        f"{asked.epochs:g}",
        "--categories" if asked.categories else "--no-categories",
    ]
    return words + (["--difficulty", asked.difficulty] if asked.difficulty else [])


def _start(workspace: Workspace, stood: Standing) -> None:
    left = stood.total - stood.done
    cost = f", {spoken(stood.estimate)} at the speed measured here" if stood.estimate is not None else ""
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{left:,} trainings**{cost}." + (f" {stood.done:,} are there already." if stood.done else ""))
        busy = running.active(workspace) is not None
        if st.button("Go on" if stood.done else "Train", key="proof.start", type="primary", disabled=busy):
            jobs.launch(command(stood.settings), TITLE)
