"""Has replicas confirm what a flush wrote before it is answered (TIDEGATE_STORE_MIN_REPLICAS).

A primary answers before its replicas have what it wrote, and takes that with it when it dies. `WAIT 2 250`,
sent on the connection that carried a claim, is answered when two replicas have all that was written on that
connection, or after 250 ms, with how many have it. On another connection it would be answered at once.

Until then the server carries out nothing else that comes on that connection. There are three of these
commands on one at a time, at most: of the two flushes that run at once, and of the tick. So each may take a
quarter of a call's deadline, that what waits behind them is still answered in time.
"""

from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import structlog

from app.errors import StoreError, StoreNotReplicated
from app.store.down_partitions import of_those_that_serve, settled
from app.store.shared_connection import Argument, Link

log = structlog.get_logger()

T = TypeVar("T")

PART_OF_DEADLINE = 0.25


class Session(Protocol):
    """What replicas are asked through: `StoreSession`."""

    async def call_on(self, link: Link, prefix: str, *command: Argument) -> Any:
        """Send a command on a connection that carried a call to a partition; raises StoreError."""

    def failed(self, error: StoreError) -> StoreError:
        """Count an error, and return it."""


class Shortage(NamedTuple):
    """Too few replicas had in time what was written."""

    sentence: str
    """What there is to say to operators."""
    is_everywhere: bool
    """Whether each server that serves has too few replicas: then no transaction is confirmed."""


class Replication:
    """Waits for as many replicas as are wanted of each server of the store."""

    def __init__(self, session: Session, wanted: int, deadline_seconds: float) -> None:
        """Want so many replicas, at least one; `deadline_seconds` is how long a call may take."""
        self._session, self._wanted = session, wanted
        self._most_ms = max(1, int(PART_OF_DEADLINE * deadline_seconds * 1000))
        self.shortage: Shortage | None = None
        """Set while too few replicas of some server had what the latest tick wrote."""

    async def unconfirmed(
        self, written: Sequence[tuple[T, str, Collection[Link]]]
    ) -> list[tuple[T, StoreError]]:
        """Wait until enough replicas have what was written, each in a partition and over its connection.

        Returns what is not confirmed, and why: StoreNotReplicated if too few had it in time.
        """
        carriers = {link: prefix for _, prefix, links in written for link in links}
        refusals = await self._refusals(carriers)
        return [(what, refusals[link]) for what, _, links in written for link in links if link in refusals]

    async def _refusals(self, carriers: Mapping[Link, str]) -> dict[Link, StoreError]:
        """Return why what was written on a connection is not confirmed, for those of which it is not."""
        refusals = dict[Link, StoreError]()
        outcomes = await settled(self._waits(carriers))
        for link, found in zip(carriers, outcomes, strict=True):
            if isinstance(found, StoreError):
                refusals[link] = found
            elif isinstance(found, Exception):
                raise found
            elif found < self._wanted:
                told = f"{found} of {self._wanted} replicas had it after {self._most_ms} ms"
                refusals[link] = self._session.failed(StoreNotReplicated(told))
        return refusals

    async def look(self, carriers: Mapping[Link, str]) -> None:
        """Find out whether enough replicas have what the tick wrote on these connections.

        Raises:
            StoreError: no server of the store could say, or one denies the command.
        """
        answers = await of_those_that_serve(self._waits(carriers))
        counts = [count for count in answers if count is not None]
        short, was_short = [count for count in counts if count < self._wanted], self.shortage is not None
        if not short:
            self.shortage = None
            if was_short:
                log.info("replicas back", wanted=self._wanted, found=min(counts, default=self._wanted))
            return
        found, is_everywhere = min(short), len(short) == len(counts)
        if not was_short:
            log.error("replicas missing", wanted=self._wanted, found=found, advice=StoreNotReplicated.advice)
        where = "the store" if is_everywhere else f"{len(short)} of the store's {len(counts)} masters"
        self.shortage = Shortage(
            f"{found} replicas follow {where} in time, and TIDEGATE_STORE_MIN_REPLICAS is {self._wanted}: "
            "what is sent there is stored, and answered 503; bring replicas back, or lower that",
            is_everywhere,
        )

    def _waits(self, carriers: Mapping[Link, str]) -> list[Coroutine[Any, Any, int]]:
        """Return calls that tell how many replicas have what each connection wrote."""
        return [
            self._session.call_on(link, prefix, "WAIT", self._wanted, self._most_ms)
            for link, prefix in carriers.items()
        ]
