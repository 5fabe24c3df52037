"""Slots of a Cluster are moved under load of two gates: nothing is lost, and nothing is accepted twice."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial

import pytest

from tests.support.gate import gate_process
from tests.support.processes import wait_until
from tests.support.rivals import Rivals
from tests.support.servers import StoreServer, cluster_server
from tests.support.slot_moves import (
    atomically,
    atomically_all,
    by_hand,
    by_hand_all,
    ends_of,
    node_id,
    reshard,
    reshard_all,
    used_slots,
)

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 60.0
# A bucket of signatures takes entries for 6 s, one of transactions for 5: some are opened while a slot moves.
WINDOWS: dict[str, object] = {"dedup_window_seconds": 30, "transaction_retention_seconds": 120}
# All that is posted while thousands of slots are moved is within one window.
LONG_WINDOWS: dict[str, object] = {
    "dedup_window_seconds": 900,
    "transaction_retention_seconds": 1800,
    "emergency_transaction_retention_seconds": 1800,
}
ANSWERED = 300  # signatures that are accepted before and after what is done to the store
SAMPLED = 20  # one in so many is looked up by HTTP; of all the store is asked itself
Way = Callable[[StoreServer, int], None]
TOOLS = pytest.mark.parametrize(
    ("kind", "way"),
    [
        pytest.param("redis", reshard, id="redis-reshard"),
        pytest.param("valkey", reshard, id="valkey-reshard", marks=pytest.mark.long),
        pytest.param("valkey", atomically, id="valkey-atomically"),  # Redis cannot
    ],
)
KINDS = pytest.mark.parametrize("kind", ["valkey", pytest.param("redis", marks=pytest.mark.long)])
log = logging.getLogger(__name__)  # `--log-cli-level=info` shows the figures


@asynccontextmanager
async def _two_gates(
    server: StoreServer, name: str, windows: dict[str, object] = WINDOWS
) -> AsyncIterator[Rivals]:
    """Two gates under the same posts, which are accepted before the block begins and after it."""
    with ExitStack() as stack:
        gates = [stack.enter_context(gate_process(store_url=server.url, **windows)) for _ in range(2)]
        rivals = Rivals(name, [gate.url for gate in gates])
        async with rivals.running():
            await _accepts(rivals)
            yield rivals
            await _accepts(rivals)
        assert all(gate.is_ready() for gate in gates)
    accepted, refusals = rivals.answered("accepted"), rivals.refusals()
    log.info("%s: %d signatures, %d requests refused", name, len(accepted), len(refusals))


async def _accepts(rivals: Rivals) -> None:
    """Wait until enough is accepted from now on."""
    before = len(rivals.answered("accepted"))

    def enough() -> bool:
        return len(rivals.answered("accepted")) - before >= ANSWERED

    assert await asyncio.to_thread(wait_until, enough, PATIENCE_SECONDS)


def _await_answers(rivals: Rivals) -> None:
    """Wait until each gate has answered something, with a refusal perhaps, that was posted from now on."""
    before = time.monotonic()

    def is_answered() -> bool:
        since = [attempt for attempt in rivals.attempts if attempt.reply and attempt.began > before]
        return {attempt.url for attempt in since} == set(rivals.urls)

    assert wait_until(is_answered, PATIENCE_SECONDS)


async def _assert_unharmed(server: StoreServer, rivals: Rivals, windows: dict[str, object] = WINDOWS) -> None:
    assert {refusal for refusal in rivals.refusals() if "slot of the cluster" not in refusal} == set()
    with gate_process(store_url=server.url, **windows) as gate:
        await rivals.assert_honest(gate.url, server, SAMPLED)


def _move(server: StoreServer, slot: int, way: Way) -> None:
    """Move a slot, and find all of it at its new master."""
    with ends_of(server, slot) as before:
        way(server, slot)
        with ends_of(server, slot) as after:
            assert node_id(after.old) == node_id(before.new)
        assert before.keys_left() == []
        assert before.new.cluster("countkeysinslot", slot) > 0


async def _move_under_load(kind: str, make_way: Callable[[Rivals], Way], most: int | None) -> None:
    """Move so many of the slots that are used, one after the other, and let the history be judged."""
    with cluster_server(kind=kind) as server:
        async with _two_gates(server, "moved") as rivals:
            for slot in used_slots(server)[:most]:
                await asyncio.to_thread(_move, server, slot, make_way(rivals))
        await _assert_unharmed(server, rivals)


def _by_hand(rivals: Rivals) -> Way:
    """Posts are answered before a key has moved, when half of them have, and when all have."""
    return partial(by_hand, pause=partial(_await_answers, rivals))


@KINDS
async def test_a_slot_moved_key_by_key_under_load_loses_nothing_and_admits_no_duplicate(kind: str) -> None:
    await _move_under_load(kind, _by_hand, most=1)


@TOOLS
async def test_a_slot_moved_by_a_tool_under_load_loses_nothing_and_admits_no_duplicate(
    kind: str, way: Way
) -> None:
    await _move_under_load(kind, lambda _: way, most=1)


@pytest.mark.long
@KINDS
async def test_all_slots_are_moved_key_by_key_under_load(kind: str) -> None:
    await _move_under_load(kind, _by_hand, most=None)


@pytest.mark.long
async def test_all_slots_are_moved_by_valkey_itself_under_load() -> None:
    await _move_under_load("valkey", lambda _: atomically, most=None)


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "way"),
    [
        pytest.param("valkey", by_hand_all, id="valkey-by-hand"),
        pytest.param("redis", by_hand_all, id="redis-by-hand"),
        pytest.param("valkey", reshard_all, id="valkey-reshard"),
        pytest.param("redis", reshard_all, id="redis-reshard"),
        pytest.param("valkey", atomically_all, id="valkey-atomically"),
    ],
)
async def test_all_slots_of_a_master_are_moved_away_under_load(
    kind: str, way: Callable[[StoreServer], None]
) -> None:
    """It is the one that the URL names. Without slots it becomes a replica of the one that has them now."""
    with cluster_server(kind=kind) as server:
        async with _two_gates(server, "emptied", LONG_WINDOWS) as rivals:
            await asyncio.to_thread(way, server)
        await _assert_unharmed(server, rivals, LONG_WINDOWS)
