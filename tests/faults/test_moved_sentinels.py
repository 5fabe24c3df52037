"""A real sentinel moves while a gate keeps its primary."""

import asyncio

import pytest

from app.store.sentinels import Sentinels
from app.store.store_url import SentinelService, parse_store
from tests.support.sentinels import watched_servers

pytestmark = pytest.mark.slow

DEADLINE_SECONDS, PATIENCE_SECONDS = 10.0, 60.0


async def test_where_a_sentinel_went_the_others_tell_and_where_it_was_is_forgotten() -> None:
    with watched_servers("redis") as watched:
        service = parse_store(watched.url.replace(f",{_place(watched.sentinels[2].url)}", ""))
        assert isinstance(service, SentinelService)
        assert len(service.sentinels) == 2
        asked = Sentinels(service, DEADLINE_SECONDS)
        await asked.meet()
        assert _learned(asked) == [_place(watched.sentinels[2].url)]
        watched.move_sentinel(2)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while _learned(asked) != [_place(watched.sentinels[2].url)]:
                asked.keep_up(await asked.ask())
                await asyncio.sleep(0.1)
        assert len((await asked.ask(DEADLINE_SECONDS)).reports) == 3
        await asked.close()


def _place(url: str) -> str:
    return url.removeprefix("redis://")


def _learned(asked: Sentinels) -> list[str]:
    return [address.shown_place for address in asked.places() if address not in asked.service.sentinels]
