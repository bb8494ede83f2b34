"""Diversity: how varied the set, the selection, a version or production is, each number beside random samples of equal size."""

import numpy as np
import streamlit as st

from core.actions import variety
from core.actions.variety import BY_TEXT, CAP, DRAWS, MEASURES, TEXTS, Answer, Row
from core.errors import QuadrantError
from core.steps import current
from core.workspace import Dataset, Workspace
from pages.ui import state
from pages.ui.coverage_data import Points
from pages.ui.safe import literal, short

SET, SELECTION, PRODUCTION, VERSION = "The set", "The selection", "Production", "Another version"
VERDICTS = {"more": "more varied than chance", "less": "less varied than chance", "as": "as varied as chance", "": "–"}


def panel(workspace: Workspace, data: Dataset, points: Points) -> None:
    chosen = state.selection()
    production = workspace.dataset("production")
    others = [v for v in workspace.versions() if v.digest != data.digest]
    able = (
        [SET] + [SELECTION] * bool(chosen and chosen.ids) + [PRODUCTION] * bool(production) + [VERSION] * bool(others)
    )
    if st.session_state.get("coverage.diversity") not in able:
        st.session_state["coverage.diversity"] = SELECTION if SELECTION in able else SET
    subject = st.segmented_control(
        "Diversity of", able, key="coverage.diversity", required=True, persist_state="session"
    )
    other, ids, title = None, (), ""
    if subject == SELECTION:
        ids, title = chosen.ids, chosen.title or "Selection"
    elif subject == PRODUCTION:
        other = production
    elif subject == VERSION:
        names = {v.digest: f"{v.name}, {v.count:,} records, {v.imported[:16].replace('T', ' ')}" for v in others}
        digest = st.selectbox(
            "Version",
            list(names),
            format_func=lambda d: short(names[d], 90),
            key="coverage.diversity_version",
            width=420,
        )
        other = next(v for v in others if v.digest == digest)
    try:
        answer = _answer(
            subject,
            data.digest,
            _keys(workspace),
            other.digest if other else "",
            tuple(ids),
            title,
            workspace,
            data,
            other,
        )
    except QuadrantError as error:
        st.warning(literal(error, 400))
        return
    _show(answer)


def _keys(workspace: Workspace) -> str:
    found = [current(workspace, s) for s in ("embed", "clusters", "duplicates", "embed:production")]
    return " ".join(r.key if r else "" for r in found)


@st.cache_resource(max_entries=12, show_spinner="Comparing with random samples")
def _answer(
    subject: str, digest: str, keys: str, other: str, ids: tuple, title: str, _workspace: Workspace, _data: Dataset,
    _other: Dataset | None,
) -> Answer:  # fmt: skip
    if subject == SET:
        return variety.of_set(_workspace, _data)
    if _other is not None:
        return variety.of_dataset(_workspace, _data, _other)
    return variety.of_records(_workspace, _data, ids, title)


def _show(answer: Answer) -> None:
    st.markdown(f"**{literal(answer.subject, 160)}**")
    if answer.vendi is not None and any(r.name == "vendi" and r.measured < r.of for r in answer.rows):
        st.caption(f"Vendi score of all of them, exact: {answer.vendi:,.2f}.")
    known = [r for r in answer.rows if r.value is not None]
    missing = [MEASURES[r.name][0] for r in answer.rows if r.value is None]
    table: dict[str, list] = {
        "measure": [MEASURES[r.name][0] for r in known],
        "value": [_number(r.value) for r in known],
    }
    if answer.baseline:
        table["random"] = [_spread(r) for r in known]
        table["verdict"] = [VERDICTS[r.verdict] for r in known]
    table["says"] = [MEASURES[r.name][1] for r in known]
    column = st.column_config
    st.dataframe(
        table, hide_index=True, width="stretch", height="content", key="coverage.diversity_table",
        column_config={
            "measure": column.TextColumn("Measure", width="medium"), "value": column.TextColumn("Here", width="small"),
            "random": column.TextColumn("Random, of equal size"), "verdict": column.TextColumn("Beside chance"),
            "says": column.TextColumn("What it says; higher = more varied", width="large"),
        },
    )  # fmt: skip
    said = []
    if answer.baseline:
        said.append(
            f"Random: mean of {DRAWS} samples of {answer.baseline}, of the same number, and where 95 of 100 lie. A number outside is "
            "not chance; whether more is better is yours to say: a narrow task wants a narrow set."
        )
    else:
        said.append(
            "The whole set has no random sample of equal size but itself; choose records to compare a selection with chance."
        )
    fewer = [r for r in known if r.measured < r.of]
    if fewer and {r.name for r in fewer} <= set(BY_TEXT):
        said.append(f"Words and styles are measured on {TEXTS:,} drawn records, here and in the random samples.")
    elif fewer:
        said.append(
            f"Measured on drawn records, here and in the random samples: {min(CAP, max(r.measured for r in fewer)):,} at most"
            f"{f', {TEXTS:,} for words and styles' if np.max([r.of for r in fewer]) > TEXTS else ''}."
        )
    if answer.baseline and any(r.measured == TEXTS for r in fewer):
        said.append(
            f"Random words and styles come from one pool of {3 * TEXTS:,} records, so their spread is a little too narrow."
        )
    if missing:
        said.append(f"Not known here: {', '.join(missing)}.")
    st.caption(" ".join(said))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _spread(r: Row) -> str:
    return "–" if r.mean is None else f"{_number(r.mean)} ({_number(r.low)} – {_number(r.high)})"
