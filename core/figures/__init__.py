"""Frames to plotly figures: pure functions, no files, no state."""
