"""The latest figures of maps and store, read by the clock, so that a scrape never waits for the store."""

import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from app.errors import StoreError
from app.models import UNKNOWN_POLICY, MapName, MapSizes, Reason, StoreFigures
from app.process.shared_task import SharedTask
from app.store.clock_watch import ClockWatch, seconds_since_boot
from app.store.data_loss import Falls, LedgerWatch, MapTotals, Setback
from app.store.partition_sizes import PartitionSizes, combined_sizes
from app.store.spared_refusals import REFUSALS_OF_INFO

HOUR_SECONDS = 3600
SAMPLE_SECONDS = 60
NO_SIZES = MapSizes(0, 0, 0, dict.fromkeys(Reason, 0), None, 0, 0)


class Sizes:
    """The latest figures, and an hour of totals for the efficiency ratio."""

    def __init__(
        self,
        read_partitions: Callable[[], Awaitable[Sequence[PartitionSizes]]],
        read_info: Callable[..., Awaitable[list[dict[str, Any]]]],
        tell: Callable[[Sequence[Setback]], None],
        falls: Callable[[], Falls] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read by `read_partitions` and `read_info`: `INFO` of each master by sections (`StoreSession.info`).

        `tell` is told of what the store has lost, and `falls` is what workers were told of the store.
        """
        self._read_partitions = read_partitions
        self._read_info = read_info
        self._tell, self._falls = tell, falls
        self._clock = clock
        self._watch = LedgerWatch()
        self._clock_watch = ClockWatch()
        self._evicted = dict[str, int]()
        """How many keys each master has evicted, by its run id."""
        self._evicted_keys = 0
        self._hour: deque[tuple[float, int, int]] = deque(maxlen=HOUR_SECONDS // SAMPLE_SECONDS + 1)
        self._refreshing = SharedTask(self._refresh_maps)
        self.maps: dict[MapName, MapSizes] = {}
        self.store: StoreFigures | None = None
        self._withheld: StoreError | None = None
        """Why the store gives no figures any more, which it gave before."""

    @property
    def totals(self) -> Mapping[MapName, MapTotals]:
        """What was added to each map and removed from it since this gate first looked; it never falls."""
        return self._watch.totals

    def of(self, name: MapName) -> MapSizes:
        """The latest figures of a map, all 0 before the store was first reached."""
        return self.maps.get(name, NO_SIZES)

    async def refresh(self) -> None:
        """Read the maps' figures; callers at the same time share one reading.

        Raises:
            StoreError: the latest figures stay.
        """
        await self._refreshing.result()

    async def refresh_store(self) -> None:
        """Read the store's memory figures, with one `INFO` of each master.

        Raises:
            StoreError: the latest figures stay, unless the store withholds them: they would never be newer.
        """
        try:
            nodes = await self._read_info("server", "memory", "stats")
        except REFUSALS_OF_INFO as error:
            self._withheld = error if self.store else self._withheld
            self.store = None
            raise
        self._withheld = None
        self._count_evicted({str(node.get("run_id", "")): int(node.get("evicted_keys", 0)) for node in nodes})
        limits = [int(node.get("maxmemory", 0)) for node in nodes]
        self.store = StoreFigures(
            used_bytes=sum(int(node["used_memory"]) for node in nodes),
            rss_bytes=sum(int(node.get("used_memory_rss", 0)) for node in nodes),
            limit_bytes=sum(limits) if limits and all(limits) else None,
            evicted_keys=self._evicted_keys,
            policies=frozenset(str(node.get("maxmemory_policy", UNKNOWN_POLICY)) for node in nodes),
            clients_bytes=sum(int(node.get("mem_clients_normal", 0)) for node in nodes),
        )

    def readable_store(self) -> StoreFigures | None:
        """Return the store's figures; None when it never gave any.

        Raises:
            StoreError: it gave some before, and withholds them now.
        """
        if self._withheld:
            raise self._withheld
        return self.store

    def efficiency_ratio(self) -> float | None:
        """Return the share of the entries due in the last hour that was removed as `expired` in time."""
        if not self.maps or not self._hour:
            return None
        _, due_then, on_time_then = self._hour[0]
        due, on_time = self._totals()
        return (on_time - on_time_then) / (due - due_then) if due > due_then else None

    def _count_evicted(self, by_run: dict[str, int]) -> None:
        """Add what masters that were known before have evicted since; another master's count is not new."""
        self._evicted_keys += sum(
            max(0, count - self._evicted.get(run, count)) for run, count in by_run.items()
        )
        self._evicted = by_run

    async def _refresh_maps(self) -> None:
        falls, asked_at = self._falls(), seconds_since_boot()
        parts = await self._read_partitions()
        self.maps = combined_sizes(parts)
        clocks = self._clock_watch.follow(parts, asked_at, seconds_since_boot())
        if setbacks := self._watch.follow(parts, falls) + clocks:
            self._tell(setbacks)
        due, on_time = self._totals()
        if self._hour and due < self._hour[-1][1]:
            self._hour.clear()
        if not self._hour or self._clock() - self._hour[-1][0] >= SAMPLE_SECONDS:
            self._hour.append((self._clock(), due, on_time))

    def _totals(self) -> tuple[int, int]:
        return sum(m.due for m in self.maps.values()), sum(m.on_time for m in self.maps.values())
