"""A store loses the settings that hold for all gates: one that joins while it is away knows none."""

import asyncio
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.support.gate import GateProcess, gate_process, has_port, started
from tests.support.processes import kill_all, start_all, wait_until
from tests.support.servers import StoreServer, cluster_server, valkey_server
from tests.support.worker_gates import figure

pytestmark = [pytest.mark.server, pytest.mark.slow]

PATIENCE_SECONDS = 60.0
LENIENT = ("--cluster-require-full-coverage", "no")
OF_THE_FIRST_PARTITION = slice(2, 3)
"""The master that has the slot of `tidegate:{0}`, of three."""
WIDE: dict[str, object] = {"store_deadline_seconds": 1, "dedup_window_seconds": 60, "gate_name": "wide"}
NARROW = WIDE | {"dedup_window_seconds": 5, "gate_name": "narrow"}
CHANGED = {"consumers_limit": 7}


@pytest.fixture
def cluster() -> Iterator[StoreServer]:
    with cluster_server(options=LENIENT) as server:
        yield server


async def test_a_gate_that_joins_while_the_settings_of_all_cannot_be_read_says_so_until_they_can(
    cluster: StoreServer,
) -> None:
    """It comes first to the master, which has lost its data; then a gate comes that knows what held."""
    url = cluster.launches[0].url
    with gate_process(store_url=url, **WIDE) as first, first.client() as one:
        assert one.patch("/settings", json=CHANGED).is_success
        kill_all(cluster.processes[OF_THE_FIRST_PARTITION])
        await _until(lambda: _down(first) > 0)
        with started(store_url=url, **NARROW) as late:
            await _until(lambda: has_port(late) and late.is_ready())
            with late.client() as other:
                shown = other.get("/settings").json()
                assert shown["ignored"].startswith(
                    "The settings that hold for all gates of the store are not"
                )
                assert shown["ignored"] in other.get("/stats").json()["warnings"]
                assert other.patch("/settings", json=CHANGED).status_code == 503
                assert one.get("/settings").json()["ignored"] is None, "it had read them"
                first.pause()
                try:
                    _start_first_partition(cluster)
                    await _until(lambda: _has_begun_its_own(late, other))
                finally:
                    first.resume()
                await _until(lambda: _agree_on_what_held(one, other))
            both_ends = ["warning", "info"]
            await _until(lambda: _told_of(late) == both_ends)


async def test_a_gate_that_joins_while_the_store_is_down_gives_way_to_one_that_knows_what_held() -> None:
    with (
        valkey_server() as server,
        gate_process(store_url=server.url, **WIDE) as first,
        first.client() as one,
    ):
        assert one.patch("/settings", json=CHANGED).is_success
        server.kill()
        await _until(lambda: not first.is_ready())
        with started(store_url=server.url, **NARROW) as late:
            await _until(lambda: has_port(late) and not late.is_ready())
            with late.client() as other:
                first.pause()
                try:
                    server.restart()
                    await _until(lambda: _has_begun_its_own(late, other))
                finally:
                    first.resume()
                await _until(lambda: _agree_on_what_held(one, other))


async def _until(holds: Callable[[], bool]) -> None:
    assert await asyncio.to_thread(wait_until, holds, PATIENCE_SECONDS)


def _down(gate: GateProcess) -> float:
    count = figure(gate, "store_partitions_down")
    assert count is not None
    return count


def _start_first_partition(cluster: StoreServer) -> None:
    """Start the master that has it, which has lost its data."""
    cluster.processes[OF_THE_FIRST_PARTITION] = start_all(cluster.launches[OF_THE_FIRST_PARTITION])


def _has_begun_its_own(gate: GateProcess, client: httpx.Client) -> bool:
    """Tell whether a gate serves on all of the store and goes by its own settings there, without a change."""
    if not gate.is_ready() or _down(gate) > 0:
        return False
    found = client.get("/settings").json()
    window, limit = (found["settings"][name] for name in ("dedup_window_seconds", "consumers_limit"))
    return found["ignored"] is None and window["value"] == 5 and limit["value"] != 7


def _told_of(gate: GateProcess) -> list[object]:
    return [line["level"] for line in gate.events() if line.get("warning") == "settings_ignored"]


def _agree_on_what_held(*clients: httpx.Client) -> bool:
    documents = [client.get("/settings").json() for client in clients]
    windows = {document["settings"]["dedup_window_seconds"]["value"] for document in documents}
    limits = {document["settings"]["consumers_limit"]["value"] for document in documents}
    return windows == {60} and limits == {7} and not any(document["ignored"] for document in documents)
