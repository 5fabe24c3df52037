"""A store that is far away: a connection may take longer to open than a call may take."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from app.errors import StoreError
from app.settings.model import Settings
from app.store.reconnecting_node import Node
from app.store.shared_connection import NotConnected
from app.store.store_url import parse_address
from tests.support.deliver import Gate, connected_gate, transaction
from tests.support.proxy import Proxy, tcp_server
from tests.support.servers import StoreServer, make_tls, redis_server

pytestmark = pytest.mark.server

PATIENCE_SECONDS = 60.0
WAY_SECONDS, DEADLINE_SECONDS = 0.8, 3.0  # a round trip fits into a deadline, and TLS with a login does not


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    folder: Path = tmp_path_factory.mktemp("tls")
    with redis_server(tls=make_tls(folder)) as found:
        yield found


@asynccontextmanager
async def _behind_proxy(server: StoreServer) -> AsyncIterator[tuple[str, Proxy]]:
    port = parse_address(server.url).port
    proxy = Proxy(port)
    async with proxy.running():
        yield server.url.replace(f":{port}", f":{proxy.port}"), proxy


async def _verdict(gate: Gate, signature: str) -> str:
    """Deliver a transaction as often as needed; calls that wait for a connection may be given up."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if not gate.session.is_up:
                await gate.session.probe(gate.maps.sizes)
            with suppress(StoreError):
                [answer] = await gate.flusher.flush([transaction(signature)])
                return answer.verdict


async def test_a_connection_that_takes_longer_than_a_call_may_serves_the_calls_that_come_later(
    server: StoreServer,
) -> None:
    async with _behind_proxy(server) as (url, proxy):
        node = Node(parse_address(url), 0.5)
        proxy.hold_answers()  # of the handshake
        with pytest.raises(NotConnected) as late:
            await node.call("PING")
        assert isinstance(late.value.__cause__, TimeoutError)
        proxy.pass_on()
        await node.connect()
        assert await node.call("PING") == b"PONG"
        assert proxy.connections == 1, "it went on being opened"
        node.close()


@pytest.mark.slow
@pytest.mark.long
async def test_a_gate_far_from_its_store_is_back_after_its_connection_broke(server: StoreServer) -> None:
    async with _behind_proxy(server) as (url, proxy):
        proxy.way_seconds = WAY_SECONDS
        gate = await connected_gate(Settings(store_url=url, store_deadline_seconds=DEADLINE_SECONDS))
        for number in range(2):
            proxy.cut_all()
            assert await _verdict(gate, f"far-{number}") in ("accepted", "duplicate")
        await gate.session.close()


async def test_an_answer_that_comes_in_drops_is_given_up_at_the_deadline_of_its_call() -> None:
    """Each read brings something: a deadline for each of them would never pass."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.write(b"+OK\r\n")
        await reader.read(1 << 16)
        writer.write(b"$100000000\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with tcp_server(drip) as url:
        node = Node(parse_address(url), 0.5)
        with pytest.raises(TimeoutError):
            await node.call("GET", "key")
        node.close()
