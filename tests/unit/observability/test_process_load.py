"""What each process that serves clients has open and uses is exported beside its limits."""

import resource

import httpx
import pytest

from tests.support.gate import gate_process
from tests.support.metric_families import value
from tests.support.processes import wait_until

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
