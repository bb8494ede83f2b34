"""Formatting: compliance with the format rules, which records break which rule, and rules of one's own."""

import numpy as np
import streamlit as st

from core import jobs as core_jobs
from core.quality.formats import interval
from core.quality.scorecard_targets import TARGETS
from core.steps import current
from core.workspace import Dataset, Result, Workspace
from pages.ui import formatting_fixes, formatting_own, formatting_rules, jobs, records, state
from pages.ui.formatting_data import broken
from pages.ui.safe import literal


def standing(workspace: Workspace, data: Dataset) -> tuple[Result | None, bool]:
    """The result for the rules of now; while these are being checked, the one before, and True."""
    found = current(workspace, "formats")
    if found is not None or core_jobs.active(workspace) is None:
        return found, False
    before = [r for r in workspace.results("formats") if r.manifest["inputs"].get("training") == data.digest]
    return (before[0], True) if before else (None, False)


def headline(workspace: Workspace, data: Dataset, result: Result, kept: np.ndarray) -> None:
    target = TARGETS["format_compliance"]
    rows = broken(data, result)
    violating, errors = (int((kept & rows[name]).sum()) for name in ("any", "error"))
    count = int(kept.sum())
    left, middle, right = st.columns(3)
    if count:
        compliance = 1 - violating / count
        met = target.met(compliance)
        left.metric(
            "Compliance", f"{_percent(compliance, target.value)} %", f"{'on' if met else 'off'} target: over {100 * target.value:g} %",
            delta_color="green" if met else "red", delta_arrow="off", help=literal(f"Target from {target.source}.", 300),
        )  # fmt: skip
    middle.metric("Records that break a rule", f"{violating:,} of {count:,}")
    right.metric("Of these, errors", f"{errors:,}", help="Rules of severity “error”; the others are warnings. Both count "
                 "against compliance.")  # fmt: skip
    gone = data.count - count
    between = interval(violating, count)
    st.caption(
        f"Every one of the {count:,} kept records was checked against {len(result.info['rules']):,} rules: a count, not an estimate."
        + (f" {gone:,} removed records are left out." if gone else "")
        + (
            f" For further records that come from where these came from, compliance lies between {100 * between['low']:.1f} % and "
            f"{100 * between['high']:.1f} % (95 %, Clopper–Pearson)."
            if count
            else ""
        )
    )
    after = formatting_fixes.mended(workspace, data, result)
    if after and count:
        at = records.positions(data)
        healed = sum(kept[at[i]] and rows["any"][at[i]] and not still for i, still in after.items())
        share = 1 - (violating - healed) / count
        st.caption(
            f"Of {len(after):,} records with an accepted correction {healed:,} break no rule any more: an export that applies "
            f"corrections has a compliance of {_percent(share, target.value)} %."
        )


def _percent(share: float, target: float) -> str:
    """One decimal, more where rounding would carry it over the target."""
    for digits in (1, 2, 3):
        if (round(share, digits + 2) > target) == (share > target):
            return f"{100 * share:.{digits}f}"
    return f"{100 * share:.4f}"


def main() -> None:
    workspace = state.workspace()
    data = workspace.dataset()
    st.title("Formatting")
    if data is None:
        st.write("Nothing is imported yet, so there is no format to check.")
        st.page_link("pages/data.py", label="Open data", icon=":material/folder_open:")
        return
    st.write("Do the records keep the form that the set has given itself, and which of them break it?")
    result, old = standing(workspace, data)
    if result is None:
        jobs.waiting_for("formats", "Format rules")
        return
    if old:
        st.info("The rules are being checked again; below is how it was before the change.", icon=":material/sync:")
    kept = records.kept_mask(workspace, data)
    headline(workspace, data, result, kept)
    rule = formatting_rules.table(workspace, data, result, kept)
    formatting_rules.settings(workspace, result)
    formatting_own.form(workspace, data, result)
    formatting_fixes.draw(workspace, data, result, kept)
    if rule:
        formatting_rules.detail(workspace, data, result, rule, kept)


main()
