"""Choosing and proving fine-tuning data: everything that computes or stores. Never imports streamlit."""
