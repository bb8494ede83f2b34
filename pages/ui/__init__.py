"""What pages share. Importing it makes sure that app.py is the router, also of a link straight to a page.

Streamlit takes a folder `pages/` beside the script for an app of its first kind until `st.navigation` has run once. A fresh server
whose first visitor asks for /audit would run pages/audit.py alone, without the side bar and the workspace. Under app.py itself
there is nothing to do again: a needless rerun would throw away what the first visitor has pressed by then.
"""

import sys
from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

if PagesManager.uses_pages_directory:
    PagesManager.uses_pages_directory = False
    if Path(getattr(sys.modules["__main__"], "__file__", "")).parent.name == "pages":
        st.rerun()
