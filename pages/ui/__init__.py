"""What pages share. Importing it makes sure that app.py is the router, also of a link straight to a page.

Streamlit takes a folder `pages/` beside the script for an app of its first kind until `st.navigation` has run once. A fresh server
whose first visitor asks for /audit would run pages/audit.py alone, without the side bar and the workspace. app.py clears the mark
itself, so that nothing is run again under a first visitor who has pressed something by then.
"""

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

if PagesManager.uses_pages_directory:
    PagesManager.uses_pages_directory = False
    st.rerun()
