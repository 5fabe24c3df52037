"""Ways to move a slot of a Cluster from one master to another while it is used."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import redis

from app.store.partitions import key_slot, ledger_key
from tests.support.processes import StoreStartError, wait_until
from tests.support.servers import StoreServer

PATIENCE_SECONDS, TOOL_SECONDS = 60.0, 300.0
MIGRATE_MILLISECONDS = 10_000
RESHARDED = 20  # slots that redis-cli moves; each takes it a while, with keys or without


@dataclass(frozen=True)
class Ends:
    """A slot that is moved, the master that has it, the one that gets it, and all nodes."""

    slot: int
    old: redis.Redis
    new: redis.Redis
    nodes: Sequence[redis.Redis]

    def open_both(self) -> None:
        """Tell both that the slot is going to be moved, key by key."""
        self.new.cluster("setslot", self.slot, "IMPORTING", node_id(self.old))
        self.old.cluster("setslot", self.slot, "MIGRATING", node_id(self.new))

    def keys_left(self, count: int = 1000) -> list[bytes]:
        """List keys that the old master has."""
        return list(self.old.cluster("getkeysinslot", self.slot, count))

    def migrate(self, *keys: bytes) -> None:
        """Move these keys; one of which the new master has another version is refused (BUSYKEY)."""
        port = _port(self.new)
        self.old.migrate("127.0.0.1", port, list(keys), 0, MIGRATE_MILLISECONDS)

    def migrate_all(self, at_once: int = 1000) -> None:
        """Move all that are left, so many with one command."""
        for keys in iter(lambda: self.keys_left(at_once), []):
            self.migrate(*keys)

    def bring_back(self, key: bytes) -> None:
        """Move a key back to the old master, and let both forget that the slot was going to be moved."""
        self.old.cluster("setslot", self.slot, "STABLE")
        self.new.migrate("127.0.0.1", _port(self.old), [key], 0, MIGRATE_MILLISECONDS)
        self.new.cluster("setslot", self.slot, "STABLE")

    def hand_over_empty(self, most: int) -> None:
        """Give the slots of the old master up to this one, which have no keys, to the new one at once."""
        first = _first_of_range(self.old, self.slot)
        assert first is not None
        _give(range(first, most + 1), self.new, (self.old, *self.nodes))

    def close_both(self) -> None:
        """Give the slot to the new master, which has all keys of it; it is told first."""
        for node in (self.new, self.old, *self.nodes):
            node.cluster("setslot", self.slot, "NODE", node_id(self.new))


@contextmanager
def ends_of(server: StoreServer, slot: int) -> Iterator[Ends]:
    """Open clients to all masters, with the one that has the slot and the one after it."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(node) for node in server.nodes()]
        at = next(at for at, node in enumerate(nodes) if _first_of_range(node, slot) is not None)
        yield Ends(slot, nodes[at], nodes[(at + 1) % len(nodes)], nodes)


def by_hand(server: StoreServer, slot: int, pause: Callable[[], None]) -> None:
    """Move a slot as the documentation of Redis says: `MIGRATE` of its keys between two `CLUSTER SETSLOT`.

    Pauses before any key has moved, when half of them have, and when all have.
    """
    with ends_of(server, slot) as ends:
        ends.open_both()
        pause()
        keys = ends.keys_left()
        for key in keys[: len(keys) // 2]:
            ends.migrate(key)
        pause()
        ends.migrate_all()
        pause()
        ends.close_both()


def reshard(server: StoreServer, slot: int) -> None:
    """Move a slot by `redis-cli --cluster reshard`, which takes a master's lowest slots, this the last."""
    with ends_of(server, slot) as ends:
        ends.hand_over_empty(most=slot - RESHARDED)
        first = _first_of_range(ends.old, slot)
        assert first is not None
        _move_slots(ends.old, ends.new, slot - first + 1)


def reshard_all(server: StoreServer) -> None:
    """Move all slots of the first master to the second by `redis-cli --cluster reshard`.

    Most of those without keys are given to it at once. Valkey 9 writes its configuration several times for
    each slot: this tool takes minutes for the 5461 of a master, whether a gate runs or not.
    """
    _move_all(server, reshard)


def by_hand_all(server: StoreServer) -> None:
    """Move all slots of the first master to the second, key by key where there are keys."""
    _move_all(server, partial(by_hand, pause=lambda: None))


def _move_all(server: StoreServer, way: Callable[[StoreServer, int], None]) -> None:
    """Move the slots that have keys one after the other, from the lowest on, and then the others at once."""
    with _first_two(server) as (old, new, *others):
        for slot in sorted({key_slot(key) for key in old.scan_iter(count=1000)}):
            if _first_of_range(old, slot) is not None:
                way(server, slot)
        for first, last in _ranges_of(old):
            _give(
                range(first, last + 1), new, others
            )  # the old one hears of it: the new one's epoch is higher


def atomically_all(server: StoreServer) -> None:
    """Move all slots of the first master to the second as Valkey 9 does of itself, in one go."""
    with _first_two(server) as (old, new, *_):
        ranges = [part for first, last in _ranges_of(old) for part in ("SLOTSRANGE", first, last)]
        old.execute_command("CLUSTER MIGRATESLOTS", *ranges, "NODE", node_id(new))  # type: ignore[no-untyped-call]


@contextmanager
def _first_two(server: StoreServer) -> Iterator[list[redis.Redis]]:
    """Open clients to all masters; after the block the first one is to have no slots any more."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(node) for node in server.nodes()]
        yield nodes
        assert wait_until(lambda: not _ranges_of(nodes[0]), PATIENCE_SECONDS)


def _give(slots: range, taker: redis.Redis, others: Sequence[redis.Redis]) -> None:
    """Tell a master, which is told first, and others that it has these slots, which have no keys."""
    taker_id = node_id(taker)
    for node in (taker, *others):
        pipeline = node.pipeline(transaction=False)
        for slot in slots:
            pipeline.execute_command("CLUSTER SETSLOT", slot, "NODE", taker_id)  # type: ignore[no-untyped-call]
        pipeline.execute()


def break_off(server: StoreServer, slot: int) -> None:
    """Begin to move a slot by hand, and leave it where half of its keys have moved."""
    with ends_of(server, slot) as ends:
        ends.open_both()
        keys = sorted(ends.keys_left())
        for key in keys[: len(keys) // 2]:
            ends.migrate(key)


def fix(server: StoreServer) -> None:
    """Have `redis-cli --cluster fix` finish what was broken off."""
    with server.launches[0].connect() as node:
        _run_tool("fix", f"127.0.0.1:{_port(node)}")


def _move_slots(old: redis.Redis, new: redis.Redis, count: int) -> None:
    """Have `redis-cli --cluster reshard` move so many slots of a master, its lowest, to another one."""
    arguments = {
        "--cluster-from": node_id(old),
        "--cluster-to": node_id(new),
        "--cluster-slots": str(count),
    }
    given = [part for pair in arguments.items() for part in pair]
    _run_tool("reshard", f"127.0.0.1:{_port(old)}", "--cluster-yes", *given)


def _run_tool(*arguments: str) -> None:
    done = subprocess.run(
        [_redis_cli(), "--cluster", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TOOL_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert not re.search("BUSYKEY|ERR", done.stdout), done.stdout[-2000:]


def atomically(server: StoreServer, slot: int) -> None:
    """Move a slot as Valkey 9 does: it copies the slot, and hands it over when nothing is missing."""
    with ends_of(server, slot) as ends:
        arguments = "SLOTSRANGE", slot, slot, "NODE", node_id(ends.new)
        ends.old.execute_command("CLUSTER MIGRATESLOTS", *arguments)  # type: ignore[no-untyped-call]
        assert wait_until(lambda: _first_of_range(ends.new, slot) is not None, PATIENCE_SECONDS)


def used_slots(server: StoreServer) -> list[int]:
    """The slots that have partitions: those that the fewest slots of their master stand before come first."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(node) for node in server.nodes()]
        before = {
            slot: slot - first
            for node in nodes
            for slot in {key_slot(key) for key in node.scan_iter(ledger_key("tidegate:*"), count=1000)}
            if (first := _first_of_range(node, slot)) is not None
        }
    return sorted(before, key=lambda slot: before[slot])


def node_id(node: redis.Redis) -> str:
    """The id by which a Cluster knows the node."""
    return str(node.cluster("myid").decode())


def _port(node: redis.Redis) -> int:
    return int(str(node.config_get("port")["port"]))


def _ranges_of(node: redis.Redis) -> list[tuple[int, int]]:
    """The slots that a master has, from the first to the last of those one after another."""
    mine = node_id(node).encode()
    ranges: list[Any] = node.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]
    return [(first, last) for first, last, master, *_ in ranges if master[2] == mine]


def _first_of_range(node: redis.Redis, slot: int) -> int | None:
    """The first of the slots that a node has one after another up to this one; None if it has it not."""
    return next((first for first, last in _ranges_of(node) if first <= slot <= last), None)


def _redis_cli() -> str:
    found = shutil.which("redis-cli")
    if found is None:
        raise StoreStartError("redis-cli is missing; run: apt-get install redis-tools")
    return found
