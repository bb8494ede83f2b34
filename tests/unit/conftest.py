"""Fixtures of several unit tests."""

import pytest

from tests.language_model import Fake


@pytest.fixture
def fake(monkeypatch):
    """A local language model that answers as it is told; waits between two tries are short."""
    from core.influence.difficulty import llm_difficulty

    found = Fake()
    monkeypatch.setattr(llm_difficulty, "BACKOFF", 0.01)
    yield found
    found.server.shutdown()
    found.server.server_close()
