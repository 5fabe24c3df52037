"""The ceiling: more load than memory has room for is refused for a while, and nothing else breaks."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
import redis

from app.process.control_groups import find_cgroup
from app.process.resident_memory import machine_bytes
from tests.support.gate import GateProcess, gate_program, has_port, started
from tests.support.payloads import Payloads, body_of
from tests.support.processes import wait_until
from tests.support.storm import Storm, resident_bytes, store_pids
from tests.support.truth import count_entries_of
from tests.support.wire import ask_once, connected, request_bytes

MIB = 1024 * 1024
LIMIT_BYTES = 160 * MIB
LARGE_BODIES = 32
MOST_SECONDS, RAGES_ON_SECONDS, RECOVERS_SECONDS = 70.0, 3.0, 30.0


async def _until_it_accepts(gate: GateProcess, body: bytes) -> None:
    """Within the time a feed is promised."""
    async with asyncio.timeout(RECOVERS_SECONDS), connected(gate.url, 1) as [connection]:
        while (await connection.ask(request_bytes("POST", "/transactions", body))).status != 200:
            await asyncio.sleep(0.2)


async def _assert_balanced(gate: GateProcess, socket: Path, accepted: int) -> None:
    """Law 3, and all that was acknowledged was really added, once."""
    # The first answer may be of a reading that was under way already.
    await ask_once(gate.url, "GET", "/stats")
    with redis.Redis(unix_socket_path=str(socket)) as node:
        maps = (await ask_once(gate.url, "GET", "/stats")).json()["maps"]
        truth = count_entries_of(node)
    assert maps["transactions"]["added_total"] == accepted
    for name in ("transactions", "observations"):
        figures = maps[name]
        left = figures["added_total"] - sum(figures["removed_total"].values())
        assert left == figures["entries"] == getattr(truth, name), name


async def _post_until(stop: asyncio.Event, url: str, body: bytes, statuses: Counter[int]) -> None:
    async with connected(url, 1) as [connection]:
        while not stop.is_set():
            reply = await connection.ask(request_bytes("POST", "/transactions", body))
            statuses[reply.status] += 1
            if reply.status != 200:
                reply.assert_try_again()
                await asyncio.sleep(0.05)


async def test_large_bodies_at_once_are_taken_as_far_as_memory_has_room() -> None:
    """Without a bound that follows the limit they would take more than 160 MiB, and be killed for it."""
    statuses, stop, most = Counter[int](), asyncio.Event(), 0
    bodies = [body_of(Payloads(seed).items(400)) for seed in range(3)]
    with gate_program(memory_limit_bytes=LIMIT_BYTES) as gate:
        posts = [_post_until(stop, gate.url, bodies[at % 3], statuses) for at in range(LARGE_BODIES)]
        tasks = [asyncio.create_task(post) for post in posts]
        async with asyncio.timeout(MOST_SECONDS):
            while statuses[503] < 3 * LARGE_BODIES:
                most = max(most, resident_bytes(gate))
                await asyncio.sleep(0.05)
        stop.set()
        await asyncio.gather(*tasks)
        await _until_it_accepts(gate, body_of(Payloads(9).items(400)))
        assert gate.process.poll() is None
    assert statuses.keys() <= {200, 503}
    assert 80 * MIB < most < LIMIT_BYTES


@pytest.mark.skipif(find_cgroup() is not None, reason="the control group's limit goes before the machine's")
def test_a_gate_that_nobody_gave_a_limit_has_a_share_of_the_machine() -> None:
    settings = {"memory_machine_ratio": 100 * MIB / machine_bytes(), "workers": 2}
    with started(**settings) as gate:
        assert wait_until(lambda: has_port(gate), MOST_SECONDS)
        with gate.client() as client:

            def status() -> int:
                return client.post("/transactions", json={"signature": "a"}).status_code

            assert wait_until(lambda: status() == 503, RECOVERS_SECONDS)
            problem = client.post("/transactions", json={"signature": "a"}).json()
            memory = client.get("/stats").json()["memory"]
            assert problem["type"].endswith("memory-pressure")
            assert (memory["limit_source"], memory["level"]) == ("machine", "hard")
            told = next(event for event in gate.events() if event.get("event") == "memory limit")
            assert (told["source"], told["limit_bytes"]) == ("machine", memory["limit_bytes"])
            client.patch("/settings", json={"memory_machine_ratio": 0}).raise_for_status()
            assert wait_until(lambda: status() == 200, RECOVERS_SECONDS)


@pytest.mark.slow
async def test_load_past_the_memory_limit_gets_503_and_the_rest_is_served_and_no_law_is_broken(
    gate_folder: Path,
) -> None:
    # The memory alone is to refuse: on a busy machine a call to the store may take longer than its second.
    quiet = {
        "transaction_retention_seconds": 600,
        "observation_retention_seconds": 600,
        "store_deadline_seconds": 30,
    }
    with gate_program(memory_limit_bytes=LIMIT_BYTES, dedup_window_seconds=20, **quiet) as gate:
        storm, stores = Storm(gate.url, memo_bytes=10_000), store_pids(gate)
        async with storm.raging(), asyncio.timeout(MOST_SECONDS):
            while not storm.answers["refused"]:
                await asyncio.sleep(0.1)
            await asyncio.sleep(RAGES_ON_SECONDS)
        await _until_it_accepts(gate, b'{"signature":"after"}')
        assert gate.process.poll() is None
        assert store_pids(gate) == stores, "the store was not started again"
        assert storm.most_resident_bytes < LIMIT_BYTES
        assert wait_until(gate.is_ready, 30.0)
        [socket] = await asyncio.to_thread(lambda: list(gate_folder.glob("tidegate-*/store.sock")))
        await _assert_balanced(gate, socket, storm.answers["accepted"] + 1)
