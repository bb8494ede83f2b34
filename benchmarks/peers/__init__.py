"""Other tools for the same job, each in an environment of its own, on the same task from the same files."""
