"""The ceiling: more load than memory has room for is refused for a while, and nothing else breaks."""

import asyncio
from pathlib import Path

import pytest
import redis

from tests.faults.storm import Storm, store_pids
from tests.faults.wire import ask_once
from tests.support.gate import GateProcess, gate_process
from tests.support.processes import wait_until
from tests.support.truth import count_entries_of

MIB = 1024 * 1024
LIMIT_BYTES = 160 * MIB
MOST_SECONDS, RAGES_ON_SECONDS, RECOVERS_SECONDS = 70.0, 3.0, 30.0


async def _accepts(gate: GateProcess, number: int) -> bool:
    reply = await ask_once(gate.url, "POST", "/transactions", {"signature": f"after-{number}"})
    return reply.status == 200


async def _until_it_accepts(gate: GateProcess) -> None:
    """Within the time a feed is promised; a refused signature is not used again, to tell them apart."""
    async with asyncio.timeout(RECOVERS_SECONDS):
        number = 0
        while not await _accepts(gate, number):
            number += 1
            await asyncio.sleep(0.2)


async def _assert_balanced(gate: GateProcess, socket: Path, accepted: int) -> None:
    """Law 3, and all that was acknowledged was really added, once."""
    with redis.Redis(unix_socket_path=str(socket)) as node:
        maps = (await ask_once(gate.url, "GET", "/stats")).json()["maps"]
        truth = count_entries_of(node)
    assert maps["transactions"]["added_total"] == accepted
    for name in ("transactions", "observations"):
        figures = maps[name]
        left = figures["added_total"] - sum(figures["removed_total"].values())
        assert left == figures["entries"] == getattr(truth, name), name


@pytest.mark.slow
async def test_load_past_the_memory_limit_gets_503_and_the_rest_is_served_and_no_law_is_broken(
    gate_folder: Path,
) -> None:
    quiet = {"transaction_retention_seconds": 600, "observation_retention_seconds": 600}
    with gate_process(memory_limit_bytes=LIMIT_BYTES, dedup_window_seconds=20, **quiet) as gate:
        storm, stores = Storm(gate.url, memo_bytes=10_000), store_pids(gate)
        async with storm.raging(), asyncio.timeout(MOST_SECONDS):
            while not storm.answers["refused"]:
                await asyncio.sleep(0.1)
            await asyncio.sleep(RAGES_ON_SECONDS)
        await _until_it_accepts(gate)
        assert gate.process.poll() is None
        assert store_pids(gate) == stores, "the store was not started again"
        assert storm.most_resident_bytes < LIMIT_BYTES
        assert wait_until(gate.is_ready, 5.0)
        [socket] = await asyncio.to_thread(lambda: list(gate_folder.glob("tidegate-*/store.sock")))
        await _assert_balanced(gate, socket, storm.answers["accepted"] + 1)
