"""Connections that are idle make room for new ones, the longest first, and none with a request under way."""

import asyncio

from app.server.limits import Limits
from app.server.room_for_new import PARTS, PAUSE_SECONDS, RoomForNew
from tests.support.http_service import LONG, SHORT, Client, Service, served
from tests.unit.server.test_protocol import GET, post

FOUR = Limits(header_seconds=LONG, body_seconds=LONG, connections=4)
FULL = (503, "too-many-connections")


async def _asked(service: Service) -> Client:
    client = await service.client()
    assert await _is_served(client)
    return client


async def _is_served(client: Client) -> bool:
    await client.send(GET)
    return await client.sizes(1) == [0]


async def test_the_connection_that_is_idle_longest_is_closed_for_a_new_one() -> None:
    async with served(FOUR) as (service, at_work):
        service.http.room = RoomForNew(idle_seconds=0)
        await at_work.send(post(b"x", b"/slow"))
        half_sent = await service.client()
        await half_sent.send(GET[:20])
        async with asyncio.timeout(LONG):
            while service.calls < 1 or not any(one.received.raw for one in await service.protocols(2)):
                await asyncio.sleep(0.005)
        old, young = await _asked(service), await _asked(service)
        newest = await _asked(service)
        assert await old.rest() == b""
        assert await _is_served(young)
        assert await _is_served(newest)
        await half_sent.send(GET[20:])
        assert await half_sent.sizes(1) == [0]
        service.go.set()
        assert (await at_work.answer())[0] == 200


async def test_while_none_is_idle_for_long_enough_a_new_one_is_refused() -> None:
    async with served(FOUR) as (service, first):
        others = [await service.client() for _ in range(3)]
        assert await (await service.client()).refusal(retry_after="1") == FULL
        for client in (first, *others):
            assert await _is_served(client)


async def test_many_that_stay_and_ask_now_and_then_keep_nobody_out() -> None:
    async with served(FOUR) as (service, first):
        service.http.room = RoomForNew(idle_seconds=SHORT / 10)
        assert await _is_served(first)
        for _ in range(4 * FOUR.connections):
            await asyncio.sleep(SHORT)  # no other way to be idle
            assert await _is_served(await service.client())


class Idle:
    def __init__(self, idle_seconds: float) -> None:
        self.idle_seconds, self.is_closed = idle_seconds, False

    def shutdown(self) -> None:
        self.is_closed = True


def test_of_very_many_a_part_is_closed_at_a_time() -> None:
    connections = [Idle(number) for number in range(10 * PARTS)]
    counted = set(connections)
    assert RoomForNew().make(counted, 0.0)
    assert [each.idle_seconds for each in connections if each.is_closed] == [
        *range(9 * PARTS + 54, 10 * PARTS)
    ]
    assert len(counted) == 10 * PARTS - 10


def test_after_a_look_in_vain_none_follows_for_a_while() -> None:
    room, busy, idle = RoomForNew(), Idle(0), Idle(2)
    assert not room.make({busy}, 0.0)
    assert not room.make({busy, idle}, PAUSE_SECONDS / 2)
    assert room.make({busy, idle}, PAUSE_SECONDS)
    assert (busy.is_closed, idle.is_closed) == (False, True)
