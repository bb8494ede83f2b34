"""Which part of a sample is read now: the own records, those of high stakes, or those that wait for a decision."""

import hashlib
from collections.abc import Mapping, Sequence

import streamlit as st

from core.actions.highstakes import high_stakes_ids
from core.actions.readiness import rules
from core.review.adjudication import Adjudication
from core.review.queues import Queue, queues
from core.review.samples import Sample, SampleRecord
from core.review.schema import Store
from core.review.verdicts import Standing
from core.workspace import Dataset
from pages.ui import state
from pages.ui.audit_people import slug


def high_stakes(store: Store, data: Dataset, who: str) -> frozenset[str]:
    """The high-stakes records for this reader: by the rule, and by their own marks; those of others are not told."""
    return frozenset(high_stakes_ids(state.workspace(), data, store, who))


def chosen(
    sample: Sample, records: Sequence[SampleRecord], who: str, role: str, standings: Sequence[Standing],
    decisions: Mapping[str, Adjudication], high: frozenset[str],
) -> Queue:  # fmt: skip
    """The queue that is read, with the choice drawn where there is one, and how much of each is left."""
    decides = role in rules(state.workspace()).adjudicators
    found = queues(sample, records, who, role, standings, decisions, high, decides)
    there = [name for name, queue in found.items() if name == "mine" or queue.records]
    if len(there) < 2:
        return found["mine"]
    key = f"audit.queue.{sample.id[:8]}.{slug(who)}"
    wanted = st.session_state.get("audit.goto")
    first = "decide" if role == "advisor" and "decide" in there else "mine"
    now = st.session_state.get(key) or state.remembered(f"{key}.kept", first)
    now = now if now in there else "mine"
    if wanted and wanted[0] not in {record.record_id for record in found[now].records} or (wanted and now == "decide"):
        now = "all" if "all" in there else "mine"
    st.session_state[key] = now
    with st.container(horizontal=True, vertical_alignment="center"):
        name = st.segmented_control(
            "What to read",
            there,
            key=key,
            format_func=lambda one: found[one].title,
            label_visibility="collapsed",
            required=True,
        )
        st.caption(" · ".join(_left(found[one]) for one in there))
    state.remember(f"{key}.kept", name)
    return found[name or "mine"]


def _left(queue: Queue) -> str:
    if queue.name == "decide":
        return f"{queue.left:,} to adjudicate, {len(queue.records) - queue.left:,} decided"
    return f"{queue.title}: {queue.left:,} of {len(queue.records):,} to read"


def suffix(queue: Queue, size: int) -> str:
    """What tells the reviewer of a part of a sample from that of all of it."""
    if len(queue.records) == size:
        return ""
    told = "\n".join(record.record_id for record in queue.records)
    return "." + hashlib.blake2b(told.encode(), digest_size=5).hexdigest()
