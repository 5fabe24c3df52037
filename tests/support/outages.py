"""Ways a store can fail, each as a block in which it does; afterwards it serves again.

They are asynchronous so that a test's own load and probes go on meanwhile.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import redis

from tests.support.cluster import await_cluster
from tests.support.gate import GateProcess
from tests.support.processes import pause_all, resume_all, wait_until
from tests.support.servers import StoreServer
from tests.support.steady_load import Steady

BACK_SECONDS = 20.0
BUSY_MILLISECONDS = 50
BUSY_PATIENCE_SECONDS = 30.0
SLOW_SCRIPT_MILLISECONDS = 6000
FULL_BYTES = 4 << 20

_ENDLESS = "while true do end"
_SLOW = """
local function ms() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
local started = ms()
while ms() - started < tonumber(ARGV[1]) do end
"""
_FILL = "for i = 1, 200 do redis.pcall('SET', 'foreign' .. i, string.rep('x', 60000), 'EX', 60) end"
_EMPTY = "for i = 1, 200 do redis.call('DEL', 'foreign' .. i) end"

Begin = Callable[[StoreServer], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Outage:
    """How to bring one about, and the names the gate may give it."""

    begin: Begin
    kinds: frozenset[str]
    keeps_data: bool = True
    is_everywhere: bool = True
    """Whether no transaction at all can be stored, not only some."""
    is_down: bool = True
    """Whether the store counts as down; one that is full still answers."""


@contextmanager
def _only_node(server: StoreServer) -> Iterator[redis.Redis]:
    [node] = server.nodes()
    with node:
        yield node


@asynccontextmanager
async def killed(server: StoreServer) -> AsyncIterator[None]:
    """Every process is gone, and its data too."""
    server.kill()
    yield
    server.start()
    if server.clustered:
        await asyncio.to_thread(await_cluster, server.nodes())


async def restart(server: StoreServer, gate: GateProcess, steady: Steady, seconds: float) -> float:
    """Take the store away for so long, and until the gate is seen to serve again; how long that took.

    Of a Cluster the gate finds out about each master by itself, and serves with those that it has.
    """
    with steady.store_away():
        async with killed(server):
            await asyncio.sleep(seconds)
        returned = time.monotonic()
        assert await asyncio.to_thread(wait_until, gate.is_whole, BACK_SECONDS)
    return time.monotonic() - returned


def kill_clients(server: StoreServer) -> None:
    """Cut every connection but our own."""
    for node in server.nodes():
        with node:
            node.client_kill_filter(_type="normal", skipme=True)


def close_idle_after(server: StoreServer, seconds: int) -> None:
    """Make the store close what is idle for so long; 0: never."""
    for node in server.nodes():
        with node:
            node.config_set("timeout", seconds)


@asynccontextmanager
async def paused(server: StoreServer) -> AsyncIterator[None]:
    """Connections stay open, nothing answers."""
    server.pause()
    try:
        yield
    finally:
        server.resume()


@asynccontextmanager
async def one_master_paused(server: StoreServer) -> AsyncIterator[None]:
    """A part of the slots does not answer."""
    pause_all(server.processes[1:2])
    try:
        yield
    finally:
        resume_all(server.processes[1:2])


@asynccontextmanager
async def full(server: StoreServer) -> AsyncIterator[None]:
    """Foreign keys hold more than the memory limit."""
    with _only_node(server) as node:
        node.eval(_FILL, 0)
        node.config_set("maxmemory", FULL_BYTES)
        yield
        node.eval(_EMPTY, 0)
        node.config_set("maxmemory", 0)


@asynccontextmanager
async def password_changed(server: StoreServer) -> AsyncIterator[None]:
    """The gate's password is wrong from now on, and its connections are gone."""
    with _only_node(server) as node:
        node.config_set("requirepass", "another")
        node.client_kill_filter(_type="normal", skipme=True)
        yield
        node.config_set("requirepass", "")


@asynccontextmanager
async def read_only(server: StoreServer) -> AsyncIterator[None]:
    """Make the server a replica of a master that is not there, until the block ends."""
    with _only_node(server) as node:
        node.replicaof("127.0.0.1", "1")
        yield
        node.replicaof("NO", "ONE")


@asynccontextmanager
async def too_few_replicas(server: StoreServer) -> AsyncIterator[None]:
    """The server wants a replica to follow it, and none does."""
    with _only_node(server) as node:
        node.config_set("min-replicas-to-write", 1)
        yield
        node.config_set("min-replicas-to-write", 0)


@asynccontextmanager
async def failing_saves(server: StoreServer) -> AsyncIterator[None]:
    """A save has failed, after which the server refuses writes."""
    in_the_way = server.folder / "dump.rdb"
    in_the_way.mkdir()
    with _only_node(server) as node:
        node.config_set("save", "3600 1")
        node.bgsave()
        assert await asyncio.to_thread(wait_until, lambda: _failed_to_save(node), BACK_SECONDS)
        yield
        node.config_set("save", "")
    in_the_way.rmdir()


@asynccontextmanager
async def too_many_clients(server: StoreServer) -> AsyncIterator[None]:
    """The server takes no client beside that of this block, and has thrown out all others."""
    with _only_node(server) as node:
        node.config_set("maxclients", 1)
        node.client_kill_filter(_type="normal", skipme=True)
        yield
        node.config_set("maxclients", 10_000)


@asynccontextmanager
async def busy(server: StoreServer) -> AsyncIterator[None]:
    """A foreign script runs without end, and the server says so."""
    with _only_node(server) as node:
        node.config_set("busy-reply-threshold", BUSY_MILLISECONDS)
        async with _foreign_script(server, _ENDLESS):
            assert await asyncio.to_thread(wait_until, lambda: _says_busy(node), BUSY_PATIENCE_SECONDS)
            yield
            node.script_kill()


@asynccontextmanager
async def held_by_a_slow_script(server: StoreServer) -> AsyncIterator[None]:
    """A foreign script holds the server for a while, and the server says nothing."""
    async with _foreign_script(server, _SLOW, SLOW_SCRIPT_MILLISECONDS):
        assert await asyncio.to_thread(wait_until, lambda: not _answers(server), BUSY_PATIENCE_SECONDS)
        yield


@asynccontextmanager
async def _foreign_script(server: StoreServer, script: str, *args: int) -> AsyncIterator[None]:
    def run() -> None:
        with _only_node(server) as node, suppress(redis.RedisError):
            node.eval(script, 0, *map(str, args))

    running = asyncio.create_task(asyncio.to_thread(run))
    try:
        yield
    finally:
        await running


def _failed_to_save(node: redis.Redis) -> bool:
    return bool(node.info("persistence")["rdb_last_bgsave_status"] == "err")


def _says_busy(node: redis.Redis) -> bool:
    try:
        node.ping()
    except redis.ResponseError as error:
        return "BUSY" in str(error)
    return False


def _answers(server: StoreServer) -> bool:
    [node] = server.nodes(socket_timeout=0.1)
    with node:
        try:
            return bool(node.ping())
        except redis.RedisError:
            return False


OUTAGES = {
    "killed": Outage(killed, frozenset({"unreachable"}), keeps_data=False),
    "paused": Outage(paused, frozenset({"timeout"})),
    "full": Outage(full, frozenset({"full"}), is_down=False),
    "password changed": Outage(password_changed, frozenset({"denied"})),
    "read-only": Outage(read_only, frozenset({"read_only"})),
    "too few replicas": Outage(too_few_replicas, frozenset({"no_replicas"})),
    "failing saves": Outage(failing_saves, frozenset({"cannot_save"})),
    "busy": Outage(busy, frozenset({"busy", "timeout"})),
    "held by a slow script": Outage(held_by_a_slow_script, frozenset({"timeout"})),
}
CLUSTER_OUTAGES = {
    "all masters killed": Outage(killed, frozenset({"unreachable", "cluster_down"}), keeps_data=False),
    "one master paused": Outage(
        one_master_paused, frozenset({"timeout", "unreachable", "cluster_down"}), is_everywhere=False
    ),
}
