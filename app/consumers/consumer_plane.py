"""What the readers of a process share: the cache, the tail, the places for readers, the leases."""

from collections.abc import Callable, Mapping
from typing import Final

from app.consumers.block_cache import BlockCache
from app.consumers.ingest_priority import Pace
from app.consumers.leases import Leasing
from app.consumers.reader_limit import Places
from app.consumers.readers import Readers
from app.consumers.tail import Tail
from app.models import AcceptanceSignal
from app.settings.model import Settings
from app.store.consumers import Consumers
from app.store.read_accepted import Accepted
from app.store.session import StoreSession
from app.store.settings_in_force import LiveSettings

# What is written to readers and not taken by their clients has one part in so many of what all connections
# may hold, so that posts have the rest; and of it one reader so many bytes.
UNSENT_PARTS: Final = 4
LEAST_PIECE_BYTES, MOST_PIECE_BYTES = 4 * 1024, 48 * 1024


class ConsumerPlane:
    """Builds and holds the parts of the way out, around a store session."""

    def __init__(
        self,
        live: LiveSettings,
        session: StoreSession,
        is_ingest_busy: Callable[[], bool],
        read_ends: Callable[[], Mapping[str, tuple[int, int, int]]],
        signal: AcceptanceSignal,
    ) -> None:
        """Read what the store has accepted; for `read_ends` see `Accepted`, for `signal` the tail."""
        self._live = live
        accepted = Accepted(session, live.layout, read_ends)
        cache, pace = BlockCache(), Pace(is_ingest_busy)
        self.tail = Tail(accepted, cache, pace, signal)
        self.readers = Readers(accepted, cache, self.tail, pace)
        self.consumers = Consumers(session, live.layout)
        self.leasing = Leasing(live, self.consumers, accepted, self.tail)
        self.streams = Places("streams", live)
        """Streams that are open now."""
        self.calls = Places("calls for a lease", live)
        """Calls for a lease that wait, or are being answered."""

    @property
    def settings(self) -> Settings:
        """The settings in force now; they can change at every tick."""
        return self._live.settings

    @property
    def piece_bytes(self) -> int:
        """Return how many bytes a reader may write at once, which its client may leave unsent."""
        settings, readers = self.settings, self.streams.taken + self.calls.taken
        all_readers = settings.max_connection_bytes // settings.workers // UNSENT_PARTS
        return min(MOST_PIECE_BYTES, max(LEAST_PIECE_BYTES, all_readers // max(1, readers)))

    async def close(self) -> None:
        """Read no more from the store."""
        await self.tail.close()
