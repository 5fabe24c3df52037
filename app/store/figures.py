"""The latest figures of maps and store, read by the clock, so that a scrape never waits for the store."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from app.models import MapName, MapSizes, Reason, StoreFigures

HOUR_SECONDS = 3600
SAMPLE_SECONDS = 60
_FIGURES = 10  # of each map that sizes.lua returns
NO_SIZES = MapSizes(0, 0, 0, dict.fromkeys(Reason, 0), None, 0, 0)


class Sizes:
    """The latest figures, and an hour of totals for the efficiency ratio."""

    def __init__(
        self,
        read_maps: Callable[[], Awaitable[dict[MapName, MapSizes]]],
        read_info: Callable[[str, str], Awaitable[list[dict[str, Any]]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what it reads with; `read_info` is `INFO` of each master by sections (`StoreSession.info`)."""
        self._read_maps = read_maps
        self._read_info = read_info
        self._clock = clock
        self._hour: deque[tuple[float, int, int]] = deque(maxlen=HOUR_SECONDS // SAMPLE_SECONDS + 1)
        self._refreshing: asyncio.Task[None] | None = None
        self.maps: dict[MapName, MapSizes] = {}
        self.store: StoreFigures | None = None

    def of(self, name: MapName) -> MapSizes:
        """The latest figures of a map, all 0 before the store was first reached."""
        return self.maps.get(name, NO_SIZES)

    async def refresh(self) -> None:
        """Read the maps' figures; callers at the same time share one reading.

        Raises:
            StoreError: the latest figures stay.
        """
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh_maps())
        await asyncio.shield(self._refreshing)

    async def refresh_store(self) -> None:
        """Read the store's memory figures, with one `INFO` of each master.

        Raises:
            StoreError: the latest figures stay.
        """
        nodes = await self._read_info("memory", "stats")
        limits = [int(node.get("maxmemory", 0)) for node in nodes]
        self.store = StoreFigures(
            used_bytes=sum(int(node["used_memory"]) for node in nodes),
            rss_bytes=sum(int(node.get("used_memory_rss", 0)) for node in nodes),
            limit_bytes=sum(limits) if limits and all(limits) else None,
            evicted_keys=sum(int(node.get("evicted_keys", 0)) for node in nodes),
            policies=frozenset(str(node.get("maxmemory_policy", "noeviction")) for node in nodes),
            clients_bytes=sum(int(node.get("mem_clients_normal", 0)) for node in nodes),
        )

    def efficiency_ratio(self) -> float | None:
        """Return the share of the entries due in the last hour that was removed as `expired` in time."""
        if not self.maps or not self._hour:
            return None
        _, due_then, on_time_then = self._hour[0]
        due, on_time = self._totals()
        return (on_time - on_time_then) / (due - due_then) if due > due_then else None

    async def _refresh_maps(self) -> None:
        self.maps = await self._read_maps()
        due, on_time = self._totals()
        if self._hour and due < self._hour[-1][1]:
            self._hour.clear()
        if not self._hour or self._clock() - self._hour[-1][0] >= SAMPLE_SECONDS:
            self._hour.append((self._clock(), due, on_time))

    def _totals(self) -> tuple[int, int]:
        return sum(m.due for m in self.maps.values()), sum(m.on_time for m in self.maps.values())


def combined_sizes(answers: Sequence[list[Any]]) -> dict[MapName, MapSizes]:
    """Add up what sizes.lua answers for each partition."""
    sizes: dict[MapName, list[MapSizes]] = {name: [] for name in MapName}
    for now_ms, _, _, _, *numbers in answers:
        for position, name in enumerate(MapName):
            figures = numbers[position * _FIGURES : (position + 1) * _FIGURES]
            sizes[name].append(_map_sizes(now_ms, *figures))
    return {name: _sum(parts) for name, parts in sizes.items()}


def _map_sizes(
    now_ms: int, oldest_id: int, entries: int, held_bytes: int, added: int, *totals: int
) -> MapSizes:
    *removed, due, on_time = totals
    return MapSizes(
        entries=entries,
        bytes=held_bytes,
        added=added,
        removed=dict(zip(Reason, removed, strict=True)),
        oldest_age_seconds=max(0, now_ms - oldest_id) / 1000 if oldest_id else None,
        due=due,
        on_time=on_time,
    )


def _sum(parts: Sequence[MapSizes]) -> MapSizes:
    ages = [part.oldest_age_seconds for part in parts if part.oldest_age_seconds is not None]
    return MapSizes(
        entries=sum(p.entries for p in parts),
        bytes=sum(p.bytes for p in parts),
        added=sum(p.added for p in parts),
        removed={reason: sum(p.removed[reason] for p in parts) for reason in Reason},
        oldest_age_seconds=max(ages, default=None),
        due=sum(p.due for p in parts),
        on_time=sum(p.on_time for p in parts),
    )
