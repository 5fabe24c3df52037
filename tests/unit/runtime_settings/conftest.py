"""Fixtures of the tests of settings at run time."""

import pytest


@pytest.fixture
def quick_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty ticks a second."""
    monkeypatch.setattr("app.schedule.TICK_SECONDS", 0.05)
