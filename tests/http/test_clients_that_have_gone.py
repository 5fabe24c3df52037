"""A body that waits for its turn when its client goes is given up; what was stored of it stays."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
import uvicorn

from app.api.fast_posts import FastPosts
from app.decode import event_loop_turns
from app.main import create_app
from app.runtime import Runtime
from app.server.client_side import ClientSide
from app.server.config import server_config
from app.server.exchange import CONTINUE
from app.server.protocol import BoundedProtocol
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET
from tests.support.gate import running
from tests.support.servers import StoreServer
from tests.support.wire import NDJSON

pytestmark = pytest.mark.server

LONG_SECONDS = 60.0
ITEMS = [b'{"signature":"gone-%d","payload":"%b"}' % (number, b"x" * 100) for number in range(400)]
LINES, ARRAY = b"\n".join([*ITEMS, b""]), b"[" + b",".join(ITEMS[:100]) + b"]"
POSTS = {
    "lines": ("/transactions", NDJSON, LINES),
    "array": ("/transactions", "application/json", ARRAY),
    "feed": ("/feeds/gone", "application/json", ARRAY),
    "unread": ("/transactions", NDJSON, LINES * 10),
}
WHOLE = ("lines", "array", "feed")


class Turns:
    """Lets bodies have so many turns, and has them wait for the next one until it is told to go on."""

    def __init__(self, first: int) -> None:
        self._left = first
        self._held: list[asyncio.Future[None]] = []
        self.is_waiting = asyncio.Event()

    def ask(self) -> asyncio.Future[None]:
        turn = asyncio.get_running_loop().create_future()
        if self._left:
            self._left -= 1
            turn.set_result(None)
        else:
            self._held.append(turn)
            self.is_waiting.set()
        return turn

    def let_one(self) -> None:
        """Let the body that has waited longest have its turn."""
        self.is_waiting.clear()
        self._held.pop(0).set_result(None)

    def go_on(self) -> None:
        self._left = 1_000_000
        for turn in self._held:
            turn.set_result(None)


class Gate:
    """A gate inside the test, with a socket to it."""

    def __init__(self, runtime: Runtime, server: uvicorn.Server) -> None:
        self.runtime, self._server = runtime, server
        address = server.servers[0].sockets[0].getsockname()
        self.client = socket.create_connection(address)
        self.client.setblocking(False)

    async def send(self, kind: str, missing: int = 0, version: str = "1.1") -> None:
        """Send a post, but for so many bytes of its body that are declared and do not come."""
        path, media, body = POSTS[kind]
        head = f"POST {path} HTTP/{version}\r\nHost: x\r\nContent-Type: {media}\r\n"
        length = f"Content-Length: {len(body) + missing}\r\n\r\n"
        await asyncio.get_running_loop().sock_sendall(self.client, (head + length).encode() + body)

    def reset(self) -> None:
        """Go without reading on."""
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.close()

    async def read(self) -> bytes:
        """Return all that the server sends until it closes."""
        loop, read = asyncio.get_running_loop(), b""
        while piece := await loop.sock_recv(self.client, 65536):
            read += piece
        return read

    async def answer(self) -> tuple[int, dict[str, object]]:
        """Return status and document of the answer, behind which the server closes."""
        head, _, body = (await self.read()).removeprefix(CONTINUE).partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)

    async def becomes(self, side: ClientSide) -> None:
        """Wait until the kernel knows this of the client."""
        [connection] = self.connections
        while connection.client_side() is not side:
            await asyncio.sleep(0.001)

    async def ended(self) -> None:
        """Wait until no request is under way."""
        while self._server.server_state.tasks:
            await asyncio.sleep(0.001)

    async def has_no_connection(self) -> None:
        """Wait until the server has seen that the client has gone."""
        while self._server.server_state.connections:
            await asyncio.sleep(0.001)

    def sample(self, name: str, **labels: str) -> float:
        return self.runtime.metrics.registry.get_sample_value(f"tidegate_{name}", labels) or 0

    @property
    def connections(self) -> list[BoundedProtocol]:
        return cast("list[BoundedProtocol]", list(self._server.server_state.connections))

    @property
    def accepted(self) -> float:
        return self.sample("transactions_total", outcome="accepted")

    @property
    def given_up(self) -> float:
        return self.sample("connection_refusals_total", reason="client-gone", begun="yes")


@asynccontextmanager
async def serving(runtime: Runtime) -> AsyncIterator[Gate]:
    fast = FastPosts(runtime.plane, runtime.requests)
    app, metrics = create_app(runtime), runtime.metrics
    config = server_config(app, runtime.settings, 10, metrics, lifespan=False, fast_path=fast)
    config.port = 0
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    gate = Gate(runtime, server)
    try:
        async with asyncio.timeout(LONG_SECONDS):
            yield gate
    finally:
        gate.client.close()
        server.force_exit = True  # a test that has failed may still hold a body
        await server.shutdown()


@pytest.fixture(params=[True, False], ids=["fast", "asgi"])
async def gate(
    request: pytest.FixtureRequest, valkey: StoreServer, settings_for: MakeSettings
) -> AsyncIterator[Gate]:
    settings = settings_for(valkey, fast_path=request.param, **QUIET)
    async with running(settings) as runtime, serving(runtime) as started:
        yield started


def hold_turns(monkeypatch: pytest.MonkeyPatch, first: int = 0) -> Turns:
    turns = Turns(first)
    monkeypatch.setattr(event_loop_turns._Turns, "ask", lambda _: turns.ask())  # noqa: SLF001  the queue itself
    return turns


@pytest.mark.parametrize("kind", WHOLE)
async def test_a_whole_body_whose_client_is_lost_before_its_turn_is_given_up_and_told(
    gate: Gate, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = hold_turns(monkeypatch)
    await gate.send(kind)
    await turns.is_waiting.wait()
    gate.reset()
    await gate.has_no_connection()
    turns.go_on()
    await gate.ended()
    assert (gate.accepted, gate.given_up, gate.runtime.plane.body_budget.held) == (0, 1, 0)
    route = POSTS[kind][0].replace("gone", "{feed}")
    assert gate.sample("http_requests_total", method="POST", route=route, code="499") == 1
    assert gate.sample("feed_rejected_total", feed="gone", reason="malformed-body") == 0
    assert gate.sample("transactions_total", outcome="invalid") == 0


async def test_a_client_is_missed_whose_body_is_more_than_what_is_read_before_its_turn(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a connection is not read, nobody is told that it was reset."""
    turns = hold_turns(monkeypatch)
    await gate.send("unread")
    await turns.is_waiting.wait()
    [connection] = gate.connections
    while connection._is_reading:  # noqa: SLF001  nothing tells
        await asyncio.sleep(0.001)
    gate.reset()
    turns.go_on()
    await gate.ended()
    await gate.has_no_connection()
    assert (gate.accepted, gate.given_up, gate.runtime.plane.body_budget.held) == (0, 1, 0)


async def test_lines_that_were_stored_before_the_client_was_lost_stay_and_are_counted(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = hold_turns(monkeypatch, first=1)
    await gate.send("lines")
    await turns.is_waiting.wait()
    stored = gate.accepted
    assert 0 < stored < len(ITEMS)
    gate.reset()
    await gate.has_no_connection()
    turns.go_on()
    await gate.ended()
    assert (gate.accepted, gate.given_up, gate.runtime.plane.body_budget.held) == (stored, 1, 0)


@pytest.mark.parametrize("kind", WHOLE)
async def test_a_whole_body_whose_client_has_ended_its_side_gets_its_answer(
    gate: Gate, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = hold_turns(monkeypatch)
    await gate.send(kind)
    await turns.is_waiting.wait()
    gate.client.shutdown(socket.SHUT_WR)
    await gate.becomes(ClientSide.ENDED)
    turns.go_on()
    status, document = await gate.answer()
    assert (status, document["accepted"]) == (200, len(ITEMS) if kind == "lines" else 100)
    assert gate.given_up == 0


@pytest.mark.parametrize("kind", ["lines", "unread"])
async def test_a_client_that_has_closed_is_told_from_one_that_has_ended_its_side(
    gate: Gate, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A close without a reset is one in place of an answer to whatever is sent; here to `100 Continue`."""
    turns = hold_turns(monkeypatch)
    await gate.send(kind)
    await turns.is_waiting.wait()
    gate.client.close()
    await gate.becomes(ClientSide.ENDED)
    turns.let_one()
    await turns.is_waiting.wait()
    await gate.becomes(ClientSide.RESET)
    stored = gate.accepted
    turns.go_on()
    await gate.ended()
    assert 0 < stored < len(ITEMS)
    assert (gate.accepted, gate.given_up, gate.runtime.plane.body_budget.held) == (stored, 1, 0)


async def test_a_client_of_http_1_0_that_has_ended_its_side_is_sent_nothing_but_its_answer(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = hold_turns(monkeypatch)
    await gate.send("lines", version="1.0")
    await turns.is_waiting.wait()
    gate.client.shutdown(socket.SHUT_WR)
    await gate.becomes(ClientSide.ENDED)
    turns.go_on()
    assert (await gate.read()).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("first", [0, 1])
async def test_lines_that_wait_behind_a_break_are_let_go_and_the_answer_says_what_was_stored(
    gate: Gate, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = hold_turns(monkeypatch, first)
    await gate.send("lines", missing=1)
    await turns.is_waiting.wait()
    stored = gate.accepted
    gate.client.shutdown(socket.SHUT_WR)
    [connection] = gate.connections
    while not connection._is_half_closed:  # noqa: SLF001  nothing tells
        await asyncio.sleep(0.001)
    turns.go_on()
    status, document = await gate.answer()
    assert (status, document["type"]) == (400, "urn:tidegate:problem:incomplete-request")
    assert document["accepted"] == gate.accepted == stored
    assert gate.sample("connection_refusals_total", reason="incomplete-request", begun="yes") == 1
