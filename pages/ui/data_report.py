"""The import report: what was read, what was left out and why, what to know about the rest."""

import csv
import io

import streamlit as st

from core.dataset.tables import neutral
from core.workspace import Dataset, Workspace
from pages.ui import state
from pages.ui.data_mapper import WORDS, problems
from pages.ui.data_source import ROLES
from pages.ui.safe import literal, short

SHOWN = 200  # quarantined rows on the screen; the download holds all


def show(workspace: Workspace) -> None:
    """The report of one role's dataset, chosen when there are several."""
    found = {role: data for role in ROLES if (data := workspace.dataset(role)) is not None}
    if not found:
        return
    st.subheader("Import report")
    role = state.remembered("data.report", "training")
    role = role if role in found else next(iter(found))
    if len(found) > 1:
        role = st.segmented_control(
            "Report of", list(found), default=role, format_func=ROLES.get, key=f"data.report.{role}",
            required=True, label_visibility="collapsed",
        )  # fmt: skip
        state.remember("data.report", role)
    _report(found[role])


def _report(data: Dataset) -> None:
    report = data.report
    st.markdown(
        f"**{literal(data.name, 120)}** · {literal(report['format_title'])} · {literal(report['schema_title'])}"
    )
    numbers = st.columns(4)
    numbers[0].metric("Rows read", f"{report['rows']:,}")
    numbers[1].metric("Records", f"{report['records']:,}")
    numbers[2].metric("Rows quarantined", f"{report['quarantined']:,}")
    share = 100 * report["quarantined"] / report["rows"] if report["rows"] else 0.0
    numbers[3].metric("Share quarantined", f"{share:.1f} %")
    for note in report["notes"]:
        st.caption(literal(note, 400))
    if report["quarantined"]:
        _quarantine(data)
    _warnings(report["warnings"])
    left, right = st.columns(2)
    with left:
        st.markdown("**What was read as what**")
        fields = report["fields"]
        st.dataframe(
            {"part of the record": [WORDS.get(p, p) for p in fields], "field": [short(f) for f in fields.values()]},
            hide_index=True, width="stretch",
        )  # fmt: skip
    with right:
        kept = report["kept_fields"]
        st.markdown(f"**{len(kept):,} further fields kept**")
        if kept:
            st.dataframe({"field": [short(k) for k in kept]}, hide_index=True, width="stretch")
        st.caption("They can colour the map, are compared on the Distribution page and come out again at export.")


def _warnings(warnings: list[dict]) -> None:
    if not warnings:
        return
    st.markdown(f"**{len(warnings)} things to know** (nothing was changed)")
    for warning in warnings:
        st.warning(literal(warning["message"], 500), icon=":material/info:")


def _quarantine(data: Dataset) -> None:
    st.markdown("**Left out, by reason**")
    reasons = data.report["reasons"]
    st.dataframe(
        {
            "reason": [short(r) for r in reasons],
            "rows": [r["count"] for r in reasons.values()],
            "first lines": [", ".join(map(str, r["lines"])) for r in reasons.values()],
            "for example": [short(r["example"], 160) for r in reasons.values()],
        },
        hide_index=True, width="stretch",
    )  # fmt: skip
    lines, texts, whys = _first(str(data.path), data.digest, data)
    count = data.report["quarantined"]
    with st.expander(f"The {count:,} rows" if count <= SHOWN else f"The first {SHOWN:,} of {count:,} rows"):
        problems(lines, whys, texts)
    st.download_button(
        "Download the quarantine (CSV)", lambda: _csv(data), f"quarantine-{state.safe_name(data.name)}.csv",
        "text/csv", key="data.quarantine", icon=":material/download:",
        help="All of them: line, reason, and up to 2,000 characters of the text. Cells that a spreadsheet would run begin with '.",
    )  # fmt: skip


@st.cache_resource(max_entries=4, show_spinner=False)
def _first(path: str, digest: str, _data: Dataset) -> tuple[list[int], list[str], list[str]]:
    table = _data.quarantine().slice(0, SHOWN)
    return tuple(table.column(name).to_pylist() for name in ("line", "text", "reason"))


def _csv(data: Dataset) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(["line", "reason", "text"])
    for row in data.quarantine().to_pylist():
        writer.writerow([row["line"], neutral(row["reason"]), neutral(row["text"])])
    return out.getvalue().encode("utf-8")
