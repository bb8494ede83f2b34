"""Duplicates: contradictions to settle first, then near-duplicates at a live threshold and the record of each group that stays, what
leaks into the sets that judge the model, and responses that do not fit."""

import numpy as np
import streamlit as st

from core.quality.scorecard_targets import TARGETS
from core.steps import current
from pages.ui import duplicates_contradictions as contradictions
from pages.ui import duplicates_groups as groups
from pages.ui import duplicates_leakage as leakage
from pages.ui import duplicates_misfit as misfit
from pages.ui import jobs, removal, state
from pages.ui.duplicates_data import MEASURES, STEP_OF, view
from pages.ui.records import kept_mask
from pages.ui.safe import literal


def kept_setting(name: str, default: object) -> object:
    """The value of a widget of this page, also while it is not drawn and after a page change."""
    key = f"duplicates.{name}"
    value = st.session_state.get(key, state.remembered(key, default))
    state.remember(key, value)
    return value


def headline(shown, result, pairs: int | None) -> None:
    """The ratio against its target, and the counts beside it."""
    target = TARGETS["duplicate_ratio"]
    ratio, met = shown.facts["ratio"], target.met(shown.facts["ratio"])
    aim = "on target" if met else "off target"
    columns = st.columns(4)
    columns[0].metric(
        "Near-duplicate ratio", f"{100 * ratio:.1f} %", f"{aim}: under {100 * target.value:g} %",
        delta_color="green" if met else "red", delta_arrow="off", help=literal(f"Target from {target.source}.", 300),
    )  # fmt: skip
    columns[1].metric("To remove, of kept records", f"{shown.facts['removable']:,} of {shown.kept:,}")
    columns[2].metric(
        "Groups", f"{shown.facts['groups']:,}", help="Records linked by pairs at or over the threshold. A like B and B "
        "like C puts all three in one group, also where A and C are less alike.",
    )  # fmt: skip
    columns[3].metric("Contradicting pairs", "–" if pairs is None else f"{pairs:,}", help="Near-equal prompts that teach "
                      "different things. The target is none.")  # fmt: skip
    st.caption(
        f"Near-duplicates: {shown.threshold:.2f} similar or more. Exact copies in the file: {result.info['exact_records']:,} "
        f"whole record{'s' * (result.info['exact_records'] != 1)}, {result.info['exact_text']:,} by {literal(result.info['text'])}."
    )


def main() -> None:
    workspace = state.workspace()
    data = workspace.dataset()
    st.title("Duplicates")
    if data is None:
        st.write("Nothing is imported yet, so there is nothing to compare.")
        st.page_link("pages/data.py", label="Open data", icon=":material/folder_open:")
        return
    st.write("Which records say the same, which of them contradict each other, and which one of each group to keep.")
    result = current(workspace, "duplicates")
    if result is None:
        jobs.waiting_for("duplicates", "Near-duplicates")
        return
    removal.undo_bar()
    lowest = result.info["floor"]
    # The widgets of these two stand further down, and only in one of the parts; their values are known before.
    threshold = max(lowest, float(kept_setting("threshold", max(lowest, result.params["threshold"]))))
    rule = str(kept_setting("rule", "longest"))
    shown = view(workspace, data, result, round(threshold, 2), rule)
    kept = kept_mask(workspace, data)
    found = current(workspace, "contradictions")
    pairs = None if found is None else contradictions.standing(workspace, found, data)
    headline(shown, result, None if pairs is None else len(pairs))
    names = {
        "contradictions": "Contradictions" + ("" if pairs is None else f" ({len(pairs):,})"),
        "groups": "Near-duplicates",
        "leakage": "Leakage",
        "misfit": "Response does not fit",
    }
    part = st.segmented_control(
        "Show", list(names), format_func=names.get, default="groups" if pairs is not None and not len(pairs) else "contradictions",
        key="duplicates.part", label_visibility="collapsed",
    )  # fmt: skip
    if part == "leakage":
        leakage.draw(workspace, data, kept)
    elif part == "misfit":
        misfit.draw(workspace, data, kept)
    elif part != "groups":
        contradictions.draw(workspace, data, found, pairs)
    else:
        near_duplicates(workspace, data, result, shown, rule, pairs)


def near_duplicates(workspace, data, result, shown, rule: str, pairs: contradictions.Standing | None) -> None:
    """The groups by the chosen measure; by words they have a result and a threshold of their own."""
    if pairs:
        st.warning(
            f"{len(pairs):,} pairs contradict each other: settle these first. A keeper rule cannot know which is right.",
            icon=":material/warning:",
        )
    by = st.segmented_control(
        "Compare by", list(MEASURES), format_func=MEASURES.get, key="duplicates.by", required=True,
        default=str(state.remembered("duplicates.by", "embedding")),
    )  # fmt: skip
    state.remember("duplicates.by", by)
    if by == "words":
        result = current(workspace, STEP_OF[by])
        if result is None:
            jobs.waiting_for(STEP_OF[by], "Near-duplicates by words")
            return
        lowest = result.info["floor"]
        threshold = max(lowest, float(kept_setting("words_threshold", max(lowest, result.params["threshold"]))))
        shown = view(workspace, data, result, round(threshold, 2), rule)
        st.caption(
            f"By words: {shown.facts['removable']:,} of {shown.kept:,} records to remove, {shown.facts['groups']:,} groups, "
            f"{100 * shown.facts['ratio']:.1f} %."
        )
    groups.draw(workspace, data, result, shown, pairs.records if pairs else np.empty(0, np.int64))


main()
