"""Reads the store's figures for the examiner."""

from collections.abc import Callable

from app.guard.diagnosis.figures import StoreReading
from app.guard.diagnosis.store import store_explained_bytes
from app.store.figures import Sizes
from app.store.session import StoreSession


class StoreReader:
    """Two `INFO` calls, of constant cost to the store."""

    def __init__(self, session: StoreSession, sizes: Sizes, resident_bytes: Callable[[], int]) -> None:
        self._session = session
        self._sizes = sizes
        self._resident_bytes = resident_bytes

    async def read(self, at_seconds: float) -> StoreReading | None:
        """Summed over the masters; None while the store is down.

        Raises:
            StoreError: it went down.
        """
        if not self._session.is_up or self._session.server is None:
            return None
        memory = await self._session.info("memory")
        databases = [database for node in await self._session.info("keyspace") for database in node.values()]
        keys = sum(int(database["keys"]) for database in databases)
        return StoreReading(
            at_seconds,
            self._resident_bytes(),
            used_bytes=sum(int(node["used_memory"]) for node in memory),
            maps_bytes=store_explained_bytes(self._sizes.maps, self._session.server.name),
            keys=keys,
            keys_without_expiry=keys - sum(int(database["expires"]) for database in databases),
            clients_bytes=sum(int(node.get("mem_clients_normal", 0)) for node in memory),
        )
