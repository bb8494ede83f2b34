"""Formatting: compliance with the format rules, which records break which rule, and rules of one's own."""

import streamlit as st

from core import jobs as core_jobs
from core.actions.inforce import in_force
from core.actions.standing import InForce
from core.actions.standing import standing as stands
from core.quality.scorecard_targets import TARGETS
from core.steps import current
from core.workspace import Dataset, Result, Workspace
from pages.ui import formatting_fixes, formatting_own, formatting_rules, jobs, records, state
from pages.ui.safe import literal


def standing(workspace: Workspace, data: Dataset) -> tuple[Result | None, bool]:
    """The result for the rules of now; while these are being checked, the one before, and True."""
    found = current(workspace, "formats")
    if found is not None or core_jobs.active(workspace) is None:
        return found, False
    before = [r for r in workspace.results("formats") if r.manifest["inputs"].get("training") == data.digest]
    return (before[0], True) if before else (None, False)


def headline(workspace: Workspace, data: Dataset, result: Result) -> None:
    """Compliance of the set as it stands, what it was as imported, and the interval for further records."""
    target, force = TARGETS["format_compliance"], in_force(workspace, data)
    info = stands(result, data, force)
    count, violating = info["records"], info["violating"]
    left, middle, right = st.columns(3)
    if count:
        compliance = info["compliance"]
        met = target.met(compliance)
        left.metric(
            "Compliance", f"{_percent(compliance, target.value)} %", f"{'on' if met else 'off'} target: over {100 * target.value:g} %",
            delta_color="green" if met else "red", delta_arrow="off", help=literal(f"Target from {target.source}.", 300),
        )  # fmt: skip
    middle.metric("Records that break a rule", f"{violating:,} of {count:,}")
    errors = round((1 - info["compliance_errors"]) * count) if count else 0
    right.metric("Of these, errors", f"{errors:,}", help="Rules of severity “error”; the others are warnings. Both count "
                 "against compliance.")  # fmt: skip
    gone = data.count - count
    st.caption(
        f"Every one of the {count:,} kept records was checked against {len(result.info['rules']):,} rules: a count, not an estimate."
        + (f" {gone:,} removed records are left out." if gone else "")
        + (
            f" For further records that come from where these came from, compliance lies between {100 * info['low']:.1f} % and "
            f"{100 * info['high']:.1f} % (95 %, Clopper–Pearson)."
            if count
            else ""
        )
    )
    if force and count:
        before, own = result.info["compliance"], stands(result, data, InForce(removed=force.removed))
        healed = own["violating"] - violating
        st.caption(
            f":material/history: This is the set as it stands ({literal(force.sentence(), 200)}), as an export that applies "
            f"corrections writes it: {healed:,} fewer break a rule than with the imported responses and labels. As imported, "
            f"compliance was {_percent(before, target.value)} %. The table below counts both."
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
    headline(workspace, data, result)
    rule = formatting_rules.table(workspace, data, result, kept)
    formatting_rules.settings(workspace, result)
    formatting_own.form(workspace, data, result)
    formatting_fixes.draw(workspace, data, result, kept)
    if rule:
        formatting_rules.detail(workspace, data, result, rule, kept)


main()
