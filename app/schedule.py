"""What every process of the gate does over and over, and how often; `Runtime` adds what only a gate does."""

from collections.abc import Awaitable, Callable
from copy import copy

from app.auth import Access
from app.guard.reclaim import LOOK_SECONDS, Reclaimer
from app.store.embedded import EmbeddedStore
from app.store.session import StoreSession
from app.tasks import Task

STORE_SECONDS = 0.1
TICK_SECONDS = 1.0
CEILING_SECONDS = 0.25
STATS_LOG_SECONDS = 30.0
TOKEN_RELOAD_SECONDS = 5.0


class StoreUpkeep:
    """Keeps the store within reach, and what was read from it fresh.

    `refresh` reads what other gates changed. It is also what proves that a store serves which was down.
    """

    def __init__(
        self,
        session: StoreSession,
        refresh: Callable[[], Awaitable[object]],
        embedded: EmbeddedStore | None = None,
    ) -> None:
        self._session, self._refresh, self._embedded = session, refresh, embedded

    async def start(self) -> None:
        """Start the embedded store, where the gate has one.

        Raises:
            OSError, ConfigError: it cannot be started.
        """
        if self._embedded is not None:
            await self._embedded.ensure_running()

    async def keep(self) -> None:
        """Bring the store back soon after it went, or after it returned; costs nothing while it is there.

        Raises:
            StoreError: it is still down, so that the task counts as down with it.
        """
        await self.start()
        if self._session.is_probe_due:
            await self._session.probe(self._refresh)
        if self._session.down_reason is not None:
            raise copy(self._session.down_reason)

    async def tick(self) -> None:
        """Refresh what was read from the store, while it is up."""
        if self._session.is_up:
            await self._refresh()


def common_tasks(upkeep: StoreUpkeep, tick: Callable[[], Awaitable[object]], access: Access) -> list[Task]:
    """The tasks of a gate and of each of its workers."""
    return [
        Task("store", STORE_SECONDS, upkeep.keep),
        Task("tick", TICK_SECONDS, tick),
        Task("token-reload", TOKEN_RELOAD_SECONDS, access.reload),
        Task("reclaim", LOOK_SECONDS, Reclaimer().tick),
    ]
