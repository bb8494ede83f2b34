import streamlit as st

st.title("Distribution")
