"""The gate's hold on its store: one connection state, script calls with a deadline, recovery."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from hashlib import sha1
from typing import Any

import structlog
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import NoScriptError

from app.errors import Overloaded, StoreError, StoreRejected, StoreUnreachable
from app.metrics import Metrics
from app.store.connection import STORE_CONNECTIONS, Client, Server, connect, node_urls, safe_url
from app.store.failures import as_store_error
from app.store.scripts import load_scripts

log = structlog.get_logger()

# Of the connections, so that a flood of lookups leaves room for claims.
LOOKUPS_AT_ONCE = 3
SETTLE_POLLS, SETTLE_SECONDS = 50, 0.02


class Script:
    """Called by its digest; where it is not loaded by its text, which loads it: no flush comes between."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._digest = sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, client: Client, prefix: str, args: Sequence[bytes | str | int]) -> Any:
        """Call it on the partition named by `prefix`."""
        try:
            return await client.evalsha(self._digest, 1, prefix, *args)
        except NoScriptError:
            return await client.eval(self._text, 1, prefix, *args)


class StoreSession:
    """Connects, calls, and notices when the store goes and comes back.

    While the store is down, calls fail at once with the error that took it down; `probe` brings it back.
    """

    def __init__(self, url: str, deadline_seconds: float, metrics: Metrics) -> None:
        self._url = url
        self._deadline_seconds = deadline_seconds
        self._metrics = metrics
        self._scripts = {name: Script(text) for name, text in load_scripts().items()}
        self._slots = asyncio.Semaphore(STORE_CONNECTIONS - LOOKUPS_AT_ONCE)
        self._lookup_slots = asyncio.Semaphore(LOOKUPS_AT_ONCE)
        self._places = [url]
        self._client: Client | None = None
        self.server: Server | None = None
        self.down_reason: StoreError | None = StoreUnreachable("not connected yet")

    @property
    def url(self) -> str:
        """Where the store is; may hold a password."""
        return self._url

    @property
    def is_up(self) -> bool:
        """Whether calls are let through now."""
        return self.down_reason is None

    async def probe(self, check: Callable[[], Awaitable[object]]) -> None:
        """Try to bring a store that is down back: reconnect, then `check` that it serves."""
        try:
            if self._client is None:
                await self._connect()
            await check()
        except (StoreError, Overloaded):  # the calls of an earlier attempt may still hold every slot
            await self.close()
            return
        self._came_up()

    async def run(self, script: str, prefix: str, args: Sequence[bytes | str | int]) -> Any:
        """Call a script on the partition named by `prefix`; past the deadline the outcome is unknown."""
        if self.down_reason is not None:
            raise type(self.down_reason)(str(self.down_reason))
        return await self.run_unguarded(script, prefix, args)

    async def run_unguarded(self, script: str, prefix: str, args: Sequence[bytes | str | int]) -> Any:
        """The same, also while the store counts as down: for the probe itself."""
        if self._client is None:
            raise StoreUnreachable("not connected")
        client, called = self._client, self._scripts[script]
        slots = self._lookup_slots if script == "lookup" else self._slots
        with self._metrics.store_call_duration_seconds.labels(script).time():
            return await self._guard(lambda: called.run(client, prefix, args), slots)

    async def info(self, section: str) -> list[dict[str, Any]]:
        """`INFO section` of every master."""
        client = self._client
        if client is None:
            raise StoreUnreachable("not connected")
        if isinstance(client, RedisCluster):
            answer = await self._guard(
                lambda: client.info(section, target_nodes=client.PRIMARIES), self._slots
            )
            nodes = answer.values() if all(isinstance(v, dict) for v in answer.values()) else [answer]
            return list(nodes)
        return [await self._guard(lambda: client.info(section), self._slots)]

    async def give_back(self) -> None:
        """Make our own server return freed memory to the system, once it has freed what was removed.

        glibc keeps what is free between what is not, and `MEMORY PURGE` is for jemalloc. Valkey trims the
        heap when it drops functions (`FUNCTION FLUSH`, 9.1), of which ours has none; scripts stay loaded.
        """
        client = self._client
        if client is None or isinstance(client, RedisCluster):
            return
        for _ in range(SETTLE_POLLS):
            [figures] = await self.info("memory")
            if not figures.get("lazyfree_pending_objects"):
                break
            await asyncio.sleep(SETTLE_SECONDS)
        await self._guard(lambda: client.function_flush("ASYNC"), self._slots)

    async def close(self) -> None:
        """Close every connection."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):
                await client.aclose()

    async def _guard(self, call: Callable[[], Awaitable[Any]], slots: asyncio.Semaphore) -> Any:
        if slots.locked():
            await self._await_slot(slots)
        else:
            await slots.acquire()
        try:
            return await call()
        except Exception as error:
            raise self._failed(as_store_error(error)) from error
        finally:
            slots.release()

    async def _await_slot(self, slots: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await slots.acquire()
        except TimeoutError:
            raise Overloaded("more calls wait for the store than it answers in time") from None

    def _failed(self, error: StoreError) -> StoreError:
        self._metrics.store_errors_total.labels(error.kind).inc()
        if error.means_down and self.down_reason is None:
            log.error("store down", kind=error.kind, error=str(error))
        if type(error) is StoreRejected:
            log.error("store call rejected", error=str(error))
        if error.means_down:
            self.down_reason = error
            self._metrics.store_up.set(0)
        return error

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(2 * self._deadline_seconds):
                self._client, self.server = await connect(self._places[0], self._deadline_seconds)
        except StoreError as error:
            raise self._failed(error) from None
        except Exception as error:
            # The nodes of a cluster take turns: the one the URL names may be the one that is gone.
            self._places.append(self._places.pop(0))
            raise self._failed(as_store_error(error)) from error
        self._places = [
            self._url,
            *(place for place in node_urls(self._client, self._url) if place != self._url),
        ]

    def _came_up(self) -> None:
        self._metrics.store_up.set(1)
        if self.down_reason is None:
            return
        self.down_reason = None
        server = self.server
        log.info(
            "store up",
            url=safe_url(self._url),
            server=server and server.name,
            version=server and server.version,
            cluster=server and server.is_cluster,
        )
