"""Two gates on one store: the trouble of one is not that of the other."""

from collections.abc import Iterator
from random import Random

import pytest

from tests.support.gate import GateProcess, gate_process, has_port, started
from tests.support.processes import wait_until
from tests.support.servers import StoreServer, redis_server, valkey_server
from tests.support.wire import Connection

pytestmark = [pytest.mark.server, pytest.mark.slow]

MIB = 1024 * 1024
# An emergency cleanup would leave nothing that is older than a second; all else is kept for ten minutes.
RETENTIONS: dict[str, object] = {
    "dedup_window_seconds": 1,
    "transaction_retention_seconds": 600,
    "observation_retention_seconds": 600,
    "emergency_transaction_retention_seconds": 1,
    "emergency_observation_retention_seconds": 1,
    "cleanup_interval_seconds": 1,
    "memory_sample_seconds": 0.5,
}
# Less than a gate has at rest.
PRESSED = RETENTIONS | {"memory_limit_bytes": 48 * MIB}
ROUNDS, TRANSACTIONS = 6, 40


@pytest.fixture(params=[valkey_server, redis_server], ids=["valkey", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[StoreServer]:
    with request.param() as server:
        yield server


async def _post(gate: GateProcess) -> None:
    connection = await Connection.open(gate.url)
    document = [{"signature": f"kept-{at}", "payload": {"at": at}} for at in range(TRANSACTIONS)]
    assert (await connection.post(document)).json()["accepted"] == TRANSACTIONS
    await connection.close()


async def _fill(gate: GateProcess, size: int) -> None:
    """Post transactions that the store keeps in so many bytes."""
    chance, connection = Random(1), await Connection.open(gate.url)
    for at in range(size // MIB):
        payloads = [chance.randbytes(64 * 1024).hex() for _ in range(16)]
        document = [{"signature": f"large-{at}-{n}", "payload": one} for n, one in enumerate(payloads)]
        assert (await connection.post(document)).json()["accepted"] == len(payloads)
    await connection.close()


async def _found(gate: GateProcess) -> int:
    connection = await Connection.open(gate.url)
    replies = [await connection.get(f"/transactions/kept-{at}") for at in range(TRANSACTIONS)]
    await connection.close()
    return sum(reply.status == 200 for reply in replies)


def _emergency_cleanups(gate: GateProcess) -> float:
    labels = {"trigger": "emergency", "mode": "emergency", "result": "success"}
    return _runs(gate, "tidegate_cleanup_runs_total", **labels)


def _runs(gate: GateProcess, name: str, **labels: str) -> float:
    """The value of a counter of the gate."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    with gate.client() as client:
        lines = client.get("/metrics").text.splitlines()
    found = [line for line in lines if line.startswith(name) and all(one in line for one in wanted)]
    return float(found[0].rpartition(" ")[2])


async def test_lookups_of_one_gate_outlive_the_hard_pressure_of_the_other(store: StoreServer) -> None:
    with gate_process(store_url=store.url, **RETENTIONS) as calm:
        await _post(calm)
        with started(store_url=store.url, **PRESSED) as pressed:
            assert wait_until(lambda: has_port(pressed), 60.0, 0.1)

            def relieved_often() -> bool:
                return _runs(pressed, "tidegate_guard_actions_total", process="gate", action="trim") >= ROUNDS

            assert wait_until(relieved_often, 60.0, 0.2), pressed.log.read_text()[-3000:]
            with pressed.client() as client:
                memory = client.get("/memory").json()
            assert (memory["level"], memory["refuses_ingest"]) == ("hard", True)
            assert _emergency_cleanups(pressed) == 0
        assert _emergency_cleanups(calm) == 0
        assert await _found(calm) == TRANSACTIONS


async def test_of_two_gates_on_a_store_near_its_limit_one_cleans_an_interval() -> None:
    # A cleanup removes nothing, so that the second gate finds the store as the first did.
    settings = RETENTIONS | {
        "cleanup_interval_seconds": 30,
        "emergency_transaction_retention_seconds": 600,
    }
    with (
        valkey_server(maxmemory="40mb") as store,
        store.client() as client,
        gate_process(store_url=store.url, **settings) as one,
        gate_process(store_url=store.url, **settings) as other,
    ):
        # So much that the buffers of connections, which come and go, move the share by few hundredths.
        await _fill(one, 16 * MIB)
        client.config_set("maxmemory", round(client.info("memory")["used_memory"] / 0.96))

        def cleaned() -> float:
            return sum(map(_emergency_cleanups, (one, other)))

        def both_have_looked() -> bool:
            logs = [{event.get("event") for event in gate.events()} for gate in (one, other)]
            return all("store near its own limit" in events for events in logs)

        assert wait_until(lambda: both_have_looked() and cleaned() > 0, 30.0, 0.2)
        assert cleaned() == 1
