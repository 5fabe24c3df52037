"""How many new connections a server takes in a turn of its loop, in which it serves others as well."""

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from app.server.config import ACCEPTED_A_TURN, QuietServer, doubled
from tests.support.gate import gate_program

WAITING = 4 * ACCEPTED_A_TURN


async def _turns_until_all_are_taken(listeners: list[socket.socket]) -> int:
    """The turns that a server takes for connections that wait already."""
    server, turns = QuietServer(uvicorn.Config(_unused, log_config=None, lifespan="off")), 0
    taken, serving = server.server_state.connections, asyncio.create_task(server.serve(listeners))
    while not server.started:
        await asyncio.sleep(0)
    with ExitStack() as stack:
        for _ in range(WAITING):
            stack.enter_context(socket.create_connection(listeners[0].getsockname(), timeout=10))
        assert not taken
        while len(taken) < WAITING:
            await asyncio.sleep(0)
            turns += 1
    server.should_exit = True
    await serving
    assert all(listener.fileno() < 0 for listener in listeners)
    return turns


async def _unused(scope: Scope, receive: Receive, send: Send) -> None:
    """No request is sent."""


def test_a_doubled_listener_has_several_connections_taken_in_a_turn() -> None:
    one = uvloop.run(_turns_until_all_are_taken([socket.create_server(("127.0.0.1", 0))]))
    several = uvloop.run(_turns_until_all_are_taken(doubled(socket.create_server(("127.0.0.1", 0)))))
    assert one >= WAITING
    assert several <= one // 4


@pytest.mark.server
def test_a_gate_takes_connections_by_doubles_of_its_listener() -> None:
    with gate_program() as gate:
        links = Counter(_links(gate.process.pid))
    doubles = [times for link, times in links.items() if link.startswith("socket:") and times > 1]
    assert doubles == [ACCEPTED_A_TURN]


def _links(pid: int) -> Iterator[str]:
    """What the descriptors of a process lead to, but for those that it closes meanwhile."""
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            yield str(file.readlink())
