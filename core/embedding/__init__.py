"""Vectors of records, and what can be seen from them: neighbours, the map, clusters, coverage, search, diversity."""
