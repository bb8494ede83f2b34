"""The default proxy: whether a response fits what it answers, by a head on frozen embeddings, and its exact influence."""
