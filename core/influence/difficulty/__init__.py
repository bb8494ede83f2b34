"""How hard a record is: losses, ratings by people and language models, a classifier, and a model learned from ratings."""
