"""Fix-ups in bulk: which rules can be mended, the difference of every proposed response, and accepting or taking back a batch."""

import hashlib
import os
from collections import Counter

import numpy as np
import streamlit as st

from core.actions.decisions import open_reviews
from core.errors import QuadrantError
from core.quality.fixes import Fix
from core.quality.formats import fixes_of, mendable_rows
from core.review.edits import accept_all, accepted, undo_batch
from core.workspace import Dataset, Result, Workspace
from pages.ui import jobs, records, state
from pages.ui.diff import side_by_side
from pages.ui.safe import literal, short
from pages.ui.tables import pager

BY = "format rules"
PREFIX = "fix:"


AT_ONCE = 4_000
"""Records up to which every fix-up is worked out for the page; of more, those of the page that is shown, and a job accepts."""


@st.cache_resource(max_entries=12, show_spinner="Looking for fix-ups…")
def _fixes(
    path: str,
    mask: bytes,
    wanted: tuple[str, ...] | None,
    edited: str,
    _data: Dataset,
    _result: Result,
    _edited: dict[str, str],
) -> list[tuple[str, Fix]]:
    return fixes_of(_data, _result, np.frombuffer(mask, bool), _edited, wanted)


@st.cache_resource(max_entries=4, show_spinner=False)
def _mendable(path: str, mask: bytes, _data: Dataset, _result: Result) -> dict[str, np.ndarray]:
    return mendable_rows(_data, _result, np.frombuffer(mask, bool))


def _edited(workspace: Workspace) -> tuple[dict[str, str], str]:
    """(record_id -> accepted response, what names all of them together)."""
    found = {i: one.text for i, one in accepted(open_reviews(workspace)).items()}
    told = hashlib.blake2b(digest_size=12)
    for one in sorted(found):
        told.update(f"{one}\0{found[one]}\0".encode("utf-8", "surrogatepass"))
    return found, told.hexdigest()


def draw(workspace: Workspace, data: Dataset, result: Result, kept: np.ndarray) -> None:
    _undo(workspace)
    if not st.toggle("Fix-ups in bulk", key="formatting.fixes"):
        return
    with st.container(border=True):
        st.caption(
            "Proposed is only what changes the form and not a letter or digit, mends the rule it is for, and breaks no other: "
            "white space at the ends, casing of labels and sections, the space after a label, signs of lists, style of headings, "
            "JSON out of its code fence. The imported record stays as it is; an export that applies corrections writes the new "
            "response and keeps the original in its manifest. Prompts are not touched: they stand for what people really type, "
            "stray space included, and near-duplicates, verdicts and the comparison with production were made on them as they came. "
            "Labels are changed on the Labels page."
        )
        edited, mark = _edited(workspace)
        able = _mendable(str(result.path), kept.tobytes(), data, result)
        if len(np.unique(np.concatenate([np.zeros(0, np.int64), *able.values()]))) > AT_ONCE:
            _many(data, result, able, edited, mark)
            return
        found = _fixes(str(result.path), kept.tobytes(), None, mark, data, result, edited)
        if not found:
            st.write("Nothing can be mended safely that is not mended already.")
            return
        rules = {rule["id"]: rule["title"] for rule in result.info["rules"]}
        count = Counter(rule for _, fix in found for rule in fix.rules)
        wanted = st.pills(
            "Mend", list(count), selection_mode="multi", default=list(count), key=f"formatting.fixes.rules.{len(count)}",
            format_func=lambda rule: f"{short(rules[rule], 60)} ({count[rule]:,})",
        )  # fmt: skip
        chosen = [(i, fix) for i, fix in found if set(fix.rules) <= set(wanted)]
        if len(wanted) < len(count):
            st.caption("A response that needs another rule's fix-up as well is left out until that rule is chosen too.")
        if not chosen:
            return
        if st.button(
            f"Accept these {len(chosen):,} fix-ups",
            key="formatting.fixes.accept",
            type="primary",
            icon=":material/done_all:",
        ):
            _accept(workspace, {i: fix.after for i, fix in chosen})
        _list(data, chosen, rules)


def _many(data: Dataset, result: Result, able: dict[str, np.ndarray], edited: dict[str, str], mark: str) -> None:
    """Too many to work out at once: the fix-ups of one page of records, and a job that accepts those of all."""
    rules = {rule["id"]: rule["title"] for rule in result.info["rules"]}
    names = [rule for rule in able if len(able[rule])]
    wanted = st.pills(
        "Mend", names, selection_mode="multi", default=names, key="formatting.fixes.many",
        format_func=lambda rule: f"{short(rules[rule], 60)} ({len(able[rule]):,} records break it)",
    )  # fmt: skip
    if not wanted:
        return
    rows = np.unique(np.concatenate([able[rule] for rule in wanted]))
    st.caption(
        f"{len(rows):,} records break a rule chosen here. Worked out below are the fix-ups of one page of them; how many of all can "
        "be mended safely is known when they are accepted, which takes a moment and can be taken back."
    )
    if st.button(
        "Accept the safe fix-ups of all", key="formatting.fixes.accept_all", type="primary", icon=":material/done_all:"
    ):
        words = [word for rule in wanted for word in ("--rule", rule)] if len(wanted) < len(names) else []
        jobs.launch(["fix", "--accept", "--by", state.reviewer(), *words], "Accept fix-ups")
    here = pager(len(rows), f"formatting.fixes.page.{'-'.join(sorted(wanted))}", what="Records that break such a rule")
    mask = np.zeros(data.count, dtype=bool)
    mask[rows[here]] = True
    found = _fixes(str(result.path), mask.tobytes(), tuple(wanted), mark, data, result, edited)
    if found:
        _table(data, found, rules, f"{len(rows)}.{here.start}")
    else:
        st.write("None of the records of this page can be mended safely; a person has to decide.")


def _list(data: Dataset, chosen: list[tuple[str, Fix]], rules: dict[str, str]) -> None:
    here = pager(len(chosen), "formatting.fixes.page", what="Fix-ups", order="accepting takes all of them")
    _table(data, chosen[here], rules, f"{len(chosen)}.{here.start}")


def _table(data: Dataset, part: list[tuple[str, Fix]], rules: dict[str, str], key: str) -> None:
    """Some fix-ups as a table, and the one that is open side by side."""
    rows = records.rows_of(data, [i for i, _ in part], ("category", "prompt"))
    event = st.dataframe(
        {
            "mends": [short(", ".join(rules[rule] for rule in fix.rules), 120) for _, fix in part],
            "category": [short(row.get("category") or "", 40) for row in rows],
            "prompt": [short(row.get("prompt") or "", 140) for row in rows],
        },
        hide_index=True, height=min(260, 38 + 35 * len(part)), on_select="rerun", selection_mode="single-row",
        key=f"formatting.fixes.list.{key}",
    )  # fmt: skip
    picked = event.selection.rows
    record_id, fix = part[picked[0] if picked and picked[0] < len(part) else 0]
    heads = (("As it stands", record_id), ("Mended", short(", ".join(rules[rule] for rule in fix.rules), 90)))
    side_by_side({"response": fix.before}, {"response": fix.after}, heads, key="formatting.fixes.diff")


def _accept(workspace: Workspace, texts: dict[str, str]) -> None:
    batch = PREFIX + os.urandom(8).hex()
    try:
        accept_all(open_reviews(workspace), texts, BY, batch, state.reviewer())
    except QuadrantError as error:
        st.error(literal(error, 300))
        return
    state.remember("formatting.fixed", (state.current_name(), batch))
    st.rerun()


def _undo(workspace: Workspace) -> None:
    """Every batch in force, the newest first, with a button that takes it back."""
    store = open_reviews(workspace)
    force = [one for one in accepted(store).values() if one.verdict.startswith(PREFIX)]
    batches: dict[str, list] = {}
    for one in force:
        batches.setdefault(one.verdict, []).append(one)
    for batch, found in sorted(batches.items(), key=lambda item: item[1][0].created_at, reverse=True):
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            count = "1 response" if len(found) == 1 else f"{len(found):,} responses"
            when = found[0].created_at[:16].replace("T", " ")
            st.markdown(
                f"**{count} mended** by {literal(found[0].created_by, 40)}, {when} UTC; applied by an export with corrections"
            )
            if st.button("Take back", key=f"formatting.fixes.undo.{batch}", icon=":material/undo:"):
                undo_batch(store, batch, state.reviewer())
                st.rerun()
