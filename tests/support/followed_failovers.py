"""A gate under a steady load while sentinels replace the primary of its store."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.support.acknowledged import assert_counted
from tests.support.gate import GateProcess
from tests.support.processes import wait_until
from tests.support.sentinels import Watched
from tests.support.steady_load import Steady

POSTS_A_SECOND = 100
PATIENCE_SECONDS = 120.0
FULL_LOAD = 100  # posts that are accepted before something is broken
READY_SECONDS = 2.0  # so long after its promotion a gate may take to be ready on the new primary
TOLD_SECONDS = 1.0  # so long after a majority of the sentinels told of it, where they tell late
BUSY_SECONDS = 60.0  # likewise, in the tests that every machine runs, however busy it is
KEEPING: dict[str, object] = {
    "dedup_window_seconds": 600,
    "transaction_retention_seconds": 3600,
    "emergency_transaction_retention_seconds": 3600,
}
"""Settings of a gate whose store keeps all that a test posts, as the test looks for all of it in the end."""
log = logging.getLogger(__name__)  # `--log-cli-level=info` shows the figures


@asynccontextmanager
async def under_load(gate: GateProcess, load: Steady) -> AsyncIterator[None]:
    """Post at a steady rate, and have been accepted for a while when the block begins.

    What the gate counts has to be what it has answered; it gets no posts but these in the block. It calls
    itself ready when it serves, but for the moment in which it learns that the store fails it once more.
    """
    async with load.running(gate.url, POSTS_A_SECOND):
        await serves(load)
        yield
    await assert_counted(gate, load)
    assert len(load.served_while_unready()) < FULL_LOAD


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it is so; the test fails if that takes very long."""
    assert await asyncio.to_thread(wait_until, condition, PATIENCE_SECONDS, 0.02)


async def serves(load: Steady) -> None:
    """Wait until posts are accepted that are sent from now on."""
    began, since = time.monotonic(), len(load.posts)
    await until(lambda: sum(p.status == 200 and p.sent > began for p in load.posts[since:]) >= FULL_LOAD)


async def follow(
    watched: Watched, gate: GateProcess, load: Steady, old: int, most_seconds: float = BUSY_SECONDS
) -> int:
    """Wait until another server is the primary and the gate serves again; return that server's number.

    The gate has to be ready so soon after the promotion, by the log of that server. Where the sentinels take
    most of that time to tell, on a machine that is too busy for them, it has a time of its own.
    """
    await until(lambda: watched.primary() not in (old, -1))
    new, named_ms = watched.primary(), time.time() * 1000
    await until(gate.is_ready)
    ready_ms, promoted_ms = _wall_ms(load.ready_at()), watched.promoted_ms(new)
    await serves(load)
    text = "%s: ready %.2f s after the promotion, which a majority of the sentinels told after %.2f s"
    log.info(text, load.name, (ready_ms - promoted_ms) / 1000, (named_ms - promoted_ms) / 1000)
    assert ready_ms <= max(promoted_ms + 1000 * most_seconds, named_ms + 1000 * TOLD_SECONDS)
    return new


def _wall_ms(moment: float) -> float:
    """Return a moment of the monotonic clock, in seconds, as milliseconds of the clock of logs."""
    return 1000 * (time.time() + moment - time.monotonic())
