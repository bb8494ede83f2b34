"""The command line: one file a subject, gathered in main.py."""
