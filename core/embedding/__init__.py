"""Vectors of records, and what can be seen from them: neighbours, the map, clusters, coverage, search, diversity."""

import os

# Waiting threads must not spin: with other work on the cores embedding took four times the CPU time. See core/influence/__init__.py.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
