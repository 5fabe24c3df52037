"""Has replicas confirm what a flush wrote before it is answered (TIDEGATE_STORE_MIN_REPLICAS).

A primary answers before its replicas have what it wrote, and takes that with it when it dies. `WAIT 2 250`,
sent on the connection that carried a claim, is answered when two replicas have all that was written on that
connection, or after 250 ms, with how many have it. On another connection it would be answered at once.

Until then the server carries out nothing else that comes on that connection. There are three of these
commands on one at a time, at most: of the two flushes that run at once, and of the tick. So each may take a
quarter of a call's deadline, that what waits behind them is still answered in time.
"""

from collections.abc import Collection
from typing import Any, Protocol

import structlog

from app.errors import StoreError, StoreNotReplicated
from app.store.link import Argument, Link

log = structlog.get_logger()

PART_OF_DEADLINE = 0.25


class Session(Protocol):
    """What replicas are asked through: `StoreSession`."""

    async def call_on(self, links: Collection[Link], *command: Argument) -> list[Any]:
        """Send a command on each of these connections; raises StoreError."""

    def failed(self, error: StoreError) -> StoreError:
        """Count an error, and return it."""


class Replication:
    """Waits for as many replicas as are wanted of each server of the store."""

    def __init__(self, session: Session, wanted: int, deadline_seconds: float) -> None:
        """Want so many replicas, at least one; `deadline_seconds` is how long a call may take."""
        self._session, self._wanted = session, wanted
        self._most_ms = max(1, int(PART_OF_DEADLINE * deadline_seconds * 1000))
        self.shortage: str | None = None
        """A sentence for operators, while too few replicas had what the latest tick wrote."""

    async def confirm(self, carriers: Collection[Link]) -> None:
        """Wait until enough replicas have what was written on these connections.

        Raises:
            StoreNotReplicated: too few have it in time; it is stored all the same.
            StoreError: the store failed meanwhile.
        """
        found = await self._replicas_with(carriers)
        if found < self._wanted:
            told = f"{found} of {self._wanted} replicas had it after {self._most_ms} ms"
            raise self._session.failed(StoreNotReplicated(told))

    async def look(self, carriers: Collection[Link]) -> None:
        """Find out whether enough replicas have what the tick wrote on these connections.

        Raises:
            StoreError: the store failed meanwhile, or denies the command.
        """
        found = await self._replicas_with(carriers)
        if found >= self._wanted:
            if self.shortage is not None:
                log.info("replicas back", wanted=self._wanted, found=found)
            self.shortage = None
            return
        if self.shortage is None:
            log.error("replicas missing", wanted=self._wanted, found=found, advice=StoreNotReplicated.advice)
        self.shortage = (
            f"{found} replicas follow the store in time, and TIDEGATE_STORE_MIN_REPLICAS is {self._wanted}: "
            "transactions are stored, and answered 503; bring replicas back, or lower that"
        )

    async def _replicas_with(self, carriers: Collection[Link]) -> int:
        """Return how many replicas have what was written, on the server where they are fewest."""
        found = await self._session.call_on(carriers, "WAIT", self._wanted, self._most_ms)
        return min(found, default=self._wanted)
