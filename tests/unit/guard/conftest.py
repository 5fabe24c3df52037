"""Fixtures of the tests of the memory guard."""

import pytest


@pytest.fixture(autouse=True)
def connections_close_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines of these tests have a clock of their own, and no connections that a loop would close."""
    monkeypatch.setattr("app.guard.actions.CLOSE_SECONDS", 0)
