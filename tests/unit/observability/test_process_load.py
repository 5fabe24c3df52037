"""What each process that serves clients has open and uses is exported beside its limits."""

import asyncio
import resource

import httpx
import psutil
import pytest

from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, open_api, until
from tests.support.gate import gate_process, gate_program
from tests.support.metric_families import parsed, value
from tests.support.processes import wait_until
from tests.support.servers import valkey_server

pytestmark = pytest.mark.server


def test_a_gate_of_one_process_exports_its_connections_descriptors_and_cpu_with_their_limits() -> None:
    with gate_process(max_connections=40) as gate, gate.client() as client:
        text = client.get("/metrics").text
        assert value(text, "max_connections", process="gate") == 40
        assert value(text, "max_fds", process="gate") == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        assert value(text, "cpu_seconds_total", process="gate")
        assert value(text, "open_fds", process="gate")
        assert value(text, "connections", process="gate") == 1
        with httpx.Client(base_url=gate.url, trust_env=False) as another:
            assert another.get("/livez").status_code == 200
            assert value(client.get("/metrics").text, "connections", process="gate") == 2


def test_in_a_gate_with_workers_these_have_the_connections_of_clients() -> None:
    with gate_process(workers=2, max_connections=40) as gate, gate.client() as client:

        def connections() -> list[float | None]:
            text = client.get("/metrics").text
            return [value(text, "connections", process=f"worker-{number}") for number in (1, 2)]

        assert wait_until(lambda: sum(count or 0 for count in connections()) == 1, 30)
        text = client.get("/metrics").text
        assert value(text, "connections", process="gate") is None
        for process in ("worker-1", "worker-2"):
            assert value(text, "max_connections", process=process) == 40
            assert value(text, "open_fds", process=process)
            assert value(text, "cpu_seconds_total", process=process)
        assert value(text, "cpu_seconds_total", process="gate")
        assert value(text, "max_connections", process="gate") is None


def test_a_gate_exports_what_it_holds_beside_its_limits() -> None:
    limits = {"max_in_flight_requests": 33, "max_in_flight_bytes": 2**25, "max_queued_bytes": 2**26}
    with gate_process(max_queued_items=20_000, **limits) as gate, gate.client() as client:
        text = client.get("/metrics").text
        for name, limit in {**limits, "max_queued_items": 20_000}.items():
            assert value(text, name, process="gate") == limit, name
        for name in ("in_flight_requests", "in_flight_bytes", "queued_items", "queued_bytes"):
            assert value(text, name, process="gate") == 0, name


async def test_what_waits_for_the_store_is_queued(settings_for: MakeSettings) -> None:
    with valkey_server(unix=True) as server:
        async with open_api(settings_for(server, **QUIET)) as api:
            server.pause()
            post = asyncio.create_task(api.post("a", payload={"fee": 5000}))

            async def is_queued() -> bool:
                return api.sample("queued_items", process="gate") == 1

            await until(is_queued)
            assert api.sample("queued_bytes", process="gate") == len('{"fee":5000}')
            assert (api.sample("in_flight_bytes", process="gate") or 0) > 0
            assert api.sample("in_flight_requests", process="gate") == 1
            server.resume()
            assert (await post)["status"] == "accepted"
            names = ("queued_items", "queued_bytes", "in_flight_bytes", "in_flight_requests")
            assert [api.sample(name, process="gate") for name in names] == [0, 0, 0, 0]


def test_the_client_librarys_figures_are_those_of_the_process_that_was_started() -> None:
    with gate_program(workers=2, max_in_flight_requests=40, max_queued_items=30_000) as gate:
        with gate.client() as client:
            text = client.get("/metrics").text
            gate_starts = psutil.Process(gate.process.pid).create_time()
        families = parsed(text)
        [started] = families["process_start_time_seconds"][1]
        assert started.value == pytest.approx(gate_starts, abs=0.02)
        for worker in ("worker-1", "worker-2"):
            assert value(text, "max_in_flight_requests", process=worker) == 40
            assert value(text, "max_queued_items", process=worker) == 15_000
            assert value(text, "queued_items", process=worker) == 0
        assert value(text, "max_queued_items", process="gate") is None
        assert value(text, "max_in_flight_requests", process="gate") == 40
