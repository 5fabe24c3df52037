"""Follows what the store accepts, once for all readers of this process that have come to the end of it.

A reader with nothing left to read waits here. Then the tail reads what is new in all partitions, puts it on
the cache and wakes all that wait. It is told of what this process accepts itself, and reads a moment later;
what other gates and workers accept it finds when it looks again, every 10 milliseconds while something comes,
and less often while nothing does.

The tail goes a few reads ahead of the readers and no more. Of readers that are slow, or read nothing at all,
none waits, and then nothing is read for them.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import structlog

from app.consumers.block_cache import BlockCache, Ledger
from app.consumers.ingest_priority import Pace
from app.consumers.waiter import Waiter
from app.errors import HttpError
from app.models import AcceptanceSignal
from app.store.positions import Positions
from app.store.read_accepted import Accepted, Extract, PartitionsChangedError, positions_after

log = structlog.get_logger()

MOST_TRANSACTIONS: Final = 10_000
MOST_BYTES: Final = 1024 * 1024
"""The bytes of one read before compression; one block may have more."""
# Between two reads, seconds: at the least, while something comes, while nothing does, and after a failure.
LEAST_SECONDS, POLL_SECONDS, IDLE_SECONDS, FAILED_SECONDS, BUG_SECONDS = 0.002, 0.01, 0.05, 0.1, 1.0
_IDLE_GROWTH = 1.25
# A thousand readers have a thousand writes for each read: so that others get on, it waits for each reader.
_SECONDS_A_READER = 0.0002
# Reads for which nobody had waited, before the tail waits for somebody, and how long it does, seconds.
MOST_AHEAD: Final = 4
LINGER_SECONDS = 1.0


def frame_bytes(extracts: Sequence[Extract]) -> int:
    """Return how many bytes of blocks were read."""
    return sum(len(block.frame) for extract in extracts for block in extract.blocks)


class Tail:
    """What was read last, and the task that reads on while somebody waits."""

    def __init__(self, accepted: Accepted, cache: BlockCache, pace: Pace, signal: AcceptanceSignal) -> None:
        """Read by `accepted` into the cache; `signal` is listened to while the tail reads."""
        self._accepted, self._cache, self._pace, self._signal = accepted, cache, pace, signal
        self.place: Positions | None = None
        """All before it was read; None while nobody has waited for long."""
        self.added: tuple[int, ...] = ()
        """How many each partition had accepted when it was read last: the place is there, or before it where
        one read was not enough."""
        self.down: frozenset[int] = frozenset()
        """The partitions that could not be read last."""
        self.born_ms: tuple[int, ...] | None = None
        """When the ledgers were begun, as it last was."""
        self.news = 0
        """The number of times that those who wait were woken."""
        self._waiting: dict[Waiter, None] = {}  # in the order in which they came
        self._task: asyncio.Task[None] | None = None
        self._told = Waiter()  # something was accepted here, or somebody waits who had not
        self._ahead = 0
        self._pause = POLL_SECONDS
        self._woken = 0  # how many were woken last

    async def wait(self, waiter: Waiter, seconds: float, place: Positions | None = None) -> None:
        """Wait until something was read, or somebody else wakes the waiter, so many seconds at most.

        Who has been woken has a turn (see `Pace`). A waiter that reads by itself says at which place it does,
        so that the tail begins there.
        """
        self._waiting[waiter] = None
        if self._ahead >= MOST_AHEAD:
            self._told.wake()
        self._ahead = 0
        if self._task is None:
            self._stand_at(place)
            self._task = asyncio.create_task(self._follow(), name="tail")
        try:
            await waiter.wait(seconds)
        finally:
            self._waiting.pop(waiter, None)

    def reads_next(self, partition: int, ordinal: int, born_ms: tuple[int, ...]) -> bool:
        """Tell whether the tail is about to read a partition from this ordinal on, as it knows of more."""
        place = self.place
        if place is None or place.born_ms != born_ms:
            return False
        return place.ordinals[partition] == ordinal < self.added[partition]

    async def close(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        self._signal.listener = self._told.wake
        try:
            while await self._is_wanted():
                began = time.monotonic()
                await self._rest(began, has_more=await self._read())
        finally:
            self._signal.listener = None
            self._task = self.place = None

    async def _is_wanted(self) -> bool:
        """Tell whether to read on; False once nobody has waited for some time."""
        until = time.monotonic() + LINGER_SECONDS
        while not self._waiting and self._ahead >= MOST_AHEAD and time.monotonic() < until:
            await self._told.wait(until - time.monotonic())
        return bool(self._waiting) or self._ahead < MOST_AHEAD

    async def _read(self) -> bool:
        """Read once, and tell whether there is more to be read at once."""
        try:
            place = self.place
            if place is None:
                place = await self._accepted.find("now")
                self._stand_at(place)
                self.born_ms = place.born_ms
                self._wake()  # they may be behind that
            await self._pace.turn()
            extracts = await self._accepted.read(place, MOST_TRANSACTIONS, MOST_BYTES)
            self._pace.spent(time.perf_counter(), frame_bytes(extracts))
        except PartitionsChangedError:  # each reader finds its place in the new ones
            self.place = None
            return True
        except HttpError:  # the store is down, which the session has logged
            self._pause = FAILED_SECONDS
            return False
        except Exception:
            log.exception("stream tail failed")
            self._pause, self.place = BUG_SECONDS, None
            return False
        before = place, self.down
        self.place = self._taken(place, extracts)
        if (self.place, self.down) == before:
            self._pause = min(IDLE_SECONDS, max(POLL_SECONDS, self._pause * _IDLE_GROWTH))
            self._ahead += not self._waiting
            return False
        self._pause = POLL_SECONDS
        self._ahead = 0 if self._waiting else self._ahead + 1
        self._wake()
        return any(extract.end < extract.added for extract in extracts)

    def _taken(self, place: Positions, extracts: Sequence[Extract]) -> Positions | None:
        """Put what was read in the cache, and return the place behind it.

        None when a ledger was set back: what is kept each reader has to read for itself, from where it was.
        """
        is_set_back = False
        for partition, extract in enumerate(extracts):
            ledger = Ledger(partition, len(extracts), extract.born_ms)
            if extract.missed is None and extract.born_ms == place.born_ms[partition]:
                self._cache.set_back(ledger)
                is_set_back = True
            for block in extract.blocks:
                self._cache.put(ledger, block)
        self.born_ms = tuple(extract.born_ms for extract in extracts)
        self.added = tuple(extract.added for extract in extracts)
        self.down = frozenset(at for at, extract in enumerate(extracts) if extract.is_down)
        return None if is_set_back else positions_after(extracts)

    def _stand_at(self, place: Positions | None) -> None:
        self.place, self.down = place, frozenset()
        self.added = place.ordinals if place is not None else ()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, {}
        self._woken = len(waiting)
        self.news += 1
        for waiter in waiting:
            self._pace.ask(waiter)

    async def _rest(self, began: float, *, has_more: bool) -> None:
        """Wait until it is time for the next read."""
        if not has_more:
            await self._told.wait(self._pause)
        least = max(LEAST_SECONDS, self._woken * _SECONDS_A_READER)
        await asyncio.sleep(max(0.0, began + least - time.monotonic()))
