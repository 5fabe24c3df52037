"""What all readers of a process share, and how they ask the store: one call at a time for all that lag."""

import asyncio
import time
from collections.abc import Callable

from app.consumers.block_cache import BlockCache
from app.consumers.ingest_priority import Pace
from app.consumers.shared_pieces import Pieces
from app.consumers.tail import MOST_BYTES, MOST_TRANSACTIONS, Tail, frame_bytes
from app.process.shared_task import note_end
from app.store.positions import Positions, Start
from app.store.read_accepted import Accepted, Extract


class Readers:
    """What all readers of a process share."""

    def __init__(self, accepted: Accepted, cache: BlockCache, tail: Tail, pace: Pace) -> None:
        self._accepted, self.cache, self.tail, self.pace = accepted, cache, tail, pace
        self.pieces = Pieces()
        # One call at a time for all that lag: they may be many, and ingest goes first.
        self._turns = asyncio.Lock()
        self._asking: dict[Start, asyncio.Task[Positions]] = {}

    async def find(self, start: Start) -> Positions:
        """Find where to begin; of many readers that begin together, one asks the store for all.

        Raises:
            StoreError, Overloaded: the store cannot say.
        """
        asking = self._asking.get(start)
        if asking is None:
            asking = self._asking[start] = asyncio.create_task(self._find(start))
            asking.add_done_callback(note_end)
        return await asyncio.shield(asking)

    async def _find(self, start: Start) -> Positions:
        async with self._turns:
            del self._asking[start]  # who comes from here on may want what is accepted meanwhile
            return await self._accepted.find(start)

    async def read(self, place: Positions, is_there: Callable[[], bool]) -> list[Extract] | None:
        """Read from a place on, in each partition; None if meanwhile another reader has put it in the cache.

        Raises:
            PartitionsChangedError: the store has another number of partitions by now.
            StoreError, Overloaded: the store cannot be read.
        """
        async with self._turns:
            await self.pace.turn()
            if is_there():
                return None
            extracts = await self._accepted.read(place, MOST_TRANSACTIONS, MOST_BYTES)
            self.pace.spent(time.perf_counter(), frame_bytes(extracts))
            return extracts
