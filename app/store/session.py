"""The gate's session with its store: calls scripts within a deadline, and knows whether the store is up."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from copy import copy
from functools import partial
from typing import Any

import structlog

from app.errors import Overloaded, StoreError, StoreRejected, StoreUnreachable, StoreUnsupported
from app.metrics.catalogue import Metrics
from app.store.call_slots import CallSlots
from app.store.down_partitions import OF_ONE_MASTER, DownPartitions
from app.store.error_mapping import as_store_error
from app.store.probe_pace import ProbePace
from app.store.repeatable_calls import REPEATABLE_SCRIPTS, call_again_if_lost
from app.store.scripts import LOST_WITHOUT, READ_BLOCKS, Script, load_scripts
from app.store.server_identity import Connector, Server, Servers
from app.store.shared_connection import Argument, Link, packed, reply_to
from app.store.spared_refusals import NO_FIGURES, SparedRefusals
from app.store.store_errors import STORE_ERRORS, StoreSlotMoving, facts_of

log = structlog.get_logger()

SETTLE_POLLS, SETTLE_SECONDS = 50, 0.02


class StoreSession:
    """Connects, calls, and notices when the store goes and comes back.

    A connection that breaks says little: the store may have been restarted, or closes what is idle. The next
    call opens a new one, and what may be done twice is done again (`retry`). The store counts as down when no
    connection stands and none can be opened, when a new one breaks and a second one too, when a deadline
    passes, or when the store says so. Then calls fail at once with the error that took it down, instead of
    each waiting for a deadline of its own, and `probe` brings it back.

    For example: the store is restarted. The claims under way fail as interrupted, since they may be stored.
    The next call finds no open connection and opens one. Only when that is refused the store is down; the
    probe connects 0.1 s later, finds out anew what the server is, and runs `sizes` on it.

    On a Cluster a master that fails takes only its partitions down, and so does a slot that is moved for long
    (`down_partitions`).
    """

    def __init__(self, connector: Connector, metrics: Metrics) -> None:
        self._connector = connector
        self._metrics = metrics
        self._scripts = {name: Script(text) for name, text in load_scripts().items()}
        metrics.store_errors_total.start(*((error.kind,) for error in STORE_ERRORS))
        self._slots = CallSlots(connector.deadline_seconds)
        self._servers: Servers | None = None
        self._pace = ProbePace()
        self._told_reasons = set[str]()
        self.spared = SparedRefusals()
        self.advice_now = dict[str, str]()  # what helps now, by the kind of the error (full_store.py)
        self.server: Server | None = None
        self.down_partitions = down = DownPartitions()
        metrics.store_partitions_down.set_function(lambda: len(down) if self.is_up else 0)
        self.down_reason: StoreError | None = StoreUnreachable("not connected yet")

    @property
    def is_up(self) -> bool:
        """Whether calls are let through now."""
        return self.down_reason is None

    @property
    def partitions(self) -> int:
        """How many partitions the store has, as it was when it was last connected.

        Raises:
            StoreError: it never was, for this reason.
        """
        if self.server is None:
            raise copy(self.down_reason or StoreUnreachable("not connected yet"))
        return self.server.partitions

    @property
    def is_probe_due(self) -> bool:
        """Whether some of it is down and a probe due: 0.1 to 0.5 s apart, 5 s after a refused command."""
        is_whole = self.is_up and not self.down_partitions
        return not is_whole and self._pace.is_due

    def serves(self, prefix: str) -> bool:
        """Tell whether calls to a partition are let through now."""
        return self.is_up and prefix not in self.down_partitions.reasons

    @property
    def servers(self) -> Servers | None:
        """What is connected now; None if nothing is."""
        return self._servers

    def ensure_up(self) -> None:
        """Raise a copy of the error that took the store down, if it is down; each has its own traceback."""
        if self.down_reason is not None:
            raise copy(self.down_reason)

    async def probe(self, check: Callable[[], Awaitable[object]]) -> None:
        """Try to bring a store that is down back: reconnect, then `check` that it serves.

        Where only some partitions are down, the connections stay, and those that are up stay so, unless a
        master denies access and there is another URL by now.
        """
        if self.is_up and self.down_partitions:
            if not (self.down_partitions.is_login_denied and await self._connector.read_again()):
                with suppress(StoreError, Overloaded):  # of the former note was taken where it was met
                    await check()
                self._pace.partly_failed()
                return
            await self._disconnect()
        try:
            if self._servers is None:
                await self._connect()
            await check()
        except Exception as error:  # noqa: BLE001  whatever it answers, it is no store that serves
            await self._stay_down(error)
        else:
            self._came_up()

    async def run(
        self,
        script: str,
        prefix: str,
        args: Sequence[bytes | str | int],
        carriers: set[Link] | None = None,
    ) -> Any:
        """Call a script on the partition named by `prefix`; when it fails the outcome may be unknown.

        The connection that carried the call is added to `carriers`.
        """
        self.ensure_up()
        if (down := self.down_partitions.reasons.get(prefix)) is not None:
            raise copy(down)
        return await self.run_unguarded(script, prefix, args, carriers)

    async def run_unguarded(
        self,
        script: str,
        prefix: str,
        args: Sequence[bytes | str | int],
        carriers: set[Link] | None = None,
    ) -> Any:
        """Call a script also while the store counts as down: for the probe itself."""
        servers, called = self._connected(), self._scripts[script]
        slots = self._slots.lookups if script in READ_BLOCKS else None
        repeatable, lost = script in REPEATABLE_SCRIPTS, LOST_WITHOUT.get(script)
        with self._metrics.store_call_duration_seconds.labels(script).time():
            call = partial(called.run, servers, prefix, args, carriers)
            answer = await self._guard(call, slots, is_repeatable=repeatable, lost=lost, prefix=prefix)
        if self.down_partitions.reasons or self.down_partitions.moving:
            self.down_partitions.came_up(prefix)
        return answer

    async def call_on(self, link: Link, prefix: str, *command: Argument) -> Any:
        """Send a command on a connection that carried a call to a partition, and on no other, if it broke.

        Raises:
            StoreError: it broke, or the command was refused.
        """
        with self._metrics.store_call_duration_seconds.labels(str(command[0]).lower()).time():
            return await self._guard(partial(reply_to, link, packed(command)), prefix=prefix)

    async def info(self, *sections: str) -> list[dict[str, Any]]:
        """Read sections of `INFO` of every master; a store that refuses it is not down for that.

        Raises:
            StoreError: it was refused, or the store failed.
        """
        call = partial(self._connected().call_each, "INFO", *sections)
        answers = await self._guard(call, is_repeatable=True, lost=NO_FIGURES)
        try:
            named = {
                at: as_store_error(one) if isinstance(one, Exception) else one for at, one in answers.items()
            }
            return self.spared.read_info(named, sections)
        except StoreUnsupported as error:
            raise self.failed(error, NO_FIGURES) from None

    async def trim_memory(self) -> None:
        """Make our own server return freed memory to the system, once it has freed what was removed.

        glibc keeps what is free between what is not, and `MEMORY PURGE` is for jemalloc. Valkey trims the
        heap when it drops functions (`FUNCTION FLUSH`, 9.1), of which ours has none; scripts stay loaded.
        """
        servers = self._servers
        if servers is None or self.server is None or self.server.is_cluster:
            return
        for _ in range(SETTLE_POLLS):
            [figures] = await self.info("memory")
            if not figures.get("lazyfree_pending_objects"):
                break
            await asyncio.sleep(SETTLE_SECONDS)
        await self._guard(partial(servers.call_each, "FUNCTION", "FLUSH", "ASYNC"), is_repeatable=True)

    async def close(self) -> None:
        """Close every connection."""
        await self._disconnect()
        await self._connector.close()

    async def _disconnect(self) -> None:
        """Close the connections to the store, which `probe` opens again."""
        servers, self._servers = self._servers, None
        if servers is not None:
            with suppress(Exception):
                await servers.close()

    def _connected(self) -> Servers:
        if self._servers is None:
            raise StoreUnreachable("not connected")
        return self._servers

    async def _guard(
        self,
        call: Callable[[], Awaitable[Any]],
        slots: asyncio.Semaphore | None = None,
        *,
        is_repeatable: bool = False,
        lost: str | None = None,
        prefix: str | None = None,
    ) -> Any:
        slots = slots or self._slots.others
        await (self._slots.wait_for(slots) if slots.locked() else slots.acquire())
        servers = self._servers
        try:
            return await (call_again_if_lost(call) if is_repeatable else call())
        except Exception as error:
            if servers is not self._servers:  # we closed it, which says nothing of the store
                raise as_store_error(error) from error
            raise self.failed(as_store_error(error), lost, prefix) from error
        finally:
            slots.release()

    def failed(self, error: StoreError, lost: str | None = None, prefix: str | None = None) -> StoreError:
        """Count and return an error, of a partition or of all; with `lost`, a refusal takes nothing down."""
        self._metrics.store_errors_total.labels(error.kind).inc()
        error.advice = self.advice_now.get(error.kind, error.advice)
        if self.spared.note(lost, error):
            return error
        if type(error) is StoreRejected and self.is_up:  # else it is said why the store is down
            log.error("store call rejected", error=str(error))
        if prefix and isinstance(error, StoreSlotMoving):
            self.down_partitions.is_moved(prefix, error)
        elif error.means_down and prefix and self.server and self.server.partitions > 1:
            self._went_partly_down(prefix, error, self.server.partitions)
        elif error.means_down:
            self._went_down(error)
        return error

    def _went_partly_down(self, prefix: str, reason: StoreError, partitions: int) -> None:
        if isinstance(reason, OF_ONE_MASTER):
            if self.is_up and not self.down_partitions:
                self._pace.put_off()
            self.down_partitions.went_down(prefix, reason, is_store_up=self.is_up)
            if len(self.down_partitions) < partitions:
                return
        self._went_down(reason)

    def _went_down(self, reason: StoreError) -> None:
        if reason.advice not in self._told_reasons:  # once of each reason, until it is up again
            self._told_reasons.add(reason.advice)
            log.error("store down", **facts_of(reason))
        if self.down_reason is None:
            self._pace.went_down(reason)
        self.down_reason = reason
        self._metrics.store_up.set(0)

    async def _stay_down(self, error: Exception) -> None:
        """Note why a probe failed, and when the next one is due."""
        self._pace.failed(error)
        if not isinstance(error, Overloaded):  # the calls of an earlier attempt may still hold every slot
            strange = StoreUnsupported(f"it answers as no store does: {error!r}")
            self._went_down(error if isinstance(error, StoreError) else strange)
        await self._disconnect()

    async def _connect(self) -> None:
        try:
            self._servers, self.server = await self._connector.connect()
        except Exception as error:
            raise self.failed(as_store_error(error)) from error
        self.down_partitions.clear()
        self._slots.fit(self.server.partitions)

    def _came_up(self) -> None:
        self._metrics.store_up.set(1)
        self._pace.came_up()
        self._told_reasons.clear()
        was_down, self.down_reason = self.down_reason is not None, None
        if was_down and (server := self.server) is not None:
            facts = {"server": server.name, "version": server.version, "cluster": server.is_cluster}
            log.info("store up", url=self._connector.shown_url, **facts, partitions=server.partitions)
        self.down_partitions.store_came_up()
