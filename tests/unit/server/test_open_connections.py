"""Dropping idle connections closes those between two requests, and no other."""

import asyncio

from app.server.open_connections import OpenConnections
from tests.support.http_service import served
from tests.unit.server.test_protocol import GET, PATIENT, post


async def test_without_a_server_there_is_nothing_to_drop() -> None:
    connections = OpenConnections()
    await connections.drop_idle()
    assert len(connections) == 0


async def test_only_connections_between_two_requests_are_dropped() -> None:
    async with served(PATIENT) as (service, idle):
        connections = OpenConnections()
        connections.follow(service.server.server_state.connections, 100)
        await idle.send(GET)
        assert (await idle.answer())[0] == 200
        fresh, at_work, half_sent = [await service.client() for _ in range(3)]
        await at_work.send(post(b"x", b"/slow"))
        await half_sent.send(GET[:20])
        async with asyncio.timeout(30):
            while len(connections) < 4 or service.calls < 2:
                await asyncio.sleep(0.005)
        await connections.drop_idle(seconds=60)
        await asyncio.sleep(0.05)
        assert len(connections) == 4, "none has been idle for so long"
        await connections.drop_idle(seconds=0.05)
        assert len(connections) == 2, "they are closed when it returns"
        assert await idle.rest() == b""
        assert await fresh.rest() == b""
        await half_sent.send(GET[20:])
        assert (await half_sent.answer())[0] == 200
        service.go.set()
        assert (await at_work.answer())[0] == 200
