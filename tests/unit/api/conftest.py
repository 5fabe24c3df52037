"""Fixtures of the tests of the HTTP interface."""

import pytest


@pytest.fixture
def no_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first tick, entries leave only when the test or the traffic makes them."""
    monkeypatch.setattr("app.schedule.TICK_SECONDS", 3600)
