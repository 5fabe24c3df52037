"""Sentinels move: they are found where they went, and where they were is forgotten."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from app.store import sentinel
from app.store import sentinels as sentinels_module
from app.store.sentinels import MOST_LEARNED, Sentinels
from app.store.store_url import SentinelService, parse_store
from tests.support.scripted_sentinels import ScriptedSentinels, primary_of, watched
from tests.support.servers import StoreServer, valkey_server

pytestmark = pytest.mark.server

DEADLINE_SECONDS, BRIEF_SECONDS = 10.0, 0.05
MOVES, MANY = 20, 200
GONE_PORT = 1  # nobody listens there, nor at the ports that follow it


@pytest.fixture(scope="module")
def server() -> Iterator[StoreServer]:
    with valkey_server() as started:
        yield started


@pytest.fixture(autouse=True)
def _review_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentinels_module, "REVIEW_SECONDS", BRIEF_SECONDS)


async def test_a_sentinel_that_moved_is_found_while_the_gate_keeps_its_primary(server: StoreServer) -> None:
    async with watched(server) as (scripted, _):
        _place_third(scripted, GONE_PORT)
        async with primary_of(scripted.url_of(0, 1)) as primary:
            _place_third(scripted, scripted.all[2].port)
            while not scripted.all[2].asked:
                await asyncio.sleep(BRIEF_SECONDS)
            assert await primary.call("", "ECHO", "one") == b"one"


async def test_where_a_sentinel_was_is_forgotten_however_often_it_moves(server: StoreServer) -> None:
    async with watched(server) as (scripted, _):
        _place_third(scripted, GONE_PORT)
        async with _met(scripted.url_of(0, 1)) as asked:
            for port in (*range(GONE_PORT, GONE_PORT + MOVES), scripted.all[2].port):
                _place_third(scripted, port)
                while _learned(asked) != [port]:
                    await _ask(asked)
            assert len((await asked.ask(DEADLINE_SECONDS)).reports) == 3


async def test_one_that_only_hangs_stays_while_the_others_name_it(
    server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sentinel, sentinels_module):
        monkeypatch.setattr(module, "LATE_SECONDS", BRIEF_SECONDS)
    async with watched(server) as (scripted, _), _met(scripted.url_of(0, 1)) as asked:
        scripted.all[2].goes_on.clear()
        await _reviewed(scripted, asked)
        assert _learned(asked) == [scripted.all[2].port]
        for one in scripted.all[:2]:
            one.others = []
        while _learned(asked):
            await _reviewed(scripted, asked)


async def test_one_that_answers_stays_though_nobody_names_it(server: StoreServer) -> None:
    async with watched(server) as (scripted, _), _met(scripted.url_of(0)) as asked:
        scripted.say(num_other_sentinels=3)
        for one in scripted.all:
            one.others = [("fourth", GONE_PORT)]
        await _reviewed(scripted, asked)
        ports = [GONE_PORT, scripted.all[1].port, scripted.all[2].port]
        assert _learned(asked) == sorted(ports)


async def test_one_of_the_url_stays_though_it_never_answers_and_nobody_names_it(server: StoreServer) -> None:
    async with watched(server) as (scripted, _):
        url = scripted.url.replace("/gate", f",127.0.0.1:{GONE_PORT}/gate")
        async with _met(url) as asked:
            await _reviewed(scripted, asked)
            assert len(asked.places()) == 4


async def test_of_addresses_that_sentinels_tell_no_more_are_learned_than_have_room(
    server: StoreServer,
) -> None:
    async with watched(server) as (scripted, _):
        scripted.say(num_other_sentinels=MANY)
        for one in scripted.all:
            one.others = [(f"other-{number}", number) for number in range(GONE_PORT, GONE_PORT + MANY)]
        async with _met(scripted.url) as asked:
            await _reviewed(scripted, asked)
            assert len(_learned(asked)) == MOST_LEARNED


async def test_a_sentinel_whose_address_another_one_took_over_has_none(server: StoreServer) -> None:
    """The others tell of port 0 then."""
    async with watched(server) as (scripted, _):
        _place_third(scripted, 0)
        async with _met(scripted.url_of(0, 1)) as asked:
            assert _learned(asked) == []


@asynccontextmanager
async def _met(url: str) -> AsyncIterator[Sentinels]:
    """The sentinels of a URL, which have been asked for the others."""
    service = parse_store(url)
    assert isinstance(service, SentinelService)
    asked = Sentinels(service, DEADLINE_SECONDS)
    await asked.meet()
    yield asked
    await asked.close()


async def _reviewed(scripted: ScriptedSentinels, asked: Sentinels) -> None:
    """Ask the sentinels until they have told of each other from now on, and that was taken in."""
    told = scripted.all[0].told
    while scripted.all[0].told < told + 3:
        await _ask(asked)


async def _ask(asked: Sentinels) -> None:
    """Ask the sentinels, and see who they are if it is time for that."""
    asked.keep_up(await asked.ask())
    await asyncio.sleep(BRIEF_SECONDS)


def _place_third(scripted: ScriptedSentinels, port: int) -> None:
    """Have the first two sentinels say that the third is there."""
    [first, second, third] = scripted.all
    first.others = [(second.sentinel_id, second.port), (third.sentinel_id, port)]
    second.others = [(first.sentinel_id, first.port), (third.sentinel_id, port)]


def _learned(asked: Sentinels) -> list[int]:
    """The ports of the sentinels that the URL does not name."""
    return sorted(address.port for address in asked.places() if address not in asked.service.sentinels)
