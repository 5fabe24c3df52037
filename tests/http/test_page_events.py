"""`GET /page/events` over real sockets: places, workers, and the end of a gate that somebody looks at."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from app.web.viewers import MOST_VIEWERS
from tests.support.gate import GateProcess, gate_process
from tests.support.processes import wait_until
from tests.support.worker_gates import two_workers

pytestmark = pytest.mark.server

EVENTS = "/page/events"


@contextmanager
def _looking(client: httpx.Client) -> Iterator[httpx.Response]:
    with client.stream("GET", EVENTS) as response:
        yield response


def _event(lines: Iterator[str]) -> str:
    """The next event with figures."""
    event = ""
    for line in lines:
        if line.startswith("data:"):
            event += line
        elif event:
            return event
    raise AssertionError("the stream has ended")


def _sees_the_page(client: httpx.Client) -> bool:
    """Tell whether there is a place, and look; who left has one until the gate hears that they have gone."""
    with _looking(client) as response:
        if response.status_code == 503:
            return False
        assert response.headers["content-type"] == "text/event-stream"
        return "Tidegate" in _event(response.iter_lines())


def test_those_who_look_have_so_many_places_and_give_them_back() -> None:
    with gate_process() as gate, gate.client(limits=httpx.Limits(max_connections=None)) as client:
        with ExitStack() as looking:
            for _ in range(MOST_VIEWERS):
                assert looking.enter_context(_looking(client)).status_code == 200
            refused = client.get(EVENTS)
            assert (refused.status_code, refused.json()["type"]) == (503, "urn:tidegate:problem:overloaded")
            assert refused.headers["retry-after"]
        assert wait_until(lambda: _sees_the_page(client), seconds=30)


def test_head_is_answered_without_an_event(gate: GateProcess) -> None:
    with gate.client() as client:
        answer = client.head(EVENTS)
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_gate_that_stops_ends_the_events_properly_and_exits_0() -> None:
    with gate_process() as gate, gate.client() as client, _looking(client) as response:
        lines = response.iter_lines()
        _event(lines)
        assert gate.terminate() == 0
        for _ in lines:
            pass  # a body that was cut off would raise


def test_workers_show_what_all_of_them_took() -> None:
    with two_workers() as gate, gate.client() as client:
        for number in range(8):  # connections of their own, so that both workers have some
            httpx.post(
                f"{gate.url}/transactions", json={"signature": f"s-{number}"}, trust_env=False, verify=False
            )
        assert "Tidegate" in client.get("/").text

        def accepted() -> int:
            return int(client.get("/page/figures").json()["stats"]["ingest"]["accepted"])

        assert wait_until(lambda: accepted() == 8, seconds=30), "a busy worker is late to tell"
        with _looking(client) as response:
            assert 'data-figure="accepted">8</span>' in _event(response.iter_lines())
