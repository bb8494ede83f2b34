import streamlit as st

st.title("Formatting")
