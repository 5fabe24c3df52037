"""One sentinel hangs, or is further away than the others and alone knows that the primary was replaced."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from app.errors import StoreNoPrimary
from app.store import sentinel
from app.store.connector import StoreConnector
from app.store.sentinel_primary import Primary
from app.store.shared_connection import AnswerLost
from app.store.store_url import parse_address
from tests.support.processes import wait_until
from tests.support.proxy import Proxy
from tests.support.scripted_sentinels import connector_of
from tests.support.sentinels import SERVICE, Watched, watched_servers

pytestmark = pytest.mark.slow

DEADLINE_SECONDS, PATIENCE_SECONDS, PAUSE_SECONDS = 5.0, 60.0, 0.05
NEVER_SECONDS = 3600.0
WAY_SECONDS = 0.06  # later than the others by more than is waited for while these vouch for the primary
FURTHER, OTHERS = 0, (1, 2)  # the numbers of the sentinel that is so far away, or hangs, and of the others


@pytest.fixture
def watched() -> Iterator[Watched]:
    with watched_servers("redis") as started:
        yield started


@asynccontextmanager
async def _proxied(watched: Watched) -> AsyncIterator[tuple[str, Proxy]]:
    """The store's URL, by proxies before the sentinels, and the proxy of the one that may be further away."""
    proxies = [Proxy(parse_address(launch.url).port) for launch in watched.sentinels]
    async with AsyncExitStack() as stack:
        for proxy in proxies:
            await stack.enter_async_context(proxy.running())
        places = ",".join(f"127.0.0.1:{proxy.port}" for proxy in proxies)
        yield f"redis+sentinel://{places}/{SERVICE}", proxies[FURTHER]


async def _connected(connector: StoreConnector) -> Primary:
    """Connect as soon as the sentinels agree."""
    while True:
        try:
            primary, _ = await connector.connect()
        except StoreNoPrimary:
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            assert isinstance(primary, Primary)
            return primary


async def _refusal(primary: Primary) -> str:
    """Call a primary until the sentinels are against it, and return what is said then."""
    while True:
        try:
            await primary.call("", "ECHO", "one")
        except AnswerLost:  # which was under way when the connection was closed
            continue
        except StoreNoPrimary as refusal:
            return str(refusal)


async def test_a_primary_of_which_one_sentinel_alone_knows_that_it_was_replaced_is_left_and_found_no_more(
    watched: Watched,
) -> None:
    """The others go on vouching for it; they learn of its end at last, and the new one is found."""
    async with (
        asyncio.timeout(2 * PATIENCE_SECONDS),
        _proxied(watched) as (url, further),
        connector_of(url, DEADLINE_SECONDS) as connector,
    ):
        primary, old = await _connected(connector), watched.primary()
        further.way_seconds = WAY_SECONDS
        watched.keep_to_themselves()
        watched.fail_over(FURTHER)
        is_done = await asyncio.to_thread(
            wait_until, lambda: watched.primary_of(FURTHER) != old, PATIENCE_SECONDS
        )
        assert is_done
        assert re.search("is replacing it|name another primary", await _refusal(primary))
        assert watched.primary() == old, "as the two others have it"
        async with connector_of(url, DEADLINE_SECONDS) as new:
            for asked in (connector, new):
                with pytest.raises(StoreNoPrimary, match="sentinels vouch for the primary"):
                    await asked.connect()
        watched.tell_again()
        await primary.close()
        found = await _connected(connector)
        assert await found.call("", "ECHO", "one") == b"one"
        assert watched.primary() != old
        await found.close()


async def test_a_sentinel_that_hangs_with_the_primary_is_not_waited_for_to_find_the_next_one(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The URL names it by another address than the sentinels do, and it hangs at both of them."""
    monkeypatch.setattr(sentinel, "MOST_SECONDS", NEVER_SECONDS)
    async with (
        asyncio.timeout(2 * PATIENCE_SECONDS),
        _proxied(watched) as (url, _),
        connector_of(url, NEVER_SECONDS) as connector,
    ):
        primary, old = await _connected(connector), watched.primary()
        watched.pause_server(old)
        watched.pause_sentinels(FURTHER)
        is_done = await asyncio.to_thread(
            wait_until, lambda: all(watched.primary_of(number) != old for number in OTHERS), PATIENCE_SECONDS
        )
        assert is_done
        await primary.close()
        found = await _connected(connector)
        assert await found.call("", "ECHO", "one") == b"one"
        await found.close()
