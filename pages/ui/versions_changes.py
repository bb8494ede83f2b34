"""Two versions compared: counts, metrics side by side, the changed records a page at a time, and the words that differ."""

from collections.abc import Mapping, Sequence

import pyarrow.compute as pc
import streamlit as st

from core import jobs
from core.actions.summary import metrics
from core.actions.versions import (
    HOW,
    Difference,
    as_of,
    difference,
    keep_difference,
    stored_difference,
    verdicts_that_stay,
)
from core.workspace import Dataset, Workspace
from pages.ui import diff, records, state
from pages.ui import jobs as job_card
from pages.ui.safe import literal, short

AT_ONCE = 60_000  # records of both versions together up to which they are compared here; beyond, a job does it
PAGE = 50
KINDS = {"edited": "Edited", "added": "Added", "removed": "Removed"}


def draw(workspace: Workspace, known: Sequence[Dataset], current: Dataset | None, titles: Mapping[str, str]) -> None:
    if len(known) < 2:
        return
    by = {one.digest: one for one in known}
    names = list(reversed(by))
    last = current.digest if current is not None else names[0]
    left, right = st.columns(2)
    before = left.selectbox("From", names, index=names.index(next(n for n in names if n != last)), format_func=titles.get,
                            key=f"versions.from.{len(names)}")  # fmt: skip
    after = right.selectbox(
        "To", names, index=names.index(last), format_func=titles.get, key=f"versions.to.{len(names)}.{last}"
    )
    if before == after:
        st.info("These are the same version, so nothing differs. Choose another.")
        return
    found = _found(workspace, by[before], by[after])
    if found is None:
        return
    _counts(workspace, found)
    _metrics(workspace, found, titles)
    _records(found)


def _found(workspace: Workspace, before: Dataset, after: Dataset) -> Difference | None:
    found = stored_difference(workspace, before, after)
    if found is not None:
        return found
    if before.count + after.count <= AT_ONCE:
        with st.spinner("Comparing…"):
            found = difference(before, after)
            keep_difference(workspace, found)
        return found
    if jobs.active(workspace):
        st.info("A job is under way; the comparison can be started when it is done.")
    elif st.button(f"Compare {before.count:,} with {after.count:,} records", key="versions.compare", type="primary"):
        job_card.launch(["diff", before.digest, after.digest], "Compare two versions")
    return None


def _counts(workspace: Workspace, found: Difference) -> None:
    facts = found.facts()
    columns = st.columns(4)
    for column, (title, count) in zip(columns, {
        "Unchanged": facts["kept"], "Edited": facts["edited"], "Added": facts["added"], "Removed": facts["removed"],
    }.items(), strict=True):  # fmt: skip
        column.metric(title, f"{count:,}")
    told = []
    if facts["edited"]:
        how = ", ".join(f"{n:,} by {HOW[name]}" for name, n in facts["edited_by"].items())
        parts = ", ".join(f"{part} {n:,}" for part, n in sorted(facts["parts"].items(), key=lambda item: -item[1])[:8])
        told.append(f"Edited records were paired with what they were: {how}. What differs: {parts}.")
    if facts["moved"]:
        told.append(f"{facts['moved']:,} unchanged records stand in another order.")
    stay, said = verdicts_that_stay(workspace, found)
    if said:
        told.append(f"{stay:,} of {said:,} records with a verdict are unchanged and keep it.")
    for line in told:
        st.caption(literal(line, 600))


def _metrics(workspace: Workspace, found: Difference, titles: Mapping[str, str]) -> None:
    st.subheader("Metrics side by side")
    cards = [{m.id: m for m in metrics(as_of(workspace, data), data)} for data in (found.before, found.after)]
    known = [k for k in cards[0] if cards[0][k].value is not None or cards[1][k].value is not None]
    if not known:
        st.caption("Neither version was analysed.")
        return

    def shown(side: int, name: str) -> str:
        metric = cards[side][name]
        interval = f"  ({metric.shown_interval()})" if metric.low is not None and metric.high is not None else ""
        return metric.shown() + interval

    st.dataframe(
        {
            "metric": [cards[1][k].title for k in known],
            f"from {titles[found.before.digest].partition(':')[0]}": [shown(0, k) for k in known],
            f"to {titles[found.after.digest].partition(':')[0]}": [shown(1, k) for k in known],
            "target": [cards[1][k].shown_target() for k in known],
            "reads as": [_moved(cards[0][k], cards[1][k]) for k in known],
        },
        hide_index=True, width="stretch",
    )  # fmt: skip
    st.caption(
        "Both as they stand under the decisions of today (removals, changed labels, corrected responses). "
        "“–”: not computed for that version; its intervals are those of the scorecard. "
        "Where intervals overlap, chance alone could explain the difference."
    )


def _moved(a, b) -> str:
    if a.value is None or b.value is None:
        return "one side unknown"
    if a.value == b.value:
        return "the same"
    if None not in (a.low, a.high, b.low, b.high):
        return "could be chance" if a.low <= b.high and b.low <= a.high else "more than chance"
    return "changed"


def _records(found: Difference) -> None:
    st.subheader("Records")
    kinds = [kind for kind in KINDS if found.count(kind)]
    if not kinds:
        st.caption("The same records in both.")
        return
    key = f"{found.before.digest[:8]}.{found.after.digest[:8]}"
    kind = st.segmented_control(
        "Kind", kinds, default=kinds[0], format_func=lambda one: f"{KINDS[one]} ({found.count(one):,})", key=f"versions.kind.{key}",
        required=True, label_visibility="collapsed",
    )  # fmt: skip
    rows = found.changes.filter(pc.equal(found.changes["kind"], kind))
    pages = -(-len(rows) // PAGE)
    number = 1
    if pages > 1:
        number = st.number_input(f"Page, 1 to {pages:,}", 1, pages, 1, key=f"versions.page.{key}.{kind}", width=160)
    part = rows.slice((number - 1) * PAGE, PAGE).to_pylist()
    data, side = (found.before, "before_id") if kind == "removed" else (found.after, "after_id")
    texts = {
        row["record_id"]: row
        for row in records.rows_of(data, [one[side] for one in part], ("category", "prompt", "response"))
    }
    event = st.dataframe(
        {
            "category": [short(texts[one[side]].get("category") or "", 40) for one in part],
            **({"differs in": [short(one["parts"], 60) for one in part]} if kind == "edited" else {}),
            "prompt": [short(texts[one[side]].get("prompt") or "", 120) for one in part],
            "response": [short(texts[one[side]].get("response") or "", 120) for one in part],
        },
        hide_index=True, width="stretch", height=min(420, 38 + 35 * len(part)), on_select="rerun", selection_mode="single-row",
        key=f"versions.rows.{key}.{kind}.{number}",
    )  # fmt: skip
    picked = event.selection.rows
    one = part[picked[0] if picked and picked[0] < len(part) else 0]
    if kind != "removed" and st.button(
        f"Select these {len(rows):,}" if len(rows) != 1 else "Select this one", key=f"versions.select.{kind}"
    ):
        state.select(rows["after_id"].to_pylist(), f"{KINDS[kind]} in {short(found.after.name, 40)}")
        st.rerun()
    with st.container(border=True):
        if kind != "edited":
            records.show(data, one[side], key=f"versions.record.{one[side]}")
            return
        old, new = (
            records.rows_of(d, [one[s]])[0] for d, s in ((found.before, "before_id"), (found.after, "after_id"))
        )
        st.caption(literal(f"Paired by {HOW[one['how']]}; differs in: {one['parts']}.", 300))
        diff.side_by_side(
            old, new, (("before", one["before_id"]), ("after", one["after_id"])), key=f"versions.diff.{one['after_id']}"
        )
