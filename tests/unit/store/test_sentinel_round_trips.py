"""How often sentinels are asked before a gate serves: each time is a round trip, and they may be far away."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.scripted_sentinels import ScriptedSentinels, connector_of, primary_of, watched
from tests.support.servers import StoreServer, valkey_server

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("only_when_called")]

GONE_PORT = 1  # nobody listens there


@pytest.fixture(scope="module")
def server() -> Iterator[StoreServer]:
    with valkey_server() as started:
        yield started


async def test_each_sentinel_is_asked_once_for_the_primary_and_not_again_when_that_is_connected_to(
    server: StoreServer,
) -> None:
    async with watched(server) as (sentinels, _), primary_of(sentinels.url) as primary:
        assert await primary.call("", "ECHO", "one") == b"one"
        assert [one.asked for one in sentinels.all] == [1, 1, 1]


async def test_while_one_is_missing_the_others_are_asked_where_it_is_and_for_the_primary_at_once(
    server: StoreServer,
) -> None:
    """Both questions are under way before either is answered."""
    async with watched(server) as (sentinels, _):
        _have_a_fourth(sentinels)
        url = sentinels.url.replace("/gate", f",127.0.0.1:{GONE_PORT}/gate")
        async with connector_of(url) as connector:
            before, _ = await connector.connect()
            await before.close()
            asked, told = _counts(sentinels)
            for one in sentinels.all:
                one.goes_on.clear()
            attempt = asyncio.create_task(connector.connect())
            while _counts(sentinels) != (asked + 3, told + 3):
                await asyncio.sleep(0.005)
            for one in sentinels.all:
                one.goes_on.set()
            found, _ = await attempt
            assert await found.call("", "ECHO", "one") == b"one"
            assert _counts(sentinels) == (asked + 3, told + 3)
            await found.close()


def _have_a_fourth(sentinels: ScriptedSentinels) -> None:
    """Have all know of one more sentinel, which is gone."""
    sentinels.say(num_other_sentinels=3)
    for one in sentinels.all:
        one.others = [*one.others, ("fourth", GONE_PORT)]


def _counts(sentinels: ScriptedSentinels) -> tuple[int, int]:
    """How often the sentinels were asked for the primary, and how often for each other."""
    return sentinels.asked, sum(one.told for one in sentinels.all)
