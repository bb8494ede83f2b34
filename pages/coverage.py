import streamlit as st

st.title("Coverage")
