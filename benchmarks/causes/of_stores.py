"""What goes wrong with a store, or is taken for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.causes.course import Cause
from benchmarks.causes.stack import Build, Stack
from tests.support.processes import wait_until
from tests.support.servers import StoreServer, cluster_server, valkey_server

MIB = 1024 * 1024
PERSISTENT = ("--appendonly", "yes", "--appendfsync", "always")
"""Options of a store that comes back from a kill with all it had acknowledged."""
LENIENT = ("--cluster-require-full-coverage", "no")
FULL_SECONDS = 120.0


def _persistent() -> StoreServer:
    return valkey_server(options=PERSISTENT)


def _persistent_cluster() -> StoreServer:
    return cluster_server(options=(*LENIENT, *PERSISTENT))


def used_bytes(stack: Stack) -> int:
    """What the store uses now."""
    with stack.store.nodes()[0] as node:
        return int(node.info("memory")["used_memory"])


def configure(stack: Stack, **values: object) -> None:
    """Change the configuration of the store, as its operator does."""
    with stack.store.nodes()[0] as node:
        for name, value in values.items():
            node.config_set(name.replace("_", "-"), str(value))


@contextmanager
def killed(stack: Stack) -> Iterator[None]:
    """Kill the store, and start it again."""
    stack.store.kill()
    yield
    stack.store.restart()


@contextmanager
def filled(stack: Stack) -> Iterator[None]:
    """Have one feed send payloads so large that the store is full, until people are told."""
    configure(stack, maxmemory=used_bytes(stack) + 12 * MIB)
    feed = stack.traffic.feeds[0]
    feed.payload_bytes, feed.batch_items = 40_000, 20
    yield
    feed.payload_bytes, feed.batch_items = (
        stack.traffic.feeds[1].payload_bytes,
        stack.traffic.feeds[1].batch_items,
    )


@contextmanager
def flushed(stack: Stack) -> Iterator[None]:
    """Delete everything in the store."""
    stack.store.flush()
    yield


@contextmanager
def evicting(stack: Stack) -> Iterator[None]:
    """Have the store evict what comes when it is full; then set it as it has to be."""
    # Just what it uses: further below, it would refuse calls as well, which is another cause.
    configure(stack, maxmemory_policy="allkeys-random", maxmemory=used_bytes(stack))
    yield
    configure(stack, maxmemory=0, maxmemory_policy="noeviction")


@contextmanager
def one_master_killed(stack: Stack) -> Iterator[None]:
    """Kill a master of a Cluster that nothing follows, and start it again."""
    launch, process = stack.store.launches[1], stack.store.processes[1]
    process.kill()
    process.wait()
    yield
    stack.store.processes[1] = launch.spawn()
    with stack.store.nodes()[0] as node:
        wait_until(lambda: node.cluster("info")["cluster_state"] == "ok", FULL_SECONDS)


CAUSES = (
    Cause(
        "store-down",
        "The store is killed, and started again with its append-only file",
        "TidegateStoreDown",
        "pager",
        killed,
        "the store started again",
        Build(store=_persistent),
        hold_seconds=180.0,
    ),
    Cause(
        "store-down-emptied",
        "The store is killed, and comes back empty, as that of Compose does",
        "TidegateStoreDown",
        "pager",
        killed,
        "the store started again",
        hold_seconds=180.0,
    ),
    Cause(
        "store-full",
        "A feed sends payloads 200 times as large, and the store is at its `maxmemory`",
        "TidegateStoreFull",
        "pager",
        filled,
        "emergency cleanup by the gate; the feed is as before",
        cleanup_alert="TidegateStoreCleanup",
    ),
    Cause(
        "store-lost",
        "`FLUSHALL`: the store has lost everything",
        "TidegateStoreSetBack",
        "pager",
        flushed,
        "none needed",
        hold_seconds=0.0,
    ),
    Cause(
        "store-evicting",
        "The store is out of memory and its `maxmemory-policy` lets it evict",
        "TidegateStoreEvicting",
        "pager",
        evicting,
        "`noeviction` and more memory",
    ),
    Cause(
        "master-lost",
        "One of three masters of a Cluster is killed; nothing follows it",
        "TidegateStorePartlyDown",
        "pager",
        one_master_killed,
        "the master started again",
        Build(store=_persistent_cluster),
        hold_seconds=180.0,
    ),
)
