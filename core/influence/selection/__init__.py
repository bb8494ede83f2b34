"""The quadrants and the strategies that pick a budget of records, each a rival of the others."""
