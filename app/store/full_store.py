"""Finds out what fills the store while it is full: INFO of its masters beside the figures of the maps.

The sentence that users are told of it is made in store_fill.py.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from app.errors import StoreError, StoreFull
from app.models import MapName, MapSizes
from app.store.session import StoreSession
from app.store.store_fill import StoreFill, limit_setting, store_explained_bytes


class FullStore:
    """Finds out what fills the store while it is full, so that whoever is refused is told what helps."""

    def __init__(self, session: StoreSession, store_url: str | None) -> None:
        self._session, self._limit_setting = session, limit_setting(store_url)

    async def note(self, maps: Mapping[MapName, MapSizes], *, is_full: bool) -> None:
        """Read what a full store uses; one that refuses `INFO` is said to be full without figures."""
        advice, told = None, self._session.advice_now
        if is_full:
            with suppress(StoreError):
                advice = self._advice(maps, await self._session.info("memory"))
        if advice is None:
            told.pop(StoreFull.kind, None)
        else:
            told[StoreFull.kind] = advice

    def maps_bytes(self, maps: Mapping[MapName, MapSizes]) -> int:
        """Return the bytes of this store that the maps account for, full or not."""
        server = self._session.server
        return store_explained_bytes(maps, server.name if server else "valkey")

    def _advice(self, maps: Mapping[MapName, MapSizes], nodes: Sequence[Mapping[str, Any]]) -> str:
        limits = [int(node.get("maxmemory", 0)) for node in nodes]
        used = sum(int(node["used_memory"]) for node in nodes)
        limit = sum(limits) if all(limits) else 0
        fill = StoreFill(used, limit, self.maps_bytes(maps), self._limit_setting)
        return fill.sentence("full" if len(nodes) == 1 else "full on one master at least")
