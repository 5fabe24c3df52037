"""The lag of the event loop: how late it wakes a timer, and so everything else that waits on it.

Say a timer is set for 0.25 s, and at its end a body is being decoded, which keeps the loop for 40 ms more.
The timer wakes after 0.29 s, so the lag is 0.04 s. Every process of the gate measures it all the time, for
its metric `tidegate_event_loop_lag_seconds` (app/tasks.py).
"""

import time
from collections.abc import Awaitable, Callable

INTERVAL_SECONDS = 0.25


async def event_loop_lag(
    pause: Callable[[float], Awaitable[object]], monotonic: Callable[[], float] = time.monotonic
) -> float:
    """Wait for an interval by `pause`, and return how many seconds too late the loop went on.

    A pause that is cut short, as it is when the process stops, is not late: that is 0.
    """
    due = monotonic() + INTERVAL_SECONDS
    await pause(INTERVAL_SECONDS)
    return max(0.0, monotonic() - due)
