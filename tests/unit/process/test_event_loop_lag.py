"""The lag of the event loop, by a clock and a pause of the test's own."""

import pytest

from app.process.event_loop_lag import INTERVAL_SECONDS, event_loop_lag


@pytest.mark.parametrize(
    ("paused_seconds", "lag_seconds"), [(INTERVAL_SECONDS + 0.5, 0.5), (INTERVAL_SECONDS, 0.0), (0.0, 0.0)]
)
async def test_the_lag_is_what_a_pause_takes_beyond_its_interval(
    paused_seconds: float, lag_seconds: float
) -> None:
    now = 1000.0
    asked_for = []

    async def pause(seconds: float) -> None:
        nonlocal now
        asked_for.append(seconds)
        now += paused_seconds

    assert await event_loop_lag(pause, lambda: now) == lag_seconds
    assert asked_for == [INTERVAL_SECONDS]
