"""How many calls of the store are under way at once; others wait for their turn, and not too many of them."""

import asyncio

from app.errors import Overloaded

# Calls under way, which share a connection; beside them those that read blocks, so that a flood of these,
# whose answers are large, does not stand before the claims.
CALLS_AT_ONCE, LOOKUPS_AT_ONCE = 16, 4
# Each of two flushes has a claim in each partition of a Cluster, and what else there is goes on beside them.
CALLS_A_PARTITION = 3
MOST_WAITING = 1_000


class CallSlots:
    """A slot for each call that may be under way."""

    def __init__(self, deadline_seconds: float) -> None:
        """Let a call wait for its turn as long as it may take."""
        self._deadline_seconds = deadline_seconds
        self._waiting = 0
        self.lookups = asyncio.Semaphore(LOOKUPS_AT_ONCE)
        self.others = asyncio.Semaphore(CALLS_AT_ONCE)

    def fit(self, partitions: int) -> None:
        """Have as many as a store with so many partitions needs; calls under way keep the slots they have."""
        self.others = asyncio.Semaphore(max(CALLS_AT_ONCE, CALLS_A_PARTITION * partitions))

    async def wait_for(self, slots: asyncio.Semaphore) -> None:
        """Wait for one of these slots, none of which is free, and take it; the caller releases it.

        Raises:
            Overloaded: too many wait, or its turn did not come in time.
        """
        if self._waiting >= MOST_WAITING:
            raise Overloaded(f"{MOST_WAITING} calls wait for the store")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await slots.acquire()
        except TimeoutError:
            raise Overloaded("more calls wait for the store than it answers in time") from None
        finally:
            self._waiting -= 1
