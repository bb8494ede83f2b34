"""The result of an audit on one page: to print, to keep or to send."""

import streamlit as st

from core.review.report import FORMS, report
from pages.ui.audit_result import Reading


def document(reading: Reading) -> None:
    """Both files to download, and the text as it stands."""
    found, name = reading.findings(agree=True), f"audit-{reading.sample.id[:8]}"
    page = report(found)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "To print (HTML)", report(found, "html"), file_name=f"{name}.html", mime=FORMS["html"][1], key="audit.report.html",
            icon=":material/print:", type="primary", help="One file with its drawings; it holds no script and fetches nothing.",
        )  # fmt: skip
        st.download_button(
            "Markdown", page, file_name=f"{name}.md", mime=FORMS["markdown"][1], key="audit.report", icon=":material/download:",
        )  # fmt: skip
    if len(reading.standings) and {e.verdict.reviewer for e in reading.standings} == {reading.who}:
        st.caption("The report counts the verdicts that are shown to you. The command `report` counts everybody's.")
    st.code(page, language=None, wrap_lines=True)
