"""A store as gates of format 1 left it, and time that passes for a gate that keeps to it."""

import time

import msgspec
import redis

from app.settings.model import Settings
from app.store.blocks import parse_block
from app.store.older_format import OtherGates
from tests.support.deliver import Gate, connected_gate, transaction
from tests.support.ledger import store_key
from tests.support.servers import StoreServer

PREFIX = "tidegate:{0}"
MARK = f"{PREFIX}:transactions:ledger"
TICK_MS, SILENT_TICKS = 1000, 3
"""After so many ticks without a sign of an older gate there is none at work."""
MAPS = ("signatures", "transactions", "observations")


def _turn_into_format_1(node: redis.Redis, ids: dict[str, int], window_ms: int) -> None:
    """Give what a gate has stored the names and the bookkeeping that format 1 had."""
    now_ms = int(time.time() * 1000)
    for key in [*node.scan_iter(match=store_key(PREFIX, "*"))]:
        if b":blocks:" in key:
            blocks: dict[bytes, bytes] = node.hgetall(key)  # type: ignore[assignment]
            for number in filter(None, blocks):  # which had no heads then
                node.hset(key, number, parse_block(blocks[number]).frame)
        if key.rpartition(b":")[2].isdigit():
            node.hdel(key, "")  # which tells that it has an expiry, and was not there then
        node.rename(key, key.replace(b":2:", b":"))
    node.delete(f"{PREFIX}:ledger", f"{PREFIX}:probe", f"{PREFIX}:start", MARK)
    for name in MAPS:
        ledger = {"entries": 3, "bytes": 300, "added": 5, "expired": 2, "due": 2, "on_time": 2}
        node.hset(f"{PREFIX}:{name}:ledger", mapping=ledger)  # type: ignore[arg-type]
        bucket = [ids[name], now_ms + 5000, 3, 300, 7, window_ms if name == "signatures" else 60_000]
        node.rpush(f"{PREFIX}:{name}:buckets", msgspec.msgpack.encode(bucket))
        for key in ("ledger", "buckets"):
            node.expire(f"{PREFIX}:{name}:{key}", 600)
    node.hset(f"{PREFIX}:signatures:ledger", mapping={"clock": now_ms, "hold": 60_000})


async def leave_format_1(server: StoreServer, settings: Settings, window_ms: int = 60_000) -> None:
    """Leave three transactions as a gate of format 1 does, accepted under a window."""
    gate = await connected_gate(settings)
    await gate.flusher.flush([transaction(f"old-{number}", payload=number) for number in range(3)])
    await gate.session.close()
    [node] = server.nodes()
    with node:
        ids = {
            key.decode().split(":")[-2]: int(key.decode().rpartition(":")[2])
            for key in node.scan_iter(match=store_key(PREFIX, "*", "1*"))
        }
        _turn_into_format_1(node, ids, window_ms)


def let_pass(node: redis.Redis, milliseconds: int) -> None:
    """Have a partition that is in format 1 as if so much more time had passed since it was looked at."""
    bridge = store_key(PREFIX, "bridge")
    found_ms, silent_ms, looked_ms = map(int, str(node.get(bridge), "ascii").split())  # type: ignore[arg-type]
    node.set(bridge, f"{found_ms} {silent_ms} {looked_ms - milliseconds}", keepttl=True)


async def tick(gate: Gate, node: redis.Redis, times: int = 1) -> set[OtherGates]:
    """Let a second pass and the gate look, so many times; which other gates it finds at last."""
    for _ in range(times):
        let_pass(node, TICK_MS)
        await gate.maps.sizes()
    return {*gate.maps.other_gates}


async def take_over(gate: Gate, node: redis.Redis) -> None:
    """Let the gate find that no older one has been at work for long enough."""
    assert await tick(gate, node, SILENT_TICKS) == set()
