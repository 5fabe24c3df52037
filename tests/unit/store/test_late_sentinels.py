"""A sentinel that answers later than the others may know what they do not: that the primary was replaced."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from app.errors import StoreNoPrimary
from app.store import sentinel, sentinel_agreement
from app.store import sentinels as sentinels_module
from app.store.sentinels import Sentinels
from app.store.shared_connection import AnswerLost
from app.store.store_url import SentinelService, parse_store
from tests.support.proxy import Proxy
from tests.support.scripted_sentinels import (
    NONE_MS,
    ScriptedSentinel,
    call_on,
    connector_of,
    primary_of,
    refusal_of,
    watched,
)
from tests.support.servers import StoreServer, valkey_server

pytestmark = pytest.mark.server

NEVER_SECONDS, BRIEF_SECONDS = 3600.0, 0.05
LATE_ANSWER_SECONDS = 0.1  # behind the others by more than is waited for while these vouch


@pytest.fixture(scope="module")
def server() -> Iterator[StoreServer]:
    with valkey_server() as started:
        yield started


@pytest.mark.parametrize("late", [{"port": 1, "config-epoch": 2}, {"flags": "master,failover_in_progress"}])
async def test_what_a_sentinel_says_later_than_the_others_is_heeded_when_it_comes(
    server: StoreServer, late: dict[str, object]
) -> None:
    async with watched(server) as (sentinels, _), primary_of(sentinels.url) as primary:
        sentinels.all[2].answer_seconds = LATE_ANSWER_SECONDS
        sentinels.all[2].fields |= late
        with pytest.raises((StoreNoPrimary, AnswerLost)):
            await call_on(primary)


@pytest.mark.usefixtures("only_when_called")
async def test_who_connects_waits_for_a_sentinel_that_may_know_more(server: StoreServer) -> None:
    async with watched(server) as (sentinels, _):
        sentinels.all[2].answer_seconds = LATE_ANSWER_SECONDS
        sentinels.all[2].fields |= {"port": 1, "config-epoch": 2}
        assert "sentinels vouch for the primary" in await refusal_of(sentinels.url)


@pytest.mark.usefixtures("only_when_called")
async def test_after_a_gap_in_which_nobody_vouched_a_sentinel_is_waited_for_that_may_know_more(
    server: StoreServer,
) -> None:
    async with watched(server) as (sentinels, proxy):
        sentinels.say(down_after_milliseconds=NONE_MS)
        async with primary_of(sentinels.url) as primary:
            sentinels.all[2].answer_seconds = LATE_ANSWER_SECONDS
            sentinels.all[2].fields |= {"port": 1, "config-epoch": 2}
            with pytest.raises(StoreNoPrimary, match="another primary now"):
                await primary.call("", "SET", "written", "never")
            assert not any(b"never" in command for command in proxy.commands)


@pytest.mark.usefixtures("only_when_called")
async def test_what_a_sentinel_that_hangs_said_last_counts_for_new_connections_until_it_is_too_old(
    server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It speaks against the server that the others name, and for none."""
    async with watched(server) as (sentinels, _), connector_of(sentinels.url) as connector:
        sentinels.all[2].fields |= {"port": 1, "config-epoch": 2}
        with pytest.raises(StoreNoPrimary):
            await connector.connect()
        sentinels.all[2].goes_on.clear()
        with pytest.raises(StoreNoPrimary, match="of 3 sentinels vouch"):
            await connector.connect()
        monkeypatch.setattr(sentinel_agreement, "KEPT_SECONDS", 0.0)
        primary, _ = await connector.connect()
        assert await primary.call("", "ECHO", "one") == b"one"
        await primary.close()


async def test_a_sentinel_that_hangs_is_waited_for_once_and_not_again(
    server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set_seconds(monkeypatch, "MOST_SECONDS", NEVER_SECONDS)
    async with watched(server) as (scripted, _):
        service = parse_store(scripted.url)
        assert isinstance(service, SentinelService)
        asked = Sentinels(service, NEVER_SECONDS)
        await asked.meet()
        scripted.all[2].goes_on.clear()
        _set_seconds(monkeypatch, "LATE_SECONDS", BRIEF_SECONDS)
        for patience in (2 * BRIEF_SECONDS, NEVER_SECONDS):
            assert len((await asked.ask(patience)).reports) == 2
        await asked.close()


async def test_a_sentinel_that_hung_is_waited_for_by_no_attempt_to_connect_at_its_other_address_either(
    server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The URL names it by an address that the other sentinels do not know."""
    for name in ("MOST_SECONDS", "LATE_SECONDS"):
        _set_seconds(monkeypatch, name, NEVER_SECONDS)
    async with watched(server) as (scripted, _), _proxied(scripted.all[2]) as proxy:
        url = scripted.url.replace(str(scripted.all[2].port), proxy.port)
        async with connector_of(url, NEVER_SECONDS) as connector:
            scripted.say(flags="master,s_down")
            with pytest.raises(StoreNoPrimary):
                await connector.connect()
            scripted.all[2].goes_on.clear()
            asked = scripted.all[2].asked
            attempt = asyncio.create_task(connector.connect())
            while scripted.all[2].asked == asked:
                await asyncio.sleep(0.005)
            proxy.cut_all()
            with pytest.raises(StoreNoPrimary):
                await attempt
            scripted.say(flags="master")
            primary, _ = await connector.connect()
            await primary.close()


def _set_seconds(monkeypatch: pytest.MonkeyPatch, name: str, seconds: float) -> None:
    for module in (sentinel, sentinels_module):
        monkeypatch.setattr(module, name, seconds)


@asynccontextmanager
async def _proxied(scripted: ScriptedSentinel) -> AsyncIterator[Proxy]:
    proxy = Proxy(scripted.port)
    async with proxy.running():
        yield proxy
